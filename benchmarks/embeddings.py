"""Embeddings of texts and images: what they are answered, and what that costs.

    python -m benchmarks.embeddings --data-dir DIR [--rows 50000] [--write-docs]

Four sets of unit rows in half precision: words of newsgroup messages (pcmac, tf-idf
brought to 300 columns by a truncated SVD), spoken letters (isolet), images of digits
(MNIST, 5,000 of them), and made documents (`benchmarks.made_rows.text_like`, the same
weights brought to 384 columns). All methods get the same rows. Of each set at most
1,500 rows are for testing; what else one fit says is measured on at most 5,000.
Times are of the processor, of one thread.
"""

import pickle
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
from sklearn.decomposition import TruncatedSVD
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier, LocalOutlierFactor
from sklearn.preprocessing import normalize
from threadpoolctl import threadpool_limits

from benchmarks import isolated
from benchmarks.command import parser_of, publish
from benchmarks.datasets import Fold, load
from benchmarks.machine import conditions, described
from benchmarks.made_rows import text_like
from benchmarks.pages import DOCS, table
from knngraph import KNNGraphClassifier

REAL = {"pcmac": "text", "isolet1560": "speech", "mnist": "images"}
MADE = "made text"
MOST_ROWS, MOST_TESTED, N_COMPONENTS, N_COLUMNS = 5000, 1500, 300, 384
NEIGHBORS = (1, 5, 15, 50)
WRONG, ADDED = 0.05, 0.1
LEFT_OUT_CLASSES = 2
INFERENCES = ("lookup", "cascade", "adaptive")


def halved(rows: np.ndarray) -> np.ndarray:
    """Unit rows in half precision, as embeddings are kept."""
    return normalize(np.asarray(rows, dtype=np.float64)).astype(np.float16)


def split(X: np.ndarray, y: np.ndarray) -> Fold:
    """Training rows and rows to test on."""
    n_tested = min(MOST_TESTED, round(0.3 * len(y)))
    X, X_test, y, y_test = train_test_split(
        X, y, test_size=n_tested, stratify=y, random_state=0
    )
    return X, y, X_test, y_test


def sets(options: Any) -> Iterator[tuple[str, Fold]]:
    """Every set by its name, in half precision."""
    for name, kind in REAL.items():
        X, y = load(name, options.data_dir, max_rows=MOST_ROWS)
        X, y, X_test, y_test = split(X, y)
        if kind == "text":
            brought = TruncatedSVD(N_COMPONENTS, random_state=0).fit(X)
            X, X_test = brought.transform(X), brought.transform(X_test)
        yield f"{name}, {kind}", (halved(X), y, halved(X_test), y_test)
    X, y = text_like(options.rows + MOST_TESTED, N_COLUMNS)
    yield MADE, split(halved(X), y)


def timed(call: Any, *arguments: Any) -> tuple[Any, float]:
    """What a call returns, and its processor seconds."""
    start = process_time()
    return call(*arguments), process_time() - start


def judged(fold: Fold, fitted: Any, seconds: float, size: int) -> list[str]:
    """Accuracy, seconds of the fit, microseconds a query, and bytes a row."""
    X, _, X_test, y_test = fold
    fitted.predict(X_test)  # loads what is compiled
    answers, taken = timed(fitted.predict, X_test)
    return [
        f"{np.mean(answers == y_test):.1%}",
        f"{seconds:.1f}",
        f"{1e6 * taken / len(X_test):,.0f}",
        f"{size / len(X):,.0f}",
    ]


def file_bytes(predictor: Any) -> int:
    """Size of a predictor's file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        predictor.save(path)
        return path.stat().st_size


def answers(fold: Fold) -> Iterator[list[str]]:
    """A line of every method."""
    X, y, X_test, y_test = fold
    best: tuple[float, Any, float] = (-1.0, None, 0.0)
    for k in NEIGHBORS:
        neighbors, taken = timed(KNeighborsClassifier(k, metric="cosine").fit, X, y)
        best = max(best, (neighbors.score(X_test, y_test), neighbors, taken), key=first)
    neighbors, taken = best[1:]
    size = len(pickle.dumps(neighbors))
    name = f"k-neighbors, cosine, k = {neighbors.n_neighbors}"
    yield [name, *judged(fold, neighbors, taken, size)]
    logistic, taken = timed(LogisticRegression(C=10.0, max_iter=500).fit, X, y)
    size = len(pickle.dumps(logistic))
    yield ["logistic regression", *judged(fold, logistic, taken, size)]
    for metric in ("cosine", "auto"):
        model = KNNGraphClassifier(
            inference="cascade", metric=metric, ef="auto", random_state=0
        )
        model, taken = timed(model.fit, X, y)
        for inference in INFERENCES:
            predictor = model.set_params(inference=inference).to_predictor()
            line = judged(fold, predictor, taken, file_bytes(predictor))
            yield [f"{inference}, `metric={metric!r}`".replace("'", '"'), *line]


def first(found: tuple[float, Any, float]) -> float:
    """The number that is compared."""
    return found[0]


def cosine(X: np.ndarray, y: np.ndarray, inference: str = "adaptive") -> Any:
    """A classifier of embeddings."""
    return KNNGraphClassifier(
        inference=inference, metric="cosine", ef="auto", random_state=0
    ).fit(X, y)


def more(fold: Fold) -> list[str]:
    """What else a fit says, on a sample of the rows."""
    X, y, X_test, y_test = fold
    X, y = X[:MOST_ROWS], y[:MOST_ROWS]
    random, n_classes = np.random.default_rng(0), y.max() + 1
    wrong = np.sort(random.choice(len(y), round(WRONG * len(y)), replace=False))
    given = y.copy()
    given[wrong] = (y[wrong] + random.integers(1, n_classes, len(wrong))) % n_classes
    suspects = cosine(X, given).suspect_labels(len(wrong))
    found = np.isin(suspects.rows, wrong).mean()
    areas = []
    for left_out in random.permutation(n_classes)[:LEFT_OUT_CLASSES]:
        known, is_new = y != left_out, y_test == left_out
        other = LocalOutlierFactor(novelty=True, metric="cosine").fit(X[known])
        scores = cosine(X[known], y[known]).novelty_score(X_test)
        others = -other.score_samples(X_test)
        areas.append([roc_auc_score(is_new, one) for one in (scores, others)])
    n_added = round(ADDED * len(y))
    model, fit = timed(cosine, X[n_added:], y[n_added:])
    _, taken = timed(
        lambda: model.partial_fit(X[:n_added], y[:n_added]).predict(X_test[:10])
    )
    sets = model.predict_set(X_test, 0.1)
    covered = sets[np.arange(len(sets)), y_test].mean()
    lookup = cosine(X, y, "lookup")
    small = lookup.condense()
    sizes = [file_bytes(one.to_predictor()) / len(y) for one in (lookup, small)]
    right = [one.score(X_test, y_test) for one in (lookup, small)]
    return [
        f"{found:.0%}",
        " / ".join(f"{area:.3f}" for area in np.mean(areas, axis=0)),
        f"{covered:.1%}, {sets.sum(axis=1).mean():.2f}",
        f"{taken / fit:.0%}",
        f"{small.report_.kept_share:.0%}",
        " -> ".join(f"{size:,.0f}" for size in sizes),
        " -> ".join(f"{score:.1%}" for score in right),
    ]


def memory(path: str, dtype: str) -> list[float]:
    """Megabytes of the rows, and how far the peak of a fit is above them."""
    X, y = np.load(f"{path}/X.npy").astype(dtype), np.load(f"{path}/y.npy")
    cosine(X[:2000].copy(), y[:2000])  # loads what is compiled
    before = isolated.resident_megabytes()
    isolated.reset_peak()
    cosine(X, y)
    return [X.nbytes / 2**20, isolated.peak_megabytes() - before]


def memories(fold: Fold) -> Iterator[list[str]]:
    """A line of every precision of the rows that a fit gets."""
    with tempfile.TemporaryDirectory() as folder:
        np.save(f"{folder}/X.npy", fold[0])
        np.save(f"{folder}/y.npy", fold[1])
        for dtype in ("float16", "float32", "float64"):
            arguments = {"path": folder, "dtype": dtype}
            found = isolated.run_isolated("benchmarks.embeddings:memory", arguments)
            yield [dtype, *(f"{megabytes:,.0f}" for megabytes in found)]


def report(options: Any) -> str:
    """All tables."""
    parts, others, taken = [], [], []
    for name, fold in sets(options):
        shape = f"{len(fold[0]):,} x {fold[0].shape[1]}, {fold[1].max() + 1} classes"
        heads = ["method", "accuracy", "fit, s", "us a query", "file, bytes a row"]
        lines = []
        for line in answers(fold):
            print(name, *line, flush=True)
            lines.append(line)
        parts.append(f"*{name}*: {shape}\n\n{table(heads, lines)}")
        others.append([name, *more(fold)])
        print(*others[-1], flush=True)
        if name == MADE:
            taken = list(memories(fold))
    heads = [
        "set",
        f"wrong labels found ({WRONG:.0%} of all)",
        "novelty, AUROC / LocalOutlierFactor",
        "sets at 90 %: coverage, classes",
        f"{ADDED:.0%} more rows, of a fit",
        "condensed: rows kept",
        "file, bytes a row",
        "accuracy of lookups",
    ]
    memory_heads = ["rows of", "rows, MB", "peak of the fit above that, MB"]
    return "\n\n".join(
        [
            *parts,
            f"What else a fit says, at most {MOST_ROWS:,} rows, by the cosine:",
            table(heads, others),
            f"Memory of a fit of *{MADE}*:",
            table(memory_heads, taken),
            f"`python -m benchmarks.embeddings --data-dir DIR --rows {options.rows} "
            "--write-docs`; times of "
            f"the processor, of one thread; {described(conditions())}.",
        ]
    )


def main() -> None:
    """Measure, print, write."""
    parser = parser_of(__doc__)
    parser.add_argument("--rows", type=int, default=50_000)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    cosine(np.eye(40, dtype=np.float16), np.arange(40) % 2)
    with threadpool_limits(1):
        publish(report(options), DOCS / "embeddings.md", "embeddings", options)


if __name__ == "__main__":
    main()
