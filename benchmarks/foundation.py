"""What the published method costs and certifies, on data sets it was published on.

    python -m benchmarks.foundation --data-dir DIR [--only PART ...] [--write-docs]

The folder holds `binalpha.npz`, `caltech101_sil16_derived.npz` and `mnist.npz`,
each with X and y; the variable KNNGRAPH_DATA may name it instead.
Every part runs in a process of its own, so that its peak memory is its own.
Figures are printed and written to `benchmarks/results/foundation.csv`. Fits and
certificates are of the rows as they are: no map is learned. What a lookup costs
beside hnswlib alone is measured by `benchmarks.serving`.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.command import parser_of
from benchmarks.datasets import load
from benchmarks.fit_stages import fit_by_stage
from benchmarks.isolated import peak_megabytes, run_isolated
from benchmarks.metrics import seconds
from benchmarks.pages import DOCS, table
from benchmarks.rows import read_rows
from knngraph import KNNGraphClassifier
from tests.reference import kernel_of, objectives, solve_by_nnls, violations

RESULTS = Path(__file__).resolve().parent / "results" / "foundation.csv"
PAGE = DOCS / "fit.md"
COLUMNS = ["part", "name", "value", "unit", "bound"]
# A wide beam at fit does not warn of greedy walks; ef matters to queries only.
SETTINGS: dict[str, Any] = {"metric": "euclidean", "ef": 64, "random_state": 0}
# Part, what, value, unit and the largest value that is good enough, or nothing.
Figure = tuple[str, str, float, str, float | None]


def classifier(**settings: Any) -> KNNGraphClassifier:
    """With the settings of all parts."""
    return KNNGraphClassifier(**SETTINGS | settings)


def compiled(X: np.ndarray, y: np.ndarray, **settings: Any) -> KNNGraphClassifier:
    """An unfitted model of which no time below is compile time."""
    classifier(**settings).fit(X[:400], y[:400]).predict(X[:10])
    return classifier(**settings)


def measure_import(folder: Path) -> Iterator[Figure]:
    """Time that the import takes after scikit-learn's own."""
    program = (
        "import time, sklearn.base, sklearn.utils.validation, sklearn.utils.multiclass;"
        "start = time.perf_counter(); from knngraph import KNNGraphClassifier;"
        "print(time.perf_counter() - start)"
    )
    command = [sys.executable, "-c", program]
    taken = [float(subprocess.check_output(command)) for _ in range(5)]
    yield "import", "beyond scikit-learn's own", float(np.median(taken)), "s", 1.0


def measure_binalpha(folder: Path) -> Iterator[Figure]:
    """Time of the exact support, and its certificates recomputed."""
    X, y = load("binalpha", folder)
    model = compiled(X, y, support="exact", n_jobs=2)
    taken = min(seconds(lambda: model.fit(X, y)) for _ in range(5))
    part = "binalpha exact"
    yield part, "fit, best of 5, 2 threads", taken, "s", 2.0

    K, W, penalty = kernel_of(model, X, y), model.graph_.toarray(), model.penalty_
    gap = float((violations(K, W, penalty) / model.lambda_max_).max())
    name = "worst KKT violation over all rows / lambda*"
    yield part, name, gap, "", model.tol
    reached, worst = objectives(K, W, penalty), 0.0
    for j in np.random.default_rng(0).choice(len(y), size=50, replace=False):
        others = np.delete(np.arange(len(y)), j)
        best = np.zeros((1, len(y)))
        best[0, others] = solve_by_nnls(
            K[np.ix_(others, others)], K[j, others], penalty[j]
        )
        least = 1.0 - 2.0 * best[0] @ K[j] + best[0] @ K @ best[0]
        least += penalty[j] * best.sum()
        worst = max(worst, abs(reached[j] - least) / least)
    yield part, "50 objectives against scipy nnls, largest relative", worst, "", 1e-6
    for fraction in (0.1, 0.5, 0.999999):
        settings = {"penalty_min": fraction, "penalty_max": fraction}
        other = classifier(support="exact", **settings).fit(X, y)
        empty = float((other.n_neighbors_ == 0).sum())
        name = f"rows without neighbors, fractions {fraction:g}"
        yield part, name, empty, "rows", 0.0
    local = classifier(support="local").fit(X, y).graph_.toarray()
    total, total_local = reached.sum(), objectives(K, local, penalty).sum()
    apart = 100.0 * abs(total_local - total) / total
    yield part, "local against exact, total objective", apart, "%", 0.1
    yield part, "learned k, mean", float(model.n_neighbors_.mean()), "", None
    changed = float(len(model.relabeled_))
    yield part, "labels that the consensus changed", changed, "", None


def measure_caltech(folder: Path) -> Iterator[Figure]:
    """Time and peak memory of the exact support."""
    X, y = load("caltech101_sil16_derived", folder)
    model = compiled(X, y, support="exact", n_jobs=2)
    part = "caltech101_sil16 exact"
    yield part, "fit, 2 threads", seconds(lambda: model.fit(X, y)), "s", 30.0
    yield part, "peak memory of the process", peak_megabytes() / 1024, "GB", 3.0
    gap = float(model.optimality_gap_.max())
    yield part, "worst optimality gap as fitted", gap, "", model.tol


def measure_mnist(folder: Path) -> Iterator[Figure]:
    """Time of the local support by stage."""
    X, y = load("mnist", folder)
    compiled(X, y, support="local")
    settings = SETTINGS | {"support": "local", "n_jobs": 2}
    _, total, stages = fit_by_stage(X[:60000], y[:60000], **settings)
    part = "mnist 60000 local"
    yield part, "fit, 2 threads", total["seconds"], "s", 60.0
    for name, took in stages.items():
        yield part, f"stage: {name}, of the processor", took, "s", None
    yield part, "peak memory of the process", total["peak_mb"] / 1024, "GB", None


PARTS: dict[str, Callable[[Path], Iterator[Figure]]] = {
    "import": measure_import,
    "binalpha": measure_binalpha,
    "caltech": measure_caltech,
    "mnist": measure_mnist,
}


def measure(part: str, folder: str) -> list[Figure]:
    """The figures of one part."""
    return list(PARTS[part](Path(folder)))


def as_page(figures: pd.DataFrame) -> str:
    """The figures as the page of the documentation."""
    shown = figures.assign(value=figures["value"].astype(float).map("{:.3g}".format))
    return (
        "# Measured speed and size\n\n"
        "Generated by `python -m benchmarks.foundation --data-dir DIR --write-docs`; "
        "nothing here is typed in. Seconds are of one machine with two cores, shared "
        "with other work. No map is learned here.\n\n"
        + table(["part", "what", "value", "unit", "bound"], shown.to_numpy())
        + "\n"
    )


def main() -> None:
    """Run the parts, each in a process of its own."""
    parser = parser_of(__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument(
        "--report-only", action="store_true", help="measure nothing, write the page"
    )
    options = parser.parse_args()
    if options.data_dir is None and not options.report_only:
        parser.error("name the folder of the data by --data-dir or KNNGRAPH_DATA")
    for part in [] if options.report_only else options.only:
        start = time.perf_counter()
        arguments = {"part": part, "folder": str(options.data_dir)}
        figures = run_isolated(
            "benchmarks.foundation:measure", arguments, environment={}
        )
        new = pd.DataFrame(figures, columns=COLUMNS)
        print(new.to_string(index=False), f"\n{time.perf_counter() - start:.0f} s")
        before = read_rows(RESULTS).reindex(columns=COLUMNS)
        kept = before[~before["part"].isin(new["part"])]
        RESULTS.parent.mkdir(exist_ok=True)
        pd.concat([kept, new]).to_csv(RESULTS, index=False)
    if options.write_docs:
        if not RESULTS.is_file():
            parser.error(f"{RESULTS} is missing: leave --report-only out")
        PAGE.write_text(as_page(read_rows(RESULTS)))


if __name__ == "__main__":
    main()
