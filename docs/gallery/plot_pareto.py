"""
Accuracy against the time of a query
====================================

One fitted classifier with several settings of a query, and scikit-learn beside it.
"""

import time

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier

from knngraph import KNNGraphClassifier
from knngraph.inspection import ParetoDisplay

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
classifier = KNNGraphClassifier(inference="cascade", random_state=0).fit(
    X_train, y_train
)
settings_by_name = {
    "lookup, ef=1": {"inference": "lookup", "ef": 1},
    "lookup, ef=auto": {"inference": "lookup", "ef": "auto"},
    "lookup, ef=64": {"inference": "lookup", "ef": 64},
    "cascade": {"inference": "cascade", "ef": None},
    "adaptive": {"inference": "adaptive", "ef": None},
}


def measured(estimator):
    """Accuracy, and microseconds a query in the fastest of five runs."""
    times = []
    for _ in range(5):
        start = time.perf_counter()
        estimator.predict(X_test)
        times.append(time.perf_counter() - start)
    return 1e6 * min(times) / len(X_test), estimator.score(X_test, y_test)


results = {}
for name, settings in settings_by_name.items():
    results[name] = measured(classifier.set_params(**settings))
for k in (1, 5, 15):
    results[f"kNN, k={k}"] = measured(KNeighborsClassifier(k).fit(X_train, y_train))
microseconds, accuracies = zip(*results.values())
display = ParetoDisplay(
    names=list(results), microseconds=microseconds, accuracies=accuracies
)
_, axes = plt.subplots(figsize=(5.6, 5.0), layout="constrained")
display.plot(axes)
plt.show()
