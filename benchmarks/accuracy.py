"""Accuracy over many sets: our classifiers beside kNN, SVC, forests and boosting.

    python -m benchmarks.accuracy run --data-dir DIR [--noise 0.2] [--max-rows N]
    python -m benchmarks.accuracy report [--write-docs]
    python -m benchmarks.accuracy compare BEFORE.csv AFTER.csv

The folder holds `<name>.npz` (X, y) or `<name>_X.npz` and `<name>_y.npy` (sparse);
the variable KNNGRAPH_DATA may name it instead. Results go to
`benchmarks/results/accuracy.csv`, one row per (set, noise, method, fold) with
versions and machine; a run that is stopped goes on where it was.
"""

import argparse
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.ensemble import (
    ExtraTreesClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC

from benchmarks import machine
from benchmarks.accuracy_report import (
    CONDITIONS,
    N_FOLDS,
    RESULTS,
    compared,
    write_report,
)
from benchmarks.command import add_folder
from benchmarks.datasets import TABULAR, Fold, load, split
from benchmarks.rows import append_rows, read_rows
from knngraph import KNNGraphClassifier, KNNGraphClassifierCV, baselines
from knngraph.exceptions import LookupAgreementWarning
from knngraph.metric.place import MAX_FEATURES

IMAGES_AND_TEXT = [
    "isolet1560",
    "binalpha",
    "palm",
    "mpeg7_bbox32_derived",
    "caltech101_sil16_derived",
    "usps_20_uni",
    "pcmac",
]
# The grid of the SVC is searched on this many training rows; the winner is then
# fitted on all of them.
SVC_SEARCH_ROWS = 1500
# Fewest queries of a batch that is timed.
LEAST_TIMED = 1000
# Figures by method.
Scores = dict[str, dict[str, Any]]
FIELDS = [
    "set",
    "noise",
    "max_rows",
    "method",
    "fold",
    "accuracy",
    "log_loss",
    "auc",
    "fit_seconds",
    "us_per_query",
    "short_share",
    "ef",
    "metric",
    *CONDITIONS,
]


def folds(name: str, folder: Path, noise: float, max_rows: int) -> Iterator[Fold]:
    """Five stratified folds, scaled where the set is a table, labels flipped."""
    try:
        X, y = load(name, folder, max_rows=max_rows)
    except FileNotFoundError as error:
        raise SystemExit(str(error)) from None
    parts = split(X, y, N_FOLDS, scaled=name in TABULAR)
    for fold, (X_train, y_train, X_test, y_test) in enumerate(parts):
        yield X_train, flip(y_train, noise, fold), X_test, y_test


def flip(y: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Replace a share of the labels by another class, each as likely."""
    random = np.random.default_rng(seed)
    n_classes = y.max() + 1
    flipped = random.random(len(y)) < share
    other = (y + random.integers(1, n_classes, size=len(y))) % n_classes
    return np.where(flipped, other, y)


def measure(model: Any, fold: Fold) -> dict[str, Any]:
    """Fit, then score."""
    start = time.perf_counter()
    model.fit(fold[0], fold[1])
    return {"fit_seconds": time.perf_counter() - start} | score(model, fold)


def score(model: Any, fold: Fold) -> dict[str, Any]:
    """Accuracy, log loss, area under ROC and microseconds of the processor a query."""
    _, y_train, X_test, y_test = fold
    # The fixed cost of a call is not that of a query: small parts are asked again
    # and again in one batch.
    repeats = -(-LEAST_TIMED // len(y_test))
    batch = (sparse.vstack if sparse.issparse(X_test) else np.concatenate)(
        [X_test] * repeats
    )
    # One thread: what the processor works, whatever else the machine does.
    start = time.process_time()
    answers = model.predict(batch)[: len(y_test)]
    seconds = time.process_time() - start
    result = {
        "accuracy": float(np.mean(answers == y_test)),
        "us_per_query": 1e6 * seconds / (repeats * len(y_test)),
    }
    if hasattr(model, "predict_proba"):
        probabilities, classes = model.predict_proba(X_test), np.unique(y_train)
        result["log_loss"] = log_loss(y_test, probabilities, labels=classes)
        result["auc"] = area_under_roc(y_test, probabilities, classes)
    return result


def area_under_roc(
    y: np.ndarray, probabilities: np.ndarray, classes: np.ndarray
) -> float:
    """Mean over the classes that y has, each against the rest."""
    is_class = y[:, None] == classes
    there = is_class.any(axis=0)
    return float(roc_auc_score(is_class[:, there], probabilities[:, there]))


def graph(fold: Fold, suffix: str = "", **settings: Any) -> Scores:
    """All inferences from one fit, with default settings unless some are given."""
    model = KNNGraphClassifier(random_state=0, **settings)
    lookup = measure(model, fold)
    chosen = {"ef": model.ef_, "metric": model.metric_}
    results = {f"lookup (ef=1){suffix}": lookup | chosen}
    for label, inference, ef in (
        ("lookup (ef=auto)", "lookup", "auto"),
        ("adaptive", "adaptive", None),
        ("cascade", "cascade", None),
    ):
        model.set_params(inference=inference, ef=ef)
        model.predict(fold[2][:8])
        results[label + suffix] = score(model, fold) | {
            "ef": model.ef_,
            "short_share": model.inference_report(fold[2])["resolved_share"],
            "metric": model.metric_,
        }
    return results


def graph_plain(fold: Fold) -> Scores:
    """The same in the metric of the rows: what the learned map gives."""
    return graph(fold, ", metric=euclidean", metric="euclidean")


def graph_trees(fold: Fold) -> Scores:
    """The same under a map by trees."""
    return graph(fold, ", metric=trees", metric="trees")


def graph_labels(fold: Fold) -> Scores:
    """Adaptive when every given label is relied on."""
    model = KNNGraphClassifier(inference="adaptive", vote="labels", random_state=0)
    return {"adaptive, vote=labels": measure(model, fold)}


def graph_cv(fold: Fold) -> Scores:
    """Settings by leave-one-out."""
    model = KNNGraphClassifierCV(random_state=0)
    return {"KNNGraphClassifierCV": measure(model, fold) | {"metric": model.metric_}}


def graph_cv_maps(fold: Fold) -> Scores:
    """Settings by leave-one-out under every map alone: what the choice costs."""
    metrics = ["euclidean", "trees"]
    if fold[0].shape[1] <= MAX_FEATURES:
        metrics.insert(1, "learned")
    models = {m: KNNGraphClassifierCV(metric=m, random_state=0) for m in metrics}
    return {
        f"KNNGraphClassifierCV, metric={metric}": measure(model, fold)
        for metric, model in models.items()
    }


class TunedNeighbors:
    """k and weighting by cross-validation.

    `CVKNNClassifier` gives what `GridSearchCV` around `KNeighborsClassifier`
    gives on the same folds (a test of the suite), with one search a fold.
    """

    def __init__(self, *weightings: str) -> None:
        self.weightings = weightings

    def fit(self, X: np.ndarray, y: np.ndarray) -> "TunedNeighbors":
        """Tune every weighting and keep the best."""
        ks = range(1, min(30, len(y) // 2) + 1)
        models = [
            baselines.CVKNNClassifier(k_candidates=ks, weights=w, random_state=0)
            for w in self.weightings
        ]
        fitted = [model.fit(X, y) for model in models]
        best = max(fitted, key=lambda model: model.cv_scores_.max())
        self.predict, self.predict_proba = best.predict, best.predict_proba
        return self


def nearest(fold: Fold) -> Scores:
    """The usual kNN, alone and tuned."""
    return {
        "1-NN": measure(KNeighborsClassifier(1, algorithm="brute"), fold),
        "5-NN": measure(KNeighborsClassifier(5, algorithm="brute"), fold),
        "CV-kNN": measure(TunedNeighbors("uniform", "distance"), fold),
        "CV-kNN, distance": measure(TunedNeighbors("distance"), fold),
    }


def svc(fold: Fold) -> Scores:
    """An RBF support vector machine with C and gamma by cross-validation."""
    X_train, y_train = fold[0], fold[1]
    sample = np.random.default_rng(0).permutation(len(y_train))[:SVC_SEARCH_ROWS]
    scale = 1.0 / (X_train.shape[1] * X_train.var())
    grid = {"C": [1, 10, 100], "gamma": [0.3 * scale, scale, 3 * scale]}
    search = GridSearchCV(SVC(), grid, cv=3).fit(X_train[sample], y_train[sample])
    return {"SVC": measure(SVC(**search.best_params_), fold)}


def forests(fold: Fold) -> Scores:
    """Forests as they come."""
    models = {
        "random forest": RandomForestClassifier(random_state=0),
        "extra trees": ExtraTreesClassifier(random_state=0),
    }
    return {label: measure(model, fold) for label, model in models.items()}


def boosting(fold: Fold) -> Scores:
    """Boosted trees as they come."""
    X_train, y_train, X_test, y_test = fold
    if sparse.issparse(X_train):
        fold = X_train.toarray(), y_train, X_test.toarray(), y_test
    model = HistGradientBoostingClassifier(random_state=0)
    return {"HistGradientBoosting": measure(model, fold)}


def ordered_weights(fold: Fold) -> Scores:
    """The strongest published baseline, tuned."""
    model = baselines.OWAKNNClassifier(n_neighbors="cv", alpha="cv", random_state=0)
    return {"OWA, tuned": measure(model, fold)}


def siblings(fold: Fold) -> Scores:
    """The other published baselines as they come."""
    models = {
        "ENN": baselines.ENNClassifier(),
        "PL-kNN": baselines.PLKNNClassifier(),
        "XHMA-kNN": baselines.XHMAKNNClassifier(),
        "kTree": baselines.KTreeClassifier(random_state=0),
        "k*Tree, leaf 20": baselines.KStarTreeClassifier(
            min_samples_leaf=20, random_state=0
        ),
        "One-step kNN": baselines.OneStepKNNClassifier(random_state=0),
        "HNSW, 5": baselines.HNSWKNNClassifier(random_state=0),
        "SubNN": baselines.SubNNClassifier(random_state=0),
        "k*-NN": baselines.KStarNNClassifier(),
    }
    return {label: measure(model, fold) for label, model in models.items()}


# Of every group the function, and one of its methods: whether it was measured before.
GROUPS: dict[str, tuple[Callable[[Fold], Scores], str]] = {
    "graph": (graph, "cascade"),
    "graph_labels": (graph_labels, "adaptive, vote=labels"),
    "graph_plain": (graph_plain, "cascade, metric=euclidean"),
    "graph_trees": (graph_trees, "cascade, metric=trees"),
    "graph_cv": (graph_cv, "KNNGraphClassifierCV"),
    "graph_cv_maps": (graph_cv_maps, "KNNGraphClassifierCV, metric=trees"),
    "nearest": (nearest, "5-NN"),
    "svc": (svc, "SVC"),
    "forests": (forests, "extra trees"),
    "boosting": (boosting, "HistGradientBoosting"),
    "ordered_weights": (ordered_weights, "OWA, tuned"),
    "siblings": (siblings, "k*-NN"),
}


def measured_before() -> set[tuple[str, ...]]:
    """Keys of the rows that are there."""
    rows = read_rows(RESULTS)
    if len(rows) and list(rows) != FIELDS:
        raise SystemExit(
            f"{RESULTS} has the columns of an older version of this benchmark; move "
            "it away and measure anew."
        )
    key = ["set", "noise", "max_rows", "method", "fold"]
    return set(rows.reindex(columns=key).itertuples(index=False, name=None))


def run(arguments: argparse.Namespace) -> None:
    """Measure what is asked for and not there yet."""
    before, conditions = measured_before(), machine.conditions()
    for name in arguments.sets:
        for number, fold in enumerate(
            folds(name, arguments.data_dir, arguments.noise, arguments.max_rows)
        ):
            key = (name, str(arguments.noise), str(arguments.max_rows))
            for group in arguments.groups:
                function, mark = GROUPS[group]
                if (*key, mark, str(number)) in before:
                    continue
                results = function(fold)
                base = dict(zip(FIELDS, key)) | {"fold": number} | conditions
                rows = [base | {"method": m} | r for m, r in results.items()]
                append_rows(RESULTS, FIELDS, rows)
                text = ", ".join(f"{m} {r['accuracy']:.3f}" for m, r in results.items())
                print(f"{name} noise {arguments.noise} fold {number}: {text}")
                sys.stdout.flush()


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    runner = commands.add_parser("run", help="measure")
    add_folder(runner)
    runner.add_argument("--noise", type=float, default=0.0)
    runner.add_argument("--max-rows", type=int, default=0, help="0 takes all rows")
    runner.add_argument("--sets", nargs="+", default=TABULAR + IMAGES_AND_TEXT)
    runner.add_argument("--groups", nargs="+", default=list(GROUPS), choices=GROUPS)
    reporter = commands.add_parser("report", help="print the tables")
    reporter.add_argument("--write-docs", action="store_true")
    reporter.add_argument("--page", type=Path, help="write the tables there alone")
    comparer = commands.add_parser("compare", help="two files of results, by method")
    comparer.add_argument("files", nargs=2, type=Path, metavar="CSV")
    arguments = parser.parse_args()
    if arguments.command == "compare":
        print(compared(*arguments.files))
        return
    if arguments.command == "report":
        write_report(arguments.write_docs, arguments.page)
        return
    warnings.simplefilter("ignore", LookupAgreementWarning)
    # The least class of a fold may have fewer rows than the inner folds.
    warnings.filterwarnings("ignore", "The least populated class", UserWarning)
    run(arguments)


if __name__ == "__main__":
    main()
