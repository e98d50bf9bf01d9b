"""Distances to the nearest training row, compared with those of left-out rows."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.spatial.distance import cdist
from sklearn.datasets import make_blobs
from sklearn.exceptions import NotFittedError
from sklearn.metrics import roc_auc_score

from knngraph import KNNGraphClassifier, KNNGraphWarning, Predictor, load_predictor
from knngraph.exceptions import SavedModelError
from knngraph.graph.neighbors import nearest_others
from knngraph.graph.training_set import build_training_set, random_pairs
from knngraph.index.exact import ExactIndex
from knngraph.index.recall import EF_GRID
from knngraph.inference import novelty as novelty_module
from knngraph.inference.novelty import (
    Novelty,
    calibrate_novelty,
    novelty_from_distances,
)
from knngraph.serving.predictor_state import checked_state

INFERENCES = ("lookup", "adaptive", "cascade")
_LOST = pytest.mark.filterwarnings("ignore::knngraph.exceptions.LookupAgreementWarning")


def rows_with_copies():
    """Two overlapping classes, some rows twice, of which some have both labels."""
    random = np.random.default_rng(0)
    X = random.normal(size=(150, 3))
    y = (X[:, 0] + random.normal(size=150) > 0).astype(int)
    X[100:120], y[100:110] = X[:20], 1 - y[:10]
    return X, y


def classifier(**settings):
    settings = {"metric": "euclidean", "inference": "adaptive"} | settings
    return KNNGraphClassifier(random_state=0, **settings)


@pytest.fixture(scope="module")
def blobs():
    """A classifier on half of many rows, the others, and rows from elsewhere."""
    X, y = make_blobs(4000, n_features=6, centers=5, cluster_std=3.0, random_state=0)
    model = classifier(inference="cascade").fit(X[:2000], y[:2000])
    far = X[2000:].mean(axis=0) + np.random.default_rng(1).normal(size=(200, 6)) + 30.0
    return model, X[2000:], far


def test_scores_and_pvalues_by_brute_force():
    X, y = rows_with_copies()
    queries = np.random.default_rng(1).normal(size=(40, 3)) * 2.0
    model = classifier().fit(X, y)
    apart = cdist(X, X)
    np.fill_diagonal(apart, np.inf)
    left_out = apart.min(axis=1)
    labels_at = [set(y[(row == X).all(axis=1)]) for row in X]
    code = np.array([-1 if len(at) > 1 else min(at) for at in labels_at])
    near, alone = code[apart.argmin(axis=1)], left_out > 0.0
    typical = np.median(left_out[alone])
    logs = np.log(np.maximum(left_out, 1e-300) / typical)

    def scale(label, without=-1):
        rows = (near == label) & alone & (np.arange(len(X)) != without)
        return typical * np.exp(logs[rows].sum() / (rows.sum() + 5))

    scores = [
        left_out[i] / (typical if near[i] < 0 else scale(near[i], without=i))
        for i in range(len(X))
    ]
    distance = cdist(queries, X)
    nearest = code[distance.argmin(axis=1)]
    scales = np.array([typical if c < 0 else scale(c) for c in nearest])
    expected = distance.min(axis=1) / scales
    assert_allclose(model.novelty_score(queries), expected, rtol=1e-5)
    as_far = (np.array(scores) >= expected[:, None] * (1 - 1e-6)).sum(axis=1)
    pvalues = (1 + as_far) / (1 + len(X))
    assert_allclose(model.novelty_pvalue(queries), pvalues)
    assert_array_equal(model.is_novel(queries), pvalues <= 0.05)
    assert 0 < model.is_novel(queries).sum() < len(queries)
    same = np.array(scores)[None] >= expected[:, None] * (1 - 1e-6)
    of_class = near == nearest[:, None]
    assert_allclose(
        model.novelty_pvalue(queries, per_class=True),
        (1 + (same & of_class).sum(axis=1)) / (1 + of_class.sum(axis=1)),
    )


def test_a_row_of_weight_two_is_two_copies():
    X, y = rows_with_copies()
    weights = np.where(np.arange(len(X)) % 3 == 0, 2.0, 1.0)
    copied = np.repeat(np.arange(len(X)), weights.astype(int))
    weighted = classifier().fit(X, y, sample_weight=weights)
    repeated = classifier().fit(X[copied], y[copied])
    queries = X + 0.2
    assert_array_equal(
        weighted.novelty_pvalue(queries), repeated.novelty_pvalue(queries)
    )
    assert_array_equal(weighted.novelty_score(X), np.zeros(len(X)))
    assert_array_equal(weighted.novelty_pvalue(X), np.ones(len(X)))


@pytest.mark.parametrize("inference", INFERENCES)
@pytest.mark.parametrize("per_class", [False, True])
def test_false_alarms_are_as_many_as_asked_for(blobs, inference, per_class):
    model, new, far = blobs
    model.set_params(inference=inference)
    # Both halves are samples: three standard errors of their difference.
    for alpha, error in ((0.02, 0.013), (0.05, 0.02), (0.2, 0.04)):
        share = model.is_novel(new, alpha, per_class=per_class).mean()
        assert share == pytest.approx(alpha, abs=error)
    assert model.is_novel(far, per_class=per_class).all()
    scores = model.novelty_score(np.concatenate([new, far]))
    assert roc_auc_score(np.arange(len(scores)) >= len(new), scores) > 0.999
    assert np.median(model.novelty_score(new)) == pytest.approx(1.0, rel=0.1)


def test_false_alarms_are_kept_in_every_class():
    # Rows of one class lie five times as far from each other.
    random = np.random.default_rng(0)
    y = np.arange(3000) % 2
    X = random.normal(size=(3000, 4)) * np.where(y, 5.0, 1.0)[:, None]
    X[:, 0] += 40.0 * y
    model = classifier().fit(X[:1500], y[:1500])
    for per_class in (False, True):
        novel = model.is_novel(X[1500:], per_class=per_class)
        for label in (0, 1):
            share = novel[y[1500:] == label].mean()
            assert share == pytest.approx(0.05, abs=0.02), (per_class, label)


@_LOST
def test_a_lookup_is_compared_with_searches_that_miss_the_nearest_row():
    X, y = make_blobs(3000, n_features=40, centers=8, cluster_std=4.0, random_state=0)
    model = classifier(inference="lookup", walk="hnsw", ef=1, M=4, ef_construction=8)
    model.fit(X[:1500], y[:1500])
    recall = model._model.search_recall("hnsw")
    assert recall.agreement(None, 1) < 0.6
    stretch = recall.stretch(1)
    assert_array_equal(stretch > 1.0, recall.reached[0] != recall.nearest)
    assert_array_equal(recall.stretch(10**6), recall.stretch(EF_GRID[-1]))
    assert model.is_novel(X[1500:]).mean() == pytest.approx(0.05, abs=0.02)
    # Compared with true distances, far too many rows look novel.
    scores, novelty = model.novelty_score(X[1500:]), model._model.novelty
    codes = np.zeros(len(scores), dtype=int)
    assert (novelty.pvalues(scores, codes) <= 0.05).mean() > 0.1


@pytest.mark.parametrize("inference", INFERENCES)
def test_batches_threads_and_order_change_nothing(blobs, inference):
    model, new, far = blobs
    queries = np.concatenate([new[:300], far[:20]])
    model.set_params(inference=inference, n_jobs=None)
    scores = model.novelty_score(queries)
    pvalues = model.novelty_pvalue(queries, per_class=True)
    order = np.random.default_rng(0).permutation(len(queries))
    assert_array_equal(model.novelty_score(queries[order]), scores[order])
    for row in range(0, len(queries), 31):
        one = queries[row : row + 1]
        assert model.novelty_score(one) == scores[row]
        assert model.novelty_pvalue(one, per_class=True) == pvalues[row]
    model.set_params(n_jobs=2)
    assert_array_equal(model.novelty_score(queries), scores)
    model.set_params(n_jobs=None)


@_LOST
@pytest.mark.parametrize("metric", ["euclidean", "cosine", "auto", "trees"])
@pytest.mark.parametrize("inference", INFERENCES)
def test_predictors_and_pickles_say_the_same(inference, metric, tmp_path):
    X, y = rows_with_copies()
    queries = np.concatenate([X[:30] + 0.1, X[:5], 9.0 + X[:5]])
    model = classifier(inference=inference, metric=metric).fit(X, y)
    expected = model.novelty_score(queries)
    predictor = model.to_predictor()
    predictor.save(tmp_path / "model")
    others = [predictor, load_predictor(tmp_path / "model")]
    others += [pickle.loads(pickle.dumps(m)) for m in (predictor, model)]
    for other in others:
        assert_array_equal(other.novelty_score(queries), expected)
        for per_class in (False, True):
            assert_array_equal(
                other.novelty_pvalue(queries, per_class=per_class),
                model.novelty_pvalue(queries, per_class=per_class),
            )
        assert_array_equal(other.is_novel(queries, 0.1), model.is_novel(queries, 0.1))
    assert_array_equal(predictor.novelty_score(queries, n_jobs=2), expected)
    assert len(predictor.novelty_score(np.empty((0, 3)))) == 0
    assert len(predictor.is_novel(np.empty((0, 3)))) == 0


@pytest.mark.parametrize("inference", INFERENCES)
def test_one_search_gives_the_answers_and_how_novel_the_rows_are(blobs, inference):
    model, new, far = blobs
    queries = np.concatenate([new[:200], far[:20]])
    model.set_params(inference=inference)
    models = [model, model.to_predictor()]
    if inference == "lookup":
        models.append(model.condense(tolerance=0.05))
    for answering in models:
        found = answering.answer(queries)
        for given, method in (
            (found.labels, "predict"),
            (found.probabilities, "predict_proba"),
            (found.novelty_score, "novelty_score"),
            (found.novelty_pvalue, "novelty_pvalue"),
        ):
            expected = getattr(answering, method)(queries)
            assert_array_equal(given, expected, strict=True)
    assert len(models[1].answer(queries[:0]).labels) == 0


def test_a_condensed_classifier_is_calibrated_on_the_rows_that_it_kept(blobs, tmp_path):
    model, new, far = blobs
    small = model.set_params(inference="lookup").condense(tolerance=0.05)
    assert small.report_.kept_share < 0.5
    assert small.is_novel(new).mean() == pytest.approx(0.05, abs=0.02)
    assert small.is_novel(far).all()
    small.to_predictor().save(tmp_path / "small")
    loaded = load_predictor(tmp_path / "small")
    assert_array_equal(loaded.novelty_pvalue(new), small.novelty_pvalue(new))
    again = pickle.loads(pickle.dumps(small))
    assert_array_equal(again.novelty_score(new), small.novelty_score(new))


@pytest.mark.parametrize(
    ("name", "place", "value"),
    [
        ("scales", 0, 0.0),
        ("scales", -1, np.nan),
        ("scores", 0, -1.0),
        ("scores", 0, np.inf),
        ("weights", 0, np.nan),
        ("codes", 0, -2),
        ("codes", 0, 5),
    ],
)
def test_numbers_of_a_file_that_no_release_writes_are_refused(
    blobs, name, place, value
):
    state = blobs[0].to_predictor()._state
    novelty = state.model.novelty
    wild = getattr(novelty, name).copy()
    wild[place] = value
    model = replace(state.model, novelty=replace(novelty, **{name: wild}))
    with pytest.raises(SavedModelError, match=r"wild|zero"):
        checked_state(replace(state, model=model))
    short = replace(novelty, **{name: wild[1:]})
    with pytest.raises(SavedModelError, match="has shape"):
        checked_state(replace(state, model=replace(state.model, novelty=short)))


def test_a_predictor_of_an_earlier_release_says_that_it_cannot_tell(blobs):
    state = blobs[0].to_predictor()._state
    old = Predictor(replace(state, model=replace(state.model, novelty=None)))
    assert len(old.predict(blobs[1][:3])) == 3
    with pytest.raises(ValueError, match=r"an earlier release.*to_predictor"):
        old.is_novel(blobs[1][:3])


@pytest.mark.parametrize("support", ["exact", "local"])
def test_after_a_change_and_a_refresh_it_is_that_of_a_fit(support):
    X, y = rows_with_copies()
    settings = {"support": support, "ef": 256}
    model = classifier(**settings).fit(X[:100], y[:100])
    novelty = model._model.novelty
    model.partial_fit(X[100:102], y[100:102]).forget(7)
    assert model._model.novelty is novelty  # one of the numbers that all rows share
    model.partial_fit(X[102:], y[102:]).forget(np.arange(5))
    there = np.delete(np.arange(150), 7)[5:]
    fresh = classifier(**settings).fit(X[there], y[there])
    queries = X + 0.15
    assert model._model.novelty is not novelty
    assert_allclose(
        model.novelty_score(queries), fresh.novelty_score(queries), rtol=1e-4
    )
    model.partial_fit([[50.0, 0.0, 0.0]], [7], classes=[7])
    assert model._model.novelty.scales.shape == (4,)
    assert model.is_novel([[50.0, 0.0, 30.0]])[0]
    assert not model.is_novel([[50.0, 0.0, 0.0]])[0]


def test_rows_with_gaps_and_sparse_rows():
    X, y = rows_with_copies()
    holes = X.copy()
    holes[::4, 1] = np.nan
    model = classifier(metric="auto").fit(holes, y)
    assert np.isfinite(model.novelty_score(holes)).all()
    assert_array_equal(model.novelty_score(holes), np.zeros(len(X)))
    model = classifier().fit(sparse.csr_array(X), y)
    dense = classifier().fit(X, y).novelty_score(X + 0.1)
    assert_allclose(model.novelty_score(sparse.csr_array(X + 0.1)), dense, rtol=1e-4)


@pytest.mark.parametrize("alpha", [0.0, 1.0, -1, np.nan, True, "0.05", None, [0.05]])
def test_a_share_that_is_none_is_refused(blobs, alpha):
    model, new, _ = blobs
    for refusing in (model, model.to_predictor()):
        with pytest.raises(ValueError, match=r"alpha must be a number between 0 and 1"):
            refusing.is_novel(new[:2], alpha)


def test_rows_that_are_none_are_refused(blobs):
    model, new, _ = blobs
    for method in ("novelty_score", "novelty_pvalue", "is_novel"):
        with pytest.raises(NotFittedError):
            getattr(KNNGraphClassifier(), method)(new)
        for refusing in (model, model.to_predictor()):
            ask = getattr(refusing, method)
            with pytest.raises(ValueError, match=r"column|feature"):
                ask(new[:, :4])
            with pytest.raises(ValueError, match="inf in row 0, column 0"):
                ask(np.full((1, 6), np.inf))
            with pytest.raises(ValueError, match="reshape"):
                ask(new[0])
        with pytest.raises(ValueError, match="0 sample"):
            getattr(model, method)(new[:0])


def test_few_rows_cannot_tell_what_is_novel():
    X = np.arange(12.0)[:, None]
    model = classifier(max_neighbors=2).fit(X, np.arange(12) % 2)
    far = [[1e6]]
    assert model.novelty_pvalue(far) == pytest.approx(1 / 13)
    with pytest.warns(KNNGraphWarning, match=r"0\.077 at least.*Raise alpha to 0\.077"):
        assert not model.is_novel(far)[0]
    assert model.is_novel(far, 0.08)[0]
    with pytest.warns(KNNGraphWarning, match=r"of the same class.*per_class=False"):
        assert not model.is_novel(far, 0.08, per_class=True)[0]


def test_one_row_one_class_and_rows_all_alike():
    one = classifier().fit([[1.0, 2.0]], [0])
    assert one.novelty_score([[1.0, 2.0]]) == 0.0
    assert one.novelty_pvalue([[5.0, 5.0]]) == 1.0  # nothing to compare with
    alike = classifier().fit(np.full((40, 2), 3.0), np.arange(40) % 2)
    assert_array_equal(alike.novelty_pvalue([[3.0, 3.0], [3.0, 4.0]]), [1.0, 1 / 41])
    X, _ = rows_with_copies()
    single = classifier(inference="lookup").fit(X, np.zeros(len(X), int))
    assert_array_equal(single.is_novel([[0.0, 0.0, 0.0], [9.0, 9.0, 9.0]]), [0, 1])


def test_a_class_of_few_rows_has_nearly_the_typical_distance():
    squared = np.concatenate([np.full(100, 4.0), [100.0]])
    novelty = novelty_from_distances(
        np.repeat([0, 1], [100, 1]), squared, np.ones(101), 3
    )
    expected = [2.0, 2.0 * 5.0 ** (1 / 6), 2.0, 2.0]
    assert_allclose(novelty.scales, expected)
    assert novelty.scores[-1] == pytest.approx(5.0)  # without the row itself


def by_loop(codes, squared, weights, n_classes):
    """Scales of the classes, several of them last, and a score of every row."""
    distances = np.sqrt(squared)
    apart = distances > 0.0
    typical = np.median(distances[apart]) if apart.any() else 1.0

    def scale(code, without=-1):
        total, rows = 0.0, 5.0
        for i, (c, d, w) in enumerate(zip(codes, distances, weights)):
            if c == code >= 0 and d > 0.0 and i != without:
                total += w * np.log(max(d / typical, 0.01))
                rows += w
        return typical * np.exp(total / rows)

    scales = [scale(code) for code in [*range(n_classes), -1]]
    scores = [d / scale(c, i) for i, (c, d) in enumerate(zip(codes, distances))]
    return scales, scores


@pytest.mark.parametrize("copies", [0.0, 0.3, 1.0])
def test_scales_and_scores_by_loop(copies, random):
    codes, n_classes = random.integers(-1, 3, 60), 4
    squared = random.exponential(size=60) ** 4 * (random.random(60) >= copies)
    weights = random.integers(1, 5, 60) / 2.0
    novelty = novelty_from_distances(codes, squared, weights, n_classes)
    scales, scores = by_loop(codes, squared, weights, n_classes)
    assert_allclose(novelty.scales, scales)
    assert_allclose(novelty.scores, scores)
    assert_array_equal(novelty.codes, codes)
    assert_array_equal(novelty.weights, weights)


def test_pvalues_are_shares_of_the_weight(random):
    scores, codes = random.integers(0, 9, 50) / 2.0, random.integers(-1, 3, 50)
    weights = random.integers(1, 5, 50) / 2.0
    novelty = Novelty(np.array([2.0, 4.0, 8.0, 16.0]), scores, codes, weights)
    queries, near = random.integers(-1, 11, 40) / 2.0, random.integers(-1, 3, 40)
    squared = random.exponential(size=40)
    found = novelty.scored(near, squared)
    assert_allclose(found, np.sqrt(squared) / novelty.scales[near])
    for per_class in (False, True):
        least = []
        found = novelty.pvalues(queries, near, per_class=per_class)
        for query, code, pvalue in zip(queries, near, found):
            some = codes == code if per_class else codes >= -1
            as_far = 1.0 + weights[some & (scores >= query)].sum()
            assert pvalue == pytest.approx(as_far / (1.0 + weights[some].sum()))
            least.append(1.0 / (1.0 + weights[some].sum()))
        assert novelty.least(near, per_class=per_class) == pytest.approx(max(least))
        assert novelty.least(near[:1], per_class=per_class) == pytest.approx(least[0])


def test_a_search_that_misses_stretches_scores():
    scores = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    novelty = Novelty(np.ones(2), scores, np.zeros(5, int), np.ones(5))
    assert novelty.stretched(np.empty(0)) is novelty
    assert novelty.stretched(np.ones(3)) is novelty
    found = novelty.stretched(np.array([1.0, 1.5]))
    assert found.scores.tolist() == [1.0, 3.0, 3.0, 6.0, 5.0]
    assert_array_equal(found.weights, novelty.weights)


@pytest.mark.parametrize("n_compared", [15, 2000])
def test_left_out_rows_are_compared_with_the_nearest_other(
    n_compared, random, monkeypatch
):
    X = random.normal(size=(50, 2)).astype(np.float32)
    X[40:] = X[:10]
    y, weight = random.integers(3, size=50), random.integers(1, 4, 50) / 2.0
    training = build_training_set(X, y, 3, row_weight=weight)
    points = training.points
    lists = nearest_others(ExactIndex(points), points, training.node_weights(), 3)
    monkeypatch.setattr(novelty_module, "CALIBRATION_PAIRS", n_compared)
    found = calibrate_novelty(training, lists)
    pairs = random_pairs(np.arange(training.n_pairs), n_compared)
    assert_array_equal(found.weights, training.pair_weight[pairs])
    apart = cdist(points, points, "sqeuclidean")
    np.fill_diagonal(apart, np.inf)
    codes, squared = [], []
    for pair in pairs:
        node, left = training.pair_node[pair], training.left_weights(pair)
        nearest = node if left > 0.0 else apart[node].argmin()
        codes.append(training.node_classes()[nearest])
        squared.append(0.0 if left > 0.0 else apart[node].min())
    expected = novelty_from_distances(
        np.array(codes), np.array(squared), found.weights, 3
    )
    assert_array_equal(found.codes, expected.codes)
    assert_allclose(found.scores, expected.scores, rtol=1e-5)
    assert_allclose(found.scales, expected.scales, rtol=1e-5)


def test_one_row_is_compared_with_none():
    training = build_training_set(np.zeros((1, 2), np.float32), np.zeros(1), 1)
    points = training.points
    lists = nearest_others(ExactIndex(points), points, training.node_weights(), 3)
    found = calibrate_novelty(training, lists)
    assert len(found.scores) == len(found.codes) == len(found.weights) == 0
    assert_array_equal(found.scales, [1.0, 1.0])
