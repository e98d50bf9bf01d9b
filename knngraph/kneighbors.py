"""`kneighbors` and `kneighbors_graph` of scikit-learn, over the stored rows."""

from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from scipy import sparse
from sklearn import get_config
from sklearn.utils.validation import check_is_fitted

from knngraph.edges import RowLists, graph_of_lists
from knngraph.graph.neighbors import Neighbors, nearest_others
from knngraph.graph.training_set import TrainingSet
from knngraph.index.protocol import SearchIndex, ef_for
from knngraph.parallel import chunk_bounds, count_threads
from knngraph.space import Space

# Fixed, so that memory has a bound and a batch never changes an answer.
_ROWS_PER_CHUNK = 2048
# Searched for beyond the end of a list: of rows equally far the first are in it.
_SPARE = 8


@dataclass(frozen=True)
class SearchedRows:
    """Rows in their space, the index over them, and their nearest others.

    Parameters
    ----------
    space : Space
    training : TrainingSet
    index : SearchIndex
    neighbors : Neighbors or None
        None where they have not been searched.
    """

    space: Space
    training: TrainingSet
    index: SearchIndex
    neighbors: Neighbors | None


def nearest_rows(
    searched: SearchedRows,
    queries: np.ndarray | None,
    k: int,
    *,
    n_threads: int = 1,
) -> tuple[np.ndarray, np.ndarray]:
    """The `k` nearest rows of queries, or the nearest others of every row.

    Parameters
    ----------
    queries : ndarray of shape (n_queries, n_features), float32, or None
        Mapped. None stands for the rows themselves, each without itself.
    k : int

    Returns
    -------
    rows : ndarray of shape (n_queries, min(k, n_rows)), intp
        Nearest first, and of rows equally far the first one first.
    squared : ndarray of the same shape, float64
        Squared distances in mapped units.
    """
    training, neighbors = searched.training, searched.neighbors
    lists = RowLists(training)
    if queries is None:
        k = min(k, training.n_rows - 1)
        most = min(k, training.n_nodes - 1)
        if neighbors is None or neighbors.ids.shape[1] < most:
            neighbors = nearest_others(
                searched.index,
                training.points,
                training.node_weights(),
                k,
                n_threads=n_threads,
            )
        listed = max(k, min(k + _SPARE, neighbors.ids.shape[1]))
        return _first_of_ties(*lists.of_training_rows(neighbors, listed), k)
    k = min(k, training.n_rows)
    rows = np.empty((len(queries), k), dtype=np.intp)
    squared = np.empty((len(queries), k))
    for start, stop in chunk_bounds(len(queries), _ROWS_PER_CHUNK):
        nodes, away = searched.index.nearest(
            queries[start:stop], k + _SPARE, ef=ef_for(k), n_threads=n_threads
        )
        found = lists.unfold(nodes, away.astype(np.float64), k + _SPARE)
        rows[start:stop], squared[start:stop] = _first_of_ties(*found, k)
    return rows, squared


def user_distances(squared: np.ndarray, space: Space) -> np.ndarray:
    """Distances of the metric, from squared distances in mapped units."""
    if space.metric == "cosine":
        return 0.5 * squared
    return np.sqrt(squared) * space.scale


def user_graph(graph: Any) -> Any:
    """The graph as scikit-learn returns graphs: a CSR matrix, unless it is set not to.

    Arrays of scipy lack methods that other packages call (`getrow`), and some test
    for the type of matrices.
    """
    # The setting came with release 1.9; before it matrices are all there is.
    arrays = get_config().get("sparse_interface") == "sparray"
    return (sparse.csr_array if arrays else sparse.csr_matrix)(graph)


class KNeighborsInterface:
    """Adds the methods of scikit-learn's neighbor searches to a fitted estimator.

    A subclass says what is searched, and how far where a call does not.
    """

    n_jobs: int | None

    @property
    def n_samples_fit_(self) -> int:
        """Number of rows that a search can find."""
        return self._space_and_count()[1]

    @property
    def effective_metric_(self) -> str:
        """Metric of the distances, by scikit-learn's name for it."""
        metric = self._space_and_count()[0].metric
        return "mahalanobis" if metric == "learned" else metric

    @property
    def effective_metric_params_(self) -> dict[str, Any]:
        """Further arguments of the metric; `VI` holds what a learned map amounts to."""
        space, _ = self._space_and_count()
        # After trees there is no such matrix for the rows of the user.
        if space.linear is None or space.trees is not None:
            return {}
        return {"VI": space.linear @ space.linear.T}

    def kneighbors(
        self,
        X: Any = None,
        n_neighbors: int | None = None,
        return_distance: bool = True,
    ) -> Any:
        """Find the nearest stored rows of every row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_queries, n_features), default=None
            None stands for the stored rows, each of which is then left out of its own
            list; copies of it are neighbors like any other.
        n_neighbors : int, default=None
            Number of neighbors. None is the number that the estimator was fitted with
            (`max_neighbors` of a classifier, `n_neighbors` of a transformer), or all
            where there are fewer rows.
        return_distance : bool, default=True
            Whether distances are returned as well.

        Returns
        -------
        distances : ndarray of shape (n_queries, n_neighbors)
            Ascending, in the metric that is used: Euclidean in the units of X, one
            minus the cosine, or Euclidean after the learned map.
        indices : ndarray of shape (n_queries, n_neighbors)
            Rows as they were fitted, then added; of rows equally far the first one
            first. Of a condensed classifier, places in `kept_`.

        Notes
        -----
        Where the graph of the fit is certified against all rows, or `algorithm` is
        exact, so is this search. Elsewhere it searches the index with an `ef` of
        twice `n_neighbors`, or more where the estimator has more.

        Examples
        --------
        >>> from knngraph import KNNGraphTransformer
        >>> transformer = KNNGraphTransformer(n_neighbors=1)
        >>> transformer = transformer.fit([[0.0], [1.0], [5.0]])
        >>> distances, indices = transformer.kneighbors([[4.0]], n_neighbors=2)
        >>> distances.tolist(), indices.tolist()
        ([[1.0, 3.0]], [[2, 1]])
        >>> transformer.kneighbors(return_distance=False).ravel().tolist()
        [1, 0, 1]
        """
        check_is_fitted(self)
        searched = self._searched_rows()
        queries = None
        if X is not None:
            queries = searched.space.map_rows(
                self._checked_queries(X), n_threads=count_threads(self.n_jobs)
            )
        rows, squared = nearest_rows(
            searched,
            queries,
            self._checked_count(n_neighbors, X is None),
            n_threads=count_threads(self.n_jobs),
        )
        if not return_distance:
            return rows
        return user_distances(squared, searched.space), rows

    def kneighbors_graph(
        self, X: Any = None, n_neighbors: int | None = None, mode: str = "connectivity"
    ) -> Any:
        """Graph of the nearest stored rows of every row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_queries, n_features), default=None
            As for `kneighbors`.
        n_neighbors : int, default=None
            As for `kneighbors`.
        mode : {"connectivity", "distance"}, default="connectivity"
            Whether an entry is one, or the distance.

        Returns
        -------
        CSR matrix of shape (n_queries, `n_samples_fit_`), float64
            Nearest first in every row; a distance of zero is an entry.

        Examples
        --------
        >>> from knngraph import KNNGraphTransformer
        >>> transformer = KNNGraphTransformer().fit([[0.0], [1.0], [5.0]])
        >>> transformer.kneighbors_graph(n_neighbors=1).toarray()
        array([[0., 1., 0.],
               [1., 0., 0.],
               [0., 1., 0.]])
        """
        check_is_fitted(self)
        if mode not in ("connectivity", "distance"):
            raise ValueError(
                f'Unsupported mode: "connectivity" or "distance" is one, {mode!r} is '
                "not. The graph that fit has learned is graph_."
            )
        distances, rows = self.kneighbors(X, n_neighbors)
        values = distances if mode == "distance" else np.ones_like(distances)
        return user_graph(graph_of_lists(rows, values, self.n_samples_fit_))

    def _searched_rows(self) -> SearchedRows:
        raise NotImplementedError

    def _space_and_count(self) -> tuple[Space, int]:
        searched = self._searched_rows()
        return searched.space, searched.training.n_rows

    def _default_count(self) -> int:
        raise NotImplementedError

    def _checked_queries(self, X: Any) -> Any:
        raise NotImplementedError

    def _checked_count(self, n_neighbors: Any, left_out: bool) -> int:
        n_rows = self.n_samples_fit_
        most = n_rows - 1 if left_out else n_rows
        if n_neighbors is None:
            return min(self._default_count(), most)
        if not isinstance(n_neighbors, Integral):
            raise TypeError(
                "n_neighbors has to be an integer, not a "
                f"{type(n_neighbors).__name__}: {n_neighbors!r}."
            )
        count = int(n_neighbors)
        if count <= 0:
            raise ValueError(f"Expected n_neighbors > 0. Got {count}.")
        if count > most:
            raise ValueError(
                f"Expected n_neighbors {'<' if left_out else '<='} n_samples_fit, but "
                f"n_neighbors = {count}, n_samples_fit = {n_rows}."
            )
        return count


def _first_of_ties(
    rows: np.ndarray, squared: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """The first `k` by distance, and by number where distances are equal."""
    order = np.lexsort((rows, squared))[:, :k]
    return (
        np.take_along_axis(rows, order, axis=1).astype(np.intp, copy=False),
        np.take_along_axis(squared, order, axis=1),
    )
