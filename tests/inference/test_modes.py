"""What all three ways of reading a model have to keep."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.base import clone

from knngraph import KNNGraphClassifier
from knngraph.inference import adaptive

# How well greedy searches do on these few rows is not the question here.
pytestmark = pytest.mark.filterwarnings(
    "ignore::knngraph.exceptions.LookupAgreementWarning"
)

MODES = ("lookup", "adaptive", "cascade")


@pytest.fixture(scope="module")
def rows(digits):
    """Digits with noise on them, so that no two distances are equal."""
    noise = np.random.default_rng(0).normal(scale=0.1, size=digits[0].shape)
    return digits[0] + noise, digits[1]


def fit(rows, n=400, **params):
    return KNNGraphClassifier(**{"random_state": 0} | params).fit(
        rows[0][:n], rows[1][:n]
    )


@pytest.fixture(scope="module")
def model(rows):
    return fit(rows, metric="euclidean")


@pytest.fixture(scope="module")
def learned(rows):
    return fit(rows, metric="learned")


@pytest.mark.parametrize("inference", MODES)
@pytest.mark.parametrize("metric", ["euclidean", "learned"])
def test_a_batch_is_answered_like_single_queries(
    metric, inference, model, learned, rows, monkeypatch
):
    model = learned if metric == "learned" else model
    assert model.metric_ == metric
    model.set_params(inference=inference)
    queries = rows[0][400:700]
    together = model.predict_proba(queries)
    alone = np.concatenate([model.predict_proba(query[None]) for query in queries])
    assert_array_equal(alone, together)
    # And in any other pieces, on any number of threads.
    monkeypatch.setattr(adaptive, "_VOTES_PER_BLOCK", 10 * 37)
    model.set_params(n_jobs=2)
    assert_array_equal(model.predict_proba(queries), together)
    assert_array_equal(model.predict(queries), together.argmax(axis=1))
    model.set_params(n_jobs=None)


@pytest.mark.parametrize("metric", ["euclidean", "learned", "auto", "cosine"])
def test_permuting_training_rows_changes_no_answer(metric, rows, random):
    order = random.permutation(300)
    one = fit(rows, 300, metric=metric)
    X, y = rows[0][order], rows[1][order]
    other = clone(one).fit(X, y)
    assert other.metric_ == one.metric_
    assert other.loo_score_ == one.loo_score_
    assert other.query_bandwidth_ == one.query_bandwidth_
    assert_array_equal(other.resolved_, one.resolved_[order])
    queries = rows[0][400:800]
    for inference in MODES:
        one.set_params(inference=inference)
        other.set_params(inference=inference)
        assert_array_equal(other.predict_proba(queries), one.predict_proba(queries))


@pytest.mark.parametrize("metric", ["euclidean", "auto", "learned"])
def test_threads_change_no_byte(metric, rows):
    one, other = (fit(rows, 600, metric=metric, n_jobs=n) for n in (1, 3))
    assert other.metric_ == one.metric_
    if one.metric_ == "learned":
        assert_array_equal(other._model.space.linear, one._model.space.linear)
    found, expected = other._model.stored_rule, one._model.stored_rule
    assert found.rule == expected.rule
    assert found.rule.threshold == expected.rule.threshold
    assert found.calibration == expected.calibration
    for inference in MODES:
        shares = [
            model.set_params(inference=inference).predict_proba(rows[0][600:1200])
            for model in (one, other)
        ]
        assert shares[0].tobytes() == shares[1].tobytes()


@pytest.mark.parametrize("inference", MODES)
@pytest.mark.parametrize("ef", [None, 1, 20, "auto"])
def test_switching_is_as_good_as_fitting_again(inference, ef, model, rows):
    switched = pickle.loads(pickle.dumps(model)).set_params(inference=inference, ef=ef)
    fresh = fit(rows, metric="euclidean", inference=inference, ef=ef)
    queries = rows[0][400:600]
    assert switched.ef_ == fresh.ef_
    assert switched.lookup_agreement_ == fresh.lookup_agreement_
    assert_array_equal(switched.predict_proba(queries), fresh.predict_proba(queries))
    assert_array_equal(switched.predict(queries), fresh.predict(queries))


def test_answering_changes_nothing(model, rows):
    model.set_params(inference="lookup", n_jobs=None)
    model.predict_proba(rows[0][400:410])  # finds what there is to find
    before = pickle.dumps(model)
    for inference in MODES:
        model.set_params(inference=inference)
        model.predict(rows[0][400:410])
        model.predict_proba(rows[0][400:410])
        model.inference_report(rows[0][400:410])
    model.set_params(inference="lookup")
    assert pickle.dumps(model) == before


@pytest.mark.parametrize("inference", MODES)
@pytest.mark.parametrize("metric", ["euclidean", "learned"])
def test_pickles_answer_alike(metric, inference, model, learned, rows):
    model = learned if metric == "learned" else model
    model.set_params(inference=inference)
    copied = pickle.loads(pickle.dumps(model))
    queries = rows[0][400:500]
    assert_array_equal(copied.predict_proba(queries), model.predict_proba(queries))


@pytest.mark.parametrize("inference", MODES)
@pytest.mark.parametrize("metric", ["euclidean", "learned", "cosine"])
def test_sparse_rows(metric, inference, digits):
    X, y = sparse.csr_array(digits[0][:300]), digits[1][:300]
    model = KNNGraphClassifier(inference=inference, metric=metric, random_state=0)
    model.fit(X, y)
    queries = digits[0][300:400]
    assert model.score(queries, digits[1][300:400]) > 0.75
    assert_array_equal(
        model.predict_proba(sparse.csr_array(queries)), model.predict_proba(queries)
    )


@pytest.mark.parametrize("inference", MODES)
def test_no_class_is_impossible(inference, model, rows):
    shares = model.set_params(inference=inference).predict_proba(rows[0][400:500])
    assert shares.min() > 0.0


@pytest.mark.parametrize("inference", MODES)
def test_all_that_is_said_is_the_same_in_pieces(inference, model, rows, monkeypatch):
    model.set_params(inference=inference)
    queries = rows[0][400:520]

    def said():
        answers = model.answer(queries)
        return (
            model.predict_set(queries, 0.1),
            model.novelty_score(queries),
            model.inference_report(queries)["resolved"],
            answers.labels,
            answers.probabilities,
            answers.novelty_score,
        )

    whole = said()
    monkeypatch.setattr(adaptive, "_VOTES_PER_BLOCK", 10 * 37)
    for piece, part in zip(said(), whole):
        assert len(piece) == 120
        assert_array_equal(piece, part)
