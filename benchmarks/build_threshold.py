"""From how many rows on graph and lists are made at once for less, as good as inserted.

    python -m benchmarks.build_threshold [--sizes 1000 2000 ...]

Both ways build the index of the same made rows, measure its search and list 32
neighbors of every row, by one thread in turn; the least processor time of three counts.
What compilation takes is left out: `benchmarks/compile_time.py` has it. Recall is that
of the lists, on a sample, and of the nearest node with `ef` of 1, 8 and 64.
"""

import argparse
from collections.abc import Callable, Iterator
from functools import partial
from time import process_time

import numpy as np

from benchmarks.made_rows import curved_sheet, mixture
from benchmarks.metrics import seconds_in_turn
from benchmarks.pages import table
from knngraph.index import build
from knngraph.index.build import BuiltGraph, build_graph
from knngraph.index.recall import recall_of_lists

SIZES = [1000, 2000, 4000, 8000, 16_000, 32_000]
N_LISTED, ROUNDS = 32, 3
EF = (1, 8, 64)
WAYS = {"inserted": 10**9, "at once": 0}


def made_sets(n_rows: int) -> Iterator[tuple[str, np.ndarray]]:
    """Rows of a few kinds, in random order."""
    yield "mixture 32", mixture(n_rows, 32)[0]
    yield "sheet 16", curved_sheet(n_rows, 16, 10, seed=0)[0]
    noise = np.random.default_rng(0).random((n_rows, 16), dtype=np.float32)
    yield "noise 16", noise
    tails = np.random.default_rng(1).standard_t(2.0, size=(n_rows, 8))
    yield "heavy tails 8", tails.astype(np.float32)
    yield "mixture 256", mixture(n_rows, 256, intrinsic=20)[0]


def built(rows: np.ndarray, fewest: int) -> BuiltGraph:
    """The graph of the rows, made at once from so many rows on."""
    before, build.FEWEST_POINTS = build.FEWEST_POINTS, fewest
    try:
        return build_graph(rows, N_LISTED)
    finally:
        build.FEWEST_POINTS = before


def measure(name: str, rows: np.ndarray) -> list[str]:
    """One line: processor seconds and recalls of both ways."""
    ways: dict[str, Callable[[], BuiltGraph]] = {
        way: partial(built, rows, fewest) for way, fewest in WAYS.items()
    }
    seconds = seconds_in_turn(ways, ROUNDS, process_time).min()
    cells = [name, f"{len(rows):,}", *(f"{seconds[way]:.2f}" for way in ways)]
    cells.append(f"{seconds['at once'] / seconds['inserted']:.2f}")
    for way in ways.values():
        graph = way()
        recalls = [recall_of_lists(graph.squared, rows, 1)]
        recalls += [graph.search_recall.agreement(None, ef) for ef in EF]
        cells.append(" ".join(f"{recall:.3f}" for recall in recalls))
    return cells


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    options = parser.parse_args()
    for _, rows in made_sets(1000):
        built(rows, 0)  # compiles
    lines = [
        measure(name, rows) for size in options.sizes for name, rows in made_sets(size)
    ]
    heads = ["rows", "number", *WAYS, "ratio", *(f"recall, {way}" for way in WAYS)]
    print(table(heads, lines))


if __name__ == "__main__":
    main()
