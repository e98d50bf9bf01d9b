"""Time and memory of fit by stage, against a bare build and search, as rows grow.

    python -m benchmarks.fit_scale [--sizes 50000 100000 ...] [--write-docs]

Local support on made rows of 32 features, two threads. Every fit, and the bare
hnswlib that it is held against, runs in a process of its own, one after the other,
so that its peak memory is its own. Seconds of the processor are given beside those
of the clock: they say the same on a machine that others use too. The bare build
has the settings of the classifier and takes the rows in the order they come; the
bare search asks for as many neighbors as fit needs, the row itself included. faiss
does the same where it is installed. Stages are those that `verbose=1` shows.
"""

import json
import time
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.command import parser_of, publish
from benchmarks.isolated import peak_megabytes, reset_peak, run_isolated
from benchmarks.machine import conditions, described
from benchmarks.made_rows import mixture
from benchmarks.pages import DOCS, table
from benchmarks.peers.engines import Faiss, Hnswlib
from benchmarks.statistics import power_of_growth
from knngraph import KNNGraphClassifier, progress

PAGE = DOCS / "scale.md"
RESULTS = Path(__file__).resolve().parent / "results" / "fit_scale.json"
SIZES = [50_000, 100_000, 200_000]
N_NEIGHBORS, N_THREADS, N_CHECKED = 32, 2, 500
LARGEST_RATIO, LARGEST_EXPONENT = 1.4, 1.1
REST, LEARNING = "all else", "learning neighbors"


def measured(call: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
    """What a call gives, its seconds on the clock and on the processor, its peak."""
    reset_peak()
    start, worked = time.perf_counter(), time.process_time()
    result = call()
    return result, {
        "seconds": time.perf_counter() - start,
        "cpu": time.process_time() - worked,
        "peak_mb": peak_megabytes(),
    }


def fit_by_stage(
    X: np.ndarray, y: np.ndarray, **settings: Any
) -> tuple[KNNGraphClassifier, dict[str, float], dict[str, float]]:
    """A fitted model, figures of its fit, and processor seconds of the stages."""
    stages: dict[str, float] = {}

    class Watch(progress.Stage):
        """A stage that says nothing and keeps the time of the processor."""

        def __init__(self, name: str, total: int, unit: str = "row") -> None:
            self.name, self.total, self.done = name, total, 0
            self.start = time.process_time()

        def advance(self, n_units: int) -> None:
            """Count nothing."""

        def close(self) -> None:
            """Add what the stage took: some have several parts."""
            taken = time.process_time() - self.start
            stages[self.name] = stages.get(self.name, 0.0) + taken

    shown, progress.Stage = progress.Stage, Watch
    try:
        model = KNNGraphClassifier(**settings, verbose=1)
        _, total = measured(lambda: model.fit(X, y))
    finally:
        progress.Stage = shown
    stages[REST] = total["cpu"] - sum(stages.values())
    return model.set_params(verbose=0), total, stages


def measure_knngraph(n_rows: int) -> dict[str, Any]:
    """Figures of one fit, its stages, and the recall of its search."""
    from knngraph.index.exact import ExactIndex

    settings: dict[str, Any] = {"support": "local", "n_jobs": N_THREADS}
    warnings.simplefilter("ignore")
    # Load what is compiled; enough rows for every stage.
    KNNGraphClassifier(**settings | {"ef_construction": 10}).fit(*mixture(20_000))
    X, y = mixture(n_rows)
    classifier, total, stages = fit_by_stage(X, y, **settings)
    rows = classifier._model.rows
    points = rows.training.points
    checked = np.random.default_rng(1).choice(len(points), N_CHECKED, replace=False)
    lists = rows.neighbors.ids[:, :N_NEIGHBORS]
    exact, _ = ExactIndex(points).nearest(points[checked], N_NEIGHBORS + 1, n_threads=2)
    shared = [
        len(np.intersect1d(lists[i], ids[ids != i])) for i, ids in zip(checked, exact)
    ]
    return {
        "fit": total,
        "stages": stages,
        "data_mb": X.nbytes / 2**20,
        "recall": float(np.mean(shared)) / N_NEIGHBORS,
    }


def measure_engine(name: str, n_rows: int) -> dict[str, Any]:
    """Figures of an index alone, as wide as that of the classifier.

    Of its build, and of a search for the neighbors of all rows.
    """
    X, _ = mixture(n_rows)
    beam = N_NEIGHBORS + 1
    engine: Any = Hnswlib(16, 200, beam, N_THREADS)
    if name == "faiss":
        engine = Faiss("HNSW16", 200, ef=beam, n_threads=N_THREADS)
    _, built = measured(lambda: engine.build(X))

    def search_all() -> None:
        for start in range(0, len(X), 16384):
            engine.search(X[start : start + 16384], beam)

    _, searched = measured(search_all)
    return {"build": built, "search": searched}


def measure_size(n_rows: int) -> dict[str, Any]:
    """Everything of one size, each in a process of its own."""
    found = {"knngraph": in_process("measure_knngraph", n_rows=n_rows)}
    for name in ["bare"] + ["faiss"] * bool(find_spec("faiss")):
        found[name] = in_process("measure_engine", name=name, n_rows=n_rows)
    return found


def in_process(function: str, **arguments: Any) -> dict[str, Any]:
    """Call a function of this file in a process of its own, with all its threads."""
    return run_isolated(f"benchmarks.fit_scale:{function}", arguments, environment={})


def report(found: dict[int, dict[str, Any]]) -> str:
    """Tables and verdicts as Markdown."""
    sizes, engines = list(found), ["bare", "faiss"]
    if not all("faiss" in figures for figures in found.values()):
        engines.remove("faiss")
    fits = {n: figures["knngraph"] for n, figures in found.items()}
    cpu = pd.DataFrame({n: fit["stages"] for n, fit in fits.items()})
    cpu.loc["fit in all"] = [fit["fit"]["cpu"] for fit in fits.values()]
    for name in engines:
        for part in ("build", "search"):
            cpu.loc[f"{name} {part}"] = [found[n][name][part]["cpu"] for n in sizes]
    growth = cpu.apply(lambda took: power_of_growth(sizes, took)[0], axis=1)
    lines = [
        [name, *took.map("{:.1f}".format), f"{growth[name]:.2f}"]
        for name, took in cpu.iterrows()
    ]
    clock = pd.Series({n: fit["fit"]["seconds"] for n, fit in fits.items()})
    more = {}
    for name in engines:
        both = cpu.loc[f"{name} build"] + cpu.loc[f"{name} search"]
        on_clock = [sum(p["seconds"] for p in found[n][name].values()) for n in sizes]
        start = f"fit / ({name} build + search)"
        more[f"{start}, processor"] = (cpu.loc["fit in all"] / both), ".2f"
        more[f"{start}, clock"] = clock / on_clock, ".2f"
    more |= {
        "fit on the clock, s": (clock, ".0f"),
        "peak memory of the process, MB": (
            [fit["fit"]["peak_mb"] for fit in fits.values()],
            ".0f",
        ),
        "of which X, MB": ([fit["data_mb"] for fit in fits.values()], ".0f"),
        "recall of 32 neighbors": ([fit["recall"] for fit in fits.values()], ".4f"),
    }
    for name, (values, form) in more.items():
        lines.append([name, *(format(value, form) for value in values), ""])
    largest = max(more["fit / (bare build + search), processor"][0])
    met = {
        f"fit at most {LARGEST_RATIO} times bare build and search": largest
        <= LARGEST_RATIO,
        f"graph learning no faster than n^{LARGEST_EXPONENT}": growth[LEARNING]
        <= LARGEST_EXPONENT,
    }
    verdicts = [
        f"- {what}: {'met' if good else 'missed'}" for what, good in met.items()
    ]
    return "\n\n".join(
        [
            "Seconds of the processor, 32 features, two threads; "
            f"{described(conditions())}.",
            table(["stage", *(f"{n:,}" for n in sizes), "grows as n^"], lines),
            "\n".join(verdicts),
        ]
    )


def main() -> None:
    """Measure, print, and write where asked to."""
    parser = parser_of(__doc__, folder=False)
    parser.add_argument("--sizes", type=int, nargs="*", default=SIZES)
    options = parser.parse_args()
    found = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for n_rows in options.sizes:
        found[str(n_rows)] = measure_size(n_rows)
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(found))
    in_order = {int(n): found[n] for n in sorted(found, key=int)}
    publish(report(in_order), PAGE, "fit", options)


if __name__ == "__main__":
    main()
