"""Scores of answers, and clocks."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.metrics import precision_recall_fscore_support

QUALITY = ("accuracy", "macro_precision", "macro_recall", "macro_f1", "mean_class_f1")


def quality(y: np.ndarray, answers: np.ndarray) -> dict[str, float]:
    """Accuracy and macro averages.

    Parameters
    ----------
    y, answers : ndarray of shape (n_queries,)

    Returns
    -------
    dict of str to float
        Shares of one. "macro_f1" is the harmonic mean of macro precision and
        macro recall, as in the publication; "mean_class_f1" is the mean of the
        F1 of every class, as in scikit-learn.

    Examples
    --------
    >>> import numpy as np
    >>> from benchmarks.metrics import quality
    >>> scores = quality(np.array([0, 0, 1, 1]), np.array([0, 0, 0, 1]))
    >>> scores["accuracy"], scores["macro_recall"]
    (0.75, 0.75)
    """
    precision, recall, f1, _ = precision_recall_fscore_support(
        y, answers, average=None, zero_division=0.0
    )
    P, R = float(precision.mean()), float(recall.mean())
    values = (
        float(np.mean(answers == y)),
        P,
        R,
        2.0 * P * R / (P + R) if P + R > 0.0 else 0.0,
        float(f1.mean()),
    )
    return dict(zip(QUALITY, values))


def seconds(function: Callable[[], Any]) -> float:
    """Time that one call takes."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def median_seconds(
    function: Callable[[], Any], *, at_most: int = 5, budget: float = 0.5
) -> float:
    """Median time of some calls: no more than asked for, or than the budget allows."""
    taken = [seconds(function)]
    while len(taken) < at_most and sum(taken) < budget:
        taken.append(seconds(function))
    return float(np.median(taken))


def seconds_in_turn(
    ways: Mapping[str, Callable[[], Any]],
    rounds: int,
    clock: Callable[[], float] = time.perf_counter,
) -> pd.DataFrame:
    """Seconds of every way, a column a way, a row a round in which all are called.

    The ways take turns, every other round in reverse: a machine that is slow for a
    while is so for all of them, and each finds what another left in the caches.
    """
    taken = np.empty((rounds, len(ways)))
    functions = list(enumerate(ways.values()))
    for turn in range(rounds):
        for place, function in functions if turn % 2 else reversed(functions):
            start = clock()
            function()
            taken[turn, place] = clock() - start
    return pd.DataFrame(taken, columns=list(ways))


def warm_up(model: Any, n_features: int) -> None:
    """Compile and load what the model needs, so that no clock sees it."""
    random = np.random.default_rng(0)
    codes = np.repeat(np.arange(4), 20)
    rows = random.normal(size=(80, n_features)) + 3.0 * codes[:, None]
    clone(model).fit(rows, codes).predict(rows[:4])
