"""An example service: answers of a predictor's file over HTTP, and their cards.

    python docs/examples/service.py flowers.knngraph --port 8000 --workers 2

Needs starlette and uvicorn (0.54 or newer). Rows are lists of numbers in the order of
fit, or objects with the names of the columns; null is a missing value.

    POST /answers   {"rows": [[5.1, 3.5, 1.4, 0.2]]}
    GET  /card?row=[5.1,3.5,1.4,0.2]
    GET  /model
    GET  /health
"""

import argparse
import json
import os
import socket
from pathlib import Path
from threading import Lock, Thread
from typing import Any

import numpy as np
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse
from starlette.routing import Route
from uvicorn.supervisors import Multiprocess

from knngraph import Predictor, load_predictor
from knngraph.html_page import heading, html_page, paragraph

ALPHA = 0.05  # share of usual rows that are called novel
SET_ALPHA = 0.1  # share of sets that may miss the class
MOST_ROWS = 10_000
MOST_BYTES = 50_000_000
# Fewer are answered before another thread would have begun.
FEW_ROWS = 64


class LoadedFile:
    """The predictor of a file, loaded again when the file is another one.

    Requests are answered from the old one until the new one is there; a file that
    cannot be loaded leaves the old one, and `problem` says why.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.problem, self.lock = path, "", Lock()
        self.seen = self._stamp()
        self.predictor = load_predictor(path)

    def current(self) -> Predictor:
        """The predictor, and a look at the file."""
        stamp = self._stamp()
        if stamp != self.seen and self.lock.acquire(blocking=False):
            Thread(target=self._load, args=(stamp,), daemon=True).start()
        return self.predictor

    def _load(self, stamp: Any) -> None:
        try:
            self.predictor, self.problem = load_predictor(self.path), ""
        except (OSError, ValueError) as error:
            self.problem = str(error)
        finally:
            self.seen = stamp
            self.lock.release()

    def _stamp(self) -> Any:
        try:
            found = os.stat(self.path)
        except OSError as error:
            return str(error)
        return found.st_ino, found.st_mtime_ns, found.st_size


def from_environment() -> Starlette:
    """The service of the file that KNNGRAPH_MODEL names."""
    return create(Path(os.environ["KNNGRAPH_MODEL"]))


def create(path: Path) -> Starlette:
    """The service of a predictor's file."""
    file = LoadedFile(path)

    async def answers(request: Request) -> JSONResponse:
        predictor = file.current()
        try:
            rows = rows_of(predictor, asked_rows(await body_of(request)))
            if len(rows) <= FEW_ROWS:
                found = answers_of(predictor, rows)
            else:
                found = await run_in_threadpool(answers_of, predictor, rows)
        except ValueError as error:
            return JSONResponse({"error": str(error)}, 422)
        return JSONResponse({"answers": found, "version": version_of(predictor)})

    async def card(request: Request) -> HTMLResponse:
        predictor = file.current()
        try:
            given = json.loads(request.query_params.get("row", ""))
            rows = rows_of(predictor, [given])
            (explanation,) = await run_in_threadpool(predictor.explain, rows)
            return HTMLResponse(explanation.to_html())
        except ValueError as error:
            blocks = [heading("No card", 1), paragraph(f"{error}")]
            return HTMLResponse(html_page("No card", blocks), 422)

    async def model(request: Request) -> JSONResponse:
        predictor = file.current()
        names = predictor.feature_names_in_
        about = {
            "classes": predictor.classes_.tolist(),
            "n_features": predictor.n_features_in_,
            "feature_names": None if names is None else names.tolist(),
            "inference": predictor.inference,
        }
        described = predictor.description
        return JSONResponse(about | ({} if described is None else described.as_dict()))

    async def health(request: Request) -> JSONResponse:
        version = version_of(file.current())
        if file.problem:  # it answers, but not as the file says
            return JSONResponse({"status": file.problem, "version": version}, 503)
        return JSONResponse({"status": "ok", "version": version})

    routes = [
        Route("/answers", answers, methods=["POST"]),
        Route("/card", card),
        Route("/model", model),
        Route("/health", health),
    ]
    return Starlette(routes=routes)


async def body_of(request: Request) -> bytes:
    """The body, or an error where it is too long."""
    parts, length = [], 0
    async for part in request.stream():
        length += len(part)
        if length > MOST_BYTES:
            raise ValueError(f"The body is longer than {MOST_BYTES} bytes.")
        parts.append(part)
    return b"".join(parts)


def asked_rows(body: bytes) -> list[Any]:
    """The rows of a request."""
    try:
        asked = json.loads(body)
    except ValueError as error:
        raise ValueError(f"The body is no JSON: {error}.") from None
    except RecursionError:
        raise ValueError("The body is nested too deeply.") from None
    rows = asked.get("rows") if isinstance(asked, dict) else None
    if not isinstance(rows, list) or not 0 < len(rows) <= MOST_ROWS:
        raise ValueError(
            f'The body has to be {{"rows": [...]}} with 1 to {MOST_ROWS} rows.'
        )
    return rows


def rows_of(predictor: Predictor, rows: list[Any]) -> np.ndarray:
    """An array of rows; the predictor checks it further."""
    names = predictor.feature_names_in_
    table = []
    for place, row in enumerate(rows):
        if isinstance(row, dict):
            if names is None:
                raise ValueError("The model has no names of columns: give lists.")
            if set(row) != set(names.tolist()):
                raise ValueError(
                    f"Row {place} has other columns than {', '.join(names)}."
                )
            row = [row[name] for name in names]
        if not isinstance(row, list) or len(row) != predictor.n_features_in_:
            raise ValueError(
                f"Row {place} has to be a list of {predictor.n_features_in_} numbers."
            )
        for column, value in enumerate(row):
            if isinstance(value, bool) or not isinstance(value, int | float | None):
                raise ValueError(
                    f"Row {place} has {value!r} in column {column}, which is no number."
                )
        table.append([np.nan if value is None else value for value in row])
    try:
        return np.array(table, dtype=np.float64)
    except OverflowError:
        raise ValueError("A number is too large.") from None


def answers_of(predictor: Predictor, rows: np.ndarray) -> list[dict[str, Any]]:
    """Labels, sets, probabilities and novelty, for JSON."""
    found = predictor.answer(rows, SET_ALPHA)
    classes = [str(label) for label in predictor.classes_]
    return [
        {
            "label": label,
            "set": [name for name, inside in zip(classes, in_set) if inside],
            "probabilities": dict(zip(classes, shares)),
            "novelty_pvalue": pvalue,
            "novel": pvalue <= ALPHA,
        }
        for label, in_set, shares, pvalue in zip(
            found.labels.tolist(),
            found.sets.tolist(),
            found.probabilities.tolist(),
            found.novelty_pvalue.tolist(),
        )
    ]


def version_of(predictor: Predictor) -> str:
    """What the user called the model."""
    return "" if predictor.description is None else predictor.description.version


def main() -> None:
    """Serve a file until a signal ends it."""
    parser = argparse.ArgumentParser(description="Answers of a predictor's file.")
    parser.add_argument("model", type=Path)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    os.environ["KNNGRAPH_MODEL"] = str(options.model)
    config = uvicorn.Config(
        "service:from_environment",
        factory=True,
        host=options.host,
        port=options.port,
        workers=options.workers,
        log_level="warning",
    )
    listening = config.bind_socket()
    # Without it every answer would wait 40 ms for the acknowledgment of its head.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if options.workers == 1:
        uvicorn.Server(config).run(sockets=[listening])
    else:
        Multiprocess(config, sockets=[listening]).run()


if __name__ == "__main__":
    main()
