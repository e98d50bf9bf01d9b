"""Rows of float16 are never copied to float64 as a whole.

Peaks of memory are measured at two numbers of rows. Their difference, over that of the
sizes of X, is in copies of X: blocks and samples of fixed size fall out. Rows in single
precision, which the index holds, count two; a copy in double precision would add four.
"""

import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from knngraph import (
    HNSWKNNClassifier,
    KNNGraphClassifier,
    KNNGraphTransformer,
)
from knngraph.graph.precision import loses_digits
from knngraph.graph.training_set import build_training_set
from knngraph.index.engines import engine_name
from knngraph.space import fit_space

N_FEATURES = 512
QUICK = {"random_state": 0, "ef_construction": 20, "support": "local"}


def half_rows(n_rows, missing=False):
    random = np.random.default_rng(0)
    y = random.integers(0, 5, n_rows)
    X = random.normal(size=(n_rows, N_FEATURES)).astype(np.float16)
    X[:, :5] += 3 * y[:, None]
    if missing:
        X[:, :9][random.random((n_rows, 9)) < 0.1] = np.nan
    return X, y


def peak(call):
    """Largest memory while a call runs, beside what there was."""
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    call()
    most = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    return most


def copies(prepare, n_rows, missing=False):
    """Copies of X that a call holds at once; `prepare(X, y)` gives the call."""
    prepare(*half_rows(300, missing))()  # loads code
    peaks, sizes = [], []
    for n in (n_rows, 2 * n_rows):
        X, y = half_rows(n, missing)
        peaks.append(peak(prepare(X, y)))
        sizes.append(X.nbytes)
    return (peaks[1] - peaks[0]) / (sizes[1] - sizes[0])


@pytest.mark.parametrize("metric", ["euclidean", "cosine", "missing"])
def test_rows_are_placed(metric):
    missing = metric == "missing"
    model = KNNGraphClassifier(metric="auto" if missing else metric)

    def prepare(X, y):
        def call():
            checked, codes = model._checked_rows(X, y)
            plain = "cosine" if metric == "cosine" else "euclidean"
            space = fit_space(checked, plain, allow_missing=missing)
            training = build_training_set(space.map_rows(checked), codes, 5)
            assert not loses_digits(space, checked, training)
            assert training.points.dtype == np.float32

        return call

    # Mapped rows, and the distinct ones among them in the order of the nodes.
    assert copies(prepare, 6000, missing) < 5.0


def fitted(X, y, **parameters):
    return KNNGraphClassifier(**QUICK, **parameters).fit(X[:60], y[:60])


@pytest.mark.parametrize("metric", ["euclidean", "cosine", "learned", "auto"])
@pytest.mark.filterwarnings("ignore::knngraph.exceptions.LookupAgreementWarning")
def test_queries(metric):
    missing = metric == "auto"

    def of_model(method):
        def prepare(X, y):
            answer = getattr(fitted(X, y, metric=metric), method)
            return lambda: answer(X)

        return prepare

    def of_predictor(X, y):
        predictor = fitted(X, y, metric=metric).to_predictor()
        return lambda: predictor.predict(X)

    assert copies(of_model("predict"), 6000, missing) < 0.6
    assert copies(of_predictor, 6000, missing) < 0.6
    assert copies(of_model("kneighbors"), 4000, missing) < 3.5


@pytest.mark.filterwarnings("ignore::knngraph.exceptions.LookupAgreementWarning")
def test_rows_that_are_added():
    def prepare(X, y):
        model = fitted(X, y, metric="euclidean")
        return lambda: model.partial_fit(X, y)

    # Mapped rows, and some columns of them at a time.
    assert copies(prepare, 6000) < 3.0


@pytest.mark.parametrize(
    "call",
    [
        lambda X, y: KNNGraphClassifier(metric="euclidean", **QUICK).fit(X, y),
        lambda X, y: HNSWKNNClassifier(random_state=0, ef_construction=20).fit(X, y),
        lambda X, y: KNNGraphTransformer(algorithm="hnsw").fit(X),
    ],
    ids=["KNNGraphClassifier", "HNSWKNNClassifier", "transformer"],
)
@pytest.mark.filterwarnings("ignore::knngraph.exceptions.KNNGraphWarning")
def test_whole_calls(call):
    # hnswlib keeps its copy of the rows, and its links, where Python counts no bytes.
    most = 4.9 if engine_name() == "hnswlib" else 6.9
    assert copies(lambda X, y: lambda: call(X, y), 3000) < most


def test_answers_are_those_of_wider_rows():
    X, y = half_rows(900)
    X, queries, y = X[:600, :16], X[600:, :16], y[:600]
    for model in (
        KNNGraphClassifier(**QUICK),
        KNNGraphClassifier(metric="cosine", inference="cascade", random_state=0),
        HNSWKNNClassifier(random_state=0),
    ):
        answers = model.fit(X, y).predict_proba(queries)
        for wider in (np.float32, np.float64):
            model.fit(X.astype(wider), y)
            assert_array_equal(model.predict_proba(queries.astype(wider)), answers)
