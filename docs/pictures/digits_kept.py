"""How many of a thousand rows stay distinct in single precision, by offset."""

import matplotlib.pyplot as plt
import numpy as np

from knngraph.space import fit_space

offsets = 10.0 ** np.arange(0, 13)
rows = np.random.default_rng(0).uniform(size=(1000, 1))
as_they_are, centered = [], []
for offset in offsets:
    X = rows + offset
    as_they_are.append(len(np.unique(X.astype(np.float32))))
    centered.append(len(np.unique(fit_space(X, "euclidean").map_rows(X))))
figure, axes = plt.subplots()
axes.plot(offsets, centered, marker="o", label="centered first, as here")
axes.plot(offsets, as_they_are, marker="o", label="as they are")
axes.set(xscale="log", xlabel="offset of the column", ylabel="rows that stay distinct")
axes.legend()
figure.tight_layout()
