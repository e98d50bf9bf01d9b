"""A short run of the fuzz, and the cases in which a longer one found something."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as of_numpy

from knngraph import KNNGraphClassifier, KNNGraphTransformer
from tests.fuzz import run_guarded

_RARE = pytest.mark.filterwarnings(
    "ignore::knngraph.exceptions.LookupAgreementWarning",
    "ignore:The number of unique classes:UserWarning",
)


@pytest.mark.parametrize("n_cases", [40, pytest.param(150, marks=pytest.mark.slow)])
def test_nothing_crashes_hangs_or_answers_nan(n_cases, tried):
    ended = run_guarded(n_cases, seed=1)
    tried["fuzz cases: no crash, no hang, no NaN"] += sum(ended.values())
    assert set(ended) <= {"answered", "refused"}, ended
    assert ended["answered"] > ended["refused"]


@pytest.mark.parametrize("bandwidth", [1e-12, 1e12])
@pytest.mark.parametrize("scale", [1e-200, 1.0, 1e200])
def test_any_bandwidth_in_any_units(bandwidth, scale, blobs):
    X, y = blobs[0][:60] * scale, blobs[1][:60]
    graph = KNNGraphTransformer(bandwidth=bandwidth).fit_transform(X)
    assert np.isfinite(graph.data).all()
    model = KNNGraphClassifier(
        bandwidth=bandwidth, query_bandwidth=bandwidth, inference="adaptive"
    ).fit(X, y)
    assert np.isfinite(model.predict_proba(X)).all()


@_RARE
@settings(max_examples=60, derandomize=True, deadline=None, database=None)
@given(st.data())
def test_any_numbers_and_gaps_get_shares_that_sum_to_one(data):
    shape = data.draw(st.tuples(st.integers(1, 30), st.integers(1, 4)))
    # Eighths of moderate size: single precision tells them apart.
    numbers = st.integers(-(10**6), 10**6).map(lambda number: number / 8.0)
    X = data.draw(of_numpy.arrays(np.float64, shape, elements=numbers))
    gaps = data.draw(of_numpy.arrays(np.bool_, shape))
    gaps[0] = False  # every column has a value
    X[gaps & data.draw(st.booleans())] = np.nan
    y = data.draw(of_numpy.arrays(np.int64, shape[0], elements=st.integers(0, 3)))
    inference = data.draw(st.sampled_from(["lookup", "adaptive", "cascade"]))
    model = KNNGraphClassifier(inference=inference, random_state=0)
    model.fit(X, y)
    shares = model.predict_proba(X)
    np.testing.assert_allclose(shares.sum(axis=1), 1.0)
    assert set(model.predict(X)) <= set(y)
    # One row at a time, and in any order, the answers are the same.
    order = data.draw(st.permutations(range(shape[0])))
    np.testing.assert_array_equal(model.predict_proba(X[order]), shares[order])
    np.testing.assert_array_equal(model.predict_proba(X[:1]), shares[:1])
