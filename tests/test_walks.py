"""`walk="medoids"`: the same model, another search, whatever is done with it."""

import copy
import pickle
import warnings
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from knngraph import (
    KNNGraphClassifier,
    KNNGraphClassifierCV,
    condense,
    load,
    load_predictor,
    save,
)
from knngraph.exceptions import LookupAgreementWarning, SavedModelError
from knngraph.index.exact import ExactIndex
from knngraph.index.medoids import MedoidSearch
from knngraph.index.recall import EF_GRID
from knngraph.serving.container import PREDICTOR, pack
from knngraph.serving.predictor import FORMAT_VERSION, _from_bytes
from knngraph.serving.predictor_state import PredictorState
from knngraph.serving.tree import to_tree

pytestmark = pytest.mark.filterwarnings(
    "ignore::knngraph.exceptions.LookupAgreementWarning"
)
INFERENCES = ("lookup", "adaptive", "cascade")


@pytest.fixture(scope="module")
def rows():
    """Overlapping classes in twenty columns, where a greedy search is often lost."""
    random = np.random.default_rng(7)
    y = random.integers(5, size=900)
    X = 0.7 * random.normal(size=(5, 20))[y] + random.normal(size=(900, 20))
    return X.astype(np.float32), y


def fit(rows, n=600, **params):
    settings = {
        "metric": "euclidean",
        "random_state": 0,
        "support": "local",
        "max_neighbors": 8,
    }
    return KNNGraphClassifier(**settings | params).fit(rows[0][:n], rows[1][:n])


@pytest.fixture(scope="module")
def model(rows):
    return fit(rows, walk="medoids")


@pytest.mark.parametrize("inference", INFERENCES)
def test_it_may_be_switched_after_fit(inference, model, rows):
    queries = rows[0][600:]
    model.set_params(inference=inference)
    switched = fit(rows).set_params(walk="medoids", inference=inference)
    assert switched.ef_ == model.ef_
    assert_array_equal(switched.predict_proba(queries), model.predict_proba(queries))
    switched.set_params(walk="hnsw", ef=None)
    plain = fit(rows, inference=inference, walk="hnsw")
    assert_array_equal(switched.predict_proba(queries), plain.predict_proba(queries))


def test_by_default_all_but_lookups_start_at_medoids(rows):
    queries = rows[0][600:]
    for inference in INFERENCES:
        walk = "hnsw" if inference == "lookup" else "medoids"
        by_default = fit(rows, inference=inference).predict_proba(queries)
        chosen = fit(rows, inference=inference, walk=walk).predict_proba(queries)
        assert_array_equal(by_default, chosen)
    switched = fit(rows)
    assert not isinstance(
        switched._query_model(switched._options()).index, MedoidSearch
    )
    for inference in ("adaptive", "cascade"):
        switched.set_params(inference=inference)
        index = switched._query_model(switched._options()).index
        assert isinstance(index, MedoidSearch)


def test_lookups_that_agree_with_exact_search_more_often(model, rows):
    queries = rows[0][600:]
    plain = fit(rows)
    model.set_params(inference="lookup")
    assert (plain.ef_, model.ef_) == (1, 2)
    exact = plain.set_params(ef=1000).predict(queries)
    plain.set_params(ef=None)
    agreements = [(m.predict(queries) == exact).mean() for m in (plain, model)]
    assert agreements[1] > agreements[0] + 0.05
    assert model.lookup_agreement_ > plain.lookup_agreement_ + 0.05
    # What fit expects is what new rows see.
    # Of the last 60 rows, with a standard error of 5 %.
    assert abs(agreements[1] - model.lookup_agreement_) < 0.1
    wide = copy.deepcopy(model).set_params(ef="auto")
    assert 2 < wide.ef_ < 64
    assert wide.lookup_agreement_ >= 0.99
    assert_array_equal(model.set_params(ef=1000).predict(queries), exact)
    model.set_params(ef=None)


def test_its_agreement_is_measured_with_its_own_search(model, rows):
    of_medoids, points = model._model.recall_from_medoids, model._model.training.points
    codes = model._model.stored.codes
    # The last rows of the index are searched for as if they were not there.
    entries = model._model.rows.index.from_medoids(points).entries
    places = np.setdiff1d(np.arange(540, 600), entries)
    left = np.setdiff1d(np.arange(600), places)
    exact, _ = ExactIndex(points[left]).nearest(points[places], 1)
    assert_array_equal(of_medoids.nearest, left[exact[:, 0]])
    assert not np.isin(of_medoids.reached, places).any()
    # Whatever the parameters were when it was fitted.
    switched = fit(rows, inference="adaptive")
    of_hnsw = switched._model.rows.search_recall
    for walk, recall in (("hnsw", of_hnsw), ("medoids", of_medoids)):
        switched.set_params(walk=walk, inference="lookup", ef=3)
        assert switched.lookup_agreement_ == recall.agreement(codes, 3)
        found = (recall.reached == recall.nearest).mean(axis=1)
        assert found[EF_GRID.index(256)] == 1.0
        enough = next(ef for ef, share in zip(EF_GRID, found) if share >= 0.95)
        switched.set_params(inference="cascade", ef=None)
        assert switched.ef_ == max(enough, 4)


@pytest.mark.parametrize("inference", INFERENCES)
def test_neither_threads_nor_batches_change_a_bit(inference, model, rows):
    queries = rows[0][600:]
    model.set_params(inference=inference, n_jobs=None)
    together = model.predict_proba(queries)
    assert_array_equal(model.set_params(n_jobs=2).predict_proba(queries), together)
    alone = [model.predict_proba(query[None])[0] for query in queries[:40]]
    assert_array_equal(alone, together[:40])
    model.set_params(n_jobs=None)


def test_rows_come_and_go(rows):
    X, y = rows
    model = fit(rows, n=500, walk="medoids")
    model.partial_fit(X[500:600], y[500:600]).forget(np.arange(0, 100, 2))
    left = np.setdiff1d(np.arange(600), np.arange(0, 100, 2))
    model.set_params(ef=8)
    assert len(model._query_model(model._options()).index.deleted) > 0
    queries = X[600:]
    exact, _ = ExactIndex(X[left]).nearest(queries, 1)
    expected = model.labels_[exact[:, 0]]
    assert (model.predict(queries) == expected).mean() > 0.98
    assert_array_equal(model.set_params(ef=2000).predict(queries), expected)
    assert model.set_params(ef=None).lookup_agreement_ > 0.8
    for inference in INFERENCES:
        model.set_params(inference=inference)
        predictor = pickle.loads(pickle.dumps(model.to_predictor()))
        assert_array_equal(predictor.predict(queries), model.predict(queries))


def test_a_change_is_answered_before_all_is_learned(rows):
    X, y = rows
    model = fit(rows, walk="medoids", inference="adaptive", vote="labels")
    model.partial_fit(X[600:1010], y[600:1010])
    answers = model.predict(X[610:])
    assert "graph" not in vars(model._model)  # adaptive answers need none
    _ = model.graph_
    assert_array_equal(model.predict(X[610:]), answers)


@pytest.mark.parametrize("inference", INFERENCES)
def test_copies_and_files_answer_alike(inference, model, rows, tmp_path):
    queries = rows[0][600:]
    model.set_params(inference=inference)
    expected = model.predict_proba(queries)
    save(model, tmp_path / "estimator")
    for twin in (
        pickle.loads(pickle.dumps(model)),
        copy.deepcopy(model),
        copy.copy(model),
        load(tmp_path / "estimator"),
    ):
        assert_array_equal(twin.predict_proba(queries), expected)
    predictor = model.to_predictor()
    predictor.save(tmp_path / "predictor")
    labels = model.predict(queries)
    for mmap in (True, False):
        loaded = load_predictor(tmp_path / "predictor", mmap=mmap)
        assert isinstance(loaded._state.model.index, MedoidSearch)
        for one in (predictor, loaded):
            assert_array_equal(one.predict_proba(queries), expected)
            assert_array_equal(one.predict(queries, n_jobs=2), labels)
            assert [one(query) for query in queries] == labels.tolist()


def test_explanations_and_reports_follow_the_search(model, rows):
    queries = rows[0][600:660]
    model.set_params(inference="lookup")
    explained = [e.predicted for e in model.explain(queries)]
    assert explained == model.predict(queries).tolist()
    assert model.inference_report(queries)["ef"] == 2


def test_condensing_keeps_the_search(rows):
    model = fit(rows, walk="medoids", ef="auto")
    small = model.condense(tolerance=0.05)
    assert small.report_.n_kept < 600
    assert isinstance(small._state.model.index, MedoidSearch)
    assert small.set_params(ef=None).ef_ == 2
    kept = small._state.model.training.points
    wide = small.set_params(ef=len(kept))
    exact, _ = ExactIndex(kept).nearest(model._model.space.map_block(rows[0][600:]), 1)
    stored = small._state.model.stored.codes[exact[:, 0]]
    assert_array_equal(wide.predict(rows[0][600:]), model.classes_[stored])
    from_file = condense(pickle.loads(pickle.dumps(model.to_predictor())), 0.05)
    assert from_file.report_.n_kept == small.report_.n_kept


def test_the_classifier_that_tunes_itself_has_it(rows):
    model = KNNGraphClassifierCV(
        inference="lookup", walk="medoids", self_weights=[2.0], random_state=0
    ).fit(rows[0][:400], rows[1][:400])
    assert model.ef_ == 2
    plain = copy.deepcopy(model).set_params(walk="hnsw", ef=1000)
    queries = rows[0][600:]
    assert_array_equal(
        model.set_params(ef=1000).predict(queries), plain.predict(queries)
    )


def test_the_remedy_is_named_where_it_is_one(rows):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit(rows)
        fit(rows, walk="medoids", ef=1)
    messages = [str(w.message) for w in caught]
    assert [w.category for w in caught] == 2 * [LookupAgreementWarning]
    assert ['walk="medoids"' in message for message in messages] == [True, False]


def test_an_unknown_walk_is_refused(model, rows):
    with pytest.raises(ValueError, match="'walk' parameter"):
        fit(rows, walk="random")
    try:
        with pytest.raises(ValueError, match="'walk' parameter"):
            model.set_params(walk="random").predict(rows[0][:1])
    finally:
        model.set_params(walk="medoids")


@pytest.fixture(scope="module")
def state(rows):
    """Of 598 points, with two deleted."""
    model = fit(rows, walk="medoids", inference="cascade").forget([3, 5])
    return model.to_predictor()._state


def with_search(state: PredictorState, **changed):
    index = replace(state.model.index, **changed)
    wrong = replace(state, model=replace(state.model, index=index))
    return b"".join(pack(PREDICTOR, FORMAT_VERSION, *to_tree(wrong)))


@pytest.mark.parametrize(
    ("name", "place", "value"),
    [("links", (0, 0), 600), ("links", (4, 1), -2), ("links", (597, 3), 2**30),
     ("entries", (0, 0), -1), ("entries", (0, 2), 598), ("entries", (0, 2), -2)],
)  # fmt: skip
def test_a_file_with_a_search_beyond_its_arrays_is_refused(state, name, place, value):
    wrong = getattr(state.model.index, name).copy()
    wrong[place] = value
    with pytest.raises(SavedModelError, match="wild"):
        _from_bytes(with_search(state, **{name: wrong}))


@pytest.mark.parametrize(
    "change",
    [
        lambda walk: {"links": walk.links[:-1]},
        lambda walk: {"links": walk.links.astype(np.int64)},
        lambda walk: {"links": walk.links[:, :0]},
        lambda walk: {"links": walk.links.ravel()},
        lambda walk: {"links": np.array(0, dtype=np.int32)},
        lambda walk: {"entries": walk.entries[:0]},
        lambda walk: {"entries": walk.entries[:, :0]},
        lambda walk: {"entries": walk.entries[0]},
        lambda walk: {"centers": walk.centers[:0]},
        lambda walk: {"centers": walk.centers[:, :-1]},
        lambda walk: {"centers": walk.centers.astype(np.float64)},
        lambda walk: {"entries": walk.entries.astype(np.int64)},
        lambda walk: {"entries": np.array(0, dtype=np.int32)},
        lambda walk: {"deleted": walk.deleted[:, :-1]},
        lambda walk: {"deleted": walk.deleted.astype(np.float64)},
        lambda walk: {"points": walk.points + 1},
    ],
)
def test_a_file_with_a_search_of_other_arrays_is_refused(state, change):
    content = with_search(state, **change(state.model.index))
    with pytest.raises(SavedModelError, match="does not hold together"):
        _from_bytes(content)
