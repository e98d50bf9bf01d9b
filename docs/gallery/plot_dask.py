"""
The same classifier on Dask
===========================

Rows that lie in blocks, here on the threads of this process. Up to `local_rows` rows
one task fits them all; more of them stay in partitions, whose model is close to that
of one machine for any number of them.
"""

import dask.array as da
import matplotlib.pyplot as plt
from sklearn.datasets import load_digits

from knngraph import KNNGraphClassifier
from knngraph.distributed import DaskKNNGraphClassifier

X, y = load_digits(return_X_y=True)
settings = {"inference": "adaptive", "vote": "labels", "random_state": 0}
one_machine = KNNGraphClassifier(**settings).fit(X[:1300], y[:1300])
expected = one_machine.predict(X[1300:])

rows = da.from_array(X[:1300], chunks=(400, -1))
labels = da.from_array(y[:1300], chunks=400)
accuracy, agreement = [], []
partitions = (1, 2, 4)
for n_partitions in partitions:
    classifier = DaskKNNGraphClassifier(
        KNNGraphClassifier(**settings), n_partitions=n_partitions, local_rows=1000
    )
    answers = classifier.fit(rows, labels).predict(X[1300:])
    accuracy.append((answers == y[1300:]).mean())
    agreement.append((answers == expected).mean())

figure, axes = plt.subplots(layout="constrained")
axes.plot(partitions, agreement, marker="o", label="same answer as one machine")
axes.plot(partitions, accuracy, marker="o", label="accuracy")
axes.axhline(
    (expected == y[1300:]).mean(), ls="--", color="0.5", label="accuracy, one machine"
)
axes.set(xlabel="partitions", xticks=partitions, ylim=(0.9, 1.005))
axes.legend()
plt.show()
