"""The maps from the gradients of a smooth fit."""

from itertools import islice

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.linalg import sqrtm
from scipy.spatial.distance import cdist

import knngraph.metric.gradient_map as gradient_map
from knngraph.metric.gradient_map import N_MAPS, gradient_maps, symmetric_map


def informative(random, n=200, n_features=5):
    """Only the second feature tells the class."""
    rows = random.normal(size=(n, n_features)).astype(np.float32)
    return rows, (rows[:, 1] > 0).astype(int)


def all_maps(*arguments):
    """The gentle map and the full one of every round."""
    return [symmetric_map(factor) for factor in gradient_maps(*arguments)]


def full_maps(*arguments):
    """The full map of every round."""
    return all_maps(*arguments)[1::2]


def test_the_informative_direction_is_stretched(random):
    rows, codes = informative(random)
    for linear in full_maps(rows.astype(float), codes, 2):
        assert_allclose(linear, linear.T, atol=1e-12)
        stretch = np.linalg.norm(linear, axis=0)
        assert stretch.argmax() == 1
        assert stretch[1] > 3.0 * np.delete(stretch, 1).max()
        # No direction is thrown away, and the mean square is a fixed one.
        assert np.linalg.eigvalsh(linear).min() >= np.sqrt(0.02) - 1e-9
        assert_allclose(np.trace(linear @ linear), 5 * 1.02)


def test_a_gentle_map_is_the_root_of_the_full_one(random):
    rows, codes = informative(random)
    maps = all_maps(rows.astype(float), codes, 2)
    assert len(maps) == N_MAPS == 4
    for gentle, full in zip(maps[::2], maps[1::2]):
        assert_allclose(gentle @ gentle, full, atol=1e-12)
        stretch = np.linalg.norm(gentle, axis=0)
        assert stretch.argmax() == 1
        assert stretch[1] < 4.0 * np.delete(stretch, 1).max()


def test_a_rotated_direction_is_found(random):
    rows, codes = informative(random)
    rotation = np.linalg.qr(random.normal(size=(5, 5)))[0]
    linear = full_maps(rows @ rotation, codes, 2)[0]
    _, vectors = np.linalg.eigh(linear)
    assert abs(vectors[:, -1] @ rotation[1]) > 0.97


@pytest.mark.parametrize("n_classes", [2, 3])
def test_two_rounds_recomputed(n_classes, random):
    X, codes = informative(random, n=60, n_features=3)
    X = X.astype(float)
    if n_classes == 3:
        codes = codes + (X[:, 0] > 1)
    maps = all_maps(X, codes, n_classes)
    targets = np.eye(n_classes)[codes] - np.eye(n_classes)[codes].mean(axis=0)
    expected = np.eye(3)
    for gentle, full in zip(maps[::2], maps[1::2]):
        mapped = X @ expected
        squared = cdist(mapped, mapped, "sqeuclidean")
        variance = np.median(squared) / 2.0
        kernel = np.exp(-squared / (2.0 * variance))
        dual = np.linalg.solve(kernel + 0.1 * np.eye(60), targets)
        outer = np.zeros((3, 3))
        for x, row in zip(mapped, kernel):
            for column in dual.T:
                # Gradient at x of sum_i dual_i exp(-|x - x_i|^2 / (2 variance)).
                weights = (column * row)[:, None]
                gradient = (weights * (mapped - x)).sum(axis=0) / variance
                outer += np.outer(expected @ gradient, expected @ gradient)
        outer *= 3 / np.trace(outer)
        expected = sqrtm(outer + 0.02 * np.eye(3)).real
        assert_allclose(full, expected, rtol=1e-6)
        assert_allclose(gentle, sqrtm(expected).real, rtol=1e-6)


def test_single_precision_is_precise_enough(digits):
    X, y = digits[0][:600].astype(np.float32), digits[1][:600]
    for found, expected in zip(all_maps(X, y, 10), all_maps(X.astype(float), y, 10)):
        assert found.dtype == np.float64
        assert_allclose(found, expected, atol=2e-3)


def test_rows_have_the_same_distances_under_a_factor(random):
    rows, codes = informative(random)
    for factor in gradient_maps(rows.astype(float), codes, 2):
        linear = symmetric_map(factor)
        assert_allclose(linear, linear.T, atol=1e-12)
        assert_allclose(linear @ linear, factor @ factor.T, atol=1e-12)
        assert_allclose(
            cdist(rows @ factor, rows @ factor), cdist(rows @ linear, rows @ linear)
        )


def test_far_from_the_origin_nothing_changes(random):
    rows, codes = informative(random)
    near = full_maps(rows, codes, 2)[-1]
    far = full_maps(rows + np.float32(1000.0), codes, 2)[-1]
    assert_allclose(far, near, rtol=1e-2, atol=1e-2)


def test_rounds_build_on_one_another(random):
    rows, codes = informative(random)
    maps = full_maps(rows, codes, 2)
    first, second = (m[1, 1] / m[0, 0] for m in maps)
    assert first < second


def test_maps_are_found_as_they_are_asked_for(random, monkeypatch):
    rows, codes = informative(random)
    expected = list(gradient_maps(rows, codes, 2))
    rounds = []
    original = gradient_map._gradient_outer_product

    def counted(*arguments):
        rounds.append(1)
        return original(*arguments)

    monkeypatch.setattr(gradient_map, "_gradient_outer_product", counted)
    assert_array_equal(list(islice(gradient_maps(rows, codes, 2), 2)), expected[:2])
    assert len(rounds) == 1


@pytest.mark.parametrize("n_classes", [3, 30])
def test_the_same_seed_gives_the_same_bytes(n_classes, random):
    rows = random.normal(size=(120, 4)).astype(np.float32)
    codes = np.arange(120) % n_classes
    one, two, other = (
        np.array(list(gradient_maps(rows, codes, n_classes, seed))).tobytes()
        for seed in (3, 3, 4)
    )
    assert one == two
    # The seed is that of random combinations of many classes.
    assert (one == other) == (n_classes <= gradient_map.MAX_TARGETS)


def test_many_classes_find_the_direction_too(random):
    rows = random.normal(size=(400, 4)).astype(np.float32)
    codes = np.digitize(rows[:, 2], np.linspace(-1.5, 1.5, 19))
    linear = full_maps(rows, codes, 20)[-1]
    assert np.linalg.norm(linear, axis=0).argmax() == 2


def test_nothing_to_learn_gives_no_map(random):
    def maps(*arguments):
        return list(gradient_maps(*arguments))

    rows = random.normal(size=(20, 3)).astype(np.float32)
    assert maps(rows, np.zeros(20, dtype=int), 1) == []
    # The second class is never seen.
    assert maps(rows, np.zeros(20, dtype=int), 2) == []
    constant = np.full((20, 3), 0.1, dtype=np.float32)
    assert maps(constant, np.arange(20) % 2, 2) == []
    mostly = constant.copy()
    mostly[0] = 5.0
    assert maps(mostly, np.arange(20) % 2, 2) == []


def test_two_rows(random):
    rows = random.normal(size=(2, 3)).astype(np.float32)
    for linear in all_maps(rows, np.arange(2), 2):
        assert np.isfinite(linear).all()


def test_scale_of_the_data_does_not_matter(random):
    rows, codes = informative(random)
    linear = full_maps(rows.astype(float), codes, 2)[-1]
    for scale in (1e-6, 1e6):
        scaled = full_maps(rows.astype(float) * scale, codes, 2)[-1]
        assert_allclose(scaled, linear, rtol=1e-5, atol=1e-9)
        single = full_maps(rows * np.float32(scale), codes, 2)[-1]
        assert_allclose(single, linear, rtol=1e-2, atol=1e-3)


def test_only_the_first_rows_are_used(random, monkeypatch):
    monkeypatch.setattr(gradient_map, "MAX_ROWS", 50)
    rows, codes = informative(random)
    all_rows = next(gradient_maps(rows, codes, 2))
    assert_array_equal(next(gradient_maps(rows[:50], codes[:50], 2)), all_rows)
