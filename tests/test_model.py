"""The fitted model: found on first use, by one thread, and no more than is read."""

import inspect
import pickle
import re
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from numpy.testing import assert_array_equal
from sklearn.datasets import make_moons

import knngraph.model as model_module
from knngraph import KNNGraphClassifier
from knngraph.inference.query_model import PredictOptions
from knngraph.learned import LEARNED
from knngraph.model import IN_FILES, PARTS, FittedModel

X, Y = make_moons(200, noise=0.3, random_state=0)


@pytest.fixture
def model():
    """A model of which nothing is found yet."""
    fitted = KNNGraphClassifier(random_state=0).fit(X, Y)._model
    return FittedModel(fitted.rows, fitted.settings)


# What answers read; the others are for `suspect_labels`, `resolved_`, `kneighbors` and
# prediction sets.
SETS = {f"{inference}_set_scores" for inference in ("lookup", "adaptive", "cascade")}
READ = set(PARTS) - SETS
READ -= {"label_quality", "novelty", "resolved", "certified_index"}
FROM_MEDOIDS = {"entries", "recall_from_medoids"}


def found(model):
    return set(vars(model)) & set(PARTS)


@pytest.mark.parametrize(
    ("inference", "probabilities", "expected"),
    [
        ("lookup", False, {"graph", "stored"}),
        ("adaptive", False, {"problem", "left_out_neighbors", "left_out"}),
        ("adaptive", True, {"problem", "left_out_neighbors", "left_out"}),
        ("cascade", False, READ - FROM_MEDOIDS - {"node_votes"}),
        ("lookup", True, READ - FROM_MEDOIDS),
    ],
)
def test_an_answer_learns_no_more_than_it_reads(
    model, inference, probabilities, expected
):
    assert found(model) == set()
    options = PredictOptions(inference, 1, 1)
    model.query_model(options, "hnsw", probabilities=probabilities)
    assert found(model) == expected


def test_novelty_reads_neighbor_lists_alone(model):
    options = PredictOptions("lookup", 1, 1)
    query_model = model.query_model(options, "hnsw", novelty=True)
    assert query_model.novelty is not None
    assert found(model) == {"graph", "stored", "novelty"}


@pytest.mark.parametrize(
    ("inference", "expected"),
    [
        ("lookup", {"graph", "stored"}),
        ("adaptive", {"problem", "left_out_neighbors", "left_out", "entries"}),
        ("cascade", READ - {"node_votes"}),
    ],
)
def test_fit_pays_for_the_answers_of_its_inference(inference, expected):
    classifier = KNNGraphClassifier(inference=inference, random_state=0).fit(X, Y)
    assert found(classifier._model) == expected
    classifier.predict(X)
    assert found(classifier._model) == expected
    assert classifier.loo_score_ > 0.8
    assert classifier.graph_.shape == (200, 200)
    assert found(classifier._model) >= {"left_out", "graph"}
    classifier.set_params(inference="cascade").predict(X)
    assert found(classifier._model) == READ - {"node_votes"}


@pytest.mark.parametrize("inference", ["lookup", "adaptive", "cascade"])
def test_sets_find_the_scores_of_their_inference(inference):
    classifier = KNNGraphClassifier(inference=inference, random_state=0).fit(X, Y)
    classifier.predict_set(X[:2])
    assert found(classifier._model) & SETS == {f"{inference}_set_scores"}


def bytes_by_attribute(classifier):
    return {
        name: pickle.dumps(getattr(classifier, name))
        for name in sorted(LEARNED - {"graph_"})
    }


@pytest.mark.parametrize("inference", ["lookup", "adaptive", "cascade"])
def test_any_order_of_questions_finds_the_same_bytes(inference, random):
    def fit():
        return KNNGraphClassifier(inference=inference, random_state=0).fit(X, Y)

    first = fit()
    first.predict_proba(X)
    expected, shares = bytes_by_attribute(first), first.predict_proba(X)
    content = pickle.dumps(first)
    for _ in range(3):
        other = fit().set_params(n_jobs=3)
        for name in random.permutation(sorted(LEARNED)):
            getattr(other, name)
        assert_array_equal(other.predict_proba(X), shares)
        assert bytes_by_attribute(other) == expected
        assert pickle.dumps(other.set_params(n_jobs=None)) == content


def test_many_threads_read_an_attribute_once(monkeypatch):
    calls = []
    leave = model_module.leave_one_out

    def count(*args, **kwargs):
        calls.append(1)
        return leave(*args, **kwargs)

    monkeypatch.setattr(model_module, "leave_one_out", count)
    classifier = KNNGraphClassifier(random_state=0).fit(X, Y)
    assert not calls
    start = Barrier(8)

    def ask(number):
        start.wait()
        if number % 2:
            return classifier.predict_proba(X)
        return classifier.resolved_

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(ask, range(8)))
    assert len(calls) == 1
    assert all(answer is answers[0] for answer in answers[::2])
    assert all((answer == answers[1]).all() for answer in answers[1::2])


def test_what_is_found_is_in_the_pickle_and_nothing_else():
    classifier = KNNGraphClassifier(random_state=0).fit(X, Y)
    before = pickle.dumps(classifier)
    classifier.predict(X)
    assert classifier.graph_.nnz == classifier.n_neighbors_.sum()  # shown, not kept
    assert pickle.dumps(classifier) == before
    few = pickle.loads(before)
    assert found(few._model) == {"graph"}  # the stored labels follow from it
    shares = classifier.predict_proba(X)
    all_parts = pickle.loads(pickle.dumps(classifier))
    assert found(all_parts._model) == (READ - FROM_MEDOIDS) & set(IN_FILES)
    for copy in (few, all_parts):
        assert_array_equal(copy.predict_proba(X), shares)
        assert copy.loo_score_ == classifier.loo_score_


def test_looking_at_an_estimator_computes_nothing():
    classifier = KNNGraphClassifier(random_state=0).fit(X, Y)
    seen = dict(inspect.getmembers(classifier))
    assert {"graph_", "labels_", "lookup_agreement_", "ef_"} <= seen.keys()
    assert not {"loo_score_", "resolved_", "label_doubt_"} & seen.keys()
    assert found(classifier._model) == {"graph", "stored"}
    adaptive = KNNGraphClassifier(inference="adaptive", random_state=0).fit(X, Y)
    seen = dict(inspect.getmembers(adaptive))
    assert {"loo_score_", "query_nugget_", "query_bandwidth_"} <= seen.keys()
    assert not {"graph_", "lookup_agreement_"} & seen.keys()
    assert not found(adaptive._model) & {"graph", "stored"}
    assert "graph_" not in dir(KNNGraphClassifier())
    assert not hasattr(KNNGraphClassifier(), "graph_")


def test_every_learned_attribute_is_in_the_documentation():
    for name in LEARNED:
        assert f"\n{name} : " in inspect.getdoc(KNNGraphClassifier)


def test_many_threads_find_a_part_once(model, monkeypatch):
    calls = []
    learn = model_module.learn_graph

    def count(*args, **kwargs):
        calls.append(1)
        return learn(*args, **kwargs)

    monkeypatch.setattr(model_module, "learn_graph", count)
    start = Barrier(8)

    def ask(_):
        start.wait()
        return model.graph

    with ThreadPoolExecutor(8) as threads:
        graphs = list(threads.map(ask, range(8)))
    assert len(calls) == 1
    assert all(graph is graphs[0] for graph in graphs)


def test_an_error_leaves_a_part_unfound(model, monkeypatch):
    def fail(*args, **kwargs):
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(model_module, "learn_graph", fail)
        with pytest.raises(MemoryError):
            model.stored  # noqa: B018
    assert found(model) == set()
    assert len(model.stored.codes) == model.training.n_nodes


def test_a_copy_has_the_parts_and_a_lock_of_its_own(model):
    assert model.graph is not None
    copy = pickle.loads(pickle.dumps(model))
    assert found(copy) == {"graph"}
    assert copy.lock is not model.lock
    assert_array_equal(copy.stored.codes, model.stored.codes)


def test_classes_and_probabilities_come_from_one_model():
    classifier = KNNGraphClassifier(inference="cascade", random_state=0).fit(X, Y)
    options = classifier._options()
    assert_array_equal(
        classifier.classes_[classifier.predict_proba(X).argmax(axis=1)],
        classifier.predict(X),
    )
    one = classifier._query_model(options)
    other = classifier._query_model(options, probabilities=True)
    assert one.stored.codes is other.stored.codes
    assert one.rule is other.rule
    assert one.index is other.index


def test_parameters_are_documented_in_the_order_of_the_signature():
    """Everyday ones first, then those of the index and of the graph."""
    doc = inspect.getdoc(KNNGraphClassifier)
    everyday, others = (
        re.findall(r"^([a-zA-Z_, ]+) : ", doc.split(title)[1].split("\n\n")[0], re.M)
        for title in (
            "Parameters\n----------\n",
            "Other Parameters\n----------------\n",
        )
    )
    documented = [name for entry in everyday + others for name in entry.split(", ")]
    signature = list(inspect.signature(KNNGraphClassifier).parameters)
    assert documented == signature
    groups = re.findall(r" : .*\n    (Index|Graph): ", doc)
    assert groups == ["Index"] * 4 + ["Graph"] * (len(others) - 4)
    classifier = KNNGraphClassifier()
    if hasattr(classifier, "_get_params_html"):  # from scikit-learn 1.7 on
        assert list(classifier._get_params_html()) == signature
