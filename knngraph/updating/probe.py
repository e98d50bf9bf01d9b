"""How well walks find the rows that come in, beside those that fit held out."""

import numpy as np

from knngraph.index.build import HELD_OUT, WalkProbe, probe_walks
from knngraph.index.protocol import SearchIndex


def renumber_probe(probe: WalkProbe, node_now: np.ndarray) -> WalkProbe:
    """Forget the walks that ended, or should have ended, at a node that is gone."""
    if not len(probe.nearest):
        return probe
    reached, nearest = node_now[probe.reached], node_now[probe.nearest]
    there = (nearest >= 0) & (reached >= 0).all(axis=0)
    return WalkProbe(reached[:, there], nearest[there])


def extend_probe(
    probe: WalkProbe,
    index: SearchIndex,
    stored: np.ndarray,
    nodes: np.ndarray,
    rows: np.ndarray,
    n_threads: int,
) -> WalkProbe:
    """Let rows that are about to be inserted walk, as fit lets its held-out rows.

    Parameters
    ----------
    probe : WalkProbe
    index : SearchIndex
        Without the rows.
    stored : ndarray of shape (n_stored, n_features), float32
        The points of the index.
    nodes : ndarray of shape (n_stored,)
        Their numbers.
    rows : ndarray of shape (n_rows, n_features), float32
        Of more than 500, every second, third ... walks: nodes are ordered in
        space.
    n_threads : int

    Returns
    -------
    WalkProbe
        Of the last 500 walks.
    """
    walked = probe_walks(
        index, stored, rows[:: max(1, -(-len(rows) // HELD_OUT))], n_threads
    )
    reached = np.concatenate([probe.reached, walked.reached], axis=1)
    nearest = np.concatenate([probe.nearest, nodes[walked.nearest]])
    return WalkProbe(reached[:, -HELD_OUT:], nearest[-HELD_OUT:])
