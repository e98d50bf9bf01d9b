"""The result of a comparison: choice and figures, and how a terminal shows them."""

import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np
from scipy.stats import sem, t

from knngraph.compare.cross_validation import MAJORITY, Measured
from knngraph.compare.table import counted

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
NOTE = (
    "Accuracy: mean and standard deviation over the folds, in percent. Balanced: "
    "mean share of right answers over the classes. Log loss: mean of -log of the "
    "probability of the right class, cut at 1e-15. Fit: seconds, mean over the "
    "folds. Query: microseconds a row of a batch, median over the folds, without "
    "preparing the columns."
)
# Characters of a line, and of the longest bar.
_WIDTH = 88
_BAR = 40
# Heads of the columns of `figures`.
HEADS = ["accuracy, %", "balanced, %", "log loss", "fit, s", "µs a query"]


@dataclass(frozen=True)
class Choice:
    """The method to take, None where nothing beats the majority class, and why.

    `best` has the highest mean accuracy.
    """

    chosen: Measured | None
    best: Measured
    reason: str


def choose(measured: list[Measured]) -> Choice:
    """Apply the rule to figures that include those of the majority class."""
    (majority,) = [m for m in measured if m.method.name == MAJORITY]
    methods = [m for m in measured if m.failure is None and m.method.name != MAJORITY]
    if not methods:
        return Choice(None, majority, "No method could be fitted.")
    best = max(methods, key=lambda m: m.mean_accuracy)
    gain = best.mean_accuracy - majority.mean_accuracy
    # What a mean difference must exceed, by the t distribution of the folds.
    quantile = float(t.ppf(_CONFIDENCE, len(best.accuracy) - 1))
    if gain <= quantile * _standard_error(best, majority):
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
    return float(sem(np.subtract(one.accuracy, other.accuracy)))


def _why(
    chosen: Measured, best: Measured, close: list[Measured], as_fast: list[Measured]
) -> str:
    accuracy = f"{100 * chosen.mean_accuracy:.1f} % right"
    speed = f"{format_microseconds(chosen.query_microseconds)} microseconds a query"
    if len(close) == 1:
        return f"{accuracy}, {speed}; every other method is behind by more than noise."
    if chosen is best:
        how = "none of them faster" if len(as_fast) == 1 else "none of them much faster"
        comes = "comes" if len(close) == 2 else "come"
        return (
            f"{accuracy}, the best here, {speed}; "
            f"{counted(len(close) - 1, 'other method')} {comes} within one standard "
            f"error, {how}."
        )
    ratio = best.query_microseconds / chosen.query_microseconds
    behind = 100 * (best.mean_accuracy - chosen.mean_accuracy)
    return (
        f"{accuracy}, within one standard error of the best ({best.method.name}, "
        f"{behind:.1f} points more) and {ratio:.1f} times as fast: {speed}."
    )


def _no_better(best: Measured, majority: Measured) -> str:
    text = (
        "No method is better than always saying the most frequent class "
        f"({100 * majority.mean_accuracy:.1f} % right) by more than the folds differ "
        f"by chance; the best, {best.method.name}, has "
        f"{100 * best.mean_accuracy:.1f} %. "
    )
    gain = np.subtract(best.balanced_accuracy, majority.balanced_accuracy)
    if gain.mean() > max(2 * sem(gain), 0.02):
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
    >>> from knngraph.compare.comparison import format_microseconds
    >>> format_microseconds(3.21), format_microseconds(45.6), format_microseconds(1234)
    ('3.2', '46', '1,234')
    """
    return f"{value:.1f}" if value < 10 else f"{value:,.0f}"


@dataclass(frozen=True)
class Comparison:
    """What was compared, on what, and what came out.

    Parameters
    ----------
    class_names, class_counts : ndarray of shape (n_classes,)
    n_columns : int
        Columns that are learned from.
    notices : list of str
        What was left out or changed.
    """

    path: Path
    target: str
    class_names: np.ndarray
    class_counts: np.ndarray
    n_columns: int
    n_folds: int
    seed: int
    n_jobs: int
    notices: list[str]
    preparation: list[str]
    measured: list[Measured]
    choice: Choice

    @property
    def n_rows(self) -> int:
        """Rows that were compared on."""
        return int(self.class_counts.sum())

    @property
    def chosen_name(self) -> str | None:
        """Name of the method to take, None where nothing is recommended."""
        chosen = self.choice.chosen
        return None if chosen is None else chosen.method.name

    @property
    def fitted(self) -> list[Measured]:
        """The methods that could be fitted, in their order."""
        return [entry for entry in self.measured if entry.failure is None]


def figures(comparison: Comparison) -> list[list[str]]:
    """Name and figures of every fitted method as text, under `HEADS`."""
    return [
        [
            entry.method.name,
            f"{100 * entry.mean_accuracy:.2f} ± {100 * entry.spread:.2f}",
            f"{100 * np.mean(entry.balanced_accuracy):.2f}",
            f"{np.mean(entry.log_loss):.3f}",
            f"{np.mean(entry.fit_seconds):.2f}" if entry.fit_seconds else "same",
            f"{entry.query_microseconds:,.1f}",
        ]
        for entry in comparison.fitted
    ]


def remarks(comparison: Comparison) -> list[str]:
    """Errors of methods that could not be fitted, first warnings of the others."""
    lines = []
    for entry in comparison.measured:
        name = entry.method.name
        if entry.failure is not None:
            lines.append(f"{name} could not be fitted: {entry.failure}")
        elif entry.warned:
            lines.append(
                f"{name} warned {counted(len(entry.warned), 'time')}, first: "
                f"{entry.warned[0]}"
            )
    return lines


def wrong_in_hundred(comparison: Comparison) -> list[tuple[str, float, float]]:
    """Name, mean and spread of the share of wrong answers, in percent."""
    return [
        (entry.method.name, 100 - 100 * entry.mean_accuracy, 100 * entry.spread)
        for entry in comparison.fitted
    ]


def largest_bar(comparison: Comparison) -> float:
    """Wrong answers at the end of the axis: the majority class may leave it."""
    shares = [wrong for _, wrong, _ in wrong_in_hundred(comparison)]
    # The first is the majority class, of which all others are far ahead mostly.
    return max([*shares[1:], 1e-9]) if len(shares) > 1 else max(shares[0], 1e-9)


def headline(comparison: Comparison) -> str:
    """File, rows, columns, classes and folds in one sentence."""
    threads = "one thread" if comparison.n_jobs == 1 else f"{comparison.n_jobs} threads"
    return (
        f"{comparison.path.name}: {counted(comparison.n_rows, 'row')}, "
        f"{counted(comparison.n_columns, 'column')}, "
        f"{counted(len(comparison.class_names), 'class')} in {comparison.target!r}; "
        f"{comparison.n_folds} stratified folds, seed {comparison.seed}, {threads}."
    )


def choice_lines(comparison: Comparison) -> list[str]:
    """The method to take, why, and by which rule."""
    choice = comparison.choice
    if choice.chosen is None:
        return [choice.reason]
    method = choice.chosen.method
    return [
        f"Choose: {method.name}. {choice.reason}",
        f"In Python: {method.code}",
        f"Rule: {RULE}",
    ]


def write_text(comparison: Comparison, stream: TextIO) -> None:
    """Print what was compared, the table, the picture and the choice.

    Letters that the encoding of the stream lacks are replaced by plain ones.
    """
    plain = not _can_write("±µ█▌", stream)
    paragraphs = [
        _wrap(headline(comparison)),
        *(_wrap(notice, "- ") for notice in comparison.notices),
        *(_wrap(line, "- ") for line in comparison.preparation),
        "",
        format_table(comparison, plain=plain),
        *(_wrap(remark) for remark in remarks(comparison)),
        _wrap(NOTE),
        "",
        format_bars(comparison, plain=plain),
        "",
        *(_wrap(line) for line in choice_lines(comparison)),
    ]
    stream.write("\n".join(paragraphs) + "\n")
    stream.flush()


def format_table(comparison: Comparison, *, plain: bool = False) -> str:
    """Aligned columns with a head; a star marks the choice."""
    rows = [["", *HEADS], *figures(comparison)]
    if plain:
        rows = [[c.replace("±", "+-").replace("µ", "u") for c in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = []
    for name, *cells in rows:
        mark = "* " if name == comparison.chosen_name else "  "
        right = [f"{cell:>{width}}" for cell, width in zip(cells, widths[1:])]
        lines.append(mark + "  ".join([f"{name:{widths[0]}}", *right]))
    return "\n".join(lines)


def format_bars(comparison: Comparison, *, plain: bool = False) -> str:
    """Bars of the wrong answers in a hundred, from zero."""
    full, half, cut = ("#", "", ">") if plain else ("█", "▌", "»")
    shares = wrong_in_hundred(comparison)
    end = largest_bar(comparison)
    width = max(len(name) for name, _, _ in shares) + 2
    texts = ["Wrong answers in a hundred (shorter is better)"]
    for name, wrong, _ in shares:
        if wrong > end * (1 + 1e-12):
            bar = full * (_BAR - 1) + cut
        else:
            halves = round(2 * _BAR * wrong / end)
            bar = full * (halves // 2) + half * (halves % 2)
        texts.append(f"  {name:{width - 2}}{wrong:7.2f}  {bar}".rstrip())
    return "\n".join(texts)


def _wrap(text: str, bullet: str = "") -> str:
    return textwrap.fill(
        text,
        _WIDTH,
        initial_indent=bullet,
        subsequent_indent=" " * len(bullet),
        break_long_words=False,
        break_on_hyphens=False,
    )


def _can_write(text: str, stream: TextIO) -> bool:
    try:
        text.encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
