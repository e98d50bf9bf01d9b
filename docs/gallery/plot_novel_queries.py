"""
A day with novel queries
========================

A classifier of digits has no nines among its training rows. In the morning all is as
usual, at noon nines come in, and later the camera shifts. Alarms show when. In the
evening the nines are added, and the alarms on them end.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from knngraph import KNNGraphClassifier

X, y = load_digits(return_X_y=True)
random = np.random.default_rng(0)
order = random.permutation(len(y))
known, nines = order[y[order] != 9], order[y[order] == 9]
train, rest = known[:1000], known[1000:]
classifier = KNNGraphClassifier(inference="cascade", random_state=0).fit(
    X[train], y[train]
)

# %%
# The day
# -------
# Hours of 50 images: four as in training, two with 15 nines each, two as before, and
# two in which the images are shifted by two columns.

shifted = np.zeros((100, 8, 8))
shifted[:, :, 2:] = X[rest[400:500]].reshape(-1, 8, 8)[:, :, :-2]
shifted = shifted.reshape(-1, 64)
hours = [X[rest[50 * hour : 50 * hour + 50]] for hour in range(8)]
for hour, some in ((4, nines[:15]), (5, nines[15:30])):
    hours[hour][:15] = X[some]
hours += [shifted[:50], shifted[50:]]
is_novel = np.array([classifier.is_novel(images) for images in hours])
print("alarms in every hour:", is_novel.sum(axis=1))

# %%
# What a person is shown
# ----------------------
# The most novel images of the hours with nines, and of those with a shifted camera,
# with the answer that the classifier gives to each.

day = np.concatenate(hours)
scores, pvalues = classifier.novelty_score(day), classifier.novelty_pvalue(day)
answers = classifier.predict(day)
figure = plt.figure(figsize=(8.0, 5.2), layout="constrained")
above, below = figure.subfigures(2, 1, height_ratios=[1.5, 1.0])
ax = above.subplots()
clock = 8 + np.arange(len(day)) / 50
alarm = pvalues <= 0.05
ax.axvspan(12, 14, color="0.93")
ax.axvspan(16, 18, color="0.93")
ax.scatter(clock[~alarm], pvalues[~alarm], s=9, color="#0072b2", label="as usual")
ax.scatter(clock[alarm], pvalues[alarm], s=16, color="#d55e00", label="novel")
ax.axhline(0.05, color="0.4", linewidth=0.8)
ax.set_yscale("log")
ax.set_xlim(8, 18)
ax.set_xlabel("hour; gray: nines, then a shifted camera")
ax.set_ylabel("p-value")
ax.legend(loc="lower left", frameon=False)
order = np.argsort(-scores)
nine, shift = (
    order[(order >= a) & (order < b)][:4] for a, b in ((200, 300), (400, 500))
)
for ax, image in zip(below.subplots(1, 8), [*nine, *shift]):
    ax.imshow(day[image].reshape(8, 8), cmap="gray_r")
    ax.set_title(f"{8 + image // 50} h\nanswer {answers[image]}", fontsize=9)
    ax.set_axis_off()
plt.show()

# %%
# The evening
# -----------
# The nines have been labeled. They join as a new class, and later ones are known.

later = X[nines[30:]]
print(f"alarms on later nines: {classifier.is_novel(later).mean():.0%}")
classifier.partial_fit(X[nines[:30]], y[nines[:30]], classes=[9])
print(f"with 30 nines known: {classifier.is_novel(later).mean():.0%}")
print(f"of which answered as nines: {(classifier.predict(later) == 9).mean():.0%}")
