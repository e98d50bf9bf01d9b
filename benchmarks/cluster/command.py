"""The command behind `python -m benchmarks.distributed`."""

import argparse
import csv
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.cluster.measure import (
    measure_accuracy,
    measure_memory,
    measure_partitions,
)
from benchmarks.cluster.plan import plan
from benchmarks.cluster.report import report
from benchmarks.pages import DOCS, put_between
from knngraph import LookupAgreementWarning

PAGE = DOCS / "dask.md"


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--csv", type=Path, required=True)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--write-docs", action="store_true")
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--memory-rows", type=int, default=200_000)
    parser.add_argument("--features", type=int, default=64)
    parser.add_argument("--counts", type=int, nargs="*", default=[1, 2, 4, 8])
    parser.add_argument(
        "--only", nargs="*", default=["memory", "partitions", "accuracy"]
    )
    options = parser.parse_args()
    warnings.simplefilter("ignore", LookupAgreementWarning)
    n, d, counts = options.rows, options.features, options.counts
    several = [count for count in counts if count > 1]
    parts: dict[str, list[tuple[str, Callable[[], Iterator[Any]]]]] = {
        "memory": [("memory", lambda: measure_memory(options.memory_rows, d))],
        "partitions": [
            ("all", lambda: measure_partitions(n, d, "all", counts)),
            ("centroids", lambda: measure_partitions(n, d, "centroids", several)),
        ],
        "accuracy": [
            (
                "accuracy",
                lambda: measure_accuracy("letter", 15_000, 5000, options.data_dir),
            ),
            (
                "accuracy",
                lambda: measure_accuracy("mnist", 6_000, 4000, options.data_dir),
            ),
        ],
    }
    for part in options.only:
        for prefix, measure in parts[part]:
            for name, value, unit in measure():
                with options.csv.open("a", newline="") as file:
                    csv.writer(file).writerow([f"{prefix}|{name}", value, unit])
                print(f"{prefix}|{name}: {value:.4g} {unit}", flush=True)
    if options.write_docs:
        with options.csv.open(newline="") as file:
            figures = {name: (float(v), unit) for name, v, unit in csv.reader(file)}
        put_between(PAGE, "measured", report(figures, n, d))
        values = {name: value for name, (value, _) in figures.items()}
        put_between(PAGE, "plan", plan(values, n, d))
