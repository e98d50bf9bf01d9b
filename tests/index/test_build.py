"""Building the index, and the walks that are measured on the way."""

import numpy as np
from numpy.testing import assert_array_equal

from knngraph.index.build import BEAMS, HELD_OUT, WalkProbe, build_index
from knngraph.index.exact import ExactIndex


def test_every_point_is_in_the_index(random):
    points = random.normal(size=(200, 3)).astype(np.float32)
    index, _ = build_index(points)
    assert_array_equal(index.points(), points)


def test_held_out_points_are_searched_among_the_others(random):
    points = random.normal(size=(200, 3)).astype(np.float32)
    _, probe = build_index(points)
    assert len(probe.nearest) == 40  # a fifth, up to HELD_OUT
    expected, _ = ExactIndex(points[:160]).nearest(points[160:], 1)
    assert_array_equal(probe.nearest, expected[:, 0])
    assert probe.reached.shape == (len(BEAMS), 40)
    assert probe.reached.max() < 160
    # The largest `ef` holds all 160 points.
    assert_array_equal(probe.reached[-1], probe.nearest)


def test_no_more_are_held_out_than_it_takes(random):
    points = random.normal(size=(5 * HELD_OUT + 100, 2)).astype(np.float32)
    _, probe = build_index(points, ef_construction=20)
    assert len(probe.nearest) == HELD_OUT


def test_too_few_points_to_hold_any_out():
    index, probe = build_index(np.eye(3, dtype=np.float32))
    assert index.n_points == 3
    assert len(probe.nearest) == 0
    assert probe.agreement(np.arange(3), ef=1) == 1.0
    assert probe.smallest_beam(np.arange(3), share=0.99) == 1


def worked_probe():
    """Four held-out rows: `ef` 1 ends right twice, 2 thrice, larger ones always."""
    reached = np.tile([0, 1, 2, 3], (len(BEAMS), 1))
    reached[0] = [0, 1, 4, 5]
    reached[1] = [0, 1, 2, 5]
    return WalkProbe(reached, np.array([0, 1, 2, 3]))


def test_agreement_of_nodes():
    own_number = np.arange(6)
    probe = worked_probe()
    assert probe.agreement(own_number, ef=1) == 0.5
    assert probe.agreement(own_number, ef=2) == 0.75
    assert probe.agreement(own_number, ef=BEAMS[2]) == 1.0
    # Between two measured ones the smaller counts.
    assert probe.agreement(own_number, ef=10**6) == 1.0
    assert BEAMS[3] + 1 < BEAMS[4]
    probe.reached[3] = [0, 5, 5, 5]
    assert probe.agreement(own_number, ef=BEAMS[3] + 1) == 0.25


def test_agreement_of_answers():
    # The wrong nodes 4 and 5 hold the answers of the right ones, 2 and 3.
    answers = np.array([0, 0, 1, 0, 1, 0])
    assert worked_probe().agreement(answers, ef=1) == 1.0


def test_smallest_beam():
    own_number = np.arange(6)
    probe = worked_probe()
    assert probe.smallest_beam(own_number, share=0.5) == 1
    assert probe.smallest_beam(own_number, share=0.7) == 2
    assert probe.smallest_beam(own_number, share=0.99) == BEAMS[2]
    probe.reached[:] = 5
    assert probe.smallest_beam(own_number, share=0.5) == BEAMS[-1]
