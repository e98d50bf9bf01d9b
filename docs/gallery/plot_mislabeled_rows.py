"""
Finding mislabeled rows
=======================

A tenth of the digits get a wrong label. Every row is answered without its own vote,
and the rows are sorted by how probable their given labels are. The least probable
come first. `clean` returns the rows without them.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from knngraph import KNNGraphClassifier

X, y = load_digits(return_X_y=True)
rng = np.random.default_rng(0)
given = y.copy()
wrong = rng.choice(len(y), len(y) // 10, replace=False)
given[wrong] = (given[wrong] + rng.integers(1, 10, len(wrong))) % 10

classifier = KNNGraphClassifier(inference="adaptive", random_state=0).fit(X, given)
suspects = classifier.suspect_labels(len(wrong))
right = np.isin(suspects.rows, wrong)
print(f"{right.mean():.0%} of the first {len(right)} are wrong labels")
keep = classifier.clean()
print(f"{np.isin(wrong, keep).sum()} of {len(wrong)} stay in the {len(keep)} rows kept")

figure, panels = plt.subplots(4, 3, figsize=(5.2, 7.6), layout="constrained")
for panel, row, given_label, suggested in zip(
    panels.flat, suspects.rows, suspects.given, suspects.suggested
):
    panel.imshow(X[row].reshape(8, 8), cmap="gray_r")
    panel.set(title=f"given {given_label}, rather {suggested}", xticks=[], yticks=[])
    panel.title.set_fontsize(11)
plt.show()
