"""`explain`, `explain_left_out`, `suspect_labels` and `clean`."""

from dataclasses import replace
from itertools import repeat
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from knngraph.inspection.explain import (
    ShownRows,
    StoredVotes,
    checked_rows,
    explain_answers,
    explain_left_out,
)
from knngraph.inspection.explanation import Explanation
from knngraph.inspection.suspects import SuspectLabels, rank_suspects, rows_to_keep
from knngraph.parallel import count_threads


class ReasonsMixin:
    """Why an answer is what it is, for an estimator that keeps a `FittedModel`."""

    classes_: np.ndarray
    graph_: Any
    ids_: Any
    n_features_in_: int
    n_jobs: int | None
    n_samples_fit_: Any
    _answering: Any
    _model: Any
    _options: Any
    _query_model: Any

    def explain(self, X: Any, n_others: int = 3) -> list[Explanation]:
        """List the training rows behind every answer, with their votes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_queries, n_features)
        n_others : int, default=3
            List so many of the nearest rows of the most probable other class as well.

        Returns
        -------
        list of Explanation
            One a row: the nearest training row, the neighbors that voted with
            their weights, labels and distances, the shares of the columns in what makes
            them near, class scores, margin, and whether a cascade resolved it. Each
            prints, has `to_frame` and, for a page with the card of the answer,
            `to_html`, which a notebook shows.

        See Also
        --------
        explain_left_out : The same for training rows, without their own votes.
        knngraph.inspection.explain_table : The same in the columns of a table.

        Examples
        --------
        >>> from knngraph import KNNGraphClassifier
        >>> from sklearn.datasets import load_iris
        >>> X, y = load_iris(return_X_y=True)
        >>> classifier = KNNGraphClassifier(ef=16, random_state=0).fit(X, y)
        >>> explanation = classifier.explain(X[[100]])[0]
        >>> explanation.row, explanation.predicted, explanation.way
        (100, 2, 'stored')
        """
        index = X.index if hasattr(X, "iloc") else None
        model, options, X = self._answering(X, sets=True, novelty=True)
        explained = explain_answers(model, options, self._shown_rows(n_others), X)
        names_of_rows = repeat(None) if index is None else iter(index)
        return [
            replace(one, query_name=name).with_ids(self.ids_)
            for one, name in zip(explained, names_of_rows)
        ]

    def explain_left_out(self, rows: Any, n_others: int = 3) -> list[Explanation]:
        """List the neighbors of training rows, with the votes on their classes.

        Parameters
        ----------
        rows : array-like of shape (n,), int
            Places among the training rows, such as those of `suspect_labels`.
        n_others : int, default=3
            As for `explain`.

        Returns
        -------
        list of Explanation
            One a row, which has no vote itself. `query` is the row. The vote is the
            adaptive one, whatever `inference` is, and given labels count in full.
            With a learned map rows are compared under one that has not seen the row;
            shares of the columns are those of the map of all rows.

        Examples
        --------
        >>> from knngraph import KNNGraphClassifier
        >>> from sklearn.datasets import load_iris
        >>> X, y = load_iris(return_X_y=True)
        >>> y[60] = 0
        >>> classifier = KNNGraphClassifier(random_state=0).fit(X, y)
        >>> explanation = classifier.explain_left_out([60])[0]
        >>> explanation.query, explanation.predicted
        (60, 1)
        """
        check_is_fitted(self)
        left_out = checked_rows(rows, self.n_samples_fit_)
        options = replace(self._options(), inference="adaptive")
        model = self._query_model(options, probabilities=True)
        explained = explain_left_out(
            model,
            options,
            self._shown_rows(n_others),
            self._model.left_out_neighbors,
            self._model.rows.out_of_fold,
            left_out,
        )
        return [one.with_ids(self.ids_) for one in explained]

    def _shown_rows(self, n_others: int) -> ShownRows:
        self_weight = self._model.settings.graph.self_weight
        votes = StoredVotes(self.graph_, self._model.stored, self_weight)
        names = getattr(self, "feature_names_in_", None)
        if names is None:
            names = [f"x{j}" for j in range(self.n_features_in_)]
        return ShownRows(votes, self.classes_, tuple(map(str, names)), n_others)

    def suspect_labels(self, k: int | None = None) -> SuspectLabels:
        """Training rows with a given label that is likely wrong.

        Every row, left out, has an adaptive vote. Calibrated, and with
        `noise_matrix_`, it gives the probability that the given label is right: rows
        with the smallest come first, where that is equal those with the most probable
        suggestion, then the order of the rows. Nothing is changed: `relabeled_` stays
        what fit did. Weights of classes do not count.

        Parameters
        ----------
        k : int or None, default=None
            Number of rows; None gives all of them in order.

        Returns
        -------
        SuspectLabels
            "rows", "given", "suggested", "probability" and "suggested_probability",
            each of shape (k,), and "ids" where rows have ids. Rows are counted among
            those of positive weight.

        See Also
        --------
        clean : The rows without them.

        Examples
        --------
        >>> from knngraph import KNNGraphClassifier
        >>> from sklearn.datasets import load_iris
        >>> X, y = load_iris(return_X_y=True)
        >>> y[[3, 60]] = 2, 0
        >>> classifier = KNNGraphClassifier(inference="adaptive", random_state=0)
        >>> classifier = classifier.fit(X, y)
        >>> sorted(classifier.suspect_labels(2).rows.tolist())
        [3, 60]
        """
        check_is_fitted(self)
        self._model.use_threads(count_threads(self.n_jobs))
        model = self._model
        return rank_suspects(
            model.training, model.label_quality, self.classes_, k, self.ids_
        )

    def clean(self, remove: float | None = None) -> np.ndarray:
        """Rows to keep for another classifier: all but the most suspect labels.

        Parameters
        ----------
        remove : int, float or None, default=None
            An integer is the number of rows that are left out, a float below 1.0
            their share; None leaves out as many as are expected to be wrong, the sum
            of the probabilities that `suspect_labels` gives. One row of every class is
            kept.

        Returns
        -------
        ndarray of shape (n_kept,), intp, ascending

        Examples
        --------
        >>> from knngraph import KNNGraphClassifierCV
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.linear_model import LogisticRegression
        >>> X, y = load_iris(return_X_y=True)
        >>> y[[3, 60]] = 2, 0
        >>> keep = KNNGraphClassifierCV(random_state=0).fit(X, y).clean(2)
        >>> model = LogisticRegression(max_iter=1000).fit(X[keep], y[keep])
        >>> model.predict(X[[3, 60]])
        array([0, 1])
        """
        return rows_to_keep(self.suspect_labels(), remove)
