"""Build the index of the training nodes, and measure how well walks find them."""

from dataclasses import dataclass

import numpy as np

from knngraph.index.exact import ExactIndex
from knngraph.index.hnsw import HNSWIndex
from knngraph.index.protocol import SearchIndex
from knngraph.progress import stage

_ROWS_PER_CALL = 16384
# Beam of a lookup that asks for none: the greedy walk of the publication, and the
# beam with which the walk from medoids takes about as long (`benchmarks/walks.py`).
LOOKUP_BEAMS = {"hnsw": 1, "medoids": 2}

# Nodes that are held out to measure the walk, and the beams that are tried.
HELD_OUT = 500
BEAMS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)


def walk_for(walk: str, inference: str = "lookup") -> str:
    """The search that queries use: "auto" is from medoids, but for lookups.

    Fit measures that of lookups, whatever its `inference` is.

    Examples
    --------
    >>> from knngraph.index.build import walk_for
    >>> walk_for("auto", "cascade"), walk_for("auto", "lookup")
    ('medoids', 'hnsw')
    """
    if walk != "auto":
        return walk
    return "hnsw" if inference == "lookup" else "medoids"


@dataclass(frozen=True)
class WalkProbe:
    """Where walks of several beams end for rows the index did not hold yet.

    Parameters
    ----------
    reached : ndarray of shape (n_beams, n_held_out)
        Node that the walk ends at.
    nearest : ndarray of shape (n_held_out,)
        Node that is nearest.
    """

    reached: np.ndarray
    nearest: np.ndarray

    def agreement(self, answers: np.ndarray, ef: int) -> float:
        """Share of held-out rows for which walk and exact search answer alike.

        Parameters
        ----------
        answers : ndarray of shape (n_nodes,)
            What is read off a node: its stored class, or its own number.
        ef : int
            Beam; between two measured beams the narrower one counts.

        Returns
        -------
        float
            1.0 where nothing was held out.
        """
        if not len(self.nearest):
            return 1.0
        beam = int(np.searchsorted(BEAMS, ef, side="right")) - 1
        alike = answers[self.reached[beam]] == answers[self.nearest]
        return float(alike.mean())

    def smallest_beam(self, answers: np.ndarray, share: float) -> int:
        """Smallest measured beam with at least this agreement, else the widest."""
        for ef in BEAMS:
            if self.agreement(answers, ef) >= share:
                return ef
        return BEAMS[-1]


def build_index(
    points: np.ndarray,
    *,
    M: int = 16,
    ef_construction: int = 200,
    seed: int = 0,
    walk: str = "hnsw",
    n_threads: int = 1,
    verbose: int = 0,
) -> tuple[HNSWIndex, WalkProbe]:
    """Insert distinct rows into a navigable graph.

    The last rows go in after the others have been searched for them: that
    measures the walk on rows it has not seen, without a second index.

    Parameters
    ----------
    points : ndarray of shape (n_nodes, n_features), float32
        In the order of insertion; random order makes the better graph, and the
        held-out rows a random sample.
    M, ef_construction : int
        See `HNSWIndex`.
    seed : int, default=0
    walk : {"hnsw", "medoids"}, default="hnsw"
        Which walk is measured.
    n_threads : int, default=1
        The graph is reproducible with one thread only.
    verbose : int, default=0

    Returns
    -------
    index : HNSWIndex
    probe : WalkProbe
    """
    index = HNSWIndex(
        points.shape[1],
        len(points),
        M=M,
        ef_construction=ef_construction,
        seed=seed,
    )
    n_first = len(points) - min(HELD_OUT, len(points) // 5)
    with stage("building index", len(points), verbose) as building:
        for start in range(0, n_first, _ROWS_PER_CALL):
            rows = points[start : min(start + _ROWS_PER_CALL, n_first)]
            index.add(rows, n_threads=n_threads)
            building.advance(len(rows))
        held_out = points[n_first:]
        first = points[:n_first]
        walked = walked_by(walk, index, first)
        probe = probe_walks(walked, first, held_out, n_threads)
        index.add(held_out, n_threads=n_threads)
        building.advance(len(held_out))
    return index, probe


def walked_by(walk: str, index: HNSWIndex, points: np.ndarray) -> SearchIndex:
    """The index, or the walk from medoids over its links.

    Parameters
    ----------
    walk : {"hnsw", "medoids"}
    index : HNSWIndex
    points : ndarray of shape (n_points, n_features), float32
        The points in the order of their numbers.
    """
    return index.from_medoids(points) if walk == "medoids" else index


def probe_walks(
    index: SearchIndex, stored: np.ndarray, held_out: np.ndarray, n_threads: int
) -> WalkProbe:
    """Walk to rows that the index does not hold, and find their nearest exactly.

    Parameters
    ----------
    index : SearchIndex
    stored : ndarray of shape (n_stored, n_features), float32
        The points it holds.
    held_out : ndarray of shape (n_held_out, n_features), float32
    n_threads : int

    Returns
    -------
    WalkProbe
        `reached` by the numbers of the index, `nearest` by places in `stored`.
    """
    reached = np.empty((len(BEAMS), len(held_out)), dtype=np.intp)
    nearest = np.empty(len(held_out), dtype=np.intp)
    if len(held_out):
        for beam, ef in enumerate(BEAMS):
            ids, _ = index.nearest(held_out, 1, ef=ef, n_threads=n_threads)
            reached[beam] = ids[:, 0]
        ids, _ = ExactIndex(stored).nearest(held_out, 1, n_threads=n_threads)
        nearest[:] = ids[:, 0]
    return WalkProbe(reached, nearest)
