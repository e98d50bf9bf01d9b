"""Pictures of a fitted graph: its edges, the learned k, and the convergence of fit."""

from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils.validation import check_is_fitted

from knngraph.inspection._optional import COLORS, MARKERS, Display, equally_long

_CLASSES_IN_LEGEND = 12
_WIDEST_EDGE = 2.0
_DENSITY_BINS = 20
# Fewer rows than this have no median worth drawing.
_FEWEST_ROWS = 5


class NeighborGraphDisplay(Display):
    """Rows, their learned neighbors, and the labels that are doubted.

    Parameters
    ----------
    embedding : ndarray of shape (n_samples, 2)
        Where every row is drawn.
    graph : sparse array of shape (n_samples, n_samples)
        Weights of the neighbors.
    labels : ndarray of shape (n_samples,)
        Given labels.
    suspects : ndarray of shape (n_suspects,), int
        Rows to be ringed.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from knngraph import KNNGraphClassifier
    >>> from knngraph.inspection import NeighborGraphDisplay
    >>> from sklearn.datasets import make_moons
    >>> X, y = make_moons(60, noise=0.2, random_state=0)
    >>> classifier = KNNGraphClassifier(ef=16, random_state=0).fit(X, y)
    >>> display = NeighborGraphDisplay.from_estimator(classifier, X, n_suspects=3)
    >>> len(display.suspects)
    3
    """

    _figsize = (7.0, 5.0)

    def __init__(
        self, *, embedding: Any, graph: Any, labels: Any, suspects: Any = ()
    ) -> None:
        self.embedding = np.asarray(embedding, dtype=np.float64)
        self.graph = sparse.csr_array(graph)
        self.labels = np.asarray(labels)
        self.suspects = np.asarray(suspects, dtype=np.intp)
        if self.embedding.ndim != 2 or self.embedding.shape[1] != 2:
            raise ValueError(
                "embedding must have two columns, got shape "
                f"{self.embedding.shape}; reduce the rows first, for example with "
                "sklearn.decomposition.PCA(2)."
            )
        n_rows = equally_long(embedding=self.embedding, labels=self.labels)
        if self.graph.shape != (n_rows, n_rows):
            raise ValueError(
                f"graph must have shape {(n_rows, n_rows)}, as embedding has "
                f"{n_rows} rows, got {self.graph.shape}."
            )

    @classmethod
    def from_estimator(
        cls, estimator: Any, embedding: Any, *, n_suspects: int = 0
    ) -> "NeighborGraphDisplay":
        """Take graph, labels and suspects from a fitted classifier.

        Parameters
        ----------
        estimator : KNNGraphClassifier
            Fitted.
        embedding : array-like of shape (n_samples, 2)
            The training rows themselves, or two coordinates for each.
        n_suspects : int, default=0
            How many of the most suspect labels to mark.

        Returns
        -------
        NeighborGraphDisplay
        """
        check_is_fitted(estimator)
        found = estimator.suspect_labels()
        if not 0 <= n_suspects <= len(found):
            raise ValueError(
                f"n_suspects must be between 0 and {len(found)}, the number of "
                f"training rows, got {n_suspects!r}."
            )
        labels = np.empty_like(found.given)
        labels[found.rows] = found.given
        return cls(
            embedding=embedding,
            graph=estimator.graph_,
            labels=labels,
            suspects=found.rows[:n_suspects],
        )

    def _draw(self, *axes: Any) -> None:
        (ax,) = axes
        self._draw_edges(ax)
        classes, codes = np.unique(self.labels, return_inverse=True)
        doubted = np.isin(np.arange(len(codes)), self.suspects)
        for code, label in enumerate(classes):
            own = codes == code
            self._draw_rows(ax, own & ~doubted, code, 3.0, f"class {label}")
            # Later, so that no other row hides them.
            self._draw_rows(ax, own & doubted, code, 3.5, None)
        if len(self.suspects):
            ax.scatter(
                *self.embedding[self.suspects].T,
                s=130,
                facecolors="none",
                edgecolors="black",
                linewidths=1.6,
                zorder=4,
                label="suspect label",
            )
        ax.set_xlabel("first coordinate")
        ax.set_ylabel("second coordinate")
        ax.set_title("Learned neighbors")
        if len(classes) <= _CLASSES_IN_LEGEND:
            # Beside the picture: inside it would hide rows.
            ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False)

    def _draw_rows(
        self, ax: Any, chosen: np.ndarray, code: int, zorder: float, label: str | None
    ) -> None:
        ax.scatter(
            *self.embedding[chosen].T,
            s=30,
            marker=MARKERS[code % len(MARKERS)],
            color=COLORS[code % len(COLORS)],
            edgecolors="white",
            linewidths=0.6,
            zorder=zorder,
            label=label,
        )

    def _draw_edges(self, ax: Any) -> None:
        from matplotlib.collections import LineCollection

        graph = self.graph.tocoo()
        if not graph.nnz:
            return
        ends = np.stack([self.embedding[graph.row], self.embedding[graph.col]], axis=1)
        strength = np.abs(graph.data) / np.abs(graph.data).max()
        edges = LineCollection(
            list(ends),
            colors="0.45",
            linewidths=np.maximum(_WIDEST_EDGE * strength, 0.2),
            zorder=2,
        )
        ax.add_collection(edges)


class LearnedKDisplay(Display):
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

    _n_axes = 2
    _figsize = (10.0, 4.2)

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

    def _draw(self, *axes: Any) -> None:
        self._draw_distribution(axes[0])
        self._draw_density(axes[1])

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


class ConvergenceDisplay(Display):
    """Mean objective after every iteration of the solver.

    Parameters
    ----------
    objective_path : ndarray of shape (n_iterations + 1,)
        From the zero vector on.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from knngraph import KNNGraphClassifier
    >>> from knngraph.inspection import ConvergenceDisplay
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> classifier = KNNGraphClassifier(ef=16, random_state=0).fit(X, y)
    >>> display = ConvergenceDisplay.from_estimator(classifier)
    >>> bool(display.objective_path[0] > display.objective_path[-1])
    True
    """

    def __init__(self, *, objective_path: Any) -> None:
        self.objective_path = np.asarray(objective_path, dtype=np.float64)
        if self.objective_path.ndim != 1 or not len(self.objective_path):
            raise ValueError(
                "objective_path must be one row of at least one number, got shape "
                f"{self.objective_path.shape}; pass the objective_path_ of a fitted "
                "classifier."
            )

    @classmethod
    def from_estimator(cls, estimator: Any) -> "ConvergenceDisplay":
        """Take the path from a fitted classifier.

        Parameters
        ----------
        estimator : KNNGraphClassifier
            Fitted.

        Returns
        -------
        ConvergenceDisplay
        """
        check_is_fitted(estimator)
        return cls(objective_path=estimator.objective_path_)

    def _draw(self, *axes: Any) -> None:
        (ax,) = axes
        above = self.objective_path - self.objective_path[-1]
        # The last value, and all equal to it, have no place on a logarithmic axis.
        shown = np.flatnonzero(above > 0.0)
        ax.plot(shown, above[shown], marker="o", markersize=4, color=COLORS[0])
        if len(shown):
            ax.set_yscale("log")
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.grid(axis="y", color="0.9")
        ax.spines[["top", "right"]].set_visible(False)
        ax.set_xlabel("iteration")
        ax.set_ylabel("mean objective above the last")
        ax.set_title(f"Convergence to {self.objective_path[-1]:.4g}")
