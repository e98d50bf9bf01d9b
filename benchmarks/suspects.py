"""How many of the rows named by `suspect_labels` are mislabeled.

    python -m benchmarks.suspects [--data-dir DIR] [--mnist-rows 10000]

A tenth of the labels is flipped to another class at random; precision is measured
among the first 5 % of the rows. The folder holds `letter.npz` and `mnist.npz` (X,
y); sets that are missing are left out, scikit-learn's digits always run.
"""

import argparse
import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

from knngraph import KNNGraphClassifier

FLIPPED = 0.1
LOOKED_AT = 0.05


def flip(y: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Labels with a tenth of them wrong, and which those are."""
    classes, codes = np.unique(y, return_inverse=True)
    wrong = random.choice(len(y), round(FLIPPED * len(y)), replace=False)
    codes[wrong] += random.integers(1, len(classes), size=len(wrong))
    return classes[codes % len(classes)], wrong


def sets(
    folder: Path | None, mnist_rows: int
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Name, rows and labels of every set that is there."""
    yield ("digits", *load_digits(return_X_y=True))
    for name, n_rows in (("letter", None), ("mnist", mnist_rows)):
        if folder is not None and (folder / f"{name}.npz").exists():
            with np.load(folder / f"{name}.npz") as stored:
                yield name, stored["X"][:n_rows], stored["y"][:n_rows]


def main() -> None:
    """Flip, fit, look."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "--data-dir", type=Path, default=os.environ.get("KNNGRAPH_DATA")
    )
    parser.add_argument("--mnist-rows", type=int, default=10000)
    parser.add_argument("--seeds", type=int, default=1)
    options = parser.parse_args()
    folder = None if options.data_dir is None else Path(options.data_dir)
    heads = f"{'set':8}{'rows':>7}{'seed':>6}{'looked at':>11}"
    print(heads + f"{'precision':>11}{'fit, s':>8}")
    for name, X, y in sets(folder, options.mnist_rows):
        for seed in range(options.seeds):
            noisy, wrong = flip(y, np.random.default_rng(seed))
            start = time.perf_counter()
            model = KNNGraphClassifier(
                support="local", inference="adaptive", random_state=0
            ).fit(X, noisy)
            seconds = time.perf_counter() - start
            suspects = model.suspect_labels(round(LOOKED_AT * len(y)))
            precision = np.isin(suspects.rows, wrong).mean()
            print(
                f"{name:8}{len(y):7}{seed:6}{len(suspects):11}{precision:11.3f}"
                f"{seconds:8.1f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
