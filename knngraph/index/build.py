"""Build the index of many points, and the neighbor lists of all of them, at once.

HNSW inserts one point after another, each by a search, and a search for every point
then lists its neighbors: both find the same. From some thousand points on the
lists are found first, by products of blocks of near points, and the graph is made from
the lists: points -> cells -> lists -> links. The product is an HNSW graph, which
the engine in use searches, and adds further points to.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from knngraph.freed import give_back_freed
from knngraph.index.cells import Cells, group_rows
from knngraph.index.exact import ExactIndex
from knngraph.index.hnsw import HNSWIndex
from knngraph.index.hnsw_parts import HNSWParts
from knngraph.index.near_rows import list_near_rows
from knngraph.index.others import others_of
from knngraph.index.protocol import SearchIndex
from knngraph.index.recall import SearchRecall, measure_recall, n_held_out
from knngraph.index.scales import count_candidates, link_rows
from knngraph.parallel import chunk_bounds
from knngraph.progress import stage

# Fewer points are inserted, and their lists searched for. By hnswlib that takes about
# twice as long for 1,000 points already, three times for 8,000
# (`benchmarks/build_threshold.py`); but compiling costs, once, what some fits of 8,000
# points save.
FEWEST_POINTS = 8000
# Longer lists are searched for.
MOST_LISTED = 192
# Shorter ones take about as long.
_FEWEST_LISTED = 32
_ROWS_PER_CALL = 16384
# `ef` of a lookup that sets none: the greedy search of the publication, and the `ef`
# with which the search from medoids takes about as long (`benchmarks/walks.py`).
LOOKUP_EF = {"hnsw": 1, "medoids": 2}


def walk_for(walk: str, inference: str = "lookup") -> str:
    """The search that queries use: "auto" is from medoids, but for lookups.

    Examples
    --------
    >>> from knngraph.index.build import walk_for
    >>> walk_for("auto", "cascade"), walk_for("auto", "lookup")
    ('medoids', 'hnsw')
    """
    if walk != "auto":
        return walk
    return "hnsw" if inference == "lookup" else "medoids"


def index_for_walk(
    walk: str,
    index: HNSWIndex | ExactIndex,
    points: np.ndarray,
    entries: Callable[[], tuple[np.ndarray, np.ndarray]] | None = None,
) -> SearchIndex:
    """The index, or the search from medoids over its links, where it has links.

    Parameters
    ----------
    walk : {"hnsw", "medoids"}
    points : ndarray of shape (n_points, n_features), float32
        The points in the order of their numbers.
    entries : callable or None, default=None
        Gives what `choose_entries` does, which is called for None.
    """
    if walk == "medoids" and isinstance(index, HNSWIndex):
        return index.from_medoids(points, None if entries is None else entries())
    return index


@dataclass(frozen=True)
class BuildSettings:
    """How an index is built; the number of threads changes no bit of it.

    Parameters
    ----------
    M : int, default=16
        Links of a point on the upper layers, twice as many on the lowest.
    ef_construction : int, default=200
        `ef` of an insertion; links are chosen from about a quarter as many
        neighbors.
    seed : int, default=0
        Of the layers of points that are inserted.
    n_threads : int, default=1
    verbose : int, default=0
    """

    M: int = 16
    ef_construction: int = 200
    seed: int = 0
    n_threads: int = 1
    verbose: int = 0

    @property
    def n_candidates(self) -> int:
        """Number of neighbors that the links of a point are chosen from."""
        return count_candidates(self.M, self.ef_construction)


DEFAULT_BUILD = BuildSettings()


@dataclass(frozen=True)
class BuiltGraph:
    """The index of some points, and their neighbors, by the numbers of the points.

    Parameters
    ----------
    index : HNSWIndex or ExactIndex
    search_recall : SearchRecall
        Of the search through the layers of the graph.
    ids : ndarray of shape (n_points, n_listed), int32
        The nearest other points, nearest first.
    squared : ndarray of shape (n_points, n_listed), of the type of the points
    """

    index: HNSWIndex | ExactIndex
    search_recall: SearchRecall
    ids: np.ndarray
    squared: np.ndarray


class PointLists(NamedTuple):
    """Points in the order of their cells, and their neighbors by that order.

    Parameters
    ----------
    order : ndarray of shape (n_points,), int32
        Numbers of the points.
    points : ndarray of shape (n_points, n_features), float32
    ids : ndarray of shape (n_points, k), int32
    squared : ndarray of shape (n_points, k), float32
    """

    order: np.ndarray
    points: np.ndarray
    ids: np.ndarray
    squared: np.ndarray

    def by_number(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        """The first `k` neighbors, by the numbers of the points."""
        ids = _by_number(self.ids, k, self.order, self.order)
        return ids, _by_number(self.squared, k, self.order)


def _by_number(
    lists: np.ndarray, k: int, order: np.ndarray, names: np.ndarray | None = None
) -> np.ndarray:
    """The first `k` columns of lists, by the numbers of the points."""
    found = np.empty((len(lists), min(k, lists.shape[1])), dtype=lists.dtype)
    for start, stop in chunk_bounds(len(lists), _ROWS_PER_CALL):
        block = lists[start:stop, :k]
        found[order[start:stop]] = block if names is None else names[block]
    return found


def makes_lists(points: np.ndarray, k: int = 0) -> bool:
    """Whether lists of `k` neighbors are made of points at once, not searched."""
    return (
        points.dtype == np.float32 and len(points) >= FEWEST_POINTS and k <= MOST_LISTED
    )


def group_points(points: np.ndarray, settings: BuildSettings) -> Cells:
    """Group points into cells of near ones, and show it."""
    with stage("grouping rows", len(points), settings.verbose) as grouping:
        cells = group_rows(points, n_threads=settings.n_threads)
        grouping.advance(len(points))
    return cells


def list_points(
    points: np.ndarray, k: int, settings: BuildSettings, cells: Cells | None = None
) -> PointLists:
    """List the nearest others of all points, by products of cells.

    Parameters
    ----------
    points : ndarray of shape (n_points, n_features), float32
        Distinct.
    k : int
        At most `MOST_LISTED`.
    cells : Cells or None
        Of these points; None where they are to be made.
    """
    if cells is None:
        cells = group_points(points, settings)
    give_back_freed()
    ordered = points[cells.order]
    k = min(max(k, _FEWEST_LISTED), len(points) - 1)
    with stage("searching neighbors", len(points), settings.verbose) as searching:
        ids, squared = list_near_rows(
            ordered,
            cells,
            k,
            n_threads=settings.n_threads,
            advance=searching.advance,
        )
    return PointLists(cells.order, ordered, ids, squared)


def build_graph(
    points: np.ndarray,
    n_listed: int = 0,
    settings: BuildSettings = DEFAULT_BUILD,
    *,
    exact: bool = False,
    measured: bool = True,
    found: Cells | PointLists | None = None,
) -> BuiltGraph:
    """Build the index of distinct rows, and list the neighbors of all.

    The index holds single precision: rows in double precision are searched exactly.

    The last rows go in after the others have been searched for them: that measures
    the search on rows it has not seen, without a second index.

    Parameters
    ----------
    points : ndarray of shape (n_points, n_features), float32 or float64
        In random order at both ends: the rows that are held out are a random sample.
        Few rows are inserted in this order, of which random is the best.
    n_listed : int, default=0
        Number of neighbors that are listed; fewer where there are fewer points.
    exact : bool, default=False
        Whether the lists are those of an exact search.
    measured : bool, default=True
        Whether the search is measured; else the recall is of no rows.
    found : Cells, PointLists or None
        What is known of many points: their cells, or lists of `n_candidates` at least.

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.index.build import build_graph
    >>> built = build_graph(np.array([[0.0], [1.0], [5.0]], dtype=np.float32), 1)
    >>> built.index.n_points, built.ids.ravel().tolist(), built.squared.ravel().tolist()
    (3, [1, 0, 1], [1.0, 1.0, 16.0])
    """
    n_listed = min(n_listed, len(points) - 1)
    n_first = len(points) - n_held_out(len(points))
    index: HNSWIndex | ExactIndex
    recall, lists = SearchRecall.of_none(), None
    if points.dtype == np.float64:
        index = ExactIndex(points)
    elif makes_lists(points, settings.M):
        together = not exact and n_listed <= MOST_LISTED
        if not isinstance(found, PointLists):
            k = max(settings.n_candidates, n_listed if together else 0)
            found = list_points(points, k, settings, found)
        with stage("building index", len(points), settings.verbose) as building:
            # A fit needs most memory here: what has been read is freed at once.
            if together:
                lists = found.by_number(n_listed)
            order, *held = found
            del found
            parts = [_link(held, order, n_first, settings, building)]
            give_back_freed()
            index = HNSWIndex.from_parts(parts.pop())
            if measured:
                recall = _measure_first(index, points, n_first, settings)
            _insert(index, points[n_first:], building.advance)
    else:
        index = HNSWIndex(
            points.shape[1],
            len(points),
            M=settings.M,
            ef_construction=settings.ef_construction,
            seed=settings.seed,
        )
        with stage("building index", len(points), settings.verbose) as building:
            _insert(index, points[:n_first], building.advance)
            if measured:
                recall = _measure_first(index, points, n_first, settings)
            _insert(index, points[n_first:], building.advance)
    if lists is None:
        searched = ExactIndex(points) if exact else index
        lists = _search_lists(searched, points, n_listed, settings)
    return BuiltGraph(index, recall, *lists)


def _link(
    held: list[np.ndarray],
    order: np.ndarray,
    n_first: int,
    settings: BuildSettings,
    building: Any,
) -> HNSWParts:
    """The graph of the first points, by their numbers; takes points and lists."""
    give_back_freed()
    parts = link_rows(
        held.pop(0),
        held.pop(0),
        held.pop(0),
        M=settings.M,
        ef_construction=settings.ef_construction,
        left_out=np.flatnonzero(order >= n_first),
        n_threads=settings.n_threads,
        advance=building.advance,
    )
    labels = order[parts.labels].astype(np.uint64)
    own = {"seed": settings.seed}
    return replace(parts, labels=labels, settings=parts.settings | own)


def _insert(
    index: HNSWIndex, points: np.ndarray, advance: Callable[[int], None]
) -> None:
    """Insert points block after block, and report how many after each."""
    for start, stop in chunk_bounds(len(points), _ROWS_PER_CALL):
        index.add(points[start:stop])
        advance(stop - start)


def _measure_first(
    index: HNSWIndex, points: np.ndarray, n_first: int, settings: BuildSettings
) -> SearchRecall:
    """Search the first points for the last, which are not in the index yet."""
    first, last = np.split(points, [n_first])
    return measure_recall(index, first, last, settings.n_threads)


def _search_lists(
    index: SearchIndex, points: np.ndarray, k: int, settings: BuildSettings
) -> tuple[np.ndarray, np.ndarray]:
    if k <= 0:
        nothing = len(points), 0
        return np.empty(nothing, np.int32), np.empty(nothing, points.dtype)
    with stage("searching neighbors", len(points), settings.verbose) as searching:
        return others_of(
            index,
            points,
            np.arange(len(points)),
            k,
            n_threads=settings.n_threads,
            advance=searching.advance,
        )
