"""Where approximate neighborhoods fail as they outgrow a fixed beam.

    python -m benchmarks.fidelity [--data-dir DIR] [--write-docs]

A study of image embeddings reports that HNSW neighborhoods with a fixed efSearch
fail abruptly once k passes about 2 to 3.5 efSearch. Measured here on 10,000 made
images (random smooth patches of 28 x 28), and on as many of `mnist.npz` in the
folder where one is given, with hnswlib and, where installed, faiss.
`--write-docs` puts the figures into docs/graph.md.
"""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

from benchmarks.command import parser_of, publish
from benchmarks.datasets import load
from benchmarks.pages import DOCS, table
from knngraph.inspection import NeighborhoodFidelity, neighborhood_fidelity

N_ROWS = 10_000
BEAMS = (16, 64)
RATIOS = (0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 3.5, 5.0, 8.0)
HEADS = ("set", "backend", "ef", "k / ef", "found", "overlap", "distance", "shift")


def image_sets(data_dir: Path | None) -> Iterator[tuple[str, np.ndarray]]:
    """Names and rows of what is measured."""
    # Neighboring pixels agree, as those of images do.
    noise = np.random.default_rng(0).normal(size=(N_ROWS, 28, 28))
    patches = gaussian_filter(noise, sigma=(0, 4, 4), mode="reflect")
    yield "smooth patches", patches.reshape(N_ROWS, -1).astype(np.float32)
    if data_dir is not None:
        X, _ = load("mnist", data_dir, max_rows=N_ROWS)
        yield "MNIST", X.astype(np.float32)


def lines_of(measured: NeighborhoodFidelity) -> Iterator[list[str]]:
    """One line of figures for every size."""
    figures = np.stack(
        [
            measured.found[0],
            measured.overlap[0],
            measured.distance_ratio[0],
            measured.barycenter_shift[0],
            measured.lid[0] / measured.lid_exact,
        ],
        axis=1,
    )
    for line in figures:
        yield [f"{figure:.3f}" for figure in line]


def main() -> None:
    """Measure every set, backend and beam; print, and write where asked to."""
    parser = parser_of(__doc__)
    parser.add_argument("--n-queries", type=int, default=100)
    options = parser.parse_args()
    backends = ["hnswlib"] + ["faiss"] * (find_spec("faiss") is not None)
    lines, summary = [], []
    for name, X in image_sets(options.data_dir):
        for backend in backends:
            for ef in BEAMS:
                sizes = sorted({int(ratio * ef) for ratio in RATIOS})
                measured = neighborhood_fidelity(
                    X, k=sizes, ef=ef, backend=backend, n_queries=options.n_queries
                )
                for k, figures in zip(sizes, lines_of(measured)):
                    lines.append([name, backend, ef, f"{k / ef:g}", *figures])
                capacity = int(measured.capacity[0])
                summary.append(
                    f"- {name}, {backend}, ef={ef}: all measures within "
                    f"{measured.tolerance:g} up to k={capacity} ({capacity / ef:g} ef)."
                )
                print(summary[-1], flush=True)
    folder = " --data-dir DIR" if options.data_dir else ""
    head = (
        f"`python -m benchmarks.fidelity{folder} --write-docs`, "
        f"{N_ROWS:,} rows, {options.n_queries} queries held out; "
        "distance and LID over those of the exact neighbors:"
    )
    text = "\n\n".join([head, table([*HEADS, "LID"], lines), "\n".join(summary)])
    publish(text, DOCS / "graph.md", "fidelity", options)


if __name__ == "__main__":
    main()
