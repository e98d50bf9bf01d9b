"""The command `paper`: the published tables, measured again."""

import argparse
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import clone
from threadpoolctl import threadpool_limits

from benchmarks import machine
from benchmarks.datasets import Fold, load, split
from benchmarks.metrics import median_seconds, quality, seconds, warm_up
from benchmarks.paper.methods import Entry, entries
from benchmarks.paper.paper_report import make_report
from benchmarks.paper.results import Results, read_published
from benchmarks.report import copy_to_docs, finish
from benchmarks.rows import Journal, read_rows
from knngraph.datasets import NAMES
from knngraph.exceptions import LookupAgreementWarning

ROOT = Path(__file__).resolve().parent.parent
LAST_METRIC = "predict_seconds"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    labels = [label for entry in entries() for label in entry.readings]
    parser.add_argument("--sets", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument(
        "--methods",
        nargs="+",
        choices=labels,
        metavar="METHOD",
        default=labels,
        help=f"any of: {'; '.join(labels)}",
    )
    parser.add_argument("--folds", type=int, default=10)
    parser.add_argument(
        "--output", type=Path, default=ROOT / "results" / "paper", help="folder"
    )
    parser.add_argument(
        "--report-only", action="store_true", help="measure nothing, write the report"
    )
    parser.add_argument(
        "--again",
        action="store_true",
        help="measure the chosen methods on the chosen sets anew",
    )
    parser.add_argument(
        "--write-docs", action="store_true", help="report into docs/published.md"
    )


def run(options: argparse.Namespace) -> int:
    """Measure what is missing, then write the report."""
    csv_path = options.output / "paper.csv"
    if options.report_only:
        lacking = _unreadable(options.data_dir)
    else:
        chosen = [e for e in entries() if set(e.readings) & set(options.methods)]
        journal = open_journal(csv_path, options.folds)
        if options.again:
            names = {label for entry in chosen for label in entry.readings}
            journal.forget(set=set(options.sets), method=names)
        with threadpool_limits(1), warnings.catch_warnings():
            warnings.simplefilter("ignore", LookupAgreementWarning)
            # The least class of a fold may have fewer rows than the inner folds.
            warnings.filterwarnings("ignore", "The least populated class", UserWarning)
            lacking = measure(
                journal, options.sets, chosen, options.data_dir, options.folds
            )
    rows = read_rows(csv_path)
    if rows.empty:
        print(f"{csv_path} holds no figures: nothing to report.")
        return 1
    report = make_report(Results.of(rows), entries(), lacking, read_published())
    page = csv_path.with_name("report.md")
    finish(report, csv_path, page)
    if options.write_docs:
        copy_to_docs(page, "published.md", "paper-*.svg", "published tables")
    return 0


def open_journal(path: Path, n_folds: int) -> Journal:
    """The results, with what must not change among them."""
    protocol = machine.conditions() | {"folds": n_folds}
    return Journal(path, ("set", "method", "fold"), protocol, LAST_METRIC)


def _unreadable(data_dir: Path | None) -> dict[str, str]:
    found = {}
    for name in NAMES:
        try:
            load(name, data_dir)
        except (FileNotFoundError, ValueError) as error:
            found[name] = _reason(error)
    return found


def _reason(error: Exception) -> str:
    """Why a set is missing, for a page: a path means nothing to its readers."""
    absent = isinstance(error, FileNotFoundError)
    return "no file of this set was there" if absent else str(error)


def measure(
    journal: Journal,
    sets: Sequence[str],
    chosen: Sequence[Entry],
    data_dir: Path | None,
    n_folds: int,
) -> dict[str, str]:
    """Measure what is not there yet; without a folder sets are downloaded.

    Returns
    -------
    dict of str to str
        Sets that could not be read and methods that failed on a set, with the
        reason. The others are measured all the same.
    """
    before, lacking, warm = journal.keys(), {}, set()
    for name in sets:
        try:
            X, y = load(name, data_dir, download=data_dir is None)
        except (FileNotFoundError, ValueError) as error:
            lacking[name] = _reason(error)
            print(f"{name} is missing: {error}", flush=True)
            continue
        for number, fold in enumerate(split(X, y, n_folds, scaled=False)):
            for place, entry in enumerate(chosen):
                keys = {(name, label, str(number)) for label in entry.readings}
                failed = f"{name}, {next(iter(entry.readings))}"
                if keys <= before or failed in lacking:
                    continue
                if place not in warm:
                    warm_up(entry.estimator, n_features=8)
                    warm.add(place)
                try:
                    results = measure_entry(entry, fold)
                except Exception as error:
                    # A long run must not end for one method on one set.
                    lacking[failed] = f"{type(error).__name__}: {error}"
                    print(f"{failed} failed: {lacking[failed]}", flush=True)
                    continue
                for label, values in results.items():
                    if (name, label, str(number)) not in before:
                        journal.append((name, label, number), values)
                        print(
                            f"{name:9} fold {number + 1:2}/{n_folds} {label:22} "
                            f"accuracy {100 * values['accuracy']:6.2f}  "
                            f"fit {values['fit_seconds']:8.2f} s  "
                            f"predict {values[LAST_METRIC]:8.4f} s",
                            flush=True,
                        )
    return lacking


def measure_entry(entry: Entry, fold: Fold) -> dict[str, dict[str, float]]:
    """One fit of an entry on a fold, and every reading of it.

    Returns
    -------
    dict of label to (dict of metric to value)
        Seconds of a prediction are for the whole test part at once.
    """
    X_train, y_train, X_test, y_test = fold
    model = clone(entry.estimator)
    fit_seconds = seconds(lambda: model.fit(X_train, y_train))
    results = {}
    for label, parameters in entry.readings.items():
        model.set_params(**parameters)
        answers = model.predict(X_test)
        results[label] = (
            quality(y_test, answers)
            | {"n_test": float(len(y_test)), "fit_seconds": fit_seconds}
            | _convergence(model)
            | {LAST_METRIC: median_seconds(lambda: model.predict(X_test))}
        )
    return results


def _convergence(model: Any) -> dict[str, float]:
    """Objective after every iteration, in units of that of no neighbors at all."""
    path = np.asarray(getattr(model, "objective_path_", ()))
    return {f"objective_{step}": float(value) for step, value in enumerate(path)}
