"""Figures of trained nets, over their seeds, and the published ones."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import t as students_t

from benchmarks.convnn.plans import KEY, Run
from benchmarks.rows import read_rows

_PUBLISHED = Path(__file__).with_name("published.csv")
_TYPES = {one.name: type(one.default) for one in fields(Run)}
_NET = tuple(name for name in KEY if name not in ("precision", "seed"))
_PRINTED = tuple(name for name in _NET if name != "recipe")


class Estimate(NamedTuple):
    """A mean over seeds.

    Parameters
    ----------
    mean, error : float
        And its standard error, nan with one seed.
    n_seeds : int
    freedom : int
        Degrees of freedom of the error.
    """

    mean: float
    error: float
    n_seeds: int
    freedom: int

    @classmethod
    def of(cls, values: pd.Series) -> "Estimate":
        """The estimate from a value a seed."""
        n = len(values)
        return cls(
            float(values.mean()) if n else np.nan,
            float(values.std(ddof=1) / np.sqrt(n)) if n > 1 else np.nan,
            n,
            n - 1,
        )

    def times(self, factor: float) -> "Estimate":
        """The same in another unit."""
        return self._replace(mean=factor * self.mean, error=factor * self.error)

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Student's interval; nan with one seed.

        Examples
        --------
        >>> import pandas as pd
        >>> from benchmarks.convnn.outcomes import Estimate
        >>> low, high = Estimate.of(pd.Series([1.0, 2.0, 3.0])).interval()
        >>> round(low, 2), round(high, 2)
        (-0.48, 4.48)
        """
        if np.isnan(self.error):
            return np.nan, np.nan
        half = students_t.ppf((1 + level) / 2, self.freedom) * self.error
        return self.mean - half, self.mean + half

    def text(self, digits: int = 2) -> str:
        """As in `53.21 ± 0.40`; a dash where nothing was measured."""
        if not self.n_seeds:
            return "-"
        mean = f"{self.mean:.{digits}f}"
        return mean if np.isnan(self.error) else f"{mean} ± {self.error:.{digits}f}"


@dataclass(frozen=True)
class Outcomes:
    """Nets of one file of figures.

    Parameters
    ----------
    rows : DataFrame
        A net a row: the fields of its run, and its metrics.
    conditions : dict of str to str
        What all of them have in common.
    """

    rows: pd.DataFrame
    conditions: Mapping[str, str]

    @cached_property
    def _places(self) -> dict[tuple[Any, ...], np.ndarray]:
        return self.rows.groupby(list(_NET)).indices

    def by_seed(self, metric: str, run: Run) -> pd.Series:
        """A metric of the nets like `run`, by seed; an empty precision is any."""
        if metric not in self.rows:
            return pd.Series(dtype=float)
        found = self.rows.iloc[self._places.get(_net_of(run), [])]
        if run.precision:
            found = found[found["precision"] == run.precision]
        found = found.sort_values("precision").drop_duplicates("seed")
        return found.set_index("seed")[metric].dropna()

    def estimate(self, metric: str, run: Run) -> Estimate:
        """Mean of a metric over the seeds."""
        return Estimate.of(self.by_seed(metric, run))

    def difference(self, metric: str, run: Run, other: Run) -> Estimate:
        """How far a run is above another one, over the seeds that both have.

        The error is of two nets with values that spread as all nets of the kind and
        the recipe do: what is left of a value without the mean of its net and that of
        its seed. A few seeds of two nets alone would say next to nothing of it.
        """
        found = (self.by_seed(metric, run) - self.by_seed(metric, other)).dropna()
        spread, freedom = self._spread(metric, run)
        n = len(found)
        error = spread * np.sqrt(2 / n) if n > 1 else np.nan
        return Estimate(float(found.mean()) if n else np.nan, error, n, freedom)

    def _spread(self, metric: str, run: Run) -> tuple[float, int]:
        """Standard deviation that net and seed do not explain, and its freedom."""
        alike = self.rows[["net", "recipe"]] == [run.net, run.recipe]
        rows = self.rows[alike.all(axis=1)]
        nets = [name for name in KEY if name != "seed"]
        values = rows.pivot(index=nets, columns="seed", values=metric)
        values = values.dropna(axis=1, how="all").dropna().to_numpy()
        if min(values.shape) < 2:
            return np.nan, 0
        freedom = (values.shape[0] - 1) * (values.shape[1] - 1)
        left = values - values.mean(axis=0) - values.mean(axis=1, keepdims=True)
        left += values.mean()
        return float(np.sqrt(np.square(left).sum() / freedom)), freedom

    def recipes(self) -> list[str]:
        """Names of the recipes, in the order of the preset."""
        said = self.conditions["recipes"].split("; ")
        named = [words.partition(":")[0] for words in said]
        return [name for name in named if (self.rows["recipe"] == name).any()]


def _net_of(run: Run) -> tuple[Any, ...]:
    return tuple(getattr(run, name) for name in _NET)


def read_outcomes(path: Path) -> Outcomes | None:
    """Figures of a file; None where there are none."""
    rows = read_rows(path)
    if rows.empty:
        return None
    others = [name for name in rows if name not in (*KEY, "metric", "value")]
    wide = rows.pivot(index=list(KEY), columns="metric", values="value")
    wide = wide.astype(float).reset_index()
    return Outcomes(wide.astype(_TYPES), dict(rows.iloc[0][others]))


class Published:
    """Figures of the poster, and of the training logs of its authors."""

    def __init__(self) -> None:
        rows = pd.read_csv(_PUBLISHED, dtype={"rate": str}).fillna({"rate": ""})
        self.rows = rows
        self._places = rows.groupby([*_PRINTED, "metric"]).indices

    def of(self, metric: str, run: Run, rate: str, source: str = "") -> float:
        """A figure of nets like a run; nan where none is published.

        Parameters
        ----------
        metric : str
        run : Run
        rate : str
            Learning rate as the file has it.
        source : str, default=""
            Empty is the first that there is.
        """
        key = (*(getattr(run, name) for name in _PRINTED), metric)
        found = self.rows.iloc[self._places.get(key, [])]
        found = found[found["rate"] == rate]
        if source:
            found = found[found["source"] == source]
        return float(found["value"].iloc[0]) if len(found) else np.nan
