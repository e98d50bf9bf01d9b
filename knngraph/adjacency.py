"""The plain k-nearest-neighbor graph, exact or by a navigable graph."""

import warnings
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import check_array, check_random_state
from sklearn.utils._param_validation import Interval, StrOptions

from knngraph.edges import graph_of_lists, in_order, symmetrized, with_own_entries
from knngraph.exceptions import KNNGraphWarning
from knngraph.graph.neighbors import Neighbors, nearest_others
from knngraph.graph.order import bring_together
from knngraph.graph.precision import place_precisely, search_precisely
from knngraph.graph.training_set import TrainingSet, build_training_set
from knngraph.index.build import (
    BuildSettings,
    build_graph,
    list_points,
    makes_lists,
)
from knngraph.index.exact import ExactIndex
from knngraph.index.protocol import SearchIndex
from knngraph.index.recall import (
    ENOUGH_RECALL,
    WideSearch,
    recall_of_lists,
    with_enough_recall,
)
from knngraph.kneighbors import SearchedRows, nearest_rows, user_distances, user_graph
from knngraph.metric.names import metric_named
from knngraph.metric.place import PlacedRows
from knngraph.parallel import count_threads
from knngraph.parameters import checked_arguments
from knngraph.progress import stage
from knngraph.space import Space, fit_space

# `algorithm="auto"` searches by brute force up to this many distinct rows.
EXACT_LIMIT = 20_000
# Measured recall below which a graph is returned with a warning.
_TOO_LITTLE_RECALL = 0.95
# Lists of this length tell whether single precision is enough.
_FEWEST_LISTED = 2
_M = 16
# Half of what a classifier builds with: the search raises its own `ef`.
_EF_CONSTRUCTION = 100
# What `knn_adjacency` and `KNNGraphTransformer` share.
GRAPH_CONSTRAINTS: dict[str, list[Any]] = {
    "metric": [StrOptions({"euclidean", "cosine", "l2", "minkowski"})],
    "symmetrize": [StrOptions({"union", "mutual", "mean"}), None],
    "algorithm": [StrOptions({"auto", "exact", "hnsw"})],
    "n_jobs": [Integral, None],
    "random_state": ["random_state"],
    "verbose": ["verbose"],
}


def build_settings(
    n_jobs: int | None, random_state: Any, verbose: int
) -> BuildSettings:
    """Settings of the search, from parameters of an estimator."""
    seed = 0
    if random_state is not None:
        seed = int(check_random_state(random_state).randint(2**31 - 1))
    n_threads = count_threads(n_jobs)
    return BuildSettings(_M, _EF_CONSTRUCTION, seed, n_threads, int(verbose))


@dataclass(frozen=True)
class Searched(SearchedRows):
    """Rows and their neighbors, and how many of these the search finds.

    `recall` is the share of exact neighbors that the search finds, from a sample.
    """

    neighbors: Neighbors
    recall: float


def search_rows(
    X: Any,
    codes: np.ndarray | None,
    k: int,
    *,
    metric: str,
    algorithm: str,
    settings: BuildSettings,
    linked: bool,
) -> Searched:
    """Place the rows and find the `k` nearest distinct others of each.

    Parameters
    ----------
    codes : ndarray of shape (n_rows,) or None
        Classes of the rows. None where nothing is learned from them: an exact search
        is then in double precision, so that distances have all their digits.
    settings : BuildSettings
        See `build_settings`.
    linked : bool
        Whether new rows are searched for later, which takes a graph.
    """
    exact = algorithm == "exact" or (algorithm == "auto" and X.shape[0] <= EXACT_LIMIT)
    in_double = exact and codes is None
    if codes is None:
        codes = np.zeros(X.shape[0], dtype=np.intp)

    def place(precision: str) -> PlacedRows:
        space = fit_space(X, metric, precision)
        rows = space.map_rows(X, n_threads=settings.n_threads)
        training = build_training_set(rows, codes, int(codes.max()) + 1, settings.seed)
        return PlacedRows(space, training, None, {})

    def search(placed: PlacedRows) -> Searched:
        space, training = placed.space, placed.training
        few = algorithm == "auto" and training.n_nodes <= EXACT_LIMIT
        if exact or few or space.precision == "double":
            return _search_exactly(space, training, k, settings)
        return _search_graph(space, training, k, settings, linked)

    placed = place("double") if in_double else place_precisely(X, place)
    searched = search_precisely(X, placed, place, search)
    wide = searched.index
    if isinstance(wide, WideSearch) and searched.recall < _TOO_LITTLE_RECALL:
        warnings.warn(
            f"The search finds {searched.recall:.0%} of the nearest neighbors with its "
            f'largest ef, {wide.ef}. algorithm="exact" finds all, in time '
            "quadratic in the number of rows; fewer features (PCA) make the "
            "search easier.",
            KNNGraphWarning,
            stacklevel=4,
        )
    return searched


def _search_exactly(
    space: Space, training: TrainingSet, k: int, settings: BuildSettings
) -> Searched:
    index = ExactIndex(training.points)
    neighbors = _searched_lists(index, training, k, settings)
    return Searched(space, training, index, neighbors, 1.0)


def _search_graph(
    space: Space, training: TrainingSet, k: int, settings: BuildSettings, linked: bool
) -> Searched:
    """Lists of all nodes at once, or else, and where these miss some, by a graph."""
    training, cells = bring_together(training, settings)
    points, weights = training.points, training.node_weights()
    lists, neighbors, recall = None, None, 0.0
    if makes_lists(points, k):
        n_listed = max(_FEWEST_LISTED, k, settings.n_candidates)
        lists = list_points(points, n_listed, settings, cells)
        neighbors = Neighbors(*lists.by_number(max(_FEWEST_LISTED, k)), weights)
        recall = recall_of_lists(neighbors.squared, points, settings.n_threads)
        if not linked and recall >= ENOUGH_RECALL:
            return Searched(space, training, ExactIndex(points), neighbors, recall)
    graph = build_graph(points, settings=settings, measured=False, found=lists).index
    wide = with_enough_recall(
        graph, points, min(k + 1, len(points)), n_threads=settings.n_threads
    )
    if neighbors is None or recall < min(ENOUGH_RECALL, wide.recall):
        neighbors, recall = _searched_lists(wide, training, k, settings), wide.recall
    return Searched(space, training, wide, neighbors, recall)


def _searched_lists(
    index: SearchIndex, training: TrainingSet, k: int, settings: BuildSettings
) -> Neighbors:
    with stage("searching neighbors", training.n_nodes, settings.verbose) as searching:
        return nearest_others(
            index,
            training.points,
            training.node_weights(),
            max(_FEWEST_LISTED, k),
            n_threads=settings.n_threads,
            advance=searching.advance,
        )


def neighbor_graph(searched: Searched, k: int, include_self: bool) -> Any:
    """Squared distances, in mapped units, to the `k` nearest rows of every row.

    With `include_self` a row is the first of its own k neighbors.

    Returns
    -------
    CSR array of shape (n_rows, n_rows)
    """
    n_others = k - 1 if include_self else k
    rows, squared = nearest_rows(searched, None, n_others)
    graph = graph_of_lists(rows, squared, searched.training.n_rows)
    return with_own_entries(graph, 0.0) if include_self else graph


@checked_arguments(
    {
        "X": ["array-like", "sparse matrix"],
        "k": [Interval(Integral, 1, None, closed="left")],
        "mode": [StrOptions({"distance", "connectivity"})],
        "include_self": ["boolean"],
        **GRAPH_CONSTRAINTS,
    }
)
def knn_adjacency(
    X: Any,
    k: int,
    *,
    mode: str = "connectivity",
    metric: str = "euclidean",
    symmetrize: str | None = None,
    include_self: bool = False,
    algorithm: str = "auto",
    n_jobs: int | None = None,
    random_state: Any = None,
    verbose: int = 0,
) -> Any:
    """Graph of the k nearest neighbors of every row.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
    k : int
        Number of neighbors; fewer where there are fewer rows.
    mode : {"connectivity", "distance"}, default="connectivity"
        Whether an entry is one, or the distance. With metric="cosine" the
        distance is one minus the cosine, and 1/2 between a row of zeros and any
        other.
    metric : {"euclidean", "cosine"}, default="euclidean"
        "l2" and "minkowski" are other names of "euclidean".
    symmetrize : {"union", "mutual", "mean"} or None, default=None
        "union" keeps an edge where either row lists the other, "mutual" where
        both do, "mean" where either does, with half the weight where only one
        does (a distance stays what it is).
    include_self : bool, default=False
        Whether every row is the first of its own k neighbors, as an explicit
        entry on the diagonal. Otherwise no row lists itself; copies of it are
        neighbors like any other.
    algorithm : {"auto", "exact", "hnsw"}, default="auto"
        "exact" is brute force in blocks of bounded memory, "hnsw" a navigable
        graph whose search width is raised until 97 % of the neighbors of a sample are
        found; "auto" is exact up to 20,000 distinct rows.
    n_jobs : int or None, default=None
        Number of threads. None is one thread, -1 all cores.
    random_state : int, RandomState instance or None, default=None
        Seed of the layers of a navigable graph. The same rows and seed give the same
        bytes, for any `n_jobs`; None is one fixed seed.
    verbose : int, default=0
        Whether to show progress.

    Returns
    -------
    CSR matrix of shape (n_samples, n_samples), float64
        Row i lists the neighbors of row i: columns ascending for
        mode="connectivity", nearest first for mode="distance", as the estimators
        of scikit-learn with metric="precomputed" take them.

    See Also
    --------
    sklearn.neighbors.kneighbors_graph : The same for the exact search, ties aside.

    Notes
    -----
    An exact search is in double precision. A navigable graph compares centered rows in
    single precision, where that finds the same nearest rows, and else there is an exact
    search: distances have about seven digits, and rows that agree in those digits are
    copies.

    Examples
    --------
    >>> from knngraph import knn_adjacency
    >>> knn_adjacency([[0.0], [1.0], [5.0]], k=1).toarray()
    array([[0., 1., 0.],
           [1., 0., 0.],
           [0., 1., 0.]])
    """
    X = check_array(X, accept_sparse="csr", dtype="numeric")
    searched = search_rows(
        X,
        None,
        int(k),
        metric=metric_named(metric),
        algorithm=algorithm,
        settings=build_settings(n_jobs, random_state, verbose),
        linked=False,
    )
    graph = neighbor_graph(searched, int(k), include_self)
    distance = mode == "distance"
    if distance:
        graph.data = user_distances(graph.data, searched.space)
    else:
        graph.data = np.ones_like(graph.data)
    if symmetrize is not None:
        graph = symmetrized(graph, symmetrize, absent_is_zero=not distance)
    return user_graph(in_order(graph, nearest_first=distance))
