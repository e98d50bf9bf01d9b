"""Compile time after install, and what a second process still compiles.

    python -m benchmarks.compile_time [--rounds N] [--write-docs]

Two processes use every estimator of the library, one after the other, with one
empty folder as cache of compiled code: the first compiles, the second loads. Rows
come as float32 and float64, in C and in Fortran order, writable and read-only:
what compiles anew for any of them is counted. Compiling reads and writes so much
memory that others on the machine slow it by a half: of several rounds the quickest
is shown function by function, and the sums of all.
"""

import tempfile
import time
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks.command import parser_of, publish
from benchmarks.isolated import run_isolated
from benchmarks.machine import conditions, described
from benchmarks.pages import DOCS, table

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


# Seconds of the compilations of every function, in the first process and the second.
Round = list[dict[str, list[float]]]


def one_round() -> Round:
    """Two processes, the second with what the first left in the cache."""
    with tempfile.TemporaryDirectory() as cache:
        folder = {"NUMBA_CACHE_DIR": cache}
        name = "benchmarks.compile_time:use_everything"
        return [run_isolated(name, {}, environment=folder) for _ in range(2)]


def in_all(*found: dict[str, list[float]]) -> float:
    """Seconds of some processes."""
    return sum(sum(map(sum, one.values())) for one in found)


def main() -> None:
    """Measure, print, and write where asked to."""
    parser = parser_of(__doc__, folder=False)
    parser.add_argument("--rounds", type=int, default=4)
    options = parser.parse_args()
    rounds = sorted(
        (one_round() for _ in range(options.rounds)), key=lambda r: in_all(*r)
    )
    first, second = rounds[0]
    rows = [
        [f"`{name}`", len(took), f"{sum(took):.2f}", f"{sum(second.get(name, [])):.2f}"]
        for name, took in sorted(first.items(), key=lambda item: -sum(item[1]))
    ]
    rows.append(["all", "", f"**{in_all(first):.1f}**", f"**{in_all(second):.1f}**"])
    once = all(len(took) == 1 for took in first.values())
    met = in_all(first) < LONGEST and once and not second
    text = (
        f"Processor seconds of compilation, the quickest of {len(rounds)} rounds "
        f"that took {', '.join(f'{in_all(*one):.1f}' for one in rounds)} in all; "
        f"{described(conditions())}.\n\n"
        + table(["function", "times", "first process", "second process"], rows)
        + f"\n\n- under {LONGEST:.0f} s, every function once whatever the rows come "
        f"as, and nothing in the second process: {'met' if met else 'missed'}"
    )
    publish(text, PAGE, "compile", options)


if __name__ == "__main__":
    main()
