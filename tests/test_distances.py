"""Squared distances, two ways."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.spatial.distance import cdist

from knngraph.distances import squared_distances, squared_distances_to


def test_worked_by_hand():
    rows = np.array([[0, 0], [1, 1]], dtype=np.float32)
    points = np.array([[3, 4], [1, 1], [0, 2]], dtype=np.float32)
    assert squared_distances(rows, points).tolist() == [[25, 2, 4], [13, 0, 2]]
    ids = np.array([[2, 0], [1, 1]])
    assert squared_distances_to(rows, points, ids).tolist() == [[4, 25], [0, 0]]


def test_both_agree_with_scipy(random):
    rows = random.normal(size=(30, 5)).astype(np.float32)
    points = random.normal(size=(40, 5)).astype(np.float32)
    expected = cdist(rows, points, "sqeuclidean")
    assert_allclose(squared_distances(rows, points), expected, atol=1e-12)
    ids = np.broadcast_to(np.arange(40), (30, 40))
    assert_allclose(squared_distances_to(rows, points, ids), expected, rtol=1e-12)


def test_rounding_never_makes_a_distance_negative(random):
    rows = (random.normal(size=(50, 3)) + 1e6).astype(np.float32)
    assert squared_distances(rows, rows).min() == 0.0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("share", [0.02, 1.0])
def test_a_product_that_loses_digits_is_made_good(dtype, share, random):
    rows = random.normal(size=(200, 3))
    rows[random.random(200) <= share] += 1e9 if dtype == np.float64 else 1e6
    rows = rows.astype(dtype)
    expected = cdist(rows, rows, "sqeuclidean")
    assert_allclose(squared_distances(rows, rows), expected, rtol=1e-8)


def test_differences_keep_their_digits_far_from_the_origin():
    rows = np.array([[1e7], [1e7 + 1]], dtype=np.float32)
    far = squared_distances_to(rows, rows, np.array([[1], [0]]))
    assert far.tolist() == [[1.0], [1.0]]
