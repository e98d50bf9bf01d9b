"""Coverage and size of prediction sets, beside those of MAPIE where it is installed.

    python -m benchmarks.prediction_sets [--data-dir DIR] [--write-docs] [--sets NAME]

Of every set at most 1000 rows are split twenty times, two fifths for testing. The
adaptive classifier gives sets as they are ("plain", on tables also with
`metric="trees"`), for every class by itself ("per class"), by a predictor that was
written to a file and read again after 30 % of the rows were exchanged by `forget` and
`partial_fit` ("exchanged"), and with 20 % of the training labels replaced, judged by
test labels that were replaced in the same way ("wrong labels"). MAPIE takes a
`KNeighborsClassifier` and a random forest, each with its default score LAC and, where
there are more than two classes, with APS, over five folds. Results go to
`benchmarks/results/prediction_sets.csv`; a run that is stopped goes on where it was.
"""

import importlib.util
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier

from benchmarks.accuracy import IMAGES_AND_TEXT
from benchmarks.command import parser_of, publish
from benchmarks.datasets import TABULAR, Fold, codes_of, load, scale
from benchmarks.figures import COLORS, as_svg, drawing, on_paper
from benchmarks.machine import conditions, described, version_of
from benchmarks.pages import DOCS, table
from benchmarks.rows import Journal, read_rows
from knngraph import KNNGraphClassifier, load_predictor

RESULTS = Path(__file__).parent / "results" / "prediction_sets.csv"
PICTURE = DOCS / "figures" / "prediction_sets.svg"
ALPHAS = (0.05, 0.1, 0.2)
MAX_ROWS, TEST_SHARE, N_SPLITS = 1000, 0.4, 20
EXCHANGED, WRONG = 0.3, 0.2
OURS, TREES, PEER = "adaptive", 'adaptive, metric="trees"', "mapie"
KINDS = ("plain", "per class", "exchanged", "wrong labels")
OTHERS = {
    "k-neighbors": KNeighborsClassifier(),
    "random forest": RandomForestClassifier(random_state=0),
}
SCORES = ("lac", "aps")
# Test rows of a class over all splits, from which on its own coverage is shown.
FEWEST_OF_CLASS = 100


class Remembered(ClassifierMixin, BaseEstimator):
    """A classifier that is fitted once on the same rows: both scores read one fit."""

    fits: ClassVar[dict[int, Any]] = {}

    def __init__(self, estimator: Any = None) -> None:
        self.estimator = estimator

    def fit(self, X: np.ndarray, y: np.ndarray) -> "Remembered":
        """Fit, or take the fit on these rows."""
        key = hash((type(self.estimator), X.tobytes(), y.tobytes()))
        if key not in self.fits:
            self.fits[key] = clone(self.estimator).fit(X, y)
        self.fitted_ = self.fits[key]
        self.classes_ = self.fitted_.classes_
        return self

    def predict(self, X: np.ndarray) -> Any:
        """Classes of the rows."""
        return self.fitted_.predict(X)

    def predict_proba(self, X: np.ndarray) -> Any:
        """Probabilities of the rows."""
        return self.fitted_.predict_proba(X)


def split(X: np.ndarray, y: np.ndarray, seed: int, *, scaled: bool) -> Fold:
    """One split; classes of one row are not stratified."""
    stratify = y if np.bincount(y).min() > 1 else None
    X, X_test, y, y_test = train_test_split(
        X, y, test_size=TEST_SHARE, stratify=stratify, random_state=seed
    )
    return scale(X, X_test, scaled=scaled, y=(y, y_test))


def replaced(y: np.ndarray, seed: int) -> np.ndarray:
    """Labels of which a share is any other class."""
    random, n_classes = np.random.default_rng(seed), y.max() + 1
    wrong = random.random(len(y)) < WRONG
    return np.where(wrong, (y + random.integers(1, n_classes, len(y))) % n_classes, y)


def our_sets(
    fold: Fold, kind: str, seed: int, metric: str = "auto"
) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Classes, true codes and a set of every row for every alpha."""
    X, y, X_test, y_test = fold
    if kind == "wrong labels":
        noisy = replaced(np.concatenate([y, y_test]), seed)
        y, y_test = noisy[: len(y)], noisy[len(y) :]
    model: Any = KNNGraphClassifier(inference="adaptive", metric=metric, random_state=0)
    if kind == "exchanged":
        n = round(len(y) / (1.0 + EXCHANGED))
        gone = np.arange(round(EXCHANGED * n))
        model.fit(X[:n], y[:n]).predict_set(X_test[:1])
        model.forget(gone).partial_fit(X[n:], y[n:], classes=np.unique(y))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.knngraph"
            model.to_predictor().save(path)
            model = load_predictor(path, mmap=False)
    else:
        model.fit(X, y)
    per_class = kind == "per class"
    sets = [model.predict_set(X_test, alpha, per_class=per_class) for alpha in ALPHAS]
    return model.classes_, y_test, sets


def their_sets(fold: Fold, name: str, score: str) -> tuple[np.ndarray, list[Any]]:
    """Classes, and sets of MAPIE."""
    from mapie.classification import CrossConformalClassifier

    X, y, X_test, _ = fold
    model = CrossConformalClassifier(
        Remembered(OTHERS[name]),
        confidence_level=[1.0 - alpha for alpha in ALPHAS],
        conformity_score=score,
        random_state=0,
    )
    model.fit_conformalize(X, y)
    sets = model.predict_set(X_test)[1]
    return np.unique(y), [sets[:, :, i] for i in range(len(ALPHAS))]


def summed_up(splits: list[tuple[np.ndarray, np.ndarray, list[Any]]]) -> Any:
    """Figures of the sets over all splits."""
    figures: dict[str, float] = {}
    n_classes = 1 + max(int(y.max()) for _, y, _ in splits)
    for number, alpha in enumerate(ALPHAS):
        coverage, sizes, filled = [], [], []
        hits, rows = np.zeros(n_classes), np.zeros(n_classes)
        for classes, y, of_alphas in splits:
            found = np.zeros((len(y), n_classes), dtype=bool)
            found[:, classes] = of_alphas[number]
            covered = found[np.arange(len(y)), y]
            coverage.append(covered.mean())
            sizes.append(found.sum(axis=1).mean())
            filled.append(np.maximum(found.sum(axis=1), 1).mean())
            hits += np.bincount(y, covered, n_classes)
            rows += np.bincount(y, minlength=n_classes)
        figures[f"coverage {alpha}"] = float(np.mean(coverage))
        figures[f"error {alpha}"] = float(np.std(coverage, ddof=1) / N_SPLITS**0.5)
        figures[f"size {alpha}"] = float(np.mean(sizes))
        figures[f"filled {alpha}"] = float(np.mean(filled))
        many = rows >= FEWEST_OF_CLASS
        if many.any():
            figures[f"lowest class {alpha}"] = float((hits[many] / rows[many]).min())
    return figures


def measured(
    X: np.ndarray, y: np.ndarray, methods: list[tuple[str, str]], *, scaled: bool
) -> Iterator[tuple[tuple[str, str], dict[str, float]]]:
    """Every kind of sets of every method, and its figures."""
    splits: dict[tuple[str, str], list[Any]] = {method: [] for method in methods}
    seconds = dict.fromkeys(methods, 0.0)
    for seed in range(N_SPLITS):
        fold = split(X, y, seed, scaled=scaled)
        Remembered.fits.clear()
        for method in methods:
            kind, name = method
            start = time.process_time()  # of all threads: the machine may be shared
            if name == OURS:
                found = our_sets(fold, kind, seed)
            elif name == TREES:
                found = our_sets(fold, kind, seed, metric="trees")
            else:
                name, _, score = name.partition(", ")
                classes, sets = their_sets(fold, name, score)
                found = classes, fold[3], sets
            seconds[method] += time.process_time() - start
            splits[method].append(found)
    for method in methods:
        yield (
            method,
            summed_up(splits[method]) | {"seconds": seconds[method] / N_SPLITS},
        )


def run(journal: Journal, options: Any) -> None:
    """Measure what is not there yet."""
    ours = [(kind, OURS) for kind in KINDS]
    peers: list[tuple[str, str]] = []
    if importlib.util.find_spec(PEER) is not None:
        peers = [("plain", f"{name}, {score}") for name in OTHERS for score in SCORES]
    else:
        print('Without MAPIE, which pip install "knngraph[benchmarks]" brings.')
    for name in options.sets:
        before = journal.keys()
        X, y = load(name, options.data_dir, max_rows=MAX_ROWS)
        # MAPIE refuses other scores than LAC of two classes.
        theirs = [m for m in peers if y.max() > 1 or m[1].endswith(SCORES[0])]
        with_trees = [("plain", TREES)] if name in TABULAR else []
        open_ = [m for m in ours + with_trees + theirs if (name, *m) not in before]
        scaled = name in TABULAR
        for method, figures in measured(X, codes_of(y), open_, scaled=scaled):
            journal.append((name, *method), figures)
            print(name, *method, f"{figures['coverage 0.1']:.3f}", flush=True)


def report(rows: pd.DataFrame) -> str:
    """The figures as tables: all kinds of sets, then sizes beside those of MAPIE."""
    figures = rows.assign(value=rows["value"].astype(float)).pivot(
        index=["kind", "method", "set"], columns="metric", values="value"
    )
    kinds, sizes, each = [], [], []
    for kind in KINDS:
        ours = figures.loc[kind, OURS]
        for alpha in ALPHAS:
            covered, error = ours[f"coverage {alpha}"], ours[f"error {alpha}"]
            enough = int((covered >= 1.0 - alpha - 2.0 * error).sum())
            kinds.append(
                [
                    kind,
                    f"{1.0 - alpha:.0%}",
                    f"{covered.mean():.1%}",
                    f"{covered.min():.1%}",
                    f"{enough} of {len(ours)}",
                    f"{ours[f'lowest class {alpha}'].mean():.1%}",
                    f"{ours[f'size {alpha}'].mean():.2f}",
                ]
            )
    plain = figures.loc["plain"]
    ours = plain.loc[OURS]
    with_trees = plain.loc[TREES].combine_first(ours)
    for method in plain.index.unique("method").drop([OURS, TREES]):
        theirs = plain.loc[method]
        for alpha in ALPHAS:
            size, filled = theirs[f"size {alpha}"], theirs[f"filled {alpha}"]
            line = [method, f"{1.0 - alpha:.0%}"]
            line.append(f"{theirs[f'coverage {alpha}'].mean():.1%}")
            line.append(f"{size.mean():.2f}, {filled.mean():.2f}")
            for figures_of in (ours, with_trees):
                one = figures_of.loc[theirs.index, f"size {alpha}"]
                counts = [int((one <= other + 1e-9).sum()) for other in (size, filled)]
                line += [f"{one.mean():.2f}", f"{counts[0]}, {counts[1]}"]
            sizes.append([*line, len(theirs)])
    for name in ours.index:
        line = [name]
        for alpha in ALPHAS:
            line.append(f"{ours.loc[name, f'coverage {alpha}']:.1%}")
            line.append(f"{ours.loc[name, f'size {alpha}']:.2f}")
        each.append(line)
    levels = [f"{1.0 - alpha:.0%}" for alpha in ALPHAS]
    return "\n\n".join(
        [
            f"{len(ours)} sets of at most {MAX_ROWS} rows, {N_SPLITS} splits. Mean and "
            "smallest coverage over the sets, sets where it is no more than two "
            "standard errors below the level, mean coverage of the worst class (of "
            f"those with {FEWEST_OF_CLASS} test rows in all), and mean number of "
            "classes in a set:",
            table(
                ["sets", "level", "mean", "least", "reached", "worst class", "size"],
                kinds,
            ),
            "MAPIE beside the sets as they are. LAC gives empty sets, which count as "
            "none in the first of two numbers and as one class in the second; ours are "
            "never empty. The counts are the sets where ours are no larger than "
            "either, by the default metric and by trees on tables:",
            table(
                [
                    "MAPIE with",
                    "level",
                    "coverage",
                    "size",
                    "ours",
                    "no larger",
                    "trees",
                    "no larger",
                    "of",
                ],
                sizes,
            ),
            "Every set:",
            table(
                ["set", *(head for level in levels for head in (level, "size"))], each
            ),
            f"`python -m benchmarks.prediction_sets`; {described(conditions())}.",
        ]
    )


def draw(rows: pd.DataFrame) -> None:
    """Coverage on every set, at every level."""
    chosen = rows[(rows["kind"] == "plain") & (rows["method"] == OURS)]
    figures = chosen.assign(value=chosen["value"].astype(float)).pivot(
        index="set", columns="metric", values="value"
    )
    places = np.arange(len(figures))
    with drawing(7.0, 4.5) as (picture, ax):
        for number, alpha in enumerate(ALPHAS):
            color = COLORS[number]
            ax.axhline(1.0 - alpha, color=color, linewidth=1.0, linestyle="--")
            ax.errorbar(
                places + 0.2 * (number - 1),
                figures[f"coverage {alpha}"],
                yerr=2.0 * figures[f"error {alpha}"],
                fmt="o",
                color=color,
                markersize=4.0,
                label=f"alpha = {alpha}",
            )
        ax.set_xticks(places, figures.index, rotation=60, ha="right")
        ax.set_ylabel("coverage, with two standard errors")
        picture.legend(loc="outside upper right", ncols=len(ALPHAS))
        PICTURE.parent.mkdir(exist_ok=True)
        PICTURE.write_text(on_paper(as_svg(picture)), encoding="utf-8")


def main() -> None:
    """Measure, then report."""
    parser = parser_of(__doc__)
    parser.add_argument(
        "--sets", nargs="+", default=[*TABULAR, *IMAGES_AND_TEXT, "mnist"]
    )
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # classes with few rows
    with_peer = conditions() | {PEER: version_of(PEER) or ""}
    journal = Journal(RESULTS, ["set", "kind", "method"], with_peer, "seconds")
    run(journal, options)
    rows = read_rows(RESULTS)
    if options.write_docs:
        draw(rows)
    publish(report(rows), DOCS / "sure.md", "prediction sets", options)


if __name__ == "__main__":
    main()
