"""Where learning the graph spends its time a row, as rows grow.

    python -m benchmarks.learning_profile [--sizes 50000 100000 200000]

One thread learns the graph of made rows of 32 features; what it calls is timed on the
processor, in microseconds a row. Iterations and neighbors a row tell how much of the
growth is more to do. Chunks from all over the rows are solved twice in turn: the
second time their rows are in the caches, and the difference is what waiting for
memory costs.
"""

import argparse
import importlib
import time
import warnings
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.fit_scale import SIZES, exponent
from benchmarks.made_rows import mixture
from benchmarks.pages import table
from knngraph import KNNGraphClassifier
from knngraph.graph.learn import LearnedGraph, learn_graph
from knngraph.graph.representation import candidates_of, solve

_TIMED = {
    "density, penalty, kernel": ("knngraph.graph.learn", "graph_problem"),
    "own class": ("knngraph.graph.learn", "nearest_of_same_class"),
    "candidates": ("knngraph.graph.representation", "candidates_of"),
    "solve": ("knngraph.graph.representation", "solve"),
    "collect": ("knngraph.graph.representation", "collect"),
    "vote": ("knngraph.graph.learn", "vote"),
}
_CHUNK, _CHUNKS = 256, 100


class Learning(Exception):
    """What `learn_graph` was called with, in the place of a result."""


def arguments_of_learning(n_rows: int) -> tuple[Any, dict[str, Any]]:
    """Fit up to the graph."""

    def stop(*arguments: Any, **options: Any) -> None:
        raise Learning(arguments, options | {"n_threads": 1})

    model = importlib.import_module("knngraph.updating.model")
    model.learn_graph = stop
    try:
        KNNGraphClassifier(support="local", n_jobs=2).fit(*mixture(n_rows))
    except Learning as called:
        return called.args[0], called.args[1]
    finally:
        model.learn_graph = learn_graph
    raise AssertionError("fit did not learn a graph")


def profile(n_rows: int) -> dict[str, float]:
    """Microseconds a row by part, and what there was to do."""
    arguments, options = arguments_of_learning(n_rows)
    spent: dict[str, float] = defaultdict(float)

    def timed(part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            start = time.process_time()
            result = function(*args, **kwargs)
            spent[part] += (time.process_time() - start) / n_rows * 1e6
            return result

        return call

    plain = {}
    for part, (module_name, name) in _TIMED.items():
        module = importlib.import_module(module_name)
        plain[module, name] = getattr(module, name)
        setattr(module, name, timed(part, plain[module, name]))
    try:
        learned = timed("in all", learn_graph)(*arguments, **options)
    finally:
        for (module, name), function in plain.items():
            setattr(module, name, function)
    first, again = solved_twice(arguments, learned)
    return {part: spent[part] for part in (*_TIMED, "in all")} | {
        "solve some chunks": first,
        "solve them again at once": again,
        "iterations a row": float(learned.representation.n_iter.mean()),
        "neighbors a row": learned.representation.weights.nnz / n_rows,
    }


def solved_twice(arguments: Any, learned: LearnedGraph) -> tuple[float, float]:
    """Microseconds a row of chunks that are new to the caches, and that are not."""
    training, neighbors, settings = arguments
    starts = np.linspace(0, training.n_pairs - _CHUNK, _CHUNKS).astype(np.intp)
    taken = np.empty((len(starts), 2))
    for chunk, start in enumerate(starts):
        pairs = np.arange(start, start + _CHUNK)
        candidates = candidates_of(
            training, neighbors, learned.same_class, pairs, settings.max_neighbors
        )
        for turn in range(2):
            begin = time.process_time()
            solve(
                training,
                learned.problem,
                pairs,
                candidates,
                np.zeros(candidates.shape),
                np.zeros(len(pairs)),
                np.zeros(len(pairs), dtype=np.intp),
            )
            taken[chunk, turn] = (time.process_time() - begin) / _CHUNK * 1e6
    first, again = np.median(taken, axis=0)
    return float(first), float(again)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="*", default=SIZES)
    sizes = parser.parse_args().sizes
    warnings.simplefilter("ignore")
    KNNGraphClassifier(support="local", ef_construction=10).fit(*mixture(20_000))
    found = {n: profile(n) for n in sizes}
    lines = []
    for part in found[sizes[0]]:
        values = [found[n][part] for n in sizes]
        shown = (f"{value:.2f}" for value in values)
        lines.append([part, *shown, f"{1.0 + exponent(sizes, values):.2f}"])
    print(table(["", *(f"{n:,}" for n in sizes), "all rows: n^"], lines))


if __name__ == "__main__":
    main()
