"""Density of two moons, and what it does to the learned number of neighbors."""

import matplotlib.pyplot as plt
from sklearn.datasets import make_moons

from knngraph import KNNGraphClassifier

X, y = make_moons(600, noise=0.12, random_state=0)
classifier = KNNGraphClassifier(ef=16, random_state=0).fit(X, y)
figure, (above, below) = plt.subplots(2, 1, figsize=(5.2, 6.0))
shown = above.scatter(*X.T, c=classifier.density_, s=10)
figure.colorbar(shown, ax=above, label="density")
above.set(xticks=[], yticks=[], aspect="equal")
below.plot(classifier.density_, classifier.n_neighbors_, ".", alpha=0.4)
below.set(xlabel="density", ylabel="learned neighbors")
figure.tight_layout()
