"""The example service under load: answers a second, latency, and a change of the file.

    python -m benchmarks.service [--seconds N] [--write-docs]

`docs/examples/service.py` runs with one worker and with two. Clients
that keep their connections send one row after another from this machine, so that they
share its cores. In the middle of every run the file is replaced by another model.
"""

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import knngraph
from benchmarks.command import parser_of, publish
from benchmarks.machine import conditions, described
from benchmarks.made_rows import curved_sheet
from benchmarks.pages import DOCS, table

_CONNECTIONS = 8
_ROWS, _COLUMNS, _CLASSES = 4000, 16, 10


@dataclass(frozen=True)
class Load:
    """What clients saw.

    Parameters
    ----------
    seconds : float
    milliseconds : ndarray of shape (n_requests,)
    failed : list of str
        What was wrong with answers, of which there should be none.
    versions : list of set of str
        Of the model, in the first and in the last answer of every client.
    """

    seconds: float
    milliseconds: np.ndarray
    failed: list[str]
    versions: list[set[str]]


@contextlib.contextmanager
def served(path: Path, n_workers: int) -> Iterator[int]:
    """Run the service of a file until the block ends; gives its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, str(DOCS / "examples" / "service.py"), str(path)]
    command += ["--port", str(port), "--workers", str(n_workers)]
    places = [str(DOCS.parent), *filter(None, sys.path)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(places)}
    service = subprocess.Popen(command, env=environment)
    try:
        wait_for(port, service)
        yield port
    finally:
        service.terminate()
        service.wait(20)


def wait_for(port: int, service: Any, seconds: float = 60.0) -> None:
    """Wait until the service is healthy."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and service.poll() is None:
        with contextlib.suppress(OSError):
            status, _ = asyncio.run(single(port, "GET", "/health"))
            if status == 200:
                return
        time.sleep(0.1)
    raise RuntimeError("The service did not start.")


async def single(
    port: int, method: str, path: str, body: bytes = b""
) -> tuple[int, bytes]:
    """One request on a connection of its own: status and body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        return await exchange(reader, writer, method, path, body)
    finally:
        writer.close()
        await writer.wait_closed()


async def exchange(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    method: str,
    path: str,
    body: bytes,
) -> tuple[int, bytes]:
    """One request on an open connection: status and body."""
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n"
    writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    answer = await reader.readuntil(b"\r\n\r\n")
    first, *lines = answer.decode().split("\r\n")
    fields = dict(line.lower().split(": ", 1) for line in lines if line)
    content = await reader.readexactly(int(fields["content-length"]))
    return int(first.split()[1]), content


async def send(
    port: int,
    rows: np.ndarray,
    expected: list[list[Any]],
    seconds: float,
    changes: list[Any],
) -> Load:
    """Load the service with clients, and change it at equal distances.

    Parameters
    ----------
    rows : ndarray of shape (n, n_features)
        One a request, in turn.
    expected : list of list
        Labels that are right for a row.
    changes : list of callable
        Called one after the other, the only one in the middle.
    """
    bodies = [json.dumps({"rows": [row]}).encode() for row in rows.tolist()]
    start = time.perf_counter()
    end = start + seconds

    async def client(first: int) -> tuple[list[float], list[str], list[str]]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        taken, failed, versions, place = [], [], [], first
        while time.perf_counter() < end:
            place = (place + 1) % len(bodies)
            begin = time.perf_counter()
            try:
                status, content = await exchange(
                    reader, writer, "POST", "/answers", bodies[place]
                )
            except (OSError, asyncio.IncompleteReadError) as error:
                failed.append(repr(error))
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                continue
            taken.append(time.perf_counter() - begin)
            answer = json.loads(content)
            if status != 200 or answer["answers"][0]["label"] not in expected[place]:
                failed.append(f"{status}: {answer}")
            else:
                versions.append(answer["version"])
        writer.close()
        await writer.wait_closed()
        return taken, failed, versions

    async def changing() -> None:
        for change in changes:
            await asyncio.sleep(seconds / (len(changes) + 1))
            await asyncio.get_running_loop().run_in_executor(None, change)

    step = len(bodies) // _CONNECTIONS
    clients = [client(step * i) for i in range(_CONNECTIONS)]
    found, _ = await asyncio.gather(asyncio.gather(*clients), changing())
    taken, failed, versions = zip(*found)
    return Load(
        time.perf_counter() - start,
        1000 * np.concatenate([np.array(some) for some in taken]),
        [failure for some in failed for failure in some],
        [{some[0] for some in versions}, {some[-1] for some in versions}],
    )


def under_load(folder: Path, n_workers: int, inference: str, seconds: float) -> Load:
    """Load a service of one model, then of another one."""
    X, y = curved_sheet(_ROWS, _COLUMNS, _CLASSES, seed=0)
    train, queries = X[: -_ROWS // 8], X[-_ROWS // 8 :]
    models = []
    for version, n in (("one", len(train)), ("two", len(train) // 2)):
        classifier = knngraph.KNNGraphClassifier(
            inference=inference, metric="euclidean", ef=64, random_state=0
        )
        pipeline = make_pipeline(StandardScaler(), classifier).fit(train[:n], y[:n])
        models.append(knngraph.to_predictor(pipeline, version=version))
    expected = list(zip(*(model.predict(queries).tolist() for model in models)))
    path = folder / f"{inference}-{n_workers}.knngraph"
    models[0].save(path)
    with served(path, n_workers) as port:
        return asyncio.run(
            send(port, queries, expected, seconds, [lambda: models[1].save(path)])
        )


def report(found: dict[tuple[str, int], Load]) -> str:
    """A table for the page."""
    lines = []
    for (inference, n_workers), load in found.items():
        p50, p99 = np.percentile(load.milliseconds, [50, 99])
        changed = load.versions == [{"one"}, {"two"}]
        lines.append(
            [
                inference,
                n_workers,
                f"{len(load.milliseconds) / load.seconds:,.0f}",
                f"{p50:.1f}",
                f"{p99:.1f}",
                f"{len(load.milliseconds):,}",
                len(load.failed),
                "yes" if changed else "no",
            ]
        )
    heads = ["inference", "workers", "answers a second", "p50 (ms)", "p99 (ms)"]
    heads += ["requests", "failed", "new file in use at the end"]
    return "\n\n".join(
        [
            f"One row a request ({_COLUMNS} columns, {_ROWS * 7 // 8} training rows, "
            f"a scaler before the classifier), {_CONNECTIONS} clients on the same "
            "machine. In the middle of every run the file was replaced.",
            table(heads, lines),
            f"Measured on {described(conditions())}. The clients took their share of "
            "the cores.",
        ]
    )


def main() -> None:
    """Measure and print; with --write-docs into the page."""
    parser = parser_of(__doc__, folder=False)
    parser.add_argument("--seconds", type=float, default=20.0, help="of every run")
    options = parser.parse_args()
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for inference in ("lookup", "adaptive"):
            for n_workers in (1, 2):
                found[inference, n_workers] = under_load(
                    Path(folder), n_workers, inference, options.seconds
                )
    publish(report(found), DOCS / "serving.md", "service", options)


if __name__ == "__main__":
    main()
