"""Nearest other nodes; copies counted, self removed by number."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from knngraph.graph.neighbors import Neighbors, nearest_others
from knngraph.index.exact import ExactIndex

POINTS = np.array([[0.0], [1.0], [5.0], [7.0]], dtype=np.float32)


class ForgetfulIndex:
    """Answers like an exact index but never finds the query itself."""

    def __init__(self, points):
        self.exact = ExactIndex(points)
        self.n_points = len(points)

    def nearest(self, queries, k, *, ef=1, n_threads=1):
        ids, squared = self.exact.nearest(queries, k + 1)
        return ids[:, 1:], squared[:, 1:]


def test_nearest_first_without_self():
    found = nearest_others(ExactIndex(POINTS), POINTS, np.ones(4, dtype=int), k=2)
    assert found.ids.tolist() == [[1, 2], [0, 2], [3, 1], [2, 1]]
    assert found.squared.tolist() == [[1, 25], [1, 16], [4, 16], [4, 36]]


def test_no_more_than_there_are():
    found = nearest_others(ExactIndex(POINTS), POINTS, np.ones(4, dtype=int), k=99)
    assert found.ids.shape == (4, 3)


def test_a_search_that_misses_the_point_itself_loses_its_farthest():
    found = nearest_others(ForgetfulIndex(POINTS), POINTS, np.ones(4, dtype=int), k=2)
    assert found.ids.tolist() == [[1, 2], [0, 2], [3, 1], [2, 1]]


def test_progress_counts_every_node():
    done = []
    nearest_others(
        ExactIndex(POINTS), POINTS, np.ones(4, dtype=int), k=1, advance=done.append
    )
    assert sum(done) == 4


def test_copies_count_as_rows():
    # Three rows at 0, one at 1, two at 5, one at 7.
    counts = np.array([3, 1, 2, 1])
    found = nearest_others(ExactIndex(POINTS), POINTS, counts, k=3)
    # The two other rows at 0 come before the one at 1; both rows at 5 follow.
    assert found.rows_taken(1).tolist() == [[0, 0, 0], [1, 0, 0], [0, 0, 0], [1, 0, 0]]
    assert found.rows_taken(4)[0].tolist() == [1, 1, 0]
    assert found.rows_taken(4)[1].tolist() == [3, 1, 0]
    assert found.squared_distance_to(1).tolist() == [0.0, 1.0, 0.0, 4.0]
    assert found.squared_distance_to(3).tolist() == [1.0, 1.0, 16.0, 36.0]


@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_distance_to_a_row_agrees_with_sorting_all_rows(k, random):
    counts = random.integers(1, 4, size=40)
    points = random.normal(size=(40, 2)).astype(np.float32)
    found = nearest_others(ExactIndex(points), points, counts, k=10)
    rows = np.repeat(points, counts, axis=0).astype(float)
    distance = ((points[:, None, :].astype(float) - rows[None]) ** 2).sum(axis=2)
    # Position k of the sorted list: position 0 is the row itself.
    expected = np.sort(distance, axis=1)[:, k]
    np.testing.assert_allclose(found.squared_distance_to(k), expected, rtol=1e-6)


def test_lists_of_some_nodes_know_the_weights_of_all(random):
    points = random.normal(size=(40, 2)).astype(np.float32)
    weights = random.integers(1, 4, size=40) / 2.0
    found = nearest_others(ExactIndex(points), points, weights, k=8)
    nodes = random.permutation(40)[:15]
    some = found.of(nodes)
    for part, of_part in ((some, nodes), (some.of(np.arange(3, 9)), nodes[3:9])):
        assert_array_equal(part.ids, found.ids[of_part])
        assert_array_equal(part.squared, found.squared[of_part])
        assert_array_equal(part.node_weights, weights[of_part])
        assert_array_equal(part.rows_taken(4), found.rows_taken(4)[of_part])
        assert_array_equal(
            part.squared_distance_to(4), found.squared_distance_to(4)[of_part]
        )


def test_a_single_node_has_no_neighbors():
    point = POINTS[:1]
    found = nearest_others(ExactIndex(point), point, np.array([3]), k=4)
    assert found.ids.shape == (1, 0)
    assert_array_equal(found.squared_distance_to(1), [0.0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_files_hold_distances_that_come_back_to_the_bit(dtype, random):
    points = random.normal(size=(50, 3)).astype(dtype)
    found = nearest_others(ExactIndex(points), points, np.ones(50), k=6)
    # A search may round in another way than the measure that is taken again.
    found.squared[::3] *= 1.0 + 4 * np.finfo(dtype).eps
    state = found.state_beside(points)
    assert np.array_equal(state["squared"], found.squared) == (dtype == np.float64)
    again = Neighbors.from_state_beside(state, points)
    assert_array_equal(again.ids, found.ids)
    for _ in range(2):  # measured at first, then kept
        assert again.squared.dtype == dtype
        assert_array_equal(again.squared, found.squared)
    assert_array_equal(again.rows_taken(3), found.rows_taken(3))
    assert not hasattr(again, "lists")
