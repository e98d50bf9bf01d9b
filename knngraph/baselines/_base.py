"""What every baseline shares: validate, encode, hand out chunks, name classes."""

from abc import ABCMeta, abstractmethod
from collections.abc import Callable
from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, _fit_context
from sklearn.utils.validation import check_is_fitted

from knngraph.baselines._search import rows_per_block
from knngraph.fitting import all_or_nothing
from knngraph.parallel import count_threads, map_chunks
from knngraph.serving.checked_pickle import CheckedPickle
from knngraph.validation import check_labels, validated

# Squares of numbers within these bounds, and sums of them, stay normal numbers.
_SQUARES_SAFE_FROM, _SQUARES_SAFE_TO = 1e-140, 1e140


class BaselineClassifier(
    CheckedPickle, ClassifierMixin, BaseEstimator, metaclass=ABCMeta
):
    """Base of the baselines; a subclass says how it learns and how it scores.

    A subclass writes `_learn`, called once with validated rows and integer
    labels, and `_class_scores`, called with blocks of validated queries. The
    answer for a query may depend on that query alone, never on its block.
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_jobs": [Integral, None]
    }

    # Largest number that the method can compute with.
    _largest_number: ClassVar[float] = _SQUARES_SAFE_TO
    # Size that one number at least shall have.
    _smallest_number: ClassVar[float] = _SQUARES_SAFE_FROM

    n_jobs: int | None
    classes_: np.ndarray
    n_samples_fit_: int
    _rows: np.ndarray
    _codes: np.ndarray

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any) -> Self:
        """Learn from labeled rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Finite training rows.
        y : array-like of shape (n_samples,)
            Class labels, numbers or strings.

        Returns
        -------
        self : object
            The fitted classifier.
        """
        with all_or_nothing(self):
            # One memory layout, so that it cannot change how sums round.
            X, y = validated(self, X, y, dtype=np.float64, order="C")
            check_labels(y)
            self._refuse_huge(X)
            self._refuse_tiny(X)
            self.classes_, codes = np.unique(y, return_inverse=True)
            self._rows = X
            self._codes = codes.astype(np.intp, copy=False)
            self.n_samples_fit_ = X.shape[0]
            self._learn(self._rows, self._codes)
            return self

    def predict(self, X: Any) -> np.ndarray:
        """Predict the class of each row; ties go to the first class in order.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features)

        Returns
        -------
        ndarray of shape (n_queries,)
        """
        shares = self.predict_proba(X)
        return self.classes_[shares.argmax(axis=1)]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Class scores of each row, scaled to sum to one.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features)

        Returns
        -------
        ndarray of shape (n_queries, n_classes)
            Columns in the order of `classes_`. The class docstring says what
            the scores are.
        """
        return self._map_queries(self._class_scores, X)

    @abstractmethod
    def _learn(self, X: np.ndarray, codes: np.ndarray) -> None:
        """Do the work of `fit` on validated rows and integer labels."""

    @abstractmethod
    def _class_scores(self, queries: np.ndarray) -> np.ndarray:
        """Scores of a block of queries, shape (n_queries, n_classes), rows sum to 1."""

    def _map_queries(
        self, function: Callable[[np.ndarray], np.ndarray], X: Any
    ) -> np.ndarray:
        """Validate queries and join what `function` says of blocks of them."""
        check_is_fitted(self)
        queries = validated(self, X, reset=False, dtype=np.float64, order="C")
        self._refuse_huge(queries)
        answers = map_chunks(
            lambda start, stop: function(queries[start:stop]),
            queries.shape[0],
            rows_per_block(self._numbers_per_query),
            self._n_threads,
        )
        return np.concatenate(answers)

    def _refuse_tiny(self, X: np.ndarray) -> None:
        if 0.0 < np.abs(X).max() < self._smallest_number:
            raise ValueError(
                f"All numbers of X are below {self._smallest_number} in size: squared "
                "distances between its rows underflow. Multiply X by a constant first."
            )

    def _refuse_huge(self, X: np.ndarray) -> None:
        row, column = np.unravel_index(np.abs(X).argmax(), X.shape)
        if not abs(X[row, column]) <= self._largest_number:
            raise ValueError(
                f"X has {X[row, column].item()!r} in row {row}, column {column}, more "
                f"than the {self._largest_number:.1e} up to which "
                f"{type(self).__name__} can compute. Divide the column by a constant "
                "first, or remove the row."
            )

    @property
    def _numbers_per_query(self) -> int:
        """Length of the longest list of numbers that a query is answered with."""
        return self.n_samples_fit_

    @property
    def _n_threads(self) -> int:
        return count_threads(self.n_jobs)

    @property
    def _n_classes(self) -> int:
        return self.classes_.shape[0]
