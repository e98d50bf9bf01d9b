"""Time of a fit that chooses among maps of the rows, against forests and a plain fit.

    python -m benchmarks.choice_time [--rounds N] [--write-docs]

One thread, seconds of the processor, made rows of 20 features and five classes; the
least of some rounds in turn counts. The goal: at most two forests of 200 trees and
three plain adaptive fits.
"""

import time
import warnings
from functools import partial
from typing import Any

from sklearn.ensemble import RandomForestClassifier

from benchmarks.command import parser_of, publish
from benchmarks.isolated import run_isolated
from benchmarks.machine import conditions, described
from benchmarks.made_rows import mixture
from benchmarks.metrics import seconds_in_turn
from benchmarks.pages import DOCS, table
from knngraph import KNNGraphClassifier, KNNGraphClassifierCV

PAGE = DOCS / "inference.md"
SIZES = (2_000, 10_000)
N_FEATURES, N_CLASSES = 20, 5
OURS, FOREST = "KNNGraphClassifierCV", "random forest, 200 trees"
PLAIN = "adaptive, metric=euclidean"
MODELS: dict[str, Any] = {
    OURS: KNNGraphClassifierCV(random_state=0),
    FOREST: RandomForestClassifier(200, random_state=0),
    **{
        f"adaptive, metric={metric}": KNNGraphClassifier(
            inference="adaptive", metric=metric, random_state=0
        )
        for metric in ("euclidean", "auto", "trees")
    },
}


def measure(rounds: int) -> dict[int, dict[str, float]]:
    """Seconds of every fit, by the number of rows."""
    warnings.simplefilter("ignore")
    X, y = mixture(600, N_FEATURES, n_classes=N_CLASSES)
    for model in MODELS.values():
        model.fit(X, y)  # loads what is compiled
    found = {}
    for n_rows in SIZES:
        X, y = mixture(n_rows, N_FEATURES, n_classes=N_CLASSES)
        fits = {name: partial(model.fit, X, y) for name, model in MODELS.items()}
        taken = seconds_in_turn(fits, rounds, time.process_time)
        found[n_rows] = {name: float(taken[name].min()) for name in MODELS}
    return found


def main() -> None:
    """Measure, print, and write where asked to."""
    parser = parser_of(__doc__, folder=False)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    found = run_isolated("benchmarks.choice_time:measure", {"rounds": options.rounds})
    rows = []
    for n_rows, taken in found.items():
        most = 2.0 * taken[FOREST] + 3.0 * taken[PLAIN]
        met = "met" if taken[OURS] <= most else "missed"
        seconds = [f"{taken[name]:.2f}" for name in MODELS]
        rows.append([f"{int(n_rows):,}", *seconds, f"{most:.2f}, {met}"])
    heads = ["rows", *MODELS, f"{OURS} at most"]
    text = (
        f"{table(heads, rows)}\n\nSeconds of the processor of a fit, one thread, the "
        f"least of {options.rounds} rounds in turn; made rows of {N_FEATURES} features "
        f"and {N_CLASSES} classes; {described(conditions())}."
    )
    publish(text, PAGE, "choice time", options)


if __name__ == "__main__":
    main()
