"""
How good approximate neighborhoods are
======================================

Approximate against exact neighborhoods of several sizes, a line for every ef. Hollow
points are out of tolerance in one measure at least.
"""

import matplotlib.pyplot as plt
import numpy as np

from knngraph.inspection import FidelityDisplay, neighborhood_fidelity

X = np.random.default_rng(0).normal(size=(5000, 24))
fidelity = neighborhood_fidelity(
    X, k=(5, 10, 20, 50, 100), ef=(10, 30, 100, 300), n_queries=200
)
print(fidelity)
_, panels = plt.subplots(4, 1, figsize=(5.6, 12.0), layout="constrained")
FidelityDisplay.from_fidelity(fidelity).plot(panels)
plt.show()
