"""A classifier of few stored rows."""

from dataclasses import replace
from numbers import Integral
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from knngraph.condensing.condense import WAYS, condense_served
from knngraph.condensing.report import CondensingReport
from knngraph.inference.answer import answer_codes, answer_probabilities
from knngraph.inference.model import Reading
from knngraph.parallel import count_threads
from knngraph.serving.checked_pickle import CheckedPickle
from knngraph.serving.predictor import Predictor
from knngraph.serving.rows import RowRules
from knngraph.serving.served import Served

if TYPE_CHECKING:
    from collections.abc import Callable


class CondensedClassifier(CheckedPickle, ClassifierMixin, BaseEstimator):
    """Answers by lookup among the rows that `condense` has kept.

    Made by `KNNGraphClassifier.condense` or `Predictor.condense`; cannot be fitted.
    What it came from is not changed and not needed any more.

    Parameters
    ----------
    ef : int, "auto" or None, default="auto"
        Width of the beam of the walk: "auto" is the smallest whose labels agree
        with exact search for 99 % of rows that were not in the index, None the
        greedy walk, `ef=1`. May be changed at any time.
    n_jobs : int or None, default=None
        Number of threads. None is one thread, -1 all cores.

    Attributes
    ----------
    report_ : CondensingReport
        Size, speed and accuracy before and after; prints as a table.
    kept_ : ndarray of shape (n_kept,)
        For each stored row, a training row that it was; positions among the stored
        rows of the predictor where it came from one.
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    n_features_in_ : int
        Number of features.

    Examples
    --------
    >>> from knngraph import KNNGraphClassifier
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> classifier = KNNGraphClassifier(ef=16, random_state=0).fit(X, y)
    >>> small = classifier.condense(tolerance=0.02)
    >>> small.report_.n_kept < 50
    True
    >>> small.predict(X[[0, 70, 140]])
    array([0, 1, 2])
    """

    _served: Served
    report_: CondensingReport
    kept_: np.ndarray

    def __init__(
        self, *, ef: int | str | None = "auto", n_jobs: int | None = None
    ) -> None:
        self.ef = ef
        self.n_jobs = n_jobs

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_served")

    def fit(self, X: Any, y: Any) -> NoReturn:
        """Refuse: fit a KNNGraphClassifier, and condense that."""
        raise TypeError(
            "A condensed classifier cannot be fitted. Fit a KNNGraphClassifier and "
            "call its condense method."
        )

    def set_params(self, **params: Any) -> "CondensedClassifier":
        """Change `ef` or `n_jobs`; other ways of inference are refused.

        Parameters
        ----------
        **params : dict

        Returns
        -------
        self : CondensedClassifier
        """
        wanted = params.pop("inference", "lookup")
        if wanted != "lookup":
            raise ValueError(
                f"inference={wanted!r} needs the training rows that were dropped: a "
                "condensed classifier answers by lookup alone. Keep the classifier "
                "that it came from for other inferences."
            )
        return super().set_params(**params)

    def predict(self, X: Any) -> np.ndarray:
        """Predict the class of every row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_queries, n_features)

        Returns
        -------
        ndarray of shape (n_queries,)
        """
        rows = self._checked(X)
        codes = answer_codes(self._served.model, self._reading(), rows)
        return self._served.classes[codes]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict the probability of every class.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_queries, n_features)

        Returns
        -------
        ndarray of shape (n_queries, n_classes)
            Columns follow `classes_`. The vote of the stored row that is reached,
            calibrated as before condensing.
        """
        rows = self._checked(X)
        served = self._served
        return answer_probabilities(
            served.model, self._reading(), served.distribution, rows
        )

    def to_predictor(self) -> Predictor:
        """Make a small object that answers without scikit-learn.

        Returns
        -------
        Predictor
            With the present `ef`; its `save` writes a file without code.
        """
        self._check_made()
        reading = replace(self._reading(), n_threads=1)
        return Predictor(replace(self._served, reading=reading))

    @property
    def classes_(self) -> np.ndarray:
        """Class labels."""
        return self._served.classes

    @property
    def n_features_in_(self) -> int:
        """Number of features."""
        return self._served.n_features

    @property
    def ef_(self) -> int:
        """Beam of the walk that the parameters ask for."""
        if self.ef is None:
            return 1
        if isinstance(self.ef, Integral) and self.ef > 0:
            return int(self.ef)
        if self.ef == "auto":
            return self._served.model.label_beam
        raise ValueError(f'ef must be a positive integer, "auto" or None: {self.ef!r}.')

    def _checked(self, X: Any) -> Any:
        self._check_made()
        return RowRules(self._served.n_features, self._served.names).many(X)

    def _check_made(self) -> None:
        check_is_fitted(self, msg="A %(name)s is made by condense, not constructed.")

    def _reading(self) -> Reading:
        return replace(
            self._served.reading, ef=self.ef_, n_threads=count_threads(self.n_jobs)
        )


def make_condensed(
    served: Served,
    rows_of_nodes: "Callable[[np.ndarray], np.ndarray]",
    tolerance: Any,
    outvoted: Any,
    *,
    M: int = 16,
    ef_construction: int = 200,
    n_jobs: int | None = None,
) -> CondensedClassifier:
    """Condense a model that answers by lookup.

    Parameters
    ----------
    served : Served
    rows_of_nodes : callable
        Nodes to what `kept_` shall hold of them.
    tolerance, outvoted
        As the user gave them.
    M, ef_construction : int
        Of the new index.
    n_jobs : int or None

    Returns
    -------
    CondensedClassifier
    """
    if served.reading.inference != "lookup":
        raise ValueError(
            "condense keeps the rows that lookups need, and this one answers by "
            f"inference={served.reading.inference!r}, which needs all of them. Call "
            'set_params(inference="lookup") on the classifier first; no refit is '
            "needed."
        )
    number = isinstance(tolerance, int | float | np.number)
    if not number or isinstance(tolerance, bool) or not 0 <= tolerance < 1:
        raise ValueError(
            f"tolerance must be a number from 0 to below 1, got {tolerance!r}: the "
            "share of left-out rows that may lose their right answer."
        )
    if outvoted not in WAYS:
        raise ValueError(
            f"outvoted must be one of {', '.join(map(repr, WAYS))}, got {outvoted!r}."
        )
    small, report, kept = condense_served(
        served,
        float(tolerance),
        outvoted,
        M=M,
        ef_construction=ef_construction,
        n_threads=count_threads(n_jobs),
    )
    condensed = CondensedClassifier(n_jobs=n_jobs)
    condensed._served = small
    condensed.report_ = report
    condensed.kept_ = rows_of_nodes(kept)
    return condensed
