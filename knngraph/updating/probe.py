"""How well walks find the rows that come in, beside those that fit held out."""

import numpy as np

from knngraph.index.build import HELD_OUT, WalkProbe, probe_walks, walked_by
from knngraph.index.hnsw import HNSWIndex


def renumber_probe(probe: WalkProbe, node_now: np.ndarray) -> WalkProbe:
    """Forget the walks that ended, or should have ended, at a node that is gone."""
    if not len(probe.nearest):
        return probe
    reached, nearest = node_now[probe.reached], node_now[probe.nearest]
    there = (nearest >= 0) & (reached >= 0).all(axis=0)
    return WalkProbe(reached[:, there], nearest[there])


def extend_probe(
    probe: WalkProbe,
    index: HNSWIndex,
    stored: np.ndarray,
    nodes: np.ndarray,
    rows: np.ndarray,
    walk: str,
    n_threads: int,
) -> WalkProbe:
    """Let rows that are about to be inserted walk, as fit lets its held-out rows.

    Parameters
    ----------
    probe : WalkProbe
    index : HNSWIndex
        Without the rows.
    stored : ndarray of shape (n_stored, n_features), float32
        The points of the index.
    nodes : ndarray of shape (n_stored,)
        Their numbers.
    rows : ndarray of shape (n_rows, n_features), float32
        Of more than 500, every second, third ... walks: nodes are ordered in
        space.
    walk : {"hnsw", "medoids"}
        Which walk is measured.
    n_threads : int

    Returns
    -------
    WalkProbe
        Of the last 500 walks.
    """
    walked = probe_walks(
        walked_by(walk, index, stored),
        stored,
        rows[:: max(1, -(-len(rows) // HELD_OUT))],
        n_threads,
    )
    ends = nodes[walked.reached] if walk == "medoids" else walked.reached
    reached = np.concatenate([probe.reached, ends], axis=1)
    nearest = np.concatenate([probe.nearest, nodes[walked.nearest]])
    return WalkProbe(reached[:, -HELD_OUT:], nearest[-HELD_OUT:])
