"""Small fitted classifiers of every kind that a predictor is made of."""

import numpy as np
from sklearn.datasets import load_iris

from knngraph import KNNGraphClassifier

INFERENCES = ("lookup", "adaptive", "cascade")


def hard_rows(dtype=np.float32):
    """Iris with copies, some under two labels: training rows, labels, queries."""
    X, y = load_iris(return_X_y=True)
    X = np.concatenate([X, X[::7], X[::7]]).astype(dtype)
    y = np.concatenate([y, y[::7], 2 - y[::7]])
    random = np.random.default_rng(5)
    queries = X[::2] + random.normal(scale=0.2, size=X[::2].shape)
    return X, y, np.concatenate([X[:20], queries.astype(dtype)])


def fitted(inference, metric="euclidean", labels=None, dtype=np.float32, **settings):
    """A classifier on the hard rows, and queries."""
    X, y, queries = hard_rows(dtype)
    if labels is not None:
        y = labels[y]
    settings = {"ef": 4, "random_state": 0} | settings
    classifier = KNNGraphClassifier(inference=inference, metric=metric, **settings)
    return classifier.fit(X, y), queries
