"""
The learned graph of the digits
===============================

The graph is learned in 64 dimensions and drawn on the first two of a linear
discriminant analysis.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from knngraph import KNNGraphClassifier
from knngraph.inspection import NeighborGraphDisplay

X, y = load_digits(n_class=6, return_X_y=True)
X, y = X[:400], y[:400]
classifier = KNNGraphClassifier(ef=32, random_state=0).fit(X, y)
flat = LinearDiscriminantAnalysis(n_components=2).fit_transform(X, y)
NeighborGraphDisplay.from_estimator(classifier, flat, n_suspects=5).plot()
plt.show()
