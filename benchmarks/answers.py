"""Time of an adaptive answer beyond the search, by the number of features.

    python -m benchmarks.answers [--before CHECKOUT] [--rounds N] [--write-docs]

Made rows of ten classes; microseconds of the processor a query, the least of some
rounds in turn, each in a process of its own. What the search finds is kept and found
again in no time, so what is left is all else: the votes, and probabilities from them.
The cascade answers what it does not resolve in the same way; leave-one-out is what a
fit does for every row. With another checkout of the library, each round measures
both, and the goal is at most 0.65 of its time.
"""

import importlib
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.command import parser_of, publish
from benchmarks.isolated import ONE_THREAD, run_isolated
from benchmarks.machine import conditions, described
from benchmarks.made_rows import mixture
from benchmarks.pages import DOCS, table

PAGE = DOCS / "inference.md"
WIDTHS = (16, 64, 384, 784)
N_ROWS, N_QUERIES, REPEATS = 8_000, 4_000, 5
MOST = 0.65
HERE = str(Path(__file__).resolve().parent.parent)


def least_seconds(call: Callable[[], Any]) -> float:
    """Seconds of the processor, the least of some calls after a first one."""
    call()
    taken = []
    for _ in range(REPEATS):
        start = time.process_time()
        call()
        taken.append(time.process_time() - start)
    return min(taken)


def beyond_search(model: Any, X: Any) -> tuple[float, int]:
    """Seconds of probabilities without the search, and the queries it left open."""
    answer = importlib.import_module("knngraph.inference.answer")
    search, found = answer.search, []

    def keep(*arguments: Any) -> Any:
        found.append(search(*arguments))
        return found[-1]

    answer.search = keep
    model.predict_proba(X)
    in_order = iter(())

    def again() -> None:
        nonlocal in_order
        in_order = iter(found)
        model.predict_proba(X)

    answer.search = lambda *_: next(in_order)
    try:
        return least_seconds(again), sum(len(one.open) for one in found)
    finally:
        answer.search = search


def measure(checkout: str) -> dict[str, list[float]]:
    """Microseconds at every width, by what is measured."""
    sys.path.insert(0, checkout)
    warnings.simplefilter("ignore")
    knngraph = importlib.import_module("knngraph")
    assert Path(knngraph.__file__).is_relative_to(checkout), knngraph.__file__
    module = importlib.import_module("knngraph.inference.leave_one_out")
    taken: dict[str, list[float]] = {}
    for width in WIDTHS:
        X, y = mixture(N_ROWS + N_QUERIES, width)
        rows, queries = X[:N_ROWS], X[N_ROWS:]
        for inference in ("adaptive", "cascade"):
            model = knngraph.KNNGraphClassifier(
                inference=inference, metric="euclidean", random_state=0
            ).fit(rows, y[:N_ROWS])
            for n_threads in (1, 2):
                model.set_params(n_jobs=n_threads)
                seconds, n_open = beyond_search(model, queries)
                plural = "threads" if n_threads > 1 else "thread"
                name = f"{inference}, {n_threads} {plural}"
                taken.setdefault(name, []).append(1e6 * seconds / n_open)
        fitted = model._model
        seconds = least_seconds(
            lambda fitted=fitted: module.leave_one_out(
                fitted.training, fitted.rows.neighbors, fitted.problem
            )
        )
        share = 1e6 * seconds / fitted.training.n_pairs
        taken.setdefault("leave-one-out, 1 thread", []).append(share)
    return taken


def least(rounds: list[dict[str, list[float]]]) -> dict[str, list[float]]:
    """The least of the rounds in every place."""
    return {
        name: [min(of_width) for of_width in zip(*(one[name] for one in rounds))]
        for name in rounds[0]
    }


def main() -> None:
    """Measure, print, and write where asked to."""
    parser = parser_of(__doc__, folder=False)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--before", type=Path, help="another checkout of the library")
    options = parser.parse_args()
    checkouts = {"here": HERE}
    if options.before:
        checkouts["before"] = str(options.before.resolve())
    found: dict[str, list[dict[str, list[float]]]] = {name: [] for name in checkouts}
    for _ in range(options.rounds):
        for name, checkout in checkouts.items():
            found[name].append(
                run_isolated(
                    "benchmarks.answers:measure",
                    {"checkout": checkout},
                    environment=ONE_THREAD,
                )
            )
    here = least(found["here"])
    title = (
        "Microseconds of the processor a query beyond the search, the least in "
        f"{options.rounds} x {REPEATS} calls; {N_ROWS:,} rows; "
        f"{described(conditions())}.\n\n"
    )
    header = ["", *(f"{width} features" for width in WIDTHS)]
    rows = {name: [name, *(f"{value:.1f}" for value in here[name])] for name in here}
    if options.before:
        # For the person that changes the code: the page has the figures of now.
        before, beside, largest = least(found["before"]), [], 0.0
        for name, taken in here.items():
            ratios = [a / b for a, b in zip(taken, before[name])]
            largest = max(largest, *ratios)
            beside += [
                rows[name],
                ["before", *(f"{value:.1f}" for value in before[name])],
                ["ratio", *(f"{ratio:.2f}" for ratio in ratios)],
            ]
        met = "met" if largest <= MOST else "missed"
        print(title + table(header, beside))
        print(f"\n- at most {MOST} of the time before everywhere: {met}\n")
    text = title + table(header, list(rows.values()))
    publish(text, PAGE, "answer time", options)


if __name__ == "__main__":
    main()
