"""Walks that end with one answer: accuracy against time, several ways to walk.

    python -m benchmarks.walks --data-dir DIR [--only SET ...] [--write-docs]

Four fifths of every set are the training rows, one fifth the queries, all answered
one after the other by one thread; the least processor time of several repetitions
counts. The walks are those of hnswlib (also over graphs built with more links, a
wider beam, and in other orders), and that of `walk="medoids"` over the same links:
as the library has it, from other starts, with a vote of the nearest rows that it has
met, and going on where these do not agree.
"""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import gmean

from benchmarks.command import parser_of, publish
from benchmarks.datasets import TABULAR, load, split_once
from benchmarks.machine import conditions, described
from benchmarks.metrics import seconds_in_turn
from benchmarks.pages import DOCS, table
from benchmarks.peers.engines import Hnswlib
from knngraph.index.exact import ExactIndex
from knngraph.index.hnsw_parts import HNSWParts
from knngraph.index.medoids import MedoidSearch

PAGE = DOCS / "how" / "search.md"
RESULTS = Path(__file__).resolve().parent / "results" / "walks.json"
SETS = [
    "palm",
    "isolet1560",
    "letter",
    "usps_20_uni",
    "binalpha",
    "mnist",
    "satimage",
]
MOST_ROWS, REPETITIONS, SEED = 20_000, 7, 0
BASE = "hnswlib, ef=1"
Way = Callable[[], np.ndarray]


def build(X: np.ndarray, order: np.ndarray, M: int = 16, width: int = 200) -> Any:
    """Graph of hnswlib, one thread, that walks with a beam as wide as asked."""
    engine = Hnswlib(M, width, seed=SEED)
    engine.build(X, order)
    return engine.index


def voted(codes: np.ndarray) -> np.ndarray:
    """Most frequent class of every row; of equals that of the nearest."""
    counts = (codes[:, :, None] == codes[:, None, :]).sum(axis=2)
    return np.take_along_axis(codes, counts.argmax(axis=1)[:, None], axis=1)[:, 0]


def orders(X: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
    """Orders of insertion, the random one first."""
    from_center = ((X - X.mean(axis=0)) ** 2).sum(axis=1)
    squared, _ = ExactIndex(X).nearest(X, 9)[::-1]
    return {
        "random": np.arange(len(X)),
        "farthest from the center first": np.argsort(-from_center),
        "densest first": np.argsort(squared[:, -1]),
        "by class": np.argsort(y, kind="stable"),
    }


def medoids(X: np.ndarray, y: np.ndarray, count: int) -> np.ndarray:
    """Rows nearest to the means of clusters within the classes."""
    from sklearn.cluster import MiniBatchKMeans

    classes = np.unique(y)
    of_class = max(1, count // len(classes))
    found = []
    for code in classes:
        members = np.flatnonzero(y == code)
        clusters = min(of_class, len(members))
        means = MiniBatchKMeans(clusters, n_init=1, random_state=SEED).fit(X[members])
        centers = means.cluster_centers_.astype(np.float32)
        nearest, _ = ExactIndex(X[members]).nearest(centers, 1)
        found.append(members[nearest[:, 0]])
    return np.unique(np.concatenate(found))


def starting_at(walk: MedoidSearch, rows: np.ndarray) -> MedoidSearch:
    """The search that starts at the nearest of some rows."""
    return replace(walk, centers=walk.points[:1], entries=rows.astype(np.int32)[None])


def walks(
    X: np.ndarray, y: np.ndarray, queries: np.ndarray
) -> Iterator[tuple[str, Way]]:
    """Every way to walk: its name, and the walk of all queries."""

    def by_hnswlib(index: Any, ef: int) -> Way:
        def answers() -> np.ndarray:
            ids, _ = index.knn_query(queries, k=ef, num_threads=1)
            return y[ids[:, 0].astype(np.intp)]

        return answers

    inserted = orders(X, y)
    index = build(X, inserted["random"])
    for ef in (1, 2, 4, 8, 16):
        yield f"hnswlib, ef={ef}", by_hnswlib(index, ef)
    others = {
        "M=32": build(X, inserted["random"], M=32),
        "ef_construction=500": build(X, inserted["random"], width=500),
    }
    others |= {
        f"inserted {name}": build(X, order)
        for name, order in list(inserted.items())[1:]
    }
    for name, other in others.items():
        yield f"hnswlib, ef=1, {name}", by_hnswlib(other, 1)
    walk = MedoidSearch.of_graph(HNSWParts.from_state(index.__getstate__()[0]), X)

    def ended(walk: MedoidSearch, beam: int) -> Way:
        return lambda: y[walk.nearest(queries, 1, ef=beam)[0][:, 0]]

    for beam in (1, 2, 4, 8, 16):
        yield f'walk="medoids", ef={beam}', ended(walk, beam)
    random = np.random.default_rng(SEED).permutation(len(X))
    for count in (1, 16, 64, 128):
        started = starting_at(walk, np.sort(random[:count]))
        yield f"from {count} random rows, ef=2", ended(started, 2)
    for count in (64, 128):
        started = starting_at(walk, medoids(X, y, count))
        yield f"from {count} medoids of the classes, ef=2", ended(started, 2)

    def of_three() -> np.ndarray:
        return voted(y[walk.nearest(queries, 3, ef=4)[0]])

    def going_on() -> np.ndarray:
        codes = y[walk.nearest(queries, 2, ef=2)[0]]
        unsure = codes[:, 0] != codes[:, 1]
        answers = codes[:, 0]
        answers[unsure] = y[walk.nearest(queries[unsure], 1, ef=8)[0][:, 0]]
        return answers

    yield 'walk="medoids", ef=4, 3 nearest vote', of_three
    yield 'walk="medoids", ef=2, again with 8 where the 2 nearest disagree', going_on


def measure(name: str, folder: Path | None) -> dict[str, tuple[float, float]]:
    """All walks on one set: accuracy in percent and microseconds a query."""
    X, y = load(name, folder, max_rows=MOST_ROWS)
    fold = split_once(X, y, 0.2, scaled=name in TABULAR)
    X_train, X_test = (
        np.ascontiguousarray(rows, dtype=np.float32) for rows in (fold[0], fold[2])
    )
    codes = fold[1].astype(np.int64)
    nearest, _ = ExactIndex(X_train).nearest(X_test, 1)
    ways = dict(walks(X_train, codes, X_test))
    taken = seconds_in_turn(ways, REPETITIONS, time.process_time).min()
    accuracy = {"exact 1-NN": np.mean(codes[nearest[:, 0]] == fold[3])}
    accuracy |= {way: np.mean(answers() == fold[3]) for way, answers in ways.items()}
    micro = 1e6 * taken / len(X_test)
    return {
        way: (100 * float(share), float(micro.get(way, np.nan)))
        for way, share in accuracy.items()
    }


def report(found: dict[str, dict[str, tuple[float, float]]]) -> str:
    """One line a walk, one column a set, and the gain over ef=1 beside its time."""
    points = pd.DataFrame(found)
    accuracy, times = points.map(lambda point: point[0]), points.map(lambda p: p[1])
    gain = (accuracy - accuracy.loc[BASE]).mean(axis=1)
    ratio = pd.Series(gmean(times / times.loc[BASE], axis=1), index=times.index)
    cells = accuracy.map("{:.1f}".format) + times.map(" ({:.1f})".format)
    lines = [
        [
            way,
            *(cell.removesuffix(" (nan)") for cell in cells.loc[way]),
            f"{gain[way]:+.1f}",
            "" if np.isnan(ratio[way]) else f"{ratio[way]:.2f}",
        ]
        for way in cells.index
    ]
    return (
        "Accuracy in percent and, in brackets, microseconds of the processor a "
        f"query; {described(conditions())}. The last column is the geometric mean "
        "of the ratios.\n\n"
        + table(["walk", *found, "points over ef=1", "time against ef=1"], lines)
    )


def main() -> None:
    """Measure, print, and write where asked to."""
    parser = parser_of(__doc__)
    parser.add_argument("--only", nargs="+", default=SETS)
    options = parser.parse_args()
    found = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    RESULTS.parent.mkdir(exist_ok=True)
    for name in options.only:
        found[name] = measure(name, options.data_dir)
        RESULTS.write_text(json.dumps(found))
    text = report({name: found[name] for name in SETS if name in found})
    publish(text, PAGE, "walks", options)


if __name__ == "__main__":
    main()
