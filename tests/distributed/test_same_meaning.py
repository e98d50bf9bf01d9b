"""How queries are compared, and how they walk: parameters that mean what they mean on
one machine, on three partitions that are searched without a miss."""

import dask
import dask.array as da
import numpy as np
import pytest

import knngraph.classifier
from knngraph import KNNGraphClassifier
from knngraph.distributed import DaskKNNGraphClassifier
from knngraph.exceptions import LookupAgreementWarning
from knngraph.index.medoids import MedoidSearch
from tests.distributed.data import worded, worded_with_copies

INFERENCES = ("lookup", "adaptive", "cascade")
# Beams as wide as all rows: searches that miss nothing.
SETTINGS = {
    "random_state": 0,
    "support": "exact",
    "max_neighbors": 16,
    "cascade_tolerance": 0.03,
    "ef": 400,
}


def fit_far(X, y, rows=120, **settings):
    far = DaskKNNGraphClassifier(**{"n_partitions": 3} | SETTINGS | settings)
    return far.fit(da.from_array(X, chunks=(rows, -1)), da.from_array(y, chunks=rows))


def fit_near(X, y, **settings):
    return KNNGraphClassifier(**SETTINGS | settings).fit(X, y)


@pytest.fixture(scope="module")
def rows():
    return worded_with_copies()


@pytest.fixture(scope="module")
def near(rows):
    return fit_near(*rows)


@pytest.fixture(scope="module")
def far(rows):
    return fit_far(*rows)


def assert_answers_alike(near, far, atol=1e-12):
    queries, _ = worded(150, seed=5)
    for inference in INFERENCES:
        near.set_params(inference=inference)
        far.set_params(inference=inference)
        expected = near.predict_proba(queries)
        np.testing.assert_allclose(far.predict_proba(queries), expected, atol=atol)
        np.testing.assert_array_equal(far.predict(queries), near.predict(queries))
        assert far.ef_ == near.ef_


def assert_learned_alike(near, far):
    assert far.query_metric_ == near.query_metric_
    assert far.query_bandwidth_ == near.query_bandwidth_
    assert far.loo_score_ == near.loo_score_
    assert far.label_noise_ == near.label_noise_
    assert far.query_nugget_ == near.query_nugget_
    assert far._model.thresholds.decisions == near._model.decisions
    assert far._model.thresholds.calibration == near._model.calibration


def test_a_lens_is_kept_and_all_that_follows_is_the_same(near, far):
    assert near.query_metric_ == "learned"
    assert_learned_alike(near, far)
    # A cascade answers some at once, asks some for their margin and some again.
    queries, _ = worded(150, seed=5)
    model, decisions = near._model, near._model.decisions
    assert decisions.threshold < 1.0
    settled = near.set_params(inference="cascade").inference_report(queries)
    assert 0.1 < settled["short_share"] < 0.9
    assert model.trust is not None


def test_answers_through_a_lens_are_those_of_one_machine(near, far):
    assert_answers_alike(near, far)
    queries, _ = worded(150, seed=5)
    lazily = far.predict(da.from_array(queries, chunks=(40, -1)))
    np.testing.assert_array_equal(lazily.compute(), near.predict(queries))


@pytest.mark.parametrize(
    "changed",
    [
        {"query_metric": "same"},
        {"query_bandwidth": "local", "vote": "labels"},
        {"query_bandwidth": 0.7, "metric": "cosine"},
        {"metric": "auto"},
    ],
    ids=str,
)
def test_other_ways_to_compare_are_those_of_one_machine(rows, changed):
    X, y = rows[0][:240], rows[1][:240]
    near, far = fit_near(X, y, **changed), fit_far(X, y, **changed)
    assert_learned_alike(near, far)
    assert_answers_alike(near, far)


def test_a_lens_where_partitions_are_clusters(rows, near):
    far = fit_far(*rows, routing="centroids", n_probes=3)
    assert far.query_metric_ == "learned"
    assert far.loo_score_ == near.loo_score_
    assert far.query_bandwidth_ == pytest.approx(near.query_bandwidth_)
    assert_answers_alike(near, far, atol=1e-6)


def test_rows_of_few_partitions_that_hold_few_candidates(rows):
    # One partition has to send all of the nodes that a query searches.
    X, y = rows[0][:150], rows[1][:150]
    near = fit_near(X, y)
    far = fit_far(X, y, n_partitions=6)
    assert far.partition_sizes_.min() < 2 * near.max_neighbors
    assert near.query_metric_ == "learned"
    assert_learned_alike(near, far)
    assert_answers_alike(near, far)


def test_no_lens_for_many_rows(rows, monkeypatch):
    n_nodes = len(np.unique(rows[0], axis=0))
    monkeypatch.setattr(knngraph.classifier, "LENS_LIMIT", n_nodes)
    assert fit_far(*rows).query_metric_ == "learned"
    monkeypatch.setattr(knngraph.classifier, "LENS_LIMIT", n_nodes - 1)
    far = fit_far(*rows)
    assert far.query_metric_ == "same"
    assert far.set_params(inference="adaptive", ef=None).ef_ == 32


def test_a_model_that_came_home_has_lens_and_walk(rows, near, far):
    local = far.to_local()
    assert local.query_metric_ == "learned"
    there, here = near._model.lens, local._model.lens
    np.testing.assert_array_equal(here.rows, there.rows)
    np.testing.assert_array_equal(here.directions, there.directions)
    np.testing.assert_array_equal(local._left_out.right, near._left_out.right)
    np.testing.assert_array_equal(local._left_out.own_share, near._left_out.own_share)
    np.testing.assert_array_equal(local.decided_, near.decided_)
    assert_answers_alike(near, local)
    new, classes = worded(40, seed=7)
    grown = local.set_params(inference="adaptive").partial_fit(new, classes)
    again = fit_near(
        np.concatenate([rows[0], new]),
        np.concatenate([rows[1], classes]),
        inference="adaptive",
    )
    assert grown.query_metric_ == again.query_metric_ == "learned"
    assert grown.loo_score_ == again.loo_score_
    np.testing.assert_array_equal(grown.predict(rows[0]), again.predict(rows[0]))


@pytest.mark.filterwarnings("ignore::knngraph.exceptions.LookupAgreementWarning")
@pytest.mark.parametrize("inference", INFERENCES)
def test_walks_from_medoids_are_those_of_one_machine(rows, inference):
    settings = {"support": "local", "ef": None, "inference": inference}
    near = fit_near(*rows, walk="medoids", **settings)
    far = fit_far(*rows, walk="medoids", n_partitions=1, **settings)
    local = far.to_local()
    assert local.walk == "medoids"
    reached = local._model.search_recall.reached
    np.testing.assert_array_equal(reached, near._model.search_recall.reached)
    queries, _ = worded(150, seed=5)
    # The walk is chosen again at every query, as it is on one machine.
    answers = []
    for walk in ("medoids", "hnsw"):
        near.set_params(walk=walk)
        far.set_params(walk=walk)
        assert far.ef_ == near.ef_
        assert far.lookup_agreement_ == near.lookup_agreement_
        answers.append(near.predict_proba(queries))
        np.testing.assert_array_equal(far.predict_proba(queries), answers[-1])
    assert inference != "lookup" or (answers[0] != answers[1]).any()


def test_every_partition_is_walked_from_medoids_of_its_own(near, far):
    far.set_params(walk="medoids", inference="lookup", ef=1)
    queries, _ = worded(150, seed=5)
    mapped = far._model.space.map_rows(queries)
    codes, away = [], []
    for fitted in dask.compute(*far._model.fitted):
        points = fitted.partition.training.points
        walk = MedoidSearch.of_graph(fitted.built.index.parts(), points)
        ids, squared = walk.nearest(mapped, 1)
        codes.append(fitted.stored.codes[ids[:, 0]])
        away.append(squared[:, 0])
    nearest = np.argmin(away, axis=0)
    expected = far.classes_[np.array(codes)[nearest, np.arange(len(queries))]]
    np.testing.assert_array_equal(far.predict(queries), expected)
    near.set_params(walk="medoids")
    assert_answers_alike(near, far.set_params(ef=400))
    with pytest.raises(ValueError, match="'walk' parameter"):
        far.set_params(walk="random").predict(queries)
    near.set_params(walk="hnsw")
    far.set_params(walk="hnsw")


def test_the_remedy_for_lost_walks_is_named_where_it_is_one(rows):
    with pytest.warns(LookupAgreementWarning, match='walk="medoids" finds more'):
        fit_far(*rows, ef=1, support="local")
