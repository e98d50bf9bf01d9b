"""Maps are judged on rows they were not fitted on."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.model_selection import KFold

import knngraph.inference.adaptive as adaptive
import knngraph.metric.choose as choose
from knngraph.graph.training_set import build_training_set
from knngraph.inference.adaptive import QueryProblem
from knngraph.metric.choose import (
    N_ROUNDS,
    choose_round,
    held_out_answers,
    sample_pairs,
)
from knngraph.parallel import one_blas_thread
from tests.reference import neighbors_sigma, query_votes

PROBLEM = QueryProblem(16, 0.0, 0.3, 0.02)


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


def maps_fitted(rows, codes, monkeypatch):
    """Maps of every fold, in order, and the answers."""
    fitted = []

    def keep(*arguments):
        maps = original(*arguments)
        fitted.append([m.copy() for m in maps])
        return maps

    original = choose.gradient_maps
    monkeypatch.setattr(choose, "gradient_maps", keep)
    right = held_out_answers(rows, codes, 2, PROBLEM)
    monkeypatch.setattr(choose, "gradient_maps", original)
    return fitted, right


def test_held_out_labels_are_never_seen(rows, random, monkeypatch):
    X, codes = rows
    maps, right = maps_fitted(X, codes, monkeypatch)
    for fold, (_, held_out) in enumerate(KFold(3).split(X)):
        flipped = codes.copy()
        flipped[held_out] = 1 - flipped[held_out]
        other_maps, other_right = maps_fitted(X, flipped, monkeypatch)
        assert len(maps[fold]) == N_ROUNDS
        assert_array_equal(other_maps[fold], maps[fold])
        # The answers stay, so that every right one is a wrong one now.
        assert_array_equal(other_right[:, held_out], ~right[:, held_out])
        elsewhere = [m for i, m in enumerate(maps) if i != fold]
        changed = [m for i, m in enumerate(other_maps) if i != fold]
        assert not np.array_equal(elsewhere, changed)


def test_answers_recomputed(rows, monkeypatch):
    X, codes = rows
    maps, right = maps_fitted(X, codes, monkeypatch)
    for fold, (fitted, held_out) in enumerate(KFold(3).split(X)):
        for place, linear in enumerate([np.eye(12), *maps[fold]]):
            mapped = X.astype(float) @ linear
            sigma = neighbors_sigma(mapped[fitted], 16)
            votes = np.array(
                [
                    query_votes(mapped[fitted], codes[fitted], [0, 1], q, 16, sigma)
                    for q in mapped[held_out]
                ]
            )
            clear = np.abs(votes[:, 0] - votes[:, 1]) > 0.02
            assert clear.mean() > 0.8
            expected = votes.argmax(axis=1) == codes[held_out]
            assert_array_equal(right[place, held_out][clear], expected[clear])


def test_a_map_is_chosen_where_it_helps(rows):
    right = held_out_answers(*rows, 2, PROBLEM)
    accuracy = right.mean(axis=1)
    chosen = choose_round(right)
    assert chosen > 0
    assert accuracy[chosen] > accuracy[0] + 0.1


def test_maps_of_nothing_answer_as_no_map_does(random):
    rows = np.zeros((30, 2), dtype=np.float32)
    right = held_out_answers(rows, random.integers(2, size=30), 2, PROBLEM)
    assert right.any()
    for place in range(1, 1 + N_ROUNDS):
        assert_array_equal(right[place], right[0])
    assert choose_round(right) == 0


def test_equals_go_to_the_fewest_rounds():
    right = np.zeros((4, 10), dtype=bool)
    right[1, :6] = right[3, :6] = True
    right[2, 4:10] = True
    assert choose_round(right) == 1
    right[0, 3:9] = True
    assert choose_round(right) == 0


@pytest.mark.parametrize("n_rows", [1, 2])
def test_too_few_rows_to_hold_any_out(n_rows):
    rows = np.arange(2.0 * n_rows, dtype=np.float32).reshape(n_rows, 2)
    assert choose_round(held_out_answers(rows, np.arange(n_rows), 2, PROBLEM)) == 0


def test_threads_change_nothing(rows, monkeypatch):
    monkeypatch.setattr(adaptive, "_QUERIES_PER_CHUNK", 16)
    one = held_out_answers(*rows, 2, PROBLEM)
    assert_array_equal(held_out_answers(*rows, 2, PROBLEM, n_threads=3), one)


def test_the_bandwidth_is_measured_on_the_fold(rows):
    given = held_out_answers(*rows, 2, replace(PROBLEM, sigma=1e-3))
    assert_array_equal(held_out_answers(*rows, 2, PROBLEM), given)


def test_a_sample_of_pairs(random):
    points = np.repeat(random.normal(size=(20, 2)), 2, axis=0).astype(np.float32)
    codes = np.tile([0, 0, 0, 1], 10)
    training = build_training_set(points, codes, 2)
    rows, sampled = sample_pairs(training, 12)
    assert len(rows) == len(sampled) == 12
    given = {(tuple(row), code) for row, code in zip(points.tolist(), codes.tolist())}
    taken = {(tuple(row), code) for row, code in zip(rows.tolist(), sampled.tolist())}
    assert taken <= given
    assert len(taken) == 12
    rows, sampled = sample_pairs(training, 10**6)
    assert len(rows) == training.n_pairs == 30
