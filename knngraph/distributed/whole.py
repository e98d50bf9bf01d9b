"""A model in one piece: fitted by one task, or in this process."""

import copy
import warnings
from functools import partial
from typing import Any

import numpy as np

from knngraph.classifier import KNNGraphClassifier
from knngraph.distributed.collections import (
    answer_blocks,
    given_labels,
    is_dask,
    numeric_rows,
)
from knngraph.distributed.methods import collect_answers, empty_answer
from knngraph.distributed.tasks import (
    cluster_client,
    constant,
    items,
    own_threads,
    persist,
    task,
)

# Parameters that may be changed after fit.
FREE = ("inference", "walk", "ef", "n_jobs", "verbose")
# Fitted attributes that the distributed estimator shows as they are.
SHOWN = (
    "metric_",
    "precision_",
    "bandwidth_",
    "query_bandwidth_",
    "query_nugget_",
    "label_doubt_",
    "loo_score_",
    "lookup_agreement_",
    "n_iter_",
)


def predict(classifier: Any, X: Any) -> Any:
    """Classes of the rows of a Dask collection, lazily.

    Parameters
    ----------
    classifier : estimator
        Fitted in this process, `KNNGraphClassifier` or another.
    X : dask Array of shape (n_queries, n_features) or DataFrame

    Returns
    -------
    dask Array for an array, Series with the index of X for a data frame

    Examples
    --------
    >>> import dask.array as da
    >>> from knngraph import KNNGraphClassifier
    >>> from knngraph.distributed import predict
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> classifier = KNNGraphClassifier(ef=16, random_state=0).fit(X, y)
    >>> answers = predict(classifier, da.from_array(X, chunks=(50, 4)))
    >>> answers[[0, 70, 140]].compute()
    array([0, 1, 2])
    """
    return _map(classifier, X, "predict")


def predict_proba(classifier: Any, X: Any) -> Any:
    """Probabilities of the rows of a Dask collection, lazily.

    Parameters
    ----------
    classifier, X
        As for `predict`.

    Returns
    -------
    dask Array for an array, DataFrame with the index of X for a data frame
        Columns follow `classifier.classes_`.
    """
    return _map(classifier, X, "predict_proba")


def fit_whole(blocks: list[tuple[Any, Any]], estimator: Any) -> tuple[Any, Any]:
    """Fit all rows by one task; the estimator and its warnings, persisted."""
    fit = partial(_fit, estimator=estimator)
    rows, labels = ([*column] for column in zip(*blocks))
    both = task(fit, rows, labels, name="whole")
    fitted, warned = persist(items(both, 2, name="whole"))
    return fitted, warned


def answer_block(
    fitted: Any,
    block: Any,
    *,
    method: str,
    classes: np.ndarray,
    free: dict[str, Any],
    given: dict[str, Any],
) -> Any:
    """Answers of a fitted estimator to a block, with parameters of now."""
    if not len(block):
        return empty_answer(method, classes, given)
    if free:
        fitted = copy.copy(fitted)
        fitted.set_params(**free)
    with own_threads():
        return getattr(fitted, method)(block, **given)


def free_parameters(estimator: Any) -> dict[str, Any]:
    """Parameters of an estimator that count at a query, as they are now."""
    if not isinstance(estimator, KNNGraphClassifier):
        return {}
    return {name: getattr(estimator, name) for name in FREE}


def shown_attributes(fitted: Any) -> dict[str, Any]:
    """Fitted attributes in numbers, for the estimator in another process."""
    shown = {name: getattr(fitted, name) for name in SHOWN if hasattr(fitted, name)}
    if hasattr(fitted, "relabeled_"):
        shown["n_relabeled_"] = len(fitted.relabeled_)
    if hasattr(fitted, "optimality_gap_"):
        shown["optimality_gap_"] = float(fitted.optimality_gap_.max())
    return shown


def _fit(X: list[Any], y: list[Any], *, estimator: Any) -> tuple[Any, list[Any]]:
    from sklearn.base import clone

    rows = np.concatenate([numeric_rows(block) for block in X])
    labels = np.concatenate([given_labels(block) for block in y])
    with warnings.catch_warnings(record=True) as warned, own_threads():
        warnings.simplefilter("always")
        fitted = clone(estimator).fit(rows, labels)
    return fitted, [warning.message for warning in warned]


def _map(classifier: Any, X: Any, method: str) -> Any:
    if not is_dask(X):
        raise TypeError(
            f"X must be a Dask array or data frame, got {type(X).__name__}; "
            f"classifier.{method}(X) answers rows in memory."
        )
    client, classes = cluster_client(), classifier.classes_
    if client is None:
        model = constant(classifier, name="classifier")
    else:
        # To every worker now: it is lost only with all of them.
        model = client.scatter(classifier, broadcast=True, hash=False)
    call = partial(answer_block, method=method, classes=classes, free={}, given={})

    def answer(block: Any) -> Any:
        return task(call, model, block, name=method)

    X, blocks = answer_blocks(X, answer, 0)
    return collect_answers(X, blocks, method, classes, {})
