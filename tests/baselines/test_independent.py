"""Second routes to the same answers: other libraries and plain loops."""

import numpy as np
import pytest
from imblearn.under_sampling import EditedNearestNeighbours
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize
from sklearn.datasets import make_classification
from sklearn.linear_model import Lasso
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors

from knngraph import (
    CVKNNClassifier,
    ENNClassifier,
    HNSWKNNClassifier,
    KDTreeKNNClassifier,
    KStarNNClassifier,
    KTreeClassifier,
    OneStepKNNClassifier,
    OWAKNNClassifier,
    PLKNNClassifier,
    SubNNClassifier,
    XHMAKNNClassifier,
)
from knngraph.baselines._base import make_folds
from knngraph.baselines._neighbors import nearest, nearest_in_blocks, nearest_others
from knngraph.baselines._ordered_kernel import average_distances
from knngraph.baselines.k_star import optimal_weights
from knngraph.baselines.k_tree import feature_laplacian, reconstruct
from knngraph.baselines.one_step import fuzzy_memberships, solve_projection
from knngraph.baselines.ordered_weights import weight_table


def noisy_classes(n_samples: int, seed: int = 0, n_features: int = 5) -> tuple:
    return make_classification(
        n_samples,
        n_features,
        n_informative=n_features - 1,
        n_redundant=0,
        n_classes=3,
        n_clusters_per_class=1,
        flip_y=0.2,
        random_state=seed,
    )


def grid_points(n_samples: int, seed: int = 0) -> tuple:
    """Points of a small grid: many copies, many equal distances."""
    random = np.random.default_rng(seed)
    X = random.integers(0, 4, size=(n_samples, 3)).astype(np.float64)
    return X, random.integers(0, 3, size=n_samples)


def uncompiled(kernel):
    """The Python behind a compiled function, or itself where numba is off."""
    return getattr(kernel, "py_func", kernel)


@pytest.mark.parametrize("weights", ["uniform", "distance"])
@pytest.mark.parametrize("metric", ["euclidean", "manhattan"])
def test_cross_validated_k_is_that_of_grid_search(weights, metric):
    X, y = noisy_classes(240)
    queries = noisy_classes(400, seed=1)[0]
    folds = StratifiedKFold(5, shuffle=True, random_state=7)
    candidates = list(range(1, 21))
    search = GridSearchCV(
        KNeighborsClassifier(weights=weights, metric=metric, algorithm="brute"),
        {"n_neighbors": candidates},
        cv=folds,
    ).fit(X, y)
    model = CVKNNClassifier(
        k_candidates=candidates, cv=folds, weights=weights, metric=metric
    ).fit(X, y)
    assert model.best_k_ == search.best_params_["n_neighbors"]
    assert_allclose(model.cv_scores_, search.cv_results_["mean_test_score"])
    assert_array_equal(model.predict(queries), search.predict(queries))
    assert_allclose(model.predict_proba(queries), search.predict_proba(queries))


def test_leave_one_out_in_one_search_is_leave_one_out_in_many():
    X, y = noisy_classes(60)
    candidates = list(range(1, 16))
    at_once = CVKNNClassifier(k_candidates=candidates, cv="loo").fit(X, y)
    folds = [(np.delete(np.arange(60), i), np.array([i])) for i in range(60)]
    one_by_one = CVKNNClassifier(k_candidates=candidates, cv=folds).fit(X, y)
    assert_allclose(at_once.cv_scores_, one_by_one.cv_scores_)


@pytest.mark.parametrize("kind", ["mode", "all"])
@pytest.mark.parametrize("n_neighbors", [1, 3, 5])
def test_editing_keeps_the_rows_that_imbalanced_learn_keeps(kind, n_neighbors):
    X, y = noisy_classes(300)
    other = EditedNearestNeighbours(
        sampling_strategy="all", n_neighbors=n_neighbors, kind_sel=kind
    )
    other.fit_resample(X, y)
    model = ENNClassifier(n_neighbors_edit=n_neighbors, kind=kind, tie="smallest").fit(
        X, y
    )
    assert_array_equal(model.sample_indices_, np.sort(other.sample_indices_))


@pytest.mark.parametrize("weights", ["uniform", "distance"])
@pytest.mark.parametrize("metric", ["euclidean", "manhattan", "chebyshev"])
def test_tree_search_is_exhaustive_search(metric, weights):
    X, y = noisy_classes(300)
    queries = noisy_classes(300, seed=1)[0]
    brute = KNeighborsClassifier(7, weights=weights, metric=metric, algorithm="brute")
    model = KDTreeKNNClassifier(
        n_neighbors=7, leaf_size=5, weights=weights, metric=metric
    )
    assert_allclose(
        model.fit(X, y).predict_proba(queries), brute.fit(X, y).predict_proba(queries)
    )


@pytest.mark.parametrize("k", [1, 2, 5, 20])
def test_tree_search_keeps_the_order_of_equal_distances(k):
    X, y = grid_points(200)
    queries = np.vstack([X[:50], grid_points(50, seed=1)[0] + 0.5])
    model = KDTreeKNNClassifier(n_neighbors=k, leaf_size=3).fit(X, y)
    ids, _ = model._nearest(queries)
    assert_array_equal(ids, nearest(queries, X, k)[0])


def test_wide_beam_finds_the_exact_neighbors():
    X, y = noisy_classes(400)
    queries = noisy_classes(300, seed=1)[0]
    brute = KNeighborsClassifier(9, algorithm="brute").fit(X, y)
    model = HNSWKNNClassifier(n_neighbors=9, ef=400, random_state=0).fit(X, y)
    assert_allclose(model.predict_proba(queries), brute.predict_proba(queries))


def test_copies_vote_as_the_rows_they_are():
    X, y = noisy_classes(100)
    copies = np.random.default_rng(0).integers(0, 100, size=250)
    X, y = X[copies], np.random.default_rng(1).permutation(y[copies])
    queries = noisy_classes(300, seed=1)[0]
    exact = KDTreeKNNClassifier(n_neighbors=8).fit(X, y)
    model = HNSWKNNClassifier(n_neighbors=8, ef=250, random_state=0).fit(X, y)
    assert_allclose(model.predict_proba(queries), exact.predict_proba(queries))


def test_cosine_neighbors():
    X, y = noisy_classes(300)
    queries = noisy_classes(300, seed=1)[0]
    brute = KNeighborsClassifier(5, metric="cosine", algorithm="brute").fit(X, y)
    model = HNSWKNNClassifier(metric="cosine", ef=300, random_state=0).fit(X, y)
    assert_allclose(model.predict_proba(queries), brute.predict_proba(queries))


def test_neighbors_of_a_row_leave_out_the_row_and_not_its_copies():
    X, _ = grid_points(80)
    ids, gaps = nearest_others(X, 6)
    squared = ((X[:, None] - X[None]) ** 2).sum(axis=2)
    for i, row in enumerate(squared):
        others = [j for j in np.lexsort((np.arange(80), row)) if j != i][:6]
        assert_array_equal(ids[i], others)
        assert_allclose(gaps[i], np.sqrt(row[others]))


def test_blocks_are_invisible():
    X, _ = noisy_classes(700)
    whole = nearest(X, X[:90], 4)
    for part, expected in zip(nearest_in_blocks(X, X[:90], 4, n_threads=3), whole):
        assert_array_equal(part, expected)


@pytest.mark.parametrize("metric", ["manhattan", "euclidean"])
def test_parameterless_vote_by_a_plain_loop(metric):
    X, y = noisy_classes(150)
    queries = noisy_classes(100, seed=1)[0]
    model = PLKNNClassifier(metric=metric).fit(X, y)
    order = 1 if metric == "manhattan" else 2
    centers = [np.median(X[y == c], axis=0) for c in range(3)]
    weights = [1 / (np.linalg.norm(x - centers[c]) + 1e-4) for x, c in zip(X, y)]
    for query, shares in zip(queries, model.predict_proba(queries)):
        gaps = [np.linalg.norm(query - center, order) for center in centers]
        ahead = centers[np.argmin(gaps)] - query
        scores = np.zeros(3)
        for x, c, w in zip(X, y, weights):
            gap = np.linalg.norm(query - x, order)
            if gap <= min(gaps) and ahead @ (x - query) >= 0:
                scores[c] += w / gap
        if not scores.any():
            scores[np.argmin(gaps)] = 1.0
        assert_allclose(shares, scores / scores.sum())


@pytest.mark.parametrize("alpha", [0.5, 1.0, 2.0])
def test_ordered_averages_by_sorting_again_for_each_length(alpha):
    X, y = noisy_classes(60)
    queries = noisy_classes(20, seed=1)[0]
    model = OWAKNNClassifier(n_neighbors=7, alpha=alpha, m=1.5).fit(X, y)
    for query, found in zip(queries, model.decision_distances(queries)):
        for c in range(3):
            rows = X[y == c]
            rows = rows[np.argsort(((rows - query) ** 2).sum(axis=1))[:7]]
            k = len(rows)
            total = 0.0
            for j in range(1, k + 1):
                descending = -np.sort(-rows[:j], axis=0)
                steps = np.diff((np.arange(j + 1) / j) ** alpha)
                outer = (j / k) ** alpha - ((j - 1) / k) ** alpha
                total += outer * ((query - steps @ descending) ** 2).sum()
            assert_allclose(found[c], total)
    distances = model.decision_distances(queries)
    shares = distances**-2.0
    assert_allclose(
        model.predict_proba(queries), shares / shares.sum(axis=1, keepdims=True)
    )


def test_ordered_kernel_without_compilation():
    X, _ = noisy_classes(30)
    ids = nearest(X[:4], X, 6)[0]
    arguments = (X[:4], X, ids, weight_table(6, 0.5))
    assert_allclose(
        average_distances(*arguments), uncompiled(average_distances)(*arguments)
    )


@pytest.mark.parametrize("rescale", [None, "minmax"])
@pytest.mark.parametrize(("threshold", "weight"), [(0.01, 0.5), (20.0, 0.3), (5, 1.0)])
def test_growth_by_a_plain_loop(threshold, weight, rescale):
    X, y = noisy_classes(90)
    queries = noisy_classes(60, seed=1)[0]
    model = XHMAKNNClassifier(threshold=threshold, weight=weight, rescale=rescale)
    model.fit(X, y)
    shares, used = model.predict_proba(queries), model.n_neighbors_used(queries)
    for i, query in enumerate(queries):
        gaps = np.sqrt(((X - query) ** 2).sum(axis=1))
        order = np.argsort(gaps, kind="stable")
        k = 3
        while True:
            near, labels = gaps[order[:k]], y[order[:k]]
            if rescale:
                near = 1 / k + (1 - 1 / k) * (near - near[0]) / (near[-1] - near[0])
            means = {
                c: 1.0
                / (
                    weight * (labels == c).sum()
                    + (1 - weight) / near[labels == c].mean()
                )
                for c in set(labels)
            }
            best = sorted(means.values())
            if len(best) == 1 or k == 28:
                break
            if 100 * (best[1] - best[0]) / best[0] >= threshold:
                break
            k += 1
        assert used[i] == k
        scores = np.array([1 / means[c] if c in means else 0.0 for c in range(3)])
        assert_allclose(shares[i], scores / scores.sum())


@pytest.mark.parametrize("rho2", [0.0, 0.05])
@pytest.mark.parametrize(("n_samples", "n_features"), [(40, 3), (25, 30), (60, 1)])
def test_mixes_meet_the_optimality_conditions(n_samples, n_features, rho2):
    X = np.random.default_rng(0).normal(size=(n_samples, n_features))
    laplacian = feature_laplacian(X, 5, 1.0)
    rho1 = 0.3
    mixes, n_steps = reconstruct(
        X,
        rho1,
        rho2,
        laplacian,
        exclude_self=True,
        max_iter=1000,
        tol=1e-6,
        n_threads=2,
    )
    assert n_steps.max() < 200
    W, inner = mixes.toarray(), X @ X.T
    curved = X @ (np.eye(n_features) + rho2 * laplacian) @ X.T
    slopes = 2 * inner - 2 * curved @ W - rho1
    np.fill_diagonal(slopes, -1.0)
    scale = np.sqrt(np.outer(np.diag(curved), np.diag(inner)))
    assert (W >= 0.0).all()
    assert (np.diag(W) == 0.0).all()
    assert (slopes / scale).max() < 1e-5
    assert_allclose((slopes / scale)[W > 0.0], 0.0, atol=1e-5)


def test_penalties_are_shares_of_the_one_that_leaves_no_neighbor():
    X, y = noisy_classes(40)
    inner = X @ X.T
    limit = 2 * inner[~np.eye(40, dtype=bool)].max()
    assert_allclose(KTreeClassifier().fit(X, y).rho1_, 0.1 * limit)
    tuned = KTreeClassifier(rho1="cv", random_state=0).fit(X, y).rho1_ / limit
    assert np.abs(tuned - np.array([0.01, 0.03, 0.1, 0.3])).min() < 1e-9
    assert KTreeClassifier(rho1=limit).fit(X, y).reconstruction_.nnz == 0
    assert KTreeClassifier(rho1=0.99 * limit).fit(X, y).reconstruction_.nnz > 0


def test_mixes_are_those_of_a_positive_lasso():
    X = np.random.default_rng(1).normal(size=(15, 20))
    model = KTreeClassifier(rho1=2.0).fit(X, np.arange(15) % 2)
    W = model.reconstruction_.toarray()
    for i in range(15):
        others = np.delete(np.arange(15), i)
        lasso = Lasso(
            alpha=2.0 / (2 * 20), positive=True, fit_intercept=False, tol=1e-12
        ).fit(X[others].T, X[i])
        assert_allclose(W[others, i], lasso.coef_, atol=1e-6)
        assert model.k_train_[i] == max(1, np.count_nonzero(lasso.coef_))


def test_compiled_mixes_without_compilation():
    from knngraph.baselines._reconstruction_kernel import solve_mixes

    X = np.random.default_rng(0).normal(size=(12, 3))
    found = []
    for solve in (solve_mixes, uncompiled(solve_mixes)):
        mixes, n_steps = np.zeros((7, 12)), np.empty(7, dtype=np.intp)
        solve(X @ X.T, X @ X.T, 2, 0.1, True, 100, 1e-6, mixes, n_steps)
        found.append((mixes, n_steps))
    (compiled, its_steps), (plain, plain_steps) = found
    assert np.count_nonzero(compiled) > 7
    assert_allclose(compiled, plain, atol=1e-9)
    assert_array_equal(its_steps, plain_steps)


@pytest.mark.parametrize("n", [1, 2, 5, 20])
def test_elimination_is_that_of_lapack(n):
    from knngraph.baselines._reconstruction_kernel import eliminate

    random = np.random.default_rng(n)
    # The first pivots are small, so that rows must change places.
    system = random.normal(size=(n, n)) + np.diag(np.linspace(-1e-9, 1.0, n))
    target = random.normal(size=n)
    solution = target.copy()
    eliminate(n, system.copy(), solution)
    assert_allclose(solution, np.linalg.solve(system, target), rtol=1e-8)


def test_elimination_leaves_out_what_is_not_determined():
    from knngraph.baselines._reconstruction_kernel import eliminate

    target = np.array([2.0, 2.0])
    eliminate(2, np.ones((2, 2)), target)
    assert target.tolist() == [2.0, 0.0]


@pytest.mark.parametrize("shape", [(30, 4), (10, 25), (8, 8)])
def test_one_step_by_the_large_system(shape):
    random = np.random.default_rng(0)
    X, penalties = random.normal(size=shape), random.uniform(0.5, 2.0, size=shape[0])
    expected = np.linalg.solve(X @ X.T + np.diag(penalties), X)
    assert_allclose(solve_projection(X, penalties), expected, atol=1e-12)


def test_one_step_scores_by_a_plain_loop():
    X, y = noisy_classes(80)
    queries = noisy_classes(30, seed=1)[0]
    model = OneStepKNNClassifier(random_state=0).fit(X, y)
    assert_array_equal(model.group_sizes_, (model.memberships_ > 0.01).sum(axis=0))
    for query, shares in zip(queries, model.predict_proba(queries)):
        weights = model.projection_ @ query
        weights[weights < weights.mean()] = 0.0
        sums = np.array([weights[y == c].sum() for c in range(3)])
        assert_allclose(shares, np.maximum(sums, 0) / np.maximum(sums, 0).sum())


def test_fuzzy_groups_find_two_clusters():
    random = np.random.default_rng(0)
    X = np.vstack([random.normal(0, 0.1, (20, 2)), random.normal(5, 0.1, (20, 2))])
    memberships = fuzzy_memberships(X, 2, np.random.RandomState(0))
    assert_allclose(memberships.sum(axis=1), 1.0)
    first = memberships[0].argmax()
    assert (memberships[:20, first] > 0.99).all()
    assert (memberships[20:, first] < 0.01).all()


def test_stored_labels_by_two_plain_classifiers():
    X, y = noisy_classes(200)
    queries = noisy_classes(100, seed=1)[0]
    model = SubNNClassifier(n_estimators=4, max_samples=60, random_state=0).fit(X, y)
    denoised = KNeighborsClassifier(5, algorithm="brute").fit(X, y).predict_proba(X)
    expected = np.zeros((100, 3))
    for sample in model.estimators_samples_:
        search = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(X[sample])
        first = search.kneighbors(queries, return_distance=False)[:, 0]
        expected += denoised[sample][first] / 4
    assert_allclose(model.predict_proba(queries), expected, atol=1e-12)


def test_weights_of_k_star_minimize_what_they_should():
    random = np.random.default_rng(0)
    for _ in range(5):
        costs = np.sort(random.uniform(0, 2, size=6))
        weights = optimal_weights(costs[None])[0]
        best = minimize(
            lambda a, costs=costs: np.linalg.norm(a) + a @ costs,
            np.full(6, 1 / 6),
            bounds=[(0, 1)] * 6,
            constraints={"type": "eq", "fun": lambda a: a.sum() - 1},
            options={"ftol": 1e-14},
        )
        assert np.linalg.norm(weights) + weights @ costs <= best.fun + 1e-9
        assert_allclose(weights.sum(), 1.0)


def test_far_data_keep_the_weights_of_k_star():
    costs = np.array([[0.1, 0.3, 0.4, 2.0]])
    assert_allclose(optimal_weights(costs + 1e6), optimal_weights(costs), atol=1e-8)


@pytest.mark.parametrize(
    ("kind", "grid"),
    [
        (KStarNNClassifier, {"smoothness": [1.0, 0.1, 0.5, 5.0, 10.0, 20.0]}),
        (
            OWAKNNClassifier,
            {"alpha": [0.5, 0.25, 1.0, 2.0], "n_neighbors": [10, 1, 3, 5, 15, 20]},
        ),
        (
            XHMAKNNClassifier,
            {
                "threshold": [1.0, 0.01, 0.1, 5.0, 10.0],
                "weight": [0.5, 0.1, 0.3, 0.7, 0.9],
            },
        ),
        (OneStepKNNClassifier, {"alpha": [1.0, 0.001, 0.01, 0.1, 10.0, 100.0, 1000.0]}),
        (KTreeClassifier, {"rho2": [0.0, 0.001, 0.01, 0.1]}),
    ],
)
def test_tuned_settings_are_those_of_grid_search(kind, grid):
    X, y = noisy_classes(90)
    model = kind(**dict.fromkeys(grid, "cv"), random_state=0).fit(X, y)
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    search = GridSearchCV(kind(random_state=0), grid, cv=folds).fit(X, y)
    for name, value in search.best_params_.items():
        assert getattr(model, f"{name}_") == value
    assert_array_equal(model.predict_proba(X), search.predict_proba(X))


@pytest.mark.parametrize(
    ("cv", "counts", "n_folds"),
    [
        (5, (20, 20), 5),
        (None, (20, 20), 5),
        (5, (20, 2), 5),
        (5, (4, 4), 8),
        ("loo", (6, 6), 12),
        (3, (1, 0), 0),
    ],
)
def test_folds(cv, counts, n_folds):
    codes = np.repeat([0, 1], counts)
    X = np.zeros((codes.size, 1))
    folds = make_folds(X, codes, cv, random_state=0)
    assert len(folds) == n_folds
    tested = np.concatenate([test for _, test in folds]) if folds else np.arange(1)
    assert_array_equal(np.sort(tested), np.arange(codes.size))
    if counts == (20, 20):
        assert all(np.bincount(codes[test]).tolist() == [4, 4] for _, test in folds)
