"""What every parameter does to accuracy, speed and size, one at a time.

    python -m benchmarks.parameters [--data-dir DIR] [--max-rows N] [--write-docs]
        [--only NAME ...]

Each value of a parameter is compared with the default, all others at theirs, on a
few public sets from the folder where one is named, and on sets that ship with
scikit-learn. Accuracy is a mean over sets and folds, with clean and with wrong
training labels; times and sizes are medians of ratios to the default, measured in
the same run. Tables are printed and, with `--write-docs`, written between the marks
`effect NAME` of the pages on the stages.
"""

import pickle
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler

from benchmarks.command import parser_of, publish
from benchmarks.datasets import load
from benchmarks.pages import DOCS, table
from knngraph import KNNGraphClassifier, LookupAgreementWarning

N_FOLDS, WRONG = 2, 0.2
TABLES = ("letter", "satimage", "phoneme", "vehicle")
IMAGES = ("binalpha", "usps_20_uni")
# One width of the walk for all graphs, wide enough not to decide the comparison.
BEAM = 16
HOW = DOCS / "how"


@dataclass(frozen=True)
class Effect:
    """A parameter, the values to try, and the page that shows what they do."""

    name: str
    values: tuple[Any, ...]
    inference: str
    page: Path


EFFECTS = [
    Effect("M", (8, 16, 32), "lookup", HOW / "search.md"),
    Effect("ef_construction", (50, 200, 400), "lookup", HOW / "search.md"),
    Effect("ef", (1, 4, 16, 64), "lookup", HOW / "search.md"),
    Effect("penalty_min", (0.05, 0.1, 0.3), "lookup", HOW / "density.md"),
    Effect("penalty_max", (0.1, 0.3, 0.5, 0.9), "lookup", HOW / "density.md"),
    Effect(
        "density_scales", ((3,), (3, 7, 15), (15, 31)), "lookup", HOW / "density.md"
    ),
    Effect("label_weight", (0.0, 0.1, 0.3, 0.6), "lookup", HOW / "kernel.md"),
    Effect("label_discount", (0.0, 0.1, 0.5), "lookup", HOW / "kernel.md"),
    Effect("bandwidth", ("median", "neighbors"), "lookup", HOW / "kernel.md"),
    Effect("max_neighbors", (8, 16, 32, 64), "adaptive", HOW / "representation.md"),
    Effect("support", ("exact", "local"), "lookup", HOW / "representation.md"),
    Effect("nugget", (0.0, 0.1, 0.3), "lookup", HOW / "representation.md"),
    Effect("tol", (1e-2, 1e-4, 1e-6), "lookup", HOW / "representation.md"),
    Effect("max_iter", (10, 50, 200), "lookup", HOW / "representation.md"),
    Effect("positive", (True, False), "lookup", HOW / "representation.md"),
    Effect("self_weight", (0.0, 0.5, 1.0, 2.0), "lookup", HOW / "consensus.md"),
    Effect("vote", ("reliability", "labels"), "adaptive", DOCS / "inference.md"),
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
        "metric",
        ("euclidean", "learned", "trees", "auto"),
        "adaptive",
        HOW / "maps.md",
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


def effect_table(effect: Effect, folder: Path | None, max_rows: int) -> str:
    """A row a value: mean accuracies, median ratios to the default."""
    default = DEFAULTS | {"inference": effect.inference, "random_state": 0}
    own = default[effect.name]
    names = [repr(value) for value in effect.values]
    found = []
    for fold in folds(folder, max_rows):
        # The default first, so that it pays for nothing but itself.
        measured = {
            repr(value): measure(default | {effect.name: value}, fold)
            for value in sorted(effect.values, key=lambda value: value != own)
        }
        figures = pd.DataFrame(measured).T
        ratios = ["fit", "query", "bytes"]
        figures[ratios] /= figures.loc[repr(own), ratios]
        found.append(figures)
    by_value = pd.concat(found).groupby(level=0)
    mean, median = by_value.mean(), by_value.median()
    kept = repr(KNNGraphClassifier().get_params()[effect.name])
    rows = [
        [
            f"`{name}`" + (", default" if name == kept else ""),
            *(f"{mean.loc[name, column]:.1f}" for column in ("clean", "wrong", "k")),
            *(f"{median.loc[name, column]:.2f}" for column in ratios),
        ]
        for name in names
    ]
    heads = [f"`{effect.name}`, {effect.inference}", "accuracy"]
    heads += ["with 20 % wrong labels", "learned k", "fit time", "query time", "size"]
    return table(heads, rows)


def main() -> None:
    """Compare, print, write."""
    parser = parser_of(__doc__)
    parser.add_argument("--max-rows", type=int, default=2000)
    parser.add_argument(
        "--only", nargs="+", default=[effect.name for effect in EFFECTS]
    )
    options = parser.parse_args()
    warnings.simplefilter("ignore", LookupAgreementWarning)
    # A few iterations are one of the values.
    warnings.simplefilter("ignore", ConvergenceWarning)
    for effect in EFFECTS:
        if effect.name in options.only:
            text = effect_table(effect, options.data_dir, options.max_rows)
            publish(text, effect.page, f"effect {effect.name}", options)


if __name__ == "__main__":
    main()
