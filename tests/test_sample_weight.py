"""A row of weight w is w copies of it, wherever rows are counted."""

import copy
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn import config_context
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import make_moons
from sklearn.ensemble import AdaBoostClassifier, BaggingClassifier
from sklearn.model_selection import GridSearchCV

from knngraph import KNNGraphClassifier, KNNGraphClassifierCV, load_predictor
from knngraph.inference.answer import nearest_nodes
from knngraph.sparse_rows import as_dense
from knngraph.weights import middle_values, weighted_median

pytestmark = pytest.mark.filterwarnings(
    "ignore::knngraph.exceptions.LookupAgreementWarning"
)
INFERENCES = ("lookup", "adaptive", "cascade")


def overlapping(n=240, seed=0, decimals=None):
    """Rows of three classes that overlap, and integer weights from 0 to 3."""
    random = np.random.default_rng(seed)
    X = random.normal(size=(n, 3))
    if decimals is not None:  # few places: many copies, some with other labels
        X = np.round(X[:, :2], decimals)
    noise = 0.5 * random.normal(size=n)
    y = (X[:, 0] + noise > 0).astype(int) + 2 * (X[:, 1] > 1)
    return X, y, random.integers(0, 4, n)


def repeated(X, y, weights):
    return np.repeat(X, weights, axis=0), np.repeat(y, weights)


def assert_same_model(weighted, of_copies, first, queries):
    """Answers, and attributes of every row that of its first copy, to the last bit."""
    for inference in INFERENCES:
        weighted.set_params(inference=inference)
        of_copies.set_params(inference=inference)
        assert_array_equal(weighted.predict(queries), of_copies.predict(queries))
        assert_allclose(
            weighted.predict_proba(queries),
            of_copies.predict_proba(queries),
            rtol=0,
            atol=1e-12,
        )
    for name in (
        "labels_",
        "density_",
        "penalty_",
        "margin_",
        "label_distribution_",
        "resolved_",
    ):
        expected = getattr(of_copies, name)[first]
        assert_allclose(getattr(weighted, name), expected, atol=1e-12, err_msg=name)
    for name in (
        "classes_",
        "bandwidth_",
        "query_bandwidth_",
        "label_doubt_",
        "query_nugget_",
        "loo_score_",
    ):
        expected = getattr(of_copies, name)
        assert_array_equal(getattr(weighted, name), expected, err_msg=name)


def first_copies(weights):
    """Places of the first copies among the repeated rows."""
    weights = weights[weights > 0]
    return np.cumsum(weights) - weights


@pytest.mark.parametrize("decimals", [None, 0], ids=["distinct", "copies"])
@pytest.mark.parametrize(
    "estimator",
    [
        KNNGraphClassifier(),
        KNNGraphClassifier(support="local", nugget=0.1, bandwidth="neighbors"),
        KNNGraphClassifier(metric="learned", vote="labels"),
        KNNGraphClassifier(metric="cosine", class_weight="balanced"),
        KNNGraphClassifierCV(neighbor_counts=[8, 16], max_rows=150),
        KNNGraphClassifierCV(inference="lookup", class_weight={0: 2.0}),
    ],
    ids=["exact", "local", "learned", "balanced", "cv", "cv lookup"],
)
def test_weights_are_copies(estimator, decimals):
    X, y, weights = overlapping(decimals=decimals)
    queries = np.random.default_rng(1).normal(size=(100, X.shape[1]))
    estimator.set_params(random_state=0)
    weighted = copy.deepcopy(estimator).fit(X, y, sample_weight=weights)
    of_copies = copy.deepcopy(estimator).fit(*repeated(X, y, weights))
    assert_same_model(weighted, of_copies, first_copies(weights), queries)
    if isinstance(estimator, KNNGraphClassifierCV):
        assert weighted.best_params_ == of_copies.best_params_
        assert weighted.best_score_ == of_copies.best_score_
    # And they are no ornament.
    plain = copy.deepcopy(estimator).fit(X, y)
    assert (plain.predict_proba(queries) != weighted.predict_proba(queries)).any()


def test_weights_of_sparse_rows():
    X, y, weights = overlapping(decimals=0)
    dense = KNNGraphClassifier(inference="adaptive", metric="cosine", random_state=0)
    thin = copy.deepcopy(dense).fit(sparse.csr_array(X), y, weights)
    dense.fit(X, y, weights)
    assert_array_equal(thin.predict_proba(X), dense.predict_proba(X))


@pytest.mark.parametrize("support", ["exact", "local"])
@pytest.mark.parametrize("class_weight", [None, "balanced"])
def test_weights_survive_changes(support, class_weight):
    """Center and scale are those of the first fit: it is the same for both."""
    X, y, weights = overlapping(300, decimals=1)
    start = np.maximum(weights[:200], 1)
    estimator = KNNGraphClassifier(
        support=support, class_weight=class_weight, metric="cosine", random_state=0
    )
    weighted = copy.deepcopy(estimator).fit(X[:200], y[:200], start)
    of_copies = copy.deepcopy(estimator).fit(*repeated(X[:200], y[:200], start))
    weighted.partial_fit(X[200:], y[200:], sample_weight=weights[200:])
    of_copies.partial_fit(*repeated(X[200:], y[200:], weights[200:]))
    left = np.concatenate([start, weights[200:]])
    left = left[left > 0]
    gone = np.arange(0, len(left), 3)
    weighted = pickle.loads(pickle.dumps(weighted.forget(gone)))
    of_copies.forget(np.isin(np.repeat(np.arange(len(left)), left), gone))
    queries = X + 0.01
    first = first_copies(np.delete(left, gone))
    assert_same_model(weighted, of_copies, first, queries)


def test_rows_with_and_without_weights_come_together():
    X, y, weights = overlapping(150, decimals=0)
    model = KNNGraphClassifier(inference="adaptive", metric="cosine", random_state=0)
    model.fit(X[:50], y[:50])
    model.partial_fit(X[50:100], y[50:100], sample_weight=weights[50:100])
    model.partial_fit(X[100:], y[100:])
    model.forget([0, -1])
    weights[:50] = weights[100:] = 1
    there = np.flatnonzero(weights)[1:-1]
    fresh = copy.deepcopy(model).fit(X[there], y[there], weights[there])
    assert_array_equal(model.predict_proba(X), fresh.predict_proba(X))


@pytest.mark.parametrize("inference", INFERENCES)
def test_weights_in_files(inference, tmp_path):
    X, y, weights = overlapping(decimals=0)
    model = KNNGraphClassifier(inference=inference, random_state=0).fit(X, y, weights)
    model.to_predictor().save(tmp_path / "model")
    loaded = load_predictor(tmp_path / "model")
    assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))


def test_weights_in_condensing():
    X, y, weights = overlapping(400, seed=3)
    estimator = KNNGraphClassifier(random_state=0)
    weighted = copy.deepcopy(estimator).fit(X, y, weights).condense(0.1)
    of_copies = copy.deepcopy(estimator).fit(*repeated(X, y, weights)).condense(0.1)
    assert weighted.report_ == of_copies.report_
    assert weighted.report_.kept_share < 1.0
    assert_array_equal(weighted.predict_proba(X), of_copies.predict_proba(X))


@pytest.mark.parametrize("inference", INFERENCES)
@pytest.mark.parametrize("near", [1.0 - 1e-9, 1.0 + 1e-9])
def test_a_weight_next_to_one_is_one_row(inference, near):
    X, y, _ = overlapping(decimals=1)
    random = np.random.default_rng(4)
    model = KNNGraphClassifier(inference=inference, random_state=0)
    plain = model.fit(X, y).predict_proba(X + 0.01)
    for weights in (
        np.full(len(y), near),
        np.where(random.random(len(y)) < 0.5, near, 1),
    ):
        weighted = copy.deepcopy(model).fit(X, y, weights)
        found = weighted.predict_proba(X + 0.01)
        # A tie between the two largest votes on a stored label may go either way.
        same = found.argmax(axis=1) == plain.argmax(axis=1)
        assert_allclose(found[same], plain[same], atol=1e-6)
        if not same.all():
            reader = model._query_model(model._options())
            nodes, _ = nearest_nodes(reader, model._options(), X[~same] + 0.01)
            votes = np.sort(as_dense(model._model.stored.shares[nodes]), axis=1)
            assert_allclose(votes[:, -1], votes[:, -2], atol=1e-6)


def test_a_row_of_next_to_no_weight_explains_next_to_nothing():
    X, y, _ = overlapping()
    light = np.arange(len(y)) % 5 == 0
    model = KNNGraphClassifier(random_state=0).fit(X, y)
    assert model.graph_[:, light].sum() > 0.1 * model.graph_.sum()
    model.fit(X, y, sample_weight=np.where(light, 1e-7, 1.25))
    assert 0.0 < model.graph_[:, light].sum() < 1e-4 * model.graph_.sum()


@pytest.mark.parametrize("inference", INFERENCES)
def test_all_rows_twice(inference):
    X, y, _ = overlapping()
    model = KNNGraphClassifier(inference=inference, random_state=0)
    doubled = copy.deepcopy(model).fit(X, y, sample_weight=2.0).predict_proba(X)
    twice = model.fit(np.concatenate([X, X]), np.concatenate([y, y])).predict_proba(X)
    assert_array_equal(doubled, twice)


def test_light_sets_are_brought_to_the_weight_of_their_rows():
    X, y, weights = overlapping(200)
    weights = weights + 0.5
    model = KNNGraphClassifier(inference="adaptive", random_state=0)
    one = copy.deepcopy(model).fit(
        X[:150], y[:150], weights[:150] / weights[:150].mean()
    )
    light = copy.deepcopy(model).fit(X[:150], y[:150], weights[:150] / 1e6)
    assert_allclose(light.predict_proba(X), one.predict_proba(X), atol=1e-9)
    # What comes later is in the same units.
    one.partial_fit(
        X[150:], y[150:], sample_weight=weights[150:] / weights[:150].mean()
    )
    light.partial_fit(X[150:], y[150:], sample_weight=weights[150:] / 1e6)
    assert_allclose(light.predict_proba(X), one.predict_proba(X), atol=1e-9)
    # Equal weights are no weights, to the bit.
    equal = copy.deepcopy(model).fit(X, y, sample_weight=np.full(len(y), 0.1))
    assert_array_equal(equal.predict_proba(X), model.fit(X, y).predict_proba(X))


def test_rows_of_weight_zero_are_not_there():
    X, y, weights = overlapping()
    weights[y == 2] = 0
    X[weights == 0] = 1e30  # no place for them in the index
    model = KNNGraphClassifier(random_state=0).fit(X, y, weights)
    assert model.classes_.tolist() == [0, 1, 3]
    there = weights > 0
    assert model.graph_.shape == (there.sum(),) * 2
    again = KNNGraphClassifier(random_state=0).fit(X[there], y[there], weights[there])
    assert_array_equal(model.predict_proba(X[there]), again.predict_proba(X[there]))
    first = KNNGraphClassifier(random_state=0).partial_fit(
        X, y, classes=range(4), sample_weight=weights
    )
    assert first.classes_.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1, 1, -2.5, 1], r"sample_weight has -2\.5 in row 2"),
        ([1, np.nan, 1, 1], r"sample_weight has nan in row 1"),
        ([1, 1, 1, np.inf], r"sample_weight has inf in row 3"),
        ([1, 1, 1e13, 1], r"sample_weight has 10{13}\.0 in row 2.* 0 to 1e\+12"),
        ([1, 1, 1], r"sample_weight has shape \(3,\), expected .*\(4,\)"),
        ([[1, 1, 1, 1]], r"sample_weight has shape \(1, 4\)"),
        ([0, 0, 0, 0], r"sample_weight is zero for every row"),
        (0.0, r"sample_weight is zero for every row"),
        (["a"] * 4, "sample_weight must hold numbers"),
        ([1j] * 4, "sample_weight must hold numbers"),
        ([None, 1, 1, "x"], "sample_weight must hold numbers"),
    ],
)
def test_bad_weights_are_named(weights, message):
    X, y = np.arange(8.0).reshape(4, 2), [0, 1, 0, 1]
    model = KNNGraphClassifier(random_state=0)
    with pytest.raises(ValueError, match=message):
        model.fit(X, y, sample_weight=weights)
    assert not hasattr(model, "classes_")
    model.fit(X, y)
    before = model.graph_
    with pytest.raises(ValueError, match=message):
        model.partial_fit(X, y, sample_weight=weights)
    assert model.graph_ is before


def test_a_weight_beyond_the_units_of_the_fit_is_named():
    X, y = np.arange(8.0).reshape(4, 2), [0, 1, 0, 1]
    model = KNNGraphClassifier(random_state=0).fit(X, y, sample_weight=1e-9)
    with pytest.raises(ValueError, match=r"sample_weight has 5000\.0 in row 0, more"):
        model.partial_fit(X[:1], y[:1], sample_weight=5e3)


@pytest.mark.parametrize("inference", INFERENCES)
@pytest.mark.parametrize("spread", [3.0, 100.0])
def test_weights_of_any_size_are_answered(inference, spread):
    X, y, _ = overlapping(150, decimals=1)
    weights = np.exp(spread * np.random.default_rng(0).normal(size=len(y)))
    weights /= weights.max()
    model = KNNGraphClassifier(inference=inference, random_state=0)
    shares = model.fit(X, y, sample_weight=weights).predict_proba(X)
    assert_allclose(shares.sum(axis=1), 1.0)
    assert_array_equal(model.classes_[shares.argmax(axis=1)], model.predict(X))


def test_a_heavy_row_lists_itself():
    """Where copies would be listed, and there are none but the row itself."""
    X = np.array([[0.0], [1.0], [2.0], [3.0]])
    y = np.array([0, 0, 1, 1])
    weights = [1, 3, 1, 1]
    model = KNNGraphClassifier(random_state=0).fit(X, y, sample_weight=weights)
    of_copies = KNNGraphClassifier(random_state=0).fit(*repeated(X, y, weights))
    diagonal = model.graph_.diagonal()
    assert (diagonal > 0).tolist() == [False, True, False, False]
    assert_allclose(diagonal[1], of_copies.graph_[[1], [2]])
    assert not of_copies.graph_.diagonal().any()
    # The vote is whole, and the row is one voter with its copies.
    explanation, apart = (m.explain([[1.1]])[0] for m in (model, of_copies))
    assert [voter.row for voter in explanation.voters].count(1) == 1
    assert_allclose(sum(voter.weight for voter in explanation.neighbors), 1.0)
    assert_array_equal(explanation.scores, apart.scores)


def test_ada_boost():
    X, y = make_moons(600, noise=0.35, random_state=0)
    X_test, y_test = make_moons(2000, noise=0.35, random_state=1)
    single = KNNGraphClassifier(random_state=0)
    boosted = AdaBoostClassifier(single, n_estimators=10, random_state=0)
    assert boosted.fit(X, y).score(X_test, y_test) >= single.fit(X, y).score(
        X_test, y_test
    )
    assert len(boosted.estimators_) > 1


def test_tools_of_scikit_learn_take_weights():
    X, y, weights = overlapping()
    estimator = KNNGraphClassifier(random_state=0)
    bagging = BaggingClassifier(estimator, n_estimators=3, random_state=0)
    bagging.fit(X, y, sample_weight=weights)
    assert bagging.score(X, y, sample_weight=weights) > 0.7
    calibrated = CalibratedClassifierCV(estimator, cv=3)
    shares = calibrated.fit(X, y, sample_weight=weights).predict_proba(X)
    assert_allclose(shares.sum(axis=1), 1.0)


def test_weights_are_routed():
    X, y, weights = overlapping()
    seen = []

    class Watched(KNNGraphClassifier):
        def fit(self, X, y, sample_weight=None):
            seen.append(sample_weight)
            return super().fit(X, y, sample_weight)

    with config_context(enable_metadata_routing=True):
        estimator = Watched(random_state=0).set_fit_request(sample_weight=True)
        estimator.set_score_request(sample_weight=True)
        search = GridSearchCV(estimator, {"label_weight": [0.0, 0.3]}, cv=3)
        search.fit(X, y, sample_weight=weights)
    assert len(seen) == 7
    assert all(given is not None for given in seen)
    request = KNNGraphClassifier().get_metadata_routing().partial_fit.requests
    assert set(request) == {"classes", "ids", "sample_weight"}


@pytest.mark.parametrize("n", [1, 2, 7, 50])
def test_medians_are_those_of_copies(n):
    random = np.random.default_rng(n)
    values, weights = random.normal(size=n).round(1), random.integers(1, 5, n)
    copies = np.repeat(values, weights)
    assert weighted_median(values, weights.astype(float)) == np.median(copies)
    low, _ = middle_values(values, weights.astype(float))
    assert low == np.sort(copies)[(len(copies) - 1) // 2]
    # Rounding of the weights decides nothing.
    assert weighted_median(values, weights * 0.1) == np.median(copies)
