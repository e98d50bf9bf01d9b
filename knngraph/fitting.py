"""A fit that ends, or none: what an estimator holds is never half learned."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def all_or_nothing(estimator: Any) -> Iterator[None]:
    """Give an estimator its former state back where fit does not end.

    Whatever stops it, an error or Ctrl-C: a new estimator stays unfitted, a
    fitted one keeps its model.

    Parameters
    ----------
    estimator : estimator
        Of which fit replaces attributes and changes none in place.

    Examples
    --------
    >>> from knngraph import KNNGraphClassifier
    >>> from knngraph.fitting import all_or_nothing
    >>> classifier = KNNGraphClassifier()
    >>> try:
    ...     with all_or_nothing(classifier):
    ...         classifier.classes_ = [0, 1]
    ...         raise KeyboardInterrupt
    ... except KeyboardInterrupt:
    ...     print(hasattr(classifier, "classes_"))
    False
    """
    before = dict(vars(estimator))
    try:
        yield
    except BaseException:
        # In one step, so that a second Ctrl-C cannot come in between.
        estimator.__dict__ = before
        raise
