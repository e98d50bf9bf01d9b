"""How many neighbors the rows learned, and where they lie."""

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from knngraph.inspection.displays._axes import COLORS, drawing_axes, equally_long

_DENSITY_BINS = 20
# Fewer rows than this have no median worth drawing.
_FEWEST_ROWS = 5


class LearnedKDisplay:
    """Distribution of the learned k, and k against density.

    Parameters
    ----------
    n_neighbors : ndarray of shape (n_samples,), int
    density : ndarray of shape (n_samples,)
        Between 0 and 1.

    Attributes
    ----------
    ax_ : ndarray of shape (2,)
        Axes of the distribution and of the density.
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from knngraph import KNNGraphClassifier
    >>> from knngraph.inspection import LearnedKDisplay
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> classifier = KNNGraphClassifier(ef=16, random_state=0).fit(X, y)
    >>> LearnedKDisplay.from_estimator(classifier).n_neighbors.shape
    (150,)
    """

    def __init__(self, *, n_neighbors: Any, density: Any) -> None:
        self.n_neighbors = np.asarray(n_neighbors, dtype=np.intp)
        self.density = np.asarray(density, dtype=np.float64)
        if not equally_long(n_neighbors=self.n_neighbors, density=self.density):
            raise ValueError("n_neighbors must hold one row at least, got none.")

    @classmethod
    def from_estimator(cls, estimator: Any) -> "LearnedKDisplay":
        """Take both from a fitted classifier.

        Parameters
        ----------
        estimator : KNNGraphClassifier
            Fitted.

        Returns
        -------
        LearnedKDisplay
        """
        check_is_fitted(estimator)
        return cls(n_neighbors=estimator.n_neighbors_, density=estimator.density_)

    def plot(self, ax: Any = None) -> "LearnedKDisplay":
        """Draw the distribution beside the density.

        Parameters
        ----------
        ax : sequence of two matplotlib Axes or None, default=None

        Returns
        -------
        self : LearnedKDisplay
        """
        axes = drawing_axes(ax, type(self).__name__, n_axes=2, figsize=(10.0, 4.2))
        self._draw_distribution(axes[0])
        self._draw_density(axes[1])
        self.ax_, self.figure_ = axes, axes[0].figure
        return self

    def _draw_distribution(self, ax: Any) -> None:
        counts = np.bincount(self.n_neighbors)
        first = int(self.n_neighbors.min())
        ax.bar(np.arange(first, len(counts)), counts[first:], color=COLORS[0])
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.spines[["top", "right"]].set_visible(False)
        ax.set_xlabel("learned number of neighbors k")
        ax.set_ylabel("training rows")
        ax.set_title("Distribution of k")

    def _draw_density(self, ax: Any) -> None:
        from matplotlib.colors import LogNorm

        edges_k = np.arange(self.n_neighbors.min(), self.n_neighbors.max() + 2) - 0.5
        edges_density = np.linspace(0.0, 1.0, _DENSITY_BINS + 1)
        counts, _, _ = np.histogram2d(
            self.density, self.n_neighbors, bins=(edges_density, edges_k)
        )
        image = ax.pcolormesh(
            edges_density,
            edges_k,
            np.ma.masked_equal(counts.T, 0),
            cmap="Blues",
            norm=LogNorm(1, max(2.0, counts.max(initial=0))),
        )
        ax.figure.colorbar(image, ax=ax, label="training rows", format="%d")
        middles = 0.5 * (edges_density[1:] + edges_density[:-1])
        bins = np.clip(
            np.digitize(self.density, edges_density) - 1, 0, len(middles) - 1
        )
        enough = [b for b in range(len(middles)) if (bins == b).sum() >= _FEWEST_ROWS]
        medians = [np.median(self.n_neighbors[bins == b]) for b in enough]
        ax.plot(
            middles[enough], medians, color=COLORS[1], marker="o", label="median of k"
        )
        ax.yaxis.get_major_locator().set_params(integer=True)
        ax.set_xlabel("density around the row")
        ax.set_ylabel("learned number of neighbors k")
        ax.set_title("k against density")
        ax.legend(loc="best", framealpha=0.9)
