"""Neighbor lists after nodes have come and gone: only what changed is searched."""

import numpy as np

from knngraph.distances import squared_distances, squared_distances_to
from knngraph.graph.candidates import pack
from knngraph.graph.changed_rows import ChangedRows
from knngraph.graph.neighbors import Neighbors, nearest_others
from knngraph.index.exact import ExactIndex
from knngraph.index.others import others_of
from knngraph.index.protocol import SearchIndex
from knngraph.parallel import chunk_bounds, map_chunks

_NEW_PER_BLOCK = 256
_OLD_PER_BLOCK = 16384
_MERGED_PER_CHUNK = 1024
# Room for rounding in the distances that find the nodes near a new one.
_SLACK = 1e-4
_FEW_NEW = 4
# Lists so long hold the next neighbor, in 95 of 100, about as often as a search finds
# it; shorter ones lead to fewer.
_FEWEST_REFILLED = 32


def change_neighbors(
    neighbors: Neighbors,
    change: ChangedRows,
    index: SearchIndex,
    n_listed: int,
    *,
    anew: bool = False,
    n_threads: int = 1,
) -> tuple[Neighbors, np.ndarray]:
    """Bring the neighbor lists up to date.

    A new node is searched. One that has lost a neighbor gets the nearest neighbor of
    its others; where the search is exact, or lists are short, it is searched. A new
    node enters the list of an old one where it is nearer than the last of that list:
    the distances of all old nodes to the new ones are computed for that, which finds
    every such node and costs far less than a search of all.

    Parameters
    ----------
    neighbors : Neighbors
        Before the change.
    index : SearchIndex
        Over the nodes there are now.
    anew : bool, default=False
        Search all nodes.

    Returns
    -------
    neighbors : Neighbors
    changed : ndarray of shape (n_nodes,), bool
        Nodes whose list has changed.
    """
    training = change.training
    weights = training.node_weights()
    width = min(n_listed, training.n_nodes - 1)
    if anew or width != neighbors.ids.shape[1]:
        found = nearest_others(
            index, training.points, weights, width, n_threads=n_threads
        )
        return found, np.ones(training.n_nodes, dtype=bool)
    from knngraph.index import _changed

    points, is_new = training.points, change.old_node < 0
    ids = np.empty((training.n_nodes, width), dtype=np.int32)
    squared = np.empty((training.n_nodes, width), dtype=neighbors.squared.dtype)
    # A new node, which has none yet, takes any distances.
    np.take(neighbors.squared, change.old_node, axis=0, out=squared, mode="clip")
    now = change.node_now.astype(np.int32)
    _changed.rename(neighbors.ids, change.old_node, now, ids)
    changed = np.zeros(training.n_nodes, dtype=bool)
    if now.min(initial=0) < 0:
        changed = ids.min(axis=1, initial=0) < 0
    changed &= ~is_new
    searched = np.flatnonzero(changed)
    if width >= _FEWEST_REFILLED and not isinstance(index, ExactIndex):
        ids[is_new] = -1
        searched = searched[: _changed.refill(points, searched, ids, squared)]
    searched = np.concatenate([searched, change.new_nodes])
    changed[searched] = True
    ids[searched], squared[searched] = others_of(
        index, points, searched, width, n_threads=n_threads
    )
    farthest = np.full(training.n_nodes, -1.0)
    if width:
        farthest[:] = squared[:, -1]
        farthest[searched] = -1.0
    owner, newcomer = _nearer_newcomers(points, change.new_nodes, farthest, n_threads)
    _take_in(points, ids, squared, changed, owner, newcomer, n_threads)
    return Neighbors(ids, squared, weights), changed


def _nearer_newcomers(
    points: np.ndarray, new: np.ndarray, farthest: np.ndarray, n_threads: int
) -> tuple[np.ndarray, np.ndarray]:
    """Nodes, each with a new node that is no farther than the last of its list.

    Sorted by node; one that just may be as near counts.

    Parameters
    ----------
    farthest : ndarray of shape (n_nodes,)
        Squared distance to the last of the list; negative where no node is to be
        put into it.
    """
    if not len(new):
        return new, new
    new_blocks = [points[new[a:b]] for a, b in chunk_bounds(len(new), _NEW_PER_BLOCK)]
    limit = farthest * (1.0 + _SLACK)

    def compare(start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        owners, newcomers = [], []
        for number, rows in enumerate(new_blocks):
            squared = _squared_distances(points[start:stop], rows)
            owner, place = np.nonzero(squared <= limit[start:stop, None])
            owners.append(start + owner)
            newcomers.append(new[number * _NEW_PER_BLOCK + place])
        return np.concatenate(owners), np.concatenate(newcomers)

    parts = map_chunks(compare, len(points), _OLD_PER_BLOCK, n_threads)
    owner, newcomer = (np.concatenate(column) for column in zip(*parts))
    order = np.argsort(owner, kind="stable")
    return owner[order], newcomer[order]


def _squared_distances(points: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Distances, of few rows in the precision of the points: within the slack."""
    if len(rows) > _FEW_NEW:
        return squared_distances(points, rows)
    squared = np.empty((len(points), len(rows)))
    for place, row in enumerate(rows):
        difference = points - row
        squared[:, place] = np.einsum("ij,ij->i", difference, difference)
    return squared


def _take_in(
    points: np.ndarray,
    ids: np.ndarray,
    squared: np.ndarray,
    changed: np.ndarray,
    owner: np.ndarray,
    newcomer: np.ndarray,
    n_threads: int,
) -> None:
    """Merge new nodes into the lists of their owners, in place."""
    owners, number = np.unique(owner, return_inverse=True)
    newcomers = pack(number, newcomer, len(owners))
    width = ids.shape[1]

    def merge(start: int, stop: int) -> None:
        rows = owners[start:stop]
        both = np.concatenate(
            [ids[rows].astype(np.intp), newcomers[start:stop]], axis=1
        )
        # By number first: of nodes equally far the smaller number comes first, as
        # in an exact search.
        both.sort(axis=1)
        distances = squared_distances_to(points[rows], points, both)
        distances[both < 0] = np.inf
        nearest = np.argsort(distances, axis=1, kind="stable")[:, :width]
        merged = np.take_along_axis(both, nearest, axis=1)
        changed[rows] |= (np.sort(merged, axis=1) != np.sort(ids[rows], axis=1)).any(
            axis=1
        )
        ids[rows] = merged
        squared[rows] = np.take_along_axis(distances, nearest, axis=1)

    map_chunks(merge, len(owners), _MERGED_PER_CHUNK, n_threads, limit_blas=False)
