"""The distributed classifier against the one on one machine, in one process."""

import dask
import dask.array as da
import numpy as np
import pytest
from sklearn.base import clone

from knngraph import KNNGraphClassifier
from knngraph.distributed import DaskKNNGraphClassifier, predict, predict_proba
from tests.distributed.data import queries, rows_with_copies, wrong_labels

SETTINGS = {
    "query_metric": "same",
    "random_state": 0,
    "support": "exact",
    "ef": 16,
}


class ExactCandidates(KNNGraphClassifier):
    """Local support over candidates that are searched exactly."""

    def _search_neighbors(self, training, index, exact, largest_scale, n_threads):
        return super()._search_neighbors(
            training, index, True, largest_scale, n_threads
        )


def collections(X, y, rows=130):
    return da.from_array(X, chunks=(rows, -1)), da.from_array(y, chunks=rows)


@pytest.fixture(scope="module", params=["trusted", "labels"])
def pair(request):
    X, y = rows_with_copies()
    y, settings = wrong_labels(y), SETTINGS | {"vote": request.param}
    with dask.config.set(scheduler="threads", num_workers=2):
        far = DaskKNNGraphClassifier(n_partitions=3, **settings).fit(*collections(X, y))
    return KNNGraphClassifier(**settings).fit(X, y), far


def gap_between(one, other):
    return abs(one - other).max()


def test_exact_fit_learns_what_one_machine_learns(pair):
    near, far = pair
    local = far.to_local()
    assert gap_between(near.graph_, local.graph_) <= near.tol
    np.testing.assert_array_equal(near.labels_, local.labels_)
    np.testing.assert_array_equal(near.n_neighbors_, local.n_neighbors_)
    np.testing.assert_allclose(near.density_, local.density_, atol=1e-12)
    np.testing.assert_allclose(near.margin_, local.margin_, atol=near.tol)
    np.testing.assert_allclose(near.objective_path_[-1], local.objective_path_[-1])
    np.testing.assert_array_equal(near.decided_, local.decided_)
    np.testing.assert_array_equal(near.relabeled_, local.relabeled_)
    assert far.n_relabeled_ == len(near.relabeled_)
    assert local.optimality_gap_.max() <= near.tol


def test_global_quantities_are_those_of_one_machine(pair):
    near, far = pair
    assert far.bandwidth_ == near.bandwidth_
    assert far.query_bandwidth_ == near.query_bandwidth_
    assert far.loo_score_ == near.loo_score_
    assert far._model.thresholds.decisions == near._model.decisions
    assert far._model.thresholds.calibration == near._model.calibration
    assert far.query_nugget_ == near.query_nugget_
    assert far.label_noise_ == near.label_noise_
    assert (far.label_noise_ > 0) == (far.vote == "trusted")


# With centroids the sample comes in another order, and sums are rounded otherwise.
@pytest.mark.parametrize(
    ("share", "routing", "tolerance"),
    [(0.0, "all", 1e-12), (0.4, "all", 1e-12), (0.4, "centroids", 0.01)],
)
def test_labels_are_believed_as_on_one_machine(share, routing, tolerance):
    X, y = rows_with_copies(300)
    y, settings = wrong_labels(y, share), SETTINGS | {"inference": "adaptive"}
    near = KNNGraphClassifier(**settings).fit(X, y)
    far = DaskKNNGraphClassifier(
        n_partitions=3, routing=routing, n_probes=3, **settings
    ).fit(*collections(X, y))
    assert far.label_noise_ == near.label_noise_
    assert far.query_nugget_ == near.query_nugget_
    assert far.loo_score_ == near.loo_score_
    trust, local = near._model.trust, far.to_local()
    if trust is not None:
        np.testing.assert_allclose(local._model.trust.own, trust.own, atol=tolerance)
        np.testing.assert_array_equal(local._model.trust.rival, trust.rival)
    np.testing.assert_array_equal(local._left_out.right, near._left_out.right)
    Q, _ = queries()
    # No two rows are equally far: which of them is the last candidate is a matter
    # of their order.
    Q = Q + np.random.default_rng(0).normal(scale=0.1, size=Q.shape)
    expected = near.set_params(ef=400).predict_proba(Q)
    answered = far.set_params(ef=400).predict_proba(Q)
    np.testing.assert_allclose(answered, expected, atol=tolerance)


@pytest.mark.parametrize("inference", ["lookup", "adaptive", "cascade"])
def test_answers_are_those_of_one_machine(pair, inference):
    near, far = (clone_fitted(one, inference) for one in pair)
    Q, _ = queries()
    # Beams as wide as all rows: two searches that miss nothing.
    expected = near.set_params(ef=600).predict_proba(Q)
    answered = far.set_params(ef=600).predict_proba(Q)
    np.testing.assert_allclose(answered, expected, atol=1e-6)
    np.testing.assert_array_equal(far.predict(Q), near.predict(Q))
    lazily = far.predict(da.from_array(Q, chunks=(70, -1)))
    np.testing.assert_array_equal(lazily.compute(), near.predict(Q))


def clone_fitted(classifier, inference):
    other = type(classifier)(**classifier.get_params()).set_params(inference=inference)
    other.__dict__ |= {
        name: value
        for name, value in vars(classifier).items()
        if name not in classifier.get_params()
    }
    return other


def test_local_support_over_exact_candidates_is_that_of_one_machine(monkeypatch):
    X, y = rows_with_copies(300)
    settings = SETTINGS | {"support": "local", "bandwidth": "neighbors", "nugget": 0.1}
    near = ExactCandidates(**settings).fit(X, y)
    monkeypatch.setattr(KNNGraphClassifier, "_exact_up_to", lambda self: np.inf)
    monkeypatch.setattr(
        "knngraph.distributed.estimator.certify_all",
        lambda partitions, learned, layout, everything: learned,
    )
    far = DaskKNNGraphClassifier(n_partitions=2, **settings).fit(*collections(X, y))
    local = far.to_local()
    assert gap_between(near.graph_, local.graph_) <= near.tol
    np.testing.assert_array_equal(near.labels_, local.labels_)
    assert far._model.thresholds.decisions == near._model.decisions


def test_chunks_and_their_order_change_nothing():
    X, y = rows_with_copies(200)
    settings = SETTINGS | {"n_partitions": 2}
    one = DaskKNNGraphClassifier(**settings).fit(*collections(X, y, 245))
    other = DaskKNNGraphClassifier(**settings).fit(*collections(X[::-1], y[::-1], 60))
    Q, _ = queries()
    np.testing.assert_array_equal(one.predict_proba(Q), other.predict_proba(Q))


@pytest.mark.parametrize("metric", ["cosine", "learned"])
def test_other_metrics_place_rows_as_one_machine(metric):
    X, y = rows_with_copies(200)
    settings = SETTINGS | {"metric": metric}
    near = KNNGraphClassifier(**settings).fit(X, y)
    far = DaskKNNGraphClassifier(n_partitions=2, **settings).fit(*collections(X, y))
    assert far.metric_ == near.metric_ == metric
    assert far.bandwidth_ == pytest.approx(near.bandwidth_, rel=1e-9)
    np.testing.assert_array_equal(far.predict(X), near.predict(X))


def test_parameters_are_those_of_the_classifier_and_three_more():
    near, far = KNNGraphClassifier(), DaskKNNGraphClassifier()
    own = {"n_partitions": None, "routing": "all", "n_probes": 4}
    assert far.get_params() == near.get_params() | own
    allowed = {n: far._parameter_constraints[n] for n in near.get_params()}
    assert allowed == near._parameter_constraints
    copy = clone(far.set_params(routing="centroids", max_neighbors=5))
    assert copy.get_params() == far.get_params()


def test_centroids_route_rows_and_say_what_it_costs(blobs):
    X, y = blobs
    settings = {"n_partitions": 6, "random_state": 0, "ef": 32}
    all_asked = DaskKNNGraphClassifier(**settings).fit(*collections(X, y))
    routed = DaskKNNGraphClassifier(routing="centroids", n_probes=2, **settings)
    routed.fit(*collections(X, y))
    assert all_asked.routing_recall_ == 1.0
    assert 0.5 < routed.routing_recall_ < 1.0
    everyone = clone(routed).set_params(n_probes=6).fit(*collections(X, y))
    assert everyone.routing_recall_ == 1.0
    # Asking everyone leaves the numbers of the nodes as the only difference.
    assert everyone.loo_score_ == all_asked.loo_score_
    assert everyone.query_bandwidth_ == pytest.approx(all_asked.query_bandwidth_)
    assert routed.score(X, y) > 0.8 * all_asked.score(X, y)


def test_a_model_that_came_home_goes_on_learning(pair):
    near, far = pair
    Q, classes = queries(30)
    grown = far.to_local().partial_fit(Q, classes)
    X, y = rows_with_copies()
    y, again = wrong_labels(y), KNNGraphClassifier(**near.get_params())
    again.fit(np.concatenate([X, Q]), np.concatenate([y, classes]))
    np.testing.assert_array_equal(grown.predict(X), again.predict(X))
    assert gap_between(grown.graph_, again.graph_) <= near.tol


def test_a_local_classifier_answers_collections(pair):
    near, _ = pair
    Q, _ = queries()
    lazily = da.from_array(Q, chunks=(90, -1))
    np.testing.assert_array_equal(predict(near, lazily).compute(), near.predict(Q))
    np.testing.assert_array_equal(
        predict_proba(near, lazily).compute(), near.predict_proba(Q)
    )
    with pytest.raises(TypeError, match="got ndarray"):
        predict(near, Q)


def test_a_model_that_does_not_fit_stays_on_the_cluster(pair):
    with pytest.raises(ValueError, match=r"limit is 0\.00 GiB"):
        pair[1].to_local(max_bytes=1000)
