"""What every parameter does to accuracy, speed and size, one at a time.

    python -m benchmarks.parameters [--data-dir DIR] [--max-rows N] [--write-docs]
        [--only NAME ...]

Each value of a parameter is compared with the default, all others at theirs, on a
few public sets from the folder where one is named, and on sets that ship with
scikit-learn. Accuracy is a mean over sets and folds, with clean and with wrong
training labels; times and sizes are medians of ratios to the default, measured in
the same run. Tables are printed and, with `--write-docs`, written between the marks
`effect NAME` of the pages of the guide.
"""

import argparse
import os
import pickle
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler

from benchmarks.datasets import load
from benchmarks.pages import DOCS, put_between, table
from knngraph import KNNGraphClassifier, LookupAgreementWarning

N_FOLDS, WRONG = 2, 0.2
TABLES = ("letter", "satimage", "phoneme", "vehicle")
IMAGES = ("binalpha", "usps_20_uni")
# One width of the walk for all graphs, wide enough not to decide the comparison.
BEAM = 16
GUIDE = DOCS / "guide"


@dataclass(frozen=True)
class Effect:
    """A parameter, the values to try, and the page that shows what they do."""

    name: str
    values: tuple[Any, ...]
    inference: str
    page: Path


EFFECTS = [
    Effect("M", (8, 16, 32), "lookup", GUIDE / "search.md"),
    Effect("ef_construction", (50, 200, 400), "lookup", GUIDE / "search.md"),
    Effect("ef", (1, 4, 16, 64), "lookup", GUIDE / "search.md"),
    Effect("penalty_min", (0.05, 0.1, 0.3), "lookup", GUIDE / "density.md"),
    Effect("penalty_max", (0.1, 0.3, 0.5, 0.9), "lookup", GUIDE / "density.md"),
    Effect(
        "density_scales", ((3,), (3, 7, 15), (15, 31)), "lookup", GUIDE / "density.md"
    ),
    Effect("label_weight", (0.0, 0.1, 0.3, 0.6), "lookup", GUIDE / "kernel.md"),
    Effect("label_discount", (0.0, 0.1, 0.5), "lookup", GUIDE / "kernel.md"),
    Effect("bandwidth", ("median", "neighbors"), "lookup", GUIDE / "kernel.md"),
    Effect("max_neighbors", (8, 16, 32, 64), "adaptive", GUIDE / "representation.md"),
    Effect("support", ("exact", "local"), "lookup", GUIDE / "representation.md"),
    Effect("nugget", (0.0, 0.1, 0.3), "lookup", GUIDE / "representation.md"),
    Effect("tol", (1e-2, 1e-4, 1e-6), "lookup", GUIDE / "representation.md"),
    Effect("max_iter", (10, 50, 200), "lookup", GUIDE / "representation.md"),
    Effect("positive", (True, False), "lookup", GUIDE / "representation.md"),
    Effect("self_weight", (0.0, 0.5, 1.0, 2.0), "lookup", GUIDE / "consensus.md"),
    Effect("query_metric", ("auto", "same"), "adaptive", DOCS / "inference.md"),
    Effect("vote", ("trusted", "labels"), "adaptive", DOCS / "inference.md"),
    Effect("query_nugget", (0.03, 0.1, 0.3, 1.0), "adaptive", DOCS / "inference.md"),
    Effect("query_penalty", (0.0, 0.02, 0.1), "adaptive", DOCS / "inference.md"),
    Effect(
        "query_bandwidth", ("neighbors", "local"), "adaptive", DOCS / "inference.md"
    ),
    Effect(
        "cascade_tolerance",
        (0.0, 0.002, 0.01, 0.03),
        "cascade",
        DOCS / "inference.md",
    ),
    Effect(
        "metric", ("euclidean", "learned", "auto"), "adaptive", DOCS / "inference.md"
    ),
]
DEFAULTS = KNNGraphClassifier().get_params() | {"ef": BEAM, "support": "exact"}


def sets(folder: Path | None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows and labels: those of scikit-learn, and those of the folder."""
    yield StandardScaler().fit_transform(load_wine().data), load_wine().target
    cancer = load_breast_cancer()
    yield StandardScaler().fit_transform(cancer.data), cancer.target
    yield load_digits(return_X_y=True)
    for name in (*TABLES, *IMAGES) if folder is not None else ():
        X, y = load(name, folder)
        yield StandardScaler().fit_transform(X) if name in TABLES else X, y


def folds(folder: Path | None, max_rows: int) -> Iterator[tuple[np.ndarray, ...]]:
    """Training rows, their labels, those labels partly wrong, test rows, labels."""
    for X, y in sets(folder):
        random = np.random.default_rng(0)
        kept = random.permutation(len(y))[:max_rows]
        classes, codes = np.unique(y[kept], return_inverse=True)
        wrong = random.random(len(kept)) < WRONG
        turned = codes + wrong * random.integers(1, len(classes), len(kept))
        noisy = turned % len(classes)
        splitter = StratifiedKFold(N_FOLDS, shuffle=True, random_state=0)
        for train, test in splitter.split(kept, codes):
            rows = X[kept]
            yield rows[train], codes[train], noisy[train], rows[test], codes[test]


def measure(settings: dict[str, Any], fold: tuple[np.ndarray, ...]) -> dict[str, float]:
    """Accuracies, seconds and size of one setting on one fold."""
    X, y, noisy, X_test, y_test = fold
    model = KNNGraphClassifier(**settings)
    start = time.perf_counter()
    model.fit(X, y)
    fitted = time.perf_counter()
    accuracy = model.score(X_test, y_test)
    answered = time.perf_counter()
    found = {
        "clean": 100 * accuracy,
        "fit": fitted - start,
        "query": answered - fitted,
        "bytes": len(pickle.dumps(model)),
        "k": float(model.n_neighbors_.mean()),
    }
    found["wrong"] = 100 * model.fit(X, noisy).score(X_test, y_test)
    return found


def effect_table(effect: Effect, folder: Path | None, max_rows: int) -> list[list[str]]:
    """A row a value: mean accuracies, median ratios to the default."""
    default = DEFAULTS | {"inference": effect.inference, "random_state": 0}
    found: dict[Any, list[dict[str, float]]] = {value: [] for value in effect.values}
    for fold in folds(folder, max_rows):
        # The default first, so that it pays for nothing but itself.
        measured = {
            value: measure(default | {effect.name: value}, fold)
            for value in sorted(
                effect.values, key=lambda value: value != default[effect.name]
            )
        }
        base = measured[default[effect.name]]
        for value, figures in measured.items():
            ratios = {
                name: figures[name] / base[name] for name in ("fit", "query", "bytes")
            }
            found[value].append(figures | ratios)
    rows = []
    for value in effect.values:
        mean = {
            name: np.mean([f[name] for f in found[value]])
            for name in ("clean", "wrong", "k")
        }
        ratio = {
            name: np.median([f[name] for f in found[value]])
            for name in ("fit", "query", "bytes")
        }
        is_default = value == KNNGraphClassifier().get_params()[effect.name]
        rows.append(
            [
                f"`{value!r}`" + (", default" if is_default else ""),
                f"{mean['clean']:.1f}",
                f"{mean['wrong']:.1f}",
                f"{mean['k']:.1f}",
                *(f"{ratio[name]:.2f}" for name in ("fit", "query", "bytes")),
            ]
        )
    return rows


def main() -> None:
    """Compare, print, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--data-dir", type=Path, default=os.environ.get("KNNGRAPH_DATA")
    )
    parser.add_argument("--max-rows", type=int, default=2000)
    parser.add_argument("--write-docs", action="store_true")
    parser.add_argument(
        "--only", nargs="+", default=[effect.name for effect in EFFECTS]
    )
    options = parser.parse_args()
    folder = None if options.data_dir is None else Path(options.data_dir)
    warnings.simplefilter("ignore", LookupAgreementWarning)
    # A few iterations are one of the values.
    warnings.simplefilter("ignore", ConvergenceWarning)
    for effect in EFFECTS:
        if effect.name not in options.only:
            continue
        rows = effect_table(effect, folder, options.max_rows)
        text = table(
            (
                f"`{effect.name}`, {effect.inference}",
                "accuracy",
                "with 20 % wrong labels",
                "learned k",
                "fit time",
                "query time",
                "size",
            ),
            rows,
        )
        print(text, flush=True)
        if options.write_docs:
            put_between(effect.page, f"effect {effect.name}", text)


if __name__ == "__main__":
    main()
