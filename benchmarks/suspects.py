"""Are the named labels wrong, and does it help others to leave them out?

    python -m benchmarks.suspects [--data-dir DIR] [--write-docs] [--sets NAME ...]

A quarter of the rows of every set is a test set with right labels. Of the labels of
the others a share is replaced: "symmetric", by any other class as often; "by class",
from class to class at another rate and mostly by one other class. All rows are then
ranked by `suspect_labels` and, where cleanlab is installed, by its
`get_label_quality_scores` over the probabilities of a random forest in five folds.
With most wrong labels, a logistic regression and a random forest are fitted on all
rows and on those that `clean` keeps. Results go to `benchmarks/results/suspects.csv`;
a run that is stopped goes on where it was.
"""

import importlib.util
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.accuracy import IMAGES_AND_TEXT
from benchmarks.command import parser_of, publish
from benchmarks.datasets import TABULAR, Fold, codes_of, load, split_once
from benchmarks.machine import conditions, described, version_of
from benchmarks.pages import DOCS, table
from benchmarks.rows import Journal, read_rows
from knngraph import KNNGraphClassifier

RESULTS = Path(__file__).parent / "results" / "suspects.csv"
KINDS, SHARES = ("symmetric", "by class"), (0.05, 0.1, 0.2)
MAX_ROWS, TEST_SHARE = 2000, 0.25
OURS, PEER = 'metric="trees"', "cleanlab"
OTHERS: dict[str, Callable[[], Any]] = {
    "logistic regression": lambda: make_pipeline(
        StandardScaler(), LogisticRegression(max_iter=300)
    ),
    "random forest": lambda: RandomForestClassifier(random_state=0),
}


def replaced(
    y: np.ndarray, kind: str, share: float, random: np.random.Generator
) -> np.ndarray:
    """Codes of which a share is wrong."""
    n_classes, n_wrong = y.max() + 1, round(share * len(y))
    if kind == "symmetric":
        wrong = random.choice(len(y), n_wrong, replace=False)
        shift = random.integers(1, n_classes, n_wrong)
    else:
        rate = random.permutation(np.linspace(0.2, 1.8, n_classes))[y]
        wrong = random.choice(len(y), n_wrong, replace=False, p=rate / rate.sum())
        # One class gets three quarters of the wrong labels of a class, one the rest.
        to = random.integers(1, n_classes, (n_classes, 2))
        shift = to[y[wrong], (random.random(n_wrong) < 0.25).astype(int)]
    noisy = y.copy()
    noisy[wrong] = (noisy[wrong] + shift) % n_classes
    return noisy


def fitted(X: np.ndarray, y: np.ndarray) -> KNNGraphClassifier:
    """The classifier of which `suspect_labels` and `clean` are measured."""
    model = KNNGraphClassifier(inference="adaptive", metric="trees", random_state=0)
    return model.fit(X, y)


def by_cleanlab(X: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Quality of every label, by cleanlab."""
    from cleanlab.rank import get_label_quality_scores

    forest = RandomForestClassifier(random_state=0)
    shares = cross_val_predict(forest, X, y, cv=5, method="predict_proba")
    quality: np.ndarray = get_label_quality_scores(y, shares)
    return quality


def measured(
    fold: Fold, noisy: np.ndarray, methods: list[str], *, clean: bool
) -> Iterator[tuple[str, dict[str, float]]]:
    """Every method and its figures."""
    X, y, X_test, y_test = fold
    wrong, codes = noisy != y, codes_of(noisy)
    for method in methods:
        start = time.process_time()  # of all threads: the machine may be shared
        if method == PEER:
            quality, kept = by_cleanlab(X, codes), None
        else:
            model = fitted(X, noisy)
            suspects = model.suspect_labels()
            quality = np.empty(len(y))
            quality[suspects.rows] = np.arange(len(y))
            kept = model.clean() if clean else None
        seconds = time.process_time() - start
        figures = {"average precision": average_precision_score(wrong, -quality)}
        if kept is not None:
            figures["removed"] = 1.0 - len(kept) / len(y)
            for name, make in OTHERS.items():
                for rows, which in ((np.arange(len(y)), "given"), (kept, "kept")):
                    other = make().fit(X[rows], noisy[rows])
                    figures[f"{name}, {which}"] = other.score(X_test, y_test)
        yield method, figures | {"seconds": seconds}


def run(journal: Journal, options: Any) -> None:
    """Measure what is not there yet."""
    methods = [OURS]
    if importlib.util.find_spec(PEER) is not None:
        methods.append(PEER)
    else:
        print('Without cleanlab, which pip install "knngraph[benchmarks]" brings.')
    # What is compiled is loaded.
    fitted(np.arange(40.0)[:, None], np.arange(40) // 20).suspect_labels()
    before = journal.keys()
    for name in options.sets:
        X, y = load(name, options.data_dir, max_rows=MAX_ROWS)
        fold = split_once(X, codes_of(y), TEST_SHARE, scaled=name in TABULAR)
        for number, kind in enumerate(KINDS):
            for share in SHARES:
                key = (name, kind, str(share))
                open_ = [m for m in methods if (*key, m) not in before]
                random = np.random.default_rng([number, round(100 * share)])
                noisy = replaced(fold[1], kind, share, random)
                clean = share == max(SHARES)
                for method, figures in measured(fold, noisy, open_, clean=clean):
                    journal.append((*key, method), figures)
                    print(*key, method, f"{figures['average precision']:.3f}")


def report(rows: pd.DataFrame) -> str:
    """The figures of the sets that every method has, as two tables."""
    key = ["kind", "share", "method", "metric"]
    figures = rows.assign(value=rows["value"].astype(float))
    figures = figures.pivot(index="set", columns=key, values="value")
    figures = figures.dropna(axis="index").sort_index(axis="columns")
    shown = [m for m in (OURS, PEER) if m in figures.columns.unique("method")]
    ranked, cleaned = [], []
    for kind in KINDS:
        for share in map(str, SHARES):
            by_method = [figures[kind, share, method] for method in shown]
            line = [f"{kind}, {float(share):.0%}"]
            for found in by_method:
                line.append(f"{found['average precision'].mean():.3f}")
                line.append(f"{found['seconds'].mean():.1f}")
            ours, *peer = (found["average precision"] for found in by_method)
            line += [f"{(ours > other).sum()} of {len(ours)}" for other in peer]
            ranked.append(line)
        there = figures[kind, str(max(SHARES)), OURS]
        for name in OTHERS:
            given, kept = there[f"{name}, given"], there[f"{name}, kept"]
            line = [f"{kind}, {max(SHARES):.0%}", name]
            line += [f"{100 * accuracy.mean():.1f}" for accuracy in (given, kept)]
            line.append(f"{(kept > given).sum()} of {len(kept)}")
            cleaned.append([*line, f"{there['removed'].mean():.0%}"])
    heads = ["wrong labels", *(head for method in shown for head in (method, "s"))]
    if PEER in shown:
        heads.append(f"better than {PEER}")
    rows_a_set = round(MAX_ROWS * (1.0 - TEST_SHARE))
    return "\n\n".join(
        [
            f"Mean average precision of the ranking over {len(figures)} sets of at "
            f"most {rows_a_set:,} rows, and mean seconds of one thread, fit included:",
            table(heads, ranked),
            "Accuracy on right labels, in percent, of classifiers fitted on all rows "
            "with the labels as given, and on the rows that `clean()` keeps:",
            table(
                ["wrong labels", "classifier", "given", "kept", "better on", "removed"],
                cleaned,
            ),
            f"`python -m benchmarks.suspects`; {described(conditions())}.",
        ]
    )


def main() -> None:
    """Measure, then report."""
    parser = parser_of(__doc__)
    parser.add_argument("--sets", nargs="+", default=TABULAR + IMAGES_AND_TEXT)
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # classes with few rows, fits that do not converge
    with_peer = conditions() | {PEER: version_of(PEER) or ""}
    key = ["set", "kind", "share", "method"]
    run(Journal(RESULTS, key, with_peer, "seconds"), options)
    publish(report(read_rows(RESULTS)), DOCS / "labels.md", "suspects", options)


if __name__ == "__main__":
    main()
