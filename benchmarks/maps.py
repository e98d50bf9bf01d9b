"""What a map costs: at fit, at a query, in a file.

    python -m benchmarks.maps [--rows 2000 10000] [--write-docs]

Made rows of 20 features in two classes, some labels wrong, one thread. Beside the maps
stands what bounds them: a random forest of 200 trees. Times are of the processor, so
that other work on the machine counts little. A lookup reads its answer in next to no
time: what a row takes longer than with metric="euclidean" is the map.
"""

import pickle
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier

from benchmarks.command import parser_of, publish
from benchmarks.machine import conditions, described
from benchmarks.metrics import seconds_in_turn
from benchmarks.pages import DOCS, table
from knngraph import KNNGraphClassifier

METRICS = ("euclidean", "learned", "trees")
_QUERIES, _ONE_BY_ONE, _ROUNDS = 4000, 300, 7


def rows_of(n_rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Training rows, their labels, and as many other rows as are asked."""
    X, y = make_classification(
        n_rows + _QUERIES, 20, n_informative=8, flip_y=0.1, random_state=0
    )
    X = X.astype(np.float32)
    return X[:n_rows], y[:n_rows], X[n_rows:]


def measure(n_rows: int, folder: Path) -> pd.DataFrame:
    """Figures of every map, and of a forest."""
    X, y, queries = rows_of(n_rows)
    forest = RandomForestClassifier(200, random_state=0)
    fits = {"a random forest": lambda: forest.fit(X, y)}
    models = {}
    for metric in METRICS:
        models[metric] = KNNGraphClassifier(
            metric=metric, inference="lookup", ef=16, random_state=0
        )
        fits[metric] = lambda model=models[metric]: model.fit(X, y)
    taken = seconds_in_turn(fits, 1, time.process_time).median()
    predictors = {metric: model.to_predictor() for metric, model in models.items()}
    asked = {m: lambda p=p: p.predict(queries) for m, p in predictors.items()}
    batch = seconds_in_turn(asked, _ROUNDS, time.process_time).min()
    rows = list(queries[:_ONE_BY_ONE])
    alone = {m: lambda p=p: [p(x) for x in rows] for m, p in predictors.items()}
    single = seconds_in_turn(alone, _ROUNDS, time.process_time).min()
    found = {}
    for metric, predictor in predictors.items():
        predictor.save(folder / metric)
        found[f'`"{metric}"`'] = {
            "fit, s": f"{taken[metric]:.1f}",
            "a row of a batch, µs": f"{1e6 * batch[metric] / len(queries):.1f}",
            "one row, µs": f"{1e6 * single[metric] / len(rows):.0f}",
            "file, MB": f"{(folder / metric).stat().st_size / 1e6:.1f}",
        }
    found["a random forest of 200 trees"] = {
        "fit, s": f"{taken['a random forest']:.1f}",
        "file, MB": f"{len(pickle.dumps(forest)) / 1e6:.1f}",
    }
    return pd.DataFrame(found).T.fillna("")


def main() -> None:
    """Measure, print, write."""
    parser = parser_of(__doc__, folder=False)
    parser.add_argument("--rows", type=int, nargs="+", default=[2000, 10_000])
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    tables = {}
    with tempfile.TemporaryDirectory() as folder:
        measure(300, Path(folder))  # loads what is compiled
        for n_rows in options.rows:
            tables[f"{n_rows:,} rows: "] = measure(n_rows, Path(folder))
    together = pd.concat(tables, axis=1)
    heads = ["map", *("".join(column) for column in together)]
    figures = table(heads, together.reset_index().to_numpy())
    text = f"{figures}\n\nOne thread; {described(conditions())}."
    publish(text, DOCS / "how" / "maps.md", "maps", options)


if __name__ == "__main__":
    main()
