"""Cells of near rows: a partition, of cells neither empty nor large."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from knngraph.distances import squared_distances
from knngraph.index import cells as of_cells
from knngraph.index.cells import ROWS_PER_CELL, group_rows


def made(name, n_rows):
    random = np.random.default_rng(0)
    rows = random.normal(size=(n_rows, 6))
    if name == "copies":
        rows = 3.0 + 1e-6 * rows
    if name == "outliers":
        rows[:: n_rows // 5] *= 1e18
    if name == "sorted":
        rows = rows[rows[:, 0].argsort()]
    return rows.astype(np.float32)


@pytest.mark.parametrize("n_rows", [1, 2, 63, 64, 129, 4096, 4097, 20_000])
@pytest.mark.parametrize("name", ["normal", "copies", "outliers", "sorted"])
def test_every_row_is_in_one_cell_and_no_cell_is_large(name, n_rows):
    if n_rows < 5 and name == "outliers":
        return
    cells = group_rows(made(name, n_rows))
    assert_array_equal(np.sort(cells.order), np.arange(n_rows))
    sizes = np.diff(cells.starts)
    assert cells.starts[0] == 0
    assert cells.starts[-1] == n_rows
    assert sizes.min() > 0
    assert sizes.max() < 400
    assert len(cells.centers) == len(sizes)
    assert np.isfinite(cells.centers).all()


def sizes_of_copies(*counts):
    """Sizes of the cells of so many copies of 0, of 10, of 20 ..., in this order."""
    values = 10.0 * np.arange(len(counts), dtype=np.float32)
    cells = group_rows(np.repeat(values, counts)[:, None])
    sizes = np.diff(cells.starts)
    return [sorted(sizes[cells.centers[:, 0] == value].tolist()) for value in values]


def test_cells_of_equal_rows_have_64_if_all_are_more_than_160():
    # k-means cannot part them.
    assert sizes_of_copies(1) == [[1]]
    assert sizes_of_copies(160) == [[160]]
    assert sizes_of_copies(161) == [[33, 64, 64]]
    assert sizes_of_copies(161, 160) == [[33, 64, 64], [160]]
    assert sizes_of_copies(170, 160, 200, 300) == [
        *([42, 64, 64], [160], [64, 64, 72], [44, 64, 64, 64, 64]),
    ]
    # Twelve rows are enough for a cell; fewer join another, but for all there are.
    assert sizes_of_copies(12, 100) == [[12], [100]]
    assert sizes_of_copies(11, 100) == [[], [111]]
    assert sizes_of_copies(11) == [[11]]


def test_rows_of_a_cell_are_near_one_another():
    points = made("normal", 20_000)
    cells = group_rows(points)
    for start, stop in zip(cells.starts[:-1:20], cells.starts[1::20]):
        assert points[cells.order[start:stop]].var(axis=0).sum() < 0.5 * 6.0


def test_threads_change_no_bit():
    points = made("normal", 20_000)
    once = group_rows(points)
    for n_threads in (1, 2, 3):
        for one, other in zip(
            vars(once).values(), vars(group_rows(points, n_threads=n_threads)).values()
        ):
            assert_array_equal(one, other)


def test_cells_are_of_their_size_and_rows_are_near_their_centers():
    points = made("normal", 20_000)
    cells = group_rows(points)
    sizes = np.diff(cells.starts)
    assert sizes.mean() == pytest.approx(ROWS_PER_CELL, rel=0.25)
    assert (sizes < 12).sum() == 0
    own = np.repeat(np.arange(len(sizes)), sizes)
    ordered = points[cells.order]
    squared = squared_distances(ordered, cells.centers)
    away = squared[np.arange(len(points)), own]
    assert away.mean() < 1.1 * squared.min(axis=1).mean()
    assert (squared.argmin(axis=1) == own).mean() > 0.8
    # The centers are means, but for the last moves.
    means = np.add.reduceat(ordered, cells.starts[:-1]) / sizes[:, None]
    assert np.abs(means - cells.centers).mean() < 0.1


@pytest.mark.parametrize(("n_rows", "least"), [(1000, 1.0), (20_000, 0.95)])
def test_near_cells_have_the_nearest_centers(n_rows, least):
    cells = group_rows(made("normal", n_rows))
    n_cells = len(cells.centers)
    assert cells.near.shape == (n_cells, min(512, n_cells))
    assert_array_equal(cells.near[:, 0], np.arange(n_cells))
    there = cells.near >= 0
    assert (there[:, 1:] <= there[:, :-1]).all()
    assert all(len(set(row[row >= 0])) == (row >= 0).sum() for row in cells.near)
    squared = squared_distances(cells.centers, cells.centers)
    away = np.take_along_axis(squared, cells.near.clip(0), axis=1)
    steps = np.diff(np.where(there, away, np.inf)[:, 1:], axis=1)
    assert (steps[there[:, 2:]] >= -1e-5).all()
    k = min(32, n_cells)
    exact = np.sort(squared, axis=1)[:, k - 1 : k]
    found = (away[:, :k] <= exact * (1.0 + 1e-5)).mean()
    assert found >= least
    if n_rows == 1000:
        assert there.all()


def test_so_many_cells_are_near_as_are_looked_for(monkeypatch):
    monkeypatch.setattr(of_cells, "_NEAR", 8)
    cells = group_rows(made("normal", 3000))
    squared = squared_distances(cells.centers, cells.centers)
    np.fill_diagonal(squared, -1.0)
    assert len(squared) > 40
    assert_array_equal(cells.near, np.argsort(squared, axis=1)[:, :8])


def test_cells_next_to_one_another_are_near():
    points = made("normal", 20_000)
    cells = group_rows(points)
    squared = squared_distances(cells.centers, cells.centers)
    steps = squared[np.arange(len(squared) - 1), np.arange(1, len(squared))]
    assert steps.mean() < 0.5 * squared.mean()


def test_a_dense_group_is_parted_again(monkeypatch):
    # Most rows are in one small place, a few far away: one group takes nearly all.
    points = made("normal", 20_000)
    points[:18_000] *= 1e-3
    groups = of_cells._Groups.of(points, 1)
    sizes = np.diff(groups.starts)
    assert 20_000 // 1111 <= len(sizes) < 100
    assert sizes.max() < 4 * 1112
    assert_array_equal(np.sort(groups.order), np.arange(20_000))
    assert_array_equal(groups.rows, points[groups.order])
    own = np.repeat(np.arange(len(sizes)), sizes)
    dense = groups.order < 18_000
    # Its rows are not in one group each by chance, but by where they lie.
    nearest = squared_distances(groups.rows[dense], groups.centers).argmin(axis=1)
    assert (nearest == own[dense]).mean() > 0.6
    # Rows that k-means does not part are cut by their numbers.
    monkeypatch.setattr(of_cells, "_DEEPEST", 0)
    groups = of_cells._Groups.of(points, 1)
    assert np.ptp(np.diff(groups.starts)) <= 1
    assert_array_equal(np.sort(groups.order), np.arange(20_000))


def test_rows_far_from_all_large_cells_join_one():
    points = made("normal", 20_000)
    # k-means starts from these: each becomes a group, and the groups near it as small.
    places = 8 * np.linspace(0, 2500, 18, endpoint=False).astype(int)[:12]
    points[places] = 1e4 + 1e3 * np.arange(12)[:, None]
    groups = of_cells._Groups.of(points, 1)
    assert (np.diff(groups.starts) == 1).sum() == 12
    cells = group_rows(points)
    assert_array_equal(np.sort(cells.order), np.arange(20_000))
    assert np.diff(cells.starts).min() >= 12


def test_means_of_cells_and_of_none():
    rows = np.array([[0.0, 2.0], [4.0, 0.0], [2.0, 1.0]], dtype=np.float32)
    centers = np.full((3, 2), 9.0, dtype=np.float32)
    means = of_cells._means(rows, np.array([0, 0, 2]), centers)
    assert means.tolist() == [[2.0, 1.0], [9.0, 9.0], [2.0, 1.0]]
    assert (centers == 9.0).all()


@pytest.mark.parametrize("n_centers", [1, 2, 3, 70])
def test_the_nearest_center_whatever_the_chunk(n_centers, random, monkeypatch):
    rows = random.normal(size=(500, 3)).astype(np.float32)
    centers = random.normal(size=(n_centers, 3)).astype(np.float32)
    expected = squared_distances(rows, centers).argmin(axis=1)
    for cached in (2**18, 0):
        monkeypatch.setattr(of_cells, "_CACHED_NUMBERS", cached)
        assert_array_equal(of_cells._nearest(rows, centers), expected)
