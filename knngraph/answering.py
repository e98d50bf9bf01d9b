"""`predict_proba`, `predict_set`, and `answer` with all that one search says."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from knngraph.inference.answer import (
    answer_probabilities,
    answer_sets,
    answered_blocks,
    novelty_of,
    score_at,
)
from knngraph.inference.prediction_sets import set_level
from knngraph.inference.query_model import PredictOptions, QueryModel


@dataclass(frozen=True)
class Answers:
    """Answers, and how sure they are, from one search a query.

    Parameters
    ----------
    labels : ndarray of shape (n_queries,)
        As from `predict`.
    probabilities : ndarray of shape (n_queries, n_classes)
        As from `predict_proba`.
    novelty_score, novelty_pvalue : ndarray of shape (n_queries,)
        As from the methods of these names.
    sets : ndarray of shape (n_queries, n_classes), bool, or None, default=None
        As from `predict_set`, where an `alpha` was given.
    """

    labels: np.ndarray
    probabilities: np.ndarray
    novelty_score: np.ndarray
    novelty_pvalue: np.ndarray
    sets: np.ndarray | None = None


class AnsweringMixin:
    """Answers of an estimator that has a `QueryModel`, and how sure they are."""

    classes_: Any
    _answering: Any

    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict the probability of every class.

        The shares of a vote are sharpened or softened by the exponent that fits
        left-out training rows best: the vote of the problem solved at the query or,
        where a stored label answers, of the nearest nodes around the query (cascade)
        or around the node that its search ends at (lookup).

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_queries, n_features)

        Returns
        -------
        ndarray of shape (n_queries, n_classes)
            Columns follow `classes_`.
        """
        return answer_probabilities(*self._answering(X, probabilities=True))

    def predict_set(
        self, X: Any, alpha: float = 0.1, *, per_class: bool = False
    ) -> np.ndarray:
        """Predict the classes that a row may have.

        The likeliest classes, so many that sets miss the true class of at most a
        share `alpha` of new rows like the training rows: left-out training rows show
        how many that takes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_queries, n_features)
        alpha : float, default=0.1
            Share of the sets that may miss the true class, between 0 and 1.
        per_class : bool, default=False
            Whether it is at most `alpha` in every class by itself, not only on the
            mean. Takes larger sets where some classes are harder than others.

        Returns
        -------
        ndarray of shape (n_queries, n_classes), bool
            Columns follow `classes_`. A set always holds the class that `predict`
            returns, is larger where that is less sure, and grows as `alpha` falls.

        See Also
        --------
        answer : The same with labels, probabilities and novelty, by one search.

        Notes
        -----
        Where there are too few left-out rows for an `alpha`, at all or of some
        classes, every set holds these classes, and a `KNNGraphWarning` says so. A
        condensed model that left rows out has none that could calibrate sets: a
        ValueError says so.

        Examples
        --------
        >>> from knngraph import KNNGraphClassifier
        >>> from sklearn.datasets import load_iris
        >>> X, y = load_iris(return_X_y=True)
        >>> classifier = KNNGraphClassifier(inference="adaptive", random_state=0)
        >>> sets = classifier.fit(X, y).predict_set(X[[0, 70]], alpha=0.02)
        >>> [classifier.classes_[row].tolist() for row in sets]
        [[0], [1, 2]]
        """
        model, options, rows = self._answering(X, sets=True)
        return answer_sets(model, options, rows, self.classes_, alpha, per_class)

    def answer(
        self, X: Any, alpha: float | None = None, *, per_class: bool = False
    ) -> Answers:
        """Predict classes and probabilities, and say how sure they are.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_queries, n_features)
        alpha : float or None, default=None
            As for `predict_set`; None leaves sets out.
        per_class : bool, default=False
            As for `predict_set`.

        Returns
        -------
        Answers
            What `predict`, `predict_proba`, `novelty_score`, `novelty_pvalue` and,
            with an `alpha`, `predict_set` give, by one search a row.

        Examples
        --------
        >>> from knngraph import KNNGraphClassifier
        >>> from sklearn.datasets import load_iris
        >>> X, y = load_iris(return_X_y=True)
        >>> classifier = KNNGraphClassifier(inference="cascade", random_state=0)
        >>> found = classifier.fit(X, y).answer([X[0], [5, 3, 4, 3]], alpha=0.1)
        >>> found.labels.shape, found.probabilities.shape, found.novelty_pvalue < 0.05
        ((2,), (2, 3), array([False,  True]))
        >>> found.sets[0]
        array([ True, False, False])
        """
        model, options, rows = self._answering(
            X, probabilities=True, novelty=True, sets=alpha is not None
        )
        return answers_of(model, options, rows, self.classes_, alpha, per_class)


def answers_of(
    model: QueryModel,
    options: PredictOptions,
    X: Any,
    classes: np.ndarray,
    alpha: float | None,
    per_class: bool,
) -> Answers:
    """See `AnsweringMixin.answer`."""
    level = None
    if alpha is not None:
        level = set_level(model, classes, alpha, per_class)
    shape = X.shape[0], len(classes)
    codes, nodes = np.empty(shape[0], dtype=np.intp), np.empty(shape[0], dtype=np.intp)
    squared, probabilities = np.empty(shape[0]), np.empty(shape)
    sets = None if level is None else np.empty(shape, dtype=bool)
    for one in answered_blocks(model, options, X, level):
        block, found = one.block, one.found
        codes[block], probabilities[block] = one.codes, one.probabilities
        nodes[block], squared[block] = found.nodes, found.squared[:, 0]
        if sets is not None:
            sets[block] = one.sets
    near, scores = score_at(model, nodes, squared)
    pvalues = novelty_of(model).pvalues(scores, near)
    return Answers(classes[codes], probabilities, scores, pvalues, sets)
