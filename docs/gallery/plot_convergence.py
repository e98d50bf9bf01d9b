"""
Convergence of fit
==================

How far the mean objective is above its last value, iteration by iteration.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits

from knngraph import KNNGraphClassifier
from knngraph.inspection import ConvergenceDisplay

X, y = load_digits(return_X_y=True)
classifier = KNNGraphClassifier(ef=32, random_state=0).fit(X, y)
ConvergenceDisplay.from_estimator(classifier).plot()
plt.show()
