"""What a row costs: bytes by part of a fitted model, microseconds by stage.

    python -m benchmarks.sizes [--rows 20000] [--write-docs]

Made rows of 16 and of 128 features, local support, one thread. Bytes are of the
arrays, and for the index of what is pickled; times are of the processor.
"""

import pickle
import time
import warnings
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.command import parser_of, publish
from benchmarks.fit_stages import fit_by_stage
from benchmarks.machine import conditions, described
from benchmarks.made_rows import mixture
from benchmarks.metrics import seconds_in_turn
from benchmarks.pages import DOCS, table
from knngraph import KNNGraphClassifier

PAGE = DOCS / "how" / "size.md"
FEATURES, N_CLASSES, N_QUERIES = (16, 128), 10, 2000
SETTINGS: dict[str, Any] = {"support": "local", "n_jobs": 1, "random_state": 0}
ANSWERS = {
    "a lookup, `ef=1`": "lookup",
    "a cascade": "cascade",
    "an adaptive answer": "adaptive",
}


def bytes_by_part(model: KNNGraphClassifier) -> pd.DataFrame:
    """Bytes of the parts a distinct row: by the formula, and as they are."""
    fitted = model._model
    points = fitted.training.points
    n_rows, d = points.shape
    lists = fitted.rows.neighbors
    listed = lists.ids.nbytes + lists.squared.nbytes
    weights = fitted.graph.representation.weights
    graph = model.graph_
    learned = sum(a.data.nbytes + a.indices.nbytes for a in (graph, weights))
    shares = model.label_distribution_
    found = {
        "rows": (4 * d, points.nbytes),
        "index": (4 * d + 8 * model.M + 12, len(pickle.dumps(fitted.rows.index))),
        "candidates": (8 * model.max_neighbors, listed),
        "learned neighbors": (28 * model.n_neighbors_.mean(), learned),
        "`label_distribution_`": (8 * len(model.classes_), shares.nbytes),
    }
    frame = pd.DataFrame(found, index=["formula", "measured"]).T
    frame["measured"] /= n_rows
    frame.loc["a pickle of the estimator"] = np.nan, len(pickle.dumps(model)) / n_rows
    return frame


def microseconds_by_stage(
    model: KNNGraphClassifier, stages: dict[str, float], queries: np.ndarray
) -> pd.Series:
    """Microseconds of the processor a row of the fit, and a query of each kind."""
    found = {stage: 1e6 * s / len(model.labels_) for stage, s in stages.items()}
    for name, inference in ANSWERS.items():
        model.set_params(inference=inference, ef=None).predict(queries)
        taken = seconds_in_turn(
            {name: lambda: model.predict(queries)}, 5, time.process_time
        )
        found[name] = 1e6 * taken[name].median() / len(queries)
    return pd.Series(found)


def main() -> None:
    """Measure, print, write."""
    parser = parser_of(__doc__, folder=False)
    parser.add_argument("--rows", type=int, default=20_000)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    # Load what is compiled; enough rows for every stage.
    quick = KNNGraphClassifier(**SETTINGS, ef_construction=10)
    quick.fit(*mixture(20_000)).predict(mixture(10)[0])
    sizes, times = {}, {}
    for d in FEATURES:
        X, y = mixture(options.rows, d, n_classes=N_CLASSES)
        model, _, stages = fit_by_stage(X, y, **SETTINGS)
        sizes[d] = bytes_by_part(model)
        queries, _ = mixture(N_QUERIES, d, n_classes=N_CLASSES, seed=1)
        times[f"$d = {d}$"] = microseconds_by_stage(model, stages, queries)
    of_bytes = pd.concat(sizes, axis=1).map("{:.0f}".format).replace("nan", "")
    heads = [f"$d = {d}$, formula" if of == "formula" else of for d, of in of_bytes]
    of_times = pd.DataFrame(times).map("{:.1f}".format)
    text = "\n\n".join(
        [
            f"{options.rows:,} rows, {N_CLASSES} classes, one thread; "
            f"{described(conditions())}.",
            table(["bytes a row", *heads], of_bytes.reset_index().to_numpy()),
            table(
                ["microseconds of the processor, a row", *of_times],
                of_times.reset_index().to_numpy(),
            ),
        ]
    )
    publish(text, PAGE, "sizes", options)


if __name__ == "__main__":
    main()
