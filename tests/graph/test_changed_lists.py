"""Neighbor lists after nodes have come and gone."""

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

from knngraph.graph.changed_lists import change_neighbors
from knngraph.graph.changed_rows import PendingRows, change_rows
from knngraph.graph.neighbors import nearest_others
from knngraph.graph.training_set import build_training_set, row_hashes
from knngraph.index.exact import ExactIndex


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
