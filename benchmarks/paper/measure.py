"""Folds of the published protocol, measured one after the other."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import clone

from benchmarks import machine
from benchmarks.datasets import Fold, load, split
from benchmarks.metrics import median_seconds, quality, seconds, warm_up
from benchmarks.paper.methods import Entry
from benchmarks.rows import Journal

KEY = ("set", "method", "fold")
LAST_METRIC = "predict_seconds"


def open_journal(path: Path, n_folds: int) -> Journal:
    """The results, with what must not change among them."""
    return Journal(path, KEY, machine.conditions() | {"folds": n_folds}, LAST_METRIC)


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


def measure(
    journal: Journal,
    sets: Sequence[str],
    entries: Sequence[Entry],
    data_dir: Path | None,
    n_folds: int,
    download: bool,
) -> dict[str, str]:
    """Measure what is not there yet.

    Returns
    -------
    dict of str to str
        Sets that could not be read and methods that failed on a set, with the
        reason. The others are measured all the same.
    """
    before, lacking, warm = journal.keys(), {}, set()
    for name in sets:
        try:
            X, y = load(name, data_dir, download=download)
        except (FileNotFoundError, ValueError) as error:
            lacking[name] = str(error)
            print(f"{name} is missing: {error}", flush=True)
            continue
        for number, fold in enumerate(split(X, y, n_folds, scaled=False)):
            for place, entry in enumerate(entries):
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
                        _tell(name, label, number, n_folds, values)
    return lacking


def _tell(
    name: str, label: str, number: int, n_folds: int, values: dict[str, float]
) -> None:
    print(
        f"{name:9} fold {number + 1:2}/{n_folds} {label:22} "
        f"accuracy {100 * values['accuracy']:6.2f}  fit {values['fit_seconds']:8.2f} s"
        f"  predict {values['predict_seconds']:8.4f} s",
        flush=True,
    )
