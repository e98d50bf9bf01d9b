"""The contract of scikit-learn, and its tools around the classifier."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import VotingClassifier
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import (
    check_param_validation,
    parametrize_with_checks,
)

from knngraph import KNNGraphClassifier, KNNGraphClassifierCV
from tests.instances import estimators_under_test

# How well greedy searches do on these few rows is not the question here.
pytestmark = pytest.mark.filterwarnings(
    "ignore::knngraph.exceptions.LookupAgreementWarning"
)


@pytest.mark.usefixtures("few_trees")
@parametrize_with_checks(estimators_under_test())
def test_contract(estimator, check):
    check(estimator)


@pytest.mark.parametrize("estimator", [KNNGraphClassifier(), KNNGraphClassifierCV()])
def test_parameters_are_validated(estimator):
    check_param_validation(type(estimator).__name__, estimator)


@pytest.mark.parametrize(
    "setting",
    [
        {"max_neighbors": 0},
        {"support": "some"},
        {"penalty_max": 1.0},
        {"label_weight": 1.5},
        {"bandwidth": 0.0},
        {"nugget": -1.0},
        {"metric": "manhattan"},
        {"ef": 0},
        {"tol": 0.0},
        {"positive": "yes"},
    ],
    ids=lambda setting: next(iter(setting)),
)
def test_a_bad_value_is_named(setting, blobs):
    (name,) = setting
    with pytest.raises(ValueError, match=f"'{name}' parameter"):
        KNNGraphClassifier(**setting).fit(*blobs)


def test_clone_copies_parameters_only(blobs):
    model = KNNGraphClassifier(ef=7, penalty_max=0.4, random_state=0).fit(*blobs)
    copied = clone(model)
    assert copied.get_params() == model.get_params()
    assert not hasattr(copied, "graph_")


def test_pipeline(blobs):
    X, y = blobs
    scaler = StandardScaler()
    model = make_pipeline(scaler, KNNGraphClassifier(random_state=0)).fit(X, y)
    alone = KNNGraphClassifier(random_state=0).fit(scaler.transform(X), y)
    assert_array_equal(model.predict(X), alone.predict(scaler.transform(X)))


def test_cross_validation(digits):
    X, y = digits[0][:600], digits[1][:600]
    model = KNNGraphClassifier(ef=32, random_state=0)
    scores = cross_val_score(model, X, y, cv=3)
    # Measured: 0.88 to 0.95.
    assert scores.min() > 0.85
    predicted = cross_val_predict(model, X, y, cv=3, method="predict_proba")
    assert predicted.shape == (600, 10)


def test_grid_search(blobs):
    X, y = blobs
    grid = {"label_weight": [0.0, 0.3], "penalty_max": [0.3, 0.5], "ef": [1, 32]}
    search = GridSearchCV(
        KNNGraphClassifier(self_weight=0.5, random_state=0), grid, cv=3
    ).fit(X, y)
    assert len(search.cv_results_["params"]) == 8
    assert len(np.unique(search.cv_results_["mean_test_score"])) > 1
    assert search.best_estimator_.get_params()["ef"] == search.best_params_["ef"]
    assert search.predict(X).shape == y.shape


def test_voting(blobs):
    X, y = blobs
    model = KNNGraphClassifier(random_state=0)
    other = KNeighborsClassifier()
    vote = VotingClassifier([("graph", model), ("knn", other)], voting="soft")
    shares = vote.fit(X, y).predict_proba(X)
    expected = clone(model).fit(X, y).predict_proba(X)
    expected = (expected + other.fit(X, y).predict_proba(X)) / 2
    assert_allclose(shares, expected)


def test_calibration(blobs):
    X, y = blobs
    model = CalibratedClassifierCV(KNNGraphClassifier(random_state=0), cv=3)
    shares = model.fit(X, y).predict_proba(X)
    assert_allclose(shares.sum(axis=1), 1.0)
    assert model.score(X, y) > 0.5  # four classes
