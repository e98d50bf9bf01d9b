"""Brute force against sorting all distances in double precision."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from knngraph.index.exact import ExactIndex


@pytest.mark.parametrize("offset", [0.0, 1e4])
@pytest.mark.parametrize("n_threads", [1, 2])
def test_agrees_with_sorting(offset, n_threads, random):
    points = (random.normal(size=(60, 3)) + offset).astype(np.float32)
    queries = (random.normal(size=(600, 3)) + offset).astype(np.float32)
    difference = queries[:, None].astype(float) - points[None].astype(float)
    squared = (difference**2).sum(axis=2)
    ids, found = ExactIndex(points).nearest(queries, 5, n_threads=n_threads)
    assert_array_equal(ids, np.argsort(squared, axis=1)[:, :5])
    assert_allclose(found, np.sort(squared, axis=1)[:, :5], rtol=1e-12)


def test_no_more_than_there_are():
    index = ExactIndex(np.array([[0.0], [1.0]], dtype=np.float32))
    ids, _ = index.nearest(np.array([[0.9]], dtype=np.float32), 10)
    assert ids.tolist() == [[1, 0]]


def test_equal_distances_come_in_the_order_of_the_points():
    index = ExactIndex(np.array([[1.0], [-1.0], [1.0]], dtype=np.float32))
    ids, _ = index.nearest(np.zeros((1, 1), dtype=np.float32), 3)
    assert ids.tolist() == [[0, 1, 2]]
