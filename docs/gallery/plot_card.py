"""
A card of an answer
===================

A card shows the reasons for one answer: the probability of each class, whether the
row is unlike all training rows, the training rows that voted, and those of the class
that came second. `to_html` makes a page, `ExplanationDisplay` a picture.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits, load_wine
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from knngraph import KNNGraphClassifier
from knngraph.inspection import ExplanationDisplay, explain_table

X, y = load_digits(return_X_y=True)
classifier = KNNGraphClassifier(inference="adaptive", random_state=0).fit(
    X[:1200], y[:1200]
)

# %%
# Images
# ------
# The least sure answer of a few hundred, with its rows as images. Saved as a file, the
# card opens in any browser: `Path("card.html").write_text(page, encoding="utf-8")`.

sure = classifier.predict_proba(X[1200:]).max(axis=1)
least = 1200 + int(np.argmin(sure))
explanation = classifier.explain(X[[least]])[0]
page = explanation.to_html(image_shape=(8, 8), given=y[least])
print(f"the answer is {explanation.predicted}, the label {y[least]}")
print(f"a page of {len(page) / 1000:.0f} kB")
ExplanationDisplay(explanation=explanation, image_shape=(8, 8)).plot()
plt.show()

# %%
# A table
# -------
# Behind a pipeline the card shows the columns of the table, in their own units. A
# notebook shows the card of an explanation at the end of a cell; so does this page.

wines, labels = load_wine(return_X_y=True, as_frame=True)
labels = np.array(["Barolo", "Grignolino", "Barbera"])[labels]
wines.index = [f"bottle {i}" for i in range(len(wines))]
train, test = wines[::2], wines[1::2]
model = make_pipeline(
    StandardScaler(), KNNGraphClassifier(inference="adaptive", random_state=0)
).fit(train, labels[::2])
least = int(np.argmin(model.predict_proba(test).max(axis=1)))
answer = explain_table(model, test.iloc[[least]], training=train)[0]
print(answer)
answer
