"""What adding and forgetting rows costs, against a fit on the rows there are.

    python -m benchmarks.updating [--rows 5500] [--repeats 3] [--write-docs]
    python -m benchmarks.updating --changes --data-dir DIR [--write-docs]
    python -m benchmarks.updating --stream --data-dir DIR [--write-docs]

Synthetic rows, one thread. A change is noted at once and carried out by the first
answer that needs it, so every change is timed up to the next answers.

With `--changes` a stream of 2,000 mixed changes on three sets: time, accuracy against
fits on the same rows, and memory; see `benchmarks.changes`.

With `--stream` the accuracy of a model that was fitted on some of the rows, and got
the others in ten parts by `partial_fit`, stands beside that of a fit on all of them:
the first keeps the map (`metric="auto"`) that its first rows led to.
"""

import argparse
import os
import time
import warnings
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from sklearn.datasets import make_blobs

from benchmarks.changes import INFERENCES, SETS, changes_page, tracks
from benchmarks.datasets import TABULAR, load, split
from benchmarks.machine import conditions, described
from benchmarks.pages import DOCS, put_between, table
from knngraph import KNNGraphClassifier, KNNGraphWarning

N_FEATURES, N_CLASSES = 32, 20
N_QUERIES = 10
# Rows that come or go in a call, calls before an answer, and answers.
STEPS = {
    "add 1 row": ("add", 1, 1, 1),
    "forget 1 row": ("forget", 1, 1, 1),
    "add 100 rows, an answer after each": ("add", 1, 1, 100),
    "forget 100 rows, an answer after each": ("forget", 1, 1, 100),
    "add 100 rows in 100 calls": ("add", 1, 100, 1),
    "forget 100 rows in 100 calls": ("forget", 1, 100, 1),
    "add 1000 rows at once": ("add", 1000, 1, 1),
    "forget 1000 rows at once": ("forget", 1000, 1, 1),
}
# Sets of the stream, rows of a set at the most, and shares of the training rows that
# the first fit gets.
STREAMED = (
    "balance_scale",
    "binalpha",
    "letter",
    "magic",
    "mfeat_zer47",
    "satimage",
    "spambase",
    "vehicle",
)
MAX_ROWS = 3000
FIRST_SHARES = (0.5, 0.1)
N_PARTS = 10
STREAMED_INFERENCES = ("lookup", "adaptive")


def timed(function: Callable[..., Any], *arguments: Any) -> float:
    """Processor seconds that a call takes."""
    start = time.process_time()
    function(*arguments)
    return time.process_time() - start


def measure(n_rows: int, n_repeats: int) -> dict[tuple[str, str], list[float]]:
    """Seconds of a fit and of every step, up to and including the answers.

    Returns
    -------
    dict
        By ("fit" or a step, inference), one a repeat.
    """
    n_new = sum(np.prod(step[1:]) for step in STEPS.values() if step[0] == "add")
    X, y = make_blobs(
        n_rows + n_new + N_QUERIES,
        N_FEATURES,
        centers=N_CLASSES,
        cluster_std=6.0,
        random_state=0,
    )
    queries, X, y = X[:N_QUERIES], X[N_QUERIES:], y[N_QUERIES:]
    seconds = defaultdict(list)
    for repeat in range(n_repeats + 1):
        for way in INFERENCES:
            model = KNNGraphClassifier(inference=way, random_state=0)

            def fit(model: Any = model) -> None:
                model.fit(X[:n_rows], y[:n_rows]).predict(queries)

            found = {"fit": timed(fit)}
            first = n_rows
            for name, step in STEPS.items():
                # Every step starts where a refresh has just been.
                model.refresh().predict(queries)
                found[name] = timed(change, model, X[first:], y[first:], step, queries)
                first += np.prod(step[1:]) if step[0] == "add" else 0
            if repeat:  # the first compiles
                for name, value in found.items():
                    seconds[name, way].append(value)
    return seconds


def change(
    model: Any,
    X: np.ndarray,
    y: np.ndarray,
    step: tuple[str, int, int, int],
    queries: np.ndarray,
) -> None:
    """Add the first of some rows, or forget some, and answer in between."""
    kind, size, n_calls, n_answers = step
    for number in range(n_calls * n_answers):
        rows = slice(number * size, (number + 1) * size)
        if kind == "add":
            model.partial_fit(X[rows], y[rows])
        else:
            model.forget(np.arange(size))
        if (number + 1) % n_calls == 0:
            model.predict(queries)


def page(n_rows: int, seconds: dict[tuple[str, str], list[float]]) -> str:
    """The figures as a table, with what they depend on."""
    fits = {way: median(seconds["fit", way]) for way in INFERENCES}
    lines = [["`fit`, and an answer", *(f"{fits[way]:.2f} s" for way in INFERENCES)]]
    for name in STEPS:
        found = [(median(seconds[name, way]), fits[way]) for way in INFERENCES]
        shares = [f"{1e3 * spent:.0f} ms, {spent / fit:.1%}" for spent, fit in found]
        lines.append([name, *shares])
    return (
        table(["", *INFERENCES], lines)
        + f"\n\n{n_rows} rows of {N_FEATURES} features, {N_CLASSES} classes, one "
        f"thread, answers to {N_QUERIES} rows; processor time, "
        f"medians of {len(seconds['fit', INFERENCES[0]])}, and the share of a fit. "
        + described(conditions())
    )


def stream(name: str, data_dir: Path | None) -> dict[str, list[float]]:
    """Accuracy in percent, lookups and adaptive, of a fit and of streams on one set.

    Returns
    -------
    dict
        For "plain" (a fit without a map), "fit" and every share of `FIRST_SHARES`.
    """
    X, y = load(name, data_dir)
    some = np.random.default_rng(0).permutation(len(X))[:MAX_ROWS]
    found = defaultdict(list)
    for fold in split(X[some], y[some], 3, scaled=name in TABULAR):
        X_train, y_train, X_test, y_test = fold
        models = {
            "plain": KNNGraphClassifier(metric="euclidean", random_state=0),
            "fit": KNNGraphClassifier(random_state=0),
        }
        for model in models.values():
            model.fit(X_train, y_train)
        for share in FIRST_SHARES:
            first = round(share * len(X_train))
            model = models[str(share)] = KNNGraphClassifier(random_state=0)
            model.partial_fit(X_train[:first], y_train[:first], classes=np.unique(y))
            for part in np.array_split(np.arange(first, len(X_train)), N_PARTS):
                model.partial_fit(X_train[part], y_train[part])
        for key, model in models.items():
            scores = [
                100.0 * model.set_params(inference=way).score(X_test, y_test)
                for way in STREAMED_INFERENCES
            ]
            found[key].append(scores)
    return {key: np.mean(scores, axis=0).tolist() for key, scores in found.items()}


def stream_page(by_set: dict[str, dict[str, list[float]]]) -> str:
    """Accuracy of every set, and the means, as a table."""
    keys = ["plain", "fit", *map(str, FIRST_SHARES)]
    names = ['fit, `metric="euclidean"`', "fit"]
    names += [f"stream from {share:.0%}" for share in FIRST_SHARES]
    heads = [f"{way}: {name}" for way in STREAMED_INFERENCES for name in names]
    cells = {
        name: [found[key][at] for at in range(len(STREAMED_INFERENCES)) for key in keys]
        for name, found in by_set.items()
    }
    cells["**mean**"] = np.mean(list(cells.values()), axis=0).tolist()
    shown = [[name, *(f"{cell:.1f}" for cell in line)] for name, line in cells.items()]
    return (
        table(["accuracy, %", *heads], shown)
        + f"\n\nThree folds, at most {MAX_ROWS} rows; the first share of the training "
        f"rows is fitted, the rest comes in {N_PARTS} calls of `partial_fit`. "
        + described(conditions())
    )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--stream", action="store_true")
    what.add_argument("--changes", action="store_true")
    parser.add_argument(
        "--data-dir", type=Path, default=os.environ.get("KNNGRAPH_DATA")
    )
    parser.add_argument("--rows", type=int, default=5500)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--write-docs", action="store_true")
    arguments = parser.parse_args()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", KNNGraphWarning)
        # Of scikit-learn: a small part of a stream has few rows of many classes.
        warnings.filterwarnings("ignore", "The number of unique classes")
        if arguments.stream:
            place = "stream"
            by_set = {name: stream(name, arguments.data_dir) for name in STREAMED}
            text = stream_page(by_set)
        elif arguments.changes:
            place = "changes"
            text = changes_page(
                {name: tracks(name, arguments.data_dir) for name in SETS}
            )
        else:
            place = "measured"
            text = page(arguments.rows, measure(arguments.rows, arguments.repeats))
    print(text)
    if arguments.write_docs:
        put_between(DOCS / "updating.md", place, text)


if __name__ == "__main__":
    main()
