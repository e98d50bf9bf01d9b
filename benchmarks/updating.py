"""What adding and forgetting rows costs, against a fit on the rows there are.

    python -m benchmarks.updating [--rows 10000] [--repeats 3] [--write-docs]

Synthetic rows, one thread. A change is noted at once and carried out by the first
answer that asks for it, so every change is timed up to the first answers of each
inference. Refits and changes are timed in turn; figures are medians.
"""

import argparse
import time
import warnings
from collections import defaultdict
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
from sklearn.datasets import make_blobs

from benchmarks.machine import conditions, described
from benchmarks.pages import DOCS, put_between, table
from knngraph import KNNGraphClassifier, KNNGraphWarning

SIZES = (1, 100, 1000)
N_FEATURES = 32
N_QUERIES = 10
# By `vote`, the inferences that answer one after the other: what the first has
# learned the second need not learn again.
WAYS = {"labels": ("adaptive", "lookup"), "trusted": ("adaptive", "cascade")}


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


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--write-docs", action="store_true")
    arguments = parser.parse_args()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", KNNGraphWarning)
        seconds = measure(arguments.rows, arguments.repeats)
    text = page(arguments.rows, seconds)
    print(text)
    if arguments.write_docs:
        put_between(DOCS / "updating.md", "measured", text)


if __name__ == "__main__":
    main()
