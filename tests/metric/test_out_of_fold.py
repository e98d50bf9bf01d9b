"""What is learned from left-out rows holds for new rows, with a learned map too."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import make_classification

from knngraph import KNNGraphClassifier
from knngraph.metric.choose import folds
from knngraph.metric.gradient_map import N_MAPS, gradient_maps
from knngraph.metric.out_of_fold import OutOfFold, honest_pairs
from knngraph.metric.place import place_training_rows


def overfitted(n_samples, random_state=0):
    """Few rows and many columns of noise, in which a map finds what is not there."""
    return make_classification(
        n_samples,
        n_features=40,
        n_informative=3,
        n_redundant=0,
        class_sep=0.6,
        random_state=random_state,
    )


def fresh(metric):
    return KNNGraphClassifier(inference="adaptive", metric=metric, random_state=0)


@pytest.mark.parametrize("inference", ["adaptive", "cascade"])
def test_the_score_of_left_out_rows_is_that_of_new_rows(inference):
    X, y = overfitted(1200)
    train, test = slice(0, 200), slice(200, None)
    model = KNNGraphClassifier(
        inference=inference, metric="learned", vote="labels", random_state=0
    ).fit(X[train], y[train])
    adaptive = model.set_params(inference="adaptive").score(X[test], y[test])
    # Under the map itself a left-out row would look far better than a new one.
    assert abs(model.loo_score_ - adaptive) < 0.08
    rows = model._model.rows
    assert_array_equal(np.unique(rows.out_of_fold.fold_of_pair), [0, 1, 2])
    nearest = model._model.training.pair_code[rows.neighbors.ids[:, 0]]
    assert (nearest == model._model.training.pair_code).mean() > adaptive + 0.1


def test_lists_are_those_under_the_map_of_the_fold():
    X, y = overfitted(150)
    space, training, out_of_fold, *_ = place_training_rows(X, y, 2, "learned", seed=1)
    _, plain, *_ = place_training_rows(X, y, 2, "euclidean", seed=1)
    rows, codes = plain.points[plain.pair_node], plain.pair_code
    model = fresh("learned").fit(X, y)
    neighbors = model._model.rows.neighbors
    lists = out_of_fold.neighbors(training, neighbors)
    row_of_pair, _ = plain.rows_of_pairs()
    for fitted, held_out in folds(codes):
        factor = list(gradient_maps(rows[fitted], codes[fitted], 2, 1))[N_MAPS - 1]
        mapped = rows.astype(np.float64) @ factor
        for place in held_out[:10]:
            squared = ((mapped - mapped[place]) ** 2).sum(axis=1)
            node = training.node_of_row[row_of_pair[place]]
            assert_allclose(
                np.sort(lists.squared[node]),
                np.sort(squared)[1 : lists.squared.shape[1] + 1],
                rtol=1e-3,
            )
    assert space.metric == "learned"


def test_folds_of_pairs_by_hand():
    factors = np.array([[1.0, 1.0], [0.0, 1.0]]), np.eye(2)
    places = np.array([0, 2]), np.array([3])
    # A sample of pairs 3, 1, 4, 0 of six; nothing stands in for pair 1.
    found = OutOfFold.of_sample(
        np.diag([2.0, 1.0]), list(zip(factors, places)), 6, np.array([3, 1, 4, 0])
    )
    assert_array_equal(found.fold_of_pair, [1, -2, -1, 0, 0, -1])
    assert_array_equal(found.honest_pairs(), [0, 2, 3, 4, 5])
    assert_array_equal(found.maps[0], [[0.5, 0.5], [0.0, 1.0]])
    assert_array_equal(found.maps[1], np.diag([0.5, 1.0]))
    changed = found.after(np.array([1, -1, 0, 2, -1, 3]), 5)
    assert_array_equal(changed.fold_of_pair, [-1, 1, 0, -1, -1])
    assert changed.maps is found.maps


def test_lists_of_some_pairs_alone_are_brought_under_maps():
    X, y = overfitted(150)
    _, training, out_of_fold, *_ = place_training_rows(X, y, 2, "learned", seed=1)
    neighbors = fresh("learned").fit(X, y)._model.rows.neighbors
    everywhere = out_of_fold.neighbors(training, neighbors, n_threads=2)
    some = np.array([3, 70, 140])
    found = out_of_fold.neighbors(training, neighbors, some)
    nodes = np.isin(np.arange(training.n_nodes), training.pair_node[some])
    for name in ("ids", "squared"):
        expected = getattr(neighbors, name).copy()
        expected[nodes] = getattr(everywhere, name)[nodes]
        assert_array_equal(getattr(found, name), expected)
    assert_array_equal(honest_pairs(training, None), np.arange(training.n_pairs))
    assert_array_equal(honest_pairs(training, out_of_fold), np.arange(150))


def test_enough_unseen_rows_need_no_map_of_a_fold():
    X, y = overfitted(2700)
    _, training, out_of_fold, *_ = place_training_rows(X, y, 2, "learned")
    assert len(out_of_fold.maps) == 0
    assert len(out_of_fold.honest_pairs()) == training.n_pairs - 1500
    model = fresh("learned").fit(X, y)
    present = model._model
    assert present.left_out_neighbors is present.rows.neighbors


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_without_a_map_all_rows_are_new(metric):
    X, y = overfitted(150)
    model = fresh(metric).fit(X, y)
    assert model._model.rows.out_of_fold is None
    assert len(model._model.honest_pairs) == 150


def test_folds_follow_the_rows_through_changes():
    X, y = overfitted(260)
    model = fresh("learned").fit(X[:150], y[:150])
    before = model._model
    fold_of_row = before.rows.out_of_fold.fold_of_pair[before.training.pair_of_row]
    model.partial_fit(X[150:], y[150:]).forget(np.arange(20))
    after = model._model
    fold_now = after.rows.out_of_fold.fold_of_pair[after.training.pair_of_row]
    assert_array_equal(fold_now[:130], fold_of_row[20:])
    assert (fold_now[130:] == -1).all()
    assert np.isfinite(model.predict_proba(X)).all()
