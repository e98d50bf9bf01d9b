"""
The learned number of neighbors
===============================

Every row learns its own k: the distribution, and k where the data is sparse and
where it is dense.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits

from knngraph import KNNGraphClassifier
from knngraph.inspection import LearnedKDisplay

X, y = load_digits(return_X_y=True)
classifier = KNNGraphClassifier(ef=32, random_state=0).fit(X, y)
_, panels = plt.subplots(2, 1, figsize=(5.6, 7.0), layout="constrained")
LearnedKDisplay.from_estimator(classifier).plot(panels)
plt.show()
