"""The command `scale`: time and memory of fit and answers as rows grow."""

import argparse
import os
from pathlib import Path

from benchmarks import machine
from benchmarks.isolated import MeasurementFailed, run_isolated
from benchmarks.report.markdown import copy_to_docs
from benchmarks.rows import Journal
from benchmarks.scale.report import LAST_METRIC, write_report

ROOT = Path(__file__).resolve().parent.parent
SIZES = (10_000, 30_000, 100_000, 300_000, 1_000_000)


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
                "benchmarks.scale.measure:measure_size",
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
    pages = write_report(journal.path, problems)
    print("Written:", *(str(p) for p in [journal.path, *pages]), sep="\n  ")
    if options.write_docs:
        copy_to_docs(pages[0], "growth.md", "scale*.svg")
    return 0
