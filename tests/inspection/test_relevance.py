"""Which columns matter: made problems, permutation importance, and plain loops."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.stats import spearmanr
from sklearn.exceptions import NotFittedError
from sklearn.inspection import permutation_importance

from knngraph import KNNGraphClassifier, KNNGraphClassifierCV
from knngraph.inspection import feature_relevance

METRICS = ["euclidean", "auto", "trees"]


def made(problem, n_rows=500, seed=0):
    """Rows, classes and the columns that decide, those of most weight first."""
    random = np.random.default_rng(seed)
    if problem == "linear":
        X = random.normal(size=(n_rows, 10))
        return X, (X[:, :4] @ [4.0, 3.0, 2.0, 1.5] > 0).astype(int), 4
    if problem == "xor":
        X = random.normal(size=(n_rows, 6))
        return X, ((X[:, 0] > 0) ^ (X[:, 1] > 0)).astype(int), 2
    X = random.normal(size=(n_rows, 43))  # 40 of them useless
    return X, (X[:, :3].sum(axis=1) + X[:, 0] * X[:, 1] > 0).astype(int), 3


@pytest.mark.parametrize("problem", ["linear", "xor", "useless"])
@pytest.mark.parametrize("metric", METRICS)
def test_the_right_columns_come_first(metric, problem):
    X, y, n_right = made(problem)
    model = KNNGraphClassifier(inference="adaptive", metric=metric, random_state=0)
    model.fit(X, y)
    relevance = model.feature_relevance_
    assert relevance.shape == (X.shape[1],)
    assert_allclose(relevance.sum(), 1.0)
    assert (relevance >= 0.0).all()
    assert set(np.argsort(-relevance)[:n_right]) == set(range(n_right))
    # So they do for new rows, by the classes that are predicted.
    of_new = feature_relevance(model, made(problem, seed=1)[0])
    assert set(np.argsort(-of_new)[:n_right]) == set(range(n_right))
    if model.metric_ != "euclidean":
        # And in the answers: a map leaves useless columns out of the distance.
        voters = [v for e in model.explain(X[:50]) for v in e.voters]
        shares = sum(v.weight * v.shares for v in voters)
        assert set(np.argsort(-shares)[:n_right]) == set(range(n_right))


@pytest.mark.parametrize("metric", METRICS)
def test_permutation_importance_agrees_in_rank(metric):
    random = np.random.default_rng(0)
    weights = np.array([1.0, 2.0, 0.0, 3.0, 0.5, 4.0])
    X = random.normal(size=(900, 6))
    y = (X @ weights > 0).astype(int)
    model = KNNGraphClassifier(inference="adaptive", metric=metric, random_state=0)
    model.fit(X[:600], y[:600])
    importance = permutation_importance(
        model, X[600:], y[600:], n_repeats=5, random_state=0
    ).importances_mean
    relevance = model.feature_relevance_
    assert spearmanr(relevance, importance).statistic >= 0.9
    assert spearmanr(relevance, weights).statistic >= 0.9


def by_hand(X, y, queries, codes, left_out):
    """ReliefF with squared differences, from its definition."""
    total = np.zeros(X.shape[1])
    for place, (query, code) in enumerate(zip(queries, codes)):
        squared = (query - X) ** 2
        distance = squared.sum(axis=1)
        if left_out:
            distance[place] = np.inf
        means, priors = {}, {}
        for other in np.unique(y):
            of_class = np.flatnonzero(y == other)
            nearest = of_class[np.argsort(distance[of_class])]
            nearest = nearest[: round(2.0 * np.sqrt(len(of_class)))]
            nearest = nearest[np.isfinite(distance[nearest])]
            means[other] = squared[nearest].mean(axis=0)
            priors[other] = len(of_class)
        n_others = sum(n for other, n in priors.items() if other != code)
        gain = -means[code]
        size = means[code].sum()
        for other, mean in means.items():
            if other != code:
                gain += priors[other] / n_others * mean
                size += priors[other] / n_others * mean.sum()
        total += gain / size
    total = np.maximum(total, 0.0)
    return total / total.sum()


def test_against_a_plain_loop():
    random = np.random.default_rng(0)
    y = random.integers(3, size=150)
    X = random.normal(size=(150, 4)) + np.stack([y, y == 1, 0 * y, 0 * y], axis=1)
    model = KNNGraphClassifier(inference="adaptive", metric="euclidean", random_state=0)
    model.fit(X, y)
    expected = by_hand(X, y, X, y, left_out=True)
    assert_allclose(model.feature_relevance_, expected, atol=1e-5)
    Z, z = X[:40] + 0.1, y[:40]
    expected = by_hand(X, y, Z, z, left_out=False)
    assert_allclose(feature_relevance(model, Z, z), expected, atol=1e-5)
    expected = by_hand(X, y, Z, model.predict(Z), left_out=False)
    assert_allclose(feature_relevance(model, Z), expected, atol=1e-5)


def test_far_rows_count_no_more_than_others():
    X, y, _ = made("linear")
    X[:5, 8] = 1e6 * np.arange(1, 6)
    model = KNNGraphClassifier(metric="euclidean", random_state=0).fit(X, y)
    assert model.feature_relevance_[8] < 0.1


@pytest.mark.parametrize("metric", [*METRICS, "cosine"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (2, 1), (9, 3), (60, 1000)])
def test_shapes_at_the_edge(metric, shape):
    X = np.random.default_rng(0).normal(size=shape)
    y = np.arange(len(X)) % 3
    model = KNNGraphClassifier(inference="adaptive", metric=metric, random_state=0)
    model.fit(X, y)
    for relevance in (model.feature_relevance_, feature_relevance(model, X, y)):
        assert relevance.shape == (shape[1],)
        assert_allclose(relevance.sum(), 1.0)


def test_where_no_column_tells_classes_apart_all_are_equal():
    X = np.ones((30, 4))
    model = KNNGraphClassifier(random_state=0).fit(X, np.arange(30) % 2)
    assert_array_equal(model.feature_relevance_, [0.25] * 4)
    X = np.random.default_rng(0).normal(size=(30, 4))
    model = KNNGraphClassifier(random_state=0).fit(X, ["one"] * 30)
    assert_array_equal(model.feature_relevance_, [0.25] * 4)


@pytest.mark.parametrize("metric", METRICS)
def test_constant_columns_and_copies(metric):
    X, y, _ = made("linear", n_rows=200)
    X[:, 5] = 3.0
    copies = np.concatenate([X, X, X[:20]])
    model = KNNGraphClassifier(inference="adaptive", metric=metric, random_state=0)
    model.fit(copies, np.r_[y, y, 1 - y[:20]])
    relevance = model.feature_relevance_
    assert relevance[5] == 0.0
    assert set(np.argsort(-relevance)[:2]) == {0, 1}


def test_sparse_rows_of_the_cosine():
    random = np.random.default_rng(0)
    y = random.integers(2, size=300)
    often = np.full((300, 50), 0.3)  # how often a word comes, one for either topic
    often[:, 7] += 3.0 * y
    often[:, 11] += 3.0 * (1 - y)
    dense = random.poisson(often).astype(np.float64)
    counts = sparse.csr_array(dense)
    model = KNNGraphClassifier(inference="adaptive", metric="cosine", random_state=0)
    model.fit(counts, y)
    assert set(np.argsort(-model.feature_relevance_)[:2]) == {7, 11}
    same = KNNGraphClassifier(inference="adaptive", metric="cosine", random_state=0)
    same.fit(dense, y)
    assert_array_equal(same.feature_relevance_, model.feature_relevance_)


def test_found_on_first_use_and_again_after_a_change():
    X, y, _ = made("linear", n_rows=200)
    model = KNNGraphClassifierCV(random_state=0).fit(X, y)
    assert "feature_relevance_" not in dir(model)
    first = model.feature_relevance_
    assert "feature_relevance_" in dir(model)
    assert model.feature_relevance_ is first
    model.partial_fit(X[:50] + 0.5, 1 - y[:50])
    assert not np.array_equal(model.feature_relevance_, first)


def test_what_is_refused():
    X, y, _ = made("linear", n_rows=60)
    with pytest.raises(NotFittedError):
        feature_relevance(KNNGraphClassifier(), X)
    model = KNNGraphClassifier(random_state=0).fit(X, y)
    with pytest.raises(ValueError, match="expecting 10 features"):
        feature_relevance(model, X[:, :3])
    for wrong in (y[:5], np.full(60, 7)):
        with pytest.raises(ValueError, match="y must hold a class of `classes_`"):
            feature_relevance(model, X, wrong)


@pytest.mark.parametrize("n_classes", [2, 3, 40])
def test_many_classes_and_missing_values(n_classes):
    random = np.random.default_rng(0)
    y = random.integers(n_classes, size=600)
    X = random.normal(size=(600, 6))
    X[:, 2] += 6.0 * y
    X[random.random(X.shape) < 0.2] = np.nan
    model = KNNGraphClassifier(inference="adaptive", metric="trees", random_state=0)
    model.fit(X, y)
    assert model.feature_relevance_.argmax() == 2
    assert feature_relevance(model, X[:50], y[:50]).argmax() == 2
