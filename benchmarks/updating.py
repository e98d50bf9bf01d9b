"""What adding and forgetting rows costs, against a fit on the rows there are.

    python -m benchmarks.updating [--rows 10000] [--repeats 3] [--write-docs]
    python -m benchmarks.updating --stream --data-dir DIR [--write-docs]

Synthetic rows, one thread. A change is noted at once and carried out by the first
answer that needs it, so every change is timed up to the first answers of each
inference. Refits and changes are timed in turn; figures are medians.

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

from benchmarks.datasets import TABULAR, load, split
from benchmarks.machine import conditions, described
from benchmarks.pages import DOCS, put_between, table
from knngraph import KNNGraphClassifier, KNNGraphWarning

SIZES = (1, 100, 1000)
N_FEATURES = 32
N_QUERIES = 10
# By `vote`, the inferences that answer one after the other: what the first has
# learned the second need not learn again.
WAYS = {"labels": ("adaptive", "lookup"), "reliability": ("adaptive", "cascade")}
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
INFERENCES = ("lookup", "adaptive")


def timed(function: Callable[..., Any], *arguments: Any) -> float:
    """Seconds that a call takes."""
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start


def measure(n_rows: int, n_repeats: int) -> dict[tuple[str, int], list[list[float]]]:
    """Seconds of every change and of a refit.

    Returns
    -------
    dict
        For ("fit", 0), ("add", size) and ("forget", size) a list of repeats: the
        call alone, then up to the answers of every way in the order of `WAYS`.
    """
    n_new = (n_repeats + 1) * sum(SIZES)
    X, y = make_blobs(
        n_rows + n_new + N_QUERIES,
        N_FEATURES,
        centers=20,
        cluster_std=6.0,
        random_state=0,
    )
    queries, X, y = X[:N_QUERIES], X[N_QUERIES:], y[N_QUERIES:]
    models = {vote: KNNGraphClassifier(vote=vote, random_state=0) for vote in WAYS}
    for model in models.values():  # compiled before anything is timed
        model.fit(X[:400], y[:400]).partial_fit(X[:9], y[:9]).predict_proba(queries)
        model.fit(X[:n_rows], y[:n_rows])
    first, seconds = n_rows, defaultdict(list)
    for _ in range(n_repeats):
        fits = [0.0]
        for vote, ways in WAYS.items():
            fresh = KNNGraphClassifier(vote=vote, random_state=0)
            fits += [timed(fresh.fit, X[:n_rows], y[:n_rows])] * len(ways)
        seconds["fit", 0].append(fits)
        for size in SIZES:
            new = slice(first, first + size)
            first += size
            seconds["add", size].append(
                passed(
                    models, lambda m, new=new: m.partial_fit(X[new], y[new]), queries
                )
            )
            seconds["forget", size].append(
                passed(models, lambda m, n=size: m.forget(np.arange(n)), queries)
            )
    return seconds


def passed(
    models: dict[str, Any], change: Callable[[Any], Any], queries: np.ndarray
) -> list[float]:
    """Seconds of the call, and up to the answers of every way."""
    calls, answers = [], []
    for vote, ways in WAYS.items():
        model = models[vote]
        calls.append(timed(change, model))
        so_far = calls[-1]
        for inference in ways:
            model.set_params(inference=inference)
            so_far += timed(model.predict, queries)
            answers.append(so_far)
        _ = model.graph_  # every change starts from a model that has learned all
    return [median(calls), *answers]


def page(n_rows: int, seconds: dict[tuple[str, int], list[list[float]]]) -> str:
    """The figures as a table, with what they depend on."""
    fits = np.median(seconds["fit", 0], axis=0)[1:]
    lines = [["`fit` on all rows", "", *(f"{value:.2f} s" for value in fits)]]
    for (name, size), repeats in seconds.items():
        if name == "fit":
            continue
        call, *answers = np.median(repeats, axis=0)
        shares = [
            f"{value:.2f} s, {value / fit:.0%}" for value, fit in zip(answers, fits)
        ]
        rows = "row" if size == 1 else "rows"
        lines.append([f"{name} {size} {rows}", f"{1e3 * call:.1f} ms", *shares])
    ways = [f'{way}, `vote="{vote}"`' for vote in WAYS for way in WAYS[vote]]
    return (
        table(["", "the call", *(f"and {way} answers" for way in ways)], lines)
        + f"\n\n{n_rows} rows of {N_FEATURES} features, 20 classes, one thread; "
        f"medians of {len(seconds['fit', 0])}, timed in turn: seconds, and their share "
        "of a fit. " + described(conditions())
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
                for way in INFERENCES
            ]
            found[key].append(scores)
    return {key: np.mean(scores, axis=0).tolist() for key, scores in found.items()}


def stream_page(by_set: dict[str, dict[str, list[float]]]) -> str:
    """Accuracy of every set, and the means, as a table."""
    keys = ["plain", "fit", *map(str, FIRST_SHARES)]
    names = ['fit, `metric="euclidean"`', "fit"]
    names += [f"stream from {share:.0%}" for share in FIRST_SHARES]
    heads = [f"{way}: {name}" for way in INFERENCES for name in names]
    cells = {
        name: [found[key][at] for at in range(len(INFERENCES)) for key in keys]
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
    parser.add_argument("--stream", action="store_true")
    parser.add_argument(
        "--data-dir", type=Path, default=os.environ.get("KNNGRAPH_DATA")
    )
    parser.add_argument("--rows", type=int, default=10_000)
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
        else:
            place = "measured"
            text = page(arguments.rows, measure(arguments.rows, arguments.repeats))
    print(text)
    if arguments.write_docs:
        put_between(DOCS / "updating.md", place, text)


if __name__ == "__main__":
    main()
