"""Pictures of the report on the published tables."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from benchmarks.figures import COLORS, as_svg, draw_lines, drawing
from benchmarks.paper.methods import OURS, REFERENCE
from benchmarks.paper.results import Results

ABLATION = ("HNSW, nearest", "HNSW, 5 neighbors", REFERENCE, "cascade", "adaptive")
ABLATION_METRICS = ("accuracy", "macro_precision", "macro_recall", "macro_f1")


def in_words(metric: str) -> str:
    """A metric as it is called in text."""
    return metric.replace("_", " ").replace("f1", "F1")


def score_panel(
    results: Results,
    metric: str,
    name: str,
    methods: Mapping[str, str],
    published: pd.Series,
) -> str:
    """Every method on one set: mean and spread, and the printed figure.

    Parameters
    ----------
    results : Results
    metric, name : str
    methods : mapping of label to published name, in order
    published : Series of str, by (metric, method, set)
    """
    found = results.summary(metric).xs(name, level="set")
    shown = [m for m in methods if m in found.index]
    lowest = _lowest_drawn(found["mean"])
    with drawing(4.6, 0.8 + 0.23 * len(shown)) as (figure, ax):
        for place, method in enumerate(shown):
            mean, spread = found.loc[method, ["mean", "std"]]
            if mean < lowest:
                ax.text(lowest, place, f"◂ {mean:.1f}", va="center", color=COLORS[0])
                mean, spread = np.nan, 0.0
            own = method in OURS
            ax.errorbar(
                mean,
                place,
                xerr=0.0 if np.isnan(spread) else spread,
                fmt="o",
                markersize=4.5,
                linewidth=1.0,
                color=COLORS[1] if own else COLORS[0],
            )
            printed = published.get((metric, methods[method], name))
            if printed is not None:
                ax.plot(
                    float(printed),
                    place,
                    "D",
                    markersize=4.5,
                    markerfacecolor="none",
                    markeredgecolor="#8a8f98",
                )
        handles = [
            ax.plot([], [], "o", color=COLORS[1], label="ours")[0],
            ax.plot([], [], "o", color=COLORS[0], label="others")[0],
        ]
        if any((metric, methods[m], name) in published for m in shown):
            handles += ax.plot(
                [], [], "D", markerfacecolor="none", color="#8a8f98", label="published"
            )
        ax.set_yticks(range(len(shown)), shown)
        ax.invert_yaxis()
        if lowest > -np.inf:
            ax.set_xlim(left=lowest)
        ax.grid(axis="x")
        ax.set_xlabel(f"{in_words(metric)}, percent")
        ax.set_title(name, loc="left")
        figure.legend(handles=handles, loc="outside lower right", ncols=3)
        return as_svg(figure)


def _lowest_drawn(means: Sequence[float]) -> float:
    """Where the axis begins: far outliers would press all others together.

    Below it a method is told by its number. Minus infinity where there are none.
    """
    first, third = np.percentile(means, [25, 75])
    fence = first - 3.0 * max(third - first, 1.0)
    inside = [mean for mean in means if mean >= fence]
    if len(inside) == len(means):
        return -np.inf
    return min(inside) - 0.15 * (max(inside) - min(inside))


def ablation_panel(results: Results, name: str) -> str:
    """From a plain HNSW index to our readings on one set."""
    with drawing(4.6, 3.2) as (figure, ax):
        lines = {
            in_words(metric): results.means(metric).reindex(columns=ABLATION).loc[name]
            for metric in ABLATION_METRICS
        }
        draw_lines(ax, lines)
        ax.grid(visible=False, axis="x")
        ax.set_xticks(range(len(ABLATION)), [m.replace(", ", ",\n") for m in ABLATION])
        ax.tick_params(axis="x", labelsize=8)
        ax.margins(x=0.08)
        ax.set_ylabel("percent")
        ax.set_title(name, loc="left")
        figure.legend(loc="outside lower center", ncols=2)
        return as_svg(figure)


def convergence_panel(paths: Mapping[str, np.ndarray]) -> str:
    """Objective of the fit after every iteration, one line a set."""
    with drawing(5.2, 3.4) as (figure, ax):
        draw_lines(ax, paths)
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.set_xlabel("iteration")
        ax.set_ylabel("objective, 1 without neighbors")
        ax.legend()
        return as_svg(figure)
