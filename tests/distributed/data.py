"""Rows with everything that makes partitions differ from one machine."""

import numpy as np
from sklearn.datasets import load_digits


def rows_with_copies(n=500):
    """Digits with copies, some of another class, and a constant column."""
    X, y = load_digits(return_X_y=True)
    X, y = X[:n], y[:n]
    copies = np.arange(40)
    X = np.concatenate([X, X[copies], X[:5]])
    y = np.concatenate([y, np.where(copies < 30, y[:40], (y[:40] + 1) % 10), y[:5]])
    return X, y


def wrong_labels(y, share=0.2):
    """Labels of which a share is replaced by another."""
    random = np.random.default_rng(1)
    wrong = random.random(len(y)) < share
    return np.where(wrong, (y + random.integers(1, 10, len(y))) % 10, y)


def queries(n=200):
    """Rows that `rows_with_copies` does not hold."""
    X, y = load_digits(return_X_y=True)
    return X[-n:], y[-n:]


def worded(n, seed):
    """Two columns that tell three classes and ten that tell nothing."""
    random = np.random.default_rng(seed)
    X = random.normal(size=(n, 12))
    return X, np.digitize(X[:, 0] + np.sin(2.0 * X[:, 1]), [-0.6, 0.6])


def worded_with_copies(n=300):
    """The same with copies, some of another class, and a few wrong labels."""
    X, y = worded(n, seed=0)
    copies = np.arange(30)
    X = np.concatenate([X, X[copies]])
    y = np.concatenate([y, (y[copies] + copies % 2) % 3])
    wrong = np.random.default_rng(1).random(len(y)) < 0.05
    return X, np.where(wrong, (y + 1) % 3, y)
