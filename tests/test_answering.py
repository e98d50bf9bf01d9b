"""All that is said of a query, by one search, and by the methods one by one."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.datasets import make_classification

from knngraph import KNNGraphClassifier, KNNGraphClassifierCV, load_predictor
from knngraph.inference import answer as answering
from knngraph.inference.calibration import Calibration, sharpen
from knngraph.inference.probabilities import favor, probabilities_of

INFERENCES = ("adaptive", "cascade", "lookup")


@pytest.fixture(scope="module")
def data():
    X, y = make_classification(
        700, n_features=5, n_informative=4, n_redundant=0, n_classes=3, random_state=0
    )
    X[7] = X[300]  # a copy, with another label
    y[7] = (y[300] + 1) % 3
    return X[:400], y[:400], np.concatenate([X[400:], X[:8], X[:2] + 90.0])


@pytest.fixture(scope="module")
def model(data):
    return KNNGraphClassifier(inference="cascade", ef=32, random_state=0).fit(*data[:2])


def check_answers(answers, X, **level):
    found = answers.answer(X, **level)
    said = [
        (found.labels, answers.predict(X)),
        (found.probabilities, answers.predict_proba(X)),
        (found.novelty_score, answers.novelty_score(X)),
        (found.novelty_pvalue, answers.novelty_pvalue(X)),
    ]
    if level:
        said.append((found.sets, answers.predict_set(X, **level)))
    else:
        assert found.sets is None
    for given, expected in said:
        assert_array_equal(given, expected, strict=True)
    return found


@pytest.mark.parametrize("inference", INFERENCES)
@pytest.mark.parametrize(
    "level", [{}, {"alpha": 0.2}, {"alpha": 0.1, "per_class": True}], ids=str
)
def test_one_call_gives_what_the_methods_give(data, model, inference, level, tmp_path):
    X, predictor = data[2], model.set_params(inference=inference).to_predictor()
    predictor.save(tmp_path / "model")
    found = check_answers(model, X, **level)
    for answers in (predictor, load_predictor(tmp_path / "model", mmap=False)):
        same = check_answers(answers, X, **level)
        assert_array_equal(same.probabilities, found.probabilities)
        assert_array_equal(same.sets, found.sets)
    one_by_one = [model.answer(x[None], **level) for x in X[:20]]
    assert_array_equal(
        [a.probabilities[0] for a in one_by_one], found.probabilities[:20]
    )
    if level:
        assert_array_equal([a.sets[0] for a in one_by_one], found.sets[:20])
        nothing = predictor.answer(X[:0], n_jobs=2, **level)
        assert nothing.sets.shape == (0, 3)


def test_one_call_of_estimators_that_choose_and_condense(data, model):
    X, y, queries = data
    small_grid = {"neighbor_counts": (16,), "query_penalties": (0.02,)}
    chosen = KNNGraphClassifierCV(inference="adaptive", random_state=0, **small_grid)
    check_answers(chosen.fit(X, y), queries, alpha=0.1)
    small = model.set_params(inference="lookup").condense(0.05)
    assert small.report_.kept_share < 1.0
    check_answers(small, queries)
    for answers in (small, small.to_predictor()):
        with pytest.raises(ValueError, match="condensed model has no prediction sets"):
            answers.answer(queries, alpha=0.1)
    with pytest.raises(ValueError, match="alpha must be a number"):
        model.answer(queries, alpha=1.5)
    with pytest.raises(ValueError, match="per_class must be"):
        model.to_predictor().answer(queries, alpha=0.1, per_class="yes")


@pytest.mark.parametrize("inference", INFERENCES)
def test_every_query_is_searched_once(data, model, inference, monkeypatch):
    X, searched, checked = data[2][:30], [], []
    model.set_params(inference=inference)
    predictor, search = model.to_predictor(), answering.search
    check = KNNGraphClassifier._checked_queries

    def counted(part, options, queries):
        searched.append(len(queries))
        return search(part, options, queries)

    def check_counted(model, X):
        checked.append(len(X))
        return check(model, X)

    monkeypatch.setattr(answering, "search", counted)
    monkeypatch.setattr(KNNGraphClassifier, "_checked_queries", check_counted)
    for answers in (model, predictor):
        for call in (answers.explain, lambda X, a=answers: a.answer(X, alpha=0.1)):
            searched.clear(), checked.clear()
            call(X)
            assert sum(searched) == len(X)
            assert checked == ([len(X)] if answers is model else [])


@pytest.mark.parametrize("inference", INFERENCES)
def test_explanations_say_what_the_answer_says(data, model, inference):
    X = data[2][:40]
    model.set_params(inference=inference)
    for answers in (model, model.to_predictor()):
        found = answers.answer(X, alpha=0.1)
        for place, said in enumerate(answers.explain(X, n_others=0)):
            assert said.query == place
            assert said.predicted == found.labels[place]
            assert_array_equal(said.probabilities, found.probabilities[place])
            assert said.novelty_pvalue == found.novelty_pvalue[place]
            assert sorted(said.label_set) == np.flatnonzero(found.sets[place]).tolist()


def test_a_condensed_model_is_explained_without_sets(data, model):
    small = model.set_params(inference="lookup").condense(0.05).to_predictor()
    for place, said in enumerate(small.explain(data[2][:5])):
        assert said.label_set is None
        assert said.predicted == small.predict(data[2][:5])[place]
        assert "Set at 90%" not in dict(said.to_card().facts)


@pytest.mark.parametrize("inference", ["lookup", "cascade"])
def test_votes_of_both_kinds_become_probabilities_by_one_rule(inference):
    random = np.random.default_rng(0)
    votes = random.dirichlet(np.ones(4), 60)
    of_candidates = random.random(60) < 0.5
    codes = np.where(random.random(60) < 0.5, random.integers(0, 4, 60), -1)
    calibration = Calibration(2.0, 0.5, 3.0, 0.2, 1.0)
    near = (3.0, 1.0) if inference == "cascade" else (0.5, 0.2)
    answers = np.where(codes < 0, votes.argmax(axis=1), codes)
    expected = [
        favor(sharpen(vote[None], *((2.0,) if many else near)), np.array([code]))[0]
        for vote, many, code in zip(votes, of_candidates, answers)
    ]
    found, chosen = probabilities_of(
        votes, codes, of_candidates, calibration, inference
    )
    assert_array_equal(found, expected)
    assert_array_equal(chosen, answers)
    assert_array_equal(found.argmax(axis=1), answers)
    for some in (of_candidates, ~of_candidates):
        part, _ = probabilities_of(
            votes[some], codes[some], of_candidates[some], calibration, inference
        )
        assert_array_equal(part, found[some])
