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
from knngraph.graph.precision import PRECISION_SAMPLE, loses_digits
from knngraph.graph.training_set import build_training_set
from knngraph.index.exact import ExactIndex
from knngraph.metric.names import metric_named
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
        Threads that answer queries. The index is built by one thread, so that
        it can be reproduced.
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

    n_neighbors: int = 5
    M: int = 16
    ef_construction: int = 200
    ef: int = 64
    metric: str = "euclidean"
    n_jobs: int | None = None
    random_state: Any = None

    def _learn(self, X: np.ndarray, codes: np.ndarray) -> None:
        seed = check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
        for precision in ("single", "double"):
            self._space = fit_space(X, metric_named(self.metric), precision)
            training = build_training_set(
                self._space.map_rows(X), codes, self._n_classes, seed=seed
            )
            if loses_digits(self._space, X, training):
                continue
            self.index_ = self._index(training.points, seed)
            some = training.points[:PRECISION_SAMPLE]
            around = nearest_others(
                self.index_, some, training.node_weights(), max(2, self.n_neighbors)
            )
            if not loses_digits(self._space, X, training, around):
                break
        self._lists = RowLists(training)

    def _index(self, points: np.ndarray, seed: int) -> Any:
        # Imported here: only a fit needs hnswlib.
        from knngraph.index.hnsw import HNSWIndex

        if points.dtype == np.float64:
            return ExactIndex(points)
        index = HNSWIndex(
            points.shape[1],
            len(points),
            M=self.M,
            ef_construction=self.ef_construction,
            seed=seed,
        )
        index.add(points)
        return index

    def _class_scores(self, queries: np.ndarray) -> np.ndarray:
        nodes, squared = self.index_.nearest(
            self._space.map_rows(queries), self.n_neighbors, ef=self.ef
        )
        rows, _ = self._lists.unfold(nodes, squared, self.n_neighbors)
        return vote_shares(self._codes[rows], np.ones(rows.shape), self._n_classes)
