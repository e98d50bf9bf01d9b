"""The compiled solver of the problem at a query, alone."""

import numpy as np
import pytest
from numba import njit
from numpy.testing import assert_allclose
from scipy.spatial.distance import cdist

from knngraph.inference import _adaptive
from tests.reference import solve_by_nnls


@njit
def measure(n, points, nodes, squared):
    """Distances as compiled code has them."""
    _adaptive.distances_between(n, points, nodes, squared)


@njit
def solve(*arguments):
    """Weights as compiled code has them."""
    _adaptive.solve_query(*arguments)


def solved(points, query, sigma, nuggets, half_penalty):
    """Weights of all points, their similarity to the query, and the kernel."""
    n = len(points)
    gamma = 0.5 / sigma**2
    # The library's own distances are of single precision.
    similarity = np.exp(-gamma * ((points.astype(float) - query) ** 2).sum(axis=1))
    weights = np.full(n, np.nan)
    distances = np.empty((n, n), dtype=np.float32)
    places = np.zeros((3, n), dtype=np.intp)
    measure(n, points, np.arange(n), distances)
    solve(
        n,
        n,
        gamma,
        distances,
        similarity,
        nuggets,
        half_penalty,
        np.empty((n, n)),
        np.empty((n, n)),
        np.empty((5, n)),
        places,
        weights,
    )
    return weights, similarity, np.exp(-gamma * cdist(points, points, "sqeuclidean"))


@pytest.mark.parametrize("n", [1, 2, 7, 32, 90])
@pytest.mark.parametrize("nugget", [1e-3, 0.3, 10.0])
@pytest.mark.parametrize("half_penalty", [0.0, 0.02, 0.5])
def test_weights_are_those_of_nnls(n, nugget, half_penalty, random):
    points = random.normal(size=(n, 3)).astype(np.float32)
    nuggets = nugget / random.integers(1, 4, size=n)
    query = random.normal(size=3)
    weights, similarity, kernel = solved(points, query, 1.5, nuggets, half_penalty)
    expected = solve_by_nnls(kernel + np.diag(nuggets), similarity, 2.0 * half_penalty)
    # The kernel has six digits, which a small nugget spends.
    assert_allclose(weights, expected, atol=3e-6 / nugget)


def test_nothing_is_like_the_query():
    points = np.zeros((3, 2), dtype=np.float32)
    weights, _, _ = solved(points, np.full(2, 99.0), 1.0, np.full(3, 0.3), 0.1)
    assert weights.tolist() == [0.0, 0.0, 0.0]


def test_a_singular_kernel_is_solved_by_descent(random):
    # No nugget, and three of every point: the linear system has no one solution.
    points = np.repeat(random.normal(size=(6, 2)), 3, axis=0).astype(np.float32)
    query = points[0] + 0.1
    weights, similarity, kernel = solved(points, query, 0.7, np.zeros(18), 0.01)
    slopes = similarity - 0.01 - kernel @ weights
    assert (weights >= 0.0).all()
    assert abs(slopes[weights > 0.0]).max() < 1e-4
    assert slopes.max() < 1e-4


@njit
def exponential(gamma, squared):
    """exp(-gamma * squared) as compiled code has it."""
    result = np.empty(squared.shape[0])
    _adaptive.gaussian(squared.shape[0], gamma, squared, result)
    return result


@pytest.mark.parametrize("n", [1, 3, 8, 33])
def test_the_exponential_is_that_of_numpy(n, random):
    squared = np.append(0.0, random.exponential(size=n - 1) * 10.0 ** -np.arange(n - 1))
    for gamma in (0.0, 1e-9, 0.5, 30.0):
        result = exponential(gamma, squared)
        # Beyond single precision, which is that of the distances.
        assert_allclose(result, np.exp(-gamma * squared), rtol=1e-8)
        assert result[0] == 1.0


def test_the_exponential_ends_where_numbers_do():
    squared = np.array([699.0, 701.0, 1e30, np.inf])
    result = exponential(1.0, squared)
    assert_allclose(result[0], np.exp(-699.0), rtol=1e-8)
    assert (result[1:] < 1e-303).all()
    assert (result[1:] >= 0.0).all()


@pytest.mark.parametrize("n", [1, 2, 3, 6, 9, 33])
@pytest.mark.parametrize("n_features", [1, 7, 16, 50])
def test_distances_are_found_from_differences(n, n_features, random):
    # So far from the origin that products would cancel.
    points = (1e4 + random.normal(size=(40, n_features))).astype(np.float32)
    nodes = random.permutation(40)[:n]
    squared = np.full((n, n), np.nan, dtype=np.float32)
    measure(n, points, nodes, squared)
    exact = cdist(points[nodes].astype(float), points[nodes].astype(float))
    assert_allclose(squared, exact**2, rtol=1e-5)


def test_candidates_come_and_go(random):
    # A wide kernel: many get a weight in the first sweep that is not theirs.
    points = random.normal(size=(60, 2)).astype(np.float32)
    nuggets = np.full(60, 0.05)
    weights, similarity, kernel = solved(points, np.zeros(2), 2.0, nuggets, 0.01)
    slopes = similarity - 0.01 - kernel @ weights - nuggets * weights
    assert 3 < (weights > 0.0).sum() < 57
    assert abs(slopes[weights > 0.0]).max() < 1e-5
    assert slopes.max() < 1e-5
