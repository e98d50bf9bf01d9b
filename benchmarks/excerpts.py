"""The chart of the README and short tables of the guide, from measured pages.

    python -m benchmarks.excerpts

Nothing is measured: figures are read from docs/measured.md and docs/published.md, so
that a page which repeats one cannot say another. A test holds the pages to it.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.ticker import LogLocator, NullLocator

from benchmarks.figures import COLORS, as_svg, drawing, on_paper
from benchmarks.pages import DOCS, between, put_between, read_table, table, tables_of
from knngraph.inspection.search_displays import label_points

CHART = DOCS / "figures" / "accuracy-time.svg"
MEASURED = DOCS / "measured.md"
CHOOSE = DOCS / "guide" / "choose.md"
PUBLISHED = DOCS / "published.md"

# What a user wants, what to write for it, and its line in the short table.
DECISIONS = (
    (
        "the best accuracy, settings chosen for you",
        "`KNNGraphClassifierCV()`",
        "KNNGraphClassifierCV",
    ),
    (
        "nearly that, and less time to fit",
        '`inference="adaptive", metric="trees"`',
        "adaptive, metric=trees",
    ),
    ("accuracy and a quick fit", '`inference="adaptive"`', "adaptive"),
    ("most of it, faster", '`inference="cascade"`', "cascade"),
    (
        "what 1-NN gives, in microseconds",
        '`inference="lookup", ef="auto"`',
        "lookup (ef=auto)",
    ),
    (
        "a label in microseconds",
        'the defaults: `inference="lookup"`, greedy search',
        "lookup (ef=1)",
    ),
    ("to compare: one nearest neighbor, exactly", "", "1-NN"),
    ("to compare: five, scikit-learn's default", "", "5-NN"),
    ("to compare: k by cross-validation", "", "CV-kNN"),
    ("to compare: a tuned support vector machine", "", "SVC"),
    ("to compare: a random forest, as it comes", "", "random forest"),
    ("to compare: boosted trees, as they come", "", "HistGradientBoosting"),
)

# The lines of the short table that are this library, and names for the chart.
OURS = tuple(method for _, taken, method in DECISIONS if taken)
SPELLED = {
    "CV-kNN": "k-NN, k tuned",
    "HistGradientBoosting": "gradient boosting",
    "SVC": "SVC, tuned",
    "lookup (ef=1)": "lookup",
    "lookup (ef=auto)": "lookup, ef=auto",
}


def short_table() -> str:
    """The part of docs/measured.md that is repeated elsewhere."""
    return between(MEASURED, "in short")


def short_figures() -> pd.DataFrame:
    """The figures of the short table, by method."""
    lines = [line for line in short_table().splitlines() if line.startswith("|")]
    return read_table(lines).set_index("method")


def decision_table() -> str:
    """What to take for what, with its line of the short table."""
    figures = short_figures()
    shorter = {
        "mean accuracy, %": "accuracy, %",
        "with 20 % wrong training labels, %": "with 20 % wrong labels, %",
    }
    return table(
        ("you want", "take", *figures.rename(columns=shorter)),
        [
            (wanted, taken, *figures.loc[method])
            for wanted, taken, method in DECISIONS
            if method in figures.index
        ],
    )


def chart() -> str:
    """Accuracy against the time of a query, of all methods of the short table."""
    figures = short_figures()
    x, y = (figures.iloc[:, column].astype(float).to_numpy() for column in (2, 0))
    own = figures.index.isin(OURS)
    # From the quickest to the most accurate.
    line = np.column_stack([x[own], y[own]])[np.argsort(x[own], kind="stable")]
    names = [SPELLED.get(name, name) for name in figures.index]
    with drawing(5.0, 4.2) as (picture, ax):
        ax.set(xscale="log", xlabel="microseconds a query", ylabel="accuracy, %")
        ax.set_title("Mean accuracy against the time of a query", loc="left")
        ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        ax.xaxis.set_major_formatter("{x:g}")
        ax.xaxis.set_minor_locator(NullLocator())
        ax.margins(x=0.32, y=0.12)
        ax.grid()
        for chosen, label, color, marker in (
            (own, "knngraph", COLORS[2], "o"),
            (~own, "others", "#8a929b", "s"),
        ):
            style = {"label": label, "color": color, "marker": marker, "zorder": 3}
            ax.scatter(x[chosen], y[chosen], s=40, **style)
        ax.plot(*line.T, color=COLORS[2], linewidth=1.2)
        ax.legend(loc="upper left")
        # In short pieces, so that a name may stand close to a slope.
        steps = np.linspace(0.0, len(line) - 1.0, 30 * len(line))
        ends = [np.interp(steps, np.arange(len(line)), c) for c in np.log(line).T]
        label_points(ax, x, y, names, np.exp(ends).T)
        return on_paper(as_svg(picture), short_table())


def reproduction_table() -> str:
    """Published accuracies beside those of the method and of 1-NN, where measured."""
    names = ["1-NN", "lookup, ef=1", "lookup, ef=auto", "cascade", "adaptive"]
    cells = _published_and_measured()
    return table(
        ("set", "published", *(f"{name}, here" for name in names)),
        cells[["published", *names]].reset_index().to_numpy(),
    )


def greedy_table() -> str:
    """What a lookup loses against 1-NN: worst, middle and best sets, and the mean."""
    # In the metric of 1-NN: what is lost is lost by the search alone.
    lookups = ["lookup (ef=1)", "lookup (ef=auto)"]
    methods = ["1-NN", *(f"{name}, metric=euclidean" for name in lookups)]
    page = next(t for t in tables_of(MEASURED, "noise 0.0") if t.columns[0] == "set")
    figures = page.set_index("set")[methods].map(_mean).astype(float)
    loss = figures[methods[1]] - figures["1-NN"]
    figures = figures.loc[loss.sort_values(kind="stable").index]
    shown = figures.iloc[[0, 1, 2, len(figures) // 2, -1]].copy()
    shown.loc[f"mean of {len(figures)} sets"] = figures.mean()
    return table(
        ("set", "1-NN, exact", "lookup, `ef=1`", 'lookup, `ef="auto"`'),
        [
            (name, f"{exact:.1f}", f"{greedy - exact:+.1f}", f"{wide - exact:+.1f}")
            for name, exact, greedy, wide in shown.itertuples(name=None)
        ],
    )


def excerpts() -> list[tuple[Path, str, str]]:
    """Page, mark and text of every excerpt."""
    return [
        (CHOOSE, "decision", decision_table()),
        (PUBLISHED, "reproduced", reproduction_table()),
        (PUBLISHED, "greedy", greedy_table()),
    ]


def write() -> None:
    """Draw the chart, and put every excerpt into its page."""
    CHART.write_text(chart(), encoding="utf-8")
    for page, name, text in excerpts():
        put_between(page, name, text)


def _published_and_measured() -> pd.DataFrame:
    """Cells of Table 1, a line a set that was measured, a column a method."""
    cells = tables_of(PUBLISHED, "Table 1: accuracy")[0].set_index("method").T
    cells.index.name = "set"
    printed = cells["lookup, ef=1"].str.extract(r"published ([\d.]+)\)")[0]
    means = cells.map(_mean).assign(published=printed)
    return means[cells["1-NN"] != "-"]


def _mean(cell: str) -> str:
    return cell.partition(" ±")[0]


if __name__ == "__main__":
    argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0]).parse_args()
    write()
