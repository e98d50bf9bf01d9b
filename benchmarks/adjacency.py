"""Time, memory and recall of `knn_adjacency` on 100,000 rows of 64 features.

    python -m benchmarks.adjacency [--n-rows N] [--n-jobs 2] [--write-docs]

The rows are made: overlapping Gaussian clusters. Recall is measured on rows that
the search did not choose its beam on. Every bound is printed with its verdict,
and `--write-docs` puts the figures into docs/graph.md.
"""

import time

import numpy as np

from benchmarks.command import parser_of, publish
from benchmarks.isolated import peak_megabytes
from benchmarks.made_rows import mixture
from benchmarks.pages import DOCS, table
from knngraph import knn_adjacency
from knngraph.index.exact import ExactIndex

N_FEATURES, K, N_CHECKED = 64, 10, 1000


def recall_of(graph, X: np.ndarray, n_jobs: int) -> float:
    """Share of the exact neighbors of some rows that the graph holds."""
    checked = np.random.default_rng(1).choice(len(X), N_CHECKED, replace=False)
    exact, _ = ExactIndex(X).nearest(X[checked], K + 1, n_threads=n_jobs)
    lists = graph.indices.reshape(len(X), K)
    shared = [
        len(np.intersect1d(lists[i], ids[ids != i])) for i, ids in zip(checked, exact)
    ]
    return float(np.sum(shared) / (K * N_CHECKED))


def main() -> None:
    """Measure once, print, and write where asked to."""
    parser = parser_of(__doc__, folder=False)
    parser.add_argument("--n-rows", type=int, default=100_000)
    parser.add_argument("--n-jobs", type=int, default=2)
    options = parser.parse_args()
    X, _ = mixture(options.n_rows, N_FEATURES, intrinsic=20, n_clusters=100)
    knn_adjacency(X[:1000], K, algorithm="hnsw", n_jobs=options.n_jobs)
    start, worked = time.perf_counter(), time.process_time()
    graph = knn_adjacency(X, K, n_jobs=options.n_jobs, verbose=0)
    taken = time.perf_counter() - start
    # On a machine that others use too: what the cores really worked.
    busy = (time.process_time() - worked) / options.n_jobs
    # Before the check, which needs memory of its own.
    peak = peak_megabytes() / 1024
    recall = recall_of(graph, X, options.n_jobs)
    lines = [
        ("time", f"{taken:.1f} s", "under 20 s", taken < 20),
        ("CPU time a thread", f"{busy:.1f} s", "under 20 s", busy < 20),
        ("peak memory of the process", f"{peak:.2f} GB", "under 1", peak < 1),
        (
            f"recall over {N_CHECKED} rows",
            f"{recall:.3f}",
            "at least 0.95",
            recall > 0.95,
        ),
    ]
    for name, _, bound, met in lines:
        print(f"{name}, {bound}: {'met' if met else 'MISSED'}")
    text = (
        f"`python -m benchmarks.adjacency --write-docs`, {options.n_rows:,} x "
        f"{N_FEATURES} in clusters, k={K}, {options.n_jobs} threads:\n\n"
        + table(["what", "measured", "bound"], [line[:3] for line in lines])
    )
    publish(text, DOCS / "graph.md", "adjacency", options)


if __name__ == "__main__":
    main()
