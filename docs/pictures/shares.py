"""The vote along a line across the border, with a tenth of the labels wrong."""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_moons

from knngraph import KNNGraphClassifier

X, y = make_moons(600, noise=0.2, random_state=0)
wrong = np.random.default_rng(0).choice(600, 60, replace=False)
y[wrong] = 1 - y[wrong]
line = np.column_stack([np.full(300, 0.5), np.linspace(1.4, -0.9, 300)])
figure, axes = plt.subplots()
for inference in ("lookup", "adaptive"):
    classifier = KNNGraphClassifier(inference=inference, ef=32, random_state=0)
    shares = classifier.fit(X, y).predict_proba(line)[:, 1]
    axes.plot(line[:, 1], shares, label=inference)
axes.axhline(0.5, color="0.5", lw=0.8, ls=":")
axes.set(xlabel="place on the line", ylabel="probability of the lower moon")
axes.set(ylim=(-0.03, 1.03))
axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False)
figure.tight_layout()
