"""Cells of near rows: a partition, of cells neither empty nor large."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from knngraph.index.cells import group_rows


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
