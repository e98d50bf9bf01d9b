"""Weights of classes: in every vote on a label, and in every choice of fit."""

import pickle

import dask.array as da
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.metrics import balanced_accuracy_score, recall_score
from sklearn.model_selection import train_test_split

from knngraph import KNNGraphClassifier, KNNGraphClassifierCV, load_predictor
from knngraph.distributed import DaskKNNGraphClassifier
from knngraph.graph.consensus import vote
from knngraph.graph.training_set import build_training_set
from knngraph.inference.cascade import stored_margin
from knngraph.weights import checked_class_weight, class_factors, mean_votes
from tests.updating.fresh import assert_same_answers, assert_same_attributes, fit_anew

pytestmark = pytest.mark.filterwarnings(
    "ignore::knngraph.exceptions.LookupAgreementWarning"
)
INFERENCES = ("lookup", "adaptive", "cascade")


def rare_class(seed, n=1200):
    """Two classes that overlap, 95 to 5."""
    random = np.random.default_rng(seed)
    y = (random.random(n) < 0.05).astype(int)
    X = random.normal(size=(n, 3))
    X[y == 1, 0] += 1.5
    return X, y


@pytest.mark.parametrize("inference", INFERENCES)
def test_balanced_finds_a_rare_class(inference):
    # Measured over six seeds: a mean of 0.05 for lookups, 0.16 for the others.
    gains = []
    for seed in range(3):
        X, X_test, y, y_test = train_test_split(
            *rare_class(seed, 5000), train_size=1200, random_state=0
        )
        scores = []
        for class_weight in (None, "balanced"):
            model = KNNGraphClassifier(
                inference=inference, class_weight=class_weight, ef=32, random_state=0
            )
            predicted = model.fit(X, y).predict(X_test)
            assert_array_equal(model.predict_proba(X_test).argmax(axis=1), predicted)
            scores.append(balanced_accuracy_score(y_test, predicted))
        gains.append(scores[1] - scores[0])
    assert np.mean(gains) > 0.03


@pytest.mark.parametrize("inference", INFERENCES)
def test_settings_are_chosen_by_weighed_scores(inference):
    X, y = rare_class(0, 600)
    model = KNNGraphClassifierCV(
        inference=inference,
        class_weight="balanced",
        neighbor_counts=[16],
        query_nuggets=[0.3, 3.0],
        self_weights=[0.5, 2.0],
        metric="euclidean",
        random_state=0,
    ).fit(X, y)
    results = model.cv_results_["mean_test_score"]
    assert model.best_score_ == results.max()
    if inference == "lookup":
        return
    # The settings again, one by one: their score is the mean recall of left-out rows.
    for params, score in zip(model.cv_results_["params"], results):
        one = KNNGraphClassifier(
            inference=inference,
            class_weight="balanced",
            vote="labels",
            metric="euclidean",
            random_state=0,
            **params,
        ).fit(X, y)
        assert_allclose(one.loo_score_, score)


def test_the_left_out_score_is_the_mean_recall():
    X, y = rare_class(1, 500)
    model = KNNGraphClassifier(
        class_weight="balanced", vote="labels", metric="euclidean", random_state=0
    ).fit(X, y)
    training, left_out = model._model.training, model._model.left_out
    right = left_out.right[training.pair_of_row]
    recalls = recall_score(y, np.where(right, y, 1 - y), average=None)
    assert_allclose(model.loo_score_, recalls.mean())


def test_equal_weights_are_no_weights():
    X, y = rare_class(2, 300)
    model = KNNGraphClassifier(inference="cascade", random_state=0)
    expected = clone(model).fit(X, y).predict_proba(X)
    equal = clone(model).set_params(class_weight={0: 0.1, 1: 0.1}).fit(X, y)
    assert_array_equal(equal.predict_proba(X), expected)
    # As are those of classes with the same number of rows.
    even = np.arange(300) % 2
    balanced = clone(model).set_params(class_weight="balanced").fit(X, even)
    assert_array_equal(balanced.predict_proba(X), model.fit(X, even).predict_proba(X))


@pytest.mark.parametrize("inference", INFERENCES)
def test_balanced_is_a_dict(inference):
    """By the weights of the rows; the size of the numbers is of no account."""
    X, y = rare_class(3, 400)
    names = np.array(["usual", "rare"])[y]
    weights = np.random.default_rng(0).integers(0, 3, 400)
    model = KNNGraphClassifier(inference=inference, random_state=0)
    balanced = clone(model).set_params(class_weight="balanced")
    balanced.fit(X, names, weights)
    share = weights[y == 0].sum() / weights[y == 1].sum()
    as_dict = clone(model).set_params(class_weight={"rare": 7 * share, "usual": 7})
    as_dict.fit(X, names, weights)
    assert_allclose(
        balanced.predict_proba(X), as_dict.predict_proba(X), rtol=0, atol=1e-9
    )


def test_weights_follow_the_rows():
    X, y = rare_class(4, 500)
    X[:40] = X[40:80]  # copies, some with the other label
    model = KNNGraphClassifier(
        class_weight="balanced", metric="euclidean", ef=1000, random_state=0
    ).fit(X[:300], y[:300])
    model.partial_fit(X[300:], y[300:]).forget(np.flatnonzero(y == 1)[::2])
    there = np.delete(np.arange(500), np.flatnonzero(y == 1)[::2])
    fresh = fit_anew(model, X[there], y[there])
    assert_same_attributes(model, fresh)
    assert_same_answers(model, fresh, X + 0.01)
    # A class without rows has no part in what is balanced.
    model.forget(y[there] == 1)
    assert set(model.predict(X)) == {0}
    with pytest.raises(ValueError, match="class_weight was 'balanced' at fit"):
        model.set_params(class_weight=None).partial_fit(X, y)


@pytest.mark.parametrize("inference", INFERENCES)
def test_weights_in_files(inference, tmp_path):
    X, y = rare_class(5, 400)
    model = KNNGraphClassifier(
        inference=inference, class_weight="balanced", random_state=0
    ).fit(X, y)
    expected = model.predict_proba(X + 0.01)
    model.to_predictor().save(tmp_path / "model")
    for other in (
        load_predictor(tmp_path / "model"),
        pickle.loads(pickle.dumps(model)),
    ):
        assert_array_equal(other.predict_proba(X + 0.01), expected)


def test_condensing_keeps_what_is_stored():
    X, y = rare_class(6)
    model = KNNGraphClassifier(class_weight="balanced", ef=64, random_state=0)
    small = model.fit(X, y).condense(0.05, edited="keep")
    report = small.report_
    assert report.kept_share < 1.0
    # The accuracy of a report is that of the weighed rows.
    plain = KNNGraphClassifier(ef=64, random_state=0).fit(X, y).condense(0.05)
    assert report.accuracy_before < plain.report_.accuracy_before - 0.05
    found = balanced_accuracy_score(y, small.set_params(ef=64).predict(X))
    assert found > balanced_accuracy_score(y, model.predict(X)) - 0.05


@pytest.mark.parametrize("inference", INFERENCES)
def test_explanations_add_up(inference):
    X, y = rare_class(7, 400)
    wrong = np.random.default_rng(0).random(400) < 0.2
    model = KNNGraphClassifier(
        inference=inference, class_weight="balanced", random_state=0
    ).fit(X, np.where(wrong, 1 - y, y))
    for explanation in model.explain(X[:50] + 0.01):
        scores = np.zeros(2)
        for voter in explanation.neighbors:
            scores[voter.label] += voter.weight * voter.reliability
            if voter.rival is not None:
                scores[voter.rival] += voter.weight * (1.0 - voter.reliability)
        assert_allclose(scores, explanation.scores, atol=1e-4)


@pytest.mark.parametrize(
    ("class_weight", "message"),
    [
        ({0: 1, 2: 3}, r"names 2, which is no class of y, and leaves 1 out"),
        ({0: 1, 1: -2}, r"has -2 for class 1: a weight is a positive"),
        ({0: 0.0}, r"has 0\.0 for class 0: .* leave its rows out"),
        ({0: float("nan")}, r"has nan for class 0"),
        ({0: "much"}, r"has 'much' for class 0"),
        ({0: True}, r"has True for class 0"),
        ("balance", r"'class_weight' parameter .* must be .*'balanced'"),
        ([1, 2], r"'class_weight' parameter .* must be .*'dict'"),
    ],
)
def test_bad_weights_are_named(class_weight, message):
    X, y = rare_class(8, 200)
    model = KNNGraphClassifier(class_weight=class_weight, random_state=0)
    with pytest.raises(ValueError, match=message):
        model.fit(X, y)
    assert not hasattr(model, "classes_")


def test_a_class_that_a_fold_lacks_may_be_named():
    X, y = rare_class(9, 200)
    named = KNNGraphClassifier(class_weight={0: 1, 1: 5, 2: 7}, random_state=0)
    known = KNNGraphClassifier(class_weight={0: 1, 1: 5}, random_state=0)
    assert_array_equal(
        named.fit(X, y).predict_proba(X), known.fit(X, y).predict_proba(X)
    )
    assert checked_class_weight({1: 5}, np.array([0, 1])) == (1.0, 5.0)


def test_extreme_weights_leave_votes():
    factors = class_factors((1e300, 1e-300), np.array([10.0, 90.0]))
    assert np.isfinite(factors).all()
    assert (factors > 0.0).all()
    X, y = rare_class(10, 300)
    for inference in INFERENCES:
        model = KNNGraphClassifier(
            inference=inference, class_weight={1: 1e300, 0: 1e-300}, random_state=0
        ).fit(X, y)
        assert_allclose(model.predict_proba(X).sum(axis=1), 1.0)
        assert (model.predict(X) == 1).mean() > 0.8


def test_votes_by_hand():
    weights = sparse.csr_array([[0, 0.2, 0.6], [0.5, 0, 0], [0.5, 0, 0]])
    agreed = vote(
        weights,
        np.array([0, 1, 0]),
        n_classes=2,
        self_weight=1.0,
        class_weight=np.array([1.0, 9.0]),
    )
    # 0.6 + 0.6 for the first class, nine times 0.2 for the second.
    assert_allclose(agreed.distribution[0], [0.4, 0.6], atol=1e-5)
    assert agreed.codes.tolist() == [1, 1, 0]


@pytest.mark.parametrize("as_sparse", [False, True])
def test_votes_of_copies_are_weighed_together(as_sparse):
    factors = np.array([1.0, 4.0])
    plain = np.array([[1.0, 0.0], [0.5, 0.5]])
    weighed = plain * factors / (plain * factors).sum(axis=1, keepdims=True)
    average = sparse.csr_array([[0.5, 0.5]])
    shares = sparse.csr_array(weighed) if as_sparse else weighed
    found = mean_votes(average, shares, factors)
    found = found.toarray() if as_sparse else found
    assert_allclose(found, [[0.75 / 1.75, 1.0 / 1.75]])  # of 3/4 and 1/4


def test_a_margin_by_hand():
    rows = np.array([[0.0], [1.0], [1.0]], dtype=np.float32)
    training = build_training_set(rows, np.array([0, 0, 1]), n_classes=2)
    training = training.with_class_weight((1.0, 3.0))
    nearest = np.argsort(training.points[:, 0])[None]
    margin = stored_margin(
        training, nearest, np.array([[0.0, 1.0]]), np.array([0]), sharpness=1.0
    )
    far = np.exp(-1.0)
    own, other = 1.0 + 0.5 * far, 3.0 * 0.5 * far
    assert_allclose(margin, (own - other) / (own + other))


def test_on_dask():
    X, y = rare_class(11, 400)
    rows, labels = da.from_array(X, chunks=(100, 3)), da.from_array(y, chunks=100)
    estimator = KNNGraphClassifier(
        inference="adaptive", class_weight="balanced", random_state=0
    )
    whole = DaskKNNGraphClassifier(estimator).fit(rows, labels)
    expected = clone(estimator).fit(X, y).predict(X)
    assert_array_equal(whole.predict(rows).compute(), expected)
    with pytest.raises(ValueError, match=r"class_weight is offered up to local_rows"):
        DaskKNNGraphClassifier(estimator, local_rows=10).fit(rows, labels)
