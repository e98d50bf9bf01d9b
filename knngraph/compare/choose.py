"""Which method to take: the cheapest of those that cannot be told from the best."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import t

from knngraph.compare.measure import Measured
from knngraph.compare.methods import MAJORITY

# Times this close are noise of the machine; then accuracy decides.
_AS_FAST = 2.0
# Confidence that the best beats the majority class: of a dozen methods one is a
# little better than chance by chance, and few folds tell little of their spread.
_CONFIDENCE = 0.975

RULE = (
    "Of the methods within one standard error of the most accurate one (of the "
    "paired differences over the folds), the fastest at a query; of those up to "
    "twice as slow as that, the most accurate."
)


@dataclass(frozen=True)
class Choice:
    """The method to take, and why.

    Parameters
    ----------
    chosen : Measured or None
        None where nothing beats the majority class.
    best : Measured
        Of the highest mean accuracy.
    reason : str
    """

    chosen: Measured | None
    best: Measured
    reason: str


def choose(measured: list[Measured]) -> Choice:
    """Apply the rule.

    Parameters
    ----------
    measured : list of Measured
        One of them the majority class.

    Returns
    -------
    Choice
    """
    (majority,) = [m for m in measured if m.reading.name == MAJORITY]
    methods = [m for m in measured if m.failure is None and m.reading.name != MAJORITY]
    if not methods:
        return Choice(None, majority, "No method could be fitted.")
    best = max(methods, key=lambda m: m.mean_accuracy)
    gain = best.mean_accuracy - majority.mean_accuracy
    if gain <= _least_gain(best, majority):
        return Choice(None, best, _no_better(best, majority))
    close = [
        m
        for m in methods
        if best.mean_accuracy - m.mean_accuracy <= _standard_error(best, m)
    ]
    fastest = min(m.query_microseconds for m in close)
    as_fast = [m for m in close if m.query_microseconds <= _AS_FAST * fastest]
    chosen = max(as_fast, key=lambda m: m.mean_accuracy)
    return Choice(chosen, best, _why(chosen, best, close, as_fast))


def _standard_error(one: Measured, other: Measured) -> float:
    """Of the mean difference of two methods on the same folds."""
    differences = np.subtract(one.accuracy, other.accuracy)
    return float(np.std(differences, ddof=1) / np.sqrt(len(differences)))


def _least_gain(one: Measured, other: Measured) -> float:
    """What a mean difference must exceed, by the t distribution of the folds."""
    quantile = t.ppf(_CONFIDENCE, len(one.accuracy) - 1)
    return float(quantile) * _standard_error(one, other)


def _why(
    chosen: Measured, best: Measured, close: list[Measured], as_fast: list[Measured]
) -> str:
    accuracy = f"{100 * chosen.mean_accuracy:.1f} % right"
    speed = f"{format_microseconds(chosen.query_microseconds)} microseconds a query"
    if len(close) == 1:
        return f"{accuracy}, {speed}; every other method is behind by more than noise."
    if chosen is best:
        how = "none of them faster" if len(as_fast) == 1 else "none of them much faster"
        others = "1 other method comes" if len(close) == 2 else (
            f"{len(close) - 1} other methods come"
        )  # fmt: skip
        return (
            f"{accuracy}, the best here, {speed}; {others} within one standard "
            f"error, {how}."
        )
    ratio = best.query_microseconds / chosen.query_microseconds
    behind = 100 * (best.mean_accuracy - chosen.mean_accuracy)
    return (
        f"{accuracy}, within one standard error of the best ({best.reading.name}, "
        f"{behind:.1f} points more) and {ratio:.1f} times as fast: {speed}."
    )


def _no_better(best: Measured, majority: Measured) -> str:
    text = (
        "No method is better than always saying the most frequent class "
        f"({100 * majority.mean_accuracy:.1f} % right) by more than the folds differ "
        f"by chance; the best, {best.reading.name}, has "
        f"{100 * best.mean_accuracy:.1f} %. "
    )
    gain = np.subtract(best.balanced_accuracy, majority.balanced_accuracy)
    error = np.std(gain, ddof=1) / np.sqrt(len(gain))
    if gain.mean() > max(2 * error, 0.02):
        return text + (
            "It does tell the rare classes apart: its balanced accuracy is "
            f"{100 * np.mean(best.balanced_accuracy):.1f} % against "
            f"{100 * np.mean(majority.balanced_accuracy):.1f} %."
        )
    return text + "These columns do not tell the classes apart for any of them."


def format_microseconds(value: float) -> str:
    """Three digits at most below a thousand.

    Examples
    --------
    >>> from knngraph.compare.choose import format_microseconds
    >>> format_microseconds(3.21), format_microseconds(45.6), format_microseconds(1234)
    ('3.2', '46', '1,234')
    """
    return f"{value:.1f}" if value < 10 else f"{value:,.0f}"
