"""Ranks of left-out rows, by counting them."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from knngraph.inference.left_out_ranks import Ranked, check_alpha


@pytest.mark.parametrize("n_asked", [0, 3, 255, 256, 700])
def test_weights_are_those_that_counting_finds(n_asked, random):
    numbers = random.integers(0, 40, 60).astype(float)  # many ties
    weights = random.integers(1, 9, 60) / 2.0
    ranked = Ranked.of(numbers, weights)
    asked = random.integers(-2, 43, n_asked).astype(float)
    smaller = numbers[:, None] < asked
    larger = numbers[:, None] > asked
    assert_array_equal(ranked.places(asked), smaller.sum(axis=0))
    assert_array_equal(ranked.from_on(asked), weights @ ~smaller)
    assert_array_equal(ranked.above(asked), weights @ larger)
    assert_array_equal(ranked.above(asked[:, None])[:, 0], weights @ larger)
    assert ranked.total == weights.sum()


def test_no_rows_weigh_nothing():
    ranked = Ranked.of(np.empty(0), np.empty(0))
    assert ranked.total == 0.0
    assert ranked.from_on(np.array([1.0])).tolist() == [0.0]
    assert ranked.above(np.array([1.0])).tolist() == [0.0]


@pytest.mark.parametrize("alpha", [0.0, 1.0, 1.5, -0.1, True, np.True_, "0.1", None])
def test_what_is_no_share_is_refused(alpha):
    with pytest.raises(ValueError, match=r"alpha must be a number between 0 and 1.*of"):
        check_alpha(alpha, "of sets")


@pytest.mark.parametrize("alpha", [1e-9, 0.5, np.float32(0.25), 1.0 - 1e-9])
def test_shares_are_taken(alpha):
    check_alpha(alpha, "of sets")
