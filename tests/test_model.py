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
from knngraph.inference.answer import PredictOptions
from knngraph.model import FittedModel

X, Y = make_moons(200, noise=0.3, random_state=0)


@pytest.fixture
def model():
    """A model of which nothing is found yet."""
    fitted = KNNGraphClassifier(random_state=0).fit(X, Y)._present_model
    return FittedModel(fitted.rows, fitted.settings)


def found(model):
    return {name for name in vars(model) if name in PARTS}


PARTS = {
    name
    for name, value in vars(FittedModel).items()
    if isinstance(value, model_module.found_once)
}


@pytest.mark.parametrize(
    ("inference", "probabilities", "expected"),
    [
        ("lookup", False, {"graph", "stored"}),
        ("adaptive", False, {"problem", "left_out_neighbors", "left_out"}),
        ("cascade", False, PARTS),
        ("lookup", True, PARTS),
    ],
)
def test_an_answer_learns_no_more_than_it_reads(
    model, inference, probabilities, expected
):
    assert found(model) == set()
    options = PredictOptions(inference, 1, 1)
    model.query_model(options, "hnsw", probabilities=probabilities)
    assert found(model) == expected


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
    assert one.stored is other.stored
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
