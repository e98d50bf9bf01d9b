"""Measured and published figures by method and set."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.metrics import QUALITY
from benchmarks.rows import read_rows

PUBLISHED = Path(__file__).resolve().parent.parent / "published.csv"


@dataclass(frozen=True)
class Results:
    """Values over the folds.

    Parameters
    ----------
    values : DataFrame with the columns metric, method, set, fold and value
        Scores in percent, times in seconds.
    n_folds : int
    conditions : mapping of str to str
        Versions and machine.
    """

    values: pd.DataFrame
    n_folds: int
    conditions: Mapping[str, str]

    @classmethod
    def of(cls, rows: pd.DataFrame) -> "Results":
        """Collect the rows of a journal."""
        factor = np.where(rows["metric"].isin(QUALITY), 100.0, 1.0)
        values = rows[["metric", "method", "set"]].assign(
            fold=rows["fold"].astype(int), value=factor * rows["value"].astype(float)
        )
        return cls(values, int(rows["folds"].iloc[0]), rows.iloc[0].to_dict())

    def summary(self, metric: str) -> pd.DataFrame:
        """Mean, std (nan of one fold) and count over the folds, by (method, set)."""
        of_metric = self.values[self.values["metric"] == metric]
        folds = of_metric.groupby(["method", "set"], sort=False)["value"]
        return folds.agg(["mean", "std", "count"])

    def means(self, metric: str) -> pd.DataFrame:
        """Means over the folds: a row a set, a column a method, nan where not there."""
        return self.summary(metric)["mean"].unstack("method")

    @property
    def sets(self) -> list[str]:
        """Sets of which anything was measured."""
        return sorted(self.values["set"].unique())

    def convergence(self, method: str, name: str) -> np.ndarray:
        """Objective after every iteration, mean over the folds.

        Folds that stop sooner stay at their last value.

        Returns
        -------
        ndarray of shape (n_steps,)
            Empty where nothing was measured.
        """
        v = self.values
        chosen = v[(v["method"] == method) & (v["set"] == name)]
        chosen = chosen[chosen["metric"].str.startswith("objective_")]
        steps = chosen["metric"].str.removeprefix("objective_").astype(int)
        by_step = chosen.assign(step=steps).pivot(
            index="step", columns="fold", values="value"
        )
        return by_step.ffill().mean(axis=1).to_numpy()


def read_published(path: Path = PUBLISHED) -> pd.Series:
    """Figures as they are printed, by (metric, method, set)."""
    return read_rows(path).set_index(["metric", "method", "set"])["value"]
