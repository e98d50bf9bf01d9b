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
INFERENCES = ("adaptive", "lookup", "cascade")


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
        For ("refit", 0), ("add", size) and ("forget", size) a list of repeats:
        seconds of the change alone, then up to the answers of each inference.
    """
    n_new = n_repeats * sum(SIZES)
    X, y = make_blobs(
        n_rows + n_new + N_QUERIES,
        N_FEATURES,
        centers=20,
        cluster_std=6.0,
        random_state=0,
    )
    queries, X, y = X[:N_QUERIES], X[N_QUERIES:], y[N_QUERIES:]
    model = KNNGraphClassifier(random_state=0)
    model.fit(X[:500], y[:500]).partial_fit(X[:9], y[:9]).predict_proba(queries)
    model.fit(X[:n_rows], y[:n_rows])
    first, seconds = n_rows, defaultdict(list)
    for _ in range(n_repeats):
        refit = KNNGraphClassifier(random_state=0)
        seconds["refit", 0].append([timed(refit.fit, X[:n_rows], y[:n_rows])])
        for size in SIZES:
            new = slice(first, first + size)
            first += size
            for name, change in (
                ("add", (model.partial_fit, X[new], y[new])),
                ("forget", (model.forget, np.arange(size))),
            ):
                passed = [timed(*change)]
                for inference in INFERENCES:
                    model.set_params(inference=inference)
                    passed.append(passed[-1] + timed(model.predict, queries))
                seconds[name, size].append(passed)
                _ = model.graph_  # every change starts from a model that is learned
    return seconds


def page(n_rows: int, seconds: dict[tuple[str, int], list[list[float]]]) -> str:
    """The figures as a table, with what they depend on."""
    refit = median(repeat[0] for repeat in seconds["refit", 0])
    lines = [
        ["fit on all rows", "", f"{refit:.2f} s", f"{refit:.2f} s", f"{refit:.2f} s"]
    ]
    for (name, size), repeats in seconds.items():
        if name == "refit":
            continue
        noted, *answered = np.median(repeats, axis=0)
        cells = [f"{value:.2f} s, 1/{refit / value:.0f}" for value in answered]
        rows = "row" if size == 1 else "rows"
        lines.append([f"{name} {size} {rows}", f"{1e3 * noted:.1f} ms", *cells])
    heads = ["", "the call", *(f"and {name} answers" for name in INFERENCES)]
    return (
        table(heads, lines)
        + f"\n\n{n_rows} rows of {N_FEATURES} features, 20 classes, one thread, medians of "
        f"{len(seconds['refit', 0])}; seconds, and the share of a fit that they are. "
        + described(conditions())
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
