"""Brute force against sorting all distances in double precision."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from knngraph.index import exact
from knngraph.index.exact import ExactIndex


@pytest.mark.parametrize("offset", [0.0, 1e4])
@pytest.mark.parametrize("n_columns", [3, 12])
@pytest.mark.parametrize("n_threads", [1, 2])
def test_agrees_with_sorting(offset, n_columns, n_threads, random):
    points = (random.normal(size=(60, n_columns)) + offset).astype(np.float32)
    queries = (random.normal(size=(600, n_columns)) + offset).astype(np.float32)
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
    points = random.normal(size=(2000, 6)).astype(np.float32)
    queries = 0.1 * random.normal(size=(30, 6)).astype(np.float32)
    if order != "random":
        by_distance = np.argsort((points**2).sum(axis=1))
        points = points[by_distance[:: 1 if order == "near first" else -1]]
    expected = ExactIndex(points).nearest(queries, 5)
    monkeypatch.setattr(exact, "_POINTS_PER_BLOCK", block)
    found = ExactIndex(points).nearest(queries, 5)
    assert_array_equal(found[0], expected[0])
    assert_array_equal(found[1], expected[1])


def sorted_plainly(queries, points, k):
    """The nearest by differences, of equally far ones the first."""
    squared = ((queries[:, None].astype(float) - points.astype(float)) ** 2).sum(axis=2)
    ids = np.argsort(squared, axis=1, kind="stable")[:, :k]
    return ids, np.take_along_axis(squared, ids, axis=1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_columns", [2, 4, 6, 10])
def test_the_first_of_many_points_equally_far(dtype, n_columns, random):
    # 64 points of whole numbers on a circle, more than a search looks at at first.
    axis = np.arange(-166, 167)
    circle = np.argwhere(np.add.outer(axis**2, axis**2) == 27_625) - 166
    assert len(circle) == 64
    points = np.zeros((128, n_columns), dtype=dtype)
    points[:, :2] = random.permutation(np.concatenate([circle, 2 * circle]))
    queries = np.zeros((2, n_columns), dtype=dtype)
    queries[1] = 0.25
    for k in (1, 5, 30, 70):
        ids, squared = ExactIndex(points).nearest(queries, k)
        expected = sorted_plainly(queries, points, k)
        assert_array_equal(ids, expected[0])
        assert_allclose(squared, expected[1], rtol=1e-12)


@pytest.mark.parametrize("apart", [1e-2, 1e-4, 1e-6])
def test_points_near_one_another_and_far_from_the_origin(apart, random):
    # The product loses the digits in which they differ.
    points = 1e3 + apart * random.normal(size=(400, 12))
    queries = 1e3 + apart * random.normal(size=(50, 12))
    ids, squared = ExactIndex(points).nearest(queries, 3)
    expected = sorted_plainly(queries, points, 3)
    assert_array_equal(ids, expected[0])
    assert_allclose(squared, expected[1], rtol=1e-9)


def test_as_many_points_as_are_wanted_or_few_more(random):
    points = random.normal(size=(30, 6)).astype(np.float32)
    queries = random.normal(size=(5, 6)).astype(np.float32)
    for k in (0, 1, 21, 22, 23, 29, 30, 31):
        ids, squared = ExactIndex(points).nearest(queries, k)
        expected = sorted_plainly(queries, points, k)
        assert ids.shape == squared.shape == (5, min(k, 30))
        assert_array_equal(ids, expected[0])
        assert_allclose(squared, expected[1], rtol=1e-12)


def test_points_that_differ_by_less_than_a_product_sees(random):
    # Squared distances are steps of 1e-10 apart; the products are of the size of 1e7.
    for offset in (1e3, 1.1e3, 1.2e3):
        directions = random.normal(size=(200, 12))
        directions /= np.linalg.norm(directions, axis=1)[:, None]
        away = 1e-2 * np.sqrt(1.0 + 1e-6 * random.permutation(200))
        points = offset + away[:, None] * directions
        query = np.full((1, 12), offset)
        for k in (1, 5, 20):
            ids, _ = ExactIndex(points).nearest(query, k)
            assert_array_equal(ids, np.argsort(away)[None, :k])
