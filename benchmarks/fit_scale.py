"""Time and memory of fit by stage, against a bare build and search, as rows grow.

    python -m benchmarks.fit_scale [--sizes 50000 100000 ...] [--seeded] [--write-docs]

Local support on made rows of 32 features, two threads. Every fit, and the bare
hnswlib that it is held against, runs in a process of its own, one after the other,
so that its peak memory is its own. Seconds of the processor are given beside those
of the clock: they say the same on a machine that others use too. The bare build
has the settings of the classifier and takes the rows in the order they come; the
bare search asks for as many neighbors as fit needs, the row itself included. faiss
does the same where it is installed.
"""

import argparse
import importlib
import json
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import conditions, described
from benchmarks.made_rows import mixture
from benchmarks.pages import DOCS, put_between, table
from benchmarks.peers.engines import Faiss

PAGE = DOCS / "scale.md"
RESULTS = Path(__file__).resolve().parent / "results"
SIZES = [50_000, 100_000, 200_000]
N_NEIGHBORS, N_THREADS, N_CHECKED = 32, 2, 500
LARGEST_RATIO, LARGEST_EXPONENT = 1.4, 1.1
# What a fit goes through: name, and the function of the estimator's module, or of
# the one that it calls, that does it.
STAGES = {
    "place rows": ("knngraph.classifier", "place_training_rows"),
    "build index": ("knngraph.classifier", "build_index"),
    "search neighbors": ("knngraph.classifier", "nearest_others"),
    "learn graph": ("knngraph.updating.model", "learn_graph"),
    "leave rows out": ("knngraph.updating.model", "leave_rows_out"),
    "decide and calibrate": ("knngraph.updating.model", "learn_model"),
}


class Peak(threading.Thread):
    """Largest resident memory while the block runs, in bytes."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.bytes = 0
        self._over = threading.Event()

    def run(self) -> None:
        """Look fifty times a second."""
        import psutil

        process = psutil.Process()
        while not self._over.is_set():
            self.bytes = max(self.bytes, process.memory_info().rss)
            self._over.wait(0.02)

    def __enter__(self) -> "Peak":
        self.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._over.set()
        self.join()


def measured(call: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
    """What a call gives, its seconds on the clock and on the processor, its peak."""
    with Peak() as peak:
        start, worked = time.perf_counter(), time.process_time()
        result = call()
        figures = {
            "seconds": time.perf_counter() - start,
            "cpu": time.process_time() - worked,
        }
    return result, figures | {"peak_mb": peak.bytes / 2**20}


def watch_stages() -> dict[str, dict[str, float]]:
    """Measure every stage of the fits that follow."""
    found: dict[str, dict[str, float]] = {}

    def watched(stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            result, found[stage] = measured(lambda: function(*args, **kwargs))
            return result

        return call

    for stage, (module_name, name) in STAGES.items():
        module = importlib.import_module(module_name)
        setattr(module, name, watched(stage, getattr(module, name)))
    return found


def fit_once(n_rows: int, seeded: bool, dtype: str = "float32") -> dict[str, Any]:
    """Figures of one fit, its stages, and the recall of its search."""
    from knngraph import KNNGraphClassifier
    from knngraph.graph.neighbors import nearest_others
    from knngraph.index.exact import ExactIndex

    settings = {"support": "local", "n_jobs": N_THREADS}
    if seeded:
        settings["random_state"] = 0
    warnings.simplefilter("ignore")
    # Load what is compiled; enough rows for every stage.
    KNNGraphClassifier(**settings | {"ef_construction": 10}).fit(*mixture(20_000))
    stages = watch_stages()
    X, y = mixture(n_rows)
    X = X.astype(dtype)

    classifier, total = measured(lambda: KNNGraphClassifier(**settings).fit(X, y))
    model = classifier._model
    points = model.training.points
    checked = np.random.default_rng(1).choice(len(points), N_CHECKED, replace=False)
    lists = nearest_others(
        model.index, points, model.training.node_counts(), N_NEIGHBORS, n_threads=2
    )
    exact, _ = ExactIndex(points).nearest(points[checked], N_NEIGHBORS + 1, n_threads=2)
    shared = [
        len(np.intersect1d(lists.ids[i], ids[ids != i]))
        for i, ids in zip(checked, exact)
    ]
    queries, _ = mixture(2000, seed=1)
    return {
        "fit": total,
        "stages": stages,
        "data_mb": X.nbytes / 2**20,
        "recall": float(np.mean(shared)) / N_NEIGHBORS,
        "loo_score": classifier.loo_score_,
        "answers": classifier.predict(queries).tolist(),
    }


def bare_once(n_rows: int, seeded: bool) -> dict[str, Any]:
    """Figures of hnswlib alone, with the settings of the classifier."""
    import hnswlib

    X, _ = mixture(n_rows)
    index = hnswlib.Index(space="l2", dim=X.shape[1])
    index.init_index(max_elements=n_rows, M=16, ef_construction=200)

    return built_and_searched(
        lambda: index.add_items(X, num_threads=1 if seeded else N_THREADS),
        lambda block: index.knn_query(block, k=N_NEIGHBORS + 1, num_threads=N_THREADS),
        X,
    )


def faiss_once(n_rows: int, seeded: bool) -> dict[str, Any]:
    """Figures of the graph of faiss, as wide, with as wide a beam."""
    X, _ = mixture(n_rows)
    threads = 1 if seeded else N_THREADS
    engine = Faiss("HNSW16", 200, ef=N_NEIGHBORS + 1, n_threads=threads)
    return built_and_searched(
        lambda: engine.build(X),
        lambda block: engine.index.search(block, N_NEIGHBORS + 1),
        X,
    )


def built_and_searched(
    build: Callable[[], Any], search: Callable[[np.ndarray], Any], X: np.ndarray
) -> dict[str, Any]:
    """Figures of an index: of its build, and of a search for the neighbors of all."""

    def search_all() -> None:
        for start in range(0, len(X), 16384):
            search(X[start : start + 16384])

    _, built = measured(build)
    _, searched = measured(search_all)
    return {"build": built, "search": searched}


# What is measured of every size, in a process of its own.
MEASURED: dict[str, Callable[..., dict[str, Any]]] = {
    "knngraph": fit_once,
    "bare": bare_once,
    "faiss": faiss_once,
}


def in_process(*arguments: str) -> dict[str, Any]:
    """Run one measurement of this file in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.fit_scale", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def exponent(sizes: list[int], values: list[float]) -> float:
    """Power of n that values grow with, by least squares on logarithms."""
    if len(sizes) < 2:
        return float("nan")
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])


def rows_of_report(found: dict[int, dict[str, Any]]) -> dict[str, list[float]]:
    """Processor seconds by stage, one value a size."""
    fits = [found[n]["knngraph"] for n in found]
    bares = [found[n]["bare"] for n in found]
    seconds = {stage: [fit["stages"][stage]["cpu"] for fit in fits] for stage in STAGES}
    seconds["fit in all"] = [fit["fit"]["cpu"] for fit in fits]
    seconds["bare build"] = [bare["build"]["cpu"] for bare in bares]
    seconds["bare search"] = [bare["search"]["cpu"] for bare in bares]
    if all("faiss" in found[n] for n in found):
        for part in ("build", "search"):
            seconds[f"faiss {part}"] = [found[n]["faiss"][part]["cpu"] for n in found]
    return seconds


def report(found: dict[int, dict[str, Any]], seeded: bool) -> str:
    """Tables and verdicts as Markdown."""
    sizes = list(found)
    seconds = rows_of_report(found)
    lines = [
        [name, *(f"{value:.1f}" for value in values), f"{exponent(sizes, values):.2f}"]
        for name, values in seconds.items()
    ]
    bare = np.add(seconds["bare build"], seconds["bare search"])
    ratios = np.divide(seconds["fit in all"], bare)
    clock = [
        found[n]["knngraph"]["fit"]["seconds"]
        / sum(part["seconds"] for part in found[n]["bare"].values())
        for n in sizes
    ]
    others = {
        "fit / (bare build + search), processor": [f"{r:.2f}" for r in ratios],
        "fit / (bare build + search), clock": [f"{r:.2f}" for r in clock],
    }
    if "faiss build" in seconds:
        its = np.add(seconds["faiss build"], seconds["faiss search"])
        others["fit / (faiss build + search), processor"] = [
            f"{r:.2f}" for r in np.divide(seconds["fit in all"], its)
        ]
    others |= {
        "fit on the clock, s": [
            f"{found[n]['knngraph']['fit']['seconds']:.0f}" for n in sizes
        ],
        "peak memory of the process, MB": [
            f"{found[n]['knngraph']['fit']['peak_mb']:.0f}" for n in sizes
        ],
        "of which X, MB": [f"{found[n]['knngraph']['data_mb']:.0f}" for n in sizes],
        "recall of 32 neighbors": [
            f"{found[n]['knngraph']['recall']:.4f}" for n in sizes
        ],
    }
    lines += [[name, *values, ""] for name, values in others.items()]
    learning = exponent(sizes, seconds["learn graph"])
    met = {
        f"fit at most {LARGEST_RATIO} times bare build and search": max(ratios)
        <= LARGEST_RATIO,
        f"graph learning no faster than n^{LARGEST_EXPONENT}": learning
        <= LARGEST_EXPONENT,
    }
    verdicts = [
        f"- {name}: {'met' if good else 'missed'}" for name, good in met.items()
    ]
    threads = "one thread builds (seeded)" if seeded else "two threads"
    return "\n".join(
        [
            f"Seconds of the processor, 32 features, {threads}; "
            f"{described(conditions())}.",
            "",
            table(["stage", *(f"{n:,}" for n in sizes), "grows as n^"], lines),
            "",
            *verdicts,
        ]
    )


def precision(n_rows: int) -> str:
    """What rows in double precision change: nothing but memory."""
    single, double = (
        in_process("--measure", "knngraph", "--sizes", str(n_rows), "--seeded", *more)
        for more in ([], ["--dtype", "float64"])
    )
    same = single["answers"] == double["answers"]
    return (
        f"X of {n_rows:,} rows in float32 and the same numbers in float64, seeded: "
        f"answers to 2,000 queries {'the same' if same else 'NOT the same'}, "
        f"leave-one-out scores {single['loo_score']:.6f} and "
        f"{double['loo_score']:.6f}, peak memory {single['fit']['peak_mb']:.0f} MB "
        f"and {double['fit']['peak_mb']:.0f} MB."
    )


def main() -> None:
    """Measure, print, and write where asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="*", default=SIZES)
    parser.add_argument("--seeded", action="store_true", help="set random_state")
    parser.add_argument("--precision", type=int, help="compare dtypes on so many rows")
    parser.add_argument("--write-docs", action="store_true")
    parser.add_argument("--measure", choices=list(MEASURED), help=argparse.SUPPRESS)
    parser.add_argument("--dtype", default="float32", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        more = [options.dtype] if options.measure == "knngraph" else []
        measure = MEASURED[options.measure]
        print(json.dumps(measure(options.sizes[0], options.seeded, *more)))
        return
    if options.precision:
        mark, text = "precision", precision(options.precision)
    else:
        mark = "fit-seeded" if options.seeded else "fit"
        path = RESULTS / f"{mark}_scale.json"
        found = json.loads(path.read_text()) if path.exists() else {}
        seeded = ["--seeded"] if options.seeded else []
        for n_rows in options.sizes:
            found[str(n_rows)] = {
                what: in_process("--measure", what, "--sizes", str(n_rows), *seeded)
                for what in MEASURED
                if what != "faiss" or find_spec("faiss")
            }
            path.parent.mkdir(exist_ok=True)
            path.write_text(json.dumps(found))
        text = report(
            {int(n): found[n] for n in sorted(found, key=int)}, options.seeded
        )
    print(text)
    if options.write_docs:
        put_between(PAGE, mark, text)


if __name__ == "__main__":
    main()
