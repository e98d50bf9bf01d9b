"""From neighbor lists to a navigable graph, with links on several scales.

A graph of the nearest rows alone leads nowhere: a search ends in the cluster that it
starts in. Where rows are inserted one after the other, the first ones are far apart
and get long links. Here samples of the rows do the same: every sample is half of the
one before it, has neighbor lists of its own, and its rows keep those of them that lead
to different sides. A row has the links of all its samples, in both directions, and
where these are too many, the rule chooses again.

References
----------
Malkov and Yashunin (2020), "Efficient and robust approximate nearest neighbor search
using hierarchical navigable small world graphs", IEEE TPAMI 42, 824-836.

Subramanya, Devvrit, Kadekodi, Krishnaswamy and Simhadri (2019), "DiskANN: Fast accurate
billion-point nearest neighbor search on a single node", NeurIPS 32 (the slack of the
rule).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from math import ceil, log2

import numpy as np

from knngraph.index.cells import group_rows
from knngraph.index.hnsw_parts import HNSWParts
from knngraph.index.near_rows import list_near_rows
from knngraph.parallel import map_chunks

# Squared distances may be so many times larger than the rule of HNSW allows: for the
# lists of one scale, and in rounds for what is kept of all scales. The second round
# goes from the farthest to the nearest: else near ones take the room of long links,
# and searches stay in the wrong cluster.
_SLACK, _SLACKS = (1.21, np.inf), (1.0, -1.1, 1.21)
# Links that a row may choose on one scale, in units of M. A row outside of a dense
# cluster would choose few, as all of its neighbors lie on one side: it gets a third.
_CHOSEN = 2.0
# Candidates of a list with `M` and `ef_construction` by default.
_CANDIDATES, _MOST_CANDIDATES = 48, 192
_DEFAULT_M, _DEFAULT_EF = 16, 200
# The first sample is a share of 2 ** -3 of the rows, the last has so many at least;
# lists become longer from one to the next.
_FIRST_SAMPLE, _FEWEST_SAMPLED = 3, 32
_LONGER = 2**0.5
# Halvings from one layer to the next: twice the layers of HNSW, for a search goes down
# to the wrong cluster less often, and hardly measures more distances.
_LEAST_STEP = 2
_ROWS_PER_CHUNK = 1024
# A row with so many times the links that it may keep is a chunk of its own.
_HUB = 8


def count_candidates(M: int, ef_construction: int) -> int:
    """Number of nearest rows that the links of a row are chosen from.

    Examples
    --------
    >>> from knngraph.index.scales import count_candidates
    >>> count_candidates(M=16, ef_construction=200)
    48
    """
    wanted = _CANDIDATES * max(M / _DEFAULT_M, 1.0) * ef_construction / _DEFAULT_EF
    return int(min(max(wanted, M), _MOST_CANDIDATES))


def link_rows(
    ordered: np.ndarray,
    ids: np.ndarray,
    squared: np.ndarray,
    *,
    M: int = 16,
    ef_construction: int = 200,
    left_out: np.ndarray | None = None,
    n_threads: int = 1,
    advance: Callable[[int], None] | None = None,
) -> HNSWParts:
    """Link rows to an HNSW graph, as either engine searches it.

    Parameters
    ----------
    ordered : ndarray of shape (n_rows, n_features), float32
        Distinct rows, near rows near one another in their order.
    ids, squared : ndarray of shape (n_rows, n_listed), int32 and float32
        Nearest other rows of every row, nearest first, and squared distances; see
        `list_near_rows`. The first `count_candidates` are read.
    M : int, default=16
        Links of a row on the upper layers; on the lowest at most twice as many.
    ef_construction : int, default=200
        Candidates for the links of a row follow it.
    left_out : ndarray of shape (n_left_out,) or None, default=None
        Rows that the graph does not have.
    n_threads : int, default=1
        Changes no bit of the result.
    advance : callable or None
        Called with numbers of rows as they are done, in all with those of the graph.

    Returns
    -------
    HNSWParts
        Points are numbered by their places in `ordered`. A way leads to each of them
        from the entry point.

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.index.exact import ExactIndex
    >>> from knngraph.index.hnsw import HNSWIndex
    >>> from knngraph.index.scales import link_rows
    >>> rows = np.arange(100, dtype=np.float32)[:, None]
    >>> ids, squared = ExactIndex(rows).nearest(rows, 4)
    >>> ids, squared = ids[:, 1:].astype(np.int32), squared[:, 1:].astype(np.float32)
    >>> parts = link_rows(rows, ids, squared)
    >>> index = HNSWIndex.from_parts(parts)
    >>> index.nearest(np.array([[41.2]], dtype=np.float32), k=2)[0].tolist()
    [[41, 42]]
    """
    kept = np.ones(len(ordered), dtype=bool)
    if left_out is not None:
        kept[left_out] = False
    labels = np.flatnonzero(kept)
    number = np.where(kept, np.cumsum(kept) - 1, -1).astype(np.int32)
    n_rows, points = len(ordered), ordered if kept.all() else ordered[labels]
    del ordered  # a fit needs most memory here
    linker = _Linker(points, n_threads)
    everywhere = np.arange(len(points), dtype=np.int32)
    n_chosen = ceil(_CHOSEN * M)
    n_candidates = count_candidates(M, ef_construction)
    near, distances = ids[:, :n_candidates], squared[:, :n_candidates]
    scales = [(everywhere, linker.chosen(near, distances, number, labels, n_chosen))]
    del ids, squared, near, distances  # and most of the rest here
    layers = []
    step = max(_LEAST_STEP, round(log2(M) / 2))
    for halvings, sample in _samples(everywhere):
        n_listed = n_candidates * _LONGER ** (halvings - _FIRST_SAMPLE)
        n_listed = int(min(n_listed, _MOST_CANDIDATES))
        sample, near, distances = linker.listed(sample, n_listed)
        if (halvings - _FIRST_SAMPLE) % step == 0:
            layers.append((sample, len(scales) - 1))
        rows = np.arange(len(sample))
        links = linker.chosen(near, distances, sample, rows, n_chosen)
        scales.append((sample, links))
    ends = linker.ends(scales)
    del scales[0]
    lowest = linker.united(everywhere, ends, 2 * M, advance)
    del ends
    levels = np.zeros(len(points), dtype=np.int32)
    for sample, _ in layers:
        levels[sample] += 1
    entry = int(levels.argmax())
    _make_reachable(lowest, entry)
    before = np.cumsum(levels, dtype=np.int64) - levels
    upper = np.empty((int(levels.sum()), 1 + M), dtype=np.int32)
    for layer, (sample, scale) in enumerate(layers):
        ends = linker.ends(scales[scale:])
        upper[before[sample] + layer] = linker.united(sample, ends, M)
    settings = {
        "ser_version": 1,
        "seed": 0,
        "max_elements": n_rows,
        "max_level": len(layers),
        "enterpoint_node": entry,
        "M": M,
        "ef_construction": max(ef_construction, M),
        "has_deletions": False,
        "allow_replace_deleted": False,
    }
    return HNSWParts(
        settings,
        lowest.view(np.uint8),
        labels.astype(np.uint64),
        levels,
        upper.view(np.uint8).ravel(),
        points,
    )


def _samples(rows: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Random samples, each of one of every two rows that are next in the one before.

    So every part of the order has its share in all of them.
    """
    draw = np.random.default_rng(0).random(len(rows), dtype=np.float32)
    halvings = 0
    while len(rows) >= 2 * _FEWEST_SAMPLED:
        left, right = rows[: len(rows) // 2 * 2].reshape(-1, 2).T
        rows = np.where(draw[left] < draw[right], left, right)
        halvings += 1
        if halvings >= _FIRST_SAMPLE:
            yield halvings, rows


# Links of some rows: places of the rows, and the links as `_links.py` describes them.
_Scale = tuple[np.ndarray, np.ndarray]
# Number of links of every place, where those of each end, and what they lead to.
_Ends = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True, eq=False)
class _Linker:
    """Chooses links among points."""

    points: np.ndarray
    n_threads: int

    def listed(
        self, sample: np.ndarray, n_listed: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The sample in the order of its own cells, and its neighbor lists."""
        rows = self.points[sample]
        cells = group_rows(rows, n_threads=self.n_threads)
        n_listed = min(n_listed, len(rows) - 1)
        lists = list_near_rows(
            rows[cells.order], cells, n_listed, n_threads=self.n_threads
        )
        return sample[cells.order], *lists

    def chosen(
        self,
        ids: np.ndarray,
        squared: np.ndarray,
        places: np.ndarray,
        rows: np.ndarray,
        most: int,
    ) -> np.ndarray:
        """Links to those listed that lie on different sides.

        Parameters
        ----------
        ids, squared : ndarray of shape (n_listed, n_candidates)
        places : ndarray of shape (n_listed,), int32
            Place in the graph of everything listed, -1 where it has none.
        rows : ndarray of shape (n,)
            The rows of the lists that are read.
        most : int

        Returns
        -------
        ndarray of shape (n, 1 + most), int32
        """
        links = np.empty((len(rows), 1 + most), dtype=np.int32)

        def choose(start: int, stop: int) -> None:
            own = rows[start:stop]
            others = places[ids[own]]
            candidates = squared[own].view(np.int32).astype(np.int64) << 32 | others
            self._choose(candidates, _SLACK, ceil(most / 3), links[start:stop])

        self._map(choose, len(rows))
        return links

    def ends(self, scales: list[_Scale]) -> _Ends:
        """The links of all places on some scales, in both directions."""
        from knngraph.index import _links

        counts = np.zeros(len(self.points), dtype=np.int64)
        nothing = np.empty(0, dtype=np.int32)
        for scale in scales:
            _links.put_ends(*scale, counts, nothing)
        stops = np.cumsum(counts)
        others = np.empty(stops[-1], dtype=np.int32)
        free = stops - counts
        for scale in scales:
            _links.put_ends(*scale, free, others)
        return counts, stops, others

    def united(
        self,
        places: np.ndarray,
        ends: _Ends,
        most: int,
        advance: Callable[[int], None] | None = None,
    ) -> np.ndarray:
        """Links that some places keep of those on all scales.

        Returns
        -------
        ndarray of shape (n, 1 + most), int32
            After the links of a place come zeros.
        """
        from knngraph.index import _links

        counts, stops, others = ends
        links = np.zeros((len(places), 1 + most), dtype=np.int32)

        def choose_for(rows: np.ndarray) -> None:
            own = places[rows]
            candidates = np.empty((len(own), counts[own].max()), dtype=np.int64)
            _links.measure(self.points, own, stops, others, candidates)
            candidates.sort(axis=1)
            found = np.zeros((len(own), 1 + most), dtype=np.int32)
            self._choose(candidates, _SLACKS, most, found)
            links[rows] = found

        def choose(start: int, stop: int) -> None:
            rows = np.arange(start, stop)
            is_hub = counts[places[start:stop]] > _HUB * most
            for some in (rows[~is_hub], *rows[is_hub, None]):
                if len(some):
                    choose_for(some)

        self._map(choose, len(places), advance)
        return links

    def _choose(
        self,
        candidates: np.ndarray,
        slacks: tuple[float, ...],
        n_least: int,
        links: np.ndarray,
    ) -> None:
        from knngraph.index import _links

        factors = np.array(slacks, dtype=np.float32)
        _links.choose_links(self.points, candidates, factors, n_least, links)

    def _map(
        self,
        function: Callable[[int, int], None],
        n_rows: int,
        advance: Callable[[int], None] | None = None,
    ) -> None:
        map_chunks(
            function,
            n_rows,
            _ROWS_PER_CHUNK,
            self.n_threads,
            advance,
            limit_blas=False,
        )


def _make_reachable(links: np.ndarray, entry: int) -> None:
    """Change links until a way leads from the entry to every place.

    A place that no way leads to gets a link from a place that it leads to, or else
    has one from and to another that is near in the order. Links by which places were
    reached stay, so that every change brings another one in.

    Parameters
    ----------
    links : ndarray of shape (n_points, 1 + most), int32
        Changed in place.
    entry : int
    """
    from knngraph.index import _links

    via = np.full(len(links), -1, dtype=np.int32)
    queue = np.empty(len(links), dtype=np.int32)
    via[entry] = queue[0] = entry
    n_reached = _links.follow_links(links, via, queue, 0, 1)
    for looks_farther in (False, False, True):
        for lost in np.flatnonzero(via < 0).tolist():
            if via[lost] >= 0:
                continue
            own = links[lost, 1 : 1 + links[lost, 0]].tolist()
            for place in chain(own, _outwards(lost, len(links) * looks_farther)):
                if via[place] >= 0 and _link_in_free_spot(links, place, lost, via):
                    break
            else:
                continue
            if place not in own:
                _link_in_free_spot(links, lost, place, via)
            via[lost], queue[n_reached] = place, lost
            n_reached = _links.follow_links(links, via, queue, n_reached, n_reached + 1)


def _outwards(place: int, n_places: int) -> Iterator[int]:
    """Places before and after a place, the next ones first."""
    for step in range(1, n_places):
        yield from (p for p in (place - step, place + step) if 0 <= p < n_places)


def _link_in_free_spot(
    links: np.ndarray, place: int, other: int, via: np.ndarray
) -> bool:
    """Link a place to another, instead of one that is not reached from it if full."""
    count = links[place, 0]
    if count < links.shape[1] - 1:
        links[place, 0] = spot = count + 1
    else:
        free = np.flatnonzero(via[links[place, 1:]] != place)
        if not len(free):
            return False
        spot = 1 + free[-1]
    links[place, spot] = other
    return True
