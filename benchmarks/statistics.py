"""How methods compare over folds and over sets."""

import numpy as np
import pandas as pd
from scipy.stats import linregress, wilcoxon

# A Wilcoxon test of fewer pairs says nothing.
LEAST_SETS = 5
SIGNIFICANT = 0.05


def mean_ranks(scores: pd.DataFrame) -> pd.Series:
    """Mean rank of every method over the sets; 1 is the highest score.

    Parameters
    ----------
    scores : DataFrame of shape (n_sets, n_methods)

    Returns
    -------
    Series of shape (n_methods,)
        Equal scores share their ranks.

    Examples
    --------
    >>> import pandas as pd
    >>> from benchmarks.statistics import mean_ranks
    >>> mean_ranks(pd.DataFrame({"a": [0.9, 0.8], "b": [0.9, 0.7]})).tolist()
    [1.25, 1.75]
    """
    # Sums of the same scores in another order must still tie.
    return scores.round(9).rank(axis=1, ascending=False).mean()


def signed_rank_p(gain: pd.Series) -> float:
    """Two-sided p of Wilcoxon's signed-rank test; nan where nothing is to be tested.

    That is with fewer than five sets, or where two methods are level everywhere.
    """
    gain = gain.round(9)
    if len(gain) < LEAST_SETS or not gain.any():
        return np.nan
    return float(wilcoxon(gain).pvalue)


def holm(p: pd.Series) -> pd.Series:
    """p values that stand for all comparisons together (Holm 1979); nan stays."""
    known = p.dropna().sort_values()
    adjusted = (known * np.arange(len(known), 0, -1)).cummax().clip(upper=1.0)
    return adjusted.reindex(p.index)


def compare(scores: pd.DataFrame, reference: str, margin: float = 0.0) -> pd.DataFrame:
    """Methods beside a reference, on the sets that all of them have.

    Parameters
    ----------
    scores : DataFrame of shape (n_sets, n_methods)
        nan where a method was not measured on a set.
    reference : str
        One of the methods.
    margin : float, default=0.0
        Up to this difference two scores are level.

    Returns
    -------
    DataFrame of shape (n_methods, 7)
        Best mean first: mean, rank, gain (mean difference to the reference), wins,
        ties, losses, and p, Holm-adjusted, nan where no test was possible.
    """
    scores = scores.dropna()
    gain = scores.sub(scores[reference], axis=0).round(9)
    wins, losses = (gain > margin).sum(), (gain < -margin).sum()
    found = pd.DataFrame(
        {
            "mean": scores.mean(),
            "rank": mean_ranks(scores),
            "gain": gain.mean(),
            "wins": wins,
            "ties": len(scores) - wins - losses,
            "losses": losses,
            "p": holm(gain.apply(signed_rank_p)),
        }
    )
    return found.sort_values("mean", ascending=False, kind="stable")


def lines_of(
    found: pd.DataFrame, reference: str, *, digits: int = 2, bold: bool = False
) -> list[list[str]]:
    """Comparisons as lines of a table: method, mean, rank, gain, counts, p.

    On demand a method is bold where a test says that it differs.
    """
    lines = []
    for row in found.itertuples():
        beside = ["", "", ""]
        if row.Index != reference:
            beside = [
                f"{row.gain:+.2f}",
                f"{row.wins} / {row.ties} / {row.losses}",
                "no test" if np.isnan(row.p) else f"{row.p:.{digits}g}",
            ]
        differs = bold and row.p < SIGNIFICANT
        name = f"**{row.Index}**" if differs else row.Index
        lines.append([name, f"{row.mean:.2f}", f"{row.rank:.2f}", *beside])
    return lines


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
    line = linregress(x, y)
    return float(line.slope), float(line.stderr) if len(x) > 2 else float("nan")
