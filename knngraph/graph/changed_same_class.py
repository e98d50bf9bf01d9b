"""Nearest pairs of the same class after pairs have come and gone."""

import numpy as np

from knngraph.distances import squared_distances, squared_distances_to
from knngraph.graph.candidates import (
    SameClass,
    nearest_of_same_class,
    pairs_short_of_own_class,
)
from knngraph.graph.neighbors import Neighbors
from knngraph.graph.training_set import TrainingSet

_LISTS_PER_BLOCK = 4096


def change_same_class(
    before: SameClass,
    pair_now: np.ndarray,
    training: TrainingSet,
    neighbors: Neighbors,
    limit: int,
    quota: int,
    around: np.ndarray,
    *,
    seed: int,
    n_threads: int,
) -> tuple[SameClass, np.ndarray]:
    """Bring the lists of the same class up to date.

    A pair is searched for where it has no list and needs one, and where its list has
    lost a pair. A new pair enters the lists of its class where it is nearer than the
    last of them.

    Parameters
    ----------
    before : SameClass
    pair_now : ndarray of shape (n_old_pairs,)
        Present number of every old pair, -1 where it is gone.
    limit, quota : int
        See `nearest_of_same_class`.
    around : ndarray of shape (n_pairs,), bool
        Pairs with nearest pairs that may have changed, new ones among them.

    Returns
    -------
    SameClass
    changed : ndarray of shape (n_pairs,), bool
        Pairs with a list that has changed, has come or has gone.
    """
    n_pairs, there = training.n_pairs, np.flatnonzero(pair_now >= 0)
    old = np.full(n_pairs, -1, dtype=np.intp)
    old[pair_now[there]] = there
    wanted = _wanted(training, training.pair_code, quota)
    differs = wanted != _wanted(training, training.pair_code[pair_now[there]], quota)
    to_check = around | differs[training.pair_code]
    is_short = np.zeros(n_pairs, dtype=bool)
    is_short[old >= 0] = before.place[old[old >= 0]] >= 0
    had_list = is_short.copy()
    checked = np.flatnonzero(to_check)
    is_short[checked] = False
    is_short[pairs_short_of_own_class(training, neighbors, wanted, limit, checked)] = (
        True
    )
    changed = is_short != had_list

    listed = np.flatnonzero(is_short & had_list)
    ids = before.ids[before.place[old[listed]]]
    renumbered = np.where(ids >= 0, pair_now[ids], -1)
    lost = ((ids >= 0) & (renumbered < 0)).any(axis=1)
    new = np.flatnonzero(old < 0)
    n_new = np.bincount(training.pair_code[new], minlength=training.n_classes)
    # Lists into which more than one pair may go at each place are searched anew.
    lost |= n_new[training.pair_code[listed]] > quota
    kept, ids = listed[~lost], renumbered[~lost]
    merged = _take_in(training, kept, ids, new)
    changed[kept[merged]] = True
    changed[listed[lost]] = True

    searched = is_short.copy()
    searched[kept] = False
    if not searched.any():
        place = np.full(n_pairs, -1, dtype=np.intp)
        place[kept] = np.arange(len(kept))
        return SameClass(place, ids), changed
    found = nearest_of_same_class(
        training,
        neighbors,
        limit,
        quota,
        pairs=np.flatnonzero(searched),
        seed=seed,
        n_threads=n_threads,
    )
    place = found.place.copy()
    place[kept] = len(found.ids) + np.arange(len(kept))
    return SameClass(place, np.concatenate([found.ids, ids])), changed


def _wanted(training: TrainingSet, codes: np.ndarray, quota: int) -> np.ndarray:
    """How many of its class a pair of every class needs among the pairs of `codes`."""
    sizes = np.bincount(codes, minlength=training.n_classes)
    return np.minimum(quota, sizes - 1)


def _take_in(
    training: TrainingSet, pairs: np.ndarray, ids: np.ndarray, new: np.ndarray
) -> np.ndarray:
    """Put new pairs into the lists of their class, in place; whether lists changed."""
    changed = np.zeros(len(pairs), dtype=bool)
    points, node = training.points, training.pair_node
    for code in np.unique(training.pair_code[new]):
        of_class = np.flatnonzero(training.pair_code[pairs] == code)
        newcomers = new[training.pair_code[new] == code]
        for start in range(0, len(of_class), _LISTS_PER_BLOCK):
            lists = of_class[start : start + _LISTS_PER_BLOCK]
            rows = points[node[pairs[lists]]]
            last = ids[lists, -1:]
            limit = squared_distances_to(rows, points, node[last])
            limit[last < 0] = np.inf
            near = squared_distances(rows, points[node[newcomers]]) <= limit
            lists = lists[near.any(axis=1)]
            rows = points[node[pairs[lists]]]
            more = np.broadcast_to(newcomers, (len(lists), len(newcomers)))
            both = np.sort(np.concatenate([ids[lists], more], axis=1), axis=1)
            distance = squared_distances_to(rows, points, node[both])
            distance[both < 0] = np.inf
            order = np.argsort(distance, axis=1, kind="stable")[:, : ids.shape[1]]
            nearest = np.take_along_axis(both, order, axis=1)
            changed[lists] = (nearest != ids[lists]).any(axis=1)
            ids[lists] = nearest
    return changed
