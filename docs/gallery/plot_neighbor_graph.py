"""
Learned neighbors and suspect labels
====================================

Two moons with six wrong labels. Every row has a few learned neighbors, thicker lines
for larger weights; rings mark the labels that their neighbors contradict most.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_moons

from knngraph import KNNGraphClassifier
from knngraph.inspection import NeighborGraphDisplay

X, y = make_moons(160, noise=0.15, random_state=3)
wrong = np.random.default_rng(0).choice(160, 6, replace=False)
y[wrong] = 1 - y[wrong]
classifier = KNNGraphClassifier(ef=32, random_state=0).fit(X, y)
NeighborGraphDisplay.from_estimator(classifier, X, n_suspects=6).plot()
plt.show()
