"""From a fitted classifier to a small one: promises, measures, refusals."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.base import clone, is_classifier
from sklearn.datasets import load_digits, load_iris, make_moons
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import train_test_split

import knngraph.condensing.condense as condense_module
from knngraph import (
    KNNGraphClassifier,
    KNNGraphClassifierCV,
    Predictor,
    condense,
    load_predictor,
)
from knngraph.condensing.classifier import CondensedClassifier
from knngraph.condensing.editing import find_edited, find_voters
from knngraph.condensing.plan import _Fold, make_plan
from knngraph.graph.training_set import build_training_set
from knngraph.index.exact import ExactIndex
from tests.hostile import conflicting_copies

DIGITS = load_digits(return_X_y=True)


def fit(X, y, **settings):
    settings = {"metric": "euclidean", "ef": 16, "random_state": 0} | settings
    return KNNGraphClassifier(**settings).fit(X, y)


@pytest.fixture(scope="module")
def digits():
    """A classifier, its left-out rows, and what it condenses to."""
    X, Q, y, truth = train_test_split(*DIGITS, test_size=0.4, random_state=0)
    classifier = fit(X, y, support="local")
    return classifier, X, Q, truth, classifier.condense(tolerance=0.02)


@pytest.fixture(scope="module")
def noisy():
    X, y = make_moons(400, noise=0.4, random_state=0)
    return fit(X, y, support="local"), X, y


def exact_answers(classifier, condensed, X):
    """Stored labels of the kept rows that are nearest, by brute force."""
    stored = X[condensed.kept_].astype(np.float32)
    ids, _ = ExactIndex(stored).nearest(X.astype(np.float32), 1)
    return classifier.labels_[condensed.kept_][ids[:, 0]]


def test_digits_keep_a_quarter_and_their_accuracy(digits):
    classifier, X, Q, truth, condensed = digits
    report = condensed.report_
    assert report.n_points == len(X)
    assert report.n_kept == len(condensed.kept_) == len(set(condensed.kept_))
    assert report.kept_share < 0.25
    assert report.bytes_after < 0.3 * report.bytes_before
    assert report.loss + report.loss_error <= report.tolerance == 0.02
    assert report.n_left_out == len(X)
    # Unseen rows bear the measure out.
    loss = classifier.score(Q, truth) - condensed.score(Q, truth)
    assert loss < 0.02 + 3 * report.loss_error
    assert report.microseconds_after > 0


@pytest.mark.usefixtures("engine")
def test_every_row_keeps_its_answer(noisy):
    classifier, X, _ = noisy
    condensed = classifier.condense(tolerance=0.05, edited="keep")
    assert condensed.report_.n_kept < 300
    assert condensed.report_.changed_share == 0.0
    assert condensed.report_.n_edited == 0
    answers = exact_answers(classifier, condensed, X)
    assert_array_equal(answers, classifier.labels_)


def test_only_edited_rows_may_change(noisy):
    classifier, X, _ = noisy
    condensed = classifier.condense(tolerance=0.05, edited="drop")
    report = condensed.report_
    changed = exact_answers(classifier, condensed, X) != classifier.labels_
    assert 0 < changed.mean() == pytest.approx(report.changed_share)
    neighbors = find_voters(ExactIndex(X.astype(np.float32)), X.astype(np.float32))
    codes = np.searchsorted(classifier.classes_, classifier.labels_)
    edited = find_edited(neighbors, codes, np.ones(len(X), bool))
    assert not (changed & ~edited).any()
    assert report.n_edited == edited.sum()
    assert not edited[condensed.kept_].any()


def test_copies_stand_up_for_each_other():
    # Fifty places of another class than all around, each with so many copies that
    # the nearest others of a row lie on its own place.
    data = conflicting_copies(20)
    classifier = fit(data.X, data.y)
    assert_array_equal(classifier.predict(data.queries), data.answers)
    condensed = classifier.condense()
    assert_array_equal(condensed.predict(data.queries), data.answers)
    assert condensed.report_.n_edited == condensed.report_.changed_share == 0


def test_auto_keeps_the_fewest(noisy):
    classifier, _, _ = noisy
    kept = {
        way: classifier.condense(tolerance=0.05, edited=way).report_.n_kept
        for way in ("keep", "drop", "auto")
    }
    assert kept["drop"] < kept["keep"]
    assert kept["auto"] == kept["drop"]


def test_the_plan_by_hand():
    # Two places of many rows: a row of each is enough for all left-out rows.
    random = np.random.default_rng(0)
    rows = random.normal(size=(100, 2)).astype(np.float32)
    codes = np.arange(100) % 2
    rows[codes == 1] += 100
    training = build_training_set(rows, codes, 2)
    stored = training.pair_code
    neighbors = find_voters(ExactIndex(training.points), training.points)
    plan = make_plan(training, stored, neighbors, 0.0, [False, True])
    assert (plan.margin, plan.drop_edited) == (0.0, False)
    assert plan.accuracy_before == plan.accuracy_after == 1.0
    assert plan.loss_error == 0.0
    assert plan.n_left_out == 100


def test_where_nothing_is_tolerated_every_row_stays(noisy, monkeypatch):
    classifier, X, _ = noisy
    predictor = classifier.to_predictor()
    # No set gains so much.
    monkeypatch.setattr(condense_module, "_check_arguments", lambda *_: None)
    condensed = condense(predictor, -1.0)
    report = condensed.report_
    assert condensed._state is predictor._state
    assert_array_equal(condensed.kept_, np.arange(len(X)))
    assert_array_equal(condensed.predict(X), classifier.predict(X))
    assert report.margin is None
    assert report.loss == report.changed_share == 0.0
    assert report.bytes_after == report.bytes_before


def test_the_original_is_not_changed(noisy):
    classifier, _, _ = noisy
    classifier.to_predictor()  # has found what is found on first use
    before = pickle.dumps(classifier)
    classifier.condense()
    assert pickle.dumps(classifier) == before


def test_deterministic_for_any_threads(digits, tmp_path):
    classifier, _, _, _, condensed = digits
    classifier = pickle.loads(pickle.dumps(classifier)).set_params(n_jobs=2)
    again = classifier.condense(tolerance=0.02)
    assert again.report_ == condensed.report_
    assert_array_equal(again.kept_, condensed.kept_)
    for name, one in (("one", condensed), ("two", again)):
        one.to_predictor().save(tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


@pytest.mark.usefixtures("engine")
def test_a_predictor_condenses_to_the_same(tmp_path):
    # Fitted here, with the engine that condenses it.
    Q, X, _, y = train_test_split(*DIGITS, test_size=0.3, random_state=0)
    classifier = fit(X, y, support="local")
    condensed = classifier.condense(tolerance=0.02)
    classifier.to_predictor().save(tmp_path / "large")
    small = condense(load_predictor(tmp_path / "large"), tolerance=0.02)
    assert small.report_.n_kept == condensed.report_.n_kept
    assert_array_equal(small.predict_proba(Q), condensed.predict_proba(Q))
    rows = classifier._model.training.row_of_node()[small.kept_]
    assert_array_equal(rows, condensed.kept_)


def test_answers_and_predictors_agree(digits, tmp_path):
    _, _, Q, _, condensed = digits
    labels, shares = condensed.predict(Q), condensed.predict_proba(Q)
    assert_array_equal(condensed.classes_[shares.argmax(axis=1)], labels)
    np.testing.assert_allclose(shares.sum(axis=1), 1.0)
    predictor = condensed.to_predictor()
    assert_array_equal(predictor.predict(Q), labels)
    assert_array_equal(predictor.predict_proba(Q), shares)
    assert [predictor(row) for row in Q[:20]] == labels[:20].tolist()
    predictor.save(tmp_path / "model")
    assert_array_equal(load_predictor(tmp_path / "model").predict(Q), labels)
    copied = pickle.loads(pickle.dumps(condensed))
    assert_array_equal(copied.predict(Q), labels)
    assert_array_equal(copied.set_params(n_jobs=2).predict(Q), labels)


def test_ef_is_a_matter_of_the_call(digits):
    _, _, Q, _, condensed = digits
    condensed = pickle.loads(pickle.dumps(condensed))
    assert condensed.ef_ == condensed.report_.ef_after
    assert condensed.set_params(ef=None).ef_ == 1
    assert condensed.to_predictor().ef == 1
    assert condensed.set_params(ef=200).to_predictor().ef == 200
    for ef in (0, "wide"):
        with pytest.raises(ValueError, match="ef must be a positive integer"):
            condensed.set_params(ef=ef).predict(Q)


def test_copies_conflicts_and_text_labels():
    random = np.random.default_rng(0)
    X = np.repeat(random.normal(size=(60, 2)), 5, axis=0)
    y = np.where(X[:, 0] > 0, "right", "left").astype(object)
    y[::5] = "odd"  # one of five copies says something else
    classifier = fit(X, y)
    condensed = classifier.condense(edited="keep")
    assert condensed.report_.n_rows == 300
    assert condensed.report_.n_points == 60
    assert condensed.report_.n_kept < 40
    assert condensed.report_.accuracy_before == pytest.approx(0.75, abs=0.06)
    assert_array_equal(condensed.set_params(ef=60).predict(X), classifier.predict(X))
    assert set(condensed.predict(X)) == {"left", "right"}


def test_one_class_keeps_one_row():
    X = np.random.default_rng(0).normal(size=(50, 3))
    condensed = fit(X, ["only"] * 50).condense()
    assert condensed.report_.n_kept == 1
    assert condensed.report_.accuracy_after == 1.0
    assert set(condensed.predict(X)) == {"only"}
    assert "50" in str(condensed.report_)


def test_a_single_row():
    condensed = fit([[1.0, 2.0]], ["a"]).condense()
    assert condensed.predict([[5.0, 5.0]]).tolist() == ["a"]
    assert condensed.report_.n_left_out == 0
    assert np.isnan(condensed.report_.accuracy_before)


@pytest.mark.parametrize("metric", ["cosine", "learned", "trees"])
def test_metrics_and_frames(metric):
    X, y = load_iris(return_X_y=True, as_frame=True)
    classifier = fit(X, y, metric=metric)
    condensed = classifier.condense(tolerance=0.05)
    assert condensed.report_.n_kept < 75
    expected = classifier.predict(X)
    assert (condensed.predict(X) == expected).mean() > 0.93
    assert_array_equal(condensed.to_predictor().predict(X), condensed.predict(X))
    with pytest.raises(ValueError, match="columns"):
        condensed.predict(X.iloc[:, ::-1])


def test_chosen_settings_condense():
    X, y = load_iris(return_X_y=True)
    classifier = KNNGraphClassifierCV(inference="lookup", ef=16, random_state=0)
    condensed = classifier.fit(X, y).condense(tolerance=0.05)
    assert condensed.report_.n_kept < 75
    assert condensed.score(X, y) > 0.9


def test_sparse_shares(noisy):
    classifier, _, _ = noisy
    dense = classifier.to_predictor()
    stored = dense._state.model.stored
    stored = replace(stored, shares=sparse.csr_array(stored.shares))
    model = replace(dense._state.model, stored=stored)
    packed = Predictor(replace(dense._state, model=model))
    expected, small = condense(dense, 0.05), condense(packed, 0.05)
    assert_array_equal(small.kept_, expected.kept_)
    found = small._state.model.stored.shares
    assert_array_equal(found.toarray(), expected._state.model.stored.shares)
    X = noisy[1]
    assert_array_equal(small.predict_proba(X), expected.predict_proba(X))


def test_other_inferences_are_refused(digits):
    classifier, _, _, _, condensed = digits
    with pytest.raises(ValueError, match="answers by lookup alone"):
        condensed.set_params(inference="adaptive")
    assert condensed.set_params(inference="lookup") is condensed
    for inference in ("adaptive", "cascade"):
        other = pickle.loads(pickle.dumps(classifier))
        other.set_params(inference=inference)
        message = f"answers by inference='{inference}'"
        with pytest.raises(ValueError, match=message):
            other.condense()
        with pytest.raises(ValueError, match=message):
            condense(other.to_predictor())


@pytest.mark.parametrize("tolerance", [-0.1, 1.0, np.nan, "much", True, None])
def test_bad_tolerances(noisy, tolerance):
    with pytest.raises(ValueError, match="tolerance must be a number from 0"):
        noisy[0].condense(tolerance)


def test_bad_use(noisy):
    with pytest.raises(ValueError, match="edited must be one of 'auto', 'keep'"):
        noisy[0].condense(edited="maybe")
    with pytest.raises(NotFittedError):
        KNNGraphClassifier().condense()
    condensed = noisy[0].condense()
    assert is_classifier(condensed)
    with pytest.raises(TypeError, match="cannot be fitted"):
        condensed.fit([[0.0]], [0])
    for bare in (clone(condensed), CondensedClassifier()):
        with pytest.raises(NotFittedError, match="made by condense"):
            bare.predict([[0.0, 0.0]])
        with pytest.raises(NotFittedError, match="made by condense"):
            bare.to_predictor()
    with pytest.raises(ValueError, match="3 columns, the model was fitted on 2"):
        condensed.predict([[1.0, 2.0, 3.0]])
    with pytest.raises(ValueError, match="finite"):
        condensed.predict([[np.inf, 0.0]])


def test_left_out_rows_are_as_if_they_were_not_there(random):
    points = random.normal(size=(120, 2)).astype(np.float32)
    codes = (points[:, 0] + random.normal(size=120) > 0).astype(np.intp)
    copies = random.integers(1, 4, size=120)
    training = build_training_set(
        np.repeat(points, copies, axis=0), np.repeat(codes, copies), 2
    )
    codes = training.pair_code  # no node has two
    neighbors = find_voters(ExactIndex(training.points), training.points)
    left_out = np.arange(120) % 5 == 2
    search = _Fold(training, codes, left_out, 1).search(neighbors, drop=True)
    there = np.where((neighbors >= 0) & left_out[neighbors], -1, neighbors)
    edited = find_edited(there, codes, training.node_weights())
    assert_array_equal(search._dropped, edited[~left_out][search._order])
    assert 0 < search._dropped.sum() < 60
