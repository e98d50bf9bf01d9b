"""Settings left to inner cross-validation."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    LeaveOneOut,
    StratifiedKFold,
    check_cv,
)

Fold = tuple[np.ndarray, np.ndarray]


def make_folds(
    X: np.ndarray, codes: np.ndarray, cv: Any, random_state: Any
) -> list[Fold]:
    """Split the training rows into folds.

    A number of folds means shuffled folds, stratified where every class has
    at least that many rows and plain where one has not, and leave-one-out
    where there are fewer than two rows a fold. A single row makes no folds.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
    codes : ndarray of shape (n_samples,)
    cv : int, "loo", splitter, iterable of splits or None
        None means 5 folds.
    random_state : int, RandomState instance or None

    Returns
    -------
    list of (train, test) arrays of row numbers
    """
    n_samples = X.shape[0]
    if n_samples == 1:
        return []
    n_folds = 5 if cv is None else cv
    if isinstance(n_folds, str) or (
        isinstance(n_folds, (int, np.integer)) and n_samples < 2 * n_folds
    ):
        splitter = LeaveOneOut()
    elif isinstance(n_folds, (int, np.integer)):
        enough = np.bincount(codes).min() >= n_folds
        kind = StratifiedKFold if enough else KFold
        splitter = kind(n_folds, shuffle=True, random_state=random_state)
    else:
        splitter = check_cv(cv, codes, classifier=True)
    return list(splitter.split(X, codes))


def tune(
    estimator: BaseEstimator,
    grids: Mapping[str, Sequence[Any]],
    X: np.ndarray,
    codes: np.ndarray,
) -> dict[str, Any]:
    """Settle the parameters of an estimator that say "cv".

    Parameters
    ----------
    estimator : estimator with parameters `cv` and `random_state`
    grids : mapping
        The parameters that may say "cv" and the values to try, the preferred
        one first: it is kept where one row leaves nothing to compare, and
        where accuracies are equal.
    X : ndarray of shape (n_samples, n_features)
    codes : ndarray of shape (n_samples,)

    Returns
    -------
    dict
        A value for every name in `grids`.
    """
    settings = {name: getattr(estimator, name) for name in grids}
    undecided = {
        name: list(grid) for name, grid in grids.items() if _says_cv(settings[name])
    }
    if not undecided:
        return settings
    folds = make_folds(X, codes, estimator.cv, estimator.random_state)
    if not folds:
        return settings | {name: grid[0] for name, grid in undecided.items()}
    search = GridSearchCV(
        clone(estimator),
        undecided,
        cv=folds,
        scoring="accuracy",
        refit=False,
        error_score="raise",
    )
    return settings | search.fit(X, codes).best_params_


def _says_cv(value: Any) -> bool:
    return isinstance(value, str) and value == "cv"
