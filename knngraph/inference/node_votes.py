"""Votes of the nearest nodes around every node, and those that left-out rows get.

A probability of a lookup is read from the votes around the node that it ends at. How
sure they are shows at left-out rows: no row votes for itself, neither at the row nor
around the node that it reaches.
"""

from typing import Any

import numpy as np
from scipy import sparse

from knngraph.graph.consensus import DENSE_DISTRIBUTION_LIMIT
from knngraph.graph.neighbors import Neighbors
from knngraph.graph.training_set import TrainingSet
from knngraph.inference.adaptive import leave_one_out_candidates, queries_per_block
from knngraph.inference.near_votes import near_votes
from knngraph.parallel import chunk_bounds


def node_votes(
    training: TrainingSet,
    neighbors: Neighbors,
    k: int,
    nodes: slice = slice(None),
    *,
    n_threads: int = 1,
) -> Any:
    """Votes of the nodes nearest to every node, itself the first.

    Parameters
    ----------
    k : int
        Number of nodes that vote.
    nodes : slice
        Consecutive nodes, which `neighbors` has lists of.

    Returns
    -------
    ndarray or CSR array of shape (n_nodes, n_classes)
    """
    n_classes = training.n_classes
    first, end, _ = nodes.indices(training.n_nodes)
    blocks: list[Any] = []
    is_dense = (end - first) * n_classes <= DENSE_DISTRIBUTION_LIMIT
    for start, stop in chunk_bounds(end - first, queries_per_block(n_classes)):
        some = np.arange(first + start, first + stop)
        votes = near_votes(training, *_around(neighbors, some, k), n_threads=n_threads)
        blocks.append(votes if is_dense else sparse.csr_array(votes))
    if not blocks:
        return np.zeros((0, n_classes))
    if is_dense:
        return np.concatenate(blocks)
    return sparse.csr_array(sparse.vstack(blocks, format="csr"))


def near_votes_left_out(
    training: TrainingSet, neighbors: Neighbors, pairs: np.ndarray, k: int
) -> np.ndarray:
    """Votes at pairs of each of which one row is left out; see `near_votes`."""
    candidates = leave_one_out_candidates(training, neighbors, pairs, k)
    return near_votes(training, *candidates, left_out=pairs)


def node_votes_left_out(
    training: TrainingSet,
    neighbors: Neighbors,
    reached: np.ndarray,
    pairs: np.ndarray,
    k: int,
) -> np.ndarray:
    """Votes around the nodes that left-out rows reach, each without the row.

    Parameters
    ----------
    neighbors : Neighbors
        Of the nodes.
    reached : ndarray of shape (n,)
        Node that a row of every pair reaches.
    """
    ids, squared = _around(neighbors, reached, k + 1)
    # A node with no other row on it makes room for the next.
    gone = ids == training.pair_node[pairs, None]
    gone &= (training.left_weights(pairs) == 0.0)[:, None]
    there = np.argsort(gone, axis=1, kind="stable")[:, :k]
    ids = np.where(gone, -1, ids)
    return near_votes(
        training,
        np.take_along_axis(ids, there, axis=1),
        np.take_along_axis(squared, there, axis=1),
        left_out=pairs,
    )


def _around(
    neighbors: Neighbors, nodes: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """Some nodes, each with the others that are nearest to it, k in all."""
    ids = np.column_stack([nodes, neighbors.ids[nodes, : k - 1]])
    squared = neighbors.squared[nodes, : k - 1]
    own = np.zeros((len(nodes), 1), dtype=squared.dtype)
    return ids.astype(np.intp), np.concatenate([own, squared], axis=1)
