"""The command `scale`: time and memory of fit and answers as rows grow."""

import argparse
import os
import pickle
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import machine
from benchmarks.figures import as_svg, draw_lines, drawing
from benchmarks.isolated import (
    MeasurementFailed,
    peak_megabytes,
    reset_peak,
    resident_megabytes,
    run_isolated,
)
from benchmarks.made_rows import curved_sheet
from benchmarks.metrics import median_seconds, seconds
from benchmarks.report import Report, copy_to_docs, finish
from benchmarks.rows import Journal, read_rows
from benchmarks.statistics import power_of_growth
from knngraph import KNNGraphClassifier

ROOT = Path(__file__).resolve().parent
SIZES = (10_000, 30_000, 100_000, 300_000, 1_000_000)
LAST_METRIC = "model_megabytes"
MODES: dict[str, dict[str, Any]] = {
    "lookup": {"inference": "lookup", "ef": None},
    "lookup_auto": {"inference": "lookup", "ef": "auto"},
    "cascade": {"inference": "cascade", "ef": None},
    "adaptive": {"inference": "adaptive", "ef": None},
}
COSTS = {
    "fit_seconds": "fit, s",
    "fit_cpu_seconds": "fit of all cores, s",
    "peak_megabytes": "peak of fit, MB",
    "model_megabytes": "model, MB",
    **{f"{mode}_us": f"{mode.replace('_', ' ')}, us" for mode in MODES},
}
SCORES = {f"{mode}_accuracy": f"{mode.replace('_', ' ')}, %" for mode in MODES}
_PANELS = (
    ("seconds of a fit", ("fit_seconds", "fit_cpu_seconds")),
    ("megabytes", ("peak_megabytes", "model_megabytes")),
    ("microseconds a query", tuple(f"{mode}_us" for mode in MODES)),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("--rows", nargs="+", type=int, default=list(SIZES))
    parser.add_argument("--features", type=int, default=32)
    parser.add_argument("--classes", type=int, default=20)
    parser.add_argument("--queries", type=int, default=2000)
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument(
        "--budget", type=float, default=1800.0, help="seconds for one size"
    )
    parser.add_argument(
        "--write-docs", action="store_true", help="copy the report to docs/growth.md"
    )
    parser.add_argument("--output", type=Path, default=ROOT / "results" / "scale")


def run(options: argparse.Namespace) -> int:
    """Measure the sizes that are not there, smallest first, then report."""
    protocol = {
        "n_features": options.features,
        "n_classes": options.classes,
        "n_queries": options.queries,
        "n_jobs": options.jobs,
    }
    journal = Journal(
        options.output / "scale.csv",
        ("rows",),
        machine.conditions() | protocol,
        LAST_METRIC,
    )
    before, problems = journal.keys(), {}
    for n_rows in sorted(set(options.rows)):
        if (str(n_rows),) in before:
            continue
        try:
            values = run_isolated(
                "benchmarks.scale:measure_size",
                {"n_rows": n_rows} | protocol,
                timeout=options.budget,
            )
        except MeasurementFailed as error:
            problems[n_rows] = str(error)
            print(f"{n_rows:9} rows: {error}", flush=True)
            continue
        journal.append((n_rows,), values)
        print(
            f"{n_rows:9} rows: fit {values['fit_seconds']:8.1f} s, "
            f"{values['peak_megabytes']:7.0f} MB, "
            f"lookup {values['lookup_us']:6.1f} us, "
            f"adaptive {values['adaptive_us']:6.1f} us",
            flush=True,
        )
    report = make_report(read_rows(journal.path), problems)
    page = journal.path.with_name("report.md")
    finish(report, journal.path, page)
    if options.write_docs:
        copy_to_docs(page, "growth.md", "scale*.svg")
    return 0


def measure_size(
    n_rows: int, n_features: int, n_classes: int, n_queries: int, n_jobs: int
) -> dict[str, float]:
    """Fit once and read the fit in every way, in a process of its own.

    Returns
    -------
    dict
        Metrics by name; memory is what was taken beyond the rows.
    """
    warnings.simplefilter("ignore")
    X, y = curved_sheet(n_rows, n_features, n_classes, seed=0)
    queries, truth = curved_sheet(n_queries, n_features, n_classes, seed=1)
    model = KNNGraphClassifier(support="local", n_jobs=n_jobs)
    # Compile what is used, so that no clock sees it.
    model.fit(X[:1000], y[:1000])
    for parameters in MODES.values():
        model.set_params(**parameters).predict(X[:8])
    reset_peak()
    before = resident_megabytes()
    # Other work on the machine lengthens the first, not the second.
    worked = time.process_time()
    model.set_params(**MODES["lookup"])
    values = {"fit_seconds": seconds(lambda: model.fit(X, y))}
    values["fit_cpu_seconds"] = time.process_time() - worked
    values["peak_megabytes"] = peak_megabytes() - before
    for mode, parameters in MODES.items():
        model.set_params(**parameters)
        answers = model.predict(queries)
        taken = median_seconds(lambda: model.predict(queries), budget=3.0)
        values[f"{mode}_us"] = 1e6 * taken / n_queries
        values[f"{mode}_accuracy"] = float(np.mean(answers == truth))
    return values | {LAST_METRIC: len(pickle.dumps(model)) / 2**20}


def make_report(rows: pd.DataFrame, problems: Mapping[int, str]) -> Report:
    """One table of costs with fitted exponents, pictures, and one of accuracies.

    Parameters
    ----------
    rows : DataFrame
        Of the journal.
    problems : mapping of int to str
        Sizes that were not measured, with the reason.
    """
    report = Report("Time and memory as rows grow")
    report.add(_HOW)
    if problems:
        report.add("## Not measured")
        report.add_list(f"{size} rows: {why}" for size, why in problems.items())
    if rows.empty:
        return report
    first = rows.iloc[0].to_dict()
    sizes = rows.astype({"rows": int, "value": float}).pivot(
        index="rows", columns="metric", values="value"
    )
    named = [f"{size:,}".replace(",", " ") for size in sizes.index]
    growth = [
        _with_error(*power_of_growth(sizes.index, sizes[metric])) for metric in COSTS
    ]
    report.add(
        f"{first['n_features']} features, {first['n_classes']} classes, "
        f"{first['n_queries']} queries in one call, {first['n_jobs']} threads. "
        f"Measured on: {machine.described(first)}."
    )
    costs = sizes[list(COSTS)].map("{:.4g}".format).to_numpy().tolist()
    report.add_table(
        ["rows", *COSTS.values()],
        [*([size, *cells] for size, cells in zip(named, costs)), ["exponent", *growth]],
        "Costs",
    )
    report.add_pictures(
        "scale",
        [_panel(sizes, title, metrics) for title, metrics in _PANELS],
        "Both axes are logarithmic: a straight line is a power of the number of rows.",
    )
    scores = (100 * sizes[list(SCORES)]).map("{:.2f}".format).to_numpy().tolist()
    report.add_table(
        ["rows", *SCORES.values()],
        [[size, *cells] for size, cells in zip(named, scores)],
        "Accuracy",
    )
    return report


_HOW = (
    "Generated by `python -m benchmarks.run scale`; everything here was measured here. "
    "Rows are drawn from a mixture of Gaussian clumps on a curved sheet, the same for "
    "all sizes; `support` is local. Each size runs in a process of its own, after "
    "compilation. Memory is what fit took beyond the rows. An exponent b says that the "
    "cost grows like the b-th power of the number of rows: least squares on "
    "logarithms, ± its standard error."
)


def _with_error(b: float, error: float) -> str:
    if np.isnan(b):
        return "-"
    return f"{b:.2f}" if np.isnan(error) else f"{b:.2f} ± {error:.2f}"


def _panel(sizes: pd.DataFrame, title: str, metrics: Sequence[str]) -> str:
    with drawing(4.6, 3.4) as (figure, ax):
        shown = {COSTS[name].rpartition(",")[0]: sizes[name] for name in metrics}
        draw_lines(ax, shown, sizes.index)
        ax.set(xscale="log", yscale="log")
        ax.set_xlabel("training rows")
        ax.set_title(title, loc="left")
        ax.legend()
        return as_svg(figure)
