"""Memory, time, traffic and accuracy of the classifier on a Dask cluster.

    python -m benchmarks.distributed --csv FILE [--data-dir DIR] [--write-docs]
        [--only memory partitions accuracy]

Everything runs on a local cluster of real processes. Figures are added to the CSV
file as they come, so that the parts may be run one by one; with `--write-docs` those
of the file, and the plan that follows from them, are written into docs/dask.md.
"""

import argparse
import csv
import gc
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dask
import dask.array as da
import numpy as np
from distributed import Client, LocalCluster, wait

from benchmarks.datasets import load
from benchmarks.machine import conditions, described
from benchmarks.pages import DOCS, put_between, table
from knngraph import KNNGraphClassifier, LookupAgreementWarning
from knngraph.distributed import DaskKNNGraphClassifier
from knngraph.distributed.fitting import rows_of_patch
from knngraph.distributed.neighborhoods import rows_of_question
from knngraph.space import Space

PAGE = DOCS / "dask.md"
N_CLASSES = 20
CHUNK = 12_500
SETTINGS_OF_GRAPH = KNNGraphClassifier()._graph_settings(
    [3, 7, 15], Space("euclidean", None, 1.0)
)
SETTINGS = {
    "vote": "labels",
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
        client.run(warm_up)
        yield client


def warm_up() -> None:
    """Load, or compile, what a fit needs, so that it is not measured."""
    X, y = local_rows(300, 4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        KNNGraphClassifier(**SETTINGS).fit(X, y).predict(X[:5])


def peak_bytes() -> int:
    """Largest resident size that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def cpu_seconds() -> float:
    """Seconds of computing of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def received_bytes(dask_worker: Any) -> float:
    """Bytes that a worker has got from others."""
    return sum(entry["total"] for entry in dask_worker.transfer_incoming_log)


def measure_memory(n_rows: int, n_features: int) -> Iterator[tuple[str, float, str]]:
    """Peak of each of four workers against that of one machine."""
    code = (
        "from benchmarks.distributed import *\n"
        f"X, y = local_rows({n_rows}, {n_features})\n"
        "import time; start = time.perf_counter()\n"
        "KNNGraphClassifier(**SETTINGS).fit(X, y)\n"
        "print(peak_bytes(), time.perf_counter() - start)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    alone, seconds = map(float, done.stdout.split())
    yield "one machine, peak", alone / 2**20, "MiB"
    yield "one machine, fit", seconds, "s"
    with cluster_of(4) as client:
        base = max(client.run(peak_bytes).values())
        yield "a worker before fit", base / 2**20, "MiB"
        start = time.perf_counter()
        far = DaskKNNGraphClassifier(n_partitions=4, **SETTINGS)
        far.fit(*far_rows(n_rows, n_features))
        yield "four workers, fit", time.perf_counter() - start, "s"
        peak = max(client.run(peak_bytes).values())
    yield "four workers, largest peak", peak / 2**20, "MiB"
    yield "largest peak over one machine", peak / alone, "times"


def measure_partitions(
    n_rows: int, n_features: int, routing: str, counts: tuple[int, ...]
) -> Iterator[tuple[str, float, str]]:
    """Time, computing and traffic of fit and predict, by number of partitions."""
    Q = chunk_of_rows(10_000, 4096, n_features)
    for n in counts:
        with cluster_of(n) as client:
            X, y = client.persist(far_rows(n_rows, n_features))
            wait([X, y])
            before = _spent(client)
            start = time.perf_counter()
            far = DaskKNNGraphClassifier(
                n_partitions=n, routing=routing, n_probes=2, **SETTINGS
            ).fit(X, y)
            fit_seconds = time.perf_counter() - start
            fitted = _spent(client)
            asked = client.persist(da.from_array(Q[:, :-1], chunks=(1024, -1)))
            wait(asked)
            arrived = _spent(client)
            start = time.perf_counter()
            answers = far.predict(asked).compute()
            predict_seconds = time.perf_counter() - start
            predicted = _spent(client)
            yield f"{n}|fit", fit_seconds, "s"
            yield f"{n}|fit computing", fitted[0] - before[0], "s"
            yield f"{n}|fit traffic", (fitted[1] - before[1]) / n_rows, "bytes a row"
            yield f"{n}|predict", predict_seconds / len(Q) * 1e6, "us a query"
            traffic = (predicted[1] - arrived[1]) / len(Q)
            yield f"{n}|predict traffic", traffic, "bytes a query"
            yield f"{n}|accuracy", 100 * float((answers == Q[:, -1]).mean()), "%"
            yield f"{n}|recall of routing", far.routing_recall_, "share"
            del far, X, y, asked
        gc.collect()


def _spent(client: Client) -> tuple[float, float]:
    return (
        sum(client.run(cpu_seconds).values()),
        sum(client.run(received_bytes).values()),
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


def plan(figures: dict[str, float], n_rows: int, n_features: int) -> str:
    """What a billion rows of 128 features would take, from the figures."""
    n, d, m = 10**9, 128, 32
    workers, cores = 64, 16
    partitions = workers
    index = 4 * d + 4 * 2 * 16 * 1.1 + 16
    of_row = {
        "coordinates, for other partitions": 4 * d,
        "index: coordinates again, 32 links, level": index,
        "nearest rows: 32 numbers of 8 bytes and distances of 4": 12 * m,
        "learned neighbors (7 of 16 bytes), shares, statistics": 7 * 16 + 200,
    }
    total = sum(of_row.values())
    per_worker = total * n / workers
    to_and_fro = (partitions - 1) * (4 * d + 12 * (m + 1))
    fetched = 1.5 * m * (4 * d + 28)
    once = 4 * d + 20
    traffic = to_and_fro + fetched + once
    network = 1.25e9 * 0.5
    hours_net = traffic * n / workers / network / 3600
    patch_rows = rows_of_patch(d, SETTINGS_OF_GRAPH, n // workers)
    questions = -(-n // workers // rows_of_question(d, n // workers))
    patches = -(-n // workers // patch_rows)
    tasks = partitions * (partitions + 3) * (questions + 2 * patches)
    probes = 8
    routed = (probes - 1) * (4 * d + 12 * (m + 1)) + fetched * 0.3 + once
    rows = [
        *(
            (f"memory: {what}", f"{size:.0f} bytes a row", f"{size * n / 1e12:.2f} TB")
            for what, size in of_row.items()
        ),
        ("memory of all", f"{total:.0f} bytes a row", f"{total * n / 1e12:.2f} TB"),
        (
            f"machines: {workers} of {cores} cores, one partition each",
            f"{n // workers / 1e6:.1f} million rows each",
            f"{per_worker / 2**30:.0f} GiB each, and as much again for work",
        ),
        (
            'traffic, `routing="all"`',
            f"{traffic / 1024:.0f} KiB a row",
            f"{traffic * n / 1e12:.0f} TB, {hours_net:.1f} h at half of 10 Gbit/s",
        ),
        (
            "tasks of the two exchanges",
            f"{questions} and {patches} blocks a partition",
            f"{tasks / 1e6:.1f} million, {tasks * 1e-3 / 3600:.1f} h of the scheduler",
        ),
        (
            f'traffic, `routing="centroids"`, n_probes={probes}',
            f"{routed / 1024:.0f} KiB a row",
            f"{routed * n / 1e12:.0f} TB, "
            f"{routed * n / workers / network / 3600:.1f} h",
        ),
    ]
    for name, asked in (("all", partitions), (f"centroids, n_probes={probes}", probes)):
        seconds = computing_of_row(figures, n_rows, n_features, asked, n / partitions)
        if seconds is not None:
            hours = seconds * n / (workers * cores) / 3600
            cells = (f"{seconds * 1e3:.1f} ms a row", f"{hours:.1f} h of all cores")
            rows.append((f"computing, routing: {name}", *cells))
    return table(("what", "a row", f"{n:.0e} rows of {d} features"), rows)


def computing_of_row(
    figures: dict[str, float], n_rows: int, n_features: int, asked: int, n_there: float
) -> float | None:
    """Seconds of computing for a row of 128 features that asks some partitions.

    What one partition was measured to take, and what every further one that is
    asked was measured to add; None where that was not measured.
    """
    counts = sorted(
        int(name.split("|")[1])
        for name in figures
        if name.startswith("all|") and name.endswith("|fit computing")
    )
    if len(counts) < 2:
        return None
    one, most = (figures[f"all|{i}|fit computing"] / n_rows for i in (1, counts[-1]))
    added = max(most - one, 0.0) / (counts[-1] - 1)
    deeper = np.log(n_there) / np.log(n_rows / counts[-1])
    return float(128 / n_features * (one + added * (asked - 1) * deeper))


def report(figures: dict[str, tuple[float, str]], n_rows: int, d: int) -> str:
    """The figures as tables."""
    parts = [f"Machine: {described(conditions())}; shared with other work."]
    memory = [
        (name.split("|", 1)[1], f"{value:.3g} {unit}")
        for name, (value, unit) in figures.items()
        if name.startswith("memory|")
    ]
    if memory:
        title = "**Memory**, 200,000 rows of 64 features"
        parts += [title, table(("what", ""), memory)]
    whats = (
        "fit",
        "fit computing",
        "fit traffic",
        "predict",
        "predict traffic",
        "accuracy",
        "recall of routing",
    )
    for routing in ("all", "centroids"):
        counts = sorted(
            {int(n.split("|")[1]) for n in figures if n.startswith(f"{routing}|")}
        )
        if not counts:
            continue
        rows = [
            (
                what,
                unit,
                *(f"{figures[f'{routing}|{n}|{what}'][0]:.4g}" for n in counts),
            )
            for what in whats
            for unit in [figures[f"{routing}|{counts[0]}|{what}"][1]]
        ]
        title = (
            f'**`routing="{routing}"`**, {n_rows:,} rows of {d} features, by partitions'
        )
        parts += [title, table(("what", "unit", *map(str, counts)), rows)]
    rows = []
    sets = sorted({n.split("|")[1] for n in figures if n.startswith("accuracy|")})
    for name in sets:
        for way in ("lookup", "cascade", "adaptive"):
            places = ("one machine", "four partitions")
            names = [f"accuracy|{name}|{way}|{place}" for place in places]
            if not all(measured in figures for measured in names):
                continue
            near, far = (figures[measured][0] for measured in names)
            cells = (f"{near:.2f}", f"{far:.2f}", f"{far - near:+.2f}")
            rows.append((name, way, *cells))
    heads = ("set", "inference", "one machine", "four partitions", "difference")
    if rows:
        parts += ["**Accuracy** in percent", table(heads, rows)]
    return "\n\n".join(parts)


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--csv", type=Path, required=True)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--write-docs", action="store_true")
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--features", type=int, default=64)
    parser.add_argument(
        "--only", nargs="*", default=["memory", "partitions", "accuracy"]
    )
    options = parser.parse_args()
    warnings.simplefilter("ignore", LookupAgreementWarning)
    n, d = options.rows, options.features
    parts: dict[str, list[tuple[str, Callable[[], Iterator[Any]]]]] = {
        "memory": [("memory", lambda: measure_memory(200_000, 64))],
        "partitions": [
            ("all", lambda: measure_partitions(n, d, "all", (1, 2, 4, 8))),
            ("centroids", lambda: measure_partitions(n, d, "centroids", (2, 4, 8))),
        ],
        "accuracy": [
            (
                "accuracy",
                lambda: measure_accuracy("letter", 15_000, 5000, options.data_dir),
            ),
            (
                "accuracy",
                lambda: measure_accuracy("mnist", 6_000, 4000, options.data_dir),
            ),
        ],
    }
    for part in options.only:
        for prefix, measure in parts[part]:
            for name, value, unit in measure():
                with options.csv.open("a", newline="") as file:
                    csv.writer(file).writerow([f"{prefix}|{name}", value, unit])
                print(f"{prefix}|{name}: {value:.4g} {unit}", flush=True)
    if options.write_docs:
        with options.csv.open(newline="") as file:
            figures = {name: (float(v), unit) for name, v, unit in csv.reader(file)}
        put_between(PAGE, "measured", report(figures, n, d))
        values = {name: value for name, (value, _) in figures.items()}
        put_between(PAGE, "plan", plan(values, n, d))


if __name__ == "__main__":
    main()
