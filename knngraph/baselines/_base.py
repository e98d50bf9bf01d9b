"""What the baselines share: validation, class codes, blocks of queries, and tuning."""

from abc import ABCMeta, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from inspect import cleandoc
from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, _fit_context, clone
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    LeaveOneOut,
    StratifiedKFold,
    check_cv,
)
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import check_is_fitted

from knngraph.baselines._neighbors import rows_per_block
from knngraph.fitting import all_or_nothing
from knngraph.parallel import count_threads, map_chunks
from knngraph.parameters import CheckedParameters
from knngraph.serving.checked_pickle import CheckedPickle
from knngraph.validation import check_labels, validated

Fold = tuple[np.ndarray, np.ndarray]
# Constraints of the parameters of a baseline that `tune` settles.
TUNED: dict[str, list[Any]] = {
    "cv": ["cv_object", StrOptions({"loo"})],
    "random_state": ["random_state"],
}
# Entries of docstrings that several baselines have, by the `%(name)s` they stand for.
_ENTRIES = {
    "cv": """cv : int, "loo", splitter, iterable of splits or None, default=5
        Folds of the inner cross-validation, where a parameter is "cv". A
        number means shuffled folds, stratified where every class has that many
        rows. None means 5.""",
    "n_jobs": """n_jobs : int or None, default=None
        Number of threads.""",
    "random_state": """random_state : int, RandomState instance or None, default=None
        Shuffles the rows over the folds.""",
    "weights": """weights : {"uniform", "distance"}, default="uniform"
        Equal votes, or votes by one over the distance.""",
    "fitted": """classes_ : ndarray of shape (n_classes,)
        Class labels in order.
    n_samples_fit_ : int
        Number of training rows.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where `fit` was given any.""",
}
# Squares of numbers within these bounds, and sums of them, stay normal numbers.
_SQUARES_SAFE_FROM, _SQUARES_SAFE_TO = 1e-140, 1e140


class BaselineClassifier(
    CheckedPickle, CheckedParameters, ClassifierMixin, BaseEstimator, metaclass=ABCMeta
):
    """Base of the baselines; a subclass says how it learns and how it scores.

    A subclass is a dataclass of its parameters. It writes `_learn`, called once
    with validated rows and integer labels, and `_class_scores`, called with blocks
    of validated queries. The answer for a query may depend on that query alone,
    never on its block.

    In its docstring `%(cv)s`, `%(n_jobs)s`, `%(random_state)s`, `%(weights)s` and
    `%(fitted)s` stand for entries that several baselines have.
    """

    # Further entries for the docstring of a class and its subclasses.
    _entries: ClassVar[dict[str, str]] = {}

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_jobs": [Integral, None]
    }

    # Largest number that the method can compute with.
    _largest_number: ClassVar[float] = _SQUARES_SAFE_TO
    # Size that one number at least shall have.
    _smallest_number: ClassVar[float] = _SQUARES_SAFE_FROM
    # What rows are converted to; "numeric" leaves numbers as they are.
    _type_of_rows: ClassVar[Any] = np.float64

    n_jobs: int | None
    classes_: np.ndarray
    n_samples_fit_: int
    _codes: np.ndarray

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if not cls.__doc__:  # under python -OO
            return
        # Python strips the indentation of docstrings itself from 3.13 on.
        cls.__doc__ = cleandoc(cls.__doc__)
        for name, entry in (cls._entries | _ENTRIES).items():
            cls.__doc__ = cls.__doc__.replace(
                f"%({name})s", entry.replace("\n    ", "\n")
            )

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
            X, y = validated(self, X, y, dtype=self._type_of_rows, order="C")
            check_labels(y)
            self._refuse_huge(X)
            self._refuse_tiny(X)
            self.classes_, codes = np.unique(y, return_inverse=True)
            self._codes = codes.astype(np.intp, copy=False)
            self.n_samples_fit_ = X.shape[0]
            self._learn(X, self._codes)
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
        dtype = self._type_of_rows
        queries = validated(self, X, reset=False, dtype=dtype, order="C")
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


class NeighborCountMixin:
    """Adds the number of training rows that take part in an answer."""

    def n_neighbors_used(self, X: Any) -> np.ndarray:
        """Number of training rows that take part in the answer to each query.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features)

        Returns
        -------
        ndarray of shape (n_queries,)
            Zero where no row takes part.
        """
        return self._map_queries(self._count_neighbors, X)  # type: ignore[attr-defined]


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
    cv, random_state
        As in `CVKNNClassifier`.

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
    X, codes
        As in `make_folds`.

    Returns
    -------
    dict
        A value for every name in `grids`.
    """
    settings = {name: getattr(estimator, name) for name in grids}
    undecided = {
        name: list(grid) for name, grid in grids.items() if settings[name] == "cv"
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
