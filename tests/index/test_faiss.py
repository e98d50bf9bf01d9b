"""The search of faiss, where it is installed: its answers and its short lists."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from knngraph.index.exact import ExactIndex
from knngraph.index.faiss import FaissIndex

pytest.importorskip("faiss")


@pytest.fixture
def points(random):
    """Points without copies."""
    return random.normal(size=(300, 4)).astype(np.float32)


@pytest.fixture
def queries(random):
    """Queries that are not points."""
    return random.normal(size=(50, 4)).astype(np.float32)


def build(points, seed=0):
    """An index of all points, built by one thread."""
    index = FaissIndex(points.shape[1], seed=seed)
    index.add(points)
    return index


def test_a_large_ef_finds_what_brute_force_finds(points, queries):
    index = build(points)
    assert index.n_points == 300
    ids, squared = index.nearest(queries, 5, ef=300)
    exact_ids, exact_squared = ExactIndex(points).nearest(queries, 5)
    assert_array_equal(ids, exact_ids)
    assert_allclose(squared, exact_squared, rtol=1e-4)


def test_threads_change_nothing(points, queries):
    index = build(points)
    one = index.nearest(queries, 3, ef=8, n_threads=1)
    assert_array_equal(one, index.nearest(queries, 3, ef=8, n_threads=2))


def test_a_small_ef_leaves_empty_places(points, queries):
    ids, squared = build(points).nearest(queries, 200, ef=1)
    empty = ids < 0
    assert empty.any()
    assert_array_equal(np.isinf(squared), empty)
    # Empty places come last.
    assert (np.diff(empty.astype(int), axis=1) >= 0).all()


def test_no_more_than_there_are(points):
    ids, _ = build(points[:3]).nearest(points[:1], 10, ef=50)
    assert sorted(ids[0].tolist()) == [0, 1, 2]
