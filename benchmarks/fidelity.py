"""Where approximate neighborhoods fail as they outgrow a fixed beam.

    python -m benchmarks.fidelity [--data-dir DIR] [--write-docs]

A study of image embeddings reports that HNSW neighborhoods with a fixed efSearch
fail abruptly once k passes about 2 to 3.5 efSearch. Measured here on 10,000 made
images (random smooth patches of 28 x 28), and on as many of `mnist.npz` in the
folder where one is given, with hnswlib and, where installed, faiss.
`--write-docs` puts the figures into docs/graph.md.
"""

import argparse
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

from benchmarks.pages import DOCS, put_between
from knngraph.inspection import NeighborhoodFidelity, neighborhood_fidelity

N_ROWS = 10_000
BEAMS = (16, 64)
RATIOS = (0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 3.5, 5.0, 8.0)


def smooth_patches(n_rows: int) -> np.ndarray:
    """Random patches whose neighboring pixels agree, as those of images do."""
    noise = np.random.default_rng(0).normal(size=(n_rows, 28, 28))
    patches = gaussian_filter(noise, sigma=(0, 4, 4), mode="reflect")
    return patches.reshape(n_rows, -1).astype(np.float32)


def image_sets(data_dir: Path | None) -> Iterator[tuple[str, np.ndarray]]:
    """Names and rows of what is measured."""
    yield "smooth patches", smooth_patches(N_ROWS)
    if data_dir is not None:
        with np.load(data_dir / "mnist.npz") as file:
            X = file["X"]
        chosen = np.random.default_rng(0).choice(len(X), N_ROWS, replace=False)
        yield "MNIST", X[np.sort(chosen)].astype(np.float32)


def rows_of_table(
    name: str, backend: str, ef: int, measured: NeighborhoodFidelity
) -> Iterator[str]:
    """One line of the table for every size."""
    for place, k in enumerate(measured.k):
        figures = [
            measured.found[0, place],
            measured.overlap[0, place],
            measured.distance_ratio[0, place],
            measured.barycenter_shift[0, place],
            measured.lid[0, place] / measured.lid_exact[place],
        ]
        cells = [name, backend, str(ef), f"{k / ef:g}"]
        cells += [f"{figure:.3f}" for figure in figures]
        yield f"| {' | '.join(cells)} |"


def main() -> None:
    """Measure every set, backend and beam; print, and write where asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--n-queries", type=int, default=100)
    parser.add_argument("--write-docs", action="store_true")
    options = parser.parse_args()
    backends = ["hnswlib"] + ["faiss"] * (find_spec("faiss") is not None)
    lines = [
        "| set | backend | ef | k / ef | found | overlap | distance | shift | LID |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    print("\n".join(lines))
    summary = []
    for name, X in image_sets(options.data_dir):
        for backend in backends:
            for ef in BEAMS:
                measured = neighborhood_fidelity(
                    X,
                    k=sorted({int(ratio * ef) for ratio in RATIOS}),
                    ef=ef,
                    backend=backend,
                    n_queries=options.n_queries,
                )
                found = list(rows_of_table(name, backend, ef, measured))
                print("\n".join(found), flush=True)
                lines += found
                capacity = int(measured.capacity[0])
                summary.append(
                    f"- {name}, {backend}, ef={ef}: all measures within "
                    f"{measured.tolerance:g} up to k={capacity} ({capacity / ef:g} ef)."
                )
    print("\n".join(summary))
    if options.write_docs:
        folder = " --data-dir DIR" if options.data_dir else ""
        head = (
            f"`python -m benchmarks.fidelity{folder} --write-docs`, "
            f"{N_ROWS:,} rows, {options.n_queries} queries held out; "
            "distance and LID over those of the exact neighbors:"
        )
        put_between(
            DOCS / "graph.md", "fidelity", "\n".join([head, "", *lines, "", *summary])
        )


if __name__ == "__main__":
    main()
