"""`partial_fit`, `forget` and `refresh`."""

from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.base import _fit_context
from sklearn.utils import column_or_1d
from sklearn.utils.validation import check_is_fitted

from knngraph.fitted.settings import FitSettings
from knngraph.fitting import all_or_nothing
from knngraph.learned import LearnedAttributes, ShowsLearned
from knngraph.metric.names import allows_missing
from knngraph.model import FittedModel
from knngraph.parallel import count_threads
from knngraph.updating.arguments import (
    check_same_parameters,
    checked_indices,
    codes_of_labels,
    joint_classes,
    refuse_all_rows,
    warn_of_far_rows,
)
from knngraph.updating.change import Change
from knngraph.updating.ids import checked_ids, join_ids, remove_ids, rows_of_ids
from knngraph.validation import check_classes, check_labels, validated
from knngraph.weights import (
    checked_class_weight,
    checked_sample_weight,
    in_units,
    positive_rows,
)


class UpdatableMixin(ShowsLearned):
    """`partial_fit`, `forget` and `refresh` for an estimator that fits `_fit_codes`.

    After a change the estimator holds a model whose rows are found on first use. It
    is never seen half changed: the model is exchanged in one assignment.
    """

    # Parameters that may differ from those of the fit.
    _FREE = frozenset({"inference", "walk", "ef", "n_jobs", "verbose", "random_state"})

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self,
        X: Any,
        y: Any,
        classes: Any = None,
        sample_weight: Any = None,
        *,
        ids: Any = None,
    ) -> Any:
        """Add rows to the training rows.

        The first call is a `fit`; after `fit`, rows are added to those of the fit.
        Only what the new rows touch is searched and solved again, when the model is
        next used: many small calls in a row cost little.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
        classes : array-like of shape (n_classes,), default=None
            The classes of the labels. Needed at the first call where `fit` did not come
            before; later, what it names beside `classes_` is added to them. A label
            that is in neither is refused, as it may be a mistake.
        sample_weight : array-like of shape (n_samples,), float or None, default=None
            As for `fit`, in the same units: a row of weight w stands for w copies, and
            rows of weight 0 are left out.
        ids : array-like of shape (n_samples,), default=None
            Integers or strings, which `forget` takes: no two rows have the same one.
            Rows that come without ids have numbers only.

        Returns
        -------
        self : estimator

        Notes
        -----
        Center, scale, learned map and trees stay those of the last `fit` (or of the
        first call), and numbers that all rows share until a twentieth of the rows has
        changed (see `refresh`). Otherwise answers are those of a fit on all rows
        there are: the same with an exact search, as accurate with the index.

        Examples
        --------
        >>> from knngraph import KNNGraphClassifier
        >>> from sklearn.datasets import load_iris
        >>> X, y = load_iris(return_X_y=True)
        >>> classifier = KNNGraphClassifier(ef=16, random_state=0)
        >>> classifier = classifier.partial_fit(X[:75], y[:75], classes=[0, 1, 2])
        >>> classifier.partial_fit(X[75:], y[75:]).predict(X[[0, 70, 140]])
        array([0, 1, 2])

        A class that nothing was known of:

        >>> classifier.partial_fit([[9.0, 9.0, 9.0, 9.0]], [7], classes=[7]).classes_
        array([0, 1, 2, 7])
        """
        if "_learned" not in vars(self):
            return self._first_rows(X, y, classes, sample_weight, ids)
        X, y, weights, ids = self._checked_samples(
            X, y, sample_weight, ids, reset=False
        )
        change, known = self._change_so_far(), self.classes_
        settings = self._model.settings
        if classes is not None:
            known = joint_classes(known, classes)
        if len(known) > len(self.classes_):
            code_now = codes_of_labels(self.classes_, known)
            change = change.with_classes(code_now, len(known))
            class_weight = checked_class_weight(self.class_weight, known)
            settings = replace(settings, class_weight=class_weight)
        codes = codes_of_labels(y, known)
        ids = join_ids(self._learned.ids, change.n_rows, ids, len(codes))
        weights = in_units(weights, settings.weight_unit, len(codes))
        rows = change.space.map_rows(X, n_threads=count_threads(self.n_jobs))
        warn_of_far_rows(rows, settings)
        change = change.added(rows, codes, weights)
        self._note(change, settings, known, ids)
        return self

    def forget(self, indices: Any = None, *, ids: Any = None) -> Any:
        """Remove rows from the training rows, by their numbers or by their ids.

        Parameters
        ----------
        indices : int, array-like of int, or array-like of bool of shape (n_samples,)
            Rows, counted in the order in which they were fitted and then added;
            negative ones from the end; a row that is named twice is removed once.
            A mask is true where a row is to go. Rows that stay close up, as in
            `numpy.delete`: what was row 5 is row 4 after `forget(0)`.
        ids : int, str, or array-like of them
            In place of `indices`: rows by the ids that they were given. An id that no
            row has is refused, and nothing is removed.

        Returns
        -------
        self : estimator

        Notes
        -----
        A class whose rows are all forgotten stays in `classes_`. The last row
        cannot be forgotten. Learned maps and trees stay those of the last `fit`, which
        may have seen labels of rows that are gone.

        Examples
        --------
        >>> from knngraph import KNNGraphClassifier
        >>> from sklearn.datasets import load_iris
        >>> X, y = load_iris(return_X_y=True)
        >>> classifier = KNNGraphClassifier(ef=16, random_state=0).fit(X, y)
        >>> classifier.forget(y == 1).predict(X[[0, 140]])
        array([0, 2])
        >>> classifier.labels_.shape
        (100,)

        By ids, such as the numbers of customers:

        >>> classifier = classifier.partial_fit(X[:2], y[:2], ids=["C-17", "C-9"])
        >>> classifier.forget(ids="C-17").ids_[-2:]
        array([None, 'C-9'], dtype=object)
        """
        check_is_fitted(self)
        if (indices is None) == (ids is None):
            raise ValueError(
                "Name the rows to forget either by their numbers, forget(indices), or "
                "by their ids, forget(ids=...)."
            )
        change, known = self._change_so_far(), self._learned.ids
        if ids is None:
            rows = checked_indices(indices, change.n_rows)
        else:
            rows = rows_of_ids(checked_ids(ids), known)
        refuse_all_rows(len(rows), change.n_rows)
        if len(rows):
            change, left = change.removed(rows), remove_ids(known, rows)
            self._note(change, self._model.settings, self.classes_, left)
        return self

    def refresh(self) -> Any:
        """Learn anew, at the next use, the numbers that all rows share.

        Bandwidths, label noise, the rule of a cascade and the calibration stay as they
        are until more than a twentieth of the rows have come or gone. After this call
        they are those of the rows there are, as after a `fit`.

        Returns
        -------
        self : estimator

        Examples
        --------
        >>> from knngraph import KNNGraphClassifier
        >>> from sklearn.datasets import load_iris
        >>> X, y = load_iris(return_X_y=True)
        >>> classifier = KNNGraphClassifier(ef=16, random_state=0).fit(X, y)
        >>> classifier.forget(0).refresh().predict(X[[0, 70, 140]])
        array([0, 1, 2])
        """
        check_is_fitted(self)
        change = self._change_so_far()
        if change.n_changed:
            settings, ids = self._model.settings, self._learned.ids
            self._note(change.refreshed(), settings, self.classes_, ids)
        return self

    @property
    def ids_(self) -> np.ndarray | None:
        """Ids that the rows were given, in their order; None where none has one."""
        return self._learned.ids

    def _checked_rows(self, X: Any, *y: Any, reset: bool = True) -> Any:
        """Rows of a fit, or of a call after it, validated."""
        if reset:
            allow_nan = allows_missing(self.metric)
        else:
            allow_nan = self._model.space.missing is not None
        return validated(
            self,
            X,
            *y,
            reset=reset,
            allow_nan=allow_nan,
            metric=self.metric if reset else self.metric_,
            accept_sparse="csr",
            dtype="numeric",
        )

    def _checked_samples(
        self, X: Any, y: Any, sample_weight: Any, ids: Any, *, reset: bool = True
    ) -> tuple[Any, np.ndarray, np.ndarray | None, np.ndarray | None]:
        """Rows, labels, weights and ids, validated, without rows of weight zero."""
        X, y = self._checked_rows(X, y, reset=reset)
        check_labels(y)
        y = column_or_1d(y, warn=True)
        weights = checked_sample_weight(sample_weight, len(y))
        if ids is None:
            weights, X, y = positive_rows(weights, X, y)
        else:
            ids = checked_ids(ids, len(y))
            weights, X, y, ids = positive_rows(weights, X, y, ids)
        return X, y, weights, ids

    def _first_rows(
        self, X: Any, y: Any, classes: Any, sample_weight: Any, ids: Any
    ) -> Any:
        if classes is None:
            raise ValueError(
                "classes must be passed on the first call to partial_fit: all labels "
                "that are known, for example numpy.unique of all of y."
            )
        with all_or_nothing(self):
            X, y, weights, ids = self._checked_samples(X, y, sample_weight, ids)
            classes = check_classes(classes)
            self._fit_codes(X, codes_of_labels(y, classes), classes, weights, ids)
        return self

    def _change_so_far(self) -> Change:
        fitted = self._fitted_with
        check_same_parameters(fitted, {name: getattr(self, name) for name in fitted})
        return Change.of_model(self._model)

    def _note(
        self,
        change: Change,
        settings: FitSettings,
        classes: np.ndarray,
        ids: np.ndarray | None,
    ) -> None:
        n_threads = count_threads(self.n_jobs)
        model = FittedModel(change, settings, n_threads, self.verbose)
        learned = LearnedAttributes(model, classes, ids)
        # In one step: Ctrl-C does not come in between.
        vars(self).update(classes_=classes, _learned=learned)

    def _parameters_of_learning(self) -> dict[str, Any]:
        parameters = self.get_params(deep=False)
        return {name: v for name, v in parameters.items() if name not in self._FREE}
