"""One size, in a process of its own."""

import pickle
import time
import warnings
from typing import Any

import numpy as np

from benchmarks.isolated import peak_megabytes, reset_peak, resident_megabytes
from benchmarks.metrics import median_seconds, seconds
from benchmarks.scale.data import mixture
from knngraph import KNNGraphClassifier

MODES: dict[str, dict[str, Any]] = {
    "lookup": {"inference": "lookup", "ef": None},
    "lookup_auto": {"inference": "lookup", "ef": "auto"},
    "cascade": {"inference": "cascade", "ef": None},
    "adaptive": {"inference": "adaptive", "ef": None},
}


def measure_size(
    n_rows: int, n_features: int, n_classes: int, n_queries: int, n_jobs: int
) -> dict[str, float]:
    """Fit once and read the fit in every way.

    Returns
    -------
    dict
        Metrics by name; memory is what was taken beyond the rows.
    """
    warnings.simplefilter("ignore")
    X, y = mixture(n_rows, n_features, n_classes, seed=0)
    queries, truth = mixture(n_queries, n_features, n_classes, seed=1)
    _compile(X, y, n_jobs)
    model = KNNGraphClassifier(support="local", n_jobs=n_jobs)
    reset_peak()
    before = resident_megabytes()
    # Other work on the machine lengthens the first, not the second.
    worked = time.process_time()
    values = {"fit_seconds": seconds(lambda: model.fit(X, y))}
    values["fit_cpu_seconds"] = time.process_time() - worked
    values["peak_megabytes"] = peak_megabytes() - before
    for mode, parameters in MODES.items():
        model.set_params(**parameters)
        answers = model.predict(queries)
        taken = median_seconds(lambda: model.predict(queries), budget=3.0)
        values[f"{mode}_us"] = 1e6 * taken / n_queries
        values[f"{mode}_accuracy"] = float(np.mean(answers == truth))
    return values | {"model_megabytes": len(pickle.dumps(model)) / 2**20}


def _compile(X: np.ndarray, y: np.ndarray, n_jobs: int) -> None:
    model = KNNGraphClassifier(support="local", n_jobs=n_jobs).fit(X[:1000], y[:1000])
    for parameters in MODES.values():
        model.set_params(**parameters).predict(X[:8])
