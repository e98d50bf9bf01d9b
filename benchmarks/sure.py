"""How sure an answer is: novel queries, and answers that are handed to a person.

    python -m benchmarks.sure novelty --data-dir DIR [--max-rows 3000] [--splits 2]
    python -m benchmarks.sure abstention --data-dir DIR [--max-rows 3000] [--splits 2]

`novelty` leaves a class out of training, another in every split, and asks for its rows
beside held-out rows of the others. `abstention` compares the area under risk and
coverage. Both print their tables; `--write-docs` puts them into docs/sure.md.
"""

from collections.abc import Iterator
from functools import partial
from time import process_time
from typing import Any

import numpy as np
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    IsolationForest,
    RandomForestClassifier,
)
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.neighbors import LocalOutlierFactor

from benchmarks.command import parser_of, publish
from benchmarks.datasets import TABULAR, Fold, load, scale
from benchmarks.machine import conditions, described
from benchmarks.pages import DOCS, table
from knngraph import KNNGraphClassifier
from knngraph.inspection import RiskCoverageDisplay

SETS = (
    *TABULAR,
    *("binalpha", "caltech101_sil16_derived", "isolet1560", "mnist"),
    *("mpeg7_bbox32_derived", "palm", "pcmac", "usps_20_uni"),
)
# Boosting takes minutes a fit where classes times columns are more.
MOST_FOR_BOOSTING = 1000
INFERENCES = ("lookup", "adaptive", "cascade")
HELD_OUT = 0.3
COSTS = (
    "inference",
    "`predict_proba`",
    "`answer`: with novelty",
    "more than `predict_proba`",
    "`novelty_pvalue` by itself",
)


def rows_of(name: str, options: Any) -> tuple[np.ndarray, np.ndarray]:
    """Rows of a set, without classes that are too small to be split."""
    X, y = load(name, options.data_dir, max_rows=options.max_rows)
    enough = np.bincount(y)[y] >= 10
    return np.asarray(X, dtype=np.float64)[enough], y[enough]


def splits(
    X: np.ndarray, y: np.ndarray, name: str, n_splits: int
) -> Iterator[tuple[Fold, np.ndarray]]:
    """Splits of the rows of all classes but one, and the rows of that one, scaled."""
    classes = np.random.default_rng(0).permutation(np.unique(y))[:n_splits]
    for seed, left_out in enumerate(classes):
        known, new = np.flatnonzero(y != left_out), np.flatnonzero(y == left_out)
        train, test = train_test_split(
            known, test_size=HELD_OUT, random_state=seed, stratify=y[known]
        )
        asked = np.concatenate([test, new])
        fold = scale(X[train], X[asked], scaled=name in TABULAR, y=(y[train], y[asked]))
        yield fold, np.arange(len(asked)) >= len(test)


def seconds_a_row(call: Any, n_rows: int) -> float:
    """Processor time of a call a row: the least of several."""
    found = []
    while len(found) < 3 or (sum(found) < 0.1 and len(found) < 50):
        start = process_time()
        call()
        found.append(process_time() - start)
    return min(found) / n_rows


def costs(model: KNNGraphClassifier, X: np.ndarray) -> list[float]:
    """Seconds a row of probabilities, of these with novelty, and of novelty alone."""
    predictor = model.to_predictor()
    methods = predictor.predict_proba, predictor.answer, predictor.novelty_pvalue
    return [seconds_a_row(partial(method, X), len(X)) for method in methods]


def measure_novelty(options: Any) -> str:
    """AUROC of all, false alarms, and what it costs."""
    areas, alarms, times = [], [], []
    for name in SETS:
        X, y = rows_of(name, options)
        area, alarm = [], []
        for (X_train, y_train, asked, _), is_new in splits(X, y, name, options.splits):
            others = LocalOutlierFactor(novelty=True), IsolationForest(random_state=0)
            scores = [-other.fit(X_train).score_samples(asked) for other in others]
            model = KNNGraphClassifier(inference="cascade", random_state=0)
            model.fit(X_train, y_train)
            found = []
            for inference in INFERENCES:
                model.set_params(inference=inference)
                scores.append(model.novelty_score(asked))
                found.append(model.is_novel(asked[~is_new]).mean())
                times.append((name, inference, *costs(model, asked)))
            small = model.set_params(inference="lookup").condense()
            scores.append(small.novelty_score(asked))
            found.append(small.is_novel(asked[~is_new]).mean())
            area.append([roc_auc_score(is_new, score) for score in scores])
            alarm.append(found)
        areas.append(np.mean(area, axis=0))
        alarms.append(np.mean(alarm, axis=0))
        print(name, areas[-1].round(3), alarms[-1].round(3), flush=True)
    ours = [*INFERENCES, "condensed"]
    heads = ["LocalOutlierFactor", "IsolationForest", *ours]
    heads = ["set", *heads, *(f"false alarms, {kind}" for kind in ours)]
    lines = [
        [name, *(f"{a:.3f}" for a in area), *(f"{100 * f:.1f} %" for f in alarm)]
        for name, area, alarm in zip(
            [*SETS, "**mean**"],
            [*areas, np.mean(areas, axis=0)],
            [*alarms, np.mean(alarms, axis=0)],
        )
    ]
    cost = []
    for inference in INFERENCES:
        seconds = np.array([t[2:] for t in times if t[1] == inference])
        shares, both, alone = np.median(seconds, axis=0) * 1e6
        more = np.median(seconds[:, 1] / seconds[:, 0]) - 1.0
        cells = [f"{shares:.1f}", f"{both:.1f}", f"{more:+.1%}", f"{alone:.1f}"]
        cost.append([inference, *cells])
    return (
        "AUROC of a class that training left out against held-out rows of the others, "
        "and false alarms among these at `alpha=0.05`:\n\n"
        + table(heads, lines)
        + "\n\nMicroseconds a row of a predictor, in batches; medians over the "
        "sets:\n\n"
        + table(
            COSTS,
            cost,
        )
        + f"\n\n{_machine(options)}"
    )


def measure_abstention(options: Any) -> str:
    """Area under risk and coverage of all, on the same splits."""
    areas, names = [], []
    for name in SETS:
        X, y = rows_of(name, options)
        if len(np.unique(y)) * X.shape[1] > MOST_FOR_BOOSTING:
            continue
        area = []
        for seed in range(options.splits):
            train, test = train_test_split(
                np.arange(len(y)), test_size=HELD_OUT, random_state=seed, stratify=y
            )
            X_train, y_train, X_test, y_test = scale(
                X[train], X[test], scaled=name in TABULAR, y=(y[train], y[test])
            )
            trees = KNNGraphClassifier(
                inference="adaptive", metric="trees", random_state=0
            )
            models = [
                RandomForestClassifier(random_state=0),
                HistGradientBoostingClassifier(random_state=0),
                KNNGraphClassifier(inference="adaptive", random_state=0),
                trees,
            ]
            area.append(
                [
                    RiskCoverageDisplay.from_estimator(
                        model.fit(X_train, y_train), X_test, y_test
                    ).curve.area
                    for model in models
                ]
            )
        names.append(name)
        areas.append(np.mean(area, axis=0))
        print(name, areas[-1].round(4), flush=True)
    heads = ["set", "RandomForest", "HistGradientBoosting", "adaptive"]
    lines = [
        [name, *(f"{a:.4f}" for a in area)]
        for name, area in zip([*names, "**mean**"], [*areas, np.mean(areas, axis=0)])
    ]
    return (
        "Area under risk and coverage, smaller is better:\n\n"
        + table([*heads, 'adaptive, `metric="trees"`'], lines)
        + "\n\nSets on which boosting takes minutes a fit (more than "
        f"{MOST_FOR_BOOSTING} classes times columns) are left out. {_machine(options)}"
    )


def _machine(options: Any) -> str:
    return (
        f"{options.splits} splits, at most {options.max_rows} rows, "
        f"{HELD_OUT:.0%} held out, columns of tables scaled. {described(conditions())}"
    )


def main() -> None:
    """Measure one of the two, and write its part of the page."""
    parser = parser_of(__doc__)
    parser.add_argument("part", choices=["novelty", "abstention"])
    parser.add_argument("--max-rows", type=int, default=3000)
    parser.add_argument("--splits", type=int, default=2)
    options = parser.parse_args()
    measure = {"novelty": measure_novelty, "abstention": measure_abstention}
    asked = f"--splits {options.splits} --write-docs"
    text = f"`python -m benchmarks.sure {options.part} --data-dir DIR {asked}`\n\n"
    text += measure[options.part](options)
    publish(text, DOCS / "sure.md", options.part, options)


if __name__ == "__main__":
    main()
