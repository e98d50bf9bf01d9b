"""How methods compare over folds and over sets."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata, wilcoxon

# A Wilcoxon test of fewer pairs says nothing.
LEAST_SETS = 5
SIGNIFICANT = 0.05


def mean_and_spread(values: object) -> tuple[float, float]:
    """Mean and sample standard deviation; the spread of one value is nan."""
    values = np.asarray(values, dtype=np.float64)
    spread = float(values.std(ddof=1)) if len(values) > 1 else float("nan")
    return float(values.mean()), spread


def average_ranks(scores: np.ndarray) -> np.ndarray:
    """Mean rank of every method over the sets; 1 is the highest score.

    Parameters
    ----------
    scores : ndarray of shape (n_methods, n_sets)

    Returns
    -------
    ndarray of shape (n_methods,)
        Equal scores share their ranks.

    Examples
    --------
    >>> import numpy as np
    >>> from benchmarks.statistics import average_ranks
    >>> average_ranks(np.array([[0.9, 0.8], [0.9, 0.7], [0.1, 0.9]]))
    array([1.75, 2.25, 2.  ])
    """
    # Sums of the same scores in another order must still tie.
    return rankdata(-np.round(scores, 9), axis=0).mean(axis=1)


def win_tie_loss(
    scores: np.ndarray, rival: np.ndarray, margin: float = 0.0
) -> tuple[int, int, int]:
    """On how many sets a method is above, level with, and below a rival."""
    gain = np.round(np.asarray(scores) - np.asarray(rival), 9)
    wins, losses = int((gain > margin).sum()), int((gain < -margin).sum())
    return wins, len(gain) - wins - losses, losses


def signed_rank_p(scores: np.ndarray, rival: np.ndarray) -> float | None:
    """Two-sided p of Wilcoxon's signed-rank test, None with fewer than five sets.

    None as well where the two are level everywhere: there is nothing to test.
    """
    gain = np.round(np.asarray(scores) - np.asarray(rival), 9)
    if len(gain) < LEAST_SETS or not gain.any():
        return None
    return float(wilcoxon(gain).pvalue)


def holm(p_values: list[float | None]) -> list[float | None]:
    """p values that stand for all comparisons together (Holm 1979)."""
    known = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    floor = 0.0
    for rank, (p, place) in enumerate(known):
        floor = max(floor, min(1.0, p * (len(known) - rank)))
        adjusted[place] = floor
    return adjusted


@dataclass(frozen=True)
class Comparison:
    """One method beside a reference over the same sets.

    Parameters
    ----------
    method : str
    mean, rank : float
    gain : float or None
        Mean difference to the reference; None for the reference itself.
    wins, ties, losses : int
    p : float or None
        Holm-adjusted; None where no test was possible.
    """

    method: str
    mean: float
    rank: float
    gain: float | None = None
    wins: int = 0
    ties: int = 0
    losses: int = 0
    p: float | None = None

    @property
    def is_significant(self) -> bool:
        """Whether the difference may be printed bold."""
        return self.p is not None and self.p < SIGNIFICANT


def compare(
    scores: Mapping[str, Mapping[str, float]], reference: str
) -> tuple[list[str], list[Comparison]]:
    """Compare methods on the sets that all of them have.

    Parameters
    ----------
    scores : mapping of method to (mapping of set to score)
    reference : str

    Returns
    -------
    sets : list of str
    comparisons : list of Comparison
        Best mean first.
    """
    sets = sorted(set.intersection(*(set(by_set) for by_set in scores.values())))
    if not sets:
        return [], []
    methods = list(scores)
    values = np.array([[scores[m][s] for s in sets] for m in methods])
    ranks = average_ranks(values)
    rival = values[methods.index(reference)]
    p_values = holm(
        [
            None if method == reference else signed_rank_p(row, rival)
            for method, row in zip(methods, values)
        ]
    )
    comparisons = []
    for place, method in enumerate(methods):
        own = (method, float(values[place].mean()), float(ranks[place]))
        if method == reference:
            comparisons.append(Comparison(*own))
            continue
        gain = float((values[place] - rival).mean())
        counts = win_tie_loss(values[place], rival)
        comparisons.append(Comparison(*own, gain, *counts, p_values[place]))
    return sets, sorted(comparisons, key=lambda c: (-c.mean, c.method))


def power_of_growth(sizes: object, costs: object) -> tuple[float, float]:
    """Exponent b of cost = a size^b, and its standard error.

    Least squares of log cost on log size; the error is nan with two sizes.

    Examples
    --------
    >>> from benchmarks.statistics import power_of_growth
    >>> b, error = power_of_growth([10, 100, 1000], [3.0, 300.0, 30000.0])
    >>> round(b, 6), round(error, 6)
    (2.0, 0.0)
    """
    x, y = np.log(np.asarray(sizes, float)), np.log(np.asarray(costs, float))
    if len(x) < 2:
        return float("nan"), float("nan")
    x, y = x - x.mean(), y - y.mean()
    slope = float(x @ y / (x @ x))
    if len(x) == 2:
        return slope, float("nan")
    rest = y - slope * x
    return slope, float(np.sqrt(rest @ rest / (len(x) - 2) / (x @ x)))
