"""Memory, time, traffic and accuracy on a local cluster of real processes."""

import gc
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask
import dask.array as da
import numpy as np
from distributed import Client, LocalCluster, wait

from benchmarks.cluster.rows import (
    CHUNK,
    SETTINGS,
    chunk_of_rows,
    computing_seconds,
    cpu_seconds,
    peak_bytes,
    received_bytes,
)
from benchmarks.datasets import load
from knngraph import KNNGraphClassifier
from knngraph.distributed import DaskKNNGraphClassifier

# So many, and all that a fit of more compiles is compiled (`knngraph.graph.order`).
_ROWS_THAT_COMPILE = (20_000, 4)


def far_rows(n_rows: int, n_features: int) -> tuple[Any, Any]:
    """The same rows, made on the workers."""
    parts = []
    for number, start in enumerate(range(0, n_rows, CHUNK)):
        size = min(CHUNK, n_rows - start)
        rows = dask.delayed(chunk_of_rows)(number, size, n_features)
        parts.append(da.from_delayed(rows, (size, n_features + 1), np.float32))
    rows = da.concatenate(parts)
    return rows[:, :-1], rows[:, -1].astype(np.intp)


@contextmanager
def cluster_of(n_workers: int) -> Iterator[Client]:
    """Workers that are processes of one thread each."""
    with (
        LocalCluster(
            n_workers=n_workers,
            threads_per_worker=1,
            processes=True,
            memory_limit=0,
            dashboard_address=":0",
        ) as cluster,
        Client(cluster) as client,
    ):
        client.wait_for_workers(n_workers)
        warm_up(n_workers)
        yield client


def warm_up(n_workers: int) -> None:
    """Load, or compile, what a fit needs, so that it is not measured."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        far = DaskKNNGraphClassifier(n_partitions=n_workers, **SETTINGS)
        far.fit(*far_rows(200 * n_workers, 4))
        far.predict(chunk_of_rows(10_000, 5, 4)[:, :-1])


def fit_alone(n_rows: int, n_features: int) -> tuple[float, float]:
    """Peak in bytes, and seconds of the processor, of a process without a cluster."""
    command = [sys.executable, "-m", "benchmarks.cluster.alone"]
    done = subprocess.run(
        [*command, str(n_rows), str(n_features)],
        check=True,
        capture_output=True,
        text=True,
    )
    peak, seconds = map(float, done.stdout.split())
    return peak, seconds


def measure_memory(n_rows: int, n_features: int) -> Iterator[tuple[str, float, str]]:
    """Peak of each of four workers against that of one machine."""
    # Compiled once and for all: compiling takes more memory than what is compiled,
    # and whoever comes first would be measured with it.
    fit_alone(*_ROWS_THAT_COMPILE)
    base_alone, _ = fit_alone(800, 4)
    peak_alone, seconds = fit_alone(n_rows, n_features)
    yield "rows", n_rows, ""
    yield "one machine that fitted 800 rows, peak", base_alone / 2**20, "MiB"
    yield "one machine, peak", peak_alone / 2**20, "MiB"
    yield "one machine, fit", seconds, "s of the processor"
    with cluster_of(4) as client:
        base = max(client.run(peak_bytes).values())
        yield "a worker that fitted 800 rows, peak", base / 2**20, "MiB"
        before = Spent.by(client)
        far = DaskKNNGraphClassifier(n_partitions=4, **SETTINGS)
        far.fit(*far_rows(n_rows, n_features))
        spent = Spent.by(client).since(before)
        yield "four workers, fit", spent.computing, "s of the processor"
        yield "four workers, traffic", spent.traffic / n_rows, "bytes a row"
        peak = max(client.run(peak_bytes).values())
    yield "four workers, largest peak", peak / 2**20, "MiB"
    yield "largest peak over one machine", peak / peak_alone, "times"


def measure_partitions(
    n_rows: int, n_features: int, routing: str, counts: list[int]
) -> Iterator[tuple[str, float, str]]:
    """Time, computing and traffic of fit and predict, by number of partitions."""
    Q = chunk_of_rows(10_000, 4096, n_features)
    for n in counts:
        with cluster_of(n) as client:
            X, y = client.persist(far_rows(n_rows, n_features))
            wait([X, y])
            before = Spent.by(client)
            start = time.perf_counter()
            far = DaskKNNGraphClassifier(
                n_partitions=n, routing=routing, n_probes=2, **SETTINGS
            ).fit(X, y)
            fit_seconds = time.perf_counter() - start
            fitted = Spent.by(client).since(before)
            asked = client.persist(da.from_array(Q[:, :-1], chunks=(1024, -1)))
            wait(asked)
            arrived = Spent.by(client)
            start = time.perf_counter()
            answers = far.predict(asked).compute()
            predict_seconds = time.perf_counter() - start
            predicted = Spent.by(client).since(arrived)
            yield f"{n}|fit", fit_seconds, "s of the clock"
            yield f"{n}|fit computing", fitted.computing, "s of the processor"
            yield f"{n}|fit, processes", fitted.processes, "s of the processor"
            yield f"{n}|fit traffic", fitted.traffic / n_rows, "bytes a row"
            yield f"{n}|predict", predict_seconds / len(Q) * 1e6, "us a query"
            computing = predicted.computing / len(Q) * 1e6
            yield f"{n}|predict computing", computing, "us of the processor a query"
            traffic = predicted.traffic / len(Q)
            yield f"{n}|predict traffic", traffic, "bytes a query"
            yield f"{n}|accuracy", 100 * float((answers == Q[:, -1]).mean()), "%"
            yield f"{n}|recall of routing", far.routing_recall_, "share"
            del far, X, y, asked
        gc.collect()


@dataclass(frozen=True)
class Spent:
    """What the workers have spent so far."""

    computing: float
    processes: float
    traffic: float

    @classmethod
    def by(cls, client: Client) -> "Spent":
        """Ask all workers."""
        return cls(
            sum(client.run(computing_seconds).values()),
            sum(client.run(cpu_seconds).values()),
            sum(client.run(received_bytes).values()),
        )

    def since(self, before: "Spent") -> "Spent":
        """What was spent in between."""
        return Spent(
            self.computing - before.computing,
            self.processes - before.processes,
            self.traffic - before.traffic,
        )


def measure_accuracy(
    name: str, n_train: int, n_test: int, data_dir: Path | None
) -> Iterator[tuple[str, float, str]]:
    """Accuracy of four partitions against one machine."""
    X, y = load(name, data_dir)
    order = np.random.default_rng(0).permutation(len(X))
    train, test = order[:n_train], order[n_train : n_train + n_test]
    settings = SETTINGS | {"ef": None}
    near = KNNGraphClassifier(**settings).fit(X[train], y[train])
    with cluster_of(4) as client:
        assert client.status == "running"
        far = DaskKNNGraphClassifier(n_partitions=4, **settings)
        rows = da.from_array(X[train], chunks=(-(-n_train // 8), -1))
        far.fit(rows, da.from_array(y[train], chunks=-(-n_train // 8)))
        for inference in ("lookup", "cascade", "adaptive"):
            ef = "auto" if inference == "lookup" else None
            for label, one in (("one machine", near), ("four partitions", far)):
                one.set_params(inference=inference, ef=ef)
                score = 100 * one.score(X[test], y[test])
                yield f"{name}|{inference}|{label}", score, "%"
