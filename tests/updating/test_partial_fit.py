"""What partial_fit takes, refuses, leaves alone and puts off."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse

from knngraph import KNNGraphClassifier, KNNGraphClassifierCV, load_predictor
from knngraph.exceptions import RefitWarning
from knngraph.fitted.rows import IndexedRows
from knngraph.graph import solved as solved_module
from knngraph.updating import change as change_module
from tests.updating.fresh import INFERENCES, WIDE, assert_same_answers, fit_anew


def classifier(**parameters):
    settings = {"metric": "euclidean", "ef": WIDE, "random_state": 0}
    return KNNGraphClassifier(**settings | parameters)


def test_the_first_call_is_a_fit(blobs):
    X, y = blobs
    model = classifier().partial_fit(X, y, classes=np.unique(y))
    assert_same_answers(model, classifier().fit(X, y), X)


def test_classes_may_come_later(blobs):
    X, y = blobs
    names = np.array(["north", "east", "south", "west"])[y]
    first = np.isin(names, ["north", "east"])
    model = classifier().partial_fit(X[first], names[first], classes=np.unique(names))
    assert set(model.predict(X)) == {"north", "east"}
    assert model.predict_proba(X).shape == (len(X), 4)
    model.partial_fit(X[~first], names[~first], classes=np.unique(names))
    fresh = classifier().fit(
        np.concatenate([X[first], X[~first]]),
        np.concatenate([names[first], names[~first]]),
    )
    assert_array_equal(model.predict(X), fresh.predict(X))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (lambda X, y: (X[:, :2], y), ValueError, "X has 2 features, but"),
        (lambda X, y: (X, y + 7), ValueError, r"y holds 7, .* classes=\[..., 7\]"),
        (lambda X, y: (X, y + 1, [5]), ValueError, "y holds 4, which is none of the"),
        (lambda X, y: (X, y[:-1]), ValueError, "inconsistent numbers of samples"),
        (lambda X, y: (X * np.nan, y), ValueError, "NaN"),
        (lambda X, y: (X, y + 0.5), ValueError, "Unknown label type"),
    ],
)
def test_a_call_that_is_refused_changes_nothing(blobs, arguments, error, message):
    X, y = blobs
    model = classifier().fit(X, y)
    before = dict(vars(model))
    with pytest.raises(error, match=message):
        model.partial_fit(*arguments(X, y))
    assert vars(model).keys() == before.keys()
    assert all(vars(model)[name] is value for name, value in before.items())


def test_the_first_call_needs_classes(blobs):
    for model in (classifier(), KNNGraphClassifierCV()):
        with pytest.raises(ValueError, match="classes must be passed on the first"):
            model.partial_fit(*blobs)
        with pytest.raises(ValueError, match="which is none of the classes"):
            model.partial_fit(*blobs, classes=[0, 1])
        # Nothing is left of the attempt.
        assert not [name for name in vars(model) if name.endswith("_")]


def test_parameters_of_the_learning_must_be_those_of_the_fit(blobs):
    X, y = blobs
    model = classifier().fit(X, y).set_params(nugget=0.1)
    with pytest.raises(ValueError, match=r"nugget was 0\.0 at fit and is 0\.1 now"):
        model.partial_fit(X, y)
    with pytest.raises(ValueError, match="nugget"):
        model.forget(0)
    model.set_params(nugget=0.0, inference="adaptive", ef=4, n_jobs=2)
    assert model.partial_fit(X, y).predict(X).shape == y.shape


def test_column_names_are_checked(blobs):
    X, y = blobs
    table = pd.DataFrame(X, columns=list("abcde"))
    model = classifier().fit(table, y).partial_fit(table, y)
    with pytest.raises(ValueError, match="feature names should match"):
        model.partial_fit(table.rename(columns={"a": "z"}), y)
    assert_array_equal(model.feature_names_in_, list("abcde"))


@pytest.mark.parametrize(
    "as_given", [sparse.csr_array, np.asfortranarray, lambda X: X.astype(np.float32)]
)
def test_any_kind_of_rows(blobs, as_given):
    X, y = blobs
    X = X.astype(np.float32).astype(np.float64)
    model = classifier().fit(X[:100], y[:100]).partial_fit(as_given(X[100:]), y[100:])
    plain = classifier().fit(X[:100], y[:100]).partial_fit(X[100:], y[100:])
    assert_same_answers(model, plain, X)


def test_many_small_calls_are_searched_once(blobs, monkeypatch):
    X, y = blobs
    searched = []
    search = change_module.search_changes

    def count(*arguments):
        searched.append(arguments)
        return search(*arguments)

    monkeypatch.setattr(change_module, "search_changes", count)
    model = classifier().fit(X[:100], y[:100])
    for i in range(100, 150):
        model.partial_fit(X[i : i + 1], y[i : i + 1])
        model.forget(0)
    assert not searched
    at_once = classifier().fit(X[:100], y[:100]).partial_fit(X[100:150], y[100:150])
    at_once.forget(np.arange(50))
    assert_same_answers(model, at_once, X)
    assert len(searched) == 2


def test_an_answer_learns_no_more_than_it_reads(blobs):
    X, y = blobs
    model = classifier(inference="adaptive").fit(X, y).partial_fit(X[:9] + 0.1, y[:9])
    found = vars(model._model)
    model.predict(X)
    assert "left_out" in found  # the reliability of the labels
    assert "graph" not in found
    model.set_params(inference="lookup").predict(X)
    assert "graph" in found
    assert "stored_rule" not in found
    model.set_params(inference="cascade").predict(X)
    assert "stored_rule" in found


def test_a_lookup_leaves_no_row_out(blobs):
    X, y = blobs
    model = classifier().fit(X, y).partial_fit(X[:9] + 0.1, y[:9])
    model.predict(X)
    found = vars(model._model)
    assert "stored" in found
    assert not found.keys() & {"left_out", "stored_rule", "problem"}
    model.predict_proba(X)
    assert "stored_rule" in found


def test_plain_votes_leave_no_row_out(blobs):
    X, y = blobs
    model = classifier(inference="adaptive", vote="labels").fit(X, y)
    model.partial_fit(X[:9] + 0.1, y[:9]).predict(X)
    found = vars(model._model)
    assert "problem" in found
    assert not found.keys() & {"left_out", "graph", "stored"}


def test_only_problems_that_changed_are_solved(monkeypatch):
    random = np.random.default_rng(0)
    X = random.normal(size=(700, 2))
    y = (X[:, 0] > 0).astype(int)
    solved = []
    represent = solved_module.represent_locally

    def count(*arguments, **keywords):
        solved.append(len(arguments[5]))
        return represent(*arguments, **keywords)

    monkeypatch.setattr(solved_module, "represent_locally", count)
    # A bandwidth of its own and one penalty: no number is shared by all problems.
    model = classifier(
        support="local", bandwidth=1.0, penalty_min=0.3, penalty_max=0.3
    ).fit(X, y)
    model.partial_fit([[0.5, 0.5]], [1])
    assert model.labels_.shape == (701,)
    model.forget(7)
    assert model.labels_.shape == (700,)
    assert len(solved) == 2
    assert max(solved) < 120
    rows = np.concatenate([np.delete(X, 7, axis=0), [[0.5, 0.5]]])
    fresh = fit_anew(model, rows, np.append(np.delete(y, 7), 1))
    assert abs(model.graph_ - fresh.graph_).max() < 1e-6
    # With the penalty that follows the density, hardly more.
    model = classifier(support="local", bandwidth=1.0).fit(X, y)
    model.partial_fit([[0.5, 0.5]], [1])
    assert model.labels_.shape == (701,)
    assert solved[-1] < 120


@pytest.mark.parametrize("interrupted", ["change_rows", "change_neighbors"])
def test_an_interrupt_leaves_all_as_it_was(blobs, monkeypatch, interrupted):
    X, y = blobs
    model = classifier().fit(X[:150], y[:150]).partial_fit(X[150:], y[150:])

    def interrupt(*arguments, **keywords):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(f"knngraph.updating.change.{interrupted}", interrupt)
        with pytest.raises(KeyboardInterrupt):
            model.predict(X)
        with pytest.raises(KeyboardInterrupt):
            _ = model.graph_
    # The change is still to be done, and then it is done.
    expected = classifier().fit(X[:150], y[:150]).partial_fit(X[150:], y[150:])
    assert_same_answers(model, expected, X)


@pytest.mark.parametrize(
    "interrupted",
    [
        "learn_graph",
        "learn_again",
        "answer_open_pairs",
        "leave_one_out",
        "estimate_reliability",
        "learn_rule",
        "calibrate_stored",
    ],
)
def test_an_interrupt_while_learning(blobs, monkeypatch, interrupted):
    X, y = blobs
    # Many rows: all is learned anew. Few: only what they touch.
    first = 237 if interrupted in ("learn_again", "answer_open_pairs") else 150
    inference = "adaptive" if interrupted == "answer_open_pairs" else "lookup"

    def changed():
        model = classifier(support="local", inference=inference)
        model.fit(X[:first], y[:first])
        model.predict_proba(X)
        return model.partial_fit(X[first:], y[first:])

    def interrupt(*arguments, **keywords):
        raise KeyboardInterrupt

    model = changed()
    with monkeypatch.context() as patched:
        patched.setattr(f"knngraph.model.{interrupted}", interrupt)
        with pytest.raises(KeyboardInterrupt):
            model.predict_proba(X)
    assert_same_answers(model, changed(), X)


def test_an_interrupt_in_the_first_call_leaves_nothing(blobs, monkeypatch):
    def interrupt(*arguments, **keywords):
        raise KeyboardInterrupt

    monkeypatch.setattr("knngraph.indexing.build_graph", interrupt)
    model = classifier()
    before = dict(vars(model))
    with pytest.raises(KeyboardInterrupt):
        model.partial_fit(*blobs, classes=range(4))
    assert vars(model) == before


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("inference", INFERENCES)
def test_threads_that_read_at_once_see_one_model(blobs, inference):
    X, y = blobs
    expected = classifier(inference=inference).fit(X[:120], y[:120])
    expected = expected.partial_fit(X[120:], y[120:]).predict(X)
    model = classifier(inference=inference).fit(X[:120], y[:120])
    model.partial_fit(X[120:], y[120:])
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: model.predict(X), range(16)))
        labels = list(pool.map(lambda _: model.labels_, range(16)))
    for answer in answers:
        assert_array_equal(answer, expected)
    assert all(found is labels[0] for found in labels)


def test_what_was_made_of_a_model_before_stays(blobs):
    X, y = blobs
    model = classifier(inference="adaptive").fit(X[:150], y[:150])
    expected = model.predict(X)
    predictor, shallow = model.to_predictor(), copy.copy(model)
    deep, loaded = copy.deepcopy(model), pickle.loads(pickle.dumps(model))
    model.partial_fit(X[150:], y[150:]).forget(np.arange(60))
    assert (model.predict(X) != expected).any()
    for earlier in (predictor, shallow, deep, loaded):
        assert_array_equal(earlier.predict(X), expected)


@pytest.mark.usefixtures("engine")
def test_a_changed_model_serves(blobs, tmp_path):
    from knngraph import load_predictor

    X, y = blobs
    for inference in INFERENCES:
        model = classifier(inference=inference).fit(X[:150], y[:150])
        model.partial_fit(X[150:], y[150:]).forget([3, 4, 160])
        expected = model.predict(X)
        model.to_predictor().save(tmp_path / inference)
        predictor = load_predictor(tmp_path / inference)
        assert_array_equal(predictor.predict(X), expected)
        assert predictor(X[0].astype(np.float32)) == expected[0]


@pytest.mark.usefixtures("engine")
def test_copies_survive_pending_changes(blobs):
    X, y = blobs
    model = classifier().fit(X[:150], y[:150]).partial_fit(X[150:], y[150:])
    loaded = pickle.loads(pickle.dumps(model))
    assert isinstance(vars(loaded._model)["start"], IndexedRows)
    assert_same_answers(loaded, model, X)
    loaded.forget(0)
    assert loaded.labels_.shape == (len(y) - 1,)
    assert model.labels_.shape == (len(y),)


def test_fit_starts_anew(blobs):
    X, y = blobs
    model = classifier().fit(X, y).partial_fit(X, y)
    assert_same_answers(model.fit(X[:50], y[:50]), classifier().fit(X[:50], y[:50]), X)
    assert model.labels_.shape == (50,)


def test_rows_far_from_the_fit_ask_for_another(blobs):
    X, y = blobs
    model = classifier().fit(X, y)
    with pytest.warns(RefitWarning, match="Fit again on the rows there are"):
        model.partial_fit(X + 1e8, y)
    model.partial_fit(X + 100.0, y)  # far, but not for single precision


def test_one_row_is_enough_to_begin():
    model = classifier().partial_fit([[0.0, 1.0]], ["a"], classes=["a", "b"])
    assert model.predict([[5.0, 5.0]]) == ["a"]
    for i in range(40):
        model.partial_fit([[i, 1.0]], ["b"])
        if i % 7 == 0:
            assert model.labels_.shape == (i + 2,)
    assert model.predict([[5.0, 1.0]]) == ["b"]


@pytest.mark.parametrize("inference", ["cascade", "adaptive"])
def test_a_predictor_after_copies_came_loads(blobs, inference, tmp_path):
    X, y = blobs
    model = KNNGraphClassifier(inference=inference, random_state=0).fit(X, y)
    model.predict(X[:3])
    model.partial_fit(X[:1], y[1:2])
    expected = model.predict_proba(X[:9])
    model.to_predictor().save(tmp_path / "file")
    loaded = load_predictor(tmp_path / "file")
    assert_array_equal(loaded.predict_proba(X[:9]), expected)
