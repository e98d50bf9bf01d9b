"""Pictures of the report on trained nets."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.convnn.outcomes import Outcomes, Published
from benchmarks.convnn.plans import MODES, RATIOS, Run
from benchmarks.figures import COLORS, MARKERS, as_svg, drawing

_WORDS = {"accuracy": "accuracy, percent", "test_loss": "test loss"}


def ratio_panels(outcomes: Outcomes, published: Published, recipe: str) -> list[str]:
    """Accuracy and test loss over the ratio, measured and then published."""
    panels = []
    for metric in ("accuracy", "test_loss"):
        for source in ("measured", "published"):
            with drawing(4.2, 3.2) as (_, ax):
                for place, (compared, gathered) in enumerate(MODES):
                    points = []
                    for ratio in RATIOS:
                        run = Run(ratio=ratio, recipe=recipe)
                        if ratio:
                            run = replace(run, compared=compared, gathered=gathered)
                        points.append(
                            (ratio, *_point(source, metric, run, outcomes, published))
                        )
                    style = "-" if source == "measured" else "--"
                    _line(ax, points, place, f"{compared} / {gathered}", style)
                ax.grid()
                ax.set_xlabel("ratio")
                ax.set_ylabel(_WORDS[metric])
                ax.set_title(source, loc="left")
                ax.legend()
                panels.append(as_svg(ax.figure))
    return panels


def candidate_panels(
    outcomes: Outcomes, published: Published, own: Run, numbers: Sequence[int]
) -> list[str]:
    """Accuracy over the number of candidates, measured and then published."""
    rows = published.rows
    printed = set(rows.loc[rows["net"] == "vgg", "n_candidates"]) - {0}
    panels = []
    for source, counts in (("measured", numbers), ("published", sorted(printed))):
        with drawing(4.2, 3.2) as (_, ax):
            for place, kind in enumerate(("random", "grid")):
                points = []
                for number in counts:
                    run = replace(own, candidates=kind, n_candidates=number)
                    points.append(
                        (number, *_point(source, "accuracy", run, outcomes, published))
                    )
                style = "-" if source == "measured" else "--"
                _line(ax, points, place, kind, style)
            everything, _ = _point(source, "accuracy", own, outcomes, published)
            ax.axhline(everything, color=COLORS[2], linewidth=1.0, label="all")
            ax.grid()
            ax.set_xscale("log", base=2)
            ax.set_xticks(counts, map(str, counts))
            ax.set_xlabel("candidates")
            ax.set_ylabel(_WORDS["accuracy"])
            ax.set_title(source, loc="left")
            ax.legend()
            panels.append(as_svg(ax.figure))
    return panels


def _point(
    source: str, metric: str, run: Run, outcomes: Outcomes, published: Published
) -> tuple[float, float]:
    """A value and its standard error, 0 where there is none."""
    if source == "published":
        return published.of(metric, run, rate="1e-05"), 0.0
    found = outcomes.estimate(metric, run)
    factor = 100.0 if metric == "accuracy" else 1.0
    return factor * found.mean, 0.0 if np.isnan(found.error) else factor * found.error


def _line(
    ax: Any,
    points: Sequence[tuple[float, float, float]],
    place: int,
    label: str,
    style: str,
) -> None:
    """A line with bars of the standard error, over what is there."""
    x, y, error = np.array([p for p in points if not np.isnan(p[1])]).reshape(-1, 3).T
    ax.errorbar(
        x,
        y,
        yerr=error,
        color=COLORS[place],
        marker=MARKERS[place],
        markersize=4.5,
        linewidth=1.2,
        linestyle=style,
        capsize=2.0,
        label=label,
    )
