"""Time, memory and accuracy as rows grow: the builder, whole fits, and others.

    python -m benchmarks.fit_scale [--parts lists fits growth against]
        [--before CHECKOUT] [--data-dir DIR] [--write-docs]

`lists`: lists and graph at once against the build and the search of hnswlib, for the
sets of `benchmarks.lists`. `fits`: a million made rows of 32 columns by three seeds,
by stage, with ten thousand queries, in turn with another checkout where `--before`
names one. `growth`: the builder alone on 16 columns, up to ten million rows or what
the memory takes. `against`: the seconds and the memory of others, as rows grow.

Every measurement has a process of its own, so that its peak memory is its own, one
after the other, with two threads. Seconds are of the processor: they say the same on a
machine that others use too. What the file of figures has is not measured again.
"""

import argparse
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.command import parser_of, publish
from benchmarks.figures import as_svg, draw_lines, drawing, on_paper
from benchmarks.fit_stages import INFERENCES, REST, measured
from benchmarks.kept import RESULTS, KeptFigures, add_kept
from benchmarks.lists import (
    GATES,
    HNSWLIB,
    N_THREADS,
    OURS,
    Case,
    is_there,
    measure_case,
    measure_cases,
    short,
)
from benchmarks.machine import described
from benchmarks.made_rows import mixture
from benchmarks.pages import DOCS, table
from benchmarks.statistics import power_of_growth

PAGE, PICTURES = DOCS / "scale.md", DOCS / "figures"
N_FEATURES, N_QUERIES, SEEDS = 32, 10_000, (0, 1, 2)
FITTED, SMALLER = 1_000_000, 100_000
SIZES = (10_000, 30_000, 100_000, 300_000, 1_000_000)
GROWTH_FEATURES = 16
GROWING = (100_000, 300_000, 1_000_000, 3_000_000, 10_000_000)
# What is wanted at most: of the fit before, the exponent of growth, the whole memory
# of the largest fit in MB, and points of accuracy that may be lost.
OF_BEFORE, EXPONENT, MEGABYTES, POINTS = 0.45, 1.15, 1700, 0.1
FIT, BOOSTING = "fit, KNNGraphClassifier", "HistGradientBoosting"
# What is compared as rows grow: a figure, and its digits.
AGAINST = {
    "seconds of the processor": ("cpu", 3),
    "memory beyond the rows, MB": ("beyond_mb", 4),
}


def measure_boosting(n_rows: int, n_features: int) -> dict[str, Any]:
    """A fit of scikit-learn's boosted trees, in a process of its own."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    warnings.simplefilter("ignore")
    model = HistGradientBoostingClassifier(random_state=0)
    model.fit(*mixture(500, n_features))
    X, y = mixture(n_rows, n_features)
    _, taken = measured(lambda: model.fit(X, y))
    return taken


def measured_fit(
    kept: KeptFigures, n_rows: int, seed: int, checkout: str | None = None
) -> dict[str, Any] | None:
    """A fit of the mixture, with answers; by another checkout where one is named."""
    which = "fit" if checkout is None else "fit before"
    return kept.measure(
        f"{which}: {Case('mixture', n_rows, N_FEATURES)}, seed {seed}",
        "benchmarks.fit_stages:measure_fit",
        {
            "n_rows": n_rows,
            "n_features": N_FEATURES,
            "seed": seed,
            "n_queries": N_QUERIES,
            "n_threads": N_THREADS,
            "checkout": checkout,
        },
    )


def verdict(what: str, met: bool) -> str:
    """A line that says whether something is as wanted."""
    return f"- {what}: {'met' if met else 'missed'}"


def report_lists(found: dict[Case, dict[str, dict[str, float]]]) -> str:
    """What hnswlib and the builder take, and the ratio with what is wanted."""
    lines = []
    for case, ways in found.items():
        theirs, ours = ways[HNSWLIB], ways[OURS]
        ratio = ours["cpu"] / theirs["cpu"]
        most = GATES.get(case)
        lines.append(
            [
                str(case),
                f"{theirs['build cpu']:.1f}",
                f"{theirs['search cpu']:.1f}",
                f"{ours['cpu']:.1f}",
                f"{ratio:.2f}",
                f"{most}, {'met' if ratio <= most else 'missed'}" if most else "",
            ]
        )
    heads = ["rows", "hnswlib build", "search", "lists and graph", "ratio", "at most"]
    return table(heads, lines)


def report_stages(fits: dict[str, dict[str, Any]]) -> str:
    """Processor seconds of the stages of some fits, a column each, and memory.

    Parameters
    ----------
    fits : dict of str to dict
        Figures by the head of their column.
    """
    stages = pd.DataFrame({head: fit["stages"] for head, fit in fits.items()})
    # Stages in the order of the fit, what is in none of them last.
    stages = stages.loc[[name for name in stages.index if name != REST] + [REST]]
    lines = [
        [name, *("" if np.isnan(v) else f"{v:.1f}" for v in took)]
        for name, took in stages.iterrows()
    ]
    for name, figure in (
        ("in all, s of the processor", "cpu"),
        ("on the clock, s", "seconds"),
        ("peak memory of the process, MB", "peak_mb"),
        ("of which X, MB", "data_mb"),
    ):
        form = ".1f" if figure in ("cpu", "seconds") else ".0f"
        lines.append([name, *(f"{fit[figure]:{form}}" for fit in fits.values())])
    return table(["stage", *fits], lines)


def report_fits(
    now: dict[int, dict[str, Any]], before: dict[int, dict[str, Any]]
) -> str:
    """Accuracy of the largest fits by seed beside the checkout before, and verdicts."""
    seeds = [seed for seed in now if seed in before]
    verdicts = [
        verdict(
            f"peak memory with X at most {MEGABYTES} MB",
            max(fit["peak_mb"] for fit in now.values()) <= MEGABYTES,
        )
    ]
    if not seeds:
        return "\n".join(verdicts)
    lines = []
    for inference in INFERENCES:
        right = [
            np.array([100 * fits[seed][f"{inference} right"] for seed in seeds])
            for fits in (before, now)
        ]
        lost = float((right[0] - right[1]).mean())
        cells = [f"{b:.2f} → {n:.2f}" for b, n in zip(*right)]
        lines.append([inference, *cells, f"{-lost:+.2f}"])
        verdicts.append(
            verdict(f"{inference} at most {POINTS} points below", lost <= POINTS)
        )
    ratio = sum(now[s]["cpu"] for s in seeds) / sum(before[s]["cpu"] for s in seeds)
    verdicts.append(
        verdict(
            f"whole fit at most {OF_BEFORE} of the release before: {ratio:.2f}",
            ratio <= OF_BEFORE,
        )
    )
    heads = ["accuracy, %, before → now", *(f"seed {seed}" for seed in seeds), "mean"]
    return table(heads, lines) + "\n\n" + "\n".join(verdicts)


def report_growth(
    found: dict[int, dict[str, float] | None], most_gib: float = 0.0
) -> str:
    """Time and memory of the builder alone, and the exponent.

    Parameters
    ----------
    found : dict of int to dict or None
        Figures by number of rows; None where there are none.
    most_gib : float, default=0.0
        Memory that they had.
    """
    there = {n_rows: figures for n_rows, figures in found.items() if figures}
    b, _ = power_of_growth(list(there), [f["cpu"] for f in there.values()])
    figures = {
        "seconds of the processor": ("cpu", ".1f"),
        "µs a row": ("us a row", ".1f"),
        "recall of the lists": ("recall", ".3f"),
        "first percentile": ("tail", ".2f"),
        "peak memory, MB": ("peak_mb", ".0f"),
        "of which rows, MB": ("data_mb", ".0f"),
    }
    lines = [
        [name, *(f"{f[figure]:{form}}" for f in there.values())]
        for name, (figure, form) in figures.items()
    ]
    heads = [f"{GROWTH_FEATURES} columns", *(f"{n:,}" for n in there)]
    said = [verdict(f"time at most as n^{EXPONENT}: n^{b:.2f}", b <= EXPONENT)]
    said += [
        f"- {n_rows:,} rows did not end with {most_gib:g} GiB of memory"
        for n_rows, found_here in found.items()
        if not found_here
    ]
    return table(heads, lines) + "\n\n" + "\n".join(said)


def values_of(found: dict[str, dict[int, Any]], figure: str) -> pd.DataFrame:
    """One figure of all by number of rows; nan where it was not measured."""
    sizes = sorted({n_rows for figures in found.values() for n_rows in figures})
    values = {
        name: {n_rows: figures[n_rows][figure] for n_rows in figures}
        for name, figures in found.items()
    }
    return pd.DataFrame(values).reindex(sizes)


def report_against(found: dict[str, dict[int, Any]]) -> str:
    """Seconds and memory of all, a column a size: what the pictures show."""
    tables = []
    for what, (figure, digits) in AGAINST.items():
        values = values_of(found, figure)
        cells = values.map(partial(_plain, digits=digits)).T
        heads = [what, *(f"{n:,}" for n in values.index)]
        tables.append(table(heads, cells.reset_index().to_numpy()))
    return "\n\n".join(tables)


def report_answers(fits: dict[int, dict[str, Any]]) -> str:
    """What a query takes by number of rows, how many are right, and the size."""
    lines = []
    for inference in INFERENCES:
        right = [f"{100 * fit[f'{inference} right']:.1f}" for fit in fits.values()]
        micro = [f"{fit[f'{inference} us']:.1f}" for fit in fits.values()]
        lines.append([f"{inference}, µs a query", *micro])
        lines.append([f"{inference}, % right", *right])
    sizes = [_plain(fit["model_mb"], 3) for fit in fits.values()]
    lines.append(["pickle, MB", *sizes])
    return table(["KNNGraphClassifier", *(f"{n:,}" for n in fits)], lines)


def draw_against(found: dict[str, dict[int, Any]]) -> list[str]:
    """The same as pictures on white, one for each figure."""
    pictures = []
    for what, (figure, _) in AGAINST.items():
        values = values_of(found, figure)
        with drawing(4.6, 3.6) as (picture, ax):
            draw_lines(ax, values, values.index)
            ax.set(xscale="log", yscale="log", xlabel="training rows")
            ax.set_title(what, loc="left")
            ax.legend(fontsize="x-small")
            pictures.append(on_paper(as_svg(picture)))
    return pictures


def _plain(value: float, digits: int) -> str:
    """So many digits, and never an exponent."""
    if np.isnan(value):
        return "-"
    return np.format_float_positional(value, digits, fractional=False, trim="-")


class Run:
    """One run of the command: its options, and the figures that are kept."""

    def __init__(self, options: argparse.Namespace, kept: KeptFigures) -> None:
        self.options, self.kept = options, kept
        self.before = str(options.before.resolve()) if options.before else None

    def sized(self, n_rows: int) -> int:
        """Number of rows; fewer where the run is a trial."""
        return n_rows // self.options.shrink

    def lists(self) -> str:
        """The builder against hnswlib."""
        cases = [case._replace(n_rows=self.sized(case.n_rows)) for case in GATES]
        found = measure_cases(self.kept, cases, (HNSWLIB, OURS), self.options.data_dir)
        return report_lists({c: ways for c, ways in found.items() if len(ways) == 2})

    def fit_before(self, n_rows: int, seed: int) -> dict[str, Any] | None:
        """The same fit by the other checkout; None without one."""
        if self.before is None and not self.kept.report_only:
            return None
        return measured_fit(self.kept, n_rows, seed, self.before or "")

    def fits(self) -> str:
        """Whole fits, by stage and by seed."""
        now, before = {}, {}
        n_rows = self.sized(FITTED)
        for seed in SEEDS:
            now[seed] = measured_fit(self.kept, n_rows, seed)
            before[seed] = self.fit_before(n_rows, seed)
        now, before = ({s: f for s, f in d.items() if f} for d in (now, before))
        columns = {
            f"{short(n_rows)}, now": now.get(0),
            f"{short(n_rows)}, before": before.get(0),
        }
        smaller = self.sized(SMALLER)
        columns |= {f"{short(smaller)}, now": measured_fit(self.kept, smaller, 0)}
        columns |= {f"{short(smaller)}, before": self.fit_before(smaller, 0)}
        columns = {head: fit for head, fit in columns.items() if fit}
        return report_stages(columns) + "\n\n" + report_fits(now, before)

    def growth(self) -> str:
        """The builder alone, to as many rows as memory takes."""
        cases = {n: Case("many rows", self.sized(n), GROWTH_FEATURES) for n in GROWING}
        found = {
            case.n_rows: measure_case(self.kept, OURS, case, None)
            for case in cases.values()
        }
        return report_growth(found, self.kept.most_gib)

    def against(self) -> str:
        """Ours beside others, as rows grow."""
        found: dict[str, dict[int, Any]] = {}
        lists = {
            "lists and graph, knngraph": OURS,
            "lists and graph, hnswlib": HNSWLIB,
            "lists and graph, faiss HNSW": "faiss HNSW",
        }
        for size in map(self.sized, SIZES):
            case = Case("mixture", size, N_FEATURES)
            figures = {
                FIT: measured_fit(self.kept, size, 0),
                f"fit, {BOOSTING}": self.kept.measure(
                    f"boosting: {case}",
                    "benchmarks.fit_scale:measure_boosting",
                    {"n_rows": size, "n_features": N_FEATURES},
                ),
            }
            for name, way in lists.items():
                if self.kept.report_only or is_there(way):
                    figures[name] = measure_case(self.kept, way, case, None)
                else:
                    print(f"{name}: not installed")
            for name, value in figures.items():
                if value:
                    found.setdefault(name, {})[size] = value
        if self.options.write_docs:
            PICTURES.mkdir(exist_ok=True)
            for place, svg in enumerate(draw_against(found), start=1):
                (PICTURES / f"scale-{place}.svg").write_text(svg, encoding="utf-8")
        text = report_against(found)
        fits = found.get(FIT)
        return f"{text}\n\n{report_answers(fits)}" if fits else text


PARTS: dict[str, Callable[[Run], str]] = {
    "lists": Run.lists,
    "fits": Run.fits,
    "growth": Run.growth,
    "against": Run.against,
}


def main() -> None:
    """Measure, print, and write where asked to."""
    parser = parser_of(__doc__)
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument(
        "--before", type=Path, help="folder of a checkout that is measured in turn"
    )
    parser.add_argument(
        "--shrink", type=int, default=1, help="of all rows one in so many, to try it"
    )
    opened = add_kept(parser, RESULTS / "scale.json")
    options = parser.parse_args()
    kept = opened(options)
    for part in options.parts:
        text = PARTS[part](Run(options, kept))
        where = f"{N_THREADS} threads; {described(kept.conditions)}"
        text = f"Seconds of the processor, {where}.\n\n{text}"
        publish(text, PAGE, part, options)


if __name__ == "__main__":
    main()
