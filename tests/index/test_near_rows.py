"""Lists of near rows: what they find, in what order, and rows that are hard."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

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
