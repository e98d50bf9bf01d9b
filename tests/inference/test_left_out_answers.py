"""Answers for training rows that are left out: predict without rows."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import LeaveOneOut, cross_val_predict

from knngraph import KNNGraphClassifier, KNNGraphClassifierCV

# How well greedy searches do on these few rows is not the question here.
pytestmark = pytest.mark.filterwarnings(
    "ignore::knngraph.exceptions.LookupAgreementWarning"
)


@pytest.mark.parametrize(
    ("inference", "least"), [("lookup", 1.0), ("adaptive", 0.97), ("cascade", 0.95)]
)
def test_they_are_those_of_fits_without_the_row(blobs, inference, least):
    X, y = blobs[0][:80], blobs[1][:80]
    model = KNNGraphClassifier(
        metric="euclidean", inference=inference, ef=64, random_state=0
    )
    left_out = cross_val_predict(model, X, y, cv=LeaveOneOut())
    # Without a row bandwidth and label noise differ a little. Measured: 1.0 each.
    assert (model.fit(X, y).predict(None) == left_out).mean() >= least
    assert model.score(None, y) == (model.predict(None) == y).mean()


def test_adaptive_ones_are_those_of_the_score(blobs):
    X, y = blobs
    model = KNNGraphClassifierCV(random_state=0).fit(X, y)
    assert model.score(None, y) == pytest.approx(model.loo_score_)
    assert model.score(None, y) < KNNGraphClassifier(ef=64).fit(X, y).score(X, y)


def test_copies_and_a_single_row():
    X = [[0.0], [0.0], [9.0], [9.5], [9.5]]
    y = np.array(["a", "a", "b", "b", "a"])
    model = KNNGraphClassifier(metric="euclidean", random_state=0).fit(X, y)
    assert model.predict(None)[:2].tolist() == ["a", "a"]
    assert_array_equal(KNNGraphClassifier().fit([[1.0]], [3]).predict(None), [3])


def test_unfitted_and_wrong_parameters(blobs):
    with pytest.raises(NotFittedError):
        KNNGraphClassifier().predict(None)
    model = KNNGraphClassifier().fit(*blobs).set_params(inference="none")
    with pytest.raises(ValueError, match="'inference' parameter"):
        model.predict(None)
