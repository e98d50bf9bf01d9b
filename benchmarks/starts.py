"""Searches from medoids where rows are many and in many clusters: do they start right?

    python -m benchmarks.starts [--n-rows N] [--n-clusters C]

Rows are a mixture of Gaussian clusters, those of every class several. One model is
fitted, and answers queries that it has not seen with the starts that it chose and with
64. All ways take turns, by one thread; the least processor time counts.
"""

import argparse
import time
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.made_rows import mixture
from benchmarks.metrics import seconds_in_turn
from benchmarks.pages import table
from knngraph import KNNGraphClassifier
from knngraph.index.exact import ExactIndex
from knngraph.index.medoids import MedoidSearch, choose_entries

N_QUERIES, REPETITIONS = 3000, 5
# A sample of so many points has the entries of few points.
_FEW_POINTS = 8000


def with_64_starts(search: MedoidSearch) -> MedoidSearch:
    """The search with one group of entries, as few points have."""
    step = -(-search.n_points // _FEW_POINTS)
    centers, entries = choose_entries(search.points[::step])
    return replace(search, centers=centers, entries=entries * np.int32(step))


def measure(n_rows: int, n_clusters: int) -> list[list[str]]:
    """One line a way to answer: accuracy and time with 64 starts, and with all."""
    X, y = mixture(n_rows + N_QUERIES, n_clusters=n_clusters)
    queries, given = X[n_rows:], y[n_rows:]
    start = time.process_time()
    model = KNNGraphClassifier(inference="cascade", metric="euclidean", random_state=0)
    model.fit(X[:n_rows], y[:n_rows]).predict(queries[:2])
    fit_seconds = time.process_time() - start
    index, points = model._model.rows.index, model._model.training.points
    start = time.process_time()
    choose_entries(points)
    print(
        f"{n_rows} rows: choosing starts takes {time.process_time() - start:.2f} s of "
        f"{fit_seconds:.1f} s of the fit; ef_={model.ef_}, "
        f"lookup_agreement_={model.lookup_agreement_:.3f}"
    )
    mapped = model._model.space.map_rows(queries)
    searches = {"64": with_64_starts(index.from_medoids(points))}
    searches["all"] = index.from_medoids(points)
    exact = ExactIndex(points).nearest(mapped, 1)[0][:, 0]
    ways: dict[tuple[str, str], Any] = {}
    for starts, search in searches.items():

        def answer(inference: str, search: MedoidSearch = search) -> np.ndarray:
            index._medoid_search = search
            return model.set_params(inference=inference).predict(queries)

        def nearest(ef: int, search: MedoidSearch = search) -> np.ndarray:
            return search.nearest(mapped, 1, ef=ef)[0][:, 0]

        for inference in ("cascade", "adaptive"):
            ways[inference, starts] = lambda i=inference, f=answer: f(i) == given
        for ef in (2, 8, 64):
            name = f"nearest row, ef={ef}"
            ways[name, starts] = lambda e=ef, f=nearest: f(e) == exact
    taken = seconds_in_turn(ways, REPETITIONS, time.process_time).min()
    right = {way: float(np.mean(answers())) for way, answers in ways.items()}
    micro = {way: 1e6 * float(taken[way]) / N_QUERIES for way in ways}
    return [
        [name, *(f"{right[name, s]:.3f} ({micro[name, s]:.1f})" for s in searches)]
        for name in dict.fromkeys(name for name, _ in ways)
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n-rows", type=int, default=300_000)
    parser.add_argument("--n-clusters", type=int, default=200)
    options = parser.parse_args()
    lines = measure(options.n_rows, options.n_clusters)
    print("Share right, and microseconds of the processor a query.\n")
    print(table(["answer", "64 starts", "starts in groups"], lines))


if __name__ == "__main__":
    main()
