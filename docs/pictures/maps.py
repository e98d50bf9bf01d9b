"""The rows that three maps bring near to a query, on two made problems."""

import matplotlib.pyplot as plt
import numpy as np

from knngraph import KNNGraphClassifier

N_ROWS, N_NEAR = 1500, 80
rng = np.random.default_rng(0)
X = rng.uniform(-1, 1, size=(N_ROWS, 2))
problems = {
    "a slope": ((X[:, 0] + X[:, 1] > 0).astype(int), np.array([[0.12, 0.0]])),
    "two corners of four": (
        (X[:, 0] * X[:, 1] > 0).astype(int),
        np.array([[0.08, 0.5]]),
    ),
}
names = {"euclidean": "no map", "learned": "linear", "trees": "trees"}
figure, axes = plt.subplots(2, 3, figsize=(8, 5.4), sharex=True, sharey=True)
for line, (problem, (y, query)) in zip(axes, problems.items()):
    for axis, (metric, name) in zip(line, names.items()):
        classifier = KNNGraphClassifier(metric=metric, random_state=0).fit(X, y)
        near = classifier.kneighbors(query, N_NEAR, return_distance=False)[0]
        axis.scatter(*X.T, c=np.where(y, "C1", "C0"), s=4, alpha=0.25, lw=0)
        axis.scatter(*X[near].T, c=np.where(y[near], "C1", "C0"), s=14)
        axis.plot(*query[0], "k*", ms=11)
        axis.set(xticks=[], yticks=[], aspect="equal")
        axis.set_title(name if axis in axes[0] else None)
    line[0].set_ylabel(problem)
figure.tight_layout()
