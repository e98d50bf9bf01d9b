"""Partitions against one machine, where the pilot sees all rows."""

import dask
import dask.array as da
import numpy as np
import pytest
from sklearn.base import clone

from knngraph import KNNGraphClassifier
from knngraph.distributed import DaskKNNGraphClassifier
from knngraph.graph.density import extremes, inverse_distances
from knngraph.index.medoids import MedoidSearch
from tests.distributed.data import (
    queries,
    rows_with_copies,
    worded,
    worded_with_copies,
    wrong_labels,
)

INFERENCES = ("lookup", "adaptive", "cascade")
SETTINGS = {"random_state": 0, "support": "local", "ef": 16, "metric": "euclidean"}


def collections(X, y, rows=130):
    return da.from_array(X, chunks=(rows, -1)), da.from_array(y, chunks=rows)


def fit_far(X, y, rows=130, own=(), **settings):
    own = {"n_partitions": 3, "local_rows": 0} | dict(own)
    far = DaskKNNGraphClassifier(KNNGraphClassifier(**SETTINGS | settings), **own)
    return far.fit(*collections(X, y, rows))


def fit_near(X, y, **settings):
    return KNNGraphClassifier(**SETTINGS | settings).fit(X, y)


def stored_labels(far):
    """Stored label of every row, as `labels_` on one machine."""
    labels = np.empty(far._layout.n_rows.sum(), dtype=far.classes_.dtype)
    for part in dask.compute(*far._parts):
        codes = part.stored.codes[part.training.node_of_row]
        labels[part.numbers] = far.classes_[codes]
    return labels


@pytest.fixture(scope="module", params=["reliability", "labels"])
def pair(request):
    X, y = rows_with_copies()
    y = wrong_labels(y)
    with dask.config.set(scheduler="threads", num_workers=2):
        far = fit_far(X, y, vote=request.param)
    return fit_near(X, y, vote=request.param), far


def test_shared_values_are_those_of_one_machine(pair):
    near, far = pair
    assert far.bandwidth_ == near.bandwidth_
    assert far.query_bandwidth_ == near.query_bandwidth_
    assert far.loo_score_ == near.loo_score_
    assert far._shared.rule == near._model.stored_rule.rule
    assert far._shared.calibration == near._model.stored_rule.calibration
    assert far.query_nugget_ == near.query_nugget_
    assert far.label_doubt_ == near.label_doubt_
    assert (far.label_doubt_ > 0) == (near.vote == "reliability")
    inverse = inverse_distances(near._model.rows.neighbors, near.density_scales)
    np.testing.assert_array_equal(
        (far._shared.low, far._shared.high), extremes(inverse)
    )


def test_stored_labels_and_reliabilities_are_those_of_one_machine(pair):
    near, far = pair
    nodes = near._model.training.node_of_row
    expected = near.classes_[near._model.stored.codes[nodes]]
    np.testing.assert_array_equal(stored_labels(far), expected)
    assert far.n_relabeled_ == len(near.relabeled_)
    assert far.optimality_gap_ == pytest.approx(near.optimality_gap_.max(), rel=0.1)
    assert far.n_iter_ == near.n_iter_
    reliability = near._model.reliability
    if reliability is None or not reliability.doubt:
        return
    for part in dask.compute(*far._parts):
        pairs = near._model.training.pair_of_row[part.numbers]
        mine = part.training.pair_of_row
        own, rival = reliability.own[pairs], reliability.rival[pairs]
        np.testing.assert_allclose(part.own[mine], own, atol=1e-12)
        np.testing.assert_array_equal(part.rival[mine], rival)


@pytest.mark.parametrize("inference", INFERENCES)
def test_answers_are_those_of_one_machine(pair, inference):
    near, far = pair
    # Searches as wide as all rows miss nothing; no two rows are equally far.
    Q, _ = queries()
    Q = Q + np.random.default_rng(0).normal(scale=0.1, size=Q.shape)
    near.set_params(inference=inference, ef=600)
    far.set_params(estimator__inference=inference, estimator__ef=600)
    expected = near.predict_proba(Q)
    answered = far.predict_proba(Q)
    np.testing.assert_allclose(answered, expected, atol=1e-6)
    np.testing.assert_array_equal(far.predict(Q), near.predict(Q))
    lazily = far.predict_proba(da.from_array(Q, chunks=(70, -1)))
    np.testing.assert_array_equal(lazily.compute(), answered)


def test_a_cascade_resolves_some_queries_and_not_others():
    X, y = worded_with_copies()
    settings = {"inference": "cascade", "cascade_tolerance": 0.03, "max_neighbors": 16}
    settings |= {"vote": "labels"}
    near = fit_near(X, y, ef=400, **settings)
    far = fit_far(X, y, 120, ef=400, **settings)
    Q, _ = worded(150, seed=5)
    assert 0.1 < near.inference_report(Q)["resolved_share"] < 0.9
    np.testing.assert_allclose(far.predict_proba(Q), near.predict_proba(Q), atol=1e-12)


@pytest.mark.parametrize(
    "changed",
    [
        {"metric": "cosine"},
        # The reliability of labels that the map has seen is that of one machine only
        # where such rows are few.
        {"metric": "learned", "vote": "labels"},
        {"metric": "auto", "bandwidth": "neighbors", "vote": "labels"},
        {"metric": "trees", "vote": "labels"},
        {"query_bandwidth": "local", "vote": "labels"},
        {"query_bandwidth": 0.7, "metric": "cosine", "bandwidth": 1.5},
        {"nugget": 0.1, "positive": False, "density_scales": (2, 5)},
    ],
    ids=str,
)
def test_parameters_mean_what_they_mean_on_one_machine(changed):
    X, y = worded_with_copies(240)
    settings = {"max_neighbors": 12, "inference": "adaptive", "ef": 400} | changed
    near, far = fit_near(X, y, **settings), fit_far(X, y, **settings)
    assert far.metric_ == near.metric_
    assert far.bandwidth_ == pytest.approx(near.bandwidth_, rel=1e-9)
    assert far.query_bandwidth_ == near.query_bandwidth_
    Q, _ = worded(150, seed=5)
    for inference in INFERENCES:
        near.set_params(inference=inference)
        far.set_params(estimator__inference=inference)
        expected = near.predict_proba(Q)
        np.testing.assert_allclose(far.predict_proba(Q), expected, atol=1e-9)


def test_a_pilot_of_some_rows_gives_labels_close_to_those_of_all(monkeypatch):
    X, y = rows_with_copies(1200)
    y = wrong_labels(y, 0.1)
    near = fit_near(X, y, inference="adaptive")
    monkeypatch.setattr("knngraph.distributed.pilot._FEWEST_ROWS", 300)
    far = fit_far(X, y, inference="adaptive")
    Q, _ = queries()
    assert far.loo_score_ != near.loo_score_
    assert far.label_doubt_ > 0
    assert far.bandwidth_ == pytest.approx(near.bandwidth_, rel=0.05)
    # From all partitions: neighbors are nearer among more rows.
    assert far.query_bandwidth_ == near.query_bandwidth_
    assert (far.predict(Q) == near.predict(Q)).mean() > 0.97


@pytest.mark.parametrize("metric", ["euclidean", "trees"])
def test_chunks_and_their_order_change_nothing(metric, monkeypatch):
    monkeypatch.setattr("knngraph.distributed.pilot._FEWEST_ROWS", 100)
    X, y = rows_with_copies(400)
    one = fit_far(X, y, 445, metric=metric)
    other = fit_far(X[::-1], y[::-1], 60, metric=metric)
    if metric == "trees":
        # Rows of the pilot have grown the trees, on every worker.
        forest = one._shared.space.trees
        drawn = forest.drawn(forest.as_seen(X)).any(axis=1)
        assert 60 < len(forest.grown_from) <= 100
        assert 60 < drawn.sum() < 200
    Q, _ = queries()
    for inference in INFERENCES:
        one.set_params(estimator__inference=inference)
        other.set_params(estimator__inference=inference)
        np.testing.assert_array_equal(one.predict_proba(Q), other.predict_proba(Q))


def test_centroids_route_rows_and_say_what_it_costs(blobs):
    X, y = blobs
    all_asked = fit_far(X, y, own={"n_partitions": 6}, ef=32)
    own = {"n_partitions": 6, "routing": "centroids", "n_probes": 2}
    routed = fit_far(X, y, own=own, ef=32)
    assert all_asked.routing_recall_ == 1.0
    assert 0.5 < routed.routing_recall_ < 1.0
    everyone = clone(routed).set_params(n_probes=6).fit(*collections(X, y))
    assert everyone.routing_recall_ == 1.0
    assert everyone.loo_score_ == all_asked.loo_score_
    assert everyone.query_bandwidth_ == pytest.approx(all_asked.query_bandwidth_)
    np.testing.assert_array_equal(everyone.predict(X), all_asked.predict(X))
    assert routed.score(X, y) > 0.8 * all_asked.score(X, y)


@pytest.mark.filterwarnings("ignore::knngraph.exceptions.LookupAgreementWarning")
def test_every_partition_is_searched_from_medoids_of_its_own():
    X, y = worded_with_copies()
    far = fit_far(X, y, walk="medoids", ef=1)
    Q, _ = worded(150, seed=5)
    mapped = far._shared.space.map_rows(Q)
    codes, away = [], []
    for part in dask.compute(*far._parts):
        points = part.training.points
        ids, squared = MedoidSearch.of_graph(part.index.parts(), points).nearest(
            mapped, 1
        )
        codes.append(part.stored.codes[ids[:, 0]])
        away.append(squared[:, 0])
    nearest = np.argmin(away, axis=0)
    expected = far.classes_[np.array(codes)[nearest, np.arange(len(Q))]]
    np.testing.assert_array_equal(far.predict(Q), expected)
    with pytest.raises(ValueError, match="'walk' parameter"):
        far.set_params(estimator__walk="random").predict(Q)


def test_partitions_that_hold_fewer_rows_than_there_are_candidates():
    X, y = worded_with_copies(150)
    near = fit_near(X, y, ef=400)
    far = fit_far(X, y, own={"n_partitions": 9}, ef=400)
    assert far.partition_sizes_.min() < near.max_neighbors
    Q, _ = worded(150, seed=5)
    for inference in INFERENCES:
        near.set_params(inference=inference)
        far.set_params(estimator__inference=inference)
        expected = near.predict_proba(Q)
        np.testing.assert_allclose(far.predict_proba(Q), expected, atol=1e-9)


def test_a_model_that_came_home_answers_and_goes_on_learning(pair):
    near, far = pair
    local = far.to_local()
    assert abs(near.graph_ - local.graph_).max() == 0.0
    np.testing.assert_array_equal(near.labels_, local.labels_)
    Q, classes = queries(30)
    np.testing.assert_array_equal(
        near.predict(Q), local.set_params(**near.get_params()).predict(Q)
    )
    grown = local.partial_fit(Q, classes)
    X, y = rows_with_copies()
    again = KNNGraphClassifier(**near.get_params())
    again.fit(np.concatenate([X, Q]), np.concatenate([wrong_labels(y), classes]))
    np.testing.assert_array_equal(grown.predict(X), again.predict(X))
    with pytest.raises(ValueError, match=r"limit is 0\.00 GiB"):
        far.to_local(max_bytes=1000)
