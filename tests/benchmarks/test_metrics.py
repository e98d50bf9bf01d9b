"""Macro averages against scikit-learn and by hand; clocks that stop."""

import numpy as np
import pytest
from sklearn.metrics import f1_score, precision_score, recall_score

from benchmarks.metrics import median_seconds, quality


def test_macro_averages():
    y = np.array([0, 0, 0, 1, 1, 2])
    answers = np.array([0, 0, 1, 1, 1, 0])
    scores = quality(y, answers)
    P, R = (2 / 3 + 2 / 3 + 0) / 3, (2 / 3 + 1 + 0) / 3
    assert scores["accuracy"] == pytest.approx(4 / 6)
    assert scores["macro_precision"] == pytest.approx(P)
    assert scores["macro_recall"] == pytest.approx(R)
    assert scores["macro_f1"] == pytest.approx(2 * P * R / (P + R))
    assert scores["mean_class_f1"] == pytest.approx((2 / 3 + 4 / 5 + 0) / 3)


def test_averages_are_those_of_scikit_learn():
    random = np.random.default_rng(1)
    y, answers = random.integers(0, 7, size=(2, 90))
    scores = quality(y, answers)
    for name, function in (
        ("macro_precision", precision_score),
        ("macro_recall", recall_score),
        ("mean_class_f1", f1_score),
    ):
        expected = function(y, answers, average="macro", zero_division=0.0)
        assert scores[name] == pytest.approx(expected)


def test_answers_that_are_all_wrong():
    scores = quality(np.array([0, 1]), np.array([1, 0]))
    assert set(scores.values()) == {0.0}


def test_slow_calls_are_made_once(monkeypatch):
    ticks = iter([0.0, 9.0])
    monkeypatch.setattr("benchmarks.metrics.time.perf_counter", lambda: next(ticks))
    assert median_seconds(lambda: None, at_most=5, budget=1.0) == 9.0


def test_quick_calls_are_made_a_few_times(monkeypatch):
    ticks = iter([0.0, 0.3, 1.0, 1.1, 2.0, 2.2])
    monkeypatch.setattr("benchmarks.metrics.time.perf_counter", lambda: next(ticks))
    taken = median_seconds(lambda: None, at_most=3, budget=1.0)
    assert taken == pytest.approx(0.2)
