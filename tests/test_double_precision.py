"""Models in double precision do all that models in single precision do."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.neighbors import KNeighborsClassifier

import knngraph
from knngraph import KNNGraphClassifier, KNNGraphClassifierCV, KNNGraphTransformer
from knngraph.space import LARGEST_IN_DOUBLE

INFERENCES = ["lookup", "adaptive", "cascade"]


def tight(n_columns=2, n_each=60, seed=0):
    """Two classes in every cluster, and clusters 1e8 times as far apart as wide."""
    random = np.random.default_rng(seed)
    centers = 1e8 * random.normal(size=(4, n_columns))
    X = random.normal(size=(4, n_each, n_columns))
    y = np.tile(np.arange(n_each) % 2, 4)
    X[:, 1::2, 0] += 12.0
    return (centers[:, None] + X).reshape(-1, n_columns), y


def fitted(X, y, **settings):
    settings = {"metric": "euclidean", "random_state": 0} | settings
    model = KNNGraphClassifier(**settings).fit(X, y)
    assert model.precision_ == "double"
    return model


@pytest.mark.parametrize("metric", ["euclidean", "learned", "auto"])
@pytest.mark.parametrize("support", ["exact", "local"])
@pytest.mark.parametrize("n_columns", [2, 30])
def test_clusters_are_told_apart(n_columns, support, metric):
    X, y = tight(n_columns)
    new, labels = tight(n_columns)
    new += 1e-3 * np.random.default_rng(1).normal(size=X.shape)
    for inference in INFERENCES:
        model = fitted(X, y, metric=metric, support=support, inference=inference)
        assert model.score(new, labels) > 0.97
        assert np.isfinite(model.predict_proba(new)).all()
        assert model.optimality_gap_.max() <= model.tol


@pytest.mark.parametrize("inference", INFERENCES)
def test_files_pickles_and_rows_one_by_one_answer_alike(inference, tmp_path):
    X, y = tight()
    model = fitted(X, y, inference=inference)
    expected, shares = model.predict(X), model.predict_proba(X)
    model.to_predictor().save(tmp_path / "predictor")
    knngraph.save(model, tmp_path / "model")
    for other in (
        pickle.loads(pickle.dumps(model)),
        knngraph.load(tmp_path / "model"),
        model.to_predictor(),
        knngraph.load_predictor(tmp_path / "predictor"),
        pickle.loads(pickle.dumps(model.to_predictor())),
    ):
        assert_array_equal(other.predict(X), expected)
        assert_array_equal(other.predict_proba(X), shares)
    predictor = knngraph.load_predictor(tmp_path / "predictor")
    assert [predictor(row) for row in X] == expected.tolist()
    alone = np.concatenate([model.predict_proba(row[None]) for row in X])
    assert_array_equal(alone, shares)


@pytest.mark.parametrize("inference", INFERENCES)
def test_rows_come_and_go_as_in_a_fresh_fit(inference):
    X, y = tight()
    order = np.random.default_rng(2).permutation(len(X))
    X, y = X[order], y[order]
    model = fitted(X[:150], y[:150], inference=inference)
    model.partial_fit(X[150:], y[150:]).forget(np.arange(40))
    model = pickle.loads(pickle.dumps(model))
    fresh = fitted(X[40:], y[40:], inference=inference)
    assert_array_equal(model.predict(X), fresh.predict(X))
    assert_array_equal(model.predict_proba(X), fresh.predict_proba(X))
    assert abs(model.graph_ - fresh.graph_).max() == 0.0
    assert model.lookup_agreement_ == 1.0


def test_condensed_and_explained():
    X, y = tight()
    model = fitted(X, y)
    small = model.condense(0.05)
    assert len(small.kept_) < len(X) / 2
    assert small.score(X, y) > 0.95
    assert_array_equal(small.to_predictor().predict(X), small.predict(X))
    for row, explanation in enumerate(model.explain(X[:20])):
        assert explanation.row == row
        assert explanation.predicted == model.predict(X[[row]])[0]
    assert model.suspect_labels(5).rows.shape == (5,)


def test_neighbors_are_those_of_scikit_learn():
    X, y = tight()
    theirs = KNeighborsClassifier(5, algorithm="kd_tree").fit(X, y)
    for ours in (
        fitted(X, y),
        KNNGraphTransformer(method="knn").fit(X),
        KNNGraphTransformer(method="knn", algorithm="hnsw").fit(X),
    ):
        for queries in (None, X + 0.125):
            found = ours.kneighbors(queries, 5)
            expected = theirs.kneighbors(queries, 5)
            assert_array_equal(found[1], expected[1])
            np.testing.assert_allclose(found[0], expected[0], rtol=1e-12)


def test_settings_are_chosen_in_double_precision():
    X, y = tight()
    model = KNNGraphClassifierCV(neighbor_counts=[4, 8], random_state=0).fit(X, y)
    assert model.precision_ == "double"
    assert model.score(X, y) > 0.97


@pytest.mark.parametrize("value", [1e200, -1.7e308])
def test_values_beyond_any_distance(value, blobs):
    X, y = blobs[0].copy(), blobs[1]
    X[3, 1] = value
    model = KNNGraphClassifier(random_state=0).fit(X, y)
    assert model.precision_ == "double"
    plain = KNNGraphClassifier(random_state=0, ef=240).fit(*blobs)
    assert abs(model.score(*blobs) - plain.score(*blobs)) < 0.03
    assert model.predict(X[[3]]) == model.labels_[3]
    assert np.abs(model._model.training.points).max() <= LARGEST_IN_DOUBLE


def test_many_rows_on_a_line_are_searched_in_double():
    random = np.random.default_rng(0)
    X = random.normal(size=(20_000, 1))
    y = (np.sin(40.0 * X[:, 0]) > 0.0).astype(int)
    model = fitted(X, y)
    new = random.normal(size=(2000, 1))
    theirs = KNeighborsClassifier(1).fit(X, y)
    assert_array_equal(model.kneighbors(new, 1)[1], theirs.kneighbors(new, 1)[1])
    assert model.score(new, np.sin(40.0 * new[:, 0]) > 0.0) > 0.99
