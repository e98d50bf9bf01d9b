"""Walks and made rows of the benchmarks against what is known without them."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from benchmarks.made_rows import mixture
from benchmarks.walks import voted, walks
from knngraph.index.exact import ExactIndex


def test_a_vote_goes_to_the_most_frequent_class():
    codes = np.array([[2, 1, 1], [3, 1, 2], [0, 0, 1]])
    assert_array_equal(voted(codes), [1, 3, 0])


def test_walks_of_a_benchmark_answer_for_every_query(random):
    pytest.importorskip("hnswlib")  # the walks go over its graph
    points = random.normal(size=(400, 4)).astype(np.float32)
    codes = random.integers(3, size=300)
    exact, _ = ExactIndex(points[:300]).nearest(points[300:], 1)
    ways = dict(walks(points[:300], codes, points[300:]))
    alike = {name: (way() == codes[exact[:, 0]]).mean() for name, way in ways.items()}
    assert alike['walk="medoids", ef=16'] > 0.95
    assert min(alike.values()) > 0.5


def test_made_rows_follow_the_seed_alone():
    X, y = mixture(500, 8, n_clusters=20)
    again, labels = mixture(500, 8, n_clusters=20)
    assert X.dtype == np.float32
    assert X.shape == (500, 8)
    assert_array_equal(X, again)
    assert_array_equal(y, labels)
    assert len(np.unique(y)) == 10
