"""The engines that build and search HNSW graphs, side by side.

    python -m benchmarks.engines --data-dir DIR [--only SET ...] [--write-docs]
    python -m benchmarks.engines --sets --data-dir DIR [--max-rows N] [--write-docs]

The graph alone, row inserted after row by one thread: processor time, memory, bytes of
its pickle, and the time of a search with the smallest `ef` that finds enough of the ten
nearest rows; faiss beside both where it is installed. Then one fit by each engine that
answers in every way. With `--sets` the accuracy of the same on all sets of the folder.
Every measurement has a process of its own. What the file of figures has is not measured
again.
"""

import os
import pickle
import warnings
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np

from benchmarks.command import parser_of, publish
from benchmarks.datasets import TABULAR, load, split_once
from benchmarks.isolated import (
    ONE_THREAD,
    peak_megabytes,
    reset_peak,
    resident_megabytes,
)
from benchmarks.kept import RESULTS, KeptFigures, add_kept
from benchmarks.lists import Case, exact_distances, recalls, rows_of
from benchmarks.machine import described
from benchmarks.made_rows import mixture
from benchmarks.metrics import seconds_in_turn
from benchmarks.pages import DOCS, table
from benchmarks.sure import SETS
from knngraph import KNNGraphClassifier
from knngraph.index.engines import ENGINES, VARIABLE
from knngraph.index.hnsw import HNSWIndex

PAGE = DOCS / "scale.md"
CASES = [
    Case("letter", 18_000, 16),
    Case("MNIST", 60_000, 784),
    Case("mixture", 200_000, 32),
]
FAISS = "faiss"
M, EF_CONSTRUCTION, K = 16, 200, 10
EF = (10, 12, 16, 20, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)
RECALLS = (0.95, 0.99)
INFERENCES = ("lookup", "cascade", "adaptive")
N_QUERIES, ROUNDS, HELD_OUT = 2000, 3, 0.3
# Rows that load what is compiled for many.
WARMING = 20_000
# Points of accuracy that the engines may differ by.
MOST_APART = 0.3


def is_there(engine: str) -> bool:
    """Whether the package of an engine is installed."""
    return find_spec(engine) is not None


def indexed(engine: str, X: np.ndarray) -> Any:
    """An index of the rows, inserted one after the other."""
    settings = {"M": M, "ef_construction": EF_CONSTRUCTION}
    if engine == FAISS:
        from knngraph.index.faiss import FaissIndex

        index: Any = FaissIndex(X.shape[1], **settings)
    else:
        os.environ[VARIABLE] = engine
        index = HNSWIndex(X.shape[1], len(X), **settings)
    index.add(X)
    return index


def n_bytes(index: Any) -> int:
    """Bytes of an index that is saved."""
    if isinstance(index, HNSWIndex):
        return len(pickle.dumps(index))
    import faiss

    return int(faiss.serialize_index(index._graph).nbytes)


def measure_graph(
    engine: str, name: str, n_rows: int, n_features: int, folder: str | None
) -> dict[str, float]:
    """Figures of the graph alone."""
    indexed(engine, mixture(500, n_features)[0]).nearest(np.zeros((1, n_features)), 1)
    case = Case(name, n_rows, n_features)
    X, queries = rows_of(case, Path(folder) if folder else None)
    reset_peak()
    before, start = resident_megabytes(), process_time()
    index = indexed(engine, X)
    found = {
        "build, us a row": 1e6 * (process_time() - start) / len(X),
        "beyond_mb": peak_megabytes() - before,
        "saved_mb": n_bytes(index) / 2**20,
    }
    exact = exact_distances(X, queries, K)
    searches = {ef: partial(index.nearest, queries, K, ef=ef) for ef in EF}
    shares = {
        ef: float(recalls(X, queries, search()[0], exact).mean())
        for ef, search in searches.items()
    }
    taken = seconds_in_turn(searches, ROUNDS, process_time).min() / len(queries)
    for wanted in RECALLS:
        enough = [ef for ef in EF if shares[ef] >= wanted]
        ef = enough[0] if enough else EF[-1]
        found[f"ef for {wanted}"] = ef
        found[f"us for {wanted}"] = 1e6 * float(taken[ef]) if enough else np.nan
        found[f"recall for {wanted}"] = shares[ef]
    return found | one_row(index, queries)


def one_row(index: Any, queries: np.ndarray) -> dict[str, float]:
    """Microseconds of a greedy search for one row, called for from Python."""
    if not isinstance(index, HNSWIndex):
        return {}
    search = index.row_searcher(1)

    def search_all() -> None:
        for query in queries:
            search(query)

    taken = seconds_in_turn({"rows": search_all}, 5, process_time).min()
    return {"one row, us": 1e6 * float(taken["rows"]) / len(queries)}


def fold_of(name: str, n_rows: int, folder: str | None) -> tuple[np.ndarray, ...]:
    """Training rows and queries with their classes: X, y, queries, their classes."""
    if name == "mixture":
        X, y = mixture(n_rows + N_QUERIES)
        return X[:n_rows], y[:n_rows], X[n_rows:], y[n_rows:]
    X, y = load(name.lower(), Path(folder) if folder else None)
    X = X.astype(np.float32)
    share = 1.0 - n_rows / len(y) if n_rows < len(y) else HELD_OUT
    fold = split_once(X, y, share, scaled=name.lower() in TABULAR)
    few = slice(None, N_QUERIES)
    return fold[0], fold[1], fold[2][few], fold[3][few]


def measure_fit(engine: str, name: str, n_rows: int, folder: str | None) -> Any:
    """One fit that answers in every way."""
    warnings.simplefilter("ignore")
    os.environ[VARIABLE] = engine
    fit = KNNGraphClassifier(metric="euclidean", random_state=0).fit
    fit(*mixture(WARMING, 8)).set_params(inference="cascade").predict(np.zeros((1, 8)))
    X, y, queries, codes = fold_of(name, n_rows, folder)
    reset_peak()
    before, start = resident_megabytes(), process_time()
    model = fit(X, y)
    found = {"fit, s": process_time() - start}
    for inference in INFERENCES:
        model.set_params(inference=inference)
        answers = model.predict(queries)  # learns what it lacks
        predict = partial(model.predict, queries)
        taken = seconds_in_turn({inference: predict}, ROUNDS, process_time).min()
        found[inference] = 100.0 * float(np.mean(answers == codes))
        found[f"{inference}, us"] = 1e6 * float(taken[inference]) / len(queries)
    found["all, s"] = process_time() - start
    found["beyond_mb"] = peak_megabytes() - before
    return found | {"saved_mb": len(pickle.dumps(model)) / 2**20}


def measure_set(name: str, max_rows: int, folder: str) -> dict[str, float]:
    """Accuracy of every inference by every engine, in percent, on one split."""
    warnings.simplefilter("ignore")
    X, y = load(name, Path(folder), max_rows=max_rows)
    fold = split_once(X, y, HELD_OUT, scaled=name in TABULAR)
    found = {}
    for engine in ENGINES:
        os.environ[VARIABLE] = engine
        model = KNNGraphClassifier(random_state=0).fit(fold[0], fold[1])
        for inference in INFERENCES:
            answers = model.set_params(inference=inference).predict(fold[2])
            share = float(np.mean(answers == fold[3]))
            found[f"{inference} {engine}"] = 100.0 * share
    return found


def report_graphs(found: dict[tuple[Case, str], dict[str, float]]) -> str:
    """One line a set and engine."""
    at = [f"µs a query at recall@{K} {wanted} (`ef`, recall)" for wanted in RECALLS]
    heads = ["rows", "engine", "insertion, µs a row", *at, "one row, `ef=1`, µs"]
    lines = []
    for (case, engine), figures in found.items():
        searches = [
            f"{figures[f'us for {wanted}']:.1f} ({figures[f'ef for {wanted}']:.0f}, "
            f"{figures[f'recall for {wanted}']:.3f})"
            for wanted in RECALLS
        ]
        one = f"{figures['one row, us']:.1f}" if "one row, us" in figures else ""
        cells = [f"{figures['build, us a row']:.0f}", *searches, one]
        sizes = [f"{figures[size]:.0f}" for size in ("beyond_mb", "saved_mb")]
        lines.append([str(case), engine, *cells, *sizes])
    return table([*heads, "MB, at most", "MB saved"], lines)


def report_fits(found: dict[tuple[Case, str], dict[str, float]]) -> str:
    """One line a set and engine."""
    heads = ["rows", "engine", "fit, s", *INFERENCES]
    lines = [
        [
            str(case),
            engine,
            f"{figures['fit, s']:.2f}",
            *(f"{figures[i]:.2f} ({figures[f'{i}, us']:.1f})" for i in INFERENCES),
            *(f"{figures[size]:.0f}" for size in ("beyond_mb", "saved_mb")),
        ]
        for (case, engine), figures in found.items()
    ]
    return table([*heads, "MB, at most", "MB saved"], lines)


def report_sets(found: dict[str, dict[str, float]]) -> str:
    """One line a set, both engines in a cell, and the verdict."""
    lines, worst = [], (0.0, "")
    for name, figures in found.items():
        cells = []
        for inference in INFERENCES:
            pair = [figures[f"{inference} {engine}"] for engine in ENGINES]
            worst = max(worst, (abs(pair[0] - pair[1]), f"{inference} on {name}"))
            cells.append(" / ".join(f"{value:.2f}" for value in pair))
        lines.append([name, *cells])
    apart, where = worst
    met = "met" if apart <= MOST_APART else "missed"
    farthest = f"the farthest is {apart:.2f}, {where}" if apart else "all are equal"
    return (
        table(["set", *INFERENCES], lines)
        + f"\n\n- at most {MOST_APART} points apart: {met}; {farthest}"
    )


def measured(
    kept: KeptFigures, part: str, cases: list[Case], folder: Path | None
) -> dict[tuple[Case, str], dict[str, float]]:
    """Figures of all engines on all sets that could be measured."""
    found = {}
    others = [FAISS] if part == "graph" else []
    for case in cases:
        for engine in filter(is_there, [*ENGINES, *others]):
            arguments = case._asdict() | {"engine": engine}
            arguments["folder"] = str(folder) if folder else None
            if part == "fit":
                del arguments["n_features"]
            name = f"{part} by {engine}: {case}"
            figures = kept.measure(
                name, f"benchmarks.engines:measure_{part}", arguments
            )
            if figures is not None:
                found[case, engine] = figures
    return found


def main() -> None:
    """Measure, print, and write where asked to."""
    parser = parser_of(__doc__)
    parser.add_argument("--only", nargs="+", metavar="SET", help="names of sets")
    parser.add_argument("--sets", action="store_true", help="accuracy on all sets")
    parser.add_argument("--max-rows", type=int, default=5000, help="of a set")
    opened = add_kept(parser, RESULTS / "engines.json")
    options = parser.parse_args()
    os.environ.update(ONE_THREAD)
    kept, folder = opened(options), options.data_dir
    where = described(kept.conditions)
    if options.sets:
        found = {}
        for name in options.only or SETS:
            arguments = {"name": name, "max_rows": options.max_rows}
            figures = kept.measure(
                f"accuracy: {name}",
                "benchmarks.engines:measure_set",
                arguments | {"folder": str(folder)},
            )
            if figures is not None:
                found[name] = figures
        text = (
            f"Percent right of {100 * HELD_OUT:.0f} % of the rows that were held out, "
            f"{' / '.join(ENGINES)}; at most {options.max_rows} rows; {where}.\n\n"
        )
        publish(text + report_sets(found), PAGE, "engines on sets", options)
        return
    cases = [c for c in CASES if options.only is None or c.name in options.only]
    graphs = report_graphs(measured(kept, "graph", cases, folder))
    fits = report_fits(measured(kept, "fit", cases, folder))
    text = (
        f'{graphs}\n\nOne fit (`metric="euclidean"`), its answers to '
        f"{N_QUERIES} queries in percent right, and microseconds a query in brackets:"
        f"\n\n{fits}\n\nSeconds of the processor, one thread; {where}."
    )
    publish(text, PAGE, "engines", options)


if __name__ == "__main__":
    main()
