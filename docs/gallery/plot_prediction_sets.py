"""
Sets and coverage
=================

Where classes overlap, one label is not enough. A prediction set has the classes that a
row may have. It holds the true one as often as requested: on the mean, or in every
class.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits, make_blobs

from knngraph import KNNGraphClassifier

X, y = make_blobs(1500, centers=[[0, 0], [2, 0], [1, 1.7]], random_state=0)
train, test = slice(500), slice(500, None)
classifier = KNNGraphClassifier(inference="adaptive", random_state=0).fit(
    X[train], y[train]
)

# %%
# Sets in the plane
# -----------------
# One class far from the others, two or three where they meet; the smaller `alpha`, the
# wider the seams.

ticks = np.linspace(-2.5, 4.5, 90), np.linspace(-2.5, 4.2, 90)
plane = np.stack(np.meshgrid(*ticks), axis=-1).reshape(-1, 2)
figure, panels = plt.subplots(2, 1, figsize=(5.6, 8.0), layout="constrained")
for ax, alpha in zip(panels, (0.2, 0.05)):
    sizes = classifier.predict_set(plane, alpha).sum(axis=1).reshape(90, 90)
    shown = ax.pcolormesh(*ticks, sizes, cmap="Blues", vmin=0.5, vmax=4, alpha=0.8)
    for code, marker in enumerate("os^"):
        rows = X[train][y[train] == code]
        ax.scatter(*rows.T, s=12, marker=marker, color=f"C{code + 1}", alpha=0.7)
    covered = classifier.predict_set(X[test], alpha)[np.arange(1000), y[test]].mean()
    ax.set_title(f"alpha = {alpha}: {covered:.1%} of new rows are in their set")
    ax.set(xlim=(-2.5, 4.5), ylim=(-2.5, 4.2))
figure.colorbar(shown, ax=panels, label="classes in a set", ticks=[1, 2, 3], shrink=0.5)
plt.show()

# %%
# Levels kept
# -----------
# Digits under noise: some are harder than others. Over ten splits, sets keep their
# level on the mean; with `per_class=True` they keep it in every class.

X, y = load_digits(return_X_y=True)
random = np.random.default_rng(0)
X = X + random.normal(scale=6.0, size=X.shape)
sizes, held, rows = np.zeros(2), np.zeros((2, 10)), np.zeros(10)
for _ in range(10):
    order = random.permutation(len(y))
    train, test = order[:600], order[600:]
    classifier.fit(X[train], y[train])
    rows += np.bincount(y[test])
    for per_class in (0, 1):
        sets = classifier.predict_set(X[test], 0.1, per_class=bool(per_class))
        sizes[per_class] += sets.sum(axis=1).mean() / 10
        held[per_class] += np.bincount(y[test], sets[np.arange(len(test)), y[test]])
figure, ax = plt.subplots(figsize=(5.6, 4.0), layout="constrained")
for per_class in (0, 1):
    label = f"per_class={bool(per_class)}: {sizes[per_class]:.2f} classes a set"
    ax.scatter(range(10), held[per_class] / rows, label=label)
ax.axhline(0.9, color="0.4", linewidth=1.0, linestyle="--")
ax.set(xlabel="digit", ylabel="share in their set", xticks=range(10), ylim=(0.6, 1.01))
ax.legend(loc="lower left")
plt.show()

# %%
# What is looked at
# -----------------
# Answers of the last split by the size of their set: sets of one class are right
# nearly always.

sets = classifier.predict_set(X[test], alpha=0.02)
right = classifier.predict(X[test]) == y[test]
for size in np.unique(sets.sum(axis=1)):
    some = sets.sum(axis=1) == size
    print(f"{size} classes: {some.sum()} rows, {right[some].mean():.0%} right")
