"""Density, worked by hand."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from knngraph.graph import density as density_module
from knngraph.graph import neighbors as neighbors_module
from knngraph.graph.density import local_density
from knngraph.graph.neighbors import nearest_others
from knngraph.index.exact import ExactIndex


def density(points, scales, counts=None):
    """Density of points on a line."""
    points = np.array(points, dtype=np.float32)[:, None]
    counts = np.ones(len(points), dtype=int) if counts is None else np.array(counts)
    found = nearest_others(ExactIndex(points), points, counts, max(scales))
    return local_density(found, scales)


def test_one_scale():
    # Distances to the nearest: 1, 1, 4; inverses 1, 1, 1/4.
    assert density([0, 1, 5], [1]).tolist() == [1.0, 1.0, 0.0]


def test_several_scales_are_averaged():
    # k = 2: mean distances 3, 2.5, 4.5; inverses 1/3, 2/5, 2/9;
    # (1/3 - 2/9) / (2/5 - 2/9) = 5/8. With k = 1 as above: (1 + 5/8) / 2.
    assert_allclose(density([0, 1, 5], [1, 2]), [0.8125, 1.0, 0.0], rtol=1e-12)


def test_order_and_repeats_of_scales_only_weigh():
    once = density([0, 1, 5], [1, 2])
    assert_allclose(density([0, 1, 5], [2, 1]), once)
    assert_allclose(
        density([0, 1, 5], [1, 1, 2]), (density([0, 1, 5], [1]) + 2 * once) / 3
    )


def test_copies_carry_no_scale():
    # Rows 0, 0, 1, 5 and k = 3. Row 0: its copy is left out, the mean of 1 and 5
    # is 3. Row 1: (1 + 1 + 4) / 3 = 2. Row 5: (4 + 5 + 5) / 3 = 14/3.
    # (1/3 - 3/14) / (1/2 - 3/14) = 5/12.
    found = density([0, 1, 5], [3], counts=[2, 1, 1])
    assert_allclose(found, [5 / 12, 1.0, 0.0], rtol=1e-12)


def test_a_row_among_copies_only_is_dense():
    assert density([0, 1, 5], [1], counts=[2, 1, 1]).tolist() == [1.0, 1.0, 0.0]


def test_a_scale_beyond_the_data_takes_all_rows():
    assert_allclose(density([0, 1, 5], [50]), density([0, 1, 5], [2]))


@pytest.mark.parametrize(
    "points", [[0, 1], [0], [0, 1, 2, 3]], ids=["two rows", "one row", "a ladder"]
)
def test_equal_values_are_all_one(points):
    assert density(points, [1]).tolist() == [1.0] * len(points)


def test_density_falls_with_distance_to_the_crowd(random):
    points = np.concatenate([random.normal(size=50), [10, 100, 1000]])
    found = density(points, [3, 7])
    assert found[:50].min() > found[50] > found[51] > found[52] == 0.0
    assert found.max() <= 1.0


@pytest.mark.parametrize("copies", [1, 3])
def test_size_of_the_blocks_changes_no_bit(copies, monkeypatch, random):
    points = random.normal(size=(50, 2)).astype(np.float32)
    counts = random.integers(1, copies + 1, size=50)
    found = nearest_others(ExactIndex(points), points, counts, 8)
    whole = local_density(found, [1, 3, 8]), found.squared_distance_to(5)
    monkeypatch.setattr(density_module, "NODES_PER_BLOCK", 7)
    monkeypatch.setattr(neighbors_module, "NODES_PER_BLOCK", 7)
    assert_array_equal(local_density(found, [1, 3, 8]), whole[0])
    assert_array_equal(found.squared_distance_to(5), whole[1])


def test_distances_whose_squares_underflow_are_no_distances():
    points = np.array([[0.0], [1e-30], [2e-30], [1.0]], dtype=np.float32)
    found = nearest_others(ExactIndex(points), points, np.ones(4, dtype=int), k=2)
    density = local_density(found, [1, 2])
    assert np.isfinite(density).all()
