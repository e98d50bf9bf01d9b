"""
A classifier on Dask
====================

Rows that lie in blocks, here on the threads of this process. Few rows are fitted by
one task, exactly as on one machine; answers of a collection are computed block by
block, when they are needed. Here the blocks are the tiles of a map of the classes.
"""

import dask.array as da
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_moons

from knngraph import KNNGraphClassifier
from knngraph.distributed import DaskKNNGraphClassifier

X, y = make_moons(3000, noise=0.25, random_state=0)
estimator = KNNGraphClassifier(inference="adaptive", random_state=0)
classifier = DaskKNNGraphClassifier(estimator=estimator)
classifier.fit(da.from_array(X, chunks=(500, -1)), da.from_array(y, chunks=500))

horizontal, vertical = np.linspace(-2, 3, 250), np.linspace(-1.5, 2, 200)
places = np.stack(np.meshgrid(horizontal, vertical), axis=-1).reshape(-1, 2)
queries = da.from_array(places, chunks=(10_000, -1))
shares = classifier.predict_proba(queries)  # nothing is computed yet
print(shares.numblocks[0], "blocks of answers")

one_machine = KNNGraphClassifier(inference="adaptive", random_state=0).fit(X, y)
same = np.array_equal(
    classifier.predict(queries).compute(), one_machine.predict(places)
)
print("the answers of one machine:", same)

figure, axes = plt.subplots(layout="constrained")
axes.contourf(
    horizontal,
    vertical,
    shares.compute()[:, 1].reshape(len(vertical), -1),
    levels=np.linspace(0, 1, 11),
    cmap="RdBu_r",
    alpha=0.6,
)
axes.scatter(*X.T, c=y, cmap="RdBu_r", s=3, edgecolors="none")
axes.set(xticks=[], yticks=[])
plt.show()
