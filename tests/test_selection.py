"""The classifier that chooses its own settings."""

import pickle
from itertools import product

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import make_moons
from sklearn.model_selection import cross_val_score

import knngraph.graph.stored_left_out as stored_left_out
import knngraph.inference.leave_one_out as grid
import knngraph.selection as selection
from knngraph import KNNGraphClassifier, KNNGraphClassifierCV
from knngraph.inference.comparison import Comparison

# How well greedy searches do on these few rows is not the question here.
pytestmark = pytest.mark.filterwarnings(
    "ignore::knngraph.exceptions.LookupAgreementWarning"
)

QUERY_KEYS = [
    "max_neighbors",
    "query_bandwidth",
    "query_nugget",
    "query_penalty",
]
STORED_KEYS = ["label_weight", "penalty_max", "penalty_min", "self_weight"]


def moons(seed, n=400):
    return make_moons(n, noise=0.15, random_state=seed)


@pytest.fixture(scope="module")
def noisy_moons():
    """Two moons, a fifth of the labels turned over."""
    X, y = moons(0)
    flipped = np.random.default_rng(0).random(len(y)) < 0.2
    return X, np.where(flipped, 1 - y, y)


def with_copies(X, y):
    """Copies of the first rows, some of them with another label."""
    return np.concatenate([X, X[:60]]), np.concatenate([y, y[:40], 1 - y[40:60]])


@pytest.mark.parametrize("metric", ["euclidean", "learned"])
@pytest.mark.parametrize("inference", ["adaptive", "cascade"])
@pytest.mark.parametrize(
    ("copies", "vote"), [(False, "labels"), (True, "labels"), (True, "reliability")]
)
def test_the_best_score_is_that_of_the_settings(
    copies, vote, inference, metric, noisy_moons
):
    X, y = with_copies(*noisy_moons) if copies else noisy_moons
    chosen = KNNGraphClassifierCV(
        inference=inference,
        metric=metric,
        neighbor_counts=(10, 32),
        bandwidth_factors=(0.5, 1.0),
        vote=vote,
        random_state=0,
    ).fit(X, y)
    assert sorted(chosen.best_params_) == QUERY_KEYS
    plain = KNNGraphClassifier(
        inference=inference,
        metric=metric,
        vote=vote,
        random_state=0,
        **chosen.best_params_,
    ).fit(X, y)
    assert chosen.loo_score_ == plain.loo_score_ >= chosen.best_score_
    if vote == "labels":
        assert chosen.loo_score_ == chosen.best_score_
    assert chosen.query_bandwidth_ == chosen.best_params_["query_bandwidth"]
    queries = X + 0.01
    assert_array_equal(chosen.predict_proba(queries), plain.predict_proba(queries))
    assert chosen.ef_ == plain.ef_


def test_every_score_is_a_leave_one_out_score(noisy_moons):
    X, y = noisy_moons
    chosen = KNNGraphClassifierCV(
        metric="euclidean",
        neighbor_counts=(5, 20),
        query_nuggets=(0.1, 3.0),
        random_state=0,
    ).fit(X, y)
    for params, score in zip(
        chosen.cv_results_["params"], chosen.cv_results_["mean_test_score"]
    ):
        plain = KNNGraphClassifier(
            metric="euclidean", vote="labels", random_state=0, **params
        ).fit(X, y)
        assert plain.loo_score_ == score


def test_results_of_the_grid(noisy_moons):
    chosen = KNNGraphClassifierCV(
        neighbor_counts=[8, 16],
        query_nuggets=np.array([0.1, 1.0]),
        query_penalties=(0.0, 0.02),
        bandwidth_factors=[0.5, 1, 2],
        metric="euclidean",
        random_state=0,
    ).fit(*noisy_moons)
    results = chosen.cv_results_
    assert sorted(results) == ["mean_test_score", "params", "rank_test_score"]
    params, scores = results["params"], results["mean_test_score"]
    assert len(params) == len(scores) == 24
    assert_array_equal(np.sort(results["rank_test_score"]), np.arange(1, 25))
    best = int(np.argmin(results["rank_test_score"]))
    assert chosen.best_params_ is params[best]
    assert chosen.best_score_ == scores[best] == scores.max()
    # Ranks never contradict scores.
    assert (np.diff(scores[np.argsort(results["rank_test_score"])]) <= 0).all()
    taken = {
        (p["max_neighbors"], p["query_nugget"], p["query_penalty"]) for p in params
    }
    assert taken == set(product([8, 16], [0.1, 1.0], [0.0, 0.02]))
    widths = sorted({p["query_bandwidth"] for p in params if p["max_neighbors"] == 8})
    assert_allclose(np.divide(widths, widths[0]), [1.0, 2.0, 4.0])


def test_results_of_the_stored_grid(noisy_moons):
    chosen = KNNGraphClassifierCV(
        inference="lookup", metric="euclidean", random_state=0
    ).fit(*noisy_moons)
    assert sorted(chosen.best_params_) == STORED_KEYS
    results = chosen.cv_results_
    taken = [tuple(p[key] for key in STORED_KEYS) for p in results["params"]]
    expected = {
        (label_weight, high, low, self_weight)
        for label_weight, (low, high), self_weight in product(
            (0.0, 0.1, 0.3), ((0.1, 0.5), (0.02, 0.1)), (0.5, 1.0, 2.0)
        )
    }
    assert len(taken) == 18
    assert set(taken) == expected
    assert chosen.best_score_ == results["mean_test_score"].max()
    # The graph is learned with what was chosen.
    plain = KNNGraphClassifier(
        metric="euclidean", random_state=0, **chosen.best_params_
    ).fit(*noisy_moons)
    assert_array_equal(chosen.graph_.toarray(), plain.graph_.toarray())
    assert_array_equal(chosen.labels_, plain.labels_)


def test_stored_scores_are_close_to_honest_ones(noisy_moons):
    X, y = (part[:80] for part in noisy_moons)
    params = {"label_weight": 0.0, "self_weight": 0.5}
    chosen = KNNGraphClassifierCV(
        inference="lookup",
        metric="euclidean",
        label_weights=[0.0],
        self_weights=[0.5],
        penalty_ranges=[(0.1, 0.5)],
        random_state=0,
    ).fit(X, y)
    hits, leaked = 0, 0
    for row in range(80):
        rest = np.arange(80) != row
        honest = KNNGraphClassifier(metric="euclidean", ef=80, random_state=0, **params)
        honest.fit(X[rest], y[rest])
        hits += honest.predict(X[row : row + 1])[0] == y[row]
    # Bandwidth, density and which candidates are listed know the row still.
    assert abs(chosen.best_score_ - hits / 80) < 0.04
    # The stored labels of the nearest other rows have had the vote of the row.
    squared = ((X[:, None] - X[None]) ** 2).sum(axis=2)
    np.fill_diagonal(squared, np.inf)
    leaked = (chosen.labels_[squared.argmin(axis=1)] == y).mean()
    assert leaked > hits / 80 + 0.02


@pytest.mark.parametrize("seed", [0, 1])
def test_noise_asks_for_a_larger_nugget(seed):
    X, y = moons(seed)
    flipped = np.random.default_rng(seed).random(len(y)) < 0.2
    nuggets = [
        KNNGraphClassifierCV(metric="euclidean", random_state=0)
        .fit(X, labels)
        .best_params_["query_nugget"]
        for labels in (y, np.where(flipped, 1 - y, y))
    ]
    # Measured: 0.1 and 3.0 with both seeds.
    assert nuggets[1] > nuggets[0]


def test_lookup_with_noise_beats_the_published_settings(noisy_moons):
    X_test, y_test = moons(100, 1000)
    settings = {"ef": 32, "metric": "euclidean", "random_state": 0}
    chosen = KNNGraphClassifierCV(inference="lookup", **settings).fit(*noisy_moons)
    plain = KNNGraphClassifier(**settings).fit(*noisy_moons)
    # Measured: 0.89 and 0.81.
    assert chosen.score(X_test, y_test) > plain.score(X_test, y_test) + 0.05
    adaptive = KNNGraphClassifierCV(metric="euclidean", random_state=0)
    # Measured: 0.99.
    assert adaptive.fit(*noisy_moons).score(X_test, y_test) > 0.96


@pytest.mark.parametrize("inference", ["adaptive", "lookup"])
def test_threads_change_nothing(inference, noisy_moons, monkeypatch):
    monkeypatch.setattr(grid, "_QUERIES_PER_CHUNK", 50)
    monkeypatch.setattr(stored_left_out, "_ROWS_PER_CHUNK", 50)
    X, y = with_copies(*noisy_moons)
    one, other = (
        KNNGraphClassifierCV(inference=inference, n_jobs=n, random_state=0).fit(X, y)
        for n in (1, 3)
    )
    assert other.best_params_ == one.best_params_
    assert other.metric_ == one.metric_
    assert other.metric_scores_ == one.metric_scores_
    for name in ("mean_test_score", "rank_test_score"):
        assert_array_equal(other.cv_results_[name], one.cv_results_[name])
    assert_array_equal(other.predict_proba(X), one.predict_proba(X))


@pytest.mark.parametrize("inference", ["adaptive", "lookup"])
def test_permuting_rows_changes_nothing(inference, noisy_moons, random):
    X, y = with_copies(*noisy_moons)
    order = random.permutation(len(y))
    model = KNNGraphClassifierCV(inference=inference, max_rows=150, random_state=0)
    one, other = model.fit(X, y), clone(model).fit(X[order], y[order])
    assert other.best_params_ == one.best_params_
    assert other.metric_scores_ == one.metric_scores_
    assert other.best_score_ == one.best_score_


def test_equal_scores_go_to_the_surer_vote_and_then_by_order(monkeypatch):
    right = np.array([[1, 1, 0], [0, 1, 1], [1, 1, 0], [1, 0, 0]], dtype=bool)
    share = np.array([0.5, 0.6, 0.6, 0.9])[:, None] * np.ones(3)
    monkeypatch.setattr(selection, "leave_one_out_grid", lambda *a, **k: (right, share))
    model = KNNGraphClassifierCV(neighbor_counts=[2], metric="euclidean")
    model.fit([[0.0], [1.0], [3.0]], [0, 1, 1])
    assert model.cv_results_["rank_test_score"].tolist() == [3, 1, 2, 4]
    assert_allclose(model.cv_results_["mean_test_score"], [2 / 3, 2 / 3, 2 / 3, 1 / 3])
    assert model.best_params_["query_nugget"] == 0.3


def test_settings_may_be_compared_on_a_sample(noisy_moons):
    X, y = noisy_moons
    fits = {
        n: KNNGraphClassifierCV(metric="euclidean", max_rows=n, random_state=0).fit(
            X, y
        )
        for n in (50, 400, 10**6)
    }
    scores = {n: f.cv_results_["mean_test_score"] for n, f in fits.items()}
    assert_array_equal(scores[400], scores[10**6])
    assert not np.array_equal(scores[50], scores[400])
    # Of 50 rows.
    assert_allclose(scores[50] * 50, np.round(scores[50] * 50), atol=1e-9)


def test_copies_count_as_often_as_they_come(noisy_moons):
    X, y = noisy_moons
    X, y = (
        np.concatenate([X, X[:1].repeat(400, axis=0)]),
        np.append(y, y[:1].repeat(400)),
    )
    model = KNNGraphClassifierCV(metric="euclidean", random_state=0).fit(X, y)
    assert model.best_score_ > 0.85


@pytest.mark.parametrize("inference", ["adaptive", "cascade", "lookup"])
def test_the_other_inferences_read_the_same_fit(inference, noisy_moons):
    X, y = noisy_moons
    model = KNNGraphClassifierCV(inference=inference, random_state=0).fit(X, y)
    for other in ("lookup", "adaptive", "cascade"):
        model.set_params(inference=other)
        shares = model.predict_proba(X)
        assert_allclose(shares.sum(axis=1), 1.0)
        assert_array_equal(model.classes_[shares.argmax(axis=1)], model.predict(X))
        assert model.inference_report(X)["inference"] == other


def test_fitting_again_forgets_the_settings(noisy_moons):
    X, y = noisy_moons
    model = KNNGraphClassifierCV(random_state=0, metric="euclidean").fit(X, y)
    model.set_params(inference="lookup").fit(X, y)
    assert sorted(model.best_params_) == STORED_KEYS
    fresh = clone(model).fit(X, y)
    assert fresh.best_params_ == model.best_params_
    assert fresh.query_bandwidth_ == model.query_bandwidth_
    assert_array_equal(fresh.predict_proba(X), model.predict_proba(X))


def test_cross_validation_clone_and_pickle(noisy_moons):
    X, y = noisy_moons
    model = KNNGraphClassifierCV(query_nuggets=(1.0, 3.0), random_state=0)
    scores = cross_val_score(model, X, y, cv=3)
    # At most 0.8 of these labels can be right.
    assert 0.65 < scores.mean() < 0.85
    model.fit(X, y)
    copied = clone(model)
    assert copied.get_params() == model.get_params()
    assert not hasattr(copied, "best_params_")
    loaded = pickle.loads(pickle.dumps(model))
    assert loaded.best_params_ == model.best_params_
    assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))


def test_a_metric_is_chosen_before_the_settings(random):
    X = random.normal(size=(300, 12))
    y = (X[:, 0] + X[:, 5] > 0).astype(int)
    model = KNNGraphClassifierCV(random_state=0).fit(X, y)
    assert model.metric_ == "learned"
    kept = KNNGraphClassifierCV(metric="euclidean", random_state=0).fit(X, y)
    # Measured: 0.963 and 0.913.
    assert model.best_score_ > kept.best_score_ + 0.03


@pytest.mark.parametrize("inference", ["adaptive", "lookup"])
@pytest.mark.parametrize("metric", ["euclidean", "learned", "trees", "auto"])
def test_no_metric_finds_anything_in_noise(metric, inference, random):
    X, y = random.normal(size=(300, 10)), random.integers(2, size=300)
    model = KNNGraphClassifierCV(inference=inference, metric=metric, random_state=0)
    model.fit(X, y)
    assert len(model.metric_scores_) == (2 if metric == "auto" else 1)
    assert model.metric_scores_[model.metric_] == model.best_score_
    # Chance, four standard errors, and the best of several settings.
    assert max(model.metric_scores_.values()) < 0.5 + 4 * 0.5 / np.sqrt(300)


def boxes(X):
    """XOR of two columns, the others are of no use."""
    return ((X[:, 0] > 0) ^ (X[:, 1] > 0)).astype(int)


def rules(X):
    """A tree: which column counts is told by another one."""
    return np.where(X[:, 2] > 0, X[:, 0] > 0.7, X[:, 1] > -0.5).astype(int)


def rotated(X):
    """Which side of a plane that is along no column."""
    return (X @ np.cos(np.arange(X.shape[1])) > 0).astype(int)


@pytest.mark.parametrize("inference", ["adaptive", "lookup"])
@pytest.mark.parametrize(
    ("problem", "won"),
    [
        (boxes, {"learned", "trees", "trees, learned"}),
        (rules, {"trees", "trees, learned"}),
        (rotated, {"learned"}),
    ],
)
def test_the_map_that_suits_the_problem_wins(problem, won, inference, random):
    X, X_test = random.normal(size=(2, 800, 12))
    y = problem(X)
    models = {
        metric: KNNGraphClassifierCV(
            inference=inference, metric=metric, ef=32, random_state=0
        ).fit(X, y)
        for metric in ("auto", "euclidean")
    }
    model = models["auto"]
    assert model.metric_ in won
    # The simpler one is kept where the lead is small.
    assert model.best_score_ > max(model.metric_scores_.values()) - 0.01
    accuracy = {m: f.score(X_test, problem(X_test)) for m, f in models.items()}
    assert accuracy["auto"] > accuracy["euclidean"] + 0.03
    # Four standard errors.
    assert abs(accuracy["auto"] - model.best_score_) < 4 * 0.5 / np.sqrt(800)


@pytest.mark.parametrize(
    ("n_wrong", "leads"), [(200, False), (189, False), (180, True)]
)
def test_a_map_must_lead_by_a_share_of_the_errors(n_wrong, leads):
    def answers(n):
        right = np.arange(1000)[None] >= n
        return Comparison([{}], right, right * 1.0, np.full(1000, 2.0))

    # Needed: half of sqrt(n) rows that differ, and ten, a twentieth of 200.
    assert answers(n_wrong).leads(answers(200)) is leads


def test_settings_of_a_metric_are_the_same_beside_another(noisy_moons):
    fits = {
        metric: KNNGraphClassifierCV(metric=metric, random_state=0).fit(*noisy_moons)
        for metric in ("auto", "euclidean", "trees")
    }
    model = fits["auto"]
    assert model.metric_ == "euclidean"
    alone = fits["euclidean"].metric_scores_ | fits["trees"].metric_scores_
    assert model.metric_scores_ == alone
    assert model.best_params_ == fits["euclidean"].best_params_
    assert_array_equal(
        model.predict_proba(noisy_moons[0]),
        fits["euclidean"].predict_proba(noisy_moons[0]),
    )


def test_maps_are_compared_on_rows_that_no_map_has_seen(random, monkeypatch):
    compared = []
    original = selection.rows_to_compare

    def watched(candidates, limit):
        rows = original(candidates, limit)
        compared.append((candidates, rows))
        return rows

    monkeypatch.setattr(selection, "rows_to_compare", watched)
    X = random.normal(size=(2700, 8)).round(2)
    X = np.concatenate([X, X[:50]])
    model = KNNGraphClassifierCV(neighbor_counts=[8], query_nuggets=[0.1])
    model.fit(X, rotated(X))
    ((candidates, rows),) = compared
    assert "learned" in model.metric_scores_
    assert len(rows) == 2700 - 1500  # without the rows that the maps are learned from
    for training, honest in candidates:
        pairs = training.pair_of_row[rows]
        assert np.isin(pairs, honest).all()
        assert len(np.unique(pairs)) == len(rows)


@pytest.mark.parametrize("inference", ["adaptive", "cascade", "lookup"])
@pytest.mark.parametrize("n_rows", [1, 2, 3, 5])
def test_very_few_rows(n_rows, inference):
    X, y = np.arange(2.0 * n_rows).reshape(n_rows, 2), np.arange(n_rows) % 2
    model = KNNGraphClassifierCV(inference=inference).fit(X, y)
    assert 0.0 <= model.best_score_ <= 1.0
    assert model.predict(X).shape == (n_rows,)


GRIDS = {
    "neighbor_counts": [0, 2.5, "32", None],
    "query_nuggets": [-0.1, np.inf, np.nan, "a"],
    "query_penalties": [1.0, -0.1, np.nan, None],
    "bandwidth_factors": [0.0, -1.0, np.inf],
    "label_weights": [1.1, -0.1],
    "self_weights": [-1.0, np.inf],
    "penalty_ranges": [0.1, (0.1,), (0.5, 0.1), (0.1, 1.0), (0.1, 0.2, 0.3), (0, "a")],
}


@pytest.mark.parametrize(
    ("name", "bad"), [(name, bad) for name, values in GRIDS.items() for bad in values]
)
@pytest.mark.parametrize("inference", ["adaptive", "lookup"])
def test_a_bad_value_is_named(inference, name, bad, noisy_moons):
    good = getattr(KNNGraphClassifierCV(), name)
    model = KNNGraphClassifierCV(inference=inference, **{name: [*good, bad]})
    with pytest.raises(ValueError, match=name) as error:
        model.fit(*noisy_moons)
    assert repr(bad) in str(error.value) or repr(bad[-1]) in str(error.value)


@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize("bad", [(), 0.1, "some", None], ids=repr)
def test_a_grid_that_is_none_is_named(name, bad, noisy_moons):
    with pytest.raises(ValueError, match=name):
        KNNGraphClassifierCV(**{name: bad}).fit(*noisy_moons)
