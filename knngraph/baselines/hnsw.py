"""Plain HNSW: the vote of k approximate neighbors, nothing learned."""

from dataclasses import dataclass
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions

from knngraph.baselines._base import BaselineClassifier
from knngraph.baselines._neighbors import vote_shares
from knngraph.edges import RowLists
from knngraph.graph.neighbors import nearest_others
from knngraph.graph.order import bring_together
from knngraph.graph.precision import (
    PRECISION_SAMPLE,
    place_precisely,
    search_precisely,
)
from knngraph.graph.training_set import build_training_set
from knngraph.index.build import BuildSettings, build_graph
from knngraph.index.exact import ExactIndex
from knngraph.kneighbors import SearchedRows
from knngraph.metric.names import metric_named
from knngraph.parallel import count_threads
from knngraph.space import fit_space


@dataclass(kw_only=True, eq=False, repr=False)
class HNSWKNNClassifier(BaselineClassifier):
    """k nearest neighbors by a search of a hierarchical small world graph.

    The ablation of the graph classifier: the same index, but neither learned
    neighbors nor stored labels.

    Parameters
    ----------
    n_neighbors : int, default=5
        Neighbors that vote; all rows where there are fewer.
    M : int, default=16
        Links of a point on the upper layers; twice as many on the lowest.
    ef_construction : int, default=200
        Search width while the index is built.
    ef : int, default=64
        Search width of a query, at least `n_neighbors`. The wider, the fewer
        neighbors are missed; the number of training rows misses none.
    metric : {"euclidean", "cosine"}, default="euclidean"
        "l2" and "minkowski" are other names of "euclidean".
    n_jobs : int or None, default=None
        Number of threads. None is one thread, -1 all cores.
    random_state : int, RandomState instance or None, default=None
        Draws the layers of the points.

    Attributes
    ----------
    index_ : knngraph.index.hnsw.HNSWIndex or knngraph.index.exact.ExactIndex
        The index over the distinct training rows; an exact search in double precision
        where single precision finds other nearest rows.
    %(fitted)s

    Notes
    -----
    With N_k(q) the k rows that the search finds nearest to q::

        p_c(q) = |{i in N_k(q) : y_i = c}| / k.

    Copies of a row are one point of the index and vote as the rows they are;
    where only some of them fit into k, the first in the training data do.

    Fitting costs about O(n log n) searches, predicting O(ef d log n) a
    query.

    References
    ----------
    Malkov and Yashunin (2020), "Efficient and robust approximate nearest
    neighbor search using hierarchical navigable small world graphs", IEEE TPAMI
    42, 824-836.

    Examples
    --------
    >>> from knngraph import HNSWKNNClassifier
    >>> X = [[0.0], [1.0], [2.0], [10.0], [11.0], [12.0]]
    >>> y = ["a", "a", "a", "b", "b", "b"]
    >>> model = HNSWKNNClassifier(n_neighbors=3, random_state=0).fit(X, y)
    >>> model.predict([[1.5], [9.0]])
    array(['a', 'b'], dtype='<U1')
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaselineClassifier._parameter_constraints,
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "M": [Interval(Integral, 2, None, closed="left")],
        "ef_construction": [Interval(Integral, 1, None, closed="left")],
        "ef": [Interval(Integral, 1, None, closed="left")],
        "metric": [StrOptions({"euclidean", "cosine", "l2", "minkowski"})],
        "random_state": ["random_state"],
    }

    # The map to the rows of the index brings any numbers into range.
    _largest_number: ClassVar[float] = np.inf
    _smallest_number: ClassVar[float] = 0.0
    _type_of_rows: ClassVar[Any] = "numeric"

    n_neighbors: int = 5
    M: int = 16
    ef_construction: int = 200
    ef: int = 64
    metric: str = "euclidean"
    n_jobs: int | None = None
    random_state: Any = None

    def _learn(self, X: np.ndarray, codes: np.ndarray) -> None:
        seed = check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
        settings = BuildSettings(
            self.M, self.ef_construction, seed, count_threads(self.n_jobs)
        )
        metric = metric_named(self.metric)

        def place(precision: str) -> SearchedRows:
            space = fit_space(X, metric, precision)
            rows = space.map_rows(X)
            training = build_training_set(rows, codes, self._n_classes, seed=seed)
            return SearchedRows(space, training, ExactIndex(training.points), None)

        def search(placed: SearchedRows) -> SearchedRows:
            training, cells = bring_together(placed.training, settings)
            index = build_graph(
                training.points, settings=settings, measured=False, found=cells
            ).index
            neighbors = nearest_others(
                index,
                training.points[:PRECISION_SAMPLE],
                training.node_weights(),
                max(2, self.n_neighbors),
            )
            return SearchedRows(placed.space, training, index, neighbors)

        searched = search_precisely(X, place_precisely(X, place), place, search)
        self._space, self.index_ = searched.space, searched.index
        self._lists = RowLists(searched.training)

    def _class_scores(self, queries: np.ndarray) -> np.ndarray:
        nodes, squared = self.index_.nearest(
            self._space.map_rows(queries), self.n_neighbors, ef=self.ef
        )
        rows, _ = self._lists.unfold(nodes, squared, self.n_neighbors)
        return vote_shares(self._codes[rows], np.ones(rows.shape), self._n_classes)
