"""A fit completes or changes nothing: no estimator is left half fitted."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def all_or_nothing(estimator: Any) -> Iterator[None]:
    """Restore the state of an estimator where fit does not complete.

    After an error or Ctrl-C a new estimator stays unfitted, and a fitted one keeps
    its model.

    Parameters
    ----------
    estimator : estimator
        Its fit replaces attributes and changes none in place.

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
