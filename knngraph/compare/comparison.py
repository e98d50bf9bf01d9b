"""The result of a comparison: the choice, the figures, and text for a terminal."""

import textwrap
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import sem, t

from knngraph.compare.cross_validation import Measured
from knngraph.compare.methods import MAJORITY
from knngraph.tables.load import LabeledTable, TableOptions
from knngraph.tables.table import counted

# Times this close are noise of the machine; then accuracy decides.
_AS_FAST = 2.0
# Confidence that the best beats the majority class, and that a log loss is worse: of a
# dozen methods one is a little better than another by chance, and few folds tell
# little of their spread.
_CONFIDENCE = 0.975
_ROUNDING = 1e-9

RULE = (
    "Of the methods within one standard error of the most accurate one (of the "
    "paired differences over the folds), without those with a clearly worse log loss "
    "than the best of theirs (by more than the folds differ by chance), the fastest at "
    "a query; of those up to twice as slow as that, the most accurate."
)
NOTE = (
    "Means over the folds, of the accuracy also the standard deviation. Balanced: mean "
    "share of right answers over the classes. AUC: area under the ROC curve, one class "
    "against the rest, mean over the classes. Log loss: mean of -log of the "
    "probability of the right class, cut at 1e-15. Fit: seconds, with the encoding of "
    "the columns. Query: microseconds a row of a batch, without, median."
)
# Heads of the columns of `figures`.
HEADS = ["accuracy, %", "balanced, %", "AUC", "log loss", "fit, s", "µs a query"]
_WIDTH = 88
_WHOLE_WORDS: Any = {"break_long_words": False, "break_on_hyphens": False}


def choose(measured: list[Measured]) -> tuple[Measured | None, str]:
    """The method to take by the rule, None where none beats the majority, and why."""
    (majority,) = [m for m in measured if m.name == MAJORITY]
    methods = [m for m in measured if not m.failure and m is not majority]
    if not methods:
        return None, "No method could be fitted."
    best = max(methods, key=lambda m: m.mean_accuracy)
    if not _clearly_above(best.accuracy, majority.accuracy):
        return None, (
            "No method is better than always saying the most frequent class "
            f"({100 * majority.mean_accuracy:.1f} % right) by more than the folds "
            f"differ by chance; the best, {best.name}, has "
            f"{100 * best.mean_accuracy:.1f} %. Balanced accuracies say whether one "
            "tells rare classes apart."
        )
    close = [
        m for m in methods if np.less_equal(*_difference(best.accuracy, m.accuracy))
    ]
    surest = min(close, key=lambda m: np.mean(m.log_loss))
    fair = [m for m in close if not _clearly_above(m.log_loss, surest.log_loss)]
    fastest = min(m.query_microseconds for m in fair)
    as_fast = [m for m in fair if m.query_microseconds <= _AS_FAST * fastest]
    chosen = max(as_fast, key=lambda m: m.mean_accuracy)
    reason = (
        f"{100 * chosen.mean_accuracy:.1f} % right, log loss "
        f"{np.mean(chosen.log_loss):.3f}, {chosen.query_microseconds:,.1f} "
        "microseconds a query; "
    )
    if len(close) == 1:
        return chosen, reason + "every other method is behind by more than noise."
    unsure = len(close) - len(fair)
    return chosen, (
        f"{reason}{len(close)} methods are within one standard error of the best, "
        f"{best.name} ({100 * (best.mean_accuracy - chosen.mean_accuracy):.1f} points "
        f"more){f', {unsure} of them with a clearly worse log loss' * bool(unsure)}."
    )


def _difference(one: Any, other: Any) -> tuple[float, float]:
    """Mean difference on the same folds, and its standard error."""
    differences = np.subtract(one, other)
    return float(differences.mean()), float(sem(differences))


def _clearly_above(one: Any, other: Any) -> bool:
    """Whether a mean difference is more than chance, by the t distribution."""
    above, error = _difference(one, other)
    # What rounding leaves of equal figures is no difference.
    error = max(error, _ROUNDING * abs(float(np.mean(other))))
    return above > float(t.ppf(_CONFIDENCE, len(one) - 1)) * error


@dataclass(frozen=True)
class Comparison:
    """What was compared, on what, and what came out.

    `pipeline` is that of the choice, unfitted, for rows as they are in a file; None
    with `chosen` where nothing is recommended.
    """

    options: TableOptions
    table: LabeledTable
    folds: Any
    n_jobs: int
    notices: list[str]
    measured: list[Measured]
    chosen: Measured | None
    reason: str
    pipeline: Any

    @property
    def fitted(self) -> list[Measured]:
        """The methods that could be fitted, in their order."""
        return [entry for entry in self.measured if not entry.failure]

    @property
    def chosen_name(self) -> str | None:
        """Name of the method to take."""
        return self.chosen.name if self.chosen else None


def figures(comparison: Comparison) -> list[list[str]]:
    """Name and figures of every fitted method as text, under `HEADS`."""
    return [
        [
            m.name,
            f"{100 * m.mean_accuracy:.2f} ± {100 * np.std(m.accuracy, ddof=1):.2f}",
            f"{100 * np.mean(m.balanced):.2f}",
            f"{np.nanmean(m.area):.4f}",
            f"{np.mean(m.log_loss):.3f}",
            f"{np.mean(m.fit_seconds):.2f}",
            f"{m.query_microseconds:,.1f}",
        ]
        for m in comparison.fitted
    ]


def remarks(comparison: Comparison) -> list[str]:
    """Errors of methods that could not be fitted, first warnings of the others."""
    lines = [f"{m.name} failed: {m.failure}" for m in comparison.measured if m.failure]
    for m in comparison.fitted:
        if m.warned:
            n_warnings = counted(len(m.warned), "warning")
            lines.append(f"{m.name} gave {n_warnings}, first: {m.warned[0]}")
    return lines


def headline(comparison: Comparison) -> str:
    """File, rows, columns, classes and folds in one sentence."""
    options, table = comparison.options, comparison.table
    return (
        f"{options.file.name}: {counted(len(table.frame), 'row')}, "
        f"{counted(len(table.frame.columns), 'column')}, "
        f"{counted(len(table.classes), 'class')} in {options.target!r}; "
        f"{comparison.folds.n_splits} stratified folds, seed {options.seed}, "
        f"{counted(comparison.n_jobs, 'thread')}."
    )


def choice_lines(comparison: Comparison) -> list[str]:
    """The method to take, why, and by which rule."""
    if comparison.chosen is None:
        return [comparison.reason]
    code = " ".join(repr(comparison.chosen.method.estimator).split())
    return [
        f"Choose: {comparison.chosen_name}. {comparison.reason}",
        f"In Python: skrub.tabular_pipeline({code})",
        f"Rule: {RULE}",
    ]


def text_report(comparison: Comparison) -> str:
    """What was compared, the table and the choice, for a terminal."""
    rows = [["", *HEADS], *figures(comparison)]
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = []
    for name, *cells in rows:
        mark = "*" if name == comparison.chosen_name else " "
        right = [f"{cell:>{width}}" for cell, width in zip(cells, widths[1:])]
        lines.append("  ".join([f"{mark} {name:{widths[0]}}", *right]))
    before = [f"- {notice}" for notice in comparison.notices]
    after = [*remarks(comparison), NOTE, "", *choice_lines(comparison)]
    paragraphs = [headline(comparison), *before, "", *lines, *after]
    return "\n".join(
        text if text in lines else textwrap.fill(text, _WIDTH, **_WHOLE_WORDS)
        for text in paragraphs
    )
