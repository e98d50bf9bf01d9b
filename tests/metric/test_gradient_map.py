"""The map from the gradients of a smooth fit."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.linalg import sqrtm
from scipy.spatial.distance import cdist

import knngraph.metric.gradient_map as gradient_map
from knngraph.metric.gradient_map import gradient_maps


def informative(random, n=200, n_features=5):
    """Only the second feature tells the class."""
    rows = random.normal(size=(n, n_features)).astype(np.float32)
    return rows, (rows[:, 1] > 0).astype(int)


def test_the_informative_direction_is_stretched(random):
    rows, codes = informative(random)
    for linear in gradient_maps(rows, codes, 2, n_rounds=3):
        assert_allclose(linear, linear.T, atol=1e-12)
        stretch = np.linalg.norm(linear, axis=0)
        assert stretch.argmax() == 1
        assert stretch[1] > 3.0 * np.delete(stretch, 1).max()
        # No direction is thrown away, and the mean square is a fixed one.
        assert np.linalg.eigvalsh(linear).min() >= np.sqrt(0.02) - 1e-9
        assert_allclose(np.trace(linear @ linear), 5 * 1.02)


def test_a_rotated_direction_is_found(random):
    rows, codes = informative(random)
    rotation = np.linalg.qr(random.normal(size=(5, 5)))[0]
    (linear,) = gradient_maps(rows @ rotation, codes, 2, n_rounds=1)
    _, vectors = np.linalg.eigh(linear)
    assert abs(vectors[:, -1] @ rotation[1]) > 0.97


def test_one_round_recomputed(random):
    rows, codes = informative(random, n=60, n_features=3)
    codes = codes + (rows[:, 0] > 1)
    (linear,) = gradient_maps(rows, codes, 3, n_rounds=1)
    X = rows.astype(float)
    targets = np.eye(3)[codes] - np.eye(3)[codes].mean(axis=0)
    squared = cdist(X, X, "sqeuclidean")
    variance = np.median(squared) / 2.0
    kernel = np.exp(-squared / (2.0 * variance))
    dual = np.linalg.solve(kernel + 0.1 * np.eye(60), targets)
    outer = np.zeros((3, 3))
    for x, row in zip(X, kernel):
        for column in dual.T:
            # Gradient at x of sum_i dual_i exp(-|x - x_i|^2 / (2 variance)).
            gradient = ((column * row)[:, None] * (X - x)).sum(axis=0) / variance
            outer += np.outer(gradient, gradient)
    outer *= 3 / np.trace(outer)
    assert_allclose(linear, sqrtm(outer + 0.02 * np.eye(3)).real, rtol=1e-6)


def test_rounds_build_on_one_another(random):
    rows, codes = informative(random)
    maps = gradient_maps(rows, codes, 2, n_rounds=3)
    assert_array_equal(gradient_maps(rows, codes, 2, n_rounds=1)[0], maps[0])
    ratios = [m[1, 1] / m[0, 0] for m in maps]
    assert ratios[0] < ratios[1]
    assert gradient_maps(rows, codes, 2, n_rounds=0) == []


@pytest.mark.parametrize("n_classes", [3, 30])
def test_the_same_seed_gives_the_same_bytes(n_classes, random):
    rows = random.normal(size=(120, 4)).astype(np.float32)
    codes = np.arange(120) % n_classes
    one, two, other = (
        gradient_maps(rows, codes, n_classes, 2, seed)[-1].tobytes()
        for seed in (3, 3, 4)
    )
    assert one == two
    # The seed is that of random combinations of many classes.
    assert (one == other) == (n_classes <= gradient_map.MAX_TARGETS)


def test_many_classes_find_the_direction_too(random):
    rows = random.normal(size=(400, 4)).astype(np.float32)
    codes = np.digitize(rows[:, 2], np.linspace(-1.5, 1.5, 19))
    linear = gradient_maps(rows, codes, 20, n_rounds=2)[-1]
    assert np.linalg.norm(linear, axis=0).argmax() == 2


def test_nothing_to_learn_gives_no_map(random):
    rows = random.normal(size=(20, 3)).astype(np.float32)
    assert gradient_maps(rows, np.zeros(20, dtype=int), 1, 3) == []
    # The second class is never seen.
    assert gradient_maps(rows, np.zeros(20, dtype=int), 2, 3) == []
    constant = np.ones((20, 3), dtype=np.float32)
    assert gradient_maps(constant, np.arange(20) % 2, 2, 3) == []
    mostly = constant.copy()
    mostly[0] = 5.0
    assert gradient_maps(mostly, np.arange(20) % 2, 2, 3) == []


def test_scale_of_the_data_does_not_matter(random):
    rows, codes = informative(random)
    linear = gradient_maps(rows, codes, 2, 2)[-1]
    for scale in (1e-6, 1e6):
        scaled = gradient_maps(rows.astype(float) * scale, codes, 2, 2)[-1]
        assert_allclose(scaled, linear, rtol=1e-5, atol=1e-9)


def test_only_the_first_rows_are_used(random, monkeypatch):
    monkeypatch.setattr(gradient_map, "MAX_ROWS", 50)
    rows, codes = informative(random)
    all_rows = gradient_maps(rows, codes, 2, 1)[0]
    assert_array_equal(gradient_maps(rows[:50], codes[:50], 2, 1)[0], all_rows)
