"""Bandwidths, worked by hand."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import knngraph.graph.kernel as kernel_module
from knngraph.graph.kernel import (
    CompositeKernel,
    median_bandwidth,
    neighbors_bandwidth,
)
from knngraph.graph.neighbors import nearest_others
from knngraph.index.exact import ExactIndex


def column(values):
    """Points on a line."""
    return np.array(values, dtype=np.float32)[:, None]


def line_neighbors(values, counts, k):
    """Neighbors of points on a line."""
    points = column(values)
    return nearest_others(ExactIndex(points), points, np.array(counts), k)


def test_numbers_for_the_solver():
    kernel = CompositeKernel(sigma=2.0, label_weight=0.3, label_discount=0.1)
    assert_allclose(kernel.as_tuple(), (0.125, 0.7, 0.3, 0.1))


def test_median_of_the_distances_of_all_pairs():
    # 1, 2, 3, 4, 6, 7 over the pairs of 0, 1, 3, 7; the median of the squares
    # lies midway between 9 and 16.
    assert_allclose(median_bandwidth(column([0, 1, 3, 7])), np.sqrt(12.5))


def test_median_of_a_sample_above_the_limit(monkeypatch):
    monkeypatch.setattr(kernel_module, "MEDIAN_SAMPLE", 3)
    assert median_bandwidth(column([0, 1, 5, 1000, 2000])) == 4.0


def test_two_points_have_one_distance():
    assert median_bandwidth(column([1, 4])) == 3.0


def test_a_single_point_has_bandwidth_one():
    assert median_bandwidth(column([3])) == 1.0
    assert neighbors_bandwidth(line_neighbors([3], [4], k=2), 2) == 1.0


def test_distance_to_the_kth_neighbor():
    # Squared distances to the second: 9, 4, 9, 36; their median is 9.
    assert neighbors_bandwidth(line_neighbors([0, 1, 3, 7], [1] * 4, k=2), 2) == 3.0


def test_every_row_counts_in_the_median():
    # Three rows at 0 with the third other row at 1; rows 1 and 7 farther off.
    # Squared distances to the third other row: 1, 1, 1, 1, 49.
    assert neighbors_bandwidth(line_neighbors([0, 1, 7], [3, 1, 1], k=3), 3) == 1.0


@pytest.mark.parametrize("k", [1, 2])
def test_copies_of_most_rows_do_not_make_it_zero(k):
    # Nine in ten rows are among copies; the distances that are not zero decide.
    found = line_neighbors([0, 2], [9, 1], k)
    assert neighbors_bandwidth(found, k) == 2.0
