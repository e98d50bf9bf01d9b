"""What an answer costs: one row, a batch, and the file that a service loads.

    python -m benchmarks.serving [--data-dir DIR] [--write-docs]

With a folder of the published sets: letter (16 columns), MNIST brought to 64
columns by principal components, MNIST (784 columns). Without, rows of as many
columns are drawn. All ways to answer take turns on stretches of the same rows, so
that what else the machine does falls on all of them; faiss is one where installed.
"""

import argparse
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import hnswlib
import numpy as np
from sklearn.decomposition import PCA
from sklearn.neighbors import KNeighborsClassifier

from benchmarks.datasets import load
from benchmarks.machine import conditions, described
from benchmarks.pages import DOCS, put_between, table
from benchmarks.peers.engines import Faiss
from knngraph import KNNGraphClassifier, load_predictor

_INFERENCES = ("lookup", "cascade", "adaptive")
_CANDIDATES = 64  # beam of an adaptive answer with 32 neighbors
_ROWS = 4000
_QUERIES = 500  # of these rows
_STRETCH = 50
_BATCH_ROWS = 10_000
_ROUNDS = 15


def drawn(n_rows: int, n_features: int) -> tuple[np.ndarray, np.ndarray]:
    """Ten classes on a curved sheet of eight dimensions."""
    random = np.random.default_rng(0)
    y = random.integers(10, size=n_rows)
    hidden = random.normal(size=(10, 8))[y] + 0.6 * random.normal(size=(n_rows, 8))
    bent = np.tanh(hidden @ random.normal(size=(8, 64)) / 3)
    X = bent @ random.normal(size=(64, n_features))
    return X + 0.1 * random.normal(size=X.shape), y


def sets(folder: Path | None) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Rows of 16, 64 and 784 columns."""
    if folder is None:
        return [(f"{d} drawn columns", *drawn(_ROWS, d)) for d in (16, 64, 784)]
    letter = some_rows(*load("letter", folder))
    images, digits = some_rows(*load("mnist", folder))
    reduced = PCA(64, random_state=0).fit_transform(images)
    return [
        ("letter", *letter),
        ("MNIST, 64 components", reduced, digits),
        ("MNIST", images, digits),
    ]


def some_rows(X: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A random sample, the same in every run."""
    order = np.random.default_rng(0).permutation(len(X))[:_ROWS]
    return X[order], y[order]


def bare_index(rows: np.ndarray, seed: int) -> Any:
    """hnswlib as its own documentation has it.

    Two graphs of the same rows differ by several percent in the time of their walks,
    by the luck of their upper layers and of the order of the rows: what is compared
    takes its rows in the same order, with the same seed.
    """
    index = hnswlib.Index(space="l2", dim=rows.shape[1])
    index.init_index(
        max_elements=len(rows), M=16, ef_construction=200, random_seed=seed
    )
    index.add_items(rows, num_threads=1)
    index.set_ef(1)
    return index


def faiss_indexes(rows: np.ndarray) -> dict[str, Any]:
    """Exact search by faiss and its graph, as wide as hnswlib's; none without faiss."""
    if find_spec("faiss") is None:
        return {}
    engines = {"faiss flat": Faiss("Flat"), "faiss HNSW": Faiss("HNSW16", 200, ef=1)}
    for engine in engines.values():
        engine.build(rows)
    return {name: engine.index for name, engine in engines.items()}


def one_by_one(
    ways: dict[str, Callable[[np.ndarray], Any]], rows: np.ndarray
) -> dict[str, np.ndarray]:
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
    return taken


def seconds_in_turn(ways: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """Median seconds of every way over rounds in which all are called."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(_ROUNDS):
        for name, run in ways.items():
            start = time.perf_counter()
            run()
            taken[name].append(time.perf_counter() - start)
    return {name: float(np.median(seconds)) for name, seconds in taken.items()}


def measure(X: np.ndarray, y: np.ndarray, folder: Path) -> dict[str, Any]:
    """All figures of one set."""
    X = X.astype(np.float32)
    train, queries = X[:-_QUERIES], X[-_QUERIES:]
    classifier = KNNGraphClassifier(
        inference="cascade", support="local", n_jobs=2, random_state=0
    ).fit(train, y[:-_QUERIES])
    plain = KNeighborsClassifier().fit(train, y[:-_QUERIES])
    in_order = train[classifier._model.stored.row_of_node]
    bare = bare_index(in_order, classifier._recipe.seed)
    from_faiss = faiss_indexes(in_order)
    predictors = {
        inference: classifier.set_params(inference=inference).to_predictor()
        for inference in _INFERENCES
    }
    from_medoids = {
        inference: classifier.set_params(
            inference=inference, walk="medoids"
        ).to_predictor()
        for inference in _INFERENCES
    }
    estimator = classifier.set_params(inference="lookup", walk="hnsw", n_jobs=None)

    ways = {
        "hnswlib, nearest": lambda x: bare.knn_query(x, k=1, num_threads=1),
        "hnswlib, 64 nearest": lambda x: bare.knn_query(
            x, k=_CANDIDATES, num_threads=1
        ),
        **{
            f"{name}, nearest": lambda x, index=index: index.search(x[None], 1)
            for name, index in from_faiss.items()
        },
        "scikit-learn, 5 nearest": lambda x: plain.predict(x[None]),
        "estimator, lookup": lambda x: estimator.predict(x[None]),
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
    seconds = seconds_in_turn(
        {
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
                for name, index in from_faiss.items()
            },
        }
    )
    return {
        "rows": train.shape[0],
        "columns": train.shape[1],
        "single": single,
        "batch": seconds,
        "copied": copied_bytes(lookup, batch),
        "batch_bytes": batch.nbytes,
        "train_bytes": train.nbytes,
        "files": {
            name: file_figures(made, folder / name) for name, made in predictors.items()
        },
    }


def copied_bytes(predictor: Any, batch: np.ndarray) -> int:
    """Memory that numpy asks for at most while a batch is answered."""
    predictor.predict(batch[:10])
    tracemalloc.start()
    predictor.predict(batch)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return int(peak)


def file_figures(predictor: Any, path: Path) -> dict[str, float]:
    """Size of the file, and seconds to load it."""
    predictor.save(path)
    loading = {
        "mapped": lambda: load_predictor(path),
        "read": lambda: load_predictor(path, mmap=False),
    }
    return {"bytes": path.stat().st_size, **seconds_in_turn(loading)}


def report(figures: dict[str, dict[str, Any]]) -> str:
    """Tables for the page."""
    heads = [f"{name} ({f['rows']} x {f['columns']})" for name, f in figures.items()]
    ways = next(iter(figures.values()))["single"]
    rows = [[way, *(_cell(f["single"], way) for f in figures.values())] for way in ways]
    lines = [
        "One row, microseconds: median, 99th percentile, and the median as a multiple "
        "of bare hnswlib's (in bold what is held against it).",
        table(["answer by", *heads], rows),
        "Batches and files. A batch has 10,000 rows.",
        table(["", *heads], _batch_rows(list(figures.values()))),
        f"Measured on {described(conditions())}. Other work was running on the "
        "machine: ratios of one column are comparable, microseconds no promises.",
    ]
    return "\n\n".join(lines)


def _cell(single: dict[str, np.ndarray], way: str) -> str:
    median, tail = np.percentile(single[way], [50, 99])
    ratio = median / np.median(single["hnswlib, nearest"])
    shown = f"{ratio:.1f}x" if ratio < 10 else f"{ratio:.0f}x"
    return (
        f"{median:.1f}, {tail:.0f}, {f'**{shown}**' if 'predictor' in way else shown}"
    )


def _batch_rows(figures: list[dict[str, Any]]) -> list[list[str]]:
    def line(name: str, say: Callable[[dict[str, Any]], str]) -> list[str]:
        return [name, *(say(f) for f in figures)]

    rows = [
        line(
            "lookup, time against bare hnswlib, with one thread and with two",
            lambda f: (
                f"{f['batch']['lookup 1'] / f['batch']['bare 1']:.2f}x, "
                f"{f['batch']['lookup 2'] / f['batch']['bare 2']:.2f}x"
            ),
        ),
        line(
            'lookup with walk="medoids", time against bare hnswlib',
            lambda f: f"{f['batch']['from medoids'] / f['batch']['bare 1']:.2f}x",
        ),
        *(
            line(
                f"lookup, adaptive, time against {other}, with one thread",
                lambda f, other=other: ", ".join(
                    f"{f['batch'][way] / f['batch'][other]:.3g}x"
                    for way in ("lookup 1", "adaptive 1")
                ),
            )
            for other in ("faiss HNSW", "faiss flat", "scikit-learn")
            if other in figures[0]["batch"]
        ),
        line(
            "adaptive, two threads against one",
            lambda f: f"{f['batch']['adaptive 1'] / f['batch']['adaptive 2']:.2f}x",
        ),
        line(
            "memory asked for while a batch of so many MB is answered",
            lambda f: f"{f['copied'] / 1e6:.1f} MB of {f['batch_bytes'] / 1e6:.1f}",
        ),
    ]
    for name in _INFERENCES:
        rows.append(
            line(
                f"file, {name}: size, of training rows in float32",
                lambda f, name=name: (
                    f"{f['files'][name]['bytes'] / 1e6:.1f} MB, "
                    f"{f['files'][name]['bytes'] / f['train_bytes']:.2f}x"
                ),
            )
        )
        rows.append(
            line(
                f"file, {name}: load mapped, read (ms)",
                lambda f, name=name: (
                    f"{1000 * f['files'][name]['mapped']:.0f}, "
                    f"{1000 * f['files'][name]['read']:.0f}"
                ),
            )
        )
    return rows


def main() -> None:
    """Measure and print; with --write-docs into the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, help="folder of the published sets")
    parser.add_argument("--write-docs", action="store_true")
    options = parser.parse_args()
    figures = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, X, y in sets(options.data_dir):
            figures[name] = measure(X, y, Path(folder))
    text = report(figures)
    print(text)
    if options.write_docs:
        put_between(DOCS / "serving.md", "serving", text)


if __name__ == "__main__":
    main()
