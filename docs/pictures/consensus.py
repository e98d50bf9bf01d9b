"""Which stored labels are right, by self weight, with 30 percent wrong labels."""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from knngraph import KNNGraphClassifier

X, y = load_digits(return_X_y=True)
X, y = X[:1000], y[:1000]
rng = np.random.default_rng(0)
given = y.copy()
wrong = rng.random(len(y)) < 0.3
given[wrong] = (given[wrong] + rng.integers(1, 10, wrong.sum())) % 10
self_weights = [0.0, 0.25, 0.5, 1.0, 1.5, 2.0]
figure, axes = plt.subplots()
for label_weight in (0.0, 0.3):
    right = []
    for self_weight in self_weights:
        classifier = KNNGraphClassifier(
            label_weight=label_weight, self_weight=self_weight, ef=16, random_state=0
        )
        right.append((classifier.fit(X, given).labels_ == y).mean())
    axes.plot(self_weights, right, marker="o", label=f"label_weight={label_weight}")
axes.axhline((given == y).mean(), color="0.5", ls="--", label="labels as given")
axes.set(xlabel="self_weight", ylabel="stored labels that are right")
axes.legend()
figure.tight_layout()
