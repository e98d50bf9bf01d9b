"""Density of two moons, and what it does to the learned number of neighbors."""

import matplotlib.pyplot as plt
from sklearn.datasets import make_moons

from knngraph import KNNGraphClassifier

X, y = make_moons(600, noise=0.12, random_state=0)
classifier = KNNGraphClassifier(ef=16, random_state=0).fit(X, y)
figure, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.6))
shown = left.scatter(*X.T, c=classifier.density_, s=10)
figure.colorbar(shown, ax=left, label="density")
left.set(xticks=[], yticks=[], aspect="equal")
right.plot(classifier.density_, classifier.n_neighbors_, ".", alpha=0.4)
right.set(xlabel="density", ylabel="learned neighbors")
figure.tight_layout()
