"""Seeds, threads, order of rows, and saved models."""

import pickle
import subprocess
import sys
import textwrap

import joblib
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

import knngraph.graph.full_support as full_support
import knngraph.graph.representation as representation
from knngraph import KNNGraphClassifier
from knngraph.learned import LEARNED

# How well greedy searches do on these few rows is not the question here.
pytestmark = pytest.mark.filterwarnings(
    "ignore::knngraph.exceptions.LookupAgreementWarning"
)


def fitted_values(model):
    """Public fitted attributes, sparse ones as their arrays."""
    values = {}
    fitted = {name for name in vars(model) if name.endswith("_")}
    for name in LEARNED | fitted:
        value = getattr(model, name)
        if sparse.issparse(value):
            value = (value.data, value.indices, value.indptr)
        values[name] = value
    return values


def check_same_bytes(one, other):
    """Two fitted models must be the same to the last bit."""
    values, others = fitted_values(one), fitted_values(other)
    assert values.keys() == others.keys()
    assert len(values) > 15
    differ = [
        name
        for name in values
        if pickle.dumps(values[name]) != pickle.dumps(others[name])
    ]
    assert not differ


def index_bytes(model):
    """The index, links and all."""
    return pickle.dumps(model._model.rows.index)


@pytest.mark.parametrize("support", ["exact", "local"])
def test_threads_change_no_bit(support, digits, monkeypatch):
    X, y = digits[0][:900], digits[1][:900]
    # Several chunks for several threads.
    monkeypatch.setattr(representation, "_ROWS_PER_CHUNK", 100)
    monkeypatch.setattr(full_support, "_ROWS_PER_CHUNK", 100)
    models = [
        KNNGraphClassifier(support=support, n_jobs=n_jobs, random_state=5).fit(X, y)
        for n_jobs in (None, 2, 4)
    ]
    queries = digits[0][900:]
    for model in models[1:]:
        check_same_bytes(model, models[0])
        assert_array_equal(
            model.predict_proba(queries), models[0].predict_proba(queries)
        )


@pytest.mark.parametrize("support", ["exact", "local"])
def test_a_seed_fixes_every_bit(support, blobs):
    X, y = blobs
    one, two, other = (
        KNNGraphClassifier(support=support, random_state=seed).fit(X, y)
        for seed in (3, 3, 4)
    )
    check_same_bytes(one, two)
    assert index_bytes(one) == index_bytes(two)
    assert index_bytes(one) != index_bytes(other)


def test_a_random_state_object_is_drawn_from(blobs):
    state = np.random.RandomState(0)
    model = KNNGraphClassifier(random_state=state)
    indexes = [index_bytes(model.fit(*blobs)) for _ in range(2)]
    assert indexes[0] != indexes[1]


def test_the_global_generator_is_left_alone(blobs):
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    KNNGraphClassifier().fit(*blobs).predict(blobs[0])
    assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


@pytest.mark.parametrize("support", ["exact", "local"])
def test_permuting_rows_permutes_results(support, random):
    X = random.normal(size=(300, 4))
    y = (X[:, 0] > 0).astype(int) + (random.random(300) < 0.2)
    queries = random.normal(size=(200, 4))
    order = random.permutation(300)
    settings = {
        "support": support,
        "self_weight": 0.5,
        "label_weight": 0.0,
        "random_state": 0,
    }
    one = KNNGraphClassifier(**settings).fit(X, y)
    other = KNNGraphClassifier(**settings).fit(X[order], y[order])
    for name in (
        "n_neighbors_",
        "density_",
        "penalty_",
        "lambda_max_",
        "label_distribution_",
        "labels_",
        "margin_",
        "optimality_gap_",
    ):
        assert_allclose(
            getattr(other, name), getattr(one, name)[order], rtol=1e-12, err_msg=name
        )
    assert other.bandwidth_ == one.bandwidth_
    assert_array_equal(np.sort(order[other.relabeled_]), one.relabeled_)
    assert len(one.relabeled_) > 0
    permuted = one.graph_.toarray()[np.ix_(order, order)]
    assert_array_equal(other.graph_.toarray(), permuted)
    assert_array_equal(other.predict_proba(queries), one.predict_proba(queries))


def test_permuting_rows_with_copies(random):
    X = np.repeat(random.normal(size=(60, 3)), 4, axis=0)
    y = random.integers(3, size=240)
    order = random.permutation(240)
    one = KNNGraphClassifier(random_state=0).fit(X, y)
    other = KNNGraphClassifier(random_state=0).fit(X[order], y[order])
    assert_array_equal(other.labels_, one.labels_[order])
    assert_array_equal(other.n_neighbors_, one.n_neighbors_[order])
    assert_allclose(other.label_distribution_, one.label_distribution_[order])
    assert_allclose(other.predict_proba(X), one.predict_proba(X))


def test_a_model_loads_in_a_fresh_process_with_other_threads(digits, tmp_path):
    X, y = digits
    model = KNNGraphClassifier(n_jobs=1, random_state=0).fit(X[:500], y[:500])
    joblib.dump(model, tmp_path / "model.joblib")
    np.save(tmp_path / "queries.npy", X[500:])
    program = """
        import sys, joblib, numpy as np
        model = joblib.load(sys.argv[1] + "/model.joblib").set_params(n_jobs=2)
        queries = np.load(sys.argv[1] + "/queries.npy")
        np.save(sys.argv[1] + "/shares.npy", model.predict_proba(queries))
        assert model.set_params(ef=50).predict(queries).shape == (len(queries),)
    """
    subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(program), str(tmp_path)],
        check=True,
    )
    assert_array_equal(np.load(tmp_path / "shares.npy"), model.predict_proba(X[500:]))


def test_a_copy_by_pickle_is_the_same(blobs):
    model = KNNGraphClassifier(random_state=0).fit(*blobs)
    copied = pickle.loads(pickle.dumps(model))
    check_same_bytes(model, copied)
    assert_array_equal(model.predict_proba(blobs[0]), copied.predict_proba(blobs[0]))
