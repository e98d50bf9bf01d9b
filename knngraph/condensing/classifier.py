"""A classifier of few stored rows, and the report on what it keeps."""

from dataclasses import dataclass, field, replace
from numbers import Integral
from typing import Any, NoReturn

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from knngraph.answering import AnsweringMixin
from knngraph.index.build import LOOKUP_EF
from knngraph.index.medoids import MedoidSearch
from knngraph.index.protocol import ef_for
from knngraph.index.recall import WideSearch
from knngraph.inference.answer import answer_codes
from knngraph.inference.query_model import PredictOptions, QueryModel
from knngraph.kneighbors import KNeighborsInterface, SearchedRows
from knngraph.novelty import NoveltyMixin
from knngraph.parallel import count_threads
from knngraph.serving.checked_pickle import CheckedPickle
from knngraph.serving.predictor import Predictor
from knngraph.serving.predictor_state import PredictorState
from knngraph.serving.query_rows import RowRules


@dataclass(frozen=True)
class CondensingReport:
    """Size, speed and accuracy before and after.

    Prints as a short table.

    Parameters
    ----------
    n_rows : int
        Training rows.
    n_points, n_kept : int
        Distinct rows that were stored, and that are.
    bytes_before, bytes_after : int
        Of the arrays of the predictor, index included.
    ef_before, ef_after : int
        Smallest `ef` whose labels agree with exact search often enough.
    microseconds_before, microseconds_after : float
        A row of a batch of training rows, with that `ef` and one thread;
        times are of the machine, and take no part in comparisons.
    accuracy_before, accuracy_after : float
        Of lookups by exact search on left-out rows that the condensation had not
        seen; NaN where there was nothing to leave out.
    loss_error : float
        Standard error of their difference.
    n_left_out : int
        Number of those rows.
    tolerance : float
    margin : float or None
        Nearest kept row of another class over nearest of the own, minus one, that
        every served row has at least; None where every row is kept.
    n_edited : int
        Training rows that were dropped because most of their nearest others have
        another stored label (Wilson editing); 0 where they were not.
    changed_share : float
        Share of the training rows whose nearest kept row has another stored label
        than before; all of them are edited rows.
    """

    n_rows: int
    n_points: int
    n_kept: int
    bytes_before: int
    bytes_after: int
    ef_before: int
    ef_after: int
    microseconds_before: float = field(compare=False)
    microseconds_after: float = field(compare=False)
    accuracy_before: float
    accuracy_after: float
    loss_error: float
    n_left_out: int
    tolerance: float
    margin: float | None
    n_edited: int
    changed_share: float

    @property
    def kept_share(self) -> float:
        """Stored rows after over before."""
        return self.n_kept / self.n_points

    @property
    def loss(self) -> float:
        """Accuracy that left-out rows lose; negative where they gain."""
        return self.accuracy_before - self.accuracy_after

    def __str__(self) -> str:
        before_after = [
            ("stored rows", f"{self.n_points:,}", f"{self.n_kept:,}"),
            ("bytes", f"{self.bytes_before:,}", f"{self.bytes_after:,}"),
            ("ef", f"{self.ef_before}", f"{self.ef_after}"),
            (
                "microseconds a row",
                f"{self.microseconds_before:.1f}",
                f"{self.microseconds_after:.1f}",
            ),
            (
                "accuracy, left out",
                f"{self.accuracy_before:.4f}",
                f"{self.accuracy_after:.4f}",
            ),
        ]
        lines = [f"{'':20}{'before':>14}{'after':>14}"]
        lines += [f"{name:20}{b:>14}{a:>14}" for name, b, a in before_after]
        lines.append(
            f"{self.kept_share:.1%} of the stored rows are kept; "
            f"{self.changed_share:.2%} of {self.n_rows:,} training rows change their "
            f"answer; accuracy on {self.n_left_out:,} left-out rows changes by "
            f"{-self.loss:+.4f} (standard error {self.loss_error:.4f})."
        )
        return "\n".join(lines)


class CondensedClassifier(
    CheckedPickle,
    KNeighborsInterface,
    AnsweringMixin,
    NoveltyMixin,
    ClassifierMixin,
    BaseEstimator,
):
    """Answers by lookup among the rows that `condense` has kept.

    Made by `KNNGraphClassifier.condense` or `knngraph.condense`; cannot be fitted.
    Its source is not changed and not needed any more.

    Parameters
    ----------
    ef : int, "auto" or None, default="auto"
        Width of the search: "auto" is the smallest whose labels agree with exact
        search for 99 % of rows that were not in the index, None the `ef` of a lookup
        with the `walk` of the classifier it came from. May be changed at any time.
    n_jobs : int or None, default=None
        Number of threads. None is one thread, -1 all cores.

    Attributes
    ----------
    report_ : CondensingReport
        Size, speed and accuracy before and after; prints as a table.
    kept_ : ndarray of shape (n_kept,)
        For each stored row, a training row that it was; positions among the stored
        rows of the predictor where it came from one. `kneighbors` finds stored
        rows, so that `kept_[indices]` are training rows.
    n_samples_fit_ : int
        Number of stored rows.
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    n_features_in_ : int
        Number of features.

    Examples
    --------
    >>> from knngraph import KNNGraphClassifier
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> classifier = KNNGraphClassifier(metric="euclidean", ef=16, random_state=0)
    >>> small = classifier.fit(X, y).condense(tolerance=0.02)
    >>> small.report_.n_kept < 50
    True
    >>> small.predict(X[[0, 70, 140]])
    array([0, 1, 2])
    """

    n_jobs: int | None
    _state: PredictorState
    report_: CondensingReport
    kept_: np.ndarray

    def __init__(
        self, *, ef: int | str | None = "auto", n_jobs: int | None = None
    ) -> None:
        self.ef = ef
        self.n_jobs = n_jobs

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_state")

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
        codes = answer_codes(*self._answering(X))
        return self._state.classes[codes]

    def to_predictor(
        self, *, about: str = "", version: str = "", made: str = ""
    ) -> Predictor:
        """Make a small object that answers without scikit-learn.

        Parameters
        ----------
        about, version, made : str, default=""
            For its description; empty is that of the model it came from.

        Returns
        -------
        Predictor
            With the present `ef`; its `save` writes a file without code.
        """
        self._check_made()
        options, state = replace(self._options(), n_threads=1), self._state
        described = state.description
        if described is not None:
            described = described.with_texts(about=about, version=version, made=made)
        return Predictor(replace(state, options=options, description=described))

    @property
    def classes_(self) -> np.ndarray:
        """Class labels."""
        return self._state.classes

    @property
    def n_features_in_(self) -> int:
        """Number of features."""
        return self._state.n_features

    @property
    def ef_(self) -> int:
        """`ef` of the search that the parameters ask for."""
        if self.ef is None:
            from_medoids = isinstance(self._state.model.index, MedoidSearch)
            return LOOKUP_EF["medoids" if from_medoids else "hnsw"]
        if isinstance(self.ef, Integral) and self.ef > 0:
            return int(self.ef)
        if self.ef == "auto":
            return self._state.label_ef
        raise ValueError(f'ef must be a positive integer, "auto" or None: {self.ef!r}.')

    def _answering(
        self, X: Any, **parts: bool
    ) -> tuple[QueryModel, PredictOptions, Any]:
        rows = self._checked_queries(X)
        return self._state.model, self._options(), rows

    def _searched_rows(self) -> SearchedRows:
        self._check_made()
        model = self._state.model
        training = replace(
            model.training, node_of_row=np.arange(model.training.n_nodes)
        )
        index = WideSearch(model.index, max(self.ef_, ef_for(self._default_count())))
        return SearchedRows(model.space, training, index, None)

    def _default_count(self) -> int:
        return self._state.model.problem.n_neighbors

    def _checked_queries(self, X: Any) -> Any:
        self._check_made()
        return RowRules.of_state(self._state).many(X)

    def _check_made(self) -> None:
        check_is_fitted(self, msg="A %(name)s is made by condense, not constructed.")

    def _options(self) -> PredictOptions:
        return PredictOptions("lookup", self.ef_, count_threads(self.n_jobs))
