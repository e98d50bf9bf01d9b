"""Choose rows whose nearest-neighbor rule answers for all rows.

Every row stores how far the nearest kept row of its own class is, and the
nearest of another class. Kept rows come in rounds: of all rows that a kept row of
another class misleads, the nearest one to it is kept as well. The rounds are exact
and depend on no order of the rows; a wider margin goes on from a narrower one.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from knngraph.distances import squared_distances
from knngraph.parallel import map_chunks

# Distances of one block, in double precision: 32 MiB.
_BLOCK_NUMBERS = 4 * 2**20
_LARGEST_BLOCK = 1024
# An index measures in single precision: distances that are closer than this share
# could come out in the other order.
_UNSURE = 1e-5


@dataclass(frozen=True)
class Subset:
    """Rows that are kept, and what they leave wrong.

    Parameters
    ----------
    kept : ndarray of shape (n_kept,), intp
        Ascending.
    changed : ndarray of shape (n_points,), bool
        Whether a kept row of another class is nearest, or as near.
    """

    kept: np.ndarray
    changed: np.ndarray


class SubsetSearch:
    """Rounds of keeping rows.

    Parameters
    ----------
    points : ndarray of shape (n_points, n_features), float32
        Distinct rows.
    codes : ndarray of shape (n_points,)
        What has to be answered at every row.
    dropped : ndarray of shape (n_points,), bool, or None
        Rows that are not kept and need not be served. A class that has no other
        rows keeps one of them all the same.
    n_threads : int, default=1

    References
    ----------
    The rounds are those of Angiulli (2005), "Fast condensed nearest neighbor rule",
    ICML, 25-32; the margin and the two stored distances are not.

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.condensing.subset import SubsetSearch
    >>> points = np.array([[0], [1], [2], [3], [4], [5]], dtype=np.float32)
    >>> search = SubsetSearch(points, np.array([0, 0, 0, 1, 1, 1]))
    >>> search.grow(margin=0.0).kept.tolist()
    [1, 4]
    >>> search.grow(margin=1.0).kept.tolist()
    [1, 2, 3, 4]
    """

    def __init__(
        self,
        points: np.ndarray,
        codes: np.ndarray,
        dropped: np.ndarray | None = None,
        *,
        n_threads: int = 1,
    ) -> None:
        # Rows of a class side by side: own and other classes are then ranges.
        self._order = np.argsort(codes, kind="stable")
        self._points = points[self._order]
        self._codes = codes[self._order]
        self._n_threads = n_threads
        n = len(points)
        self._dropped = np.zeros(n, dtype=bool)
        if dropped is not None:
            self._dropped[:] = dropped[self._order]
        self._kept = np.zeros(n, dtype=bool)
        self._own = np.full(n, np.inf)
        self._other = np.full(n, np.inf)
        self._misleading = np.full(n, -1, dtype=np.intp)
        self._keep(self._middles())

    def grow(self, margin: float) -> Subset:
        """Keep rows until every other one is served.

        Parameters
        ----------
        margin : float
            A row is served where the nearest kept row of another class is more
            than 1 + margin times as far as the nearest of its own.
        """
        while True:
            unserved = np.flatnonzero(self._unserved(margin) & ~self._dropped)
            if not len(unserved):
                break
            self._keep(self._nearest_to_what_misleads(unserved))
        changed = np.empty(len(self._kept), dtype=bool)
        changed[self._order] = self._unserved(0.0)
        return Subset(np.sort(self._order[self._kept]), changed)

    def _unserved(self, margin: float) -> np.ndarray:
        needed = self._own * ((1.0 + margin) ** 2 * (1.0 + _UNSURE))
        return ~self._kept & (self._other <= needed)

    def _nearest_to_what_misleads(self, unserved: np.ndarray) -> np.ndarray:
        """Of the unserved rows of every misleading one, the nearest to it."""
        by = self._misleading[unserved]
        first = np.lexsort((unserved, self._other[unserved], by))
        _, starts = np.unique(by[first], return_index=True)
        return np.sort(unserved[first[starts]])

    def _middles(self) -> np.ndarray:
        """The row of every class that is nearest to the mean of the class."""
        middles = []
        for start, stop in self._class_ranges():
            there = start + np.flatnonzero(~self._dropped[start:stop])
            if not len(there):
                there = np.arange(start, stop)
            points = self._points[there]
            mean = points.mean(axis=0, dtype=np.float64, keepdims=True)
            step = max(1, _BLOCK_NUMBERS // max(1, points.shape[1]))
            squared = np.concatenate(
                [
                    squared_distances(points[i : i + step], mean)[:, 0]
                    for i in range(0, len(points), step)
                ]
            )
            middles.append(there[squared.argmin()])
        return np.array(middles, dtype=np.intp)

    def _class_ranges(self) -> Iterator[tuple[int, int]]:
        starts = np.flatnonzero(np.diff(self._codes, prepend=self._codes[0] - 1))
        yield from zip(starts, [*starts[1:], len(self._codes)])

    def _keep(self, new: np.ndarray) -> None:
        """Keep rows and update the distances of all others."""
        self._kept[new] = True
        rows_per_block = min(_LARGEST_BLOCK, max(1, _BLOCK_NUMBERS // len(new)))
        blocks = [
            (i, min(i + rows_per_block, stop))
            for start, stop in self._class_ranges()
            for i in range(start, stop, rows_per_block)
        ]

        def update(first: int, last: int) -> None:
            for start, stop in blocks[first:last]:
                self._update(start, stop, new)

        map_chunks(update, len(blocks), 4, self._n_threads)

    def _update(self, start: int, stop: int, new: np.ndarray) -> None:
        code = self._codes[start]
        squared = squared_distances(self._points[start:stop], self._points[new])
        low = int(np.searchsorted(self._codes[new], code, side="left"))
        high = int(np.searchsorted(self._codes[new], code, side="right"))
        if high > low:
            nearest = squared[:, low:high].min(axis=1)
            np.minimum(self._own[start:stop], nearest, out=self._own[start:stop])
        for part in (slice(0, low), slice(high, len(new))):
            if part.stop > part.start:
                place = squared[:, part].argmin(axis=1)
                nearest = squared[np.arange(stop - start), part.start + place]
                closer = np.flatnonzero(nearest < self._other[start:stop])
                self._other[start + closer] = nearest[closer]
                self._misleading[start + closer] = new[part][place[closer]]
