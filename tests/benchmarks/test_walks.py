"""Walks and made rows of the benchmarks against what is known without them."""

import numpy as np
from numpy.testing import assert_array_equal

from benchmarks import _walk
from benchmarks.fit_scale import exponent
from benchmarks.made_rows import mixture
from benchmarks.walks import build, links_of
from knngraph.index.exact import ExactIndex


def walked(points, links, codes, entries, queries, narrow, wide=None, k=1, ask=1):
    """Answers of walks."""
    answers = np.empty(len(queries), dtype=np.int64)
    wide = narrow if wide is None else wide
    rows = points[entries]
    _walk.walk(
        points, links, codes, entries, rows, queries, narrow, wide, k, ask, answers
    )
    return answers


def test_a_wide_walk_ends_at_the_nearest_row(random):
    points = random.normal(size=(300, 4)).astype(np.float32)
    queries = random.normal(size=(50, 4)).astype(np.float32)
    links = links_of(build(points, random.permutation(300)))
    nearest, _ = ExactIndex(points).nearest(queries, 1)
    answers = walked(points, links, np.arange(300), np.array([7]), queries, 100)
    assert_array_equal(answers, nearest[:, 0])


def test_a_walk_on_a_line_stops_where_it_goes_up_again(random):
    points = np.array([[0.0], [1.0], [3.0], [2.6]], dtype=np.float32)
    links = np.array([[1, -1], [0, 2], [1, 3], [2, -1]], dtype=np.int32)
    query = np.array([[1.9]], dtype=np.float32)
    codes = np.arange(4)
    # From 0 over 1: row 2 is farther than row 1, row 3 is not met.
    assert walked(points, links, codes, np.array([0]), query, 1).tolist() == [1]
    assert walked(points, links, codes, np.array([0]), query, 2).tolist() == [3]
    # The three nearest met are 1, 2 and 0, of classes 5, 4 and 4.
    codes = np.array([4, 5, 4, 6])
    assert walked(points, links, codes, np.array([0]), query, 1, k=3).tolist() == [4]
    # The two nearest met do not agree, so the walk goes on and meets row 3.
    goes_on = walked(
        points, links, np.array([4, 5, 6, 7]), np.array([0]), query, 1, 2, k=2, ask=2
    )
    assert goes_on.tolist() == [7]


def test_starts_are_compared_first(random):
    points = np.array([[0.0], [10.0]], dtype=np.float32)
    links = np.full((2, 1), -1, dtype=np.int32)
    query = np.array([[9.0]], dtype=np.float32)
    answers = walked(points, links, np.arange(2), np.array([0, 1]), query, 1)
    assert answers.tolist() == [1]


def test_exponent_of_a_power():
    sizes = [10, 100, 1000]
    assert round(exponent(sizes, [n**1.25 for n in sizes]), 6) == 1.25


def test_made_rows_follow_the_seed_alone():
    X, y = mixture(500, 8, n_clusters=20)
    again, labels = mixture(500, 8, n_clusters=20)
    assert X.dtype == np.float32
    assert X.shape == (500, 8)
    assert_array_equal(X, again)
    assert_array_equal(y, labels)
    assert len(np.unique(y)) == 10
