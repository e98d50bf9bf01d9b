"""A predictor keeps how far labels are believed, and refuses nonsense about it."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.datasets import make_moons

from knngraph import KNNGraphClassifier, SavedModelError, load_predictor
from knngraph.serving.checks import check_served


@pytest.fixture(scope="module")
def doubting():
    """A classifier of moons with wrong labels, and queries."""
    X, y = make_moons(400, noise=0.2, random_state=0)
    wrong = np.random.default_rng(0).random(len(y)) < 0.25
    y = np.where(wrong, 1 - y, y)
    model = KNNGraphClassifier(inference="adaptive", ef=32, random_state=0)
    model.fit(X[:300], y[:300])
    assert model.label_noise_ > 0.0
    return model, X[300:]


def test_same_answers_from_a_file(doubting, tmp_path):
    model, queries = doubting
    model.to_predictor().save(tmp_path / "model")
    for mmap in (True, False):
        loaded = load_predictor(tmp_path / "model", mmap=mmap)
        assert_array_equal(loaded.predict_proba(queries), model.predict_proba(queries))
        assert loaded(queries[0]) == model.predict(queries[:1])[0]


@pytest.mark.parametrize(
    "wild",
    [
        {"noise": -0.1},
        {"nugget_factor": "a lot"},
        {"own": np.ones(3)},
        {"own": np.ones(300, dtype=np.float32)},
        {"rival": np.full(300, 2, dtype=np.int32)},
        {"rival": np.full(300, -1, dtype=np.int32)},
        {"rival": np.zeros(300, dtype=np.int64)},
    ],
    ids=str,
)
def test_wild_trust_is_refused(wild, doubting):
    served = doubting[0].to_predictor()._state
    assert check_served(served) is served
    trust = replace(served.model.trust, **wild)
    with pytest.raises(SavedModelError, match="does not hold together"):
        check_served(replace(served, model=replace(served.model, reliability=trust)))


def test_trust_of_another_kind_is_refused(doubting):
    served = doubting[0].to_predictor()._state
    model = replace(served.model, reliability=np.ones(300))
    with pytest.raises(SavedModelError, match="its trust is unknown"):
        check_served(replace(served, model=model))
