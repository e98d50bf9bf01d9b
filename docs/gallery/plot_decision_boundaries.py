"""
Decision boundaries of the three inferences
===========================================

One fitted model, three inferences. A lookup draws the cells of the nearest rows; in
adaptive inference several rows share the answer; a cascade is adaptive only where
stored labels leave a query unresolved.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_moons

from knngraph import KNNGraphClassifier

X, y = make_moons(400, noise=0.25, random_state=0)
classifier = KNNGraphClassifier(ef="auto", random_state=0).fit(X, y)
horizontal = np.linspace(X[:, 0].min() - 0.4, X[:, 0].max() + 0.4, 240)
vertical = np.linspace(X[:, 1].min() - 0.4, X[:, 1].max() + 0.4, 160)
grid = np.stack(np.meshgrid(horizontal, vertical), axis=-1)

figure, panels = plt.subplots(3, 1, figsize=(5.2, 8.4), layout="constrained")
for panel, inference in zip(panels, ("lookup", "cascade", "adaptive")):
    classifier.set_params(inference=inference)
    shares = classifier.predict_proba(grid.reshape(-1, 2))[:, 1]
    panel.contourf(
        horizontal,
        vertical,
        shares.reshape(grid.shape[:2]),
        levels=np.linspace(0, 1, 11),
        cmap="RdBu_r",
        alpha=0.6,
    )
    panel.scatter(*X.T, c=y, cmap="RdBu_r", s=7, edgecolors="k", linewidths=0.3)
    panel.set(title=inference, xticks=[], yticks=[])
plt.show()
