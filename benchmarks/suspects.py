"""How many of the rows named by `suspect_labels` are mislabeled.

    python -m benchmarks.suspects [--data-dir DIR] [--mnist-rows 10000]

A tenth of the labels is flipped to another class at random; precision is measured
among the first 5 % of the rows. The folder holds `letter.npz` and `mnist.npz` (X,
y); without one scikit-learn's digits alone run.
"""

import argparse

import numpy as np
from sklearn.datasets import load_digits

from benchmarks.command import add_folder
from benchmarks.datasets import load
from benchmarks.metrics import seconds
from benchmarks.pages import table
from knngraph import KNNGraphClassifier

FLIPPED, LOOKED_AT = 0.1, 0.05


def flip(y: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Labels with a tenth of them wrong, and which those are."""
    classes, codes = np.unique(y, return_inverse=True)
    wrong = random.choice(len(y), round(FLIPPED * len(y)), replace=False)
    codes[wrong] += random.integers(1, len(classes), size=len(wrong))
    return classes[codes % len(classes)], wrong


def main() -> None:
    """Flip, fit, look."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add_folder(parser)
    parser.add_argument("--mnist-rows", type=int, default=10000)
    parser.add_argument("--seeds", type=int, default=1)
    options = parser.parse_args()
    sets = {"digits": load_digits(return_X_y=True)}
    for name, rows in (("letter", 0), ("mnist", options.mnist_rows)):
        if options.data_dir is not None:
            sets[name] = load(name, options.data_dir, max_rows=rows)
    lines = []
    for name, (X, y) in sets.items():
        for seed in range(options.seeds):
            noisy, wrong = flip(y, np.random.default_rng(seed))
            model = KNNGraphClassifier(
                support="local", inference="adaptive", random_state=0
            )
            taken = seconds(lambda model=model, X=X, noisy=noisy: model.fit(X, noisy))
            suspects = model.suspect_labels(round(LOOKED_AT * len(y)))
            precision = np.isin(suspects.rows, wrong).mean()
            line = [name, len(y), seed, len(suspects), f"{precision:.3f}"]
            lines.append([*line, f"{taken:.1f}"])
    print(table(["set", "rows", "seed", "looked at", "precision", "fit, s"], lines))


if __name__ == "__main__":
    main()
