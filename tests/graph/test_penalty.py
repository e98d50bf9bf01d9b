"""Penalty, worked by hand."""

import numpy as np
from numpy.testing import assert_allclose

from knngraph.graph.density import penalty_fractions


def test_sparse_regions_get_the_strong_penalty():
    density = np.array([0.0, 0.25, 1.0])
    assert_allclose(penalty_fractions(density, 0.1, 0.5), [0.5, 0.4, 0.1])


def test_equal_ends_leave_density_out():
    assert_allclose(penalty_fractions(np.array([0.0, 0.7]), 0.3, 0.3), [0.3, 0.3])
