"""
Sentences as embeddings
=======================

Sentences from the docstrings of installed packages become rows of 100 numbers in half
precision: tf-idf, brought to its largest directions, as latent semantic analysis does.
An encoder of your own would take the place of this step; everything after it stays.
"""

import inspect
import re
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import scipy.ndimage
import scipy.signal
import scipy.sparse
import scipy.stats
import sklearn.cluster
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer

from knngraph import KNNGraphClassifier, load_predictor


def sentences_of(module, most=300):
    """Different sentences of the docstrings of a module."""
    text = " ".join(
        inspect.getdoc(getattr(module, public)) or "" for public in module.__all__
    )
    found = {
        " ".join(part.split())
        for part in re.split(r"[.\n]\s+", text)
        if len(part.split()) >= 8 and ">>>" not in part
    }
    return sorted(found)[:most]


modules = {
    "linalg": np.linalg,
    "signal": scipy.signal,
    "stats": scipy.stats,
    "sparse": scipy.sparse,
    "cluster": sklearn.cluster,
}
found = {name: sentences_of(module) for name, module in modules.items()}
sentences = np.concatenate(list(found.values()))
names = np.repeat(list(found), [len(some) for some in found.values()])
train, test, y_train, y_test = train_test_split(
    sentences, names, stratify=names, random_state=0
)

# %%
# Rows
# ----
# Unit rows of float16 are taken as they are. Nothing is scaled: the columns of
# embeddings have no units of their own.

encoder = make_pipeline(
    TfidfVectorizer(sublinear_tf=True, min_df=2, stop_words="english"),
    TruncatedSVD(100, random_state=0),
    Normalizer(),
).fit(train)
vectors = encoder.transform(train).astype(np.float16)
queries = encoder.transform(test).astype(np.float16)
classifier = KNNGraphClassifier(metric="cosine", inference="adaptive", random_state=0)
classifier.fit(vectors, y_train)
others = KNeighborsClassifier(15, metric="cosine"), LogisticRegression(C=10.0)
print(f"{vectors.shape[0]} rows of {vectors.nbytes // len(vectors)} bytes")
for model in (classifier, *(other.fit(vectors, y_train) for other in others)):
    print(f"{type(model).__name__}: {model.score(queries, y_test):.1%}")

# %%
# Why
# ---
# A column means nothing to a reader; the sentences that voted do.

(explanation,) = classifier.explain(queries[:1])
print(f"{test[0]}\n  -> {explanation.predicted} (from {y_test[0]})")
for voter in explanation.voters[:4]:
    print(f"{voter.weight:4.0%} {voter.label}: {train[voter.row][:70]}")

# %%
# Labels that the rows contradict
# -------------------------------
# One label of twenty is exchanged with others. Half of the first that are doubted are
# among them; sentences that several libraries share make up most of the rest.

random = np.random.default_rng(0)
wrong = random.choice(len(train), len(train) // 20, replace=False)
given = y_train.copy()
given[wrong] = random.permutation(given[wrong])
wrong = np.flatnonzero(given != y_train)
noisy = KNNGraphClassifier(metric="cosine", inference="adaptive", random_state=0)
suspects = noisy.fit(vectors, given).suspect_labels(len(wrong))
print(f"{np.isin(suspects.rows, wrong).mean():.0%} of the {len(wrong)} first are wrong")
for place in range(3):
    print(
        f"given {suspects.given[place]}, rather {suspects.suggested[place]}: "
        f"{train[suspects.rows[place]][:60]}"
    )

# %%
# Sentences that are new
# ----------------------
# Sentences of a library that the rows have none of: a fifth of them is an alarm at a
# p-value of 5 %, and one of twenty held-out ones. The others say of arrays what all
# libraries say.

new = encoder.transform(sentences_of(scipy.ndimage)).astype(np.float16)
known, unknown = classifier.novelty_pvalue(queries), classifier.novelty_pvalue(new)
figure, axes = plt.subplots(1, 2, figsize=(8.0, 3.4), layout="constrained")
for name in modules:
    some = vectors[y_train == name].astype(float)
    axes[0].scatter(some[:, 1], some[:, 2], s=8, label=name)
axes[0].legend(frameon=False, fontsize=8)
axes[0].set(xlabel="second direction", ylabel="third direction", title="the rows")
bins = np.linspace(0.0, 1.0, 21)
for pvalues, label in ((known, "held-out sentences"), (unknown, "of another library")):
    axes[1].hist(pvalues, bins, density=True, alpha=0.7, label=label)
axes[1].legend(frameon=False)
axes[1].set(xlabel="p-value of novelty", yticks=[], title="novel queries")
plt.show()
print(f"alarms at 5 %: {np.mean(known <= 0.05):.0%} and {np.mean(unknown <= 0.05):.0%}")

# %%
# A file to serve
# ---------------
# A predictor answers without scikit-learn, by the same rows.

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "sentences"
    classifier.to_predictor(about="which library a sentence is from").save(path)
    predictor = load_predictor(path)
    print(f"{path.stat().st_size / len(vectors):.0f} bytes a row")
    print(f"{np.mean(predictor.predict(queries) == y_test):.1%}")
print(predictor.description)
