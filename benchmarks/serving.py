"""What an answer costs: one row, a batch, and the file that a service loads.

    python -m benchmarks.serving [--data-dir DIR] [--write-docs]

With a folder of the published sets: letter (16 columns), MNIST brought to 64
columns by principal components, MNIST (784 columns). Without, rows of as many
columns are drawn. All ways to answer take turns on stretches of the same rows, so
that what else the machine does falls on all of them; faiss is one where installed.
"""

import tempfile
import time
import tracemalloc
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.command import parser_of, publish
from benchmarks.datasets import load
from benchmarks.machine import conditions, described
from benchmarks.made_rows import curved_sheet
from benchmarks.metrics import seconds_in_turn
from benchmarks.pages import DOCS, table
from benchmarks.peers.engines import Faiss, Hnswlib
from knngraph import KNNGraphClassifier, load_predictor, to_predictor

_INFERENCES = ("lookup", "cascade", "adaptive")
_CANDIDATES = 64  # beam of an adaptive answer with 32 neighbors
_ROWS = 4000
_QUERIES = 500  # of these rows
_STRETCH = 50
_BATCH_ROWS = 10_000
_ROUNDS = 15


def sets(folder: Path | None) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Rows of 16, 64 and 784 columns."""
    if folder is None:
        made = {d: curved_sheet(_ROWS, d, 10, seed=0) for d in (16, 64, 784)}
        return [(f"{d} drawn columns", *rows) for d, rows in made.items()]
    letter = shuffled(*load("letter", folder, max_rows=_ROWS))
    images, digits = shuffled(*load("mnist", folder, max_rows=_ROWS))
    reduced = PCA(64, random_state=0).fit_transform(images)
    return [
        ("letter", *letter),
        ("MNIST, 64 components", reduced, digits),
        ("MNIST", images, digits),
    ]


def shuffled(X: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rows in an order that is the same in every run."""
    order = np.random.default_rng(0).permutation(len(X))
    return X[order], y[order]


def bare_indexes(rows: np.ndarray, seed: int) -> dict[str, Any]:
    """hnswlib and, where installed, faiss: exact search and a graph as wide.

    Two graphs of the same rows differ by several percent in the time of their
    searches, by the luck of their upper layers and of the order of the rows: what is
    compared takes its rows in the same order, with the same seed.
    """
    engines: dict[str, Any] = {"hnswlib": Hnswlib(seed=seed)}
    if find_spec("faiss") is not None:
        engines["faiss flat"] = Faiss("Flat")
        engines["faiss HNSW"] = Faiss("HNSW16", 200, ef=1)
    for engine in engines.values():
        engine.build(rows)
    return {name: engine.index for name, engine in engines.items()}


def one_by_one(
    ways: Mapping[str, Callable[[np.ndarray], Any]], rows: np.ndarray
) -> pd.DataFrame:
    """Microseconds of every way on every row, in turn stretch by stretch.

    Within a stretch a way answers one row after another, as a service does: what
    it needs is in the caches.
    """
    taken = {name: np.empty(len(rows)) for name in ways}
    for begin in range(0, len(rows), _STRETCH):
        for name, answer in ways.items():
            for place in range(begin, min(begin + _STRETCH, len(rows))):
                start = time.perf_counter_ns()
                answer(rows[place])
                taken[name][place] = (time.perf_counter_ns() - start) / 1000
    return pd.DataFrame(taken)


def measure(X: np.ndarray, y: np.ndarray, folder: Path) -> dict[str, Any]:
    """All figures of one set."""
    X = X.astype(np.float32)
    train, queries = X[:-_QUERIES], X[-_QUERIES:]
    # Without a learned map all ways search the same rows.
    classifier = KNNGraphClassifier(
        inference="cascade",
        support="local",
        metric="euclidean",
        n_jobs=2,
        random_state=0,
    ).fit(train, y[:-_QUERIES])
    plain = KNeighborsClassifier().fit(train, y[:-_QUERIES])
    fitted = classifier._model
    in_order = train[fitted.training.row_of_node()]
    indexes = bare_indexes(in_order, fitted.settings.seed)
    bare = indexes.pop("hnswlib")
    predictors, from_medoids = (
        {
            inference: classifier.set_params(
                inference=inference, walk=walk
            ).to_predictor()
            for inference in _INFERENCES
        }
        for walk in ("auto", "medoids")
    )
    estimator = classifier.set_params(inference="lookup", walk="auto", n_jobs=None)
    pipeline = make_pipeline(SimpleImputer(), StandardScaler(), clone(estimator))
    pipeline.fit(train, y[:-_QUERIES])

    ways = {
        "hnswlib, nearest": lambda x: bare.knn_query(x, k=1, num_threads=1),
        "hnswlib, 64 nearest": lambda x: bare.knn_query(
            x, k=_CANDIDATES, num_threads=1
        ),
        **{
            f"{name}, nearest": lambda x, index=index: index.search(x[None], 1)
            for name, index in indexes.items()
        },
        "scikit-learn, 5 nearest": lambda x: plain.predict(x[None]),
        "estimator, lookup": lambda x: estimator.predict(x[None]),
        "pipeline of imputer, scaler and estimator, lookup": lambda x: pipeline.predict(
            x[None]
        ),
        "predictor of that pipeline, lookup": to_predictor(pipeline),
        **{f"predictor, {name}": made for name, made in predictors.items()},
        **{
            f'predictor, {name}, walk="medoids"': made
            for name, made in from_medoids.items()
        },
    }
    one_by_one(ways, queries[:20])
    single = one_by_one(ways, queries)

    batch = np.tile(queries, (_BATCH_ROWS // _QUERIES, 1))
    lookup, adaptive = predictors["lookup"], predictors["adaptive"]
    in_batches = {
        "bare 1": lambda: bare.knn_query(batch, k=1, num_threads=1),
        "lookup 1": lambda: lookup.predict(batch),
        "bare 2": lambda: bare.knn_query(batch, k=1, num_threads=2),
        "lookup 2": lambda: lookup.predict(batch, n_jobs=2),
        "from medoids": lambda: from_medoids["lookup"].predict(batch),
        "adaptive 1": lambda: adaptive.predict(batch, n_jobs=1),
        "adaptive 2": lambda: adaptive.predict(batch, n_jobs=2),
        "scikit-learn": lambda: plain.predict(batch),
        **{
            name: lambda index=index: index.search(batch, 1)
            for name, index in indexes.items()
        },
    }
    seconds = seconds_in_turn(in_batches, _ROUNDS).median()
    figures = batch_figures(seconds, list(indexes), lookup, batch)
    for name, made in predictors.items():
        figures |= file_figures(name, made, folder / name, train.nbytes)
    heads = f"({train.shape[0]} x {train.shape[1]})"
    return {"size": heads, "single": cells_of(single), "batch": figures}


def cells_of(single: pd.DataFrame) -> dict[str, str]:
    """Median, 99th percentile, and the median as a multiple of bare hnswlib's."""
    cells = {}
    for way, times in single.items():
        ratio = times.median() / single["hnswlib, nearest"].median()
        shown = f"{ratio:.1f}x" if ratio < 10 else f"{ratio:.0f}x"
        shown = f"**{shown}**" if "predictor" in way else shown
        cells[way] = f"{times.median():.1f}, {times.quantile(0.99):.0f}, {shown}"
    return cells


def batch_figures(
    seconds: pd.Series, indexes: list[str], lookup: Any, batch: np.ndarray
) -> dict[str, str]:
    """Ratios of a batch's times, and the memory that it asks for."""

    def ratio(way: str, other: str, form: str = ".2f") -> str:
        return f"{seconds[way] / seconds[other]:{form}}x"

    figures = {
        "lookup, time against bare hnswlib, with one thread and with two": (
            f"{ratio('lookup 1', 'bare 1')}, {ratio('lookup 2', 'bare 2')}"
        ),
        'lookup with walk="medoids", time against bare hnswlib': ratio(
            "from medoids", "bare 1"
        ),
    }
    for other in (*reversed(indexes), "scikit-learn"):
        figures[f"lookup, adaptive, time against {other}, with one thread"] = ", ".join(
            ratio(way, other, ".3g") for way in ("lookup 1", "adaptive 1")
        )
    asked = copied_bytes(lookup, batch) / 1e6
    return figures | {
        "adaptive, two threads against one": ratio("adaptive 1", "adaptive 2"),
        "memory asked for while a batch of so many MB is answered": (
            f"{asked:.1f} MB of {batch.nbytes / 1e6:.1f}"
        ),
    }


def copied_bytes(predictor: Any, batch: np.ndarray) -> int:
    """Memory that numpy asks for at most while a batch is answered."""
    predictor.predict(batch[:10])
    tracemalloc.start()
    predictor.predict(batch)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return int(peak)


def file_figures(
    name: str, predictor: Any, path: Path, train_bytes: int
) -> dict[str, str]:
    """Size of the file, and milliseconds to load it."""
    predictor.save(path)
    loading = {
        "mapped": lambda: load_predictor(path),
        "read": lambda: load_predictor(path, mmap=False),
    }
    taken = 1000 * seconds_in_turn(loading, _ROUNDS).median()
    size = path.stat().st_size
    return {
        f"file, {name}: size, of training rows in float32": (
            f"{size / 1e6:.1f} MB, {size / train_bytes:.2f}x"
        ),
        f"file, {name}: load mapped, read (ms)": (
            f"{taken['mapped']:.0f}, {taken['read']:.0f}"
        ),
    }


def report(found: dict[str, dict[str, Any]]) -> str:
    """Tables for the page, a column a set."""
    heads = [f"{name} {figures['size']}" for name, figures in found.items()]

    def lines(part: str) -> Any:
        columns = {name: figures[part] for name, figures in found.items()}
        return pd.DataFrame(columns).reset_index().to_numpy()

    return "\n\n".join(
        [
            "One row, microseconds: median, 99th percentile, and the median as a "
            "multiple of bare hnswlib's (in bold what is held against it).",
            table(["answer by", *heads], lines("single")),
            "Batches and files. A batch has 10,000 rows.",
            table(["", *heads], lines("batch")),
            f"Measured on {described(conditions())}. Other work was running on the "
            "machine: ratios of one column are comparable, microseconds no promises.",
        ]
    )


def main() -> None:
    """Measure and print; with --write-docs into the page."""
    options = parser_of(__doc__).parse_args()
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, X, y in sets(options.data_dir):
            found[name] = measure(X, y, Path(folder))
    publish(report(found), DOCS / "serving.md", "serving", options)


if __name__ == "__main__":
    main()
