"""Prediction sets: the formula, leave-one-out counts, coverage, and who agrees."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import make_classification
from sklearn.exceptions import NotFittedError

import knngraph.model
from knngraph import KNNGraphClassifier, KNNGraphClassifierCV, load_predictor
from knngraph.exceptions import KNNGraphWarning
from knngraph.inference import adaptive
from knngraph.inference.answer import answered_blocks
from knngraph.inference.calibration import sharpen
from knngraph.inference.class_means import squared_to_means
from knngraph.inference.prediction_sets import set_level
from knngraph.inference.reliability import reliable_votes
from knngraph.inference.set_scores import class_score_of, class_scores, pairs_for_sets

INFERENCES = ("adaptive", "cascade", "lookup")


def overlapping(n_rows, seed=0, shares=None):
    """Three classes that overlap."""
    return make_classification(
        n_rows,
        n_features=4,
        n_informative=4,
        n_redundant=0,
        n_classes=3,
        n_clusters_per_class=1,
        weights=shares,
        flip_y=0.05,
        class_sep=0.7,
        random_state=seed,
    )


@pytest.fixture(scope="module")
def data():
    X, y = overlapping(900)
    return X[:300], y[:300], X[300:], y[300:]


def coverage(sets, y):
    return sets[np.arange(len(y)), y].mean()


def test_a_score_is_the_probability_of_the_classes_that_are_no_likelier():
    random = np.random.default_rng(0)
    counts = random.integers(0, 4, (50, 6)) + 1.0
    probabilities = counts / counts.sum(axis=1, keepdims=True)
    squared = random.integers(0, 3, (50, 6)) + 0.0
    squared[7, 3] = np.inf
    scores = class_scores(probabilities, squared)
    for row, far, found in zip(probabilities, squared, scores):
        first = row.argmax()
        for code, probability in enumerate(row):
            others = np.arange(6) != first
            behind = (row < probability) | ((row == probability) & (far >= far[code]))
            expected = row[others & behind].sum()
            expected = 1.0 if code == first else expected
            assert found[code] == pytest.approx(expected, abs=1e-6)
    # Scores of left-out rows are compared with those of queries to the last bit.
    for code in range(6):
        alone = class_score_of(probabilities, squared, np.full(50, code))
        assert_array_equal(alone, scores[:, code])


def test_sets_count_scores_of_models_that_were_fitted_without_each_row():
    X, y = overlapping(36)
    queries = overlapping(400, seed=3)[0][:60]
    how = {
        "inference": "adaptive",
        "metric": "euclidean",
        "vote": "labels",
        "max_neighbors": 64,
        "query_bandwidth": 1.5,
    }
    model = KNNGraphClassifier(**how).fit(X, y)
    exponent = model._model.left_out.exponent

    def scores_of(rows, queries):
        part = KNNGraphClassifier(**how).fit(X[rows], y[rows])
        learned = part._model
        votes = part.predict_proba(queries)
        # Back to votes: p is proportional to (v + floor)^exponent.
        powers = votes ** (1.0 / learned.left_out.exponent)
        floor = 0.05 / 3
        votes = powers / powers.sum(axis=1, keepdims=True) * (1 + 0.05) - floor
        shares = sharpen(np.maximum(votes, 0.0), exponent)
        means = learned.adaptive_set_scores.means
        to_means = squared_to_means(learned.space.map_rows(queries), means)
        return class_scores(shares, to_means)

    rows, differ = np.arange(36), 0
    larger, plain = np.zeros((60, 3)), scores_of(rows, queries)
    jackknife = np.zeros((60, 3))
    for i in rows:
        rest = np.delete(rows, i)
        scores = scores_of(rest, np.vstack([X[i : i + 1], queries]))
        larger += scores[0, y[i]] > scores[1:] + 1e-6
        jackknife += scores[0, y[i]] > plain + 1e-6
    first = model.predict_proba(queries).argmax(axis=1)
    for alpha in (0.1, 0.2, 0.3):
        expected = larger < (1.0 - alpha) * 37
        expected[np.arange(60), first] = True
        # Equal scores, of rows with the likeliest class, are decided by a hash.
        sets = model.predict_set(queries, alpha)
        assert (sets == expected).mean() > 0.99
        differ += (expected != (jackknife < (1.0 - alpha) * 37)).sum()
    assert differ > 0


@pytest.mark.parametrize("inference", INFERENCES)
def test_classes_without_a_vote_are_there_by_the_distance_to_their_mean(
    inference, monkeypatch
):
    random = np.random.default_rng(0)
    centers, y = random.normal(size=(60, 6)), np.tile(np.arange(60), 15)
    X = centers[y] + random.normal(size=(len(y), 6))
    model = KNNGraphClassifier(inference=inference, ef=64, random_state=0)
    queries, expected = X[180:], y[180:]
    sets = model.fit(X[:180], y[:180]).predict_set(queries, 0.1)
    # Without the means they are all there, or none.
    monkeypatch.setattr(knngraph.model, "class_means", lambda _: np.zeros((60, 6)))
    all_or_none = model.fit(X[:180], y[:180]).predict_set(queries, 0.1)
    assert coverage(all_or_none, expected) > 0.87
    assert coverage(sets, expected) > 0.87
    assert sets.sum() < 0.7 * all_or_none.sum()


@pytest.mark.parametrize("inference", INFERENCES)
def test_sets_cover_and_grow(data, inference):
    X, y, X_test, y_test = data
    model = KNNGraphClassifier(inference=inference, ef=64, random_state=0).fit(X, y)
    before = np.zeros((len(X_test), 3), dtype=bool)
    predicted = np.searchsorted(model.classes_, model.predict(X_test))
    for alpha in (0.4, 0.2, 0.1, 0.05):
        sets = model.predict_set(X_test, alpha)
        assert sets.dtype == bool
        assert coverage(sets, predicted) == 1.0
        assert coverage(sets, y_test) > 1.0 - alpha - 0.04
        assert (sets | ~before).all()
        before = sets
    # And no more than it takes.
    assert 1.0 < model.predict_set(X_test, 0.1).sum(axis=1).mean() < 2.0


@pytest.mark.parametrize("inference", INFERENCES)
def test_batches_orders_threads_and_files_give_the_same_sets(data, inference, tmp_path):
    X, y, X_test, _ = data
    model = KNNGraphClassifier(inference=inference, random_state=0).fit(X, y)
    predictor = model.to_predictor()
    predictor.save(tmp_path / "model")
    loaded = load_predictor(tmp_path / "model")
    for per_class in (False, True):
        sets = model.predict_set(X_test, 0.15, per_class=per_class)
        for other in (predictor, loaded):
            found = other.predict_set(X_test, 0.15, per_class=per_class, n_jobs=2)
            assert_array_equal(found, sets)
        alone = [
            model.predict_set(x[None], 0.15, per_class=per_class) for x in X_test[:25]
        ]
        assert_array_equal(np.concatenate(alone), sets[:25])
        reversed_sets = model.predict_set(X_test[::-1], 0.15, per_class=per_class)
        assert_array_equal(reversed_sets[::-1], sets)


def test_rare_classes_are_covered_by_themselves():
    X, y = overlapping(3000, shares=[0.75, 0.17, 0.08])
    model = KNNGraphClassifier(inference="adaptive", random_state=0)
    model.fit(X[:1000], y[:1000])
    X_test, y_test, rare = X[1000:], y[1000:], y[1000:] == 2
    sets = model.predict_set(X_test, 0.1)
    by_class = model.predict_set(X_test, 0.1, per_class=True)
    assert coverage(sets[rare], y_test[rare]) < 0.8
    for code in range(3):
        some = y_test == code
        assert coverage(by_class[some], y_test[some]) > 0.85


def test_rows_that_a_sample_lacks_are_there_for_their_class():
    class Training:
        pair_code = np.repeat([0, 1, 2], [5000, 150, 30])
        n_classes = 3

    honest = np.arange(5180)
    pairs = pairs_for_sets(Training, honest, n_drawn=4000)
    assert_array_equal(pairs[:4000], honest[:4000])
    assert_array_equal(
        np.bincount(Training.pair_code[pairs]), np.array([4000, 100, 30])
    )


def test_sets_follow_rows_that_were_exchanged(data):
    X, y, X_test, _ = data
    model = KNNGraphClassifier(inference="adaptive", random_state=0)
    model.fit(X[:150], y[:150])
    small = model.predict_set(X_test, 0.1).sum(axis=1).mean()
    # Labels are random from now on: only large sets hold them.
    random = np.random.default_rng(0)
    model.partial_fit(X[150:], random.integers(0, 3, 150)).forget(np.arange(150))
    sets = model.predict_set(X_test, 0.1)
    assert coverage(sets, random.integers(0, 3, len(X_test))) > 0.8
    assert sets.sum(axis=1).mean() > small + 0.5
    assert_array_equal(model.to_predictor().predict_set(X_test, 0.1), sets)


def test_given_labels_are_covered_where_many_are_wrong(data):
    X, y, X_test, y_test = data
    random = np.random.default_rng(0)
    noisy, noisy_test = (
        np.where(random.random(len(v)) < 0.2, random.integers(0, 3, len(v)), v)
        for v in (y, y_test)
    )
    model = KNNGraphClassifier(inference="adaptive", random_state=0).fit(X, noisy)
    assert model.label_doubt_ > 0.0
    sets = model.predict_set(X_test, 0.1)
    assert coverage(sets, noisy_test) > 0.87


def test_no_left_out_row_speaks_through_its_neighbors(data):
    X, y, _, _ = data
    random = np.random.default_rng(0)
    noisy = np.where(random.random(300) < 0.2, random.integers(0, 3, 300), y)
    noisy[160] = 3  # known from this row alone, which is a rival around it
    model = KNNGraphClassifier(inference="adaptive", random_state=0).fit(X, noisy)
    learned, training = model._model, model._model.training
    assert (learned.reliability.rival == 3).sum() > 1
    votes = reliable_votes(
        training,
        learned.left_out_neighbors,
        learned.problem,
        learned.left_out,
        np.arange(training.n_pairs),
    )
    assert_allclose(votes.sum(axis=1), 1.0)
    assert votes[training.pair_of_row[160], 3] < 1e-9


def test_a_weight_of_two_is_two_rows(data):
    X, y, X_test, _ = data
    weights = np.where(np.arange(len(y)) % 3 == 0, 2.0, 1.0)
    repeated = np.repeat(np.arange(len(y)), weights.astype(int))
    how = {"inference": "adaptive", "metric": "euclidean", "random_state": 0}
    weighed = KNNGraphClassifier(**how).fit(X, y, sample_weight=weights)
    copied = KNNGraphClassifier(**how).fit(X[repeated], y[repeated])
    sets = [model.predict_set(X_test, 0.1) for model in (weighed, copied)]
    assert (sets[0] == sets[1]).mean() > 0.999


def test_too_few_rows_are_named(data):
    X, y, X_test, _ = data
    names = np.array(["ant", "bee", "cat"])[y]
    rare = np.append(np.flatnonzero(y != 2), np.flatnonzero(y == 2)[:4])
    model = KNNGraphClassifier(inference="adaptive", random_state=0)
    model.fit(X[rare], names[rare])
    for answers in (model, model.to_predictor()):
        with pytest.warns(KNNGraphWarning, match=r"needs 9 .*'cat' \(4 rows\)"):
            sets = answers.predict_set(X_test, 0.1, per_class=True)
        assert sets[:, 2].all()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            answers.predict_set(X_test, 0.1)
    model.fit(X[:5], names[:5])
    with pytest.warns(KNNGraphWarning, match="needs 9 left-out rows and there are 5"):
        assert model.predict_set(X_test[:3]).all()


@pytest.mark.parametrize(("n_few", "more"), [(5, ""), (7, ", 2 more")])
def test_five_classes_with_few_rows_are_named(n_few, more):
    # Eight rows of such a class, and twenty of the others.
    y = np.repeat(np.arange(9), np.where(np.arange(9) < n_few, 8, 20))
    X = np.random.default_rng(0).normal(size=(len(y), 2))
    model = KNNGraphClassifier(inference="adaptive", random_state=0).fit(X, y)
    named = ", ".join(rf"{code} \(8 rows\)" for code in range(5)) + more
    with pytest.warns(KNNGraphWarning, match=rf"needs 9 left.*: {named}\. Raise"):
        sets = model.predict_set(X, 0.1, per_class=True)
    assert sets[:, :n_few].all()
    assert not sets.all()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sets = model.predict_set(X, 1.0 / 9.0, per_class=True)
    assert not sets[:, :n_few].all()  # eight rows are enough


@pytest.mark.parametrize("per_class", [False, True])
def test_a_single_class_needs_no_rows(per_class):
    X = np.arange(6.0)[:, None]
    for n_classes in (1, 2):
        model = KNNGraphClassifier(inference="adaptive", random_state=0)
        model.fit(X, np.arange(6) % n_classes)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            sets = model.predict_set(X, 0.1, per_class=per_class)
        assert sets.all()
        assert len(caught) == n_classes - 1


def test_votes_of_all_voters_are_held_for_few_queries(data, monkeypatch):
    X, y, X_test, _ = data
    model = KNNGraphClassifier(inference="adaptive", random_state=0).fit(X, y)
    options = model._options()
    read = model._query_model(options, sets=True)
    level = set_level(read, model.classes_, 0.1, False)
    monkeypatch.setattr(adaptive, "_VOTES_PER_BLOCK", 3 * 32 * 5)
    blocks = [
        [one.block for one in answered_blocks(read, options, X_test[:200], *of_sets)]
        for of_sets in ((), (level,))
    ]
    for found, largest in zip(blocks, (32 * 5, 5)):
        assert found[0] == slice(0, largest)
        assert len(found) == -(-200 // largest)


@pytest.mark.parametrize("alpha", [0, 1, -0.1, np.nan, "0.1", True, None, [0.1]])
def test_other_levels_are_refused(data, alpha):
    X, y, X_test, _ = data
    model = KNNGraphClassifier(inference="adaptive", random_state=0).fit(X, y)
    for answers in (model, model.to_predictor()):
        with pytest.raises(ValueError, match="alpha must be a number between 0 and 1"):
            answers.predict_set(X_test, alpha)
    with pytest.raises(ValueError, match="per_class must be True or False"):
        model.predict_set(X_test, per_class="yes")


def test_the_usual_refusals(data):
    X, y, X_test, _ = data
    with pytest.raises(NotFittedError):
        KNNGraphClassifier().predict_set(X_test)
    model = KNNGraphClassifier(inference="adaptive").fit(X, y)
    with pytest.raises(ValueError, match="features"):
        model.predict_set(X_test[:, :2])
    one = KNNGraphClassifier(inference="adaptive").fit(X, np.ones(len(X)))
    assert one.predict_set(X_test[:2]).tolist() == [[True], [True]]


def test_estimators_that_choose_and_condense(data):
    X, y, X_test, y_test = data
    model = KNNGraphClassifierCV(metric="euclidean", random_state=0).fit(X, y)
    assert coverage(model.predict_set(X_test), y_test) > 0.87
    small = KNNGraphClassifier(ef=16, random_state=0).fit(X, y).condense(0.05)
    assert small.report_.n_kept < len(X)
    for answers in (small, small.to_predictor()):
        with pytest.raises(ValueError, match="condensed model has no prediction sets"):
            answers.predict_set(X_test)
