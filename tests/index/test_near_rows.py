"""Lists of near rows: what they find, in what order, and rows that are hard."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from knngraph.distances import squared_distances
from knngraph.index import near_rows
from knngraph.index.cells import group_rows
from knngraph.index.exact import ExactIndex
from knngraph.index.near_rows import list_near_rows


def lists_of(points, k, n_threads=1):
    cells = group_rows(points, n_threads=n_threads)
    ordered = points[cells.order]
    return ordered, *list_near_rows(ordered, cells, k, n_threads=n_threads)


def assert_well_formed(ordered, ids, squared):
    """Other rows, none twice, by distance and then by place, measured right."""
    n_rows = len(ordered)
    assert ids.dtype == np.int32
    assert squared.dtype == np.float32
    assert ids.min() >= 0
    assert ids.max() < n_rows
    assert not (ids == np.arange(n_rows)[:, None]).any()
    in_order = np.sort(ids, axis=1)
    assert (np.diff(in_order, axis=1) > 0).all()
    steps = np.diff(squared, axis=1)
    assert (steps >= 0).all()
    assert (np.diff(ids, axis=1)[steps == 0] > 0).all()
    for rows in np.array_split(np.arange(n_rows), 1 + n_rows // 1000):
        differences = ordered[ids[rows]].astype(float) - ordered[rows, None]
        assert_allclose(squared[rows], (differences**2).sum(axis=2), rtol=1e-5)


def recall_of(ordered, ids, k, sample=300):
    rows = np.random.default_rng(0).choice(len(ordered), sample, replace=False)
    exact, _ = ExactIndex(ordered).nearest(ordered[rows], k + 1)
    return np.array(
        [np.isin(ids[row], found[found != row][:k]).sum() / k
         for row, found in zip(rows, exact)]
    )  # fmt: skip


@pytest.fixture(scope="module")
def clumps():
    random = np.random.default_rng(0)
    centers = random.normal(scale=2.0, size=(40, 12))
    return (
        centers[random.integers(40, size=12_000)] + random.normal(size=(12_000, 12))
    ).astype(np.float32)


def test_nearly_all_neighbors_are_found(clumps):
    ordered, ids, squared = lists_of(clumps, 32)
    assert_well_formed(ordered, ids, squared)
    assert recall_of(ordered, ids, 32).mean() > 0.95


def test_few_rows_have_their_exact_neighbors(clumps):
    ordered, ids, squared = lists_of(clumps[:1000], 32)
    assert_well_formed(ordered, ids, squared)
    assert recall_of(ordered, ids, 32).mean() > 0.999


def test_threads_change_no_bit(clumps):
    once = lists_of(clumps, 20)
    for n_threads in (1, 2, 3):
        for one, other in zip(once, lists_of(clumps, 20, n_threads)):
            assert_array_equal(one, other)


def test_progress_counts_all_rows(clumps):
    done = []
    cells = group_rows(clumps)
    list_near_rows(clumps[cells.order], cells, 8, n_threads=2, advance=done.append)
    assert sum(done) == len(clumps)


@pytest.fixture(scope="module")
def ordered_noise():
    """Rows of many columns, in the order of their cells, and the cells."""
    points = np.random.default_rng(0).normal(size=(4000, 20)).astype(np.float32)
    cells = group_rows(points)
    return points[cells.order], cells


@pytest.mark.parametrize("n_wanted", [16, 1200, 4000])
def test_which_cells_a_row_is_compared_with(n_wanted, ordered_noise):
    ordered, cells = ordered_noise
    start, stop = 3, 9
    chosen, bounds = near_rows._choose_cells(ordered, cells, start, stop, n_wanted)
    sizes = np.diff(cells.starts)
    own = ordered[cells.starts[start] : cells.starts[stop]]
    away = squared_distances(own, cells.centers)
    equal = 0
    for row, found in enumerate(np.split(chosen, bounds[1:-1])):
        # Of the nearest 40, or as many as hold the rows wanted at 12 rows each, the
        # first 12, those about as far as the third, and more while rows are too few.
        order = np.argsort(away[row])[: max(40, -(-n_wanted // 12))]
        before = np.cumsum(sizes[order]) - sizes[order]
        near = away[row, order] <= 1.5 * away[row, order[2]]
        wanted = order[(np.arange(len(order)) < 12) | near | (before < n_wanted)]
        equal += found.tolist() == wanted.tolist()
    assert equal >= 0.99 * len(own)
    assert len(bounds) == len(own) + 1


@pytest.mark.parametrize("k", [1, 8, 60])
def test_lists_hold_the_nearest_of_the_cells_compared(k, ordered_noise):
    ordered, cells = ordered_noise
    lists, compared = near_rows._by_products(ordered, cells, k, 1)
    assert lists.fresh.all()
    assert (lists.ids & 1).all()
    chosen, bounds = compared[0]
    for row in range(0, 4000, 40):
        some = chosen[bounds[row] : bounds[row + 1]]
        starts, stops = cells.starts[some], cells.starts[some + 1]
        rows = np.concatenate([np.arange(*pair) for pair in zip(starts, stops)])
        rows = rows[rows != row]
        squared = ((ordered[rows].astype(float) - ordered[row]) ** 2).sum(axis=1)
        nearest = np.argsort(squared)[:k]
        assert_array_equal(lists.ids[row] >> 1, rows[nearest])
        assert_allclose(lists.squared[row], squared[nearest], rtol=1e-5)


def test_a_join_finds_the_neighbors_of_neighbors(ordered_noise):
    ordered, cells = ordered_noise
    k = 8
    lists, compared = near_rows._by_products(ordered, cells, k, 1)
    before = lists.ids >> 1
    better = near_rows._Lists(
        np.empty_like(lists.ids), lists.squared.copy(), lists.fresh.copy()
    )
    n_new = near_rows._join(ordered, cells.starts, compared, lists, better, 1)
    after, is_new = better.ids >> 1, (better.ids & 1).astype(bool)
    assert_array_equal(is_new, ~(after[:, :, None] == before[:, None]).any(axis=2))
    assert n_new == is_new.sum() > 0
    assert_array_equal(better.fresh, is_new.any(axis=1))
    reverse = [[] for _ in ordered]
    for row, own in enumerate(before):
        for other in own:
            reverse[other].append(row)
    n_found = n_near = 0
    for row in range(0, 4000, 10):
        middle = np.concatenate([before[row], reverse[row]]).astype(int)
        met = np.unique(np.concatenate([middle, before[middle].ravel()]))
        met = met[met != row]
        squared = ((ordered[met] - ordered[row]) ** 2).sum(axis=1)
        nearest = met[np.argsort(squared)[:k]]
        n_found += np.isin(nearest, after[row]).sum()
        n_near += k
    # All of them, but where more than sixteen rows list one.
    assert n_found > 0.999 * n_near


@pytest.mark.parametrize("k", [8, 32])
def test_lists_are_joined_until_next_to_nothing_is_new(k, ordered_noise):
    ordered, cells = ordered_noise
    lists, compared = near_rows._by_products(ordered, cells, k, 1)
    ids, squared = list_near_rows(ordered, cells, k)
    assert (squared < lists.squared).mean() > 0.01
    other = near_rows._Lists(
        np.empty_like(lists.ids), lists.squared.copy(), lists.fresh.copy()
    )
    for _ in range(4):
        n_new = near_rows._join(ordered, cells.starts, compared, lists, other, 1)
        lists, other = other, lists
    assert n_new == 0
    assert_array_equal(ids, lists.ids >> 1)
    assert_array_equal(squared, lists.squared)


def grid():
    axis = np.arange(20)
    return np.stack(np.meshgrid(axis, axis, axis), axis=-1).reshape(-1, 3)


def near_copies():
    random = np.random.default_rng(0)
    rows = random.normal(size=(6000, 8))
    rows[3000:] = 5.0 + 1e-5 * rows[3000:]
    return random.permutation(rows)


def with_outliers():
    rows = np.random.default_rng(0).normal(size=(6000, 5))
    rows[::1000] *= 1e18
    return rows


HARD = {
    "grid": grid,
    "near copies": near_copies,
    "outliers": with_outliers,
    "one column": lambda: np.arange(6000)[:, None] ** 1.1,
    "nearly equal": lambda: np.unique(
        1.0 + 1e-6 * np.random.default_rng(0).random((6000, 3), dtype=np.float32),
        axis=0,
    ),
    "heavy tails": lambda: np.random.default_rng(0).standard_t(1.0, size=(6000, 6)),
}


@pytest.mark.parametrize("name", HARD)
def test_lists_of_hard_rows_are_well_formed(name):
    points = np.unique(HARD[name]().astype(np.float32), axis=0)
    ordered, ids, squared = lists_of(points, 32)
    assert_well_formed(ordered, ids, squared)


def test_rows_too_large_to_square_come_last_in_silence():
    points = np.random.default_rng(0).normal(size=(6000, 4)).astype(np.float32)
    points[::1000] *= 1e30
    ordered, ids, squared = lists_of(points, 32)
    usual = np.abs(ordered).max(axis=1) < 1e6
    assert np.isfinite(squared[usual]).all()
    assert usual[ids[usual]].all()
    assert np.isposinf(squared[~usual]).all()


@pytest.mark.parametrize("n_rows", [2, 3, 65, 130])
def test_lists_may_name_all_other_rows(n_rows):
    points = np.random.default_rng(0).random((n_rows, 4), dtype=np.float32)
    ordered, ids, squared = lists_of(points, n_rows - 1)
    assert_well_formed(ordered, ids, squared)
