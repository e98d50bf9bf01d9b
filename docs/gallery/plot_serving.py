"""
Serving one row at a time
=========================

A predictor gives the answers of the classifier, without scikit-learn. The picture has
the time of a single row, one after the other, by the kind of call.
"""

import tempfile
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier

from knngraph import KNNGraphClassifier, load_predictor

X, y = load_digits(return_X_y=True)
X = X.astype(np.float32)
classifier = KNNGraphClassifier(ef="auto", random_state=0).fit(X[:1500], y[:1500])

# A file that carries no code, read back as a service would read it.
folder = Path(tempfile.mkdtemp())
served = {}
for inference in ("lookup", "cascade", "adaptive"):
    file = folder / f"{inference}.knngraph"
    classifier.set_params(inference=inference).to_predictor().save(file)
    served[f"predictor, {inference}"] = load_predictor(file)

plain = KNeighborsClassifier().fit(X[:1500], y[:1500])
calls = {
    "scikit-learn, 5 nearest": lambda row: plain.predict(row[None])[0],
    "classifier, adaptive": lambda row: classifier.predict(row[None])[0],
    **served,
}
seconds = {}
for name, answer in calls.items():
    answer(X[1500])  # what is compiled on first use is not timed
    seconds[name] = []
    for row in X[1500:1700]:
        start = time.perf_counter()
        answer(row)
        seconds[name].append(time.perf_counter() - start)

figure, axes = plt.subplots(figsize=(5.6, 3.2), layout="constrained")
middle = [1e6 * np.median(times) for times in seconds.values()]
slow = [1e6 * np.quantile(times, 0.99) for times in seconds.values()]
axes.barh(list(seconds), slow, color="0.8", label="99 of 100 are faster")
axes.barh(list(seconds), middle, label="median")
axes.set(xscale="log", xlabel="microseconds for one row")
axes.invert_yaxis()
axes.legend()
plt.show()
