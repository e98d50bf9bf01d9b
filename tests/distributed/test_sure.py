"""How sure answers are: sets and novelty of a model in one piece and in partitions."""

import re

import dask
import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import NotFittedError
from sklearn.neighbors import KNeighborsClassifier

from knngraph import KNNGraphClassifier
from knngraph.distributed import DaskKNNGraphClassifier
from tests.distributed.data import queries, rows_with_copies

SETTINGS = {"random_state": 0, "support": "local", "ef": 600, "metric": "euclidean"}
METHODS = {
    "predict_set": {"alpha": 0.05, "per_class": True},
    "novelty_score": {},
    "novelty_pvalue": {"per_class": True},
    "is_novel": {"alpha": 0.2},
}
FIELDS = ("labels", "probabilities", "novelty_score", "novelty_pvalue")


def collections(X, y, rows=130):
    return da.from_array(X, chunks=(rows, -1)), da.from_array(y, chunks=rows)


@pytest.fixture(scope="module")
def models():
    """One machine, one piece, and three partitions."""
    X, y = rows_with_copies(400)
    near = KNNGraphClassifier(**SETTINGS).fit(X, y)
    with dask.config.set(scheduler="threads", num_workers=2):
        fitted = [
            DaskKNNGraphClassifier(
                KNNGraphClassifier(**SETTINGS), n_partitions=3, local_rows=most
            ).fit(*collections(X, y))
            for most in (1000, 0)
        ]
    return near, *fitted


@pytest.fixture(scope="module")
def asked():
    """New digits, some of them far from all, and training rows."""
    Q = queries(60)[0]
    Q[::10] = 16.0 - Q[::10]
    return np.concatenate([Q, rows_with_copies(400)[0][:20]])


@pytest.mark.parametrize("inference", ["lookup", "adaptive", "cascade"])
@pytest.mark.filterwarnings("ignore::knngraph.exceptions.KNNGraphWarning")
def test_a_model_in_one_piece_answers_as_one_machine(models, asked, inference):
    near, whole, _ = models
    near.set_params(inference=inference)
    whole.set_params(estimator__inference=inference)
    lazily = da.from_array(asked, chunks=(30, -1))
    for method, given in METHODS.items():
        expected = getattr(near, method)(asked, **given)
        found = getattr(whole, method)(lazily, **given)
        assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
        assert_array_equal(found.compute(), expected)
        assert_array_equal(getattr(whole, method)(asked, **given), expected)
    expected = near.answer(asked, 0.1)
    for found in (whole.answer(lazily, 0.1), whole.answer(asked, 0.1)):
        for name in (*FIELDS, "sets"):
            assert_array_equal(getattr(found, name), getattr(expected, name))
    assert whole.answer(lazily).sets is None


@pytest.mark.parametrize("inference", ["lookup", "adaptive", "cascade"])
def test_partitions_say_what_one_machine_says_of_novelty(models, asked, inference):
    near, _, far = models
    near.set_params(inference=inference)
    far.set_params(estimator__inference=inference)
    calibrated = far._shared.novelty
    assert_allclose(calibrated.scales, near._model.novelty.scales)
    assert_allclose(np.sort(calibrated.scores), np.sort(near._model.novelty.scores))
    lazily = da.from_array(asked, chunks=(30, -1))
    scores = far.novelty_score(lazily)
    assert_allclose(scores.compute(), near.novelty_score(asked), rtol=1e-5)
    for per_class in (False, True):
        expected = near.novelty_pvalue(asked, per_class=per_class)
        found = far.novelty_pvalue(lazily, per_class=per_class)
        assert_allclose(found.compute(), expected, rtol=1e-9)
    novel = far.is_novel(asked, 0.05)
    assert_array_equal(novel, near.is_novel(asked, 0.05))
    assert 6 <= novel.sum() < 20
    said = far.answer(lazily)
    labels, pvalues = dask.compute(said.labels, said.novelty_pvalue)
    assert_array_equal(labels, far.predict(asked))
    assert_array_equal(pvalues, far.novelty_pvalue(asked))
    assert_array_equal(said.probabilities, far.predict_proba(asked))
    assert_array_equal(said.novelty_score, scores)


def test_a_narrow_lookup_raises_no_alarms(models, asked):
    _, _, far = models
    expected = far.set_params(estimator__inference="adaptive").novelty_score(asked)
    far.set_params(estimator__inference="lookup", estimator__ef=1)
    assert_array_equal(far.novelty_score(asked), expected)
    said = far.answer(asked)
    assert_array_equal(said.labels, far.predict(asked))
    assert_array_equal(said.novelty_score, expected)
    far.set_params(estimator__ef=600)


def test_left_out_pairs_are_drawn_by_their_rows(models, monkeypatch):
    X, y = rows_with_copies(400)
    monkeypatch.setattr("knngraph.distributed.learn.CALIBRATION_PAIRS", 150)
    found = []
    for rows, order in ((130, slice(None)), (200, slice(None, None, -1))):
        far = DaskKNNGraphClassifier(
            KNNGraphClassifier(**SETTINGS), n_partitions=3, local_rows=0
        )
        far.fit(*collections(X[order], y[order], rows))
        found.append(far._shared.novelty)
    assert 100 < len(found[0].scores) < 200
    for name in ("scales", "scores", "codes", "weights"):
        assert_array_equal(getattr(found[0], name), getattr(found[1], name))


@pytest.mark.filterwarnings("ignore:X has feature names")
@pytest.mark.parametrize("place", [1, 2], ids=["one piece", "partitions"])
def test_frames_and_blocks_without_rows(models, asked, place):
    model = models[place].set_params(estimator__inference="cascade")
    frame = pd.DataFrame(asked, index=np.arange(len(asked)) + 500)
    frame.columns = [f"pixel {i}" for i in range(frame.shape[1])]
    parts = [frame[:0], frame[:33], frame[33:]]
    lazily = dd.concat([dd.from_pandas(part, npartitions=1) for part in parts])
    scores, said = model.novelty_score(lazily), model.answer(lazily)
    assert scores.compute().index.tolist() == frame.index.tolist()
    assert_array_equal(scores.compute(), model.novelty_score(asked))
    assert said.probabilities.compute().columns.tolist() == list(range(10))
    assert_array_equal(said.labels.compute(), model.predict(asked))


@pytest.mark.filterwarnings("ignore::knngraph.exceptions.KNNGraphWarning")
def test_a_saved_model_says_the_same(models, asked, tmp_path):
    for number, model in enumerate(models[1:]):
        model.save(tmp_path / str(number))
        loaded = DaskKNNGraphClassifier.load(tmp_path / str(number))
        assert_array_equal(loaded.novelty_pvalue(asked), model.novelty_pvalue(asked))
    local = models[2].to_local()
    assert local.predict_set(asked).any(axis=1).all()


def test_what_is_not_there_says_where_it_is(models, asked):
    far = models[2]
    assert not hasattr(far, "predict_set")
    with pytest.raises(AttributeError, match="no attribute 'predict_set'") as refused:
        far.predict_set(asked)
    assert re.search(
        r"no prediction sets: .*to_local\(\)", str(refused.value.__cause__)
    )
    with pytest.raises(AttributeError, match=r"no prediction sets: .*to_local\(\)"):
        far.answer(asked, 0.1)
    for alpha in (0.0, 1, "0.1", None):
        with pytest.raises(ValueError, match="alpha must be a number between"):
            far.is_novel(asked, alpha)
    with pytest.raises(ValueError, match="alpha must be a number between"):
        models[1].predict_set(da.from_array(asked, chunks=(30, -1)), 2.0)
    with pytest.raises(NotFittedError):
        DaskKNNGraphClassifier().novelty_score(asked)
    other = DaskKNNGraphClassifier(KNeighborsClassifier())
    for method in (*METHODS, "answer"):
        assert not hasattr(other, method)
    with pytest.raises(AttributeError) as refused:
        other.answer(asked)
    assert "KNeighborsClassifier() has no answer" in str(refused.value.__cause__)
