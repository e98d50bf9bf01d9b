"""Compile time after install, and what a second process still compiles.

    python -m benchmarks.compile_time [--rounds N] [--write-docs]

Two processes use every estimator of the library, one after the other, with one
empty folder as cache of compiled code: the first compiles, the second loads. Rows
come as float32 and float64, in C and in Fortran order, writable and read-only:
what compiles anew for any of them is counted. Compiling reads and writes so much
memory that others on the machine slow it by a half: of several rounds the quickest
is shown function by function, and the sums of all.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks.machine import conditions, described
from benchmarks.pages import DOCS, put_between, table

PAGE = DOCS / "scale.md"
LONGEST = 20.0


def estimators() -> Iterator[Any]:
    """Every public classifier, and the main one with what compiles more."""
    import knngraph
    from knngraph import baselines

    for module in (knngraph, baselines):
        for name in module.__all__:
            kind = getattr(module, name)
            if isinstance(kind, type) and hasattr(kind, "fit"):
                yield kind()
    for support in ("exact", "local"):
        yield knngraph.KNNGraphClassifier(support=support, inference="adaptive")
    yield knngraph.KNNGraphClassifier(inference="cascade", metric="learned")
    yield knngraph.KNNGraphClassifier(walk="medoids")


def inputs(random: np.random.Generator) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The same few rows in every layout that callers have them in."""
    X, y = random.normal(size=(120, 5)), random.integers(3, size=120)
    for dtype in (np.float32, np.float64):
        for order in ("C", "F"):
            rows = np.array(X, dtype=dtype, order=order)
            rows.setflags(write=order == "C")
            yield rows, y


def use_everything() -> dict[str, list[float]]:
    """Fit and predict everywhere; seconds of compilation by function."""
    from knngraph import KNNGraphClassifier
    from knngraph.graph.order import RANDOM_HEAD
    from knngraph.index.build import HELD_OUT

    warnings.simplefilter("ignore")
    random = np.random.default_rng(0)
    seconds = watch_compilation()
    for X, y in inputs(random):
        for estimator in estimators():
            estimator.fit(X, y)
            if hasattr(estimator, "predict"):
                estimator.predict(X)
    # Enough rows that they are brought into an order.
    X = random.normal(size=(2 * RANDOM_HEAD + HELD_OUT, 2))
    quick = KNNGraphClassifier(M=2, ef_construction=5, max_neighbors=3)
    quick.fit(X, X[:, 0] > 0)
    return seconds


def watch_compilation() -> dict[str, list[float]]:
    """Processor seconds of every compilation from now on, by function."""
    from numba.core import event

    seconds: dict[str, list[float]] = {}

    class Watch(event.Listener):  # type: ignore[misc]
        depth, begin = 0, 0.0

        def on_start(self, happening: Any) -> None:
            """Remember when the outermost of nested compilations starts."""
            if self.depth == 0:
                self.begin = time.process_time()
            self.depth += 1

        def on_end(self, happening: Any) -> None:
            """What a function compiles in turn counts as its own."""
            self.depth -= 1
            if self.depth == 0:
                function = happening.data["dispatcher"].py_func
                name = f"{function.__module__}.{function.__name__}"
                took = time.process_time() - self.begin
                seconds.setdefault(name, []).append(took)

    event.register("numba:compile", Watch())
    return seconds


def in_process(cache: str) -> dict[str, list[float]]:
    """Use everything in a process with this folder as cache."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.compile_time", "--measure"],
        env=os.environ | {"NUMBA_CACHE_DIR": cache},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


Round = tuple[dict[str, list[float]], dict[str, list[float]]]


def one_round() -> Round:
    """Seconds by function in two processes, the second with what the first left."""
    with tempfile.TemporaryDirectory() as cache:
        return in_process(cache), in_process(cache)


def in_all(one: Round) -> float:
    """Seconds of both processes."""
    return sum(sum(map(sum, found.values())) for found in one)


def main() -> None:
    """Measure, print, and write where asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--write-docs", action="store_true")
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(use_everything()))
        return
    rounds = sorted((one_round() for _ in range(options.rounds)), key=in_all)
    first, second = rounds[0]
    totals = [sum(map(sum, found.values())) for found in (first, second)]
    rows = [
        [f"`{name}`", len(took), f"{sum(took):.2f}", f"{sum(second.get(name, [])):.2f}"]
        for name, took in sorted(first.items(), key=lambda item: -sum(item[1]))
    ]
    rows.append(["all", "", *(f"**{total:.1f}**" for total in totals)])
    once = all(len(took) == 1 for took in first.values())
    met = totals[0] < LONGEST and once and not second
    text = "\n".join(
        [
            f"Processor seconds of compilation, the quickest of {len(rounds)} rounds "
            f"that took {', '.join(f'{in_all(one):.1f}' for one in rounds)} in all; "
            f"{described(conditions())}.",
            "",
            table(["function", "times", "first process", "second process"], rows),
            "",
            f"- under {LONGEST:.0f} s, every function once whatever the rows come as, "
            "and nothing in the second process: "
            f"{'met' if met else 'missed'}",
        ]
    )
    print(text)
    if options.write_docs:
        put_between(PAGE, "compile", text)


if __name__ == "__main__":
    main()
