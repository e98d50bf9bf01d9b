"""Building the index and the lists, and the recall that is measured on the way."""

import numpy as np
from numpy.testing import assert_array_equal

from knngraph.index.build import BuildSettings, build_graph
from knngraph.index.exact import ExactIndex
from knngraph.index.recall import EF_GRID, HELD_OUT


def test_every_point_is_in_the_index(random):
    points = random.normal(size=(200, 3)).astype(np.float32)
    index = build_graph(points).index
    assert_array_equal(index.points(), points)


def test_held_out_points_are_searched_among_the_others(random):
    points = random.normal(size=(200, 3)).astype(np.float32)
    search_recall = build_graph(points).search_recall
    assert len(search_recall.nearest) == 40  # a fifth, up to HELD_OUT
    expected, _ = ExactIndex(points[:160]).nearest(points[160:], 1)
    assert_array_equal(search_recall.nearest, expected[:, 0])
    assert search_recall.reached.shape == (len(EF_GRID), 40)
    assert search_recall.reached.max() < 160
    # The largest `ef` holds all 160 points.
    assert_array_equal(search_recall.reached[-1], search_recall.nearest)


def test_no_more_are_held_out_than_it_takes(random):
    settings = BuildSettings(ef_construction=20)
    points = random.normal(size=(5 * HELD_OUT + 100, 2)).astype(np.float32)
    search_recall = build_graph(points, 0, settings).search_recall
    assert len(search_recall.nearest) == HELD_OUT


def test_too_few_points_to_hold_any_out():
    built = build_graph(np.eye(3, dtype=np.float32))
    search_recall = built.search_recall
    assert built.index.n_points == 3
    assert len(search_recall.nearest) == 0
    assert search_recall.agreement(np.arange(3), ef=1) == 1.0
    assert search_recall.smallest_ef(np.arange(3), share=0.99) == 1
