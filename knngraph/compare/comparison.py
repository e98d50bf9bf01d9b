"""A finished comparison, as the reports read it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from knngraph.compare.choose import Choice
from knngraph.compare.measure import Measured
from knngraph.compare.problem import counted

NOTE = (
    "Accuracy: mean and standard deviation over the folds, in percent. Balanced: "
    "mean share of right answers over the classes. Log loss: mean of -log of the "
    "probability of the right class, cut at 1e-15. Fit: seconds, mean over the "
    "folds. Query: microseconds a row of a batch, median over the folds, without "
    "preparing the columns."
)


@dataclass(frozen=True)
class Comparison:
    """What was compared, on what, and what came out.

    Parameters
    ----------
    path : Path
    target : str
    class_names : ndarray of shape (n_classes,)
    class_counts : ndarray of shape (n_classes,)
    n_columns : int
        Columns that are learned from.
    n_folds, seed, n_jobs : int
    notices : list of str
        What was left out or changed.
    preparation : list of str
    measured : list of Measured
    choice : Choice
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


@dataclass(frozen=True)
class TableLine:
    """The figures of one method as text.

    Parameters
    ----------
    name, accuracy, spread, balanced, log_loss, fit, query : str
    """

    name: str
    accuracy: str
    spread: str
    balanced: str
    log_loss: str
    fit: str
    query: str


def table_lines(comparison: Comparison) -> list[TableLine]:
    """Figures of every method that could be fitted, in their order."""
    lines = []
    for entry in comparison.measured:
        if entry.failure is not None:
            continue
        fit = f"{np.mean(entry.fit_seconds):.2f}" if entry.fit_seconds else "same"
        lines.append(
            TableLine(
                entry.reading.name,
                f"{100 * entry.mean_accuracy:.2f}",
                f"{100 * entry.spread:.2f}",
                f"{100 * np.mean(entry.balanced_accuracy):.2f}",
                f"{np.mean(entry.log_loss):.3f}",
                fit,
                f"{entry.query_microseconds:,.1f}",
            )
        )
    return lines


def remarks(comparison: Comparison) -> list[str]:
    """What the methods said that could not be fitted, and what others warned of."""
    lines = []
    for entry in comparison.measured:
        name = entry.reading.name
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
        (entry.reading.name, 100 - 100 * entry.mean_accuracy, 100 * entry.spread)
        for entry in comparison.measured
        if entry.failure is None
    ]


def largest_bar(comparison: Comparison) -> float:
    """Wrong answers at the end of the axis: the majority class may leave it."""
    shares = [wrong for _, wrong, _ in wrong_in_hundred(comparison)]
    # The first is the majority class, of which all others are far ahead mostly.
    return max([*shares[1:], 1e-9]) if len(shares) > 1 else max(shares[0], 1e-9)
