"""What the published method costs and certifies, on data sets it was published on.

    python -m benchmarks.foundation --data-dir DIR [--only PART ...] [--write-docs]

The folder holds `binalpha.npz`, `caltech101_sil16_derived.npz`, `letter.npz` and
`mnist.npz`, each with X and y; the variable KNNGRAPH_DATA may name it instead.
Every part runs in a process of its own, so that its peak memory is its own.
Figures are printed and written to `benchmarks/results/foundation.csv`.
"""

import argparse
import csv
import io
import json
import os
import re
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import redirect_stderr
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

RESULTS = Path(__file__).resolve().parent / "results" / "foundation.csv"
DOCS = Path(__file__).resolve().parent.parent / "docs" / "fit.md"
N_QUERIES = 10_000
REPETITIONS = 21


@dataclass(frozen=True)
class Figure:
    """One measured number, and the largest that is good enough."""

    part: str
    name: str
    value: float
    unit: str
    bound: float | None = None

    def line(self) -> str:
        """As it is printed."""
        text = f"{self.part:26} {self.name:58} {self.value:12.5g} {self.unit:10}"
        if self.bound is None:
            return text.rstrip()
        verdict = "met" if self.value <= self.bound else "MISSED"
        return f"{text} at most {self.bound:g}: {verdict}"


def load(data_dir: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    """X and y of one set."""
    path = data_dir / f"{name}.npz"
    if not path.is_file():
        sys.exit(
            f"{path} is missing: it must hold the arrays X (rows by features) and y. "
            "Name the folder by --data-dir or by the variable KNNGRAPH_DATA."
        )
    with np.load(path) as file:
        return file["X"], file["y"]


def compile_solvers(X: np.ndarray, y: np.ndarray, **settings: Any) -> None:
    """Fit a few rows, so that no time below is compile time."""
    _quiet(**settings).fit(X[:400], y[:400]).predict(X[:10])


def _quiet(**settings: Any) -> Any:
    # A wide beam at fit does not warn of greedy walks; ef matters to queries only.
    from knngraph import KNNGraphClassifier

    return KNNGraphClassifier(**{"ef": 64, **settings})


def timed(function: Callable[[], Any]) -> float:
    """Seconds that a call takes."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def peak_gigabytes() -> float:
    """Largest memory this process has had, all libraries included."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def measure_import(data_dir: Path) -> Iterable[Figure]:
    """Time that the import takes after scikit-learn's own."""
    program = (
        "import time, sklearn.base, sklearn.utils.validation, sklearn.utils.multiclass;"
        "start = time.perf_counter(); from knngraph import KNNGraphClassifier;"
        "print(time.perf_counter() - start)"
    )
    seconds = [
        float(subprocess.check_output([sys.executable, "-c", program]))
        for _ in range(5)
    ]
    yield Figure("import", "beyond scikit-learn's own", np.median(seconds), "s", 1.0)


def measure_binalpha(data_dir: Path) -> Iterable[Figure]:
    """Time of the exact support, and its certificates recomputed."""
    X, y = load(data_dir, "binalpha")
    compile_solvers(X, y, support="exact", random_state=0)
    model = _quiet(support="exact", random_state=0, n_jobs=2)
    seconds = min(timed(lambda: model.fit(X, y)) for _ in range(5))
    part = "binalpha exact"
    yield Figure(part, "fit, best of 5, 2 threads", seconds, "s", 2.0)

    K = whole_kernel(model, X, y)
    W = model.graph_.toarray()
    gap = worst_violation(K, W, model.penalty_, model.lambda_max_)
    yield Figure(
        part, "worst KKT violation over all rows / lambda*", gap, "", model.tol
    )
    sample = np.random.default_rng(0).choice(len(y), size=50, replace=False)
    worst = max(
        relative_distance_to_nnls(K, W[j], model.penalty_[j], j) for j in sample
    )
    yield Figure(
        part, "50 objectives against scipy nnls, largest relative", worst, "", 1e-6
    )
    for fraction in (0.1, 0.5, 0.999999):
        other = _quiet(
            support="exact",
            random_state=0,
            penalty_min=fraction,
            penalty_max=fraction,
        ).fit(X, y)
        empty = int((other.n_neighbors_ == 0).sum())
        name = f"rows without neighbors, fractions {fraction:g}"
        yield Figure(part, name, empty, "rows", 0)
    local = _quiet(support="local", random_state=0).fit(X, y)
    total = objectives(K, W, model.penalty_).sum()
    total_local = objectives(K, local.graph_.toarray(), local.penalty_).sum()
    yield Figure(
        part,
        "local against exact, total objective",
        100.0 * abs(total_local - total) / total,
        "%",
        0.1,
    )
    yield Figure(part, "learned k, mean", float(model.n_neighbors_.mean()), "")
    yield Figure(part, "labels that the consensus changed", len(model.relabeled_), "")


def measure_caltech(data_dir: Path) -> Iterable[Figure]:
    """Time and peak memory of the exact support."""
    X, y = load(data_dir, "caltech101_sil16_derived")
    compile_solvers(X, y, support="exact", random_state=0)
    model = _quiet(support="exact", random_state=0, n_jobs=2)
    seconds = timed(lambda: model.fit(X, y))
    part = "caltech101_sil16 exact"
    yield Figure(part, "fit, 2 threads", seconds, "s", 30.0)
    yield Figure(part, "peak memory of the process", peak_gigabytes(), "GB", 3.0)
    gap = float(model.optimality_gap_.max())
    yield Figure(part, "worst optimality gap as fitted", gap, "", model.tol)


def measure_mnist(data_dir: Path) -> Iterable[Figure]:
    """Time of the local support by stage, then lookups."""
    X, y = load(data_dir, "mnist")
    compile_solvers(X, y, support="local")
    model = _quiet(support="local", n_jobs=2, verbose=1)
    # Without tqdm every stage ends with a line that tells its seconds.
    sys.modules["tqdm"] = sys.modules["tqdm.auto"] = None  # type: ignore[assignment]
    stages = io.StringIO()
    with redirect_stderr(stages):
        seconds = timed(lambda: model.fit(X[:60000], y[:60000]))
    part = "mnist 60000 local"
    yield Figure(part, "fit, 2 threads", seconds, "s", 60.0)
    for name, took in re.findall(r"\] (.*): .*done in (.*) s", stages.getvalue()):
        yield Figure(part, f"stage: {name}", float(took), "s")
    yield Figure(part, "peak memory of the process", peak_gigabytes(), "GB")
    model.set_params(n_jobs=1, verbose=0)
    yield from compare_lookup("mnist", model, X[60000:])


def measure_lookup(data_dir: Path) -> Iterable[Figure]:
    """Lookups beside bare hnswlib on three sets and on Gaussian noise."""
    for name in ("binalpha", "caltech101_sil16_derived", "letter"):
        X, y = load(data_dir, name)
        order = np.random.default_rng(0).permutation(len(X))
        held_out, rest = order[: len(X) // 5], order[len(X) // 5 :]
        model = _quiet(support="local", random_state=0).fit(X[rest], y[rest])
        yield from compare_lookup(name.split("_")[0], model, X[held_out])
    noise = np.random.default_rng(0).normal(size=(20_000 + N_QUERIES, 64))
    noise = noise.astype(np.float32)
    y = (noise[:, 0] > 0).astype(int)
    model = _quiet(support="local", random_state=0).fit(noise[:20_000], y[:20_000])
    yield from compare_lookup("gaussian 20000 x 64", model, noise[20_000:])


def compare_lookup(name: str, model: Any, rows: np.ndarray) -> Iterable[Figure]:
    """Time of predict over that of a bare search of the same index, ef=1."""
    model.set_params(inference="lookup", ef=1, n_jobs=1)
    state = model._model
    for dtype in dict.fromkeys((rows.dtype, np.dtype(np.float64))):
        queries = np.resize(rows, (N_QUERIES, rows.shape[1])).astype(dtype)
        ready = state.space.map_rows(queries)
        graph = state.index._graph

        def whole(queries: np.ndarray = queries) -> None:
            model.predict(queries)

        part = f"lookup {name}"
        given = {"float32": ready}
        if dtype == np.float64:
            # hnswlib converts to float32 itself, and its callers pay for it.
            given["float64"] = ready.astype(dtype)
        for kind, rows_of_bare in given.items():

            def bare(rows: np.ndarray = rows_of_bare, graph: Any = graph) -> None:
                graph.knn_query(rows, k=1, num_threads=1)

            ratio, micro = _compare(bare, whole)
            figure = f"{dtype} queries, over bare hnswlib given {kind}"
            yield Figure(part, figure, ratio, "times", 1.15)
        yield Figure(part, f"{dtype} queries", micro, "us a query")


def _compare(
    bare: Callable[[], None], whole: Callable[[], None]
) -> tuple[float, float]:
    """Median ratio of times, and microseconds a query of the second."""
    bare(), whole()
    pairs = []
    for i in range(REPETITIONS):
        # Taking turns at being first cancels what the other leaves in cache.
        first, second = (bare, whole) if i % 2 else (whole, bare)
        times = {first: timed(first), second: timed(second)}
        pairs.append((times[bare], times[whole]))
    ratio = float(np.median([b / a for a, b in pairs]))
    return ratio, 1e6 * float(np.median([b for _, b in pairs])) / N_QUERIES


def measure_adaptive(data_dir: Path) -> Iterable[Figure]:
    """What solving the problem at the query costs beyond the search."""
    X, y = load(data_dir, "mnist")
    random = np.random.default_rng(0)
    centers = random.normal(size=(20, 64))
    codes = random.integers(0, 20, size=20_000)
    blobs = centers[codes] + random.normal(size=(20_000, 64))
    sets = {
        "blobs 20000 x 64": (blobs, codes, 60.0),
        "mnist 20000 x 784": (X[:20_000], y[:20_000], 120.0),
    }
    for name, (rows, labels, bound) in sets.items():
        model = _quiet(inference="adaptive", support="local", ef=None, n_jobs=2)
        model.fit(rows[:-2000], labels[:-2000])
        queries = rows[-2000:]
        mapped = model._model.space.map_rows(queries)
        m = model.max_neighbors
        index = model._model.index

        def search(index: Any = index, mapped: Any = mapped, m: int = m) -> None:
            index.nearest(mapped, m, ef=2 * m)

        def predict(model: Any = model, queries: Any = queries) -> None:
            model.predict(queries)

        model.set_params(n_jobs=1).predict(queries[:10])
        pairs = [(timed(search), timed(predict)) for _ in range(REPETITIONS)]
        beyond = [1e6 * (whole - found) / len(queries) for found, whole in pairs]
        yield Figure(
            f"adaptive {name}",
            "beyond the search, 32 neighbors, 1 thread",
            float(np.median(beyond)),
            "us a query",
            bound,
        )
        one = [whole for _, whole in pairs]
        model.set_params(n_jobs=2)
        two = [timed(predict) for _ in range(REPETITIONS)]
        yield Figure(
            f"adaptive {name}",
            "two threads against one",
            float(np.median(one) / np.median(two)),
            "times as fast",
        )


def whole_kernel(model: Any, X: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The composite kernel between all rows, in double precision."""
    from scipy.spatial.distance import cdist

    X = X.astype(np.float64)
    features = np.exp(-cdist(X, X, "sqeuclidean") / (2.0 * model.bandwidth_**2))
    labels = np.where(y[:, None] == y, 1.0, model.label_discount)
    return (1.0 - model.label_weight) * features + model.label_weight * labels


def objectives(K: np.ndarray, W: np.ndarray, penalty: np.ndarray) -> np.ndarray:
    """Objective of every row of W."""
    quadratic = np.einsum("ij,ij->i", W @ K, W)
    linear = np.einsum("ij,ij->i", W, K)
    return np.diag(K) - 2.0 * linear + quadratic + penalty * W.sum(axis=1)


def worst_violation(
    K: np.ndarray, W: np.ndarray, penalty: np.ndarray, lambda_max: np.ndarray
) -> float:
    """Largest violation of the optimality conditions, in units of lambda*."""
    excess = -2.0 * (W @ K - K) - penalty[:, None]
    violation = np.where(W > 0, np.abs(excess), excess)
    np.fill_diagonal(violation, 0.0)
    return float((violation.max(axis=1) / lambda_max).max())


def relative_distance_to_nnls(
    K: np.ndarray, row: np.ndarray, penalty: float, j: int
) -> float:
    """Difference of an objective to that of Lawson and Hanson over all rows."""
    from scipy.linalg import cholesky, solve_triangular
    from scipy.optimize import nnls

    others = np.delete(np.arange(len(row)), j)
    # The jitter keeps the factorisation alive beside exact copies.
    gram = K[np.ix_(others, others)] + 1e-11 * np.eye(len(others))
    factor = cholesky(gram)
    target = solve_triangular(factor, K[j, others] - penalty / 2.0, trans="T")
    best = np.zeros((1, len(row)))
    best[0, others] = nnls(factor, target)[0]
    K_row = K[j]

    def objective(w: np.ndarray) -> float:
        return float(1.0 - 2.0 * w @ K_row + w @ K @ w + penalty * w.sum())

    return abs(objective(row) - objective(best[0])) / objective(best[0])


PARTS: dict[str, Callable[[Path], Iterable[Figure]]] = {
    "import": measure_import,
    "binalpha": measure_binalpha,
    "caltech": measure_caltech,
    "lookup": measure_lookup,
    "adaptive": measure_adaptive,
    "mnist": measure_mnist,
}


def main() -> None:
    """Run the parts, each in a process of its own."""
    options = _parse()
    if options.inside:
        for figure in PARTS[options.inside](options.data_dir):
            print(json.dumps(asdict(figure)), flush=True)
        return
    if not options.report_only:
        _measure(options.only, options.data_dir)
    if options.write_docs:
        if not RESULTS.is_file():
            sys.exit(f"{RESULTS} is missing: leave --report-only out.")
        DOCS.write_text(as_page())


def _measure(parts: Iterable[str], data_dir: Path) -> None:
    figures = []
    for part in parts:
        command = [sys.executable, "-m", "benchmarks.foundation"]
        command += ["--data-dir", str(data_dir), "--inside", part]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            for line in process.stdout or ():
                figures.append(Figure(**json.loads(line)))
                print(figures[-1].line(), flush=True)
        if process.returncode:
            sys.exit(process.returncode)
    _write(figures)
    print(f"Written to {RESULTS}")


def as_page() -> str:
    """The figures as the page of the documentation."""
    lines = [
        "# Measured speed and size",
        "",
        "Generated by `python -m benchmarks.foundation --data-dir DIR --write-docs`; "
        "nothing here is typed in. Seconds are of one machine with two cores, shared "
        "with other work; ratios are medians of pairs measured in turn.",
        "",
        "| part | what | value | unit | bound |",
        "|---|---|---|---|---|",
    ]
    with RESULTS.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            value = f"{float(row['value']):.3g}"
            cells = [row["part"], row["name"], value, row["unit"], row["bound"]]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "--data-dir", type=Path, default=os.environ.get("KNNGRAPH_DATA")
    )
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--write-docs", action="store_true")
    parser.add_argument(
        "--report-only", action="store_true", help="measure nothing, write the page"
    )
    parser.add_argument("--inside", choices=PARTS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.data_dir is None and not options.report_only:
        parser.error("name the folder of the data by --data-dir or KNNGRAPH_DATA")
    options.data_dir = None if options.data_dir is None else Path(options.data_dir)
    return options


def _write(figures: list[Figure]) -> None:
    """Replace the measured parts in the file and keep the others."""
    measured = {figure.part for figure in figures}
    rows = [asdict(figure) for figure in figures]
    if RESULTS.is_file():
        with RESULTS.open(newline="", encoding="utf-8") as file:
            kept = [row for row in csv.DictReader(file) if row["part"] not in measured]
        rows = [*kept, *rows]
    RESULTS.parent.mkdir(exist_ok=True)
    with RESULTS.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["part", "name", "value", "unit", "bound"])
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
