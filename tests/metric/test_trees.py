"""Rows mapped by a forest, on the classifiers."""

import pickle
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.datasets import make_classification
from sklearn.utils.multiclass import check_classification_targets

import knngraph.metric.place as place
from knngraph import KNNGraphClassifier, KNNGraphClassifierCV
from knngraph.metric.choose import Choice
from knngraph.metric.place import place_training_rows

pytestmark = pytest.mark.filterwarnings(
    "ignore::knngraph.exceptions.LookupAgreementWarning"
)


@pytest.fixture(scope="module")
def table():
    """Classes in boxes of two columns of eight: made for trees."""
    random = np.random.default_rng(0)
    X = random.uniform(size=(700, 8))
    y = (2 * X[:, 2]).astype(int) ^ (2 * X[:, 5]).astype(int)
    y[random.random(700) < 0.05] ^= 1
    return X, y


@pytest.fixture
def no_linear_map(monkeypatch):
    monkeypatch.setattr(place, "choose_map", lambda *rows, seed: Choice(0))


@pytest.mark.parametrize("estimator", [KNNGraphClassifier, KNNGraphClassifierCV])
def test_trees_find_the_boxes(table, estimator):
    X, y = table
    scores = {}
    for metric in ("euclidean", "trees"):
        model = estimator(metric=metric, inference="adaptive", random_state=0)
        model.fit(X[:400], y[:400])
        scores[metric] = model.score(X[400:], y[400:])
    # No tree has told a left-out row its own label.
    assert model.loo_score_ < scores["trees"] + 0.03
    assert model.metric_ in ("trees", "trees, learned")
    assert scores["trees"] > scores["euclidean"] + 0.1


@pytest.mark.parametrize("scale", [1.0, 1e-20, 1e20])
def test_shares_stand_before_weighted_columns(table, scale, no_linear_map):
    X, y = table[0] * scale, table[1]
    space, training, folds, *_ = place_training_rows(X, y, 2, "trees")
    assert (space.metric, space.linear, folds, space.scale) == ("trees", None, None, 1)
    forest = space.trees
    columns = (X - space.center) * forest.column_weight
    shares, mapped = forest.shares(X), space.map_rows(X)
    assert_allclose(columns.var(axis=0).sum(), shares.var(axis=0).sum(), rtol=0.01)
    assert_allclose(mapped, np.hstack([shares, columns]), rtol=1e-6)
    assert_array_equal(training.points[training.node_of_row], mapped)
    alone = np.concatenate([space.map_rows(row[None]) for row in X[:60]])
    assert_array_equal(alone, space.map_rows(X)[:60])
    assert_array_equal(space.map_rows(X, n_threads=3), space.map_rows(X))


def test_a_few_rows_far_out_do_not_hide_the_columns(table, no_linear_map):
    X, y = table
    plain = place_training_rows(X, y, 2, "trees")[0].trees.column_weight
    far = X.copy()
    far[7] = 1e9
    weight = place_training_rows(far, y, 2, "trees")[0].trees.column_weight
    assert weight == pytest.approx(plain, rel=0.1)


@pytest.mark.parametrize("chosen", [0, 4])
def test_order_threads_copies_and_weights_change_nothing(table, monkeypatch, chosen):
    monkeypatch.setattr(place, "choose_map", lambda *rows, seed: Choice(chosen))
    X, y = table[0][:300], table[1][:300]
    random = np.random.default_rng(0)
    alone, order = np.arange(300), random.permutation(300)
    copies = np.repeat(alone, random.integers(1, 4, size=300))
    weight = np.bincount(copies).astype(np.float64)
    for rows, weights, others in ((alone, None, order), (alone, weight, copies)):
        space, training, folds, *_ = place_training_rows(
            X[rows], y[rows], 2, "trees", weights, seed=3
        )
        assert space.metric == ("trees, learned" if chosen else "trees")
        assert (folds is None) == (not chosen)
        other, moved, *_ = place_training_rows(
            X[others], y[others], 2, "trees", seed=3, n_threads=2
        )
        for name in ("feature", "threshold", "right", "values", "column_weight"):
            assert_array_equal(getattr(other.trees, name), getattr(space.trees, name))
        assert_array_equal(other.linear, space.linear)
        assert_array_equal(moved.points, training.points)
        assert_array_equal(moved.node_of_row, training.node_of_row[others])


def test_the_same_seed_gives_the_same_answers(table):
    X, y = table
    one, two, other = (
        KNNGraphClassifier(metric="trees", random_state=seed, n_jobs=n).fit(X, y)
        for seed, n in ((0, 1), (0, 3), (1, 1))
    )
    assert_array_equal(one._model.training.points, two._model.training.points)
    assert_array_equal(one.predict_proba(X), two.predict_proba(X))
    assert (one._model.space.trees.salts != other._model.space.trees.salts).all()


def test_one_class_has_no_trees(table):
    X, _ = table
    model = KNNGraphClassifier(metric="trees", random_state=0)
    model.fit(X, np.full(len(X), "a"))
    assert model.metric_ == "euclidean"
    assert set(model.predict(X[:5])) == {"a"}


def test_many_classes_and_many_columns(random):
    X, y = random.normal(size=(300, 1200)), np.arange(300) % 30
    model = KNNGraphClassifier(metric="trees", random_state=0).fit(X, y)
    assert model.metric_ == "trees"  # such a linear map is too large
    assert model._model.training.points.shape == (300, 1216)
    assert model.predict_proba(X[:3]).shape == (3, 30)


def test_more_classes_than_half_the_rows_warn_once(random):
    X, y = random.normal(size=(60, 3)), np.arange(60) % 40
    model = KNNGraphClassifier(metric="trees", random_state=0)
    with warnings.catch_warnings(record=True) as own:
        warnings.simplefilter("always")
        check_classification_targets(y)  # warns in newer releases alone
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        model.fit(X, y)
    shown = [w for w in said if "unique classes" in str(w.message)]
    assert len(shown) == len(own) <= 1


def test_sparse_rows(table):
    X = np.where(table[0] < 0.3, 0.0, table[0])
    model = KNNGraphClassifier(metric="trees", inference="adaptive", random_state=0)
    model.fit(sparse.csr_array(X), table[1])
    assert_array_equal(model.predict(X), model.predict(sparse.csr_array(X)))
    assert model.loo_score_ > 0.75


def test_rows_that_single_precision_cannot_tell_apart():
    random = np.random.default_rng(0)
    centers = random.integers(2, size=(300, 2)) * 1e9
    X = centers + random.uniform(size=(300, 2))
    y = (X[:, 0] % 1.0 > 0.5).astype(int)
    model = KNNGraphClassifier(metric="trees", random_state=0).fit(X, y)
    assert model.precision_ == "double"
    assert model._model.training.points.dtype == np.float64
    assert model.predict(X).shape == (300,)


def test_the_neighbors_interface(table):
    X, y = table
    model = KNNGraphClassifier(metric="trees", random_state=0).fit(X, y)
    assert model.effective_metric_ == model.metric_
    assert model.effective_metric_params_ == {}
    distances, rows = model.kneighbors(X[:4], 3)
    mapped = model._model.space.map_rows(X[:4])
    points = model._model.training.points[model._model.training.node_of_row]
    assert_array_equal(rows[:, 0], np.arange(4))  # a training row finds itself
    for query, away, found in zip(mapped, distances, rows):
        every = np.sort(np.linalg.norm(points - query, axis=1))
        assert_allclose(away, every[:3], rtol=1e-4, atol=1e-6)
        assert_allclose(np.linalg.norm(points[found] - query, axis=1), away, rtol=1e-4)


def test_a_pickle_answers_alike(table):
    X, y = table
    model = KNNGraphClassifier(metric="trees", random_state=0).fit(X, y)
    copied = pickle.loads(pickle.dumps(model))
    assert_array_equal(copied.predict_proba(X), model.predict_proba(X))


def test_fewer_rows_than_columns_and_rows_of_one_value():
    X, y = make_classification(12, 40, random_state=0)
    model = KNNGraphClassifier(metric="trees", random_state=0).fit(X, y)
    assert model.score(X, y) > 0.4
    same = KNNGraphClassifier(metric="trees", random_state=0)
    same.fit(np.ones((12, 3)), y)
    assert_allclose(same.predict_proba(np.ones((1, 3))).sum(), 1.0)
