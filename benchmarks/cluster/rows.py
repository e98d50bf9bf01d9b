"""Made rows, and what a process says of itself.

Workers and the process without a cluster load this file: it needs numpy alone, so
that what it loads is in nobody's memory.
"""

import resource
import time
from typing import Any

import numpy as np

N_CLASSES = 20
CHUNK = 12_500
# Of all fits that are measured.
SETTINGS: dict[str, Any] = {
    "query_metric": "same",
    "random_state": 0,
    "support": "local",
    "ef": 16,
    "inference": "adaptive",
}


def chunk_of_rows(number: int, n_rows: int, n_features: int) -> np.ndarray:
    """Rows of one chunk: overlapping classes, and the class as the last column."""
    centers = np.random.default_rng(0).normal(size=(N_CLASSES, n_features))
    random = np.random.default_rng([1, number])
    y = random.integers(N_CLASSES, size=n_rows)
    X = centers[y] + 1.5 * random.normal(size=(n_rows, n_features))
    return np.column_stack([X, y]).astype(np.float32)


def local_rows(n_rows: int, n_features: int) -> tuple[np.ndarray, np.ndarray]:
    """All chunks in this process."""
    X = np.empty((n_rows, n_features), dtype=np.float32)
    y = np.empty(n_rows, dtype=np.intp)
    for number, start in enumerate(range(0, n_rows, CHUNK)):
        stop = min(start + CHUNK, n_rows)
        rows = chunk_of_rows(number, stop - start, n_features)
        X[start:stop], y[start:stop] = rows[:, :-1], rows[:, -1]
    return X, y


def peak_bytes() -> int:
    """Largest resident size that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def cpu_seconds() -> float:
    """Seconds of computing of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def computing_seconds(dask_worker: Any) -> float:
    """Seconds of computing of the threads that work on tasks.

    What the process does besides, be it that it waits, grows with the time of the
    clock: on a machine that others use that is a good part of all.
    """
    threads = dask_worker.executors["default"]._threads
    clocks = [time.pthread_getcpuclockid(thread.ident) for thread in threads]
    return sum(time.clock_gettime(clock) for clock in clocks)


def received_bytes(dask_worker: Any) -> float:
    """Bytes that a worker has got from others."""
    return sum(entry["total"] for entry in dask_worker.transfer_incoming_log)
