"""What somebody who comes from scikit-learn sees first: times, sizes, compilation.

    python -m benchmarks.first_hour [--rounds N] [--write-docs]

The classifiers with their defaults, one thread each, after compilation: made rows of
20 features and five classes, and the digits of scikit-learn. They are measured in
one process and take turns; of every figure the least of some rounds counts, in
seconds of the processor, for whatever else runs on the machine only adds to it. The
first process ever, imports included, has an empty cache of compiled code.
"""

import pickle
import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import KNeighborsClassifier

from benchmarks.command import parser_of, publish
from benchmarks.compile_time import FIRST, first_seconds
from benchmarks.isolated import run_isolated
from benchmarks.machine import conditions, described
from benchmarks.made_rows import mixture
from benchmarks.metrics import seconds_in_turn
from benchmarks.pages import DOCS, table
from knngraph import KNNGraphClassifier

PAGE = DOCS / "scale.md"
OURS, NEIGHBORS, BOOSTING = (
    "KNNGraphClassifier",
    "KNeighborsClassifier",
    "HistGradientBoostingClassifier",
)
MODELS: dict[str, Any] = {
    OURS: KNNGraphClassifier(random_state=0),
    NEIGHBORS: KNeighborsClassifier(),
    BOOSTING: HistGradientBoostingClassifier(random_state=0),
}
N_FEATURES, N_CLASSES, N_QUERIES = 20, 5, 1000
# Largest time of a fit, in units of that of boosting, by the number of rows.
OF_BOOSTING = {1_000: 0.5, 10_000: 1.2, 100_000: 2.5}
OF_NEIGHBORS_PICKLE = 4.0
DIGITS_SECONDS = 3.0


def least_seconds(use: Callable[[Any], Any], rounds: int) -> dict[str, float]:
    """Least seconds of the processor that something takes with every classifier."""
    ways = {name: lambda m=model: use(m) for name, model in MODELS.items()}
    taken = seconds_in_turn(ways, rounds, time.process_time)
    return {name: float(taken[name].min()) for name in ways}


def fit_on(X: np.ndarray, y: np.ndarray, model: Any) -> None:
    """What is timed of a fit."""
    model.fit(X, y)


def measure(rounds: int) -> dict[str, dict[str, float]]:
    """Every figure but those of compilation, by the classifiers."""
    warnings.simplefilter("ignore")
    # Load what is compiled; enough rows for every stage.
    X, y = mixture(20_000, N_FEATURES, n_classes=N_CLASSES)
    for rows in (300, len(X)):
        quick = clone(MODELS[OURS]).set_params(ef_construction=20)
        quick.fit(X[:rows], y[:rows]).predict(X[:4])
    found = {}
    for n_rows in OF_BOOSTING:
        X, y = mixture(n_rows + N_QUERIES, N_FEATURES, n_classes=N_CLASSES)
        X = X.astype(np.float64)  # as most users have them
        fit = partial(fit_on, X[:n_rows], y[:n_rows])
        found[f"fit, {n_rows:,} rows, s"] = least_seconds(fit, rounds)
    queries = X[-N_QUERIES:]
    predict = least_seconds(lambda model: model.predict(queries), rounds)
    found[f"predict, {n_rows:,} rows, µs a query"] = {
        name: 1e6 * taken / N_QUERIES for name, taken in predict.items()
    }
    found[f"pickle, {n_rows:,} rows, MB"] = {
        name: len(pickle.dumps(model)) / 1e6 for name, model in MODELS.items()
    }
    digits = load_digits(return_X_y=True)
    found["`cross_val_score` on digits, s"] = least_seconds(
        lambda model: cross_val_score(model, *digits), rounds
    )
    return found


def goal_of(figure: str, values: dict[str, float]) -> str:
    """What the figure should be at most, and whether it is."""
    ours, value, text = values[OURS], 0.0, ""
    most = np.inf
    for n_rows, share in OF_BOOSTING.items():
        if figure.startswith(f"fit, {n_rows:,} rows"):
            value, most = ours / values[BOOSTING], share
            text = f"{most:g} of boosting: {value:.2f}"
    if figure.startswith("pickle"):
        value, most = ours / values[NEIGHBORS], OF_NEIGHBORS_PICKLE
        text = f"{most:g} times {NEIGHBORS}: {value:.1f}"
    if "digits" in figure:
        value, most = ours, DIGITS_SECONDS
        text = f"{most:g} s"
    return f"{text}, {'met' if value <= most else 'missed'}" if text else ""


def report(
    found: dict[str, dict[str, float]], compiled: dict[tuple[str, ...], float]
) -> str:
    """The table of all figures, with the goals beside them."""
    rows = [
        [figure, *(f"{values[name]:.3g}" for name in MODELS), goal_of(figure, values)]
        for figure, values in found.items()
    ]
    for inferences, taken in compiled.items():
        most = FIRST[inferences]
        goal = f"{most:g} s, {'met' if taken <= most else 'missed'}"
        name = "a lookup" if len(inferences) == 1 else "all inferences"
        rows.append([f"first process ever, {name}, s", f"{taken:.3g}", "", "", goal])
    heads = ["", *(f"`{name}`" for name in MODELS), "at most"]
    return table(heads, rows)


def main() -> None:
    """Measure, print, and write where asked to."""
    parser = parser_of(__doc__, folder=False)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    found = run_isolated("benchmarks.first_hour:measure", {"rounds": options.rounds})
    compiled = {
        inferences: min(first_seconds(list(inferences)) for _ in range(options.rounds))
        for inferences in FIRST
    }
    text = (
        f"{report(found, compiled)}\n\nSeconds of the processor, one thread, the "
        f"least of {options.rounds} rounds in turn; made rows of {N_FEATURES} features "
        f"and {N_CLASSES} classes (float64), all parameters at their defaults; "
        f"{described(conditions())}."
    )
    publish(text, PAGE, "first hour", options)


if __name__ == "__main__":
    main()
