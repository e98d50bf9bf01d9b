"""Neighbor lists after nodes have come and gone."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from knngraph.graph import changed_lists
from knngraph.graph.changed_lists import change_neighbors
from knngraph.graph.changed_rows import PendingRows, change_rows
from knngraph.graph.neighbors import nearest_others
from knngraph.graph.training_set import build_training_set, row_hashes
from knngraph.index.exact import ExactIndex
from tests.graph.changing import Changing, exact_lists


class NotSearched:
    """An index that only new nodes are searched in."""

    def __init__(self, points, n_new):
        self.exact, self.n_new = ExactIndex(points), n_new

    def nearest(self, queries, k, **options):
        assert len(queries) == self.n_new
        return self.exact.nearest(queries, k)


def test_long_lists_that_lost_a_neighbor_are_filled_from_others(random):
    rows = random.normal(size=(900, 4)).astype(np.float32)
    training = build_training_set(rows[:880], np.zeros(880, int), 1)
    lists = nearest_others(
        ExactIndex(training.points), training.points, training.node_weights(), 32
    )
    pending = PendingRows(np.arange(20, 880))
    pending = pending.added(rows[880:], np.zeros(20, int), None)
    change = change_rows(training, row_hashes(training.points, 0), pending, 0)
    points = change.training.points
    found, moved = change_neighbors(lists, change, NotSearched(points, 20), 32)
    exact = nearest_others(
        ExactIndex(points), points, change.training.node_weights(), 32
    )
    right = (np.sort(found.ids) == np.sort(exact.ids)).all(axis=1)
    assert right.mean() > 0.98
    assert_allclose(found.squared[right], exact.squared[right], rtol=1e-5)
    assert (np.diff(found.squared, axis=1) >= 0).all()
    assert (found.ids >= 0).all()
    before = change.node_now[lists.ids[change.old_node[~moved]]]
    assert_array_equal(found.ids[~moved], before)


@pytest.mark.parametrize("grid", [False, True])
@pytest.mark.parametrize("small_blocks", [False, True])
@pytest.mark.parametrize(
    ("n_gone", "n_new"), [(0, 0), (5, 0), (0, 3), (40, 40), (90, 9)]
)
def test_lists_are_those_of_a_search_of_all(
    n_gone, n_new, small_blocks, grid, monkeypatch
):
    if small_blocks:
        for name in ("_NEW_PER_BLOCK", "_OLD_PER_BLOCK", "_MERGED_PER_CHUNK"):
            monkeypatch.setattr(changed_lists, name, 7)
    changed = Changing(n_gone + n_new, 160, n_gone, n_new, grid=grid)
    change = changed.change
    lists = exact_lists(changed.before, 6)
    points = change.training.points
    index = ExactIndex(points)
    found, moved = change_neighbors(lists, change, index, 6, n_threads=2)
    exact = exact_lists(change.training, 6)
    assert_array_equal(found.ids, exact.ids)
    assert_allclose(found.squared, exact.squared, rtol=1e-5)
    assert_array_equal(found.node_weights, change.training.node_weights())
    # Exactly those have moved that are new or list others than before.
    then = change.node_now[lists.ids[change.old_node]]
    others = (np.sort(then) != np.sort(exact.ids)).any(axis=1)
    assert_array_equal(moved, others | (change.old_node < 0))
    again, all_moved = change_neighbors(lists, change, index, 6, anew=True)
    assert_array_equal(again.ids, exact.ids)
    assert all_moved.all()


def test_lists_grow_and_shrink_with_the_number_of_nodes():
    few = Changing(1, 6, 3, 0)
    lists = exact_lists(few.before, 6)
    for changed in (few, Changing(1, 6, 0, 9)):
        training = changed.change.training
        found, moved = change_neighbors(
            lists, changed.change, ExactIndex(training.points), 6
        )
        assert found.ids.shape[1] == min(6, training.n_nodes - 1)
        assert_array_equal(found.ids, exact_lists(training, 6).ids)
        assert moved.all()
