"""The graph of the rows as a sparse matrix, for other estimators to work on."""

from dataclasses import dataclass
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from scipy import sparse
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    _fit_context,
)
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from knngraph.adjacency import (
    GRAPH_CONSTRAINTS,
    Searched,
    build_settings,
    neighbor_graph,
    search_rows,
)
from knngraph.edges import (
    RowLists,
    graph_of_lists,
    in_order,
    squared_lengths,
    symmetrized,
)
from knngraph.fitting import all_or_nothing
from knngraph.graph.learn import (
    GraphSettings,
    graph_bandwidth,
    graph_over_rows,
    learn_graph,
)
from knngraph.graph.representation import Problem, represent_new_rows
from knngraph.kneighbors import (
    KNeighborsInterface,
    nearest_rows,
    user_distances,
    user_graph,
)
from knngraph.metric.names import metric_named
from knngraph.parallel import chunk_bounds, count_threads
from knngraph.parameters import (
    PARAMETER_CONSTRAINTS,
    CheckedParameters,
    check_penalties,
)
from knngraph.serving.checked_pickle import CheckedPickle
from knngraph.space import in_mapped_units
from knngraph.validation import check_labels, validated

_DENSITY_SCALES = (3, 7, 15)
# Fixed, so that memory has a bound and a batch never changes an answer.
_ROWS_PER_CHUNK = 2048


@dataclass(kw_only=True, eq=False, repr=False)
class KNNGraphTransformer(
    CheckedPickle,
    KNeighborsInterface,
    CheckedParameters,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    BaseEstimator,
):
    """Graph of learned or of nearest neighbors as a sparse matrix.

    Parameters
    ----------
    mode : {"weights", "connectivity", "distance"}, default="weights"
        What an entry is: the weight of the neighbor, one, or its distance.
    method : {"learned", "knn"}, default="learned"
        "learned" represents every row sparsely by its `n_neighbors` nearest and
        keeps those that take part, never itself. "knn" keeps them all, with the
        weight of the Gaussian kernel, and has the conventions of
        `sklearn.neighbors.KNeighborsTransformer`: a training row is the first of
        its own `n_neighbors`, and mode="distance" lists one more.
    n_neighbors : int, default=15
        Number of nearest rows that are candidates, or neighbors; fewer where
        there are fewer rows.
    metric : {"euclidean", "cosine"}, default="euclidean"
        "l2" and "minkowski" are other names of "euclidean".
    metric_params : dict or None, default=None
        `{"p": 2}` may stand beside metric="minkowski"; nothing else is offered.
    symmetrize : {"union", "mutual", "mean"} or None, default=None
        Makes the graph of the training rows symmetric: "union" keeps an edge
        where either row lists the other, with the larger value; "mutual" where
        both do, with the smaller; "mean" where either does, with the mean, an
        absent direction counting as zero (a distance stays what it is).
    algorithm : {"auto", "exact", "hnsw"}, default="auto"
        Search of the nearest rows: brute force in blocks of bounded memory, or a
        navigable graph whose search width is raised until 97 % of the neighbors
        of a sample are found. "auto" is exact up to 20,000 distinct rows.
    bandwidth : {"median", "neighbors"} or float, default="neighbors"
        Bandwidth sigma of the kernel: root of the median squared distance to the
        `n_neighbors`-th neighbor, median distance over all pairs, or a number in
        the units of the data.
    penalty_min, penalty_max : float, default=0.1 and 0.5
        Sparsity penalty of the rows in the densest and in the sparsest places, as
        fractions of the smallest penalty that leaves a row without neighbors.
    label_weight : float, default=0.0
        Share of the label term in the kernel of method="learned". Above zero
        `fit` needs y, and the nearest rows of the own class are candidates too.
    label_discount : float, default=0.1
        Label agreement of two rows of different classes.
    n_jobs : int or None, default=None
        Number of threads. None is one thread, -1 all cores.
    random_state : int, RandomState instance or None, default=None
        Seed of the layers of a navigable graph. The same rows and seed give the same
        bytes, for any `n_jobs`; None is one fixed seed.
    verbose : int, default=0
        Whether to show progress.

    Attributes
    ----------
    graph_ : CSR matrix of shape (n_samples, n_samples), float64
        What `fit_transform` returns.
    n_neighbors_ : ndarray of shape (n_samples,)
        Number of entries of every row.
    bandwidth_ : float
        Bandwidth of the kernel, in the units of the data.
    recall_ : float
        Share of the nearest rows that the search finds, from a sample; 1.0 where
        it is exact.
    n_samples_fit_ : int
        Number of training rows.
    effective_metric_ : str
        `metric` by scikit-learn's name for it.
    effective_metric_params_ : dict
        Empty.
    n_features_in_ : int
        Number of features seen during `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where X has names that are all strings.

    See Also
    --------
    knngraph.knn_adjacency : The graph of nearest neighbors by a function.
    sklearn.neighbors.KNeighborsTransformer : Nearest neighbors of scikit-learn.

    Notes
    -----
    The learned weights of row j minimise, with the Gaussian kernel K::

        K_jj - 2 k_j'w + w'Kw + lambda_j |w|_1,  w >= 0,  w_j = 0.

    Columns ascend in every row; with mode="distance" rows are nearest first, as
    the estimators of scikit-learn with metric="precomputed" take them.

    `transform` gives a row that equals a training row the row of `graph_` that
    belongs to it (to the first, where there are copies), and any other row its
    directed neighbors among the training rows, whatever `symmetrize` is. So
    `fit_transform(X)` equals `fit(X).transform(X)` where X has no copies. The
    label of a new row takes no part, it has none.

    Examples
    --------
    >>> from knngraph import KNNGraphTransformer
    >>> from sklearn.datasets import load_iris
    >>> X, _ = load_iris(return_X_y=True)
    >>> transformer = KNNGraphTransformer(symmetrize="mean")
    >>> graph = transformer.fit_transform(X)
    >>> graph.shape, bool(abs(graph - graph.T).max() == 0)
    ((150, 150), True)

    Before an estimator of scikit-learn that takes distances:

    >>> from sklearn.neighbors import LocalOutlierFactor
    >>> from sklearn.pipeline import make_pipeline
    >>> outliers = make_pipeline(
    ...     KNNGraphTransformer(method="knn", mode="distance", n_neighbors=20),
    ...     LocalOutlierFactor(n_neighbors=20, metric="precomputed"),
    ... )
    >>> int((outliers.fit_predict(X) == -1).sum())
    6
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "mode": [StrOptions({"weights", "connectivity", "distance"})],
        "method": [StrOptions({"learned", "knn"})],
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "metric_params": PARAMETER_CONSTRAINTS["metric_params"],
        "bandwidth": PARAMETER_CONSTRAINTS["bandwidth"],
        "penalty_min": PARAMETER_CONSTRAINTS["penalty_min"],
        "penalty_max": PARAMETER_CONSTRAINTS["penalty_max"],
        "label_weight": PARAMETER_CONSTRAINTS["label_weight"],
        "label_discount": PARAMETER_CONSTRAINTS["label_discount"],
        **GRAPH_CONSTRAINTS,
    }

    mode: str = "weights"
    method: str = "learned"
    n_neighbors: int = 15
    metric: str = "euclidean"
    metric_params: dict[str, Any] | None = None
    symmetrize: str | None = None
    algorithm: str = "auto"
    bandwidth: float | str = "neighbors"
    penalty_min: float = 0.1
    penalty_max: float = 0.5
    label_weight: float = 0.0
    label_discount: float = 0.1
    n_jobs: int | None = None
    random_state: Any = None
    verbose: int = 0

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> "KNNGraphTransformer":
        """Find the neighbors of the training rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or None, default=None
            Classes; used with method="learned" and a positive `label_weight`.

        Returns
        -------
        self : KNNGraphTransformer
        """
        with all_or_nothing(self):
            X, codes = self._rows_and_codes(X, y)
            check_penalties(self.penalty_min, self.penalty_max)
            learned = self.method == "learned"
            scales = _DENSITY_SCALES if learned else ()
            self._searched = search_rows(
                X,
                codes if learned else None,
                max((self.n_neighbors, *scales)),
                metric=metric_named(self.metric, self.metric_params),
                algorithm=self.algorithm,
                settings=build_settings(self.n_jobs, self.random_state, self.verbose),
                linked=True,
            )
            graph = self._learned_graph() if learned else self._nearest_graph()
            if self.symmetrize is not None:
                graph = symmetrized(graph, self.symmetrize, self.mode != "distance")
            self.graph_ = self._ordered(graph)
            self.n_neighbors_ = np.diff(self.graph_.indptr)
            self.recall_ = self._searched.recall
            return self

    def fit_transform(self, X: Any, y: Any = None) -> Any:
        """Graph of the training rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or None, default=None
            See `fit`.

        Returns
        -------
        CSR matrix of shape (n_samples, n_samples), float64
        """
        return self.fit(X, y).graph_.copy()

    def transform(self, X: Any) -> Any:
        """Neighbors of every row among the training rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_queries, n_features)

        Returns
        -------
        CSR matrix of shape (n_queries, n_samples), float64
        """
        check_is_fitted(self)
        rows = self._searched.space.map_rows(self._checked_queries(X))
        parts = [
            self._neighbors_of(rows[start:stop])
            for start, stop in chunk_bounds(len(rows), _ROWS_PER_CHUNK)
        ]
        return self._ordered(sparse.vstack(parts, format="csr"))

    @property
    def _n_features_out(self) -> int:
        return self.n_samples_fit_

    @property
    def _n_listed(self) -> int:
        """Entries of a row of the plain graph, the row itself among them."""
        return self.n_neighbors + (self.mode == "distance")

    def _searched_rows(self) -> Searched:
        check_is_fitted(self)
        return self._searched

    def _default_count(self) -> int:
        return self.n_neighbors

    def _checked_queries(self, X: Any) -> Any:
        return validated(self, X, reset=False, accept_sparse="csr", dtype="numeric")

    def _rows_and_codes(self, X: Any, y: Any) -> tuple[Any, np.ndarray]:
        options: dict[str, Any] = {"accept_sparse": "csr", "dtype": "numeric"}
        if self.method == "knn" or self.label_weight == 0:
            X = validated(self, X, **options)
            return X, np.zeros(X.shape[0], dtype=np.intp)
        if y is None:
            raise ValueError(
                f"label_weight={self.label_weight} needs the classes of the rows: pass "
                "y to fit, or set label_weight=0."
            )
        X, y = validated(self, X, y, **options)
        check_labels(y)
        return X, np.unique(y, return_inverse=True)[1]

    def _settings(self) -> GraphSettings:
        return GraphSettings(
            max_neighbors=self.n_neighbors,
            density_scales=_DENSITY_SCALES,
            penalty_min=self.penalty_min,
            penalty_max=self.penalty_max,
            label_weight=self.label_weight,
            label_discount=self.label_discount,
            bandwidth=in_mapped_units(self.bandwidth, self._searched.space),
            nugget=0.0,
            self_weight=1.0,
            positive=True,
            max_iter=200,
            tol=1e-4,
        )

    def _learned_graph(self) -> Any:
        searched: Searched = self._searched
        training = searched.training
        learned = learn_graph(
            training,
            searched.neighbors,
            self._settings(),
            exact=False,
            n_threads=count_threads(self.n_jobs),
            verbose=self.verbose,
        )
        self._problem: Problem = learned.problem
        self.bandwidth_ = learned.problem.kernel.sigma * searched.space.scale
        graph = graph_over_rows(training, learned.representation.weights)
        return self._valued(graph, training.points[training.node_of_row])

    def _nearest_graph(self) -> Any:
        searched: Searched = self._searched
        sigma = graph_bandwidth(searched.training, searched.neighbors, self._settings())
        self.bandwidth_ = sigma * searched.space.scale
        graph = neighbor_graph(searched, self._n_listed, include_self=True)
        graph.data = self._values(graph.data)
        return graph

    def _values(self, squared: np.ndarray) -> np.ndarray:
        """Entries of a plain graph from squared distances in mapped units."""
        space = self._searched.space
        if self.mode == "distance":
            return user_distances(squared, space)
        if self.mode == "connectivity":
            return np.ones_like(squared)
        return np.exp(-0.5 * squared / (self.bandwidth_ / space.scale) ** 2)

    def _valued(self, graph: Any, rows: np.ndarray) -> Any:
        """A learned graph with the entries of `mode`."""
        if self.mode != "weights":
            training = self._searched.training
            squared = squared_lengths(
                graph, rows, training.points, training.node_of_row
            )
            graph.data = self._values(squared)
        return graph

    def _neighbors_of(self, rows: np.ndarray) -> Any:
        searched: Searched = self._searched
        n_threads = count_threads(self.n_jobs)
        if self.method == "learned":
            lists = RowLists(searched.training)
            nodes, squared = searched.index.nearest(
                rows, self.n_neighbors, n_threads=n_threads
            )
            nearest = lists.first_rows[nodes[:, 0]]
        else:
            columns, squared = nearest_rows(
                searched, rows, self._n_listed, n_threads=n_threads
            )
            nearest = columns[:, 0]
        known = squared[:, 0] == 0
        new = np.flatnonzero(~known)
        if self.method == "learned":
            weights = represent_new_rows(
                searched.training, self._problem, rows[new], nodes[new]
            )
            graph = sparse.csr_array(
                (weights.data, lists.first_rows[weights.indices], weights.indptr),
                shape=(len(new), self.n_samples_fit_),
            )
            graph = self._valued(graph, rows[new])
        else:
            values = self._values(squared[new])
            graph = graph_of_lists(columns[new], values, self.n_samples_fit_)
        back = np.argsort(np.concatenate([np.flatnonzero(known), new]))
        seen = self.graph_[nearest[known]]
        return sparse.vstack([seen, graph], format="csr")[back]

    def _ordered(self, graph: Any) -> Any:
        return user_graph(in_order(graph, nearest_first=self.mode == "distance"))
