"""Ways to read the problem at a query: votes, class residuals, and their sum.

    python -m benchmarks.readings --data-dir DIR [--write-docs]

A slow reference in plain scipy (exact candidates, `scipy.optimize.nnls`), to see
which reading, number of candidates, nugget and kernel shape pay across sets
before any of it is compiled. Two folds of a random sample of every set; results go
to `benchmarks/results/readings.csv`.
"""

import argparse
import csv
import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.linalg import solve_triangular
from scipy.optimize import nnls

from benchmarks.accuracy import IMAGES_AND_TEXT, TABULAR, folds
from benchmarks.rows import read_rows
from knngraph.graph.kernel import neighbors_bandwidth
from knngraph.graph.neighbors import nearest_others
from knngraph.graph.training_set import TrainingSet, build_training_set
from knngraph.index.exact import ExactIndex
from knngraph.space import fit_space

ROOT = Path(__file__).resolve().parent
RESULTS = ROOT / "results" / "readings.csv"
DOCS = ROOT.parent / "docs" / "readings.md"
N_FOLDS = 2
ROWS_OF_A_CLASS = 20
PENALTY = 0.02
TEMPERATURE = 0.2


@dataclass(frozen=True)
class Setting:
    """One way to answer."""

    reading: str = "votes"
    n_candidates: int = 32
    nugget: float = 0.3
    shape: str = "gaussian"

    def label(self) -> str:
        """As it stands in the table."""
        return (
            f"{self.reading}, {self.n_candidates} candidates, nugget {self.nugget}, "
            f"{self.shape}"
        )


DEFAULT = Setting()
SETTINGS = [
    DEFAULT,
    replace(DEFAULT, nugget=0.1),
    replace(DEFAULT, nugget=1.0),
    replace(DEFAULT, shape="laplacian"),
    replace(DEFAULT, shape="matern"),
    replace(DEFAULT, n_candidates=64),
    replace(DEFAULT, n_candidates=64, reading="residual"),
    replace(DEFAULT, n_candidates=64, reading="sum"),
]


def kernel(squared: np.ndarray, sigma: float, shape: str) -> np.ndarray:
    """Similarity by squared distance; one at zero, alike at sigma."""
    scaled = squared / sigma**2
    if shape == "gaussian":
        return np.exp(-0.5 * scaled)
    distance = np.sqrt(scaled)
    if shape == "laplacian":
        return np.exp(-distance)
    return (1.0 + np.sqrt(3.0) * distance) * np.exp(-np.sqrt(3.0) * distance)


def solve(gram: np.ndarray, similarity: np.ndarray, nugget: np.ndarray) -> np.ndarray:
    """Non-negative weights of the penalised problem, exactly."""
    factor = np.linalg.cholesky(gram + np.diag(nugget))
    target = similarity - PENALTY * similarity.max()
    return nnls(factor.T, solve_triangular(factor, target, lower=True))[0]


def answer(
    training: TrainingSet,
    ids: np.ndarray,
    squared: np.ndarray,
    s: Setting,
    sigma: float,
) -> int:
    """Class of one query."""
    ids, squared = ids[: s.n_candidates], squared[: s.n_candidates]
    rows = training.points[ids].astype(np.float64)
    among = ((rows[:, None] - rows[None]) ** 2).sum(axis=-1)
    gram, similarity = kernel(among, sigma, s.shape), kernel(squared, sigma, s.shape)
    counts = training.node_counts()[ids]
    shares = np.zeros((len(ids), training.n_classes))
    starts = training.node_starts()
    for place, node in enumerate(ids):
        pairs = slice(starts[node], starts[node + 1])
        shares[place, training.pair_code[pairs]] = training.pair_count[pairs]
    shares /= counts[:, None]
    votes = np.zeros(training.n_classes)
    if s.reading != "residual":
        votes = solve(gram, similarity, s.nugget / counts) @ shares
        votes /= votes.sum()
    if s.reading == "votes":
        return int(votes.argmax())
    residuals = np.ones(training.n_classes)
    for code in np.flatnonzero(shares.any(axis=0)):
        own = np.flatnonzero(shares[:, code])[:ROWS_OF_A_CLASS]
        gram_own, similarity_own = gram[np.ix_(own, own)], similarity[own]
        w = solve(gram_own, similarity_own, s.nugget / counts[own])
        residuals[code] = 1.0 - 2.0 * similarity_own @ w + w @ gram_own @ w
    if s.reading == "residual":
        return int(residuals.argmin())
    softmax = np.exp(-residuals / TEMPERATURE)
    return int((votes + softmax / softmax.sum()).argmax())


def measure(name: str, folder: Path, noise: float, max_rows: int) -> np.ndarray:
    """Accuracy of every setting on one set."""
    scores = []
    for fold, (X, y, X_test, y_test) in enumerate(folds(name, folder, noise, max_rows)):
        if fold == N_FOLDS:
            break
        space = fit_space(X, "euclidean")
        training = build_training_set(space.map_rows(X), y, int(y.max()) + 1)
        index = ExactIndex(training.points)
        neighbors = nearest_others(index, training.points, training.node_counts(), 64)
        ids, squared = index.nearest(space.map_rows(X_test), 64)
        for s in SETTINGS:
            sigma = neighbors_bandwidth(neighbors, s.n_candidates)
            answers = [answer(training, i, d, s, sigma) for i, d in zip(ids, squared)]
            scores.append(np.mean(np.array(answers) == y_test))
    return 100 * np.array(scores).reshape(-1, len(SETTINGS)).mean(axis=0)


def as_page(rows: list[dict[str, str]]) -> str:
    """Means over the sets as the page of the documentation."""
    noises = sorted({row["noise"] for row in rows})
    sets = sorted({row["set"] for row in rows})
    head = [f"noise {noise}" for noise in noises]
    lines = [
        "# Readings of the problem at a query",
        "",
        "Generated by `python -m benchmarks.readings --data-dir DIR --write-docs`; "
        f"nothing here is typed in. Mean accuracy over {len(sets)} sets (at most "
        f"{rows[0]['max_rows']} rows each, {N_FOLDS} of 5 folds, exact candidates, "
        "no learned metric); noise is the share of wrong training labels. "
        '"residual" solves the problem for every class among the candidates, with '
        f"its {ROWS_OF_A_CLASS} nearest, and takes the smallest residual; "
        '"sum" adds the shares of the vote and a softmax of the residuals.',
        "",
        "| reading | " + " | ".join(head) + " |",
        "|---" * (len(head) + 1) + "|",
    ]
    for s in SETTINGS:
        means = []
        for noise in noises:
            values = [
                float(row["accuracy"])
                for row in rows
                if row["noise"] == noise and row["setting"] == s.label()
            ]
            means.append(f"{np.mean(values):.2f}")
        lines.append(f"| {s.label()} | " + " | ".join(means) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure all sets and write the results."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "--data-dir", type=Path, default=os.environ.get("KNNGRAPH_DATA", ".")
    )
    parser.add_argument("--max-rows", type=int, default=1500)
    parser.add_argument("--sets", nargs="+", default=TABULAR + IMAGES_AND_TEXT)
    parser.add_argument("--write-docs", action="store_true")
    parser.add_argument(
        "--report-only", action="store_true", help="measure nothing, write the page"
    )
    options = parser.parse_args()
    if not options.report_only:
        _measure_all(Path(options.data_dir), options.sets, options.max_rows)
    if not RESULTS.exists():
        raise SystemExit(f"{RESULTS} is missing: run `python -m benchmarks.readings`.")
    page = as_page(read_rows(RESULTS))
    if options.write_docs:
        DOCS.write_text(page)
    else:
        print(page)


def _measure_all(folder: Path, sets: list[str], max_rows: int) -> None:
    rows = []
    for noise in (0.0, 0.2):
        for name in sets:
            scores = measure(name, folder, noise, max_rows)
            for s, value in zip(SETTINGS, scores):
                rows.append(
                    {
                        "set": name,
                        "noise": str(noise),
                        "max_rows": str(max_rows),
                        "setting": s.label(),
                        "accuracy": f"{value:.4f}",
                    }
                )
            print(noise, name, scores.round(1), flush=True)
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    with RESULTS.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
