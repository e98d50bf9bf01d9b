"""A predictor keeps the reliability of labels, and refuses nonsense about it."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.datasets import make_moons

from knngraph import KNNGraphClassifier, SavedModelError, load_predictor
from knngraph.serving.predictor_state import checked_state


@pytest.fixture(scope="module")
def unsure():
    """A classifier of moons with wrong labels, and queries."""
    X, y = make_moons(400, noise=0.2, random_state=0)
    wrong = np.random.default_rng(0).random(len(y)) < 0.25
    y = np.where(wrong, 1 - y, y)
    model = KNNGraphClassifier(inference="adaptive", ef=32, random_state=0)
    model.fit(X[:300], y[:300])
    assert model.label_doubt_ > 0.0
    return model, X[300:]


def test_same_answers_from_a_file(unsure, tmp_path):
    model, queries = unsure
    model.to_predictor().save(tmp_path / "model")
    for mmap in (True, False):
        loaded = load_predictor(tmp_path / "model", mmap=mmap)
        assert_array_equal(loaded.predict_proba(queries), model.predict_proba(queries))
        assert loaded(queries[0]) == model.predict(queries[:1])[0]


@pytest.mark.parametrize(
    "wild",
    [
        {"doubt": -0.1},
        {"nugget_factor": "a lot"},
        {"own": np.ones(3)},
        {"own": np.ones(300, dtype=np.float32)},
        {"rival": np.full(300, 2, dtype=np.int32)},
        {"rival": np.full(300, -1, dtype=np.int32)},
        {"rival": np.zeros(300, dtype=np.int64)},
    ],
    ids=str,
)
def test_a_wild_reliability_is_refused(wild, unsure):
    state = unsure[0].to_predictor()._state
    assert checked_state(state) is state
    reliability = replace(state.model.reliability, **wild)
    with pytest.raises(SavedModelError, match="does not hold together"):
        checked_state(
            replace(state, model=replace(state.model, reliability=reliability))
        )


def test_a_reliability_of_another_kind_is_refused(unsure):
    state = unsure[0].to_predictor()._state
    model = replace(state.model, reliability=np.ones(300))
    with pytest.raises(
        SavedModelError, match="the reliability of its labels is unknown"
    ):
        checked_state(replace(state, model=model))
