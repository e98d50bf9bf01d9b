"""
Wrong labels
============

A share of the training labels is replaced by another class. A lookup repeats the
wrong label of the nearest row; in the vote at the query several rows take part, each
by the reliability of its label.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier

from knngraph import KNNGraphClassifier

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
rng = np.random.default_rng(0)
order = rng.permutation(len(y_train))
other_class = (y_train + rng.integers(1, 10, len(y_train))) % 10

shares = [0.0, 0.1, 0.2, 0.3, 0.4]
accuracy = {"lookup": [], "cascade": [], "adaptive": [], "5 nearest, scikit-learn": []}
for share in shares:
    given = y_train.copy()
    wrong = order[: int(share * len(order))]
    given[wrong] = other_class[wrong]
    classifier = KNNGraphClassifier(ef="auto", random_state=0).fit(X_train, given)
    for inference in ("lookup", "cascade", "adaptive"):
        classifier.set_params(inference=inference)
        accuracy[inference].append(classifier.score(X_test, y_test))
    plain = KNeighborsClassifier().fit(X_train, given)
    accuracy["5 nearest, scikit-learn"].append(plain.score(X_test, y_test))

figure, axes = plt.subplots(layout="constrained")
for name, values in accuracy.items():
    axes.plot(shares, values, marker="o", label=name)
axes.set(xlabel="share of wrong training labels", ylabel="accuracy on clean labels")
axes.legend()
plt.show()
