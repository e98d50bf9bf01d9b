"""Training sets after changes are those of a fresh start, and what became of nodes."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from knngraph.graph.changed_rows import PendingRows, change_rows
from knngraph.graph.training_set import build_training_set, row_hashes
from tests.graph.changing import N_CLASSES, Changing

CHANGES = [(0, 0), (0, 1), (1, 0), (7, 12), (60, 3), (3, 60)]


@pytest.fixture(params=CHANGES, ids=str)
def changed(request):
    """Rows of which some go, and some come."""
    n_gone, n_new = request.param
    return Changing(n_gone + n_new, 100, n_gone, n_new)


def test_as_a_fresh_start(changed):
    fresh = build_training_set(changed.rows, changed.codes, N_CLASSES)
    now = changed.change.training
    for name in ("points", "node_of_row", "pair_of_row", "pair_node", "pair_code"):
        assert_array_equal(getattr(now, name), getattr(fresh, name), err_msg=name)
    assert_array_equal(now.pair_weight, fresh.pair_weight)
    assert_array_equal(changed.change.hashes, row_hashes(now.points, 0))


def test_nodes_and_pairs_are_found_again(changed):
    before, change = changed.before, changed.change
    now = change.training
    points = {tuple(row): node for node, row in enumerate(now.points)}
    expected = [points.get(tuple(row), -1) for row in before.points]
    # A row that came may lie where one went: its node is another one.
    left = np.isin(np.arange(before.n_nodes), before.node_of_row[changed.kept])
    assert_array_equal(change.node_now[left], np.array(expected)[left])
    assert (change.node_now[~left] == -1).all()
    assert_array_equal(np.flatnonzero(change.old_node < 0), change.new_nodes)
    there = change.old_node >= 0
    assert_array_equal(change.node_now[change.old_node[there]], np.flatnonzero(there))
    assert there.sum() == (change.node_now >= 0).sum()
    keys = {
        (node, code): pair
        for pair, (node, code) in enumerate(
            zip(now.pair_node.tolist(), now.pair_code.tolist())
        )
    }
    nodes = change.node_now[before.pair_node].tolist()
    assert change.pair_now.tolist() == [
        keys.get((node, code), -1)
        for node, code in zip(nodes, before.pair_code.tolist())
    ]


def test_touched_nodes_hold_other_rows_than_before(changed):
    before, change = changed.before, changed.change
    now = change.training

    def held(training, node):
        on_node = training.pair_node == node
        return list(zip(training.pair_code[on_node], training.pair_weight[on_node]))

    expected = [
        old < 0 or held(before, old) != held(now, node)
        for node, old in enumerate(change.old_node)
    ]
    assert_array_equal(change.touched, expected)


def test_same_nodes_where_only_copies_come_and_go():
    rows = np.arange(6, dtype=np.float32)[:, None]
    training = build_training_set(rows[[0, 0, 1, 2, 3]], np.zeros(5, int), 2)
    hashes = row_hashes(training.points, 0)
    none = PendingRows(np.arange(5))
    one = np.zeros(1, int)
    cases = {
        "nothing": (none, True),
        "a copy comes": (none.added(rows[1:2], one, None), True),
        "a copy goes": (PendingRows(np.arange(1, 5)), True),
        "a node comes": (none.added(rows[5:], one, None), False),
        "a node goes": (PendingRows(np.arange(4)), False),
        "one for another": (
            PendingRows(np.arange(4)).added(rows[5:], one, None),
            False,
        ),
    }
    for name, (pending, same) in cases.items():
        assert change_rows(training, hashes, pending, 0).same_nodes == same, name


def test_another_order_of_the_nodes_is_the_same_change(changed, random):
    change = changed.change
    order = random.permutation(change.training.n_nodes)
    other = change.with_nodes_of(change.training.in_order(order))
    assert_array_equal(other.hashes, change.hashes[order])
    assert_array_equal(other.old_node, change.old_node[order])
    assert_array_equal(other.touched, change.touched[order])
    now = np.argsort(order)
    gone = change.node_now < 0
    assert_array_equal(other.node_now, np.where(gone, -1, now[change.node_now]))
    kept = change.pair_now >= 0
    assert_array_equal(other.pair_now >= 0, kept)
    for name, numbers in ("pair_node", now), ("pair_code", None):
        before = getattr(change.training, name)[change.pair_now[kept]]
        after = getattr(other.training, name)[other.pair_now[kept]]
        assert_array_equal(after, before if numbers is None else numbers[before])


@pytest.mark.parametrize("weighted", [(), (0,), (1,), (0, 1)])
def test_rows_pending_are_those_of_numpy(weighted, random):
    kept, codes, weights = np.arange(9), np.array([], int), np.array([])
    pending = PendingRows(kept)
    rows = np.empty((0, 2), dtype=np.float32)
    entries = np.concatenate([kept, np.array([], int)])
    for step in range(2):
        new = random.normal(size=(4, 2)).astype(np.float32)
        given = random.random(4) if step in weighted else None
        pending = pending.added(new, np.arange(4) + step, given)
        rows = np.concatenate([rows, new])
        codes = np.concatenate([codes, np.arange(4) + step])
        weights = np.concatenate([weights, np.ones(4) if given is None else given])
        entries = np.concatenate([kept, 100 + np.arange(len(rows))])
        assert pending.n_rows == len(entries)
        assert pending.n_added == len(rows)
        assert pending.n_changed(12) == 3 + len(rows)
    for gone in ([2], [9], [0, 8, 10], [8, 16], np.arange(17)):
        left = pending.removed(np.array(gone))
        now = np.delete(entries, gone)
        late = now[now >= 100] - 100
        assert_array_equal(left.kept, now[now < 100])
        assert_array_equal(np.concatenate(left.rows), rows[late])
        assert_array_equal(np.concatenate(left.codes), codes[late])
        found = left.added_weights()
        if weighted:
            assert_array_equal(found, weights[late])
        else:
            assert found is None
