"""Beams that are as wide as a wanted share of exact neighbors asks for."""

from dataclasses import dataclass

import numpy as np

from knngraph.index.exact import ExactIndex
from knngraph.index.protocol import SearchIndex

# Points on which the recall is measured, and what it shall be: a little more
# than the 0.95 that users are told, for the sample has an error of its own.
_SAMPLE = 300
ENOUGH_RECALL = 0.97
# Beams that are tried, in units of the number of neighbors.
_BEAMS = (2, 3, 4, 6, 8, 12, 16, 24, 32)


@dataclass(frozen=True)
class WideBeam:
    """An index whose walks never use a narrower beam than a given one.

    Parameters
    ----------
    index : SearchIndex
    ef : int
    recall : float
        Share of the exact neighbors that this beam found on a sample.
    """

    index: SearchIndex
    ef: int
    recall: float

    @property
    def n_points(self) -> int:
        """Number of stored points."""
        return self.index.n_points

    def nearest(
        self, queries: np.ndarray, k: int, *, ef: int = 1, n_threads: int = 1
    ) -> tuple[np.ndarray, np.ndarray]:
        """Find the `k` nearest stored points; see `SearchIndex.nearest`."""
        return self.index.nearest(queries, k, ef=max(ef, self.ef), n_threads=n_threads)


def with_enough_recall(
    index: SearchIndex, points: np.ndarray, k: int, *, n_threads: int = 1
) -> WideBeam:
    """Widen the beam until a sample of points finds its exact neighbors.

    Parameters
    ----------
    index : SearchIndex over `points`
    points : ndarray of shape (n_points, n_features), float32
    k : int
        Number of neighbors that will be asked for, the point itself included.
    n_threads : int, default=1

    Returns
    -------
    WideBeam
        With the smallest of the beams 2 k, 3 k ... 32 k that finds 97 % of them,
        else with the widest.

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.index.exact import ExactIndex
    >>> from knngraph.index.recall import with_enough_recall
    >>> points = np.arange(6, dtype=np.float32)[:, None]
    >>> beam = with_enough_recall(ExactIndex(points), points, k=3)
    >>> beam.ef, beam.recall
    (6, 1.0)
    """
    sample = points[:: max(1, len(points) // _SAMPLE)][:_SAMPLE]
    _, exact = ExactIndex(points).nearest(sample, k, n_threads=n_threads)
    # By distance, so that of points equally far any may be found. Single
    # precision rounds the distances of the walk.
    farthest = exact[:, -1:] * (1.0 + 1e-5)
    for factor in _BEAMS:
        _, squared = index.nearest(sample, k, ef=factor * k, n_threads=n_threads)
        recall = float((squared <= farthest).mean())
        if recall >= ENOUGH_RECALL:
            break
    return WideBeam(index, factor * k, recall)
