"""Measured and published figures by method and set."""

import csv
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.statistics import mean_and_spread

PUBLISHED = Path(__file__).resolve().parent.parent / "published.csv"
PERCENT = frozenset(
    {"accuracy", "macro_precision", "macro_recall", "macro_f1", "mean_class_f1"}
)


@dataclass(frozen=True)
class Results:
    """Values over the folds.

    Parameters
    ----------
    values : mapping of metric to method to set to (mapping of fold to value)
        Scores in percent, times in seconds.
    n_folds : int
    conditions : mapping of str to str
        Versions and machine.
    """

    values: Mapping[str, Mapping[str, Mapping[str, Mapping[int, float]]]]
    n_folds: int
    conditions: Mapping[str, str]

    @classmethod
    def from_rows(cls, rows: Sequence[Mapping[str, str]]) -> "Results":
        """Collect the rows of a journal."""
        values: dict = defaultdict(lambda: defaultdict(lambda: defaultdict(dict)))
        for row in rows:
            factor = 100.0 if row["metric"] in PERCENT else 1.0
            by_set = values[row["metric"]][row["method"]][row["set"]]
            by_set[int(row["fold"])] = factor * float(row["value"])
        return cls(values, int(rows[0]["folds"]), rows[0])

    def folds(self, metric: str, method: str, name: str) -> list[float]:
        """Values in the order of the folds; empty where nothing was measured."""
        by_fold = self.values.get(metric, {}).get(method, {}).get(name, {})
        return [by_fold[fold] for fold in sorted(by_fold)]

    def mean(self, metric: str, method: str, name: str) -> float | None:
        """Mean over the folds, None where nothing was measured."""
        found = self.folds(metric, method, name)
        return mean_and_spread(found)[0] if found else None

    def means(self, metric: str) -> dict[str, dict[str, float]]:
        """Means by method and set, of those that were measured in all folds."""
        return {
            method: {
                name: float(np.mean(list(by_fold.values())))
                for name, by_fold in by_set.items()
                if len(by_fold) == self.n_folds
            }
            for method, by_set in self.values.get(metric, {}).items()
        }

    @property
    def sets(self) -> list[str]:
        """Sets of which anything was measured."""
        return sorted({s for m in self.values["accuracy"].values() for s in m})

    def convergence(self, method: str, name: str) -> np.ndarray:
        """Objective after every iteration, mean over the folds.

        Folds that stop sooner stay at their last value.

        Returns
        -------
        ndarray of shape (n_steps,)
            Empty where nothing was measured.
        """
        steps = {
            int(metric.removeprefix("objective_")): by_method[method][name]
            for metric, by_method in self.values.items()
            if metric.startswith("objective_") and name in by_method.get(method, {})
        }
        if not steps:
            return np.empty(0)
        last: dict[int, float] = {}
        path = []
        for step in sorted(steps):
            last |= steps[step]
            path.append(np.mean([last[fold] for fold in sorted(last)]))
        return np.array(path)


@dataclass(frozen=True)
class Published:
    """One printed figure and where it is printed."""

    value: float
    printed: str
    source: str


def read_published(path: Path = PUBLISHED) -> dict[tuple[str, str, str], Published]:
    """Printed figures by (metric, method, set)."""
    with path.open(newline="", encoding="utf-8") as file:
        return {
            (row["metric"], row["method"], row["set"]): Published(
                float(row["value"]), row["value"], row["source"]
            )
            for row in csv.DictReader(file)
        }
