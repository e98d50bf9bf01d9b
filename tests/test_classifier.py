"""The fitted classifier: its attributes, its answers, its messages."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.spatial.distance import cdist, pdist
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import knngraph.graph.consensus as consensus_module
from knngraph import KNNGraphClassifier
from knngraph.inference.calibration import sharpen
from knngraph.inference.probabilities import favor
from tests.reference import consensus, kernel_of, objectives, violations

# How well greedy searches do on these few rows is not the question here.
pytestmark = pytest.mark.filterwarnings(
    "ignore::knngraph.exceptions.LookupAgreementWarning"
)


@pytest.fixture(scope="module")
def hard_digits(digits):
    """Four hundred digits and eighty copies, half of them with another label."""
    X, y = digits[0][:400], digits[1][:400]
    y_of_copies = np.concatenate([y[:40], (y[40:80] + 1) % 10])
    return np.concatenate([X, X[:80]]), np.concatenate([y, y_of_copies])


@pytest.fixture(scope="module")
def exact(hard_digits):
    """Fitted with the certificate."""
    return KNNGraphClassifier(metric="euclidean", support="exact", random_state=0).fit(
        *hard_digits
    )


def test_every_row_is_optimal_over_all_rows(exact, hard_digits):
    X, y = hard_digits
    K = kernel_of(exact, X, y)
    violation = violations(K, exact.graph_.toarray(), exact.penalty_)
    # A hundredth of room: the kernel here is double precision throughout.
    assert (violation <= 1.01 * exact.tol * exact.lambda_max_).all()
    assert exact.optimality_gap_.max() <= exact.tol
    np.fill_diagonal(K, 0.0)
    assert_allclose(exact.lambda_max_, 2.0 * K.max(axis=1), rtol=1e-6)


@pytest.mark.usefixtures("engine")
def test_local_support_is_as_good_as_exact(exact, hard_digits):
    X, y = hard_digits
    local = KNNGraphClassifier(metric="euclidean", support="local", random_state=0).fit(
        X, y
    )
    K = kernel_of(exact, X, y)
    total = objectives(K, exact.graph_.toarray(), exact.penalty_).sum()
    total_local = objectives(K, local.graph_.toarray(), local.penalty_).sum()
    assert abs(total_local - total) < 1e-3 * total


@pytest.mark.parametrize("support", ["exact", "local"])
@pytest.mark.parametrize("self_weight", [0.0, 0.5, 2.0])
def test_consensus_recomputed_from_the_graph(support, self_weight, hard_digits):
    X, y = hard_digits
    y = np.array(list("abcdefghij"))[y]
    model = KNNGraphClassifier(
        support=support, self_weight=self_weight, label_weight=0.0, random_state=0
    ).fit(X, y)
    W = model.graph_.toarray()
    shares, labels = consensus(W, y, model.classes_, self_weight)
    assert_allclose(model.label_distribution_, shares, atol=1e-12)
    top = np.sort(shares, axis=1)
    assert_allclose(model.margin_, top[:, -1] - top[:, -2], atol=1e-12)
    clear = model.margin_ > 1e-9  # ties have tests of their own
    assert clear.mean() > 0.9
    assert_array_equal(model.labels_[clear], labels[clear])
    assert_array_equal(model.relabeled_, np.flatnonzero(model.labels_ != y))
    assert model.labels_.dtype == y.dtype


def test_relabeling_repairs_more_labels_than_it_breaks(digits, random):
    X, y = digits[0][:1000], digits[1][:1000]
    flipped = random.random(1000) < 0.3
    given = np.where(flipped, (y + random.integers(1, 10, size=1000)) % 10, y)
    model = KNNGraphClassifier(label_weight=0.0, self_weight=0.5, random_state=0)
    model.fit(X, given)
    repaired = (flipped & (model.labels_ == y)).sum()
    broken = (~flipped & (model.labels_ != y)).sum()
    # Measured: 235 repaired of 299, 96 broken.
    assert broken < repaired / 2


def test_clean_labels_stay(digits):
    X, y = digits[0][:500], digits[1][:500]
    assert len(KNNGraphClassifier(random_state=0).fit(X, y).relabeled_) == 0


def test_attributes_fit_together(exact, hard_digits):
    X, y = hard_digits
    n = len(y)
    assert isinstance(exact.graph_, sparse.csr_array)
    assert exact.graph_.shape == (n, n)
    assert exact.graph_.has_sorted_indices
    assert_array_equal(exact.graph_.diagonal(), 0.0)
    assert exact.graph_.data.min() > 0.0
    assert_array_equal(exact.n_neighbors_, (exact.graph_.toarray() > 0).sum(axis=1))
    assert_array_equal(exact.classes_, np.unique(y))
    assert exact.density_.min() >= 0.0
    assert exact.density_.max() <= 1.0
    fraction = exact.penalty_ / exact.lambda_max_
    assert_allclose(fraction, 0.1 + 0.4 * (1.0 - exact.density_))
    assert_allclose(exact.label_distribution_.sum(axis=1), 1.0)
    assert len(exact.objective_path_) == exact.n_iter_ + 1
    objective = objectives(
        kernel_of(exact, X, y), exact.graph_.toarray(), exact.penalty_
    )
    # The path is a mean over distinct (row, label) pairs: forty rows are one
    # pair with their copy.
    _, first = np.unique(np.column_stack([X, y]), axis=0, return_index=True)
    assert_allclose(exact.objective_path_[-1], objective[first].mean(), rtol=1e-6)
    assert (np.diff(exact.objective_path_) <= 0.0).all()


def test_bandwidths(blobs):
    X, y = blobs
    squared = np.sort(cdist(X, X, "sqeuclidean"), axis=1)
    plain = KNNGraphClassifier(metric="euclidean", random_state=0)
    median = clone(plain).fit(X, y)
    assert_allclose(median.bandwidth_, np.median(pdist(X)), rtol=1e-5)
    near = clone(plain).set_params(
        bandwidth="neighbors", query_bandwidth="neighbors", max_neighbors=9
    )
    near.fit(X, y)
    expected = np.sqrt(np.median(squared[:, 9]))
    assert_allclose(near.bandwidth_, expected, rtol=1e-5)
    assert_allclose(near.query_bandwidth_, expected, rtol=1e-5)
    fixed = clone(plain).set_params(bandwidth=2.5, query_bandwidth=1.5).fit(X, y)
    assert fixed.bandwidth_ == 2.5
    assert fixed.query_bandwidth_ == 1.5
    own = clone(plain).set_params(query_bandwidth="local").fit(X, y)
    assert own.query_bandwidth_ is None


def test_auto_support_is_exact_on_small_sets(blobs, monkeypatch):
    X, y = blobs
    settings = {"max_neighbors": 2, "penalty_min": 0.01, "penalty_max": 0.02}

    def learned(support):
        model = KNNGraphClassifier(support=support, random_state=0, **settings)
        return model.fit(X, y).n_neighbors_

    assert not np.array_equal(learned("exact"), learned("local"))
    assert_array_equal(learned("auto"), learned("exact"))
    monkeypatch.setattr("knngraph.classifier.EXACT_SUPPORT_LIMIT", 100)
    assert_array_equal(learned("auto"), learned("local"))


@pytest.mark.parametrize("fraction", [0.0, 0.5, 0.999999])
@pytest.mark.parametrize("label_weight", [0.0, 0.3])
@pytest.mark.parametrize("support", ["exact", "local"])
def test_no_row_is_without_neighbors(support, label_weight, fraction, blobs):
    # Far from all others, and of a class of its own: all kernel values underflow.
    X = np.concatenate([blobs[0], np.full((1, 5), 1e6)])
    y = np.append(blobs[1], 9)
    model = KNNGraphClassifier(
        support=support,
        label_weight=label_weight,
        penalty_min=fraction,
        penalty_max=fraction,
        bandwidth="neighbors",
        # Without a penalty the last digits cost iterations.
        tol=1e-3,
        max_iter=2000,
        random_state=0,
    ).fit(X, y)
    assert model.n_neighbors_.min() > 0
    assert np.isfinite(model.graph_.data).all()


@pytest.mark.usefixtures("engine")
def test_a_wide_search_reads_the_nearest_row(digits):
    X, y = digits[0][:600], digits[1][:600]
    queries = digits[0][600:800]
    model = KNNGraphClassifier(
        inference="lookup",
        label_weight=0.0,
        self_weight=0.5,
        metric="cosine",  # has no ties of distance on these data
        random_state=0,
    ).fit(X, y)
    model.set_params(ef=600)
    nearest = cdist(queries, X, "cosine").argmin(axis=1)
    assert_array_equal(model.predict(queries), model.labels_[nearest])
    shares = model.predict_proba(queries)
    calibration = model._model.stored_rule.calibration
    expected = sharpen(
        model._model.node_votes[model._model.training.node_of_row[nearest]],
        calibration.stored,
        calibration.stored_floor,
    )
    stored = model._model.stored.codes[model._model.training.node_of_row[nearest]]
    assert_allclose(shares, favor(expected, stored))
    assert (shares.max(axis=1) < 0.999).any()  # not one-hot


@pytest.mark.usefixtures("engine")
def test_a_larger_ef_after_fit_finds_nearer_rows(digits):
    X, y = digits
    model = KNNGraphClassifier(metric="euclidean", random_state=0, M=4)
    model.fit(X[:1200], y[:1200])
    greedy = model.score(X[1200:], y[1200:])
    wide = model.set_params(ef=64).score(X[1200:], y[1200:])
    # Measured: 0.74 and 0.96.
    assert wide > greedy + 0.1


def test_copies_with_different_labels_share_an_answer():
    X = np.array([[0.0], [0.0], [0.0], [5.0], [6.0], [7.0]])
    y = np.array([0, 0, 1, 1, 1, 1])
    model = KNNGraphClassifier(inference="lookup", self_weight=9.0, random_state=0)
    model.fit(X, y)
    assert model.predict([[0.1]]).tolist() == [0]
    # One node has three rows, and votes fall with the distance to the farthest.
    others = np.exp(-3.0 * np.array([5.0, 6.0, 7.0]) / 7.0).sum()
    votes = np.array([[2 / 3, 1 / 3 + others]]) / (1.0 + others)
    calibration = model._model.stored_rule.calibration
    expected = sharpen(votes, calibration.stored, calibration.stored_floor)
    assert_allclose(model.predict_proba([[0.1]]), favor(expected, np.array([0])))


def test_sparse_distributions_answer_alike(blobs, monkeypatch):
    X, y = blobs
    dense = KNNGraphClassifier(random_state=0).fit(X, y)
    monkeypatch.setattr(consensus_module, "DENSE_DISTRIBUTION_LIMIT", 10)
    thin = KNNGraphClassifier(random_state=0).fit(X, y)
    assert sparse.issparse(thin.label_distribution_)
    assert_array_equal(thin.label_distribution_.toarray(), dense.label_distribution_)
    shares = thin.predict_proba(X)
    assert isinstance(shares, np.ndarray)
    assert_array_equal(shares, dense.predict_proba(X))


def test_fitting_again_forgets_the_first_fit(blobs, digits):
    model = KNNGraphClassifier(random_state=0).fit(*blobs)
    model.fit(digits[0][:100], digits[1][:100])
    fresh = KNNGraphClassifier(random_state=0).fit(digits[0][:100], digits[1][:100])
    assert model.n_features_in_ == 64
    assert_array_equal(model.graph_.toarray(), fresh.graph_.toarray())
    assert_array_equal(model.predict(digits[0]), fresh.predict(digits[0]))


@pytest.mark.parametrize("method", ["predict", "predict_proba"])
def test_unfitted(method):
    with pytest.raises(NotFittedError):
        getattr(KNNGraphClassifier(), method)([[0.0]])


@pytest.mark.parametrize("scales", [(), (0,), (3, -1), (1.5,), ((3, 7),), ("a",)])
def test_bad_density_scales(scales, blobs):
    with pytest.raises(ValueError, match=r"density_scales must be .* positive"):
        KNNGraphClassifier(density_scales=scales).fit(*blobs)


@pytest.mark.parametrize("scales", [[2], np.array([2]), (np.int32(2),)])
def test_density_scales_of_any_sequence(scales, blobs):
    model = KNNGraphClassifier(density_scales=scales, random_state=0).fit(*blobs)
    expected = KNNGraphClassifier(density_scales=(2,), random_state=0).fit(*blobs)
    assert_array_equal(model.density_, expected.density_)


def test_penalties_in_the_wrong_order(blobs):
    with pytest.raises(ValueError, match=r"penalty_min=0.6 .* penalty_max=0.5; swap"):
        KNNGraphClassifier(penalty_min=0.6).fit(*blobs)


def test_too_large_a_sparse_set(monkeypatch, blobs):
    monkeypatch.setattr("knngraph.space.DENSE_BYTES_LIMIT", 100)
    with pytest.raises(ValueError, match=r"\(240, 5\).*TruncatedSVD"):
        KNNGraphClassifier().fit(sparse.csr_array(blobs[0]), blobs[1])


@pytest.mark.parametrize("inference", ["lookup", "adaptive", "cascade"])
@pytest.mark.parametrize("value", [1e30, -1e300])
def test_a_query_out_of_range_is_answered(value, inference, blobs):
    model = KNNGraphClassifier(random_state=0, inference=inference).fit(*blobs)
    query = np.zeros((2, 5))
    query[1, 3] = value
    assert set(model.predict(query)) <= set(blobs[1])
    assert_allclose(model.predict_proba(query).sum(axis=1), 1.0)


@pytest.mark.parametrize(
    ("value", "metric"),
    [(np.nan, "euclidean"), (np.inf, "euclidean"), (-np.inf, "auto")],
)
def test_numbers_that_are_none_are_refused(value, metric, blobs):
    model = KNNGraphClassifier(metric=metric, random_state=0).fit(*blobs)
    query = np.zeros((2, 5))
    query[1, 3] = value
    for call in (model.predict, model.predict_proba, lambda X: model.fit(X, [0, 1])):
        with pytest.raises(ValueError, match=r"NaN|infinity"):
            call(query)


@pytest.mark.parametrize("with_tqdm", [True, False])
def test_verbose_tells_the_stages(with_tqdm, blobs, capsys, monkeypatch):
    if not with_tqdm:
        monkeypatch.setitem(__import__("sys").modules, "tqdm.auto", None)
    model = KNNGraphClassifier(verbose=1, random_state=0).fit(*blobs)
    shown = capsys.readouterr()
    assert shown.out == ""
    for name in ("building index", "searching neighbors", "learning neighbors"):
        assert f"[knngraph] {name}" in shown.err
    assert "240/240" in shown.err
    model.set_params(verbose=0).fit(*blobs).predict(blobs[0])
    assert capsys.readouterr() == ("", "")
