"""Rows that represent a query: few of the nearest, in different directions."""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_moons

from knngraph import KNNGraphClassifier

X, y = make_moons(200, noise=0.1, random_state=1)
classifier = KNNGraphClassifier(inference="adaptive", random_state=0).fit(X, y)
query = np.array([[0.45, 0.28]])
explanation = classifier.explain(query)[0]
figure, axes = plt.subplots()
axes.scatter(*X.T, c=[f"C{label}" for label in y], s=6, alpha=0.5)
for neighbor in explanation.neighbors:
    axes.plot(*X[neighbor.row], "o", mfc="none", mec="0.5", ms=7)
for neighbor in explanation.voters:
    axes.plot(*zip(query[0], X[neighbor.row]), color="0.4", lw=12 * neighbor.weight)
    axes.plot(*X[neighbor.row], "o", color=f"C{neighbor.label}", ms=7)
axes.plot(*query[0], "k*", ms=13, label="query")
axes.plot([], [], "o", mfc="none", mec="0.5", ms=7, label="candidate without weight")
axes.plot([], [], "o", color="0.4", ms=7, label="voter, line as wide as its weight")
axes.legend(loc="upper right", fontsize="small")
axes.set(xticks=[], yticks=[], aspect="equal")
figure.tight_layout()
