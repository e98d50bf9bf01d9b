"""Brute force against sorting all distances in double precision."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from knngraph.index import exact
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


@pytest.mark.parametrize("order", ["random", "near first", "far first"])
@pytest.mark.parametrize("block", [7, 40, 512])
def test_size_of_the_blocks_changes_no_answer(order, block, monkeypatch, random):
    points = random.normal(size=(2000, 3)).astype(np.float32)
    queries = 0.1 * random.normal(size=(30, 3)).astype(np.float32)
    if order != "random":
        by_distance = np.argsort((points**2).sum(axis=1))
        points = points[by_distance[:: 1 if order == "near first" else -1]]
    expected = ExactIndex(points).nearest(queries, 5)
    monkeypatch.setattr(exact, "_POINTS_PER_BLOCK", block)
    found = ExactIndex(points).nearest(queries, 5)
    assert_array_equal(found[0], expected[0])
    assert_array_equal(found[1], expected[1])
