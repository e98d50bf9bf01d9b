"""The gates of the classifier on a Dask cluster, measured against one machine.

    python -m benchmarks.cluster --data-dir DIR [--rows N] [--only scale sets faults]

Everything runs on local clusters of real processes of one thread each; the figures are
printed, and written into docs/contributing/dask.md. Worker processes read this file
again: what is imported inside functions is not in the memory that is measured.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.isolated import peak_megabytes, reset_peak

INFERENCES = ("lookup", "cascade", "adaptive")
N_CLASSES, N_FEATURES, CHUNK, N_QUERIES = 20, 64, 12_500, 10_000
# So many, and all that a fit of more compiles is compiled (`knngraph.index.build`).
ROWS_THAT_COMPILE = 20_000
# Every figure that has a bound, by the part of its name.
GATES = {
    "difference": ("at least", -0.2),
    "equal labels": ("at least", 99.0),
    "largest worker over one machine": ("at most", 0.45),
    "fit, clock, over one machine": ("at most", 1.5),
    "same answers": ("at least", 100.0),
}
Figure = tuple[str, float, str]


def made_rows(number: int, n_rows: int, n_features: int = N_FEATURES) -> np.ndarray:
    """One chunk of overlapping classes; the class is the last column."""
    centers = np.random.default_rng(0).normal(size=(N_CLASSES, n_features))
    random = np.random.default_rng([1, number])
    y = random.integers(N_CLASSES, size=n_rows)
    X = centers[y] + 1.5 * random.normal(size=(n_rows, n_features))
    return np.column_stack([X, y]).astype(np.float32)


def chunks_of(n_rows: int) -> list[tuple[int, int]]:
    """Numbers and sizes of the chunks."""
    starts = range(0, n_rows, CHUNK)
    return [(i, min(CHUNK, n_rows - start)) for i, start in enumerate(starts)]


def queries() -> tuple[np.ndarray, np.ndarray]:
    """Rows that no training set holds."""
    rows = made_rows(10**6, N_QUERIES)
    return rows[:, :-1], rows[:, -1].astype(np.intp)


def rows_on_cluster(n_rows: int, n_features: int = N_FEATURES) -> tuple[Any, Any]:
    """Made rows as Dask arrays, made on the workers."""
    import dask
    import dask.array as da

    parts = [
        da.from_delayed(
            dask.delayed(made_rows)(number, size, n_features),
            (size, n_features + 1),
            np.float32,
        )
        for number, size in chunks_of(n_rows)
    ]
    rows = da.concatenate(parts)
    return rows[:, :-1], rows[:, -1].astype(np.intp)


def classifier(**settings: Any) -> Any:
    """The classifier of all measurements."""
    from knngraph import KNNGraphClassifier

    return KNNGraphClassifier(**{"random_state": 0, "inference": "adaptive"} | settings)


def distributed(**settings: Any) -> Any:
    """The same in four partitions, however few rows there are."""
    from knngraph.distributed import DaskKNNGraphClassifier

    return DaskKNNGraphClassifier(classifier(**settings), n_partitions=4, local_rows=0)


def answers_of(fitted: Any, X: np.ndarray) -> dict[str, np.ndarray]:
    """Labels by every inference, lookups by a search that misses next to nothing."""
    prefix, answers = "estimator__" if hasattr(fitted, "estimator") else "", {}
    for inference in INFERENCES:
        ef = 512 if inference == "lookup" else None
        fitted.set_params(**{f"{prefix}inference": inference, f"{prefix}ef": ef})
        answers[inference] = fitted.predict(X)
    return answers


@contextmanager
def cluster_of(n_workers: int) -> Iterator[Any]:
    """Warm workers: what a fit loads or compiles is not measured."""
    from distributed import Client, LocalCluster

    with (
        LocalCluster(
            n_workers=n_workers,
            threads_per_worker=1,
            processes=True,
            memory_limit=0,
            dashboard_address=":0",
            silence_logs=50,
        ) as cluster,
        Client(cluster) as client,
    ):
        client.wait_for_workers(n_workers)
        far = distributed().fit(*rows_on_cluster(800 * n_workers, 4))
        answers_of(far, made_rows(0, 5, 4)[:, :-1])
        del far
        yield client


def cpu_seconds() -> float:
    """Seconds of computing of this process."""
    return time.process_time()


def received_bytes(dask_worker: Any) -> float:
    """Bytes that a worker has got from others."""
    return sum(entry["total"] for entry in dask_worker.transfer_incoming_log)


def alone(n_rows: int, path: str) -> None:
    """Fit in this process; prints what it took, and keeps the answers in a file."""
    warnings.simplefilter("ignore")
    few = made_rows(0, ROWS_THAT_COMPILE, 4)
    few = classifier(metric="euclidean").fit(few[:, :-1], few[:, -1].astype(np.intp))
    answers_of(few, made_rows(0, 5, 4)[:, :-1])
    del few
    rows = np.concatenate([made_rows(*chunk) for chunk in chunks_of(n_rows)])
    X, y = np.ascontiguousarray(rows[:, :-1]), rows[:, -1].astype(np.intp)
    del rows
    reset_peak()
    began, computed = time.perf_counter(), cpu_seconds()
    near = classifier().fit(X, y)
    took = {"clock": time.perf_counter() - began, "cpu": cpu_seconds() - computed}
    took["peak"] = peak_megabytes()
    np.savez(path, **answers_of(near, queries()[0]))
    print(json.dumps(took))


def measure_scale(n_rows: int) -> Iterator[Figure]:
    """Labels, memory, time and traffic at the size where partitions pay."""
    X, y = queries()
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "answers.npz")
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.cluster", "alone", str(n_rows), path],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        near = json.loads(done.stdout.splitlines()[-1])
        expected = dict(np.load(path))
    yield "one machine: fit, clock", near["clock"], "s"
    yield "one machine: fit, processor", near["cpu"], "s"
    yield "one machine: peak memory", near["peak"], "MiB"
    with cluster_of(4) as client:
        base = max(client.run(peak_megabytes).values())
        yield "four workers: largest peak before the fit", base, "MiB"
        client.run(reset_peak)
        began, computed = time.perf_counter(), client.run(cpu_seconds)
        got = client.run(received_bytes)
        far = distributed().fit(*rows_on_cluster(n_rows))
        clock = time.perf_counter() - began
        cpu = sum(client.run(cpu_seconds).values()) - sum(computed.values())
        got = sum(client.run(received_bytes).values()) - sum(got.values())
        peak = max(client.run(peak_megabytes).values())
        yield "four workers: fit, clock", clock, "s"
        yield "four workers: fit, processor", cpu, "s"
        yield "four workers: largest peak memory", peak, "MiB"
        yield "four workers: traffic of fit", got / n_rows, "bytes a row"
        yield "fit, clock, over one machine", clock / near["clock"], "times"
        yield "fit, processor, over one machine", cpu / near["cpu"], "times"
        yield "largest worker over one machine", peak / near["peak"], "times"
        began = time.perf_counter()
        answers = answers_of(far, X)
        seconds = (time.perf_counter() - began) / (len(INFERENCES) * len(X))
        yield "four workers: predict", 1e6 * seconds, "us a query"
    for inference in INFERENCES:
        right, right_far = expected[inference] == y, answers[inference] == y
        yield f"{inference}: accuracy, one machine", 100 * right.mean(), "%"
        yield f"{inference}: accuracy, partitions", 100 * right_far.mean(), "%"
        same = answers[inference] == expected[inference]
        yield f"{inference}: equal labels", 100 * same.mean(), "%"


def measure_sets(data_dir: Path | None) -> Iterator[Figure]:
    """Accuracy on letter and MNIST, in four partitions and on one machine."""
    import dask.array as da

    from benchmarks.datasets import load

    with cluster_of(4):
        for name, n_train, n_test in (
            ("letter", 15_000, 5_000),
            ("mnist", 6_000, 4_000),
        ):
            X, y = load(name, data_dir)
            order = np.random.default_rng(0).permutation(len(X))
            train, test = order[:n_train], order[n_train : n_train + n_test]
            near = answers_of(classifier().fit(X[train], y[train]), X[test])
            size = -(-n_train // 8)
            rows = da.from_array(X[train], chunks=(size, -1))
            far = distributed().fit(rows, da.from_array(y[train], chunks=size))
            answers = answers_of(far, X[test])
            for inference in INFERENCES:
                scores = [
                    100 * float((one[inference] == y[test]).mean())
                    for one in (near, answers)
                ]
                yield f"{name}, {inference}: one machine", scores[0], "%"
                yield f"{name}, {inference}: partitions", scores[1], "%"
                points = scores[1] - scores[0]
                yield f"{name}, {inference}: difference", points, "points"


def measure_faults(n_rows: int) -> Iterator[Figure]:
    """A worker killed during fit, and a model that moves to another cluster."""
    X, _ = queries()
    with tempfile.TemporaryDirectory() as folder:
        with cluster_of(4) as client:
            expected = answers_of(distributed().fit(*rows_on_cluster(n_rows)), X)
            killed: list[int] = []
            killer = threading.Thread(target=kill_one, args=(client, killed))
            killer.start()
            far = distributed().fit(*rows_on_cluster(n_rows))
            killer.join()
            same = same_share(answers_of(far, X), expected) if killed else np.nan
            yield "a worker killed during fit: same answers", same, "%"
            far.save(folder)
            size = sum(path.stat().st_size for path in Path(folder).iterdir())
            yield "save(folder)", size / n_rows, "bytes a row"
        with cluster_of(2):
            loaded = type(far).load(folder)
            same = same_share(answers_of(loaded, X), expected)
            yield "load(folder) on two workers: same answers", same, "%"


def same_share(
    answers: dict[str, np.ndarray], expected: dict[str, np.ndarray]
) -> float:
    """Share of equal labels over all inferences, in percent."""
    return 100 * float(np.mean([answers[i] == expected[i] for i in INFERENCES]))


def kill_one(client: Any, killed: list[int]) -> None:
    """Kill a worker as soon as one learns the neighbors of its rows."""
    pids = client.run(os.getpid)
    while not killed:
        running = client.run_on_scheduler(learning_workers)
        for address in running[:1]:
            os.kill(pids[address], signal.SIGKILL)
            killed.append(pids[address])
        time.sleep(0.01)


def learning_workers(dask_scheduler: Any) -> list[str]:
    """Workers that have got tasks of learning."""
    return [
        ts.processing_on.address
        for ts in dask_scheduler.tasks.values()
        if ts.processing_on is not None and "knngraph-learn" in str(ts.key)
    ]


def met(name: str, value: float) -> str:
    """Bound of a figure, and whether it is met; empty where it has none."""
    for part, (how, bound) in GATES.items():
        if part in name:
            good = value <= bound if how == "at most" else value >= bound
            return f"{how} {bound:g}: {'met' if good else 'missed'}"
    return ""


def main() -> None:
    """Measure, print, and write the page."""
    if sys.argv[1:2] == ["alone"]:
        alone(int(sys.argv[2]), sys.argv[3])
        return
    from benchmarks.machine import conditions, described
    from benchmarks.pages import DOCS, put_between, table

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data-dir", type=Path, default=os.environ.get("KNNGRAPH_DATA")
    )
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--only", nargs="*", default=["scale", "sets", "faults"])
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    parts = {
        "scale": lambda: measure_scale(options.rows),
        "sets": lambda: measure_sets(options.data_dir),
        "faults": lambda: measure_faults(options.rows // 30),
    }
    for part in options.only:
        rows = []
        for name, value, unit in parts[part]():
            rows.append((name, f"{value:.4g} {unit}", met(name, value)))
            print(*rows[-1], sep=" | ", flush=True)
        heading = f"Machine: {described(conditions())}; shared with other work."
        if part == "scale":
            heading += f" {options.rows:,} rows of {N_FEATURES} features."
        lines = table(("what", "measured", "bound"), rows)
        put_between(DOCS / "contributing" / "dask.md", part, f"{heading}\n\n{lines}")


if __name__ == "__main__":
    main()
