"""A classifier fitted in one process that answers Dask collections.

The model travels once to every worker, however many blocks there are.
"""

from functools import partial
from typing import Any

import numpy as np

from knngraph.distributed.blocks import is_dask
from knngraph.distributed.collections import answer_rows
from knngraph.distributed.tasks import cluster_client, constant, task


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
    return _map(classifier, X, "predict", classifier.classes_.dtype, None)


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
    return _map(classifier, X, "predict_proba", np.float64, classifier.classes_)


def _map(
    classifier: Any, X: Any, method: str, dtype: Any, columns: np.ndarray | None
) -> Any:
    if not is_dask(X):
        raise TypeError(
            f"X must be a Dask array or data frame, got {type(X).__name__}; "
            f"classifier.{method}(X) answers rows in memory."
        )
    model = _on_cluster(classifier)
    call = partial(_call, method=method)

    def answer(block: Any) -> Any:
        return task(call, model, block, name=method)

    return answer_rows(X, answer, 0, dtype, columns)


def _on_cluster(classifier: Any) -> Any:
    """The classifier where all blocks find it."""
    client = cluster_client()
    if client is None:
        return constant(classifier, name="classifier")
    # To every worker now: it is lost only with all of them.
    return client.scatter(classifier, broadcast=True, hash=False)


def _call(classifier: Any, block: Any, method: str) -> Any:
    if not len(block):
        width = () if method == "predict" else (len(classifier.classes_),)
        dtype = classifier.classes_.dtype if method == "predict" else np.float64
        return np.empty((0, *width), dtype=dtype)
    return getattr(classifier, method)(block)
