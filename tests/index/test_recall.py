"""How well searches find the nearest points, measured."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from knngraph.index.build import build_graph
from knngraph.index.exact import ExactIndex
from knngraph.index.hnsw import HNSWIndex
from knngraph.index.recall import (
    EF_GRID,
    SearchRecall,
    measure_recall,
    measure_recall_from_medoids,
    n_held_out,
    recall_of_lists,
    with_enough_recall,
)


def worked_probe():
    """Four held-out rows: `ef` 1 ends right twice, 2 thrice, larger ones always."""
    reached = np.tile([0, 1, 2, 3], (len(EF_GRID), 1))
    reached[0] = [0, 1, 4, 5]
    reached[1] = [0, 1, 2, 5]
    excess = np.zeros(reached.shape, dtype=np.float32)
    excess[reached > 3] = 0.5
    return SearchRecall(reached, np.array([0, 1, 2, 3]), excess)


def test_stretch_of_distances():
    recall = worked_probe()
    assert recall.stretch(1).tolist() == [1.0, 1.0, 1.5, 1.5]
    assert recall.stretch(2).tolist() == [1.0, 1.0, 1.0, 1.5]
    assert recall.with_more(recall.of(slice(3))).stretch(1).tolist() == [
        *(1.0, 1.0, 1.5, 1.5),
        *(1.0, 1.0, 1.5),
    ]
    # Node 4 is gone, and the search that ended there with it.
    renumbered = recall.renumbered(np.array([5, 1, 2, 3, -1, 0]))
    assert renumbered.stretch(1).tolist() == [1.0, 1.0, 1.5]
    none = SearchRecall.of_none()
    assert none.stretch(8).tolist() == []
    assert none.renumbered(np.empty(0, dtype=np.intp)) is none


def test_rows_are_taken_renumbered_and_joined():
    recall = worked_probe()
    some = recall.of(np.array([3, 0]))
    assert some.nearest.tolist() == [3, 0]
    assert some.reached[:3].tolist() == [[5, 0], [5, 0], [3, 0]]
    assert some.excess[:3].tolist() == [[0.5, 0.0], [0.5, 0.0], [0.0, 0.0]]
    more = some.with_more(recall)
    assert more.nearest.tolist() == [3, 0, 0, 1, 2, 3]
    assert more.reached[0].tolist() == [5, 0, 0, 1, 4, 5]
    assert more.excess[0].tolist() == [0.5, 0.0, 0.0, 0.0, 0.5, 0.5]
    # Without 0, which is nearest to the first row; the others have other numbers.
    now = recall.renumbered(np.array([-1, 0, 1, 2, 3, 9]))
    assert now.nearest.tolist() == [0, 1, 2]
    assert now.reached[:3].tolist() == [[0, 3, 9], [0, 1, 9], [0, 1, 2]]
    assert now.excess[0].tolist() == [0.0, 0.5, 0.5]


def test_a_fifth_is_held_out_up_to_500():
    assert [n_held_out(n) for n in (4, 5, 9, 10, 2499, 2500, 10**6)] == [
        *(0, 1, 1, 2, 499, 500, 500)
    ]
    none = measure_recall(None, np.empty((4, 2)), np.empty((0, 2)), 1)
    assert len(none.nearest) == 0
    assert len(none.reached) == len(EF_GRID)


def test_agreement_of_nodes():
    own_number = np.arange(6)
    search_recall = worked_probe()
    assert search_recall.agreement(own_number, ef=1) == 0.5
    assert search_recall.agreement(own_number, ef=2) == 0.75
    assert search_recall.agreement(own_number, ef=EF_GRID[2]) == 1.0
    # Between two measured ones the smaller counts.
    assert search_recall.agreement(own_number, ef=10**6) == 1.0
    assert EF_GRID[3] + 1 < EF_GRID[4]
    search_recall.reached[3] = [0, 5, 5, 5]
    assert search_recall.agreement(own_number, ef=EF_GRID[3] + 1) == 0.25


def test_agreement_of_answers():
    # The wrong nodes 4 and 5 hold the answers of the right ones, 2 and 3.
    answers = np.array([0, 0, 1, 0, 1, 0])
    assert worked_probe().agreement(answers, ef=1) == 1.0


def test_smallest_beam():
    own_number = np.arange(6)
    search_recall = worked_probe()
    assert search_recall.smallest_ef(own_number, share=0.5) == 1
    assert search_recall.smallest_ef(own_number, share=0.7) == 2
    assert search_recall.smallest_ef(own_number, share=0.99) == EF_GRID[2]
    search_recall.reached[:] = 5
    assert search_recall.smallest_ef(own_number, share=0.5) == EF_GRID[-1]


def test_nodes_are_their_own_answers():
    search_recall = worked_probe()
    n_nodes = max(search_recall.nearest.max(), search_recall.reached.max()) + 1
    own_number = np.arange(n_nodes)
    for ef in EF_GRID:
        expected = search_recall.agreement(own_number, ef)
        assert search_recall.agreement(None, ef) == expected


@pytest.mark.parametrize(("n", "d"), [(3000, 16), (5000, 8)])
def test_recall_from_medoids_is_that_of_rows_not_inserted_yet(n, d, random):
    centers = 2.0 * random.normal(size=(100, d))
    rows = centers[random.integers(100, size=n + 2000)]
    rows = (rows + random.normal(size=rows.shape)).astype(np.float32)
    points, queries = rows[:n], rows[n:]
    index = build_graph(points).index
    measured = measure_recall_from_medoids(index, points, 1)
    lost = measured.reached != measured.nearest
    assert_array_equal(measured.excess > 0.0, lost)
    new = measure_recall(index.from_medoids(points), points, queries, 1)
    assert 200 < len(measured.nearest) <= n // 10
    # Of 300 to 500 rows: a standard error of 3 % at most.
    for ef in EF_GRID:
        assert abs(measured.agreement(None, ef) - new.agreement(None, ef)) < 0.08


def test_recall_from_medoids_after_changes(random):
    points = random.normal(size=(1000, 6)).astype(np.float32)
    index = build_graph(points).index
    number_now = np.full(1000, -1)
    number_now[:900] = np.arange(900)[::-1] + 100
    added = random.normal(loc=3.0, size=(100, 6)).astype(np.float32)
    changed = index.renumbered(number_now)
    changed.add(added, np.arange(100))
    points = np.concatenate([added, points[:900][::-1]])
    # By insertion: the last of the old, then the new.
    assert changed.latest(102).tolist() == [101, 100, *range(100)]
    measured = measure_recall_from_medoids(changed, points, 1)
    entries = changed.from_medoids(points).entries
    places = np.setdiff1d(np.arange(100), entries)
    left = np.setdiff1d(np.arange(1000), places)
    exact, _ = ExactIndex(points[left]).nearest(points[places], 1)
    assert_array_equal(measured.nearest, left[exact[:, 0]])
    assert measured.agreement(None, 64) > 0.9


def test_recall_is_named_by_the_numbers_of_the_index(random):
    points = random.normal(size=(300, 4)).astype(np.float32)
    numbers = 2 * np.arange(250) + 5
    index = HNSWIndex(4, 250)
    index.add(points[:250], numbers)
    recall = measure_recall(index, points[:250], points[250:], 1, numbers)
    exact, _ = ExactIndex(points[:250]).nearest(points[250:], 1)
    assert_array_equal(recall.nearest, numbers[exact[:, 0]])
    assert recall.agreement(None, 256) == 1.0
    assert 0.1 < recall.agreement(None, 1) < 1.0


def test_recall_of_lists_is_the_share_of_the_nearest_that_are_listed(random):
    points = random.normal(size=(400, 3)).astype(np.float32)
    _, squared = ExactIndex(points).nearest(points, 11)
    squared = squared[:, 1:].astype(np.float32)
    assert recall_of_lists(squared, points, 1) == 1.0
    squared[:, 7:] *= 100.0
    assert recall_of_lists(squared, points, 1) == 0.7


def test_every_ef_of_the_grid_has_a_row():
    search_recall = worked_probe()
    n_ef = len(EF_GRID)
    excess = np.tile(np.arange(n_ef, dtype=np.float32)[:, None], 4)
    recall = SearchRecall(search_recall.reached, search_recall.nearest, excess)
    for row, ef in enumerate(EF_GRID):
        assert recall.stretch(ef).tolist() == [1.0 + row] * 4
        after = EF_GRID[row + 1] if row + 1 < n_ef else 10**6
        assert recall.stretch(after - 1).tolist() == [1.0 + row] * 4


class FoundAt:
    """An index over a line of points that ends a search so many points off."""

    def __init__(self, points, off):
        self.exact, self.off = ExactIndex(points), off

    def nearest(self, queries, k, *, ef=1, n_threads=1):
        ids, squared = self.exact.nearest(queries, self.off.get(ef, 0) + 1)
        return ids[:, -1:], squared[:, -1:]


def test_excess_is_the_share_that_a_search_ends_farther():
    points = np.array([[0.0], [10.0], [30.0], [70.0]], dtype=np.float32)
    queries = np.array([[1.0], [33.0], [10.0]], dtype=np.float32)
    recall = measure_recall(FoundAt(points, {1: 2, 2: 1}), points, queries, 1)
    assert recall.nearest.tolist() == [0, 2, 1]
    assert recall.reached[:4].tolist() == [[2, 0, 2], [1, 1, 0], [0, 2, 1], [0, 2, 1]]
    # The third query lies on a point: nothing is so many times as far.
    assert recall.excess[0] == pytest.approx([28.0, 10.0, 0.0])
    assert recall.excess[1] == pytest.approx([8.0, 23 / 3 - 1, 0.0])
    assert (recall.excess[2:] == 0.0).all()


class FindsSome:
    """An index that lists the nearest, and beyond a part of `ef` farther points."""

    def __init__(self, points, share):
        self.exact, self.share, self.calls = ExactIndex(points), share, []
        self.n_points = len(points)

    def nearest(self, queries, k, *, ef=1, n_threads=1):
        self.calls.append((len(queries), k, ef))
        ids, squared = self.exact.nearest(queries, k)
        squared[:, int(self.share * ef) :] *= 1e3
        return ids, squared


@pytest.mark.parametrize(
    ("share", "factor", "recall"),
    [
        (0.5, 2, 1.0),
        (0.486, 2, 0.97),
        (0.48, 3, 1.0),
        (0.04, 32, 1.0),
        (0.03, 32, 0.96),
    ],
)
def test_ef_is_raised_until_97_of_100_neighbors_are_found(share, factor, recall):
    points = np.random.default_rng(0).normal(size=(700, 3)).astype(np.float32)
    index, k = FindsSome(points, share), 100
    wide = with_enough_recall(index, points, k)
    assert wide.ef == factor * k
    assert wide.recall == pytest.approx(recall)
    # Of every second point, 300 of them.
    assert {call[:2] for call in index.calls} == {(300, k)}
    factors = [2, 3, 4, 6, 8, 12, 16, 24, 32]
    assert [call[2] // k for call in index.calls] == [f for f in factors if f <= factor]
    assert wide.n_points == 700
    wide.nearest(points[:2], 5)
    wide.nearest(points[:2], 5, ef=10**4)
    assert index.calls[-2:] == [(2, 5, wide.ef), (2, 5, 10**4)]


def test_recall_of_lists_is_measured_on_300_points_evenly_picked():
    points = np.random.default_rng(0).normal(size=(1000, 3)).astype(np.float32)
    _, squared = ExactIndex(points).nearest(points, 5)
    squared = squared[:, 1:].astype(np.float32)
    picked = np.zeros(1000, dtype=bool)
    picked[:900:3] = True
    squared[~picked] *= 100.0
    assert recall_of_lists(squared, points, 1) == 1.0
    squared[897] *= 100.0
    assert recall_of_lists(squared, points, 1) == 299 / 300


def test_points_that_are_searched_for_are_not_found(random):
    # The last tenth, which no link leads to, lies far away from all others.
    points = random.normal(size=(1000, 3)).astype(np.float32)
    points[900:] = 50.0 + 0.01 * points[900:]
    index = build_graph(points).index
    measured = measure_recall_from_medoids(index, points, 1)
    assert len(measured.nearest) <= 100
    assert measured.reached.max() < 1000
    entries = index.from_medoids(points).entries
    kept = np.sort(np.concatenate([np.arange(900), entries[entries >= 900]]))
    exact, _ = ExactIndex(points[kept]).nearest(
        points[np.setdiff1d(np.arange(900, 1000), entries)], 1
    )
    assert_array_equal(measured.nearest, kept[exact[:, 0]])
    assert np.isin(measured.reached, kept).all()
    assert (measured.excess[measured.reached == measured.nearest] == 0.0).all()


def test_lists_may_hold_any_of_points_equally_far():
    points = np.arange(50, dtype=np.float32)[:, None]
    # The second and the third nearest are as far, and so are the fourth and fifth.
    squared = np.tile(np.array([1.0, 1.0, 4.0], dtype=np.float32), (50, 1))
    assert recall_of_lists(squared, points, 1) == 1.0
    squared[:, 2] = 4.001
    assert recall_of_lists(squared[1:-1], points[1:-1], 1) < 0.75
