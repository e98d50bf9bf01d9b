"""One fit: its stages, its memory and its answers, by this checkout or another.

knngraph is imported by the functions, so that one that is called in a process of its
own can take it from another checkout.
"""

import pickle
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.isolated import peak_megabytes, reset_peak, resident_megabytes
from benchmarks.made_rows import mixture

INFERENCES = ("lookup", "cascade", "adaptive")
REST = "all else"
# Rows that load what is compiled: enough for every stage.
WARMING = 20_000


def measured(call: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
    """What a call gives, its seconds on the clock and on the processor, its memory.

    `peak_mb` is the most that the process had, `beyond_mb` what of it was not there
    before the call.
    """
    reset_peak()
    before = resident_megabytes()
    start, worked = time.perf_counter(), time.process_time()
    result = call()
    taken = {
        "seconds": time.perf_counter() - start,
        "cpu": time.process_time() - worked,
        "peak_mb": peak_megabytes(),
    }
    return result, taken | {"beyond_mb": taken["peak_mb"] - before}


def fit_by_stage(
    X: np.ndarray, y: np.ndarray, **settings: Any
) -> tuple[Any, dict[str, float], dict[str, float]]:
    """A fitted model, figures of its fit, and processor seconds of the stages."""
    from knngraph import KNNGraphClassifier, progress

    stages: dict[str, float] = {}

    class Watch(progress.Stage):
        """A stage that says nothing and keeps the time of the processor."""

        def __init__(self, name: str, total: int, unit: str = "row") -> None:
            self.name, self.total, self.done = name, total, 0
            self._bar = None
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


def take_from(checkout: str | None) -> None:
    """Import knngraph from another checkout from now on; RuntimeError if too late."""
    if checkout is None:
        return
    if "knngraph" in sys.modules:
        raise RuntimeError("knngraph is imported already")
    sys.path.insert(0, checkout)
    import knngraph

    if not Path(knngraph.__file__).is_relative_to(Path(checkout).resolve()):
        raise RuntimeError(f"{checkout} has no package knngraph")


def measure_fit(
    n_rows: int,
    n_features: int,
    *,
    seed: int = 0,
    n_queries: int = 0,
    n_threads: int = 2,
    checkout: str | None = None,
) -> dict[str, Any]:
    """Fit a mixture in a process of its own: stages, memory, and right answers.

    Parameters
    ----------
    n_rows, n_features, seed : int
        Of the mixture.
    n_queries : int, default=0
        Rows that are drawn beside and answered in every way.
    checkout : str or None, default=None
        Folder with the package that is measured; None for this one.
    """
    take_from(checkout)
    from knngraph import KNNGraphClassifier

    warnings.simplefilter("ignore")
    settings: dict[str, Any] = {"support": "local", "n_jobs": n_threads}
    first = KNNGraphClassifier(**settings | {"ef_construction": 20})
    first.fit(*mixture(WARMING, n_features))
    for inference in INFERENCES:
        first.set_params(inference=inference).predict(mixture(10, n_features)[0])
    del first
    X, y = mixture(n_rows + n_queries, n_features, seed=seed)
    X, queries = X[:n_rows], X[n_rows:]
    model, total, stages = fit_by_stage(X, y[:n_rows], **settings)
    found: dict[str, Any] = total | {"stages": stages, "data_mb": X.nbytes / 2**20}
    if n_queries:
        for inference in INFERENCES:
            model.set_params(inference=inference)
            model.predict(queries[:2])  # learns what these answers read
            answers, taken = measured(lambda: model.predict(queries))
            found[f"{inference} right"] = float(np.mean(answers == y[n_rows:]))
            found[f"{inference} us"] = 1e6 * taken["cpu"] / n_queries
    return found | {"model_mb": len(pickle.dumps(model)) / 2**20}
