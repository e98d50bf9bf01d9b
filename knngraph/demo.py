"""`knngraph demo`: a table and a picture, on data that come with scikit-learn."""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_digits, make_moons
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from threadpoolctl import threadpool_limits

from knngraph.classifier import KNNGraphClassifier
from knngraph.index.engines import engine_name
from knngraph.inspection import LearnedKDisplay, NeighborGraphDisplay

# Inferences of one fitted KNNGraphClassifier: name in the table and parameters.
INFERENCES: list[tuple[str, dict[str, Any]]] = [
    ("knngraph lookup, ef=1 (published)", {"inference": "lookup", "ef": 1}),
    ('knngraph lookup, ef="auto"', {"inference": "lookup", "ef": "auto"}),
    ("knngraph cascade", {"inference": "cascade", "ef": None}),
    ("knngraph adaptive", {"inference": "adaptive", "ef": None}),
]
# scikit-learn beside it, with its own default of five neighbors.
PEERS: list[tuple[str, dict[str, Any]]] = [
    ("KNeighborsClassifier brute, k=5", {"algorithm": "brute"}),
    ("KNeighborsClassifier kd_tree, k=5", {"algorithm": "kd_tree"}),
]
_REPETITIONS = 5
# Where each class is predicted: lighter than the colors of its rows.
_REGIONS = ["#cfe3f1", "#fbe3c0"]


@dataclass(frozen=True)
class Row:
    """One line of the table; `fit_seconds` is None where nothing was fitted."""

    name: str
    accuracy: float
    fit_seconds: float | None
    microseconds: float


def run_demo(output: Path) -> int:
    """Print the table, then draw the picture; its ending sets the format.

    Returns
    -------
    int
        0, or 1 where no picture could be drawn.
    """
    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, test_size=0.3, stratify=y, random_state=0
    )
    seconds = compile_solvers(X_train[:200], y_train[:200])
    print(
        f"Compiling took {seconds:.1f} s. It happens once: numba keeps the result on "
        "disk.\n"
    )
    model, rows = measure(X_train, y_train, X_test, y_test)
    print(
        f"Handwritten digits: {len(X_train)} rows to fit, {len(X_test)} queries, "
        f"{X.shape[1]} features, one thread. The search engine is {engine_name()}."
    )
    print(format_table(rows))
    print(
        f"\nEvery training row learned its own k: {model.n_neighbors_.min()} to "
        f"{model.n_neighbors_.max()} neighbors, {model.n_neighbors_.mean():.1f} on "
        "average."
    )
    return _draw_or_explain(LearnedKDisplay.from_estimator(model), output)


def compile_solvers(X: np.ndarray, y: np.ndarray) -> float:
    """Seconds of running everything once, so that no time below is compile time."""
    start = time.perf_counter()
    model = _unfitted().fit(X, y)
    for _, settings in INFERENCES:
        model.set_params(**settings).predict(X)
    return time.perf_counter() - start


def measure(
    X_train: np.ndarray, y_train: np.ndarray, X_test: np.ndarray, y_test: np.ndarray
) -> tuple[KNNGraphClassifier, list[Row]]:
    """Fit and time all methods with one thread; all inferences share one model."""
    rows = []
    with threadpool_limits(limits=1):
        model = _unfitted()
        fit_seconds: float | None = _seconds(partial(model.fit, X_train, y_train))
        for name, settings in INFERENCES:
            model.set_params(**settings)
            rows.append(_row(name, model, fit_seconds, X_test, y_test))
            fit_seconds = None  # the next one answers from the same fit
        for name, settings in PEERS:
            peer = KNeighborsClassifier(**settings)
            peer_seconds = _seconds(partial(peer.fit, X_train, y_train))
            rows.append(_row(name, peer, peer_seconds, X_test, y_test))
    return model, rows


def format_table(rows: list[Row]) -> str:
    """Aligned columns with a head."""
    width = max(len(row.name) for row in rows)
    lines = [f"{'':{width}}  accuracy    fit, s  us a query"]
    for row in rows:
        fit = "same fit" if row.fit_seconds is None else f"{row.fit_seconds:.3f}"
        lines.append(
            f"{row.name:{width}}  {row.accuracy:8.4f}  {fit:>8}  "
            f"{row.microseconds:10.1f}"
        )
    return "\n".join(lines)


def _unfitted() -> KNNGraphClassifier:
    # A cascade at fit does not warn that the greedy search misses rows: the table
    # shows it.
    return KNNGraphClassifier(inference="cascade", random_state=0)


def _row(
    name: str, model: Any, fit_seconds: float | None, X: np.ndarray, y: np.ndarray
) -> Row:
    accuracy = float(model.score(X, y))
    fastest = min(_seconds(partial(model.predict, X)) for _ in range(_REPETITIONS))
    return Row(name, accuracy, fit_seconds, 1e6 * fastest / len(X))


def _seconds(function: Callable[[], Any]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def _draw_or_explain(learned: LearnedKDisplay, output: Path) -> int:
    try:
        draw_picture(learned, output)
    except ImportError:
        problem = (
            "matplotlib is not installed. Install it with: "
            "pip install 'knngraph[plots]'"
        )
    except (OSError, ValueError) as error:  # unwritable, or an unknown format
        problem = str(error)
    else:
        print(f"Picture: {output}")
        return 0
    print(f"No picture: {problem}", file=sys.stderr)
    return 1


def draw_picture(learned: LearnedKDisplay, output: Path) -> None:
    """Draw the learned graph of two moons beside the learned k of the digits."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(16, 4.6), layout="constrained")
    moons, *digits = figure.subplots(1, 3, width_ratios=[1.25, 1, 1])
    _draw_moons(moons)
    learned.plot(digits)
    digits[0].set_title("Digits: every training row learns its own k")
    figure.savefig(output, dpi=150)


def _draw_moons(axes: Any) -> None:
    from matplotlib.colors import ListedColormap

    X, y = make_moons(160, noise=0.2, random_state=3)
    model = KNNGraphClassifier(ef=64, random_state=0).fit(X, y)
    low, high = X.min(axis=0) - 0.4, X.max(axis=0) + 0.4
    horizontal = np.linspace(low[0], high[0], 400)
    vertical = np.linspace(low[1], high[1], 300)
    grid = np.stack(np.meshgrid(horizontal, vertical), axis=-1)
    classes = model.predict(grid.reshape(-1, 2)).reshape(300, 400)
    axes.imshow(
        classes,
        origin="lower",
        extent=(low[0], high[0], low[1], high[1]),
        cmap=ListedColormap(_REGIONS),
        interpolation="nearest",
        aspect="auto",
    )
    NeighborGraphDisplay.from_estimator(model, X).plot(axes)
    axes.set_title("Two moons: learned neighbors and decisions")
