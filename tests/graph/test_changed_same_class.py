"""Lists of the same class after changes are those that a search of all would find."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from knngraph.graph.candidates import nearest_of_same_class
from knngraph.graph.changed_rows import PendingRows, change_rows
from knngraph.graph.changed_same_class import change_same_class
from knngraph.graph.neighbors import nearest_others
from knngraph.graph.training_set import build_training_set, row_hashes
from knngraph.index.exact import ExactIndex

LIMIT, QUOTA = 6, 4


def lists_of(training):
    return nearest_others(
        ExactIndex(training.points), training.points, training.node_weights(), LIMIT
    )


def changed_nodes(before, neighbors, change, now):
    """Nodes that are new, hold other rows, or have another list."""
    around = change.old_node < 0
    old = np.flatnonzero(~around)
    then = change.node_now[neighbors.ids[change.old_node[old]]]
    around[old] = (then != now.ids[old]).any(axis=1)
    touched = around | change.touched
    return touched | touched[now.ids].any(axis=1)


@pytest.mark.parametrize("n_new", [0, 1, 5, 60])
@pytest.mark.parametrize("n_gone", [0, 1, 40])
@pytest.mark.parametrize("seed", range(3))
def test_changed_lists_are_those_of_a_search(n_new, n_gone, seed):
    random = np.random.default_rng(seed)
    rows = random.normal(size=(200, 3)).astype(np.float32)
    rows[:20] = rows[20:40]  # copies, some with other labels
    # Classes that lie anywhere, one of them small: many rows are short of theirs.
    codes = np.where(random.random(200) < 0.05, 5, random.integers(0, 5, 200))
    # A small class is enough where all of it is near.
    rows[-3:] = 4.0 + 0.01 * rows[-3:]
    codes[-3:] = 6
    training = build_training_set(rows, codes, 7)
    neighbors = lists_of(training)
    before = nearest_of_same_class(training, neighbors, LIMIT, QUOTA)
    kept = np.sort(random.choice(200, 200 - n_gone, replace=False))
    pending = PendingRows(kept)
    if n_new:
        new = random.normal(size=(n_new, 3)).astype(np.float32)
        pending = pending.added(new, random.integers(0, 6, n_new), None)
    change = change_rows(training, row_hashes(training.points, 0), pending, 0)
    now = lists_of(change.training)
    around = changed_nodes(training, neighbors, change, now)[change.training.pair_node]
    # Pairs around which nothing has changed may be looked at too.
    every = np.ones_like(around)
    (found, changed), (again, marked) = (
        change_same_class(
            before,
            change.pair_now,
            change.training,
            now,
            LIMIT,
            QUOTA,
            looked_at,
            seed=0,
            n_threads=2,
        )
        for looked_at in (around, every)
    )
    expected = nearest_of_same_class(change.training, now, LIMIT, QUOTA)
    listed = expected.place >= 0
    for same_class in found, again:
        assert_array_equal(same_class.place >= 0, listed)
        lists = same_class.ids[same_class.place[listed]]
        assert_array_equal(lists, expected.ids[expected.place[listed]])
    # What is not marked is what it was, and what is marked is not.
    there = np.flatnonzero(change.pair_now >= 0)
    then, after = np.full((2, change.training.n_pairs, QUOTA), -2)
    old = there[before.place[there] >= 0]
    ids = before.ids[before.place[old]]
    gone = (ids >= 0) & (change.pair_now[ids] < 0)
    renumbered = np.where(ids >= 0, change.pair_now[ids], -1)
    then[change.pair_now[old]] = np.where(gone, -3, renumbered)
    after[listed] = found.ids[found.place[listed]]
    differs = (then != after).any(axis=1)
    assert not differs[~changed].any()
    if n_new <= QUOTA:  # else lists are searched anew, and may be the same
        assert_array_equal(changed, differs)
        assert_array_equal(marked, differs)
