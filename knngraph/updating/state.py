"""The rows of a model with everything that was searched for them."""

from dataclasses import dataclass

import numpy as np

from knngraph.graph.neighbors import Neighbors
from knngraph.graph.training_set import TrainingSet, row_hashes
from knngraph.index.build import WalkProbe, build_index
from knngraph.index.exact import ExactIndex
from knngraph.index.hnsw import HNSWIndex
from knngraph.index.protocol import SearchIndex
from knngraph.space import Space
from knngraph.updating.lists import change_neighbors
from knngraph.updating.pending import PendingRows
from knngraph.updating.probe import extend_probe, renumber_probe
from knngraph.updating.recipe import Recipe
from knngraph.updating.rows import ChangedRows, change_rows
from knngraph.updating.solved import Solved

# Share of removed points from which the index is built anew. They slow a walk
# down, and take their memory, in proportion; a third more of either is the most.
REBUILD_SHARE = 0.25
# Share of new nodes from which all lists are searched anew (approximate search
# only): that then costs less than comparing all old nodes with all new ones.
_SEARCH_ALL_SHARE = 0.125


@dataclass(frozen=True)
class SearchedRows:
    """Rows, their index and their neighbors: what a change starts from.

    Parameters
    ----------
    space : Space
    training : TrainingSet
    hashes : ndarray of shape (n_nodes,), uint64, or None
        By which nodes are ordered; None until the first change.
    index : HNSWIndex
    probe : WalkProbe
    neighbors : Neighbors
    exact : bool
        Whether the neighbors are those of an exact search.
    solved : Solved or None
        The problems that were solved last; None where none were, or where all
        rows were candidates.
    """

    space: Space
    training: TrainingSet
    hashes: np.ndarray | None
    index: HNSWIndex
    probe: WalkProbe
    neighbors: Neighbors
    exact: bool
    solved: Solved | None


def search_changes(
    before: SearchedRows, pending: PendingRows, recipe: Recipe, n_threads: int
) -> SearchedRows:
    """Insert, remove and search what has changed.

    Parameters
    ----------
    before : SearchedRows
        Stays as it is, its index included.
    pending : PendingRows
    recipe : Recipe
    n_threads : int

    Returns
    -------
    SearchedRows
    """
    training, hashes = before.training, before.hashes
    if hashes is None:
        hashes = row_hashes(training.points, recipe.seed)
    change = change_rows(training, hashes, pending, recipe.seed)
    index, probe = _change_index(before, change, recipe, n_threads)
    exact = change.training.n_rows <= recipe.exact_up_to
    searched: SearchIndex = ExactIndex(change.training.points) if exact else index
    many = len(change.new_nodes) > _SEARCH_ALL_SHARE * change.training.n_nodes
    neighbors, moved = change_neighbors(
        before.neighbors,
        change,
        searched,
        recipe.n_listed,
        anew=exact != before.exact or (many and not exact),
        n_threads=n_threads,
    )
    solved = before.solved
    return SearchedRows(
        before.space,
        change.training,
        change.hashes,
        index,
        probe,
        neighbors,
        exact,
        None if solved is None or exact else solved.after(change, moved),
    )


def _change_index(
    before: SearchedRows, change: ChangedRows, recipe: Recipe, n_threads: int
) -> tuple[HNSWIndex, WalkProbe]:
    if change.same_nodes:
        return before.index, before.probe
    build_threads = recipe.build_threads(n_threads)
    index, new = before.index, change.new_nodes
    grown = len(new) > change.training.n_nodes // 2
    if grown or _removed_share(index, change) > REBUILD_SHARE:
        return build_index(
            change.training.points,
            M=recipe.M,
            ef_construction=recipe.ef_construction,
            seed=recipe.seed,
            walk=recipe.walk,
            n_threads=build_threads,
        )
    index = index.renumbered(change.node_now)
    probe = renumber_probe(before.probe, change.node_now)
    if len(new):
        points = change.training.points
        old = np.flatnonzero(change.old_node >= 0)
        probe = extend_probe(
            probe, index, points[old], old, points[new], recipe.walk, n_threads
        )
        index.add(points[new], new, n_threads=build_threads)
    return index, probe


def _removed_share(index: HNSWIndex, change: ChangedRows) -> float:
    """Share of the index that would be removed points after the change."""
    n_left = index.n_points - int((change.node_now < 0).sum())
    return 1.0 - n_left / index.n_places
