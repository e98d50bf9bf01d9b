"""Learned metrics on the classifier."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.datasets import load_iris

import knngraph.metric.place as place
from knngraph import KNNGraphClassifier
from knngraph.graph.training_set import build_training_set
from knngraph.metric.choose import Choice, folds
from knngraph.metric.gradient_map import N_MAPS, gradient_maps, symmetric_map
from knngraph.metric.place import place_training_rows
from knngraph.space import fit_space

# How well greedy walks do on these few rows is not the question here.
pytestmark = pytest.mark.filterwarnings(
    "ignore::knngraph.exceptions.LookupAgreementWarning"
)


def needle(random, n, n_features=15):
    """Two features of many tell the class, the others are noise."""
    X = random.normal(size=(n, n_features)) + 100.0
    return X, (X[:, 3] + X[:, 7] > 200.0).astype(int)


@pytest.mark.parametrize("inference", ["lookup", "adaptive", "cascade"])
def test_a_map_finds_the_needle(inference, random):
    X, y = needle(random, 400)
    X_test, y_test = needle(random, 400)
    scores = {}
    for metric in ("euclidean", "learned", "auto"):
        # The plain vote: what is compared is the metric alone.
        model = KNNGraphClassifier(
            inference=inference,
            metric=metric,
            vote="labels",
            ef=32,
            random_state=0,
        ).fit(X, y)
        scores[metric] = model.score(X_test, y_test)
        assert model.metric_ == ("euclidean" if metric == "euclidean" else "learned")
    assert scores["learned"] > scores["euclidean"] + 0.1
    assert scores["auto"] > scores["euclidean"] + 0.1


def test_no_map_where_none_helps():
    # Every direction is as good as any other: the class is told by the radius.
    random = np.random.default_rng(0)
    X = random.normal(size=(300, 2))
    y = (np.linalg.norm(X, axis=1) > 1.2).astype(int)
    space, *_ = place_training_rows(X, y, 2, "auto")
    assert (space.metric, space.linear) == ("euclidean", None)


def test_a_choice_of_no_rounds_is_the_euclidean_metric(digits, monkeypatch):
    X, y = digits[0][:300], digits[1][:300]
    plain = KNNGraphClassifier(random_state=0).fit(X, y)
    monkeypatch.setattr(place, "choose_map", lambda *rows, seed: Choice(0))
    model = KNNGraphClassifier(metric="auto", random_state=0).fit(X, y)
    assert model.metric_ == "euclidean"
    assert_array_equal(model.predict_proba(X), plain.predict_proba(X))


def test_the_map_that_was_chosen_is_learned_from_all_rows(random, monkeypatch):
    X, y = needle(random, 200)
    plain, training, *_ = place_training_rows(X, y, 2, "euclidean")
    factors = gradient_maps(training.points, training.pair_code, 2)
    maps = [symmetric_map(factor) for factor in factors]
    assert len(maps) == N_MAPS
    for number, linear in enumerate(maps, start=1):
        monkeypatch.setattr(
            place, "choose_map", lambda *rows, seed, n=number: Choice(n)
        )
        space, *_ = place_training_rows(X, y, 2, "auto")
        assert_array_equal(space.linear, linear)
    learned, *_ = place_training_rows(X, y, 2, "learned")
    assert_array_equal(learned.linear, maps[-1])
    assert_array_equal(learned.center, plain.center)


def test_the_order_of_the_rows_changes_no_map(random):
    X, y = needle(random, 300)
    space, training, *_ = place_training_rows(X, y, 2, "auto", seed=3)
    order = random.permutation(300)
    other, moved, *_ = place_training_rows(X[order], y[order], 2, "auto", seed=3)
    assert_array_equal(other.linear, space.linear)
    assert_array_equal(moved.points, training.points)
    assert_array_equal(moved.node_of_row, training.node_of_row[order])


def test_threads_change_no_bytes(random):
    X, y = needle(random, 400)
    one, two = (
        KNNGraphClassifier(metric="auto", random_state=0, n_jobs=n).fit(X, y)
        for n in (1, 3)
    )
    assert one.metric_ == "learned"
    assert one._model.space.linear.tobytes() == two._model.space.linear.tobytes()
    assert_array_equal(one._model.training.points, two._model.training.points)


def test_rows_are_centered_scaled_and_mapped(random):
    X, y = needle(random, 100)
    for scale in (1.0, 1e-20, 1e20):
        space, training, *_ = place_training_rows(X * scale, y, 2, "learned")
        expected = ((X * scale - space.center) / space.scale) @ space.linear
        assert_allclose(space.map_rows(X * scale), expected, rtol=1e-5, atol=1e-5)
        assert_array_equal(
            training.points[training.node_of_row], space.map_rows(X * scale)
        )


def test_a_row_is_mapped_alike_in_any_block(random):
    X, y = needle(random, 300, n_features=40)
    space, *_ = place_training_rows(X, y, 2, "learned")
    together = space.map_rows(X)
    alone = np.concatenate([space.map_rows(row[None]) for row in X])
    assert_array_equal(together, alone)
    assert_array_equal(space.map_rows(np.asfortranarray(X)), together)
    thin = np.where(random.random(X.shape) < 0.7, 0.0, X)
    assert_array_equal(space.map_rows(sparse.csr_array(thin)), space.map_rows(thin))


def test_too_many_features(random):
    X, y = random.normal(size=(30, 1001)), np.arange(30) % 2
    with pytest.raises(ValueError, match=r'metric="learned".* 1001 .*1000') as error:
        KNNGraphClassifier(metric="learned").fit(X, y)
    assert "PCA" in str(error.value)
    assert KNNGraphClassifier(metric="auto").fit(X, y).metric_ == "euclidean"
    assert KNNGraphClassifier(metric="learned").fit(X[:, :1000], y).metric_ == "learned"


@pytest.mark.parametrize("metric", ["learned", "auto"])
def test_nothing_to_learn(metric, random):
    X = random.normal(size=(30, 2))
    one_class = KNNGraphClassifier(metric=metric).fit(X, np.zeros(30))
    assert one_class.metric_ == "euclidean"
    constant = KNNGraphClassifier(metric=metric).fit(
        np.ones((30, 2)), np.arange(30) % 2
    )
    assert constant.metric_ == "euclidean"
    assert constant.predict([[5.0, 5.0]]).shape == (1,)


@pytest.mark.parametrize("metric", ["learned", "auto"])
def test_very_few_rows(metric):
    for n in (1, 2, 3, 5):
        X = np.arange(2.0 * n).reshape(n, 2)
        model = KNNGraphClassifier(metric=metric, ef=8).fit(X, np.arange(n) % 2)
        assert_array_equal(model.predict(X), np.arange(n) % 2)


def test_sparse_rows_learn_what_dense_ones_do(digits):
    X, y = digits[0][:300], digits[1][:300]
    dense = KNNGraphClassifier(
        metric="learned", inference="adaptive", random_state=0
    ).fit(X, y)
    thin = KNNGraphClassifier(
        metric="learned", inference="adaptive", random_state=0
    ).fit(sparse.csr_array(X), y)
    assert thin.metric_ == "learned"
    queries = digits[0][300:600]
    same = dense.predict(queries) == thin.predict(sparse.csr_array(queries))
    assert same.mean() > 0.98


def test_a_space_survives_a_pickle():
    X, y = load_iris(return_X_y=True)
    model = KNNGraphClassifier(metric="learned", random_state=0).fit(X, y)
    copied = pickle.loads(pickle.dumps(model))
    assert copied.metric_ == "learned"
    assert_array_equal(copied._model.space.linear, model._model.space.linear)
    assert_array_equal(copied.predict_proba(X), model.predict_proba(X))


def test_bandwidths_are_in_mapped_units(random):
    X, y = needle(random, 200)
    model = KNNGraphClassifier(
        metric="learned", inference="adaptive", random_state=0
    ).fit(X, y)
    mapped = model._model.space.map_rows(X) * model._model.space.scale
    plain = KNNGraphClassifier(inference="adaptive", random_state=0).fit(mapped, y)
    assert_allclose(model.query_bandwidth_, plain.query_bandwidth_, rtol=1e-5)


@pytest.mark.parametrize("metric", ["learned", "auto"])
def test_constant_columns_and_rows_that_are_all_the_same(metric, random):
    X, y = needle(random, 200)
    X[:, 5] = -3.0
    model = KNNGraphClassifier(metric=metric, ef=32, random_state=0).fit(X, y)
    assert model.metric_ == "learned"
    assert model.score(X, y) > 0.9
    same = KNNGraphClassifier(metric=metric).fit(np.ones((60, 3)), np.arange(60) % 2)
    assert same.metric_ == "euclidean"


def test_sparse_rows_choose_as_dense_ones_do(digits):
    X, y = digits[0][:300], digits[1][:300] % 3
    dense, *_ = place_training_rows(X, y, 3, "auto")
    thin, *_ = place_training_rows(sparse.csr_array(X), y, 3, "auto")
    assert dense.metric == thin.metric


def test_maps_of_all_metrics_have_seen_the_same_rows(random):
    X, y = needle(random, 2600)
    X = np.concatenate([X, X[:40]])
    y = np.concatenate([y, y[:20], 1 - y[20:40]])
    unseen = []
    for metric in ("learned", "trees"):
        space, training, held, *_ = place_training_rows(X, y, 2, metric)
        assert space.linear is not None
        honest = np.isin(training.pair_of_row, held.honest_pairs())
        unseen.append(honest)
        assert held.honest_pairs().size == training.n_pairs - 1500
    assert_array_equal(*unseen)


def test_maps_of_folds_have_not_seen_the_fold(random):
    X, y = needle(random, 240)
    for metric in ("auto", "learned"):
        space, training, held, *_ = place_training_rows(X, y, 2, metric)
        assert held.maps.shape == (3, 15, 15)
        plain = build_training_set(fit_space(X, "euclidean").map_rows(X), y, 2)
        for fold, (fitted, places) in enumerate(folds(plain.pair_code)):
            # Rows are their own pairs here, in two orders.
            rows = np.isin(plain.pair_of_row, places)
            assert_array_equal(held.fold_of_pair[training.pair_of_row[rows]], fold)
            learn = (plain.points[fitted], plain.pair_code[fitted], 2)
            expected = [np.linalg.norm(f, axis=0) for f in gradient_maps(*learn)]
            found = np.linalg.norm(space.linear @ held.maps[fold], axis=0)
            # The very map of that fold: the choice may have centered its rows.
            assert min(np.abs(found - e).max() for e in expected) < 1e-2


def test_rows_that_few_maps_can_leave_out():
    X = np.arange(10.0).reshape(5, 2)
    _, _, held, *_ = place_training_rows(X, np.arange(5) % 2, 2, "learned")
    assert held is None or len(held.honest_pairs())
