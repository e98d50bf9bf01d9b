"""How approximate neighborhoods differ from exact ones as they grow."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils import check_array, check_random_state
from sklearn.utils._param_validation import Interval, StrOptions

from knngraph.distances import squared_distances_to
from knngraph.graph.training_set import distinct_rows
from knngraph.index.build import BuildSettings, build_graph
from knngraph.index.exact import ExactIndex
from knngraph.parallel import count_threads
from knngraph.parameters import checked_arguments
from knngraph.progress import stage
from knngraph.space import fit_space

_MEASURES = ("found", "overlap", "distance_ratio", "barycenter_shift", "lid")


@dataclass(frozen=True)
class NeighborhoodFidelity:
    """Approximate against exact neighborhoods over a grid of `ef` and sizes.

    Parameters
    ----------
    k : ndarray of shape (n_k,), int
        Sizes of the neighborhoods, ascending.
    ef : ndarray of shape (n_ef,), int
        Search widths, ascending.
    found : ndarray of shape (n_ef, n_k)
        Share of the k neighbors that came back at all.
    overlap : ndarray of shape (n_ef, n_k)
        Share of the exact neighbors that were found.
    distance_ratio : ndarray of shape (n_ef, n_k)
        Mean distance to the neighbors found over that to the exact ones.
    barycenter_shift : ndarray of shape (n_ef, n_k)
        Way between the centers of the two neighborhoods, over the mean exact
        distance.
    lid : ndarray of shape (n_ef, n_k)
        Local intrinsic dimensionality from the neighbors found; NaN at k=1.
    lid_exact : ndarray of shape (n_k,)
        The same from the exact neighbors.
    tolerance : float
        Largest deviation of each measure that counts as kept.
    backend : {"hnswlib", "faiss"}
    n_points, n_queries : int
        Rows that were searched, and rows that were searched for.
    """

    k: np.ndarray
    ef: np.ndarray
    found: np.ndarray
    overlap: np.ndarray
    distance_ratio: np.ndarray
    barycenter_shift: np.ndarray
    lid: np.ndarray
    lid_exact: np.ndarray
    tolerance: float
    backend: str
    n_points: int
    n_queries: int
    # Everything else follows from the arrays.
    kept: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        with np.errstate(invalid="ignore", divide="ignore"):
            lid_off = np.abs(self.lid / self.lid_exact - 1.0)
        # Without two different distances there is no dimension to deviate from.
        lid_off[:, ~np.isfinite(self.lid_exact)] = 0.0
        kept = (
            (1.0 - self.overlap <= self.tolerance)
            & (np.abs(self.distance_ratio - 1.0) <= self.tolerance)
            & (self.barycenter_shift <= self.tolerance)
            & (lid_off <= self.tolerance)
        )
        object.__setattr__(self, "kept", kept)

    @property
    def capacity(self) -> np.ndarray:
        """Largest k up to which all measures stay within tolerance, for every ef.

        Returns
        -------
        ndarray of shape (n_ef,), int
            A size of the grid; 0 where the smallest fails already.
        """
        n_kept = np.cumprod(self.kept, axis=1).sum(axis=1)
        return np.concatenate([[0], self.k])[n_kept]

    @property
    def ef_per_neighbor(self) -> float:
        """Smallest a of the grid for which ef >= a k keeps all measures.

        Returns
        -------
        float
            Smallest ratio ef / k of the grid from which on every point is within
            tolerance; inf where there is none.
        """
        ratio = self.ef[:, None] / self.k[None, :]
        failed = ratio[~self.kept].max(initial=0.0)
        return float(ratio[ratio > failed].min(initial=np.inf))

    def __str__(self) -> str:
        capacities = ", ".join(f"ef={e}: {c}" for e, c in zip(self.ef, self.capacity))
        return (
            f"{self.backend}, {self.n_queries} queries in {self.n_points} rows, "
            f"tolerance {self.tolerance:g}\n"
            f"largest k within tolerance: {capacities}\n"
            f"smallest a so that ef >= a k is: {self.ef_per_neighbor:g}"
        )


@checked_arguments(
    {
        "X": ["array-like", "sparse matrix"],
        "k": ["array-like", Interval(Integral, 1, None, closed="left")],
        "ef": ["array-like", Interval(Integral, 1, None, closed="left")],
        "n_queries": [Interval(Integral, 1, None, closed="left")],
        "metric": [StrOptions({"euclidean", "cosine"})],
        "backend": [StrOptions({"hnswlib", "faiss"})],
        "tolerance": [Interval(Real, 0, None, closed="left")],
        "M": [Interval(Integral, 2, None, closed="left")],
        "ef_construction": [Interval(Integral, 1, None, closed="left")],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }
)
def neighborhood_fidelity(
    X: Any,
    *,
    k: Sequence[int] | int = (5, 10, 20, 50, 100),
    ef: Sequence[int] | int = (10, 20, 50, 100, 200),
    n_queries: int = 500,
    metric: str = "euclidean",
    backend: str = "hnswlib",
    tolerance: float = 0.05,
    M: int = 16,
    ef_construction: int = 200,
    n_jobs: int | None = None,
    random_state: Any = 0,
    verbose: int = 0,
) -> NeighborhoodFidelity:
    """Compare approximate neighborhoods with exact ones.

    A random sample of the rows is held out and searched for in a navigable graph
    of the others, with every `ef` and every number of neighbors, and by brute
    force. Copies count once.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
    k : int or sequence of int, default=(5, 10, 20, 50, 100)
        Sizes of the neighborhoods.
    ef : int or sequence of int, default=(10, 20, 50, 100, 200)
        Search widths.
    n_queries : int, default=500
        Rows that are held out; at most a fifth of the distinct ones are.
    metric : {"euclidean", "cosine"}, default="euclidean"
        With "cosine" the rows are compared at unit length.
    backend : {"hnswlib", "faiss"}, default="hnswlib"
        Library of the search that is measured. "hnswlib" is the engine in use, which
        raises an ef below k to k; faiss does not.
    tolerance : float, default=0.05
        Largest share of neighbors that may be missed, and largest deviation of
        the distance ratio from 1, of the barycenter shift from 0, and of the
        dimension from the exact one (relative).
    M : int, default=16
        Links of a point in the graph.
    ef_construction : int, default=200
        Search width while the graph is built.
    n_jobs : int or None, default=None
        Number of threads.
    random_state : int, RandomState instance or None, default=0
        Chooses the held-out rows and the layers of the graph.
    verbose : int, default=0
        Whether to show progress.

    Returns
    -------
    NeighborhoodFidelity

    Notes
    -----
    With N the k neighbors found and E the exact ones of a query q, the measures,
    averaged over the queries, are::

        overlap            |N and E| / k
        distance ratio     mean_N |x - q| / mean_E |x - q|
        barycenter shift   |mean_N x - mean_E x| / mean_E |x - q|
        dimension          1 / mean_{i<k} log(r_k / r_i), r the sorted distances

    Examples
    --------
    >>> from knngraph.inspection import neighborhood_fidelity
    >>> from sklearn.datasets import load_digits
    >>> X, _ = load_digits(return_X_y=True)
    >>> fidelity = neighborhood_fidelity(X, k=[10, 20], ef=[10, 80], n_queries=100)
    >>> fidelity.overlap.shape, int(fidelity.capacity[1])
    ((2, 2), 20)
    """
    X = check_array(X, accept_sparse="csr", dtype="numeric")
    sizes, widths = _grid("k", k), _grid("ef", ef)
    seed = int(check_random_state(random_state).randint(2**31 - 1))
    n_threads = count_threads(n_jobs)
    rows = fit_space(X, metric).map_rows(X)
    _, row_of_node = distinct_rows(rows, seed)
    # Shuffled: the last ones are a random sample.
    distinct = rows[np.random.default_rng(seed).permutation(row_of_node)]
    n_held_out = min(int(n_queries), len(distinct) // 5)
    points, queries = np.split(distinct, [len(distinct) - n_held_out])
    _check_size(int(sizes[-1]), len(points), n_held_out)
    index = _build(
        points, backend, int(M), int(ef_construction), seed, n_threads, verbose
    )
    with stage("searching exactly", n_held_out, verbose) as searching:
        ids, _ = ExactIndex(points).nearest(
            queries, int(sizes[-1]), n_threads=n_threads
        )
        exact = measured_lists(queries, points, ids)
        searching.advance(n_held_out)
    table = np.empty((len(_MEASURES), len(widths), len(sizes)))
    with stage("searching", len(widths), verbose) as searching:
        for i, width in enumerate(widths.tolist()):
            for j, size in enumerate(sizes.tolist()):
                ids, _ = index.nearest(queries, size, ef=width, n_threads=n_threads)
                found, near = measured_lists(queries, points, ids), exact.first(size)
                table[:, i, j] = (
                    found_share(found),
                    overlap(found, near),
                    distance_ratio(found, near),
                    barycenter_shift(found, near, points),
                    intrinsic_dimension(found),
                )
            searching.advance(1)
    return NeighborhoodFidelity(
        k=sizes,
        ef=widths,
        **dict(zip(_MEASURES, table)),
        lid_exact=np.array([intrinsic_dimension(exact.first(s)) for s in sizes]),
        tolerance=float(tolerance),
        backend=backend,
        n_points=len(points),
        n_queries=n_held_out,
    )


def _build(
    points: np.ndarray,
    backend: str,
    M: int,
    ef_construction: int,
    seed: int,
    n_threads: int,
    verbose: int,
) -> Any:
    if backend == "faiss":
        from knngraph.index.faiss import FaissIndex

        index = FaissIndex(
            points.shape[1], M=M, ef_construction=ef_construction, seed=seed
        )
        index.add(points)
        return index
    settings = BuildSettings(M, ef_construction, seed, n_threads, verbose)
    return build_graph(points, settings=settings, measured=False).index


def _grid(name: str, values: Any) -> np.ndarray:
    grid = np.unique(np.asarray(values))
    if not len(grid) or not np.issubdtype(grid.dtype, np.integer) or grid[0] < 1:
        raise ValueError(
            f"{name} must be a positive integer or a sequence of such, got {values!r}."
        )
    return grid


def _check_size(largest: int, n_points: int, n_queries: int) -> None:
    if n_queries < 1 or largest > n_points:
        raise ValueError(
            f"k={largest} neighbors are too many: X has {n_points + n_queries} "
            f"distinct rows, of which {n_queries} are held out as queries and "
            f"{n_points} are searched. Give more rows, or a smaller k."
        )


@dataclass(frozen=True)
class NeighborLists:
    """Neighbors of some queries, nearest first.

    Parameters
    ----------
    ids : ndarray of shape (n_queries, k)
        Positions among the points; -1 ends a list that came back short.
    distances : ndarray of shape (n_queries, k), float64
        Any number where the id is -1.
    """

    ids: np.ndarray
    distances: np.ndarray

    def first(self, k: int) -> "NeighborLists":
        """The lists cut off after `k` neighbors."""
        return NeighborLists(self.ids[:, :k], self.distances[:, :k])

    @property
    def found(self) -> np.ndarray:
        """Which places hold a neighbor."""
        return self.ids >= 0

    def mean_distances(self) -> np.ndarray:
        """Mean distance of every query to the neighbors it got, 0 without any."""
        total = np.where(self.found, self.distances, 0.0).sum(axis=1)
        return total / np.maximum(self.found.sum(axis=1), 1)


def measured_lists(
    queries: np.ndarray, points: np.ndarray, ids: np.ndarray
) -> NeighborLists:
    """Lists with distances from coordinate differences, in double precision."""
    squared = squared_distances_to(queries, points, np.maximum(ids, 0))
    return NeighborLists(ids, np.sqrt(squared))


def found_share(lists: NeighborLists) -> float:
    """Share of the k neighbors that came back at all."""
    return float(lists.found.mean())


def overlap(lists: NeighborLists, exact: NeighborLists) -> float:
    """Share of the exact neighbors that were found, over all queries.

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.inspection.fidelity import NeighborLists, overlap
    >>> exact = NeighborLists(np.array([[1, 2], [3, 4]]), np.ones((2, 2)))
    >>> found = NeighborLists(np.array([[2, 1], [3, -1]]), np.ones((2, 2)))
    >>> overlap(found, exact)
    0.75
    """
    # -1 is never among the exact ones.
    shared = [len(np.intersect1d(*both)) for both in zip(lists.ids, exact.ids)]
    return float(np.sum(shared) / exact.ids.size)


def distance_ratio(lists: NeighborLists, exact: NeighborLists) -> float:
    """Mean distance to the neighbors found over that to the exact ones.

    1 where every exact neighbor lies at distance zero.
    """
    mine, other = lists.mean_distances(), exact.mean_distances()
    measured = (other > 0) & lists.found.any(axis=1)
    if not measured.any():
        return 1.0
    return float((mine[measured] / other[measured]).mean())


def barycenter_shift(
    lists: NeighborLists, exact: NeighborLists, points: np.ndarray
) -> float:
    """Way between the centers of both neighborhoods, in mean exact distances.

    0 where every exact neighbor lies at distance zero.
    """
    scale = exact.mean_distances()
    shifts = [
        np.linalg.norm(_center(points, mine) - _center(points, other)) / size
        for mine, other, size in zip(lists.ids, exact.ids, scale)
        if size > 0 and mine[0] >= 0
    ]
    return float(np.mean(shifts)) if shifts else 0.0


def _center(points: np.ndarray, ids: np.ndarray) -> np.ndarray:
    return points[ids[ids >= 0]].astype(np.float64).mean(axis=0)


def intrinsic_dimension(lists: NeighborLists) -> float:
    """Local intrinsic dimensionality by maximum likelihood, mean over queries.

    Returns
    -------
    float
        NaN where no query has two neighbors at different positive distances.

    Notes
    -----
    For a query with distances r_1 <= ... <= r_k: the inverse of the mean of
    log(r_k / r_i) over i < k (Levina and Bickel 2005). Distances of zero carry
    no scale and are left out.

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.inspection.fidelity import NeighborLists, intrinsic_dimension
    >>> along_a_line = np.array([[1.0, np.e]])
    >>> round(intrinsic_dimension(NeighborLists(np.array([[0, 1]]), along_a_line)), 6)
    1.0
    """
    estimates = []
    for ids, distances in zip(lists.ids, lists.distances):
        positive = distances[(ids >= 0) & (distances > 0)]
        if len(positive) > 1:
            logs = np.log(positive[-1] / positive[:-1])
            if logs.sum() > 0:
                estimates.append(len(logs) / logs.sum())
    return float(np.mean(estimates)) if estimates else float("nan")
