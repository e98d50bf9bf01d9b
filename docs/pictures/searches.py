"""Share of searches that find the nearest row, by ef, for three dimensionalities."""

import matplotlib.pyplot as plt
import numpy as np

from knngraph.index.exact import ExactIndex
from knngraph.index.hnsw import HNSWIndex

rng = np.random.default_rng(0)
widths = [1, 2, 4, 8, 16, 32, 64]
figure, axes = plt.subplots()
for d in (2, 10, 40):
    points = rng.normal(size=(4000, d)).astype(np.float32)
    queries = rng.normal(size=(1000, d)).astype(np.float32)
    nearest = ExactIndex(points).nearest(queries, 1)[0]
    index = HNSWIndex(d, len(points), seed=0)
    index.add(points)
    found = [
        (index.nearest(queries, 1, ef=width)[0] == nearest).mean() for width in widths
    ]
    axes.plot(widths, found, marker="o", label=f"{d} features")
axes.set(xscale="log", xlabel="ef", ylabel="searches that find the nearest row")
axes.set_xticks(widths, widths)
axes.legend(title="4000 Gaussian rows")
figure.tight_layout()
