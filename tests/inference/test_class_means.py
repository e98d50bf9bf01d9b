"""Means of the classes, and distances of left-out rows to them."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import knngraph.inference.class_means as means_module
from knngraph import KNNGraphClassifier
from knngraph.graph.training_set import build_training_set
from knngraph.inference.class_means import (
    class_means,
    squared_left_out,
    squared_to_means,
)
from knngraph.metric.out_of_fold import OutOfFold


@pytest.fixture(scope="module")
def rows():
    """Rows with copies, some of two labels, weights, and a class of one row."""
    random = np.random.default_rng(0)
    X = random.integers(0, 3, (40, 3)).astype(np.float32)
    y = np.append(random.integers(0, 4, 39), 4)
    return X, y, random.integers(1, 3, 40) / 2.0


def mean_of(X, y, weights, code):
    some = y == code
    return np.average(X[some].astype(float), axis=0, weights=weights[some])


def test_left_out_rows_have_no_part_in_their_mean(rows):
    X, y, weights = rows
    training = build_training_set(X, y, n_classes=5, row_weight=weights)
    means = class_means(training)
    for code in range(5):
        assert_allclose(means[code], mean_of(X, y, weights, code), rtol=1e-6)
    pairs = np.arange(training.n_pairs)
    random = np.random.default_rng(1)
    maps = random.normal(size=(2, 3, 3)).astype(np.float32)
    fold = random.integers(-1, 2, len(pairs)).astype(np.int8)
    linear = np.concatenate([maps, np.eye(3)[None]])[fold]
    for out_of_fold in (None, OutOfFold(maps[:0], fold), OutOfFold(maps, fold)):
        found = squared_left_out(training, pairs, means, out_of_fold)
        for pair in pairs:
            row = training.points[training.pair_node[pair]]
            of_pair = training.pair_of_row == pair
            under = np.eye(3)
            if out_of_fold is not None and len(out_of_fold.maps):
                under = linear[pair]
            for code in range(5):
                left = weights.copy()
                if code == training.pair_code[pair]:
                    lost = min(1.0, training.pair_weight[pair])
                    left[of_pair] *= 1.0 - lost / left[of_pair].sum()
                if left[y == code].sum() < 1e-9:
                    assert found[pair, code] == np.inf
                    continue
                away = (row - mean_of(X, y, left, code)) @ under
                assert found[pair, code] == pytest.approx(away @ away, rel=1e-4)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_class_without_rows_has_its_mean_at_zero(dtype):
    rows = np.array([[1.0, 2.0], [3.0, 6.0], [5.0, 5.0]], dtype=dtype)
    means = class_means(build_training_set(rows, np.array([0, 0, 2]), n_classes=4))
    assert means.dtype == dtype
    assert means.tolist() == [[2.0, 4.0], [0.0, 0.0], [5.0, 5.0], [0.0, 0.0]]


@pytest.mark.parametrize("numbers", [1, 100, 10**6])
def test_distances_are_those_to_all_means(numbers, random, monkeypatch):
    monkeypatch.setattr(means_module, "_DISTANCES_PER_BLOCK", numbers)
    rows, means = random.normal(size=(23, 3)), random.normal(size=(7, 3))
    expected = ((rows[:, None] - means) ** 2).sum(axis=2)
    assert_allclose(squared_to_means(rows, means), expected)


def test_distances_do_not_depend_on_the_batch():
    random = np.random.default_rng(0)
    queries, means = random.normal(size=(300, 37)), random.normal(size=(50, 37))
    queries, means = queries.astype(np.float32), means.astype(np.float32)
    whole = squared_to_means(queries, means)
    alone = [squared_to_means(query[None], means)[0] for query in queries]
    assert_array_equal(whole, alone)


def test_sets_of_a_learned_map_cover_as_many_as_they_say():
    random = np.random.default_rng(3)
    centers, y = random.normal(size=(40, 4)), np.tile(np.arange(40), 30)
    X = np.hstack([centers[y], np.zeros((len(y), 6))])
    X += 0.6 * random.normal(size=X.shape)
    model = KNNGraphClassifier(
        inference="adaptive", metric="learned", random_state=0
    ).fit(X[:280], y[:280])
    assert len(model._model.rows.out_of_fold.maps)
    for alpha in (0.1, 0.2):
        sets = model.predict_set(X[280:], alpha)
        assert sets[np.arange(len(sets)), y[280:]].mean() > 1.0 - alpha - 0.04
