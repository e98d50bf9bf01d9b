"""Compile time after install, and what a second process still compiles.

    python -m benchmarks.compile_time [--rounds N] [--write-docs]

Two processes use every estimator of the library, one after the other, with one
empty folder as cache of compiled code: the first compiles, the second loads. Rows
come as float32 and float64, in C and in Fortran order, writable and read-only:
what compiles anew for any of them is counted. Compiling reads and writes so much
memory that others on the machine slow it by a half: of several rounds the quickest
is shown function by function, and the sums of all. More processes, each with an
empty folder, are timed as a whole: a lookup by default and all inferences, by every
search engine that is installed.
"""

import tempfile
import time
import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import product

import numpy as np

from benchmarks.command import parser_of, publish
from benchmarks.isolated import ONE_THREAD, run_isolated
from benchmarks.machine import conditions, described
from benchmarks.pages import DOCS, table
from knngraph.index.engines import ENGINES, VARIABLE

PAGE = DOCS / "scale.md"
LONGEST = 15.0
# What the first process may take, in seconds of the processor.
FIRST = {("lookup",): 6.0, ("lookup", "adaptive", "cascade"): 12.0}


def inputs() -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The same few rows in every layout that callers have them in."""
    from knngraph.warm import few_rows

    X, y = few_rows()
    for dtype in (np.float32, np.float64):
        for order in ("C", "F"):
            rows = np.array(X, dtype=dtype, order=order)
            rows.setflags(write=order == "C")
            yield rows, y


def use_everything() -> dict[str, list[float]]:
    """Fit and predict everywhere; seconds of compilation by function."""
    from numba.core import event

    from knngraph.warm import Compilations, use_all

    warnings.simplefilter("ignore")
    compiled = Compilations()
    with event.install_listener("numba:compile", compiled):
        for X, y in inputs():
            use_all(X, y)
    return compiled.seconds


def first_use(inferences: list[str]) -> float:
    """Processor seconds of a process that fits and predicts, with its imports."""
    from knngraph import KNNGraphClassifier
    from knngraph.warm import few_rows

    warnings.simplefilter("ignore")
    X, y = few_rows()
    for inference in inferences:
        fitted = KNNGraphClassifier(inference=inference, random_state=0).fit(X, y)
        fitted.predict(X)
        if len(inferences) > 1:
            fitted.predict_proba(X)
    return time.process_time()


# Seconds of the compilations of every function, in the first process and the second.
Round = list[dict[str, list[float]]]


def one_round() -> Round:
    """Two processes, the second with what the first left in the cache."""
    with tempfile.TemporaryDirectory() as cache:
        folder = {"NUMBA_CACHE_DIR": cache}
        name = "benchmarks.compile_time:use_everything"
        return [run_isolated(name, {}, environment=folder) for _ in range(2)]


def first_seconds(inferences: list[str], engine: str) -> float:
    """Seconds of the first process after an installation, on one thread."""
    with tempfile.TemporaryDirectory() as cache:
        found = run_isolated(
            "benchmarks.compile_time:first_use",
            {"inferences": inferences},
            environment=ONE_THREAD | {"NUMBA_CACHE_DIR": cache, VARIABLE: engine},
        )
    return float(found)


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
    firsts = ["\n\n"]
    engines = [engine for engine in ENGINES if find_spec(engine)]
    for engine, (inferences, most) in product(engines, FIRST.items()):
        took = [first_seconds(list(inferences), engine) for _ in range(options.rounds)]
        firsts.append(
            f"- first process of all, {' and '.join(inferences)}, search engine "
            f"{engine}: imports, fit, predict"
            f"{' and probabilities' if len(inferences) > 1 else ''} in "
            f"{min(took):.1f} s (quickest of {len(took)}), at most {most:.0f}: "
            f"{'met' if min(took) <= most else 'missed'}\n"
        )
    once = all(len(took) == 1 for took in first.values())
    met = in_all(first) < LONGEST and once and not second
    text = (
        f"Processor seconds of compilation, the quickest of {len(rounds)} rounds "
        f"that took {', '.join(f'{in_all(*one):.1f}' for one in rounds)} in all; "
        f"{described(conditions())}.\n\n"
        + table(["function", "times", "first process", "second process"], rows)
        + "".join(firsts)
        + f"\n- under {LONGEST:.0f} s, every function once whatever the rows come "
        f"as, and nothing in the second process: {'met' if met else 'missed'}"
    )
    publish(text, PAGE, "compile", options)


if __name__ == "__main__":
    main()
