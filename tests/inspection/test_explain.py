"""Explanations say what predict does."""

import sys

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import NotFittedError

from knngraph import KNNGraphClassifier, KNNGraphClassifierCV
from knngraph.inspection import Explanation

INFERENCES = ["lookup", "adaptive", "cascade"]


def with_copies(digits):
    """Digits, some twice, some of those with another label."""
    X, y = digits[0][:300], digits[1][:300]
    other = np.concatenate([y[:20], (y[20:40] + 1) % 10])
    names = np.array([f"digit {code}" for code in range(10)])
    return np.concatenate([X, X[:40]]), names[np.concatenate([y, other])]


@pytest.fixture(scope="module")
def model(digits):
    X, y = with_copies(digits)
    # Tolerating no loss: then there are queries that are not resolved.
    model = KNNGraphClassifier(
        inference="cascade",
        metric="euclidean",
        cascade_tolerance=0.0,
        ef=16,
        random_state=0,
    )
    return model.fit(X, y)


@pytest.fixture(scope="module")
def queries(digits):
    """Unseen rows, rows that were copied, and rows copied with another label."""
    return np.concatenate([digits[0][300:420], digits[0][:40]])


@pytest.mark.parametrize("inference", INFERENCES)
def test_agrees_with_predict(inference, model, queries):
    model.set_params(inference=inference)
    explanations = model.explain(queries)
    assert len(explanations) == len(queries)
    assert all(isinstance(e, Explanation) for e in explanations)
    assert [e.query for e in explanations] == list(range(len(queries)))
    assert_array_equal([e.predicted for e in explanations], model.predict(queries))
    probabilities = np.array([e.probabilities for e in explanations])
    assert_array_equal(probabilities, model.predict_proba(queries))
    scores = np.array([e.scores for e in explanations])
    assert_allclose(scores.sum(axis=1), 1.0)
    resolved = model.inference_report(queries)["resolved"]
    ways = np.array([e.way for e in explanations])
    assert_array_equal(ways == "stored", resolved)
    if inference == "cascade":
        assert set(ways) == {"stored", "adaptive"}


@pytest.mark.parametrize("inference", INFERENCES)
def test_voters_add_up_to_the_scores(inference, model, queries):
    model.set_params(inference=inference)
    for explanation in model.explain(queries):
        scores = dict.fromkeys(model.classes_.tolist(), 0.0)
        for voter in explanation.voters:
            scores[voter.label] += voter.weight * voter.reliability
            if voter.rival is not None:
                scores[voter.rival] += voter.weight * (1.0 - voter.reliability)
        assert_allclose(list(scores.values()), explanation.scores, atol=1e-9)
        largest = np.sort(explanation.scores)
        assert_allclose(explanation.margin, largest[-1] - largest[-2])


@pytest.mark.parametrize("inference", INFERENCES)
def test_labels_and_distances_are_those_of_the_rows(inference, model, queries, digits):
    X, y = with_copies(digits)
    model.set_params(inference=inference)
    for query, explanation in zip(queries, model.explain(queries)):
        row = explanation.row
        assert explanation.given == y[row]
        assert_allclose(explanation.distance, np.linalg.norm(query - X[row]), atol=1e-5)
        about = X[row] if explanation.way == "stored" else query
        for neighbor in explanation.neighbors:
            assert neighbor.label == y[neighbor.row]
            away = np.linalg.norm(about - X[neighbor.row])
            assert_allclose(neighbor.distance, away, atol=1e-5)


def test_stored_way_is_the_learned_graph(model, digits):
    model.set_params(inference="lookup")
    # Rows without copies: each finds itself.
    for row, explanation in zip(range(50, 80), model.explain(digits[0][50:80])):
        assert explanation.row == row
        assert explanation.distance == 0.0
        assert explanation.stored == model.labels_[row]
        learned = model.graph_[[row]].tocoo()
        weights = dict(zip(learned.col.tolist(), learned.data.tolist()))
        weights[row] = model.self_weight * max(weights.values())
        total = sum(weights.values())
        given = {n.row: n.weight for n in explanation.neighbors}
        assert given.keys() == weights.keys()
        for neighbor, weight in given.items():
            assert_allclose(weight, weights[neighbor] / total)


def test_adaptive_way_lists_the_nearest_rows(model, queries, digits):
    X, _ = with_copies(digits)
    model.set_params(inference="adaptive", ef=300)
    explanations = model.explain(queries[:20])
    model.set_params(ef=16)
    for query, explanation in zip(queries, explanations):
        away = np.linalg.norm(np.unique(X, axis=0) - query, axis=1)
        distances = np.unique([n.distance for n in explanation.neighbors])
        assert_allclose(distances[0], away.min(), atol=1e-5)
        assert_allclose(distances[-1], np.sort(away)[31], atol=1e-5)
        assert len(explanation.voters) < len(explanation.neighbors)
        weights = [n.weight for n in explanation.neighbors]
        assert weights == sorted(weights, reverse=True)


def test_an_adaptive_vote_by_hand():
    # Two rows at distance one from the query, three copies of the first.
    X = np.array([[-1.0], [-1.0], [-1.0], [1.0]])
    model = KNNGraphClassifier(
        inference="adaptive", query_bandwidth=1.0, query_penalty=0.0, random_state=0
    ).fit(X, [0, 0, 0, 1])
    (explanation,) = model.explain([[0.0]])
    # (1 + 0.3 / copies) w_a + e^-2 w_b = 1 for both.
    weights = np.linalg.solve([[1.1, np.exp(-2)], [np.exp(-2), 1.3]], [1.0, 1.0])
    given = {n.row: n.weight for n in explanation.neighbors}
    assert given.keys() == {0, 3}
    assert_allclose([given[0], given[3]], weights / weights.sum(), atol=1e-3)


def test_later_parameters_do_not_change_what_was_voted(model, queries):
    model.set_params(inference="lookup")
    before = model.explain(queries[:5])
    model.set_params(self_weight=0.0)
    after = model.explain(queries[:5])
    model.set_params(self_weight=2.0)
    assert [e.neighbors for e in after] == [e.neighbors for e in before]


@pytest.mark.parametrize("settings", [{"self_weight": 0.0}, {"positive": False}])
def test_other_votes(settings, digits):
    X, y = digits[0][:200], digits[1][:200]
    model = KNNGraphClassifier(ef=16, label_weight=0.0, random_state=0, **settings)
    for explanation in model.fit(X, y).explain(digits[0][200:260]):
        scores = np.zeros(10)
        for voter in explanation.voters:
            scores[voter.label] += voter.weight * voter.reliability
            if voter.rival is not None:
                scores[voter.rival] += voter.weight * (1.0 - voter.reliability)
        assert_allclose(scores, explanation.scores, atol=1e-9)


@pytest.mark.parametrize("inference", INFERENCES)
def test_a_single_row(inference):
    model = KNNGraphClassifier(inference=inference, random_state=0)
    (explanation,) = model.fit([[1.0]], ["only"]).explain([[3.0]])
    assert explanation.predicted == "only"
    assert explanation.distance == 2.0
    assert explanation.margin == 1.0
    assert [(n.row, n.weight) for n in explanation.voters] == [(0, 1.0)]


def test_units_of_tiny_data(digits):
    X, y = digits[0][:200] * 1e-15, digits[1][:200]
    model = KNNGraphClassifier(
        inference="adaptive", metric="euclidean", random_state=0
    ).fit(X, y)
    (explanation,) = model.explain(digits[0][[300]] * 1e-15)
    away = np.linalg.norm(X - digits[0][300] * 1e-15, axis=1)
    assert_allclose(explanation.distance, away.min(), rtol=1e-5)


def test_with_chosen_settings(blobs):
    model = KNNGraphClassifierCV(random_state=0).fit(*blobs)
    explanations = model.explain(blobs[0][:10])
    predicted = [e.predicted for e in explanations]
    assert_array_equal(predicted, model.predict(blobs[0][:10]))


def test_as_text(model, queries):
    model.set_params(inference="cascade")
    explanations = model.explain(queries)
    stored = str(next(e for e in explanations if e.way == "stored"))
    adaptive = str(next(e for e in explanations if e.way == "adaptive"))
    assert "answered by the stored label, cascade" in stored
    assert "answered by a vote at the query, cascade" in adaptive
    assert "candidates" in adaptive
    assert max(map(len, stored.splitlines() + adaptive.splitlines())) <= 88
    for explanation in explanations[:3]:
        text = str(explanation)
        assert f"class {explanation.predicted}, score" in text
        assert f"nearest training row {explanation.row}:" in text


def test_as_table(model, queries, monkeypatch):
    explanation = model.explain(queries[:1])[0]
    table = explanation.to_frame()
    columns = ["query", "row", "label", "weight", "distance", "reliability", "rival"]
    columns.append("reasons")
    assert list(table) == columns
    assert_array_equal(table["row"], [n.row for n in explanation.neighbors])
    assert_allclose(table["weight"].sum(), 1.0)
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"to_frame needs pandas.*pip install"):
        explanation.to_frame()


def test_before_fit_and_with_other_columns(model):
    with pytest.raises(NotFittedError):
        KNNGraphClassifier().explain([[1.0]])
    with pytest.raises(ValueError, match="expecting 64 features"):
        model.explain([[1.0]])


def test_doubt_about_a_label_names_another_one():
    # Wrong labels in one cloud; in the other, far away, no label is contradicted.
    random = np.random.default_rng(0)
    X = np.concatenate([random.normal(size=(300, 2)), random.normal(50, 1, (300, 2))])
    y = np.repeat(["left", "right"], 300)
    y[np.flatnonzero(random.random(300) < 0.2)] = "wrong"
    model = KNNGraphClassifier(inference="adaptive", metric="euclidean", random_state=0)
    explanations = model.fit(X, y).explain(X[290:310])
    assert model.label_doubt_ > 0.0
    voters = [voter for e in explanations for voter in e.voters]
    assert all(voter.rival != voter.label for voter in voters)
    assert any(voter.rival is not None for voter in voters)
    certain = [voter for voter in voters if voter.rival is None]
    assert certain
    assert all(voter.reliability == 1.0 for voter in certain)
    text = "\n".join(map(str, explanations))
    assert "else " in text
    assert "reliability 1.00" not in text
    for explanation in explanations:
        total = dict.fromkeys(model.classes_.tolist(), 0.0)
        for voter in explanation.voters:
            total[voter.label] += voter.weight * voter.reliability
            if voter.rival is not None:
                total[voter.rival] += voter.weight * (1.0 - voter.reliability)
        assert_allclose(list(total.values()), explanation.scores, atol=1e-9)


def test_queries_carry_the_index_of_their_frame(digits):
    frame = pd.DataFrame(digits[0][:120]).add_prefix("p")
    frame.index = [f"image {i}" for i in range(120)]
    model = KNNGraphClassifier(random_state=0)
    model.fit(frame[:100], digits[1][:100], ids=frame.index[:100])
    explanations = model.explain(frame[100:103])
    for place, explanation in enumerate(explanations):
        assert explanation.query == place
        assert explanation.name == f"image {100 + place}"
        assert str(explanation).startswith(f"query image {100 + place}: ")
        assert set(explanation.to_frame()["query"]) == {f"image {100 + place}"}
        assert all(v.name == f"image {v.row}" for v in explanation.voters)
