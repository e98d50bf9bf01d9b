"""
Sparse text
===========

Which library does a sentence come from? Sentences are taken from the docstrings of
installed packages, weighted by tf-idf and left sparse; rows are compared by their
angle. The bars are the shares of the vote on one sentence.
"""

import inspect
import re

import matplotlib.pyplot as plt
import numpy as np
import scipy.signal
import scipy.sparse
import scipy.stats
import sklearn.cluster
import sklearn.preprocessing
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import train_test_split

from knngraph import KNNGraphClassifier

sources = {
    "linalg": np.linalg,
    "signal": scipy.signal,
    "stats": scipy.stats,
    "sparse": scipy.sparse,
    "cluster": sklearn.cluster,
    "preprocessing": sklearn.preprocessing,
}
sentences, names = [], []
for name, module in sources.items():
    text = " ".join(
        inspect.getdoc(getattr(module, public)) or "" for public in module.__all__
    )
    found = [
        part.strip()
        for part in re.split(r"[.\n]\s+", text)
        if len(part.split()) >= 8 and ">>>" not in part
    ]
    found = sorted(set(found))[:250]
    sentences += found
    names += [name] * len(found)

train, test, y_train, y_test = train_test_split(sentences, names, random_state=0)
vectorizer = TfidfVectorizer(sublinear_tf=True, min_df=2, stop_words="english")
X_train = vectorizer.fit_transform(train)
X_test = vectorizer.transform(test)
classifier = KNNGraphClassifier(
    inference="adaptive", metric="cosine", random_state=0
).fit(X_train, y_train)
print(f"{X_train.shape[0]} sentences, {X_train.shape[1]} words")
print(f"accuracy {classifier.score(X_test, y_test):.2f}")

explanation = classifier.explain(X_test[:1])[0]
print(test[0], "->", explanation.predicted)
figure, axes = plt.subplots(layout="constrained")
axes.barh(classifier.classes_, explanation.scores)
axes.set(xlabel="share of the vote", title=f"predicted: {explanation.predicted}")
plt.show()
