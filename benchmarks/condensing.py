"""What `condense` keeps, and what that does to accuracy, size and speed.

    python -m benchmarks.condensing [--data-dir DIR] [--write-docs] [--only NAME ...]

A quarter of the rows of every set is a test set that neither fit nor `condense`
sees. Both predictors answer it in turn, as one batch and with one thread; a time is
the fastest of many turns, which other work on the machine disturbs least.
scikit-learn's digits always run, other sets where the folder has them, and any of
its sets by `--only`. With `--write-docs` the table goes between the marks of
`docs/condensing.md`.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from benchmarks.datasets import TABULAR, load, scale
from benchmarks.machine import conditions, described
from benchmarks.pages import DOCS, put_between, table
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
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "--data-dir", type=Path, default=os.environ.get("KNNGRAPH_DATA")
    )
    parser.add_argument("--write-docs", action="store_true")
    parser.add_argument("--only", nargs="*", default=["digits", *SETS])
    options = parser.parse_args()
    folder = None if options.data_dir is None else Path(options.data_dir)
    lines = []
    for name, X, y in sets(folder, options.only):
        for line in measure(name, X, y):
            print("  ".join(line), flush=True)
            lines.append(line)
    text = f"{table(HEADS, lines)}\n\nMeasured here: {described(conditions())}."
    if options.write_docs:
        put_between(DOCS / "condensing.md", "measured", text)
    else:
        print(text)


def sets(
    folder: Path | None, names: list[str]
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Name, rows and labels of every set that is there."""
    for name in names:
        if name == "digits":
            yield (name, *load_digits(return_X_y=True))
            continue
        try:
            X, y = load(name, folder)
        except FileNotFoundError as error:
            print(f"{name} is left out: {error}")
            continue
        rows = np.random.default_rng(0).permutation(len(X))[:MAX_ROWS]
        yield name, X[rows], y[rows]


def measure(name: str, X: np.ndarray, y: np.ndarray) -> Iterator[list[str]]:
    """One line a tolerance."""
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, test_size=TEST_SHARE, stratify=y, random_state=0
    )
    X_train, y_train, X_test, y_test = scale(
        X_train, X_test, scaled=name in TABULAR, y=(y_train, y_test)
    )
    X_test = X_test.astype(np.float32)
    classifier = KNNGraphClassifier(ef="auto", support="local", random_state=0)
    full = classifier.fit(X_train, y_train).to_predictor()
    for tolerance in TOLERANCES:
        start = time.perf_counter()
        condensed = classifier.condense(tolerance)
        seconds = time.perf_counter() - start
        small, report = condensed.to_predictor(), condensed.report_
        right = [model.predict(X_test) == y_test for model in (full, small)]
        gain = right[1].astype(float) - right[0]
        error = gain.std(ddof=1) / np.sqrt(len(gain))
        times = turns([full, small], X_test)
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
            f"{times[0]:.1f}",
            f"{times[1]:.1f}",
            f"{seconds:.1f}",
        ]


def turns(models: list[Any], X: np.ndarray) -> np.ndarray:
    """Microseconds a query, the models in turn."""
    seconds = np.empty((TURNS, len(models)))
    for turn in range(TURNS):
        for place, model in enumerate(models):
            start = time.perf_counter()
            model.predict(X)
            seconds[turn, place] = time.perf_counter() - start
    return 1e6 * seconds.min(axis=0) / len(X)


def megabytes(model: Any) -> float:
    """Size of the saved file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        model.save(path)
        return path.stat().st_size / 1e6


if __name__ == "__main__":
    main()
