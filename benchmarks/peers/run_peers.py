"""The command `peers`: accuracy against the time of a query, on a set of one's own."""

import argparse
import json
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.model_selection import train_test_split

from benchmarks import machine
from benchmarks.datasets import TABULAR, as_dense, codes_of, load, scale
from benchmarks.isolated import MeasurementFailed, run_isolated
from benchmarks.peers.catalog import Peer, peers
from benchmarks.peers.peers_report import make_report
from benchmarks.report import copy_to_docs, finish
from benchmarks.rows import Journal, read_rows
from knngraph.datasets.loading import read_set

ROOT = Path(__file__).resolve().parent.parent
LAST_METRIC = "model_megabytes"
# Names under which packages are imported, where they differ.
_MODULES = {"faiss-cpu": "faiss", "scikit-learn": "sklearn"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--set", help="a set of the folder, or a published one")
    source.add_argument("--npz", type=Path, help="a file with X and y")
    parser.add_argument("--rows", type=int, default=0, help="training rows at most")
    parser.add_argument("--test-rows", type=int, default=2000)
    parser.add_argument(
        "--scale",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="standard scaler in front (default: for the tables that are known)",
    )
    names = [peer.name for peer in peers()]
    parser.add_argument(
        "--peers",
        nargs="+",
        choices=names,
        metavar="PEER",
        default=names,
        help=f"any of: {'; '.join(names)}",
    )
    parser.add_argument(
        "--budget", type=float, default=600.0, help="seconds for one measurement"
    )
    parser.add_argument(
        "--write-docs", action="store_true", help="copy the report to docs/"
    )
    parser.add_argument("--output", type=Path, default=ROOT / "results" / "peers")


def run(options: argparse.Namespace) -> int:
    """Measure the peers that are not there, then write the report."""
    name = options.set or options.npz.stem
    try:
        X, y = _read(options)
    except (FileNotFoundError, ValueError) as error:
        raise SystemExit(str(error)) from None
    scaled = name in TABULAR if options.scale is None else options.scale
    train, test = _two_parts(y, options.rows, options.test_rows)
    parts = scale(X[train], X[test], scaled=scaled, y=(y[train], y[test]))
    protocol = {
        "n_train": len(train),
        "n_test": len(test),
        "n_features": X.shape[1],
        "scaled": scaled,
    }
    journal = Journal(
        options.output / f"{name}.csv",
        ("set", "method"),
        machine.conditions() | protocol,
        LAST_METRIC,
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "parts.npz"
        names = ("X_train", "y_train", "X_test", "y_test")
        np.savez(path, **dict(zip(names, parts)))
        problems = _measure(journal, name, str(path), options)
    report = make_report(name, read_rows(journal.path), problems)
    page = journal.path.with_suffix(".md")
    finish(report, journal.path, page)
    if options.write_docs:
        copy_to_docs(page, f"peers-{name}.md", f"peers-{name}*.svg")
    return 0


def _read(options: argparse.Namespace) -> tuple[np.ndarray, np.ndarray]:
    if options.set:
        return load(options.set, options.data_dir, download=options.data_dir is None)
    X, y = read_set(options.npz)
    return as_dense(X, unit_rows=False), codes_of(y)


def _two_parts(
    y: np.ndarray, n_train: int, n_test: int
) -> tuple[np.ndarray, np.ndarray]:
    """Stratified training and test rows; a quarter at most for the test."""
    n_test = min(n_test, len(y) // 4)
    if np.bincount(y).min() < 2:
        raise SystemExit("every class needs two rows at least.")
    train, test = train_test_split(
        np.arange(len(y)), test_size=n_test, random_state=0, stratify=y
    )
    return train[:n_train] if n_train else train, test


def _measure(
    journal: Journal, name: str, path: str, options: argparse.Namespace
) -> dict[str, str]:
    """Measure the peers that are there; say what is wrong with the others."""
    chosen = [peer for peer in peers() if peer.name in options.peers]
    before, problems = journal.keys(), {}
    votes: dict[str, Any] = {}
    for peer in chosen:
        if (name, peer.name) in before:
            continue
        if find_spec(_MODULES.get(peer.package, peer.package)) is None:
            problems[peer.name] = f"the package {peer.package} is not installed"
            continue
        try:
            if peer.votes and not votes:
                votes = _call("choose_votes", options.budget, path=path)
            values = _measure_one(peer, path, votes, options.budget)
        except MeasurementFailed as error:
            problems[peer.name] = str(error)
            print(f"{peer.name}: {error}", flush=True)
            continue
        journal.append((name, peer.name), values)
        print(
            f"{peer.name:26} accuracy {100 * values['accuracy']:6.2f}  "
            f"{values['batch_us']:9.1f} us in a batch  "
            f"{values['single_p50_us']:9.1f} us alone  "
            f"fit {values['fit_seconds']:7.2f} s",
            flush=True,
        )
    return problems


def _measure_one(
    peer: Peer, path: str, votes: dict[str, Any], budget: float
) -> dict[str, Any]:
    settings, tuning = (votes if peer.votes else {}) | peer.grid[0], 0.0
    if len(peer.grid) > 1:
        start = time.perf_counter()
        settings = _call(
            "choose_settings", budget, path=path, name=peer.name, votes=votes
        )
        tuning = time.perf_counter() - start
    values = _call("measure_peer", budget, path=path, name=peer.name, settings=settings)
    return {"settings": json.dumps(settings), "tuning_seconds": tuning} | values


def _call(function: str, budget: float, **arguments: Any) -> dict[str, Any]:
    return run_isolated(
        f"benchmarks.peers.measure_peer:{function}", arguments, timeout=budget
    )
