"""Rows that a stored label resolves in a cascade: those away from the border."""

import matplotlib.pyplot as plt
from sklearn.datasets import make_moons

from knngraph import KNNGraphClassifier

X, y = make_moons(600, noise=0.2, random_state=0)
classifier = KNNGraphClassifier(inference="cascade", random_state=0).fit(X, y)
figure, axes = plt.subplots()
resolved = classifier.resolved_
for label in (0, 1):
    of_class = resolved & (y == label)
    axes.plot(*X[of_class].T, ".", color=f"C{label}", label=f"class {label}, stored")
axes.plot(*X[~resolved].T, "o", mfc="none", color="0.2", ms=5, label="adaptive")
axes.set(xticks=[], yticks=[], aspect="equal")
axes.legend(loc="upper center", ncols=3, bbox_to_anchor=(0.5, 1.16), fontsize="small")
figure.tight_layout()
