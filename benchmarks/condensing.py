"""What `condense` keeps, and what that does to accuracy, size and speed.

    python -m benchmarks.condensing [--data-dir DIR] [--write-docs] [--only NAME ...]

A quarter of the rows of every set is a test set that neither fit nor `condense`
sees. Both predictors answer it in turn, as one batch and with one thread; a time is
the fastest of many turns, which other work on the machine disturbs least.
scikit-learn's digits always run, other sets where the folder has them, and any of
its sets by `--only`. With `--write-docs` the table goes between the marks of
`docs/condensing.md`.
"""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_digits

from benchmarks.command import parser_of, publish
from benchmarks.datasets import TABULAR, load, split_once
from benchmarks.machine import conditions, described
from benchmarks.metrics import seconds_in_turn
from benchmarks.pages import DOCS, table
from knngraph import KNNGraphClassifier

SETS = ("satimage", "phoneme", "isolet1560", "letter", "magic")
TOLERANCES = (0.01, 0.02)
MAX_ROWS, TEST_SHARE, TURNS = 20_000, 0.25, 101
HEADS = (
    "set",
    "rows",
    "tolerance",
    "kept, %",
    "test accuracy before, %",
    "after, %",
    "difference ± its error",
    "expected, left out",
    "MB before",
    "after",
    "us a query before",
    "after",
    "condensing, s",
)


def main() -> None:
    """Fit, condense, compare."""
    parser = parser_of(__doc__)
    parser.add_argument("--only", nargs="*", default=["digits", *SETS])
    options = parser.parse_args()
    lines = []
    for name in options.only:
        try:
            if name == "digits":
                X, y = load_digits(return_X_y=True)
            else:
                X, y = load(name, options.data_dir, max_rows=MAX_ROWS)
        except FileNotFoundError as error:
            print(f"{name} is left out: {error}")
            continue
        for line in measure(name, X, y):
            print("  ".join(line), flush=True)
            lines.append(line)
    text = f"{table(HEADS, lines)}\n\nMeasured here: {described(conditions())}."
    publish(text, DOCS / "condensing.md", "measured", options)


def measure(name: str, X: np.ndarray, y: np.ndarray) -> Iterator[list[str]]:
    """One line a tolerance."""
    fold = split_once(X, y, TEST_SHARE, scaled=name in TABULAR)
    X_train, y_train, X_test, y_test = fold
    X_test = X_test.astype(np.float32)
    classifier = KNNGraphClassifier(ef="auto", support="local", random_state=0)
    full = classifier.fit(X_train, y_train).to_predictor()
    for tolerance in TOLERANCES:
        start = time.perf_counter()
        condensed = classifier.condense(tolerance)
        taken = time.perf_counter() - start
        small, report = condensed.to_predictor(), condensed.report_
        right = [model.predict(X_test) == y_test for model in (full, small)]
        gain = right[1].astype(float) - right[0]
        error = gain.std(ddof=1) / np.sqrt(len(gain))
        ways = {
            "before": lambda: full.predict(X_test),
            "after": lambda small=small: small.predict(X_test),
        }
        times = 1e6 * seconds_in_turn(ways, TURNS).min() / len(X_test)
        yield [
            name,
            f"{report.n_rows:,}",
            f"{tolerance}",
            f"{100 * report.kept_share:.1f}",
            f"{100 * right[0].mean():.2f}",
            f"{100 * right[1].mean():.2f}",
            f"{100 * gain.mean():+.2f} ± {100 * error:.2f}",
            f"{-100 * report.loss:+.2f} ± {100 * report.loss_error:.2f}",
            f"{megabytes(full):.2f}",
            f"{megabytes(small):.2f}",
            f"{times['before']:.1f}",
            f"{times['after']:.1f}",
            f"{taken:.1f}",
        ]


def megabytes(model: Any) -> float:
    """Size of the saved file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        model.save(path)
        return path.stat().st_size / 1e6


if __name__ == "__main__":
    main()
