"""Training rows that lie on the query: whether they decide alone."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from knngraph import KNNGraphClassifier, KNNGraphClassifierCV, load_predictor
from knngraph.graph.neighbors import nearest_others
from knngraph.graph.training_set import build_training_set
from knngraph.index.exact import ExactIndex
from knngraph.inference import copies, leave_one_out
from knngraph.inference.adaptive import (
    QueryProblem,
    candidate_votes,
    leave_one_out_candidates,
    search_candidates,
)
from knngraph.inference.copies import copied_pairs, with_trust_in_copies
from tests.reference import query_votes


@pytest.fixture(scope="module")
def bottles():
    """Overlapping classes; every third row was measured twice, with one label."""
    random = np.random.default_rng(3)
    X = random.normal(size=(360, 3))
    y = (X[:, 0] + random.normal(scale=1.5, size=360) > 0.0).astype(int)
    return np.concatenate([X, X[:120]]), np.concatenate([y, y[:120]])


def fitted(X, y, **settings):
    return KNNGraphClassifier(
        inference="adaptive", metric="euclidean", random_state=0, **settings
    ).fit(X, y)


def votes_of(model, problem, queries):
    read = model._query_model(model._options())
    mapped = read.space.map_rows(queries)
    ids, squared = search_candidates(read.index, mapped, problem, ef=400)
    return candidate_votes(read.training, ids, squared, problem)


def test_copies_with_one_label_decide_alone(bottles):
    X, y = bottles
    model = fitted(X, y, query_nugget=3.0)
    assert model._model.problem.trust_copies
    assert_array_equal(model.predict(X[:120]), y[:120])
    rest = replace(model._model.problem, trust_copies=False)
    assert (votes_of(model, rest, X[:120]).argmax(axis=1) != y[:120]).any()


def test_votes_recomputed(bottles):
    X, y = bottles
    model = fitted(X, y, query_nugget=3.0)
    problem = model._model.problem
    # On rows with copies, on rows without, and elsewhere.
    queries = np.concatenate([X[:10], X[200:210], X[:10] + 0.1])
    expected = [
        query_votes(
            X, y, [0, 1], q, 32, problem.sigma, problem.nugget, trust_copies=True
        )
        for q in queries
    ]
    assert_allclose(votes_of(model, problem, queries), expected, atol=1e-4)


def test_copies_that_contradict_each_other_do_not_decide(bottles):
    X, y = bottles
    y = np.concatenate([y[:360], np.random.default_rng(0).integers(0, 2, size=120)])
    assert not fitted(X, y, query_nugget=3.0)._model.problem.trust_copies


def test_copies_that_add_nothing_do_not_decide():
    # The classes are far apart: all rows nearby say the same.
    random = np.random.default_rng(0)
    X = random.normal(size=(200, 2)) + 20.0 * np.repeat([0, 1], 100)[:, None]
    X, y = np.concatenate([X, X[::2]]), np.repeat([0, 1, 0, 1], [100, 100, 50, 50])
    assert not fitted(X, y)._model.problem.trust_copies


def test_a_grid_compares_settings_with_it(bottles):
    X, y = bottles
    found = KNNGraphClassifierCV(
        metric="euclidean",
        inference="adaptive",
        query_nuggets=(3.0,),
        random_state=0,
    ).fit(X, y)
    assert found._model.problem.trust_copies
    # Left out, a third of the rows have a copy that is right for certain.
    plain = replace(found._model.problem, trust_copies=False)
    codes = votes_of(found, plain, X[:120]).argmax(axis=1)
    assert (codes != y[:120]).any()
    assert found.best_score_ > 0.8


@pytest.mark.parametrize("inference", ["adaptive", "cascade"])
def test_saved_and_compact_models_answer_alike(bottles, inference, tmp_path):
    X, y = bottles
    model = fitted(X, y, query_nugget=3.0).set_params(inference=inference)
    predictor = model.to_predictor()
    predictor.save(tmp_path / "predictor.bin")
    loaded = load_predictor(tmp_path / "predictor.bin")
    assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
    alone = np.concatenate([loaded.predict_proba(x[None]) for x in X[:20]])
    assert_array_equal(alone, model.predict_proba(X[:20]))


def test_pairs_that_leave_a_row_behind(random, monkeypatch):
    X = np.repeat(np.arange(30), random.integers(1, 4, 30)).astype(np.float32)[:, None]
    training = build_training_set(X, random.integers(2, size=len(X)), 2)
    honest = np.flatnonzero(random.random(training.n_pairs) < 0.8)
    on_node = np.bincount(training.node_of_row)[training.pair_node]
    expected = [pair for pair in honest if on_node[pair] > 1]
    assert copied_pairs(training, honest).tolist() == expected
    monkeypatch.setattr(copies, "_MOST_PAIRS", 5)
    assert copied_pairs(training, honest).tolist() == expected[:5]
    monkeypatch.setattr(leave_one_out, "CALIBRATION_ROWS", 4)
    expected = [pair for pair in honest[:4] if on_node[pair] > 1]
    assert copied_pairs(training, honest).tolist() == expected


@pytest.mark.parametrize("class_weight", [None, (1.0, 4.0), (0.02, 1.0)])
def test_copies_decide_where_that_gains_clearly(class_weight, bottles):
    X, y = np.float32(bottles[0]), bottles[1]
    problems = [QueryProblem(12, 1.0, nugget, 0.02) for nugget in (0.01, 0.3, 3.0)]
    found = []
    for n_copies in (0, 1, 3, 8, 40):
        rows = np.r_[0:60, 360 : 360 + n_copies]
        rows = rows[(rows < 360) | (y[rows] == 0)]
        training = build_training_set(X[rows], y[rows], 2)
        training = training.with_class_weight(class_weight)
        points, weights = training.points, training.node_weights()
        lists = nearest_others(ExactIndex(points), points, weights, 12)
        pairs = copied_pairs(training, np.arange(training.n_pairs))
        trusting = with_trust_in_copies(training, lists, problems, pairs, n_threads=2)
        nearest = leave_one_out_candidates(training, lists, pairs, 12)
        given = training.pair_code[pairs]
        counted = training.score_weights(pairs)
        for problem, chosen in zip(problems, trusting):
            right = [
                candidate_votes(
                    training,
                    *nearest,
                    replace(problem, trust_copies=trusted),
                    left_out=pairs,
                ).argmax(axis=1)
                == given
                for trusted in (False, True)
            ]
            gains = right[1].astype(int) - right[0].astype(int)
            scale = min(1.0, counted.mean()) if len(pairs) else 1.0
            total = (gains * counted).sum() / scale
            error = np.sqrt((gains**2 * counted).sum() / scale)
            trusted = bool(total > 2.0 * error)
            assert chosen == replace(problem, trust_copies=trusted)
            found.append(trusted)
    assert 0 < sum(found) < len(found)
