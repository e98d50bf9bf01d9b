"""How unlike all training rows a query is, for every model that answers.

`novelty_score`, `novelty_pvalue` and `is_novel`; `answer` says it with the answer.
"""

from typing import Any

import numpy as np

from knngraph.exceptions import KNNGraphWarning, warn_once
from knngraph.inference.answer import novelty_of, score_novelty
from knngraph.inference.left_out_ranks import OF_USUAL_ROWS, check_alpha
from knngraph.inference.query_model import PredictOptions, QueryModel


class NoveltyMixin:
    """How unlike all training rows a query is, by the rows that an answer finds."""

    _answering: Any

    def novelty_score(self, X: Any) -> np.ndarray:
        """How far every row is from the nearest training row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_queries, n_features)

        Returns
        -------
        ndarray of shape (n_queries,)
            The distance to the nearest training row, by the present metric and
            search, over what is typical of left-out training rows near rows of the
            same class: 1 is as far as usual, 0 is a copy.

        See Also
        --------
        is_novel : Which rows are farther than nearly all training rows.

        Examples
        --------
        >>> from knngraph import KNNGraphClassifier
        >>> from sklearn.datasets import load_iris
        >>> X, y = load_iris(return_X_y=True)
        >>> classifier = KNNGraphClassifier(inference="cascade", random_state=0)
        >>> scores = classifier.fit(X, y).novelty_score([X[0], [5, 3, 4, 3]])
        >>> scores[0].item(), bool(scores[1] > 2)
        (0.0, True)
        """
        return score_novelty(*self._answering(X, novelty=True))[1]

    def novelty_pvalue(self, X: Any, *, per_class: bool = False) -> np.ndarray:
        """How often a training row is as unlike all others, when it is left out.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_queries, n_features)
        per_class : bool, default=False
            Compare a row only with those left-out rows that have a nearest row of the
            same class. Then the share of false alarms is kept in every class.

        Returns
        -------
        ndarray of shape (n_queries,)
            Between 0 and 1, small for a novel row: the share of left-out rows with a
            score of at least its own, the row counted as one of them. Rows of the kind
            of the training rows have values of at most alpha in a share of alpha.

        Examples
        --------
        >>> from knngraph import KNNGraphClassifier
        >>> from sklearn.datasets import load_iris
        >>> X, y = load_iris(return_X_y=True)
        >>> classifier = KNNGraphClassifier(inference="cascade", random_state=0)
        >>> pvalues = classifier.fit(X, y).novelty_pvalue([X[0], [5, 3, 4, 3]])
        >>> pvalues[0].item(), bool(pvalues[1] < 0.05)
        (1.0, True)
        """
        return pvalues_of_novelty(
            *self._answering(X, novelty=True), per_class=per_class
        )

    def is_novel(
        self, X: Any, alpha: float = 0.05, *, per_class: bool = False
    ) -> np.ndarray:
        """Which rows are unlike all training rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_queries, n_features)
        alpha : float, default=0.05
            Share of false alarms among rows of the kind of the training rows.
        per_class : bool, default=False
            As for `novelty_pvalue`.

        Returns
        -------
        ndarray of shape (n_queries,), bool
            Whether the p-value is at most alpha.

        Examples
        --------
        >>> from knngraph import KNNGraphClassifier
        >>> from sklearn.datasets import load_iris
        >>> X, y = load_iris(return_X_y=True)
        >>> classifier = KNNGraphClassifier(inference="cascade", random_state=0)
        >>> classifier.fit(X, y).is_novel([X[0], [5, 3, 4, 3]])
        array([False,  True])
        """
        model, options, rows = self._answering(X, novelty=True)
        return find_novel(model, options, rows, alpha, per_class=per_class)


def pvalues_of_novelty(
    model: QueryModel, options: PredictOptions, X: Any, *, per_class: bool
) -> np.ndarray:
    """See `NoveltyMixin.novelty_pvalue`."""
    codes, scores = score_novelty(model, options, X)
    return novelty_of(model).pvalues(scores, codes, per_class=per_class)


def find_novel(
    model: QueryModel, options: PredictOptions, X: Any, alpha: Any, *, per_class: bool
) -> np.ndarray:
    """See `NoveltyMixin.is_novel`."""
    check_alpha(alpha, OF_USUAL_ROWS)
    codes, scores = score_novelty(model, options, X)
    novelty = novelty_of(model)
    least = novelty.least(codes, per_class=per_class) if len(codes) else 0.0
    if least > alpha:
        among = " near rows of the same class" if per_class else ""
        instead = ", or compare with all rows by per_class=False" if per_class else ""
        warn_once(
            f"alpha={alpha} asks for more than the training rows can tell: with so few "
            f"of them left out{among}, a p-value is {least:.2g} at least, and no row "
            f"there is novel. Raise alpha to {np.ceil(1e3 * least) / 1e3:g}{instead}.",
            KNNGraphWarning,
        )
    novel: np.ndarray = novelty.pvalues(scores, codes, per_class=per_class) <= alpha
    return novel
