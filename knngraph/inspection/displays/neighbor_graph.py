"""The learned graph over two coordinates."""

from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils.validation import check_is_fitted

from knngraph.inspection.displays._axes import (
    COLORS,
    MARKERS,
    drawing_axes,
    equally_long,
)

_CLASSES_IN_LEGEND = 12
_WIDEST_EDGE = 2.0


class NeighborGraphDisplay:
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

    def plot(self, ax: Any = None) -> "NeighborGraphDisplay":
        """Draw edges, rows and rings.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None

        Returns
        -------
        self : NeighborGraphDisplay
        """
        (ax,) = drawing_axes(ax, type(self).__name__, figsize=(7.0, 5.0))
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
        self.ax_, self.figure_ = ax, ax.figure
        return self

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
