"""Maps are judged on rows they were not fitted on."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.spatial.distance import cdist
from sklearn.datasets import load_iris

import knngraph.metric.choose as choose
from knngraph.metric.choose import Choice, choose_map, folds, right_by_map
from knngraph.metric.gradient_map import N_MAPS, gradient_maps
from knngraph.parallel import one_blas_thread


@pytest.fixture(autouse=True)
def small_products():
    """Many small matrix products: threads of BLAS would only get in the way."""
    with one_blas_thread():
        yield


@pytest.fixture
def rows(random):
    """Two informative features of twelve, and a few wrong labels."""
    rows = random.normal(size=(240, 12)).astype(np.float32)
    codes = (rows[:, 0] * rows[:, 1] > 0).astype(int)
    wrong = random.random(240) < 0.05
    return rows, np.where(wrong, 1 - codes, codes)


def answered(*arguments):
    """How held-out rows are answered, map by map."""
    return [right for _, right in right_by_map(*arguments)]


def maps_and_answers(rows, codes, monkeypatch):
    """Maps of every fold, in order, and which held-out rows are right."""
    fitted = []

    def keep(*arguments):
        maps = list(gradient_maps(*arguments))
        fitted.append(maps)
        return iter(maps)

    with monkeypatch.context() as patch:
        patch.setattr(choose, "gradient_maps", keep)
        right = [
            answered(rows, codes, 2, *fold) for fold in folds(np.arange(len(rows)) % 2)
        ]
    return fitted, right


def test_held_out_labels_are_never_seen(rows, monkeypatch):
    X, codes = rows
    maps, right = maps_and_answers(X, codes, monkeypatch)
    for fold, (_, held_out) in enumerate(folds(np.arange(240) % 2)):
        flipped = codes.copy()
        flipped[held_out] = 1 - flipped[held_out]
        other_maps, other_right = maps_and_answers(X, flipped, monkeypatch)
        assert len(maps[fold]) == N_MAPS
        assert_array_equal(other_maps[fold], maps[fold])
        # The answers stay, so that every right one is a wrong one now.
        assert_array_equal(other_right[fold], 1.0 - np.array(right[fold]))
        elsewhere = [m for i, m in enumerate(maps) if i != fold]
        changed = [m for i, m in enumerate(other_maps) if i != fold]
        assert not np.array_equal(elsewhere, changed)


def test_answers_recomputed(rows):
    X, codes = rows
    for fitted, held_out in folds(codes):
        right = right_by_map(X, codes, 2, fitted, held_out)
        maps = [np.eye(12), *gradient_maps(X[fitted], codes[fitted], 2)]
        for (factor, found), linear in zip(right, maps, strict=True):
            assert_allclose(factor, linear, atol=1e-4)
            mapped = X.astype(float) @ linear
            distances = cdist(mapped[held_out], mapped[fitted])
            labels = codes[fitted][distances.argsort(axis=1)[:, :5]]
            # Of two classes the one that three of five have; the nearest comes first.
            answers = np.array([labels[:, 0], labels.mean(axis=1) > 0.5])
            assert_array_equal(found, (answers == codes[held_out]).mean(axis=0))


def test_the_nearest_decides_between_equals():
    # Two votes against two; the fifth row is of a third class.
    rows = np.array([[1.0], [2.0], [3.0], [4.0], [5.0], [0.0]], dtype=np.float32)
    codes = np.array([1, 0, 0, 1, 2, 1])
    right = right_by_map(rows, codes, 3, np.arange(5), np.array([5]))
    assert_array_equal(next(right)[1], [1.0])
    codes[0], codes[3] = 2, 0  # the nearest is outvoted
    right = right_by_map(rows, codes, 3, np.arange(5), np.array([5]))
    assert_array_equal(next(right)[1], [0.0])
    codes[5] = 0
    right = right_by_map(rows, codes, 3, np.arange(5), np.array([5]))
    assert_array_equal(next(right)[1], [0.5])


def test_folds_hold_every_row_out_once(random):
    codes = random.permutation(np.repeat([0, 1, 2], [50, 7, 3]))
    seen = []
    for fitted, held_out in folds(codes):
        assert_array_equal(np.union1d(fitted, held_out), np.arange(60))
        assert len(fitted) + len(held_out) == 60
        # Every class in its proportion.
        counts = np.bincount(codes[held_out], minlength=3)
        assert (np.abs(counts - np.array([50, 7, 3]) / 3) < 1).all()
        seen.append(held_out)
    assert_array_equal(np.sort(np.concatenate(seen)), np.arange(60))


def answers(*by_map):
    """A stand-in for `right_by_map`: as many held-out rows are right as it says."""

    def right_by_map(rows, codes, n_classes, fitted, held_out, seed):
        for share in by_map:
            right_by_map.n_fitted += 1
            right = np.arange(len(held_out)) < round(share * len(held_out))
            yield None, right.astype(float)
        right_by_map.n_ended += 1

    right_by_map.n_fitted = right_by_map.n_ended = 0
    return right_by_map


def chosen(monkeypatch, judged, n_rows=300):
    monkeypatch.setattr(choose, "right_by_map", judged)
    rows = np.zeros((n_rows, 1), dtype=np.float32)
    return choose_map(rows, np.arange(n_rows) % 2, 2).number


def test_a_map_is_chosen_where_it_helps(rows):
    X, codes = rows
    chosen = choose_map(X, codes, 2)
    number = chosen.number
    assert number > 0
    right = [np.array(answered(X, codes, 2, *fold)) for fold in folds(codes)]
    accuracy = np.concatenate(right, axis=1).mean(axis=1)
    assert accuracy[number] == accuracy.max() > accuracy[0] + 0.1
    assert_allclose(chosen.scores, [accuracy[0], accuracy[number]])


def test_maps_of_the_folds_come_with_the_choice(rows):
    X, codes = rows
    chosen = choose_map(X, codes, 2)
    assert len(chosen.factors) == 3
    for factor, (fitted, held_out) in zip(chosen.factors, folds(codes)):
        found = list(right_by_map(X, codes, 2, fitted, held_out))
        assert_array_equal(factor, found[chosen.number][0])
    # The first fold of many rows is enough.
    many = np.random.default_rng(0).normal(size=(2000, 12)).astype(np.float32)
    chosen = choose_map(many, (many[:, 0] > 0).astype(int), 2)
    assert chosen.number > 0
    assert len(chosen.factors) == 1


def test_no_map_where_none_helps():
    # Every direction is as good as any other: the class is told by the radius.
    random = np.random.default_rng(0)
    rows = random.normal(size=(300, 2)).astype(np.float32)
    codes = (np.linalg.norm(rows, axis=1) > 1.2).astype(int)
    chosen = choose_map(rows, codes, 2)
    assert chosen.number == 0
    assert 0.5 < chosen.scores[1] <= chosen.scores[0] <= 1.0


def test_labels_by_chance_rarely_choose_a_map(random):
    maps = [
        choose_map(
            random.normal(size=(60, 5)).astype(np.float32),
            random.permutation(60) % 2,
            2,
        ).number
        for _ in range(60)
    ]
    # The best of four maps is in front by half a standard error most of the time.
    assert np.mean(np.array(maps) > 0) < 0.5


def test_equals_go_to_the_gentlest(monkeypatch):
    assert chosen(monkeypatch, answers(0.5, 0.7, 0.8, 0.6, 0.8)) == 2
    assert chosen(monkeypatch, answers(0.8, 0.7, 0.8, 0.7, 0.8)) == 0
    assert chosen(monkeypatch, answers(0.8, 0.8, 0.8, 0.8, 0.8)) == 0


@pytest.mark.parametrize(("n_rows", "number"), [(60, 0), (600, 1)])
def test_few_rows_ask_for_a_clearer_lead(n_rows, number, monkeypatch):
    def right_by_map(rows, codes, n_classes, fitted, held_out, seed):
        # A map wins two rows in twenty, and loses one.
        place = np.arange(len(held_out)) / len(held_out)
        yield None, (place < 0.5).astype(float)
        yield None, ((place > 0.045) & (place < 0.6)).astype(float)

    assert chosen(monkeypatch, right_by_map, n_rows) == number


def lead_of_maps(*by_map):
    """A stand-in for `right_by_map`: rows that a map wins and loses in the first fold.

    Every second row is right without a map; all other folds stay as they are.
    """

    def right_by_map(rows, codes, n_classes, fitted, held_out, seed):
        plain = np.arange(len(held_out)) % 2
        right_by_map.n_fitted += 1
        yield None, plain.astype(float)
        for won, lost in by_map:
            right_by_map.n_fitted += 1
            right = plain.copy()
            if 0 in held_out:
                right[1 : 2 * lost : 2] = 0
                right[0 : 2 * won : 2] = 1
            yield None, right.astype(float)

    right_by_map.n_fitted = 0
    return right_by_map


@pytest.mark.parametrize(
    ("won", "lost", "number"),
    [(2, 0, 0), (3, 0, 1), (10, 5, 1), (10, 6, 0), (11, 6, 1), (9, 6, 0), (0, 0, 0)],
)
def test_a_lead_is_two_rows_and_half_a_standard_error(won, lost, number, monkeypatch):
    # won - lost > 2 + 0.5 * sqrt(won + lost)
    assert chosen(monkeypatch, lead_of_maps((won, lost))) == number


def test_scores_are_those_of_the_best_map(monkeypatch):
    monkeypatch.setattr(choose, "right_by_map", lead_of_maps((9, 0), (12, 0)))
    rows = np.zeros((300, 1), dtype=np.float32)
    found = choose_map(rows, np.arange(300) % 2, 2)
    assert (found.number, found.scores) == (2, (150 / 300, 162 / 300))
    # Also where it leads by too little to be chosen, or not at all.
    for won, lost in ((2, 0), (0, 3)):
        judged = lead_of_maps((won, lost))
        monkeypatch.setattr(choose, "right_by_map", judged)
        found = choose_map(rows, np.arange(300) % 2, 2)
        assert (found.number, found.factors) == (0, ())
        assert found.scores == (150 / 300, (150 + won - lost) / 300)


@pytest.mark.parametrize(("lost", "n_fitted"), [(4, 3 * 5), (5, 3 + 2 + 2)])
def test_behind_is_two_standard_errors(lost, n_fitted, monkeypatch):
    # The full map of the first round loses `lost` rows and wins none: it is behind
    # where lost > 2 * sqrt(lost), and then no other round is tried.
    judged = lead_of_maps((0, 0), (0, lost), (9, 0), (9, 0))
    chosen(monkeypatch, judged)
    assert judged.n_fitted == n_fitted


def test_thirty_rows_are_enough_to_choose(monkeypatch):
    judged = lead_of_maps((5, 0))
    assert chosen(monkeypatch, judged, 30) == 1


def test_maps_that_fall_behind_are_given_up(monkeypatch):
    judged = answers(0.9, 0.5, 0.5, 0.99, 0.99)
    assert chosen(monkeypatch, judged) == 0
    # Nothing but the maps of the first round, and no other fold.
    assert judged.n_fitted == 1 + 2
    # A gentle map may win where the full one is behind.
    judged = answers(0.7, 0.9, 0.5, 0.99, 0.99)
    assert chosen(monkeypatch, judged) == 1
    assert judged.n_fitted == (1 + 2) + (1 + 1) + (1 + 1)
    # And the other way round.
    judged = answers(0.7, 0.5, 0.9, 0.8, 0.6)
    assert chosen(monkeypatch, judged) == 2
    # The last maps of the first fold were behind.
    judged = answers(0.7, 0.9, 0.8, 0.5, 0.5)
    assert chosen(monkeypatch, judged) == 1
    assert judged.n_fitted == (1 + 4) + (1 + 2) + (1 + 2)


def test_no_more_folds_than_the_choice_needs(monkeypatch):
    for n_rows, n_folds in ((300, 3), (1000, 2), (2000, 1)):
        judged = answers(0.5, 0.6, 0.7, 0.8, 0.9)
        assert chosen(monkeypatch, judged, n_rows) == 4
        assert judged.n_fitted == n_folds * (1 + N_MAPS)


@pytest.mark.parametrize("n_rows", [0, 1, 2, 29])
def test_too_few_rows_to_hold_any_out(n_rows, monkeypatch):
    judged = answers(0.0, 1.0, 1.0, 1.0, 1.0)
    assert chosen(monkeypatch, judged, n_rows) == 0
    assert judged.n_fitted == 0


def test_nothing_to_learn(random):
    rows = random.normal(size=(60, 3)).astype(np.float32)
    assert choose_map(rows, np.zeros(60, dtype=int), 1) == Choice(0)
    assert choose_map(rows, np.zeros(60, dtype=int), 2).number == 0
    assert choose_map(np.ones_like(rows), np.arange(60) % 2, 2).number == 0
    # Rows of one class but one: not every fold has something to learn.
    alone = np.zeros(60, dtype=int)
    alone[7] = 1
    assert choose_map(rows, alone, 2).number == 0


def test_constant_columns_change_nothing(rows):
    X, codes = rows
    wide = np.column_stack([np.full(240, 7.0, dtype=np.float32), X])
    fold = next(folds(codes))
    plain, *_ = answered(X, codes, 2, *fold)
    also, *_ = answered(wide, codes, 2, *fold)
    assert_array_equal(also, plain)
    assert choose_map(wide, codes, 2).number > 0


def test_rows_far_from_the_origin_are_told_apart(rows):
    X, codes = rows
    far = X + np.float32(1000.0)
    for fold in folds(codes):
        near = np.array(answered(X, codes, 2, *fold)[:2])
        same = near == np.array(answered(far, codes, 2, *fold)[:2])
        assert same.mean() > 0.98


def test_75_rows_of_iris_do_not_lose(random):
    # Any map is as good as none here: one that leads by a row or two is no better.
    X, y = load_iris(return_X_y=True)
    lost = []
    for _ in range(20):
        order = random.permutation(150)
        rows, codes = X[order].astype(np.float32), y[order]
        number = choose_map(rows[:75], codes[:75], 3).number
        right = answered(rows, codes, 3, np.arange(75), np.arange(75, 150))
        accuracy = [found.mean() for found in right]
        lost.append(accuracy[0] - accuracy[number])
    assert np.mean(lost) < 0.005
    assert np.mean(np.array(lost) > 0) < 0.15
