"""What a row costs: bytes by part of a fitted model, microseconds by stage.

    python -m benchmarks.sizes [--rows 20000] [--write-docs]

Made rows of 16 and of 128 features, local support, one thread. Bytes are of the
arrays, and for the index of what is pickled; times are of the processor.
"""

import argparse
import pickle
import time
import warnings
from typing import Any

import numpy as np

from benchmarks.fit_scale import STAGES, watch_stages
from benchmarks.machine import conditions, described
from benchmarks.made_rows import mixture
from benchmarks.pages import DOCS, put_between, table
from knngraph import KNNGraphClassifier

PAGE = DOCS / "guide" / "size.md"
FEATURES, N_CLASSES, N_QUERIES = (16, 128), 10, 2000
SETTINGS: dict[str, Any] = {"support": "local", "n_jobs": 1, "random_state": 0}


def bytes_by_part(model: KNNGraphClassifier) -> dict[str, tuple[float, float]]:
    """Bytes of the parts a distinct row: by the formula, and as they are."""
    points = model._model.training.points
    n_rows, d = points.shape
    lists = model._rows.neighbors
    learned = model._rows.solved.representation.weights
    graph = model.graph_
    of_graph = graph.data.nbytes + graph.indices.nbytes
    of_weights = learned.data.nbytes + learned.indices.nbytes
    found = {
        "rows": (4 * d, points.nbytes),
        "index": (4 * d + 8 * model.M + 12, len(pickle.dumps(model._model.index))),
        "candidates": (
            8 * model.max_neighbors,
            lists.ids.nbytes + lists.squared.nbytes,
        ),
        "learned neighbors": (28 * model.n_neighbors_.mean(), of_graph + of_weights),
        "`label_distribution_`": (
            8 * len(model.classes_),
            model.label_distribution_.nbytes,
        ),
    }
    per_row = {name: (rule, size / n_rows) for name, (rule, size) in found.items()}
    whole = len(pickle.dumps(model)) / n_rows
    rest = whole - sum(size for _, size in per_row.values())
    return per_row | {"all else": (np.nan, rest), "together": (np.nan, whole)}


def microseconds_by_stage(
    model: KNNGraphClassifier, stages: dict[str, dict[str, float]], queries: np.ndarray
) -> dict[str, float]:
    """Microseconds of the processor a row of the fit, and a query of each kind."""
    found = {
        stage: 1e6 * stages[stage]["cpu"] / len(model.labels_)
        for stage in STAGES
        if stage in stages
    }
    for name, settings in (
        ("a lookup, `ef=1`", {"inference": "lookup", "ef": None}),
        ("a cascade", {"inference": "cascade", "ef": None}),
        ("an adaptive answer", {"inference": "adaptive", "ef": None}),
    ):
        model.set_params(**settings).predict(queries)
        taken = []
        for _ in range(5):
            start = time.process_time()
            model.predict(queries)
            taken.append(time.process_time() - start)
        found[name] = 1e6 * float(np.median(taken)) / len(queries)
    return found


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--write-docs", action="store_true")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    # Load what is compiled; enough rows for every stage.
    quick = KNNGraphClassifier(**SETTINGS, ef_construction=10)
    quick.fit(*mixture(20_000)).predict(mixture(10)[0])
    stages = watch_stages()
    sizes, times = {}, {}
    for d in FEATURES:
        X, y = mixture(options.rows, d, n_classes=N_CLASSES)
        model = KNNGraphClassifier(**SETTINGS).fit(X, y)
        sizes[d] = bytes_by_part(model)
        queries, _ = mixture(N_QUERIES, d, n_classes=N_CLASSES, seed=1)
        times[d] = microseconds_by_stage(model, stages, queries)
    text = "\n\n".join(
        [
            f"{options.rows:,} rows, {N_CLASSES} classes, one thread; "
            f"{described(conditions())}.",
            _size_table(sizes),
            _time_table(times),
        ]
    )
    print(text)
    if options.write_docs:
        put_between(PAGE, "sizes", text)


def _size_table(sizes: dict[int, dict[str, tuple[float, float]]]) -> str:
    heads = ["bytes a row"]
    for d in FEATURES:
        heads += [f"$d = {d}$, formula", "measured"]
    rows = []
    for part in sizes[FEATURES[0]]:
        row = [part]
        for d in FEATURES:
            rule, size = sizes[d][part]
            row += ["" if np.isnan(rule) else f"{rule:.0f}", f"{size:.0f}"]
        rows.append(row)
    return table(heads, rows)


def _time_table(times: dict[int, dict[str, float]]) -> str:
    return table(
        ["microseconds of the processor, a row", *(f"$d = {d}$" for d in FEATURES)],
        [
            [stage, *(f"{times[d][stage]:.1f}" for d in FEATURES)]
            for stage in times[FEATURES[0]]
        ],
    )


if __name__ == "__main__":
    main()
