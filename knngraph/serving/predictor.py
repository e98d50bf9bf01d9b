"""A fitted model that answers queries, and does nothing else."""

from dataclasses import replace
from typing import Any

import numpy as np

from knngraph.answering import Answers, answers_of
from knngraph.inference.adaptive import candidate_votes, search_candidates
from knngraph.inference.answer import (
    answer_codes,
    answer_probabilities,
    answer_sets,
    score_novelty,
)
from knngraph.inference.cascade import all_agree, stored_margin
from knngraph.inference.near_votes import near_votes
from knngraph.inference.query_model import PredictOptions, QueryModel
from knngraph.novelty import (
    find_novel,
    pvalues_of_novelty,
)
from knngraph.parallel import count_threads
from knngraph.serving.container import PREDICTOR, pack, read, unpack, write
from knngraph.serving.description import Description
from knngraph.serving.predictor_state import PredictorState, checked_state
from knngraph.serving.query_rows import RowRules, row_answer
from knngraph.serving.tree import from_tree, to_tree

FORMAT_VERSION = 1


class Predictor:
    """Answers of a fitted classifier, for programs that serve them.

    Made by `KNNGraphClassifier.to_predictor` or `load_predictor`. Calls and loading
    need no scikit-learn. The answers are those of the classifier to the bit, with
    the `inference` and `ef` that it had. A predictor never changes: any number of
    threads may share one, and a copy of it is itself.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    n_features_in_ : int
        Number of features of a row.
    feature_names_in_ : ndarray of shape (`n_features_in_`,) or None
        Names of the columns, where fit has seen any.
    inference : {"lookup", "adaptive", "cascade"}
    ef : int
        `ef` of the search.
    description : Description or None
        What it was made of, how good it was, and what the user says of it; None in
        files of earlier releases.

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph import KNNGraphClassifier
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> predictor = KNNGraphClassifier(random_state=0).fit(X, y).to_predictor()
    >>> predictor
    Predictor(inference='lookup', ef=1, n_features=4, n_classes=3, n_points=149)
    >>> predictor(X[70].astype(np.float32)).item()
    1
    >>> predictor.predict(X[[0, 70, 140]])
    array([0, 1, 2])
    """

    __slots__ = ("__weakref__", "_answer", "_rules", "_state")

    _answer: Any
    _rules: RowRules
    _state: PredictorState

    def __init__(self, state: PredictorState) -> None:
        rules = RowRules.of_state(state)
        object.__setattr__(self, "_state", state)
        object.__setattr__(self, "_rules", rules)
        object.__setattr__(self, "_answer", row_answer(state, rules))
        _load_compiled_code(state)

    def __call__(self, x: Any) -> Any:
        """Predict the class of one row.

        Parameters
        ----------
        x : array-like of shape (n_features,)
            The quick way is a float32 array.

        Returns
        -------
        label : scalar
            Of the type that the estimator's `predict` returns in its array;
            `.item()` makes a plain Python value of a numpy one.
        """
        return self._answer(x)

    def predict(self, X: Any, *, n_jobs: int | None = None) -> np.ndarray:
        """Predict the class of every row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_queries, n_features)
        n_jobs : int or None, default=None
            Number of threads. None is one thread, -1 all cores.

        Returns
        -------
        ndarray of shape (n_queries,)
        """
        return self._state.classes[answer_codes(*self._answering(X, n_jobs))]

    def predict_proba(self, X: Any, *, n_jobs: int | None = None) -> np.ndarray:
        """Predict the probability of every class.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_queries, n_features)
        n_jobs : int or None, default=None
            Number of threads. None is one thread, -1 all cores.

        Returns
        -------
        ndarray of shape (n_queries, n_classes)
            Columns follow `classes_`.
        """
        return answer_probabilities(*self._answering(X, n_jobs))

    def predict_set(
        self,
        X: Any,
        alpha: float = 0.1,
        *,
        per_class: bool = False,
        n_jobs: int | None = None,
    ) -> np.ndarray:
        """Predict the classes that a row may have.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_queries, n_features)
        alpha : float, default=0.1
            Share of the sets that may miss the true class, between 0 and 1.
        per_class : bool, default=False
            Whether it is at most `alpha` in every class by itself.
        n_jobs : int or None, default=None
            Number of threads. None is one thread, -1 all cores.

        Returns
        -------
        ndarray of shape (n_queries, n_classes), bool
            Columns follow `classes_`; see `KNNGraphClassifier.predict_set`.
        """
        model, options, rows = self._answering(X, n_jobs)
        return answer_sets(model, options, rows, self._state.classes, alpha, per_class)

    def answer(
        self,
        X: Any,
        alpha: float | None = None,
        *,
        per_class: bool = False,
        n_jobs: int | None = None,
    ) -> Answers:
        """Predict classes and probabilities, and say how sure they are.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_queries, n_features)
        alpha : float or None, default=None
            As for `predict_set`; None leaves sets out.
        per_class : bool, default=False
            As for `predict_set`.
        n_jobs : int or None, default=None
            Number of threads. None is one thread, -1 all cores.

        Returns
        -------
        Answers
            What `predict`, `predict_proba`, `novelty_score`, `novelty_pvalue` and,
            with an `alpha`, `predict_set` give, by one search a row.
        """
        model, options, rows = self._answering(X, n_jobs)
        return answers_of(model, options, rows, self._state.classes, alpha, per_class)

    def novelty_score(self, X: Any, *, n_jobs: int | None = None) -> np.ndarray:
        """How far every row is from the nearest training row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_queries, n_features)
        n_jobs : int or None, default=None
            Number of threads. None is one thread, -1 all cores.

        Returns
        -------
        ndarray of shape (n_queries,)
            In units of what is typical of left-out training rows near rows of the
            same class; see `KNNGraphClassifier.novelty_score`.
        """
        return score_novelty(*self._answering(X, n_jobs))[1]

    def novelty_pvalue(
        self, X: Any, *, per_class: bool = False, n_jobs: int | None = None
    ) -> np.ndarray:
        """How often a training row is as unlike all others, when it is left out.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_queries, n_features)
        per_class : bool, default=False
            Compare a row only with those left-out rows that have a nearest row of the
            same class.
        n_jobs : int or None, default=None
            Number of threads. None is one thread, -1 all cores.

        Returns
        -------
        ndarray of shape (n_queries,)
            Small for a novel row; see `KNNGraphClassifier.novelty_pvalue`.
        """
        return pvalues_of_novelty(*self._answering(X, n_jobs), per_class=per_class)

    def is_novel(
        self,
        X: Any,
        alpha: float = 0.05,
        *,
        per_class: bool = False,
        n_jobs: int | None = None,
    ) -> np.ndarray:
        """Which rows are unlike all training rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_queries, n_features)
        alpha : float, default=0.05
            Share of false alarms among rows of the kind of the training rows.
        per_class : bool, default=False
            As for `novelty_pvalue`.
        n_jobs : int or None, default=None
            Number of threads. None is one thread, -1 all cores.

        Returns
        -------
        ndarray of shape (n_queries,), bool
        """
        return find_novel(*self._answering(X, n_jobs), alpha, per_class=per_class)

    def explain(self, X: Any, n_others: int = 3) -> list[Any]:
        """List the training rows behind every answer.

        Loads scikit-learn, which other answers do without.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_queries, n_features)
        n_others : int, default=3
            List so many of the nearest rows of the most probable other class as well.

        Returns
        -------
        list of Explanation
            As from `KNNGraphClassifier.explain`, with `to_html` for a page with the
            card of the answer. `row` counts the distinct rows that the predictor
            holds; `id` is the number of the training row, or what the user gave it for
            a name. Behind a stored label stands the row that it is stored on: the graph
            that it comes from is not in a predictor. Columns are those of the rows, in
            their units, without those that the steps drop; behind PCA they are those
            that come out of it.

        Examples
        --------
        >>> from knngraph import KNNGraphClassifier
        >>> from sklearn.datasets import load_iris
        >>> X, y = load_iris(return_X_y=True)
        >>> predictor = KNNGraphClassifier(random_state=0).fit(X, y).to_predictor()
        >>> explanation = predictor.explain(X[[100]])[0]
        >>> explanation.row_id, explanation.predicted
        (100, 2)
        """
        from knngraph.serving.explained import explain_rows

        rows, state = self._rules.many(X), self._state
        return explain_rows(state, self._options(None), rows, n_others)

    def save(self, path: Any) -> None:
        """Write the predictor to a file without code; see `load_predictor`.

        A reader sees the old file or the new one, never a part, even where this
        process is killed meanwhile.

        Parameters
        ----------
        path : path-like

        Examples
        --------
        >>> import os, tempfile
        >>> import knngraph
        >>> from sklearn.datasets import load_iris
        >>> X, y = load_iris(return_X_y=True)
        >>> classifier = knngraph.KNNGraphClassifier(random_state=0).fit(X, y)
        >>> path = os.path.join(tempfile.mkdtemp(), "iris.knngraph")
        >>> classifier.to_predictor().save(path)
        >>> knngraph.load_predictor(path).predict(X[[0, 70, 140]])
        array([0, 1, 2])
        """
        write(path, self._packed())

    @property
    def classes_(self) -> np.ndarray:
        """Class labels."""
        return self._state.classes.copy()

    @property
    def n_features_in_(self) -> int:
        """Number of features of a row."""
        return self._state.n_features

    @property
    def feature_names_in_(self) -> np.ndarray | None:
        """Names of the columns, where fit has seen any."""
        names = self._state.names
        return None if names is None else names.copy()

    @property
    def inference(self) -> str:
        """How queries are answered."""
        return self._state.options.inference

    @property
    def ef(self) -> int:
        """`ef` of the search."""
        return self._state.options.ef

    @property
    def description(self) -> Description | None:
        """What it was made of, how good it was, and what the user says of it."""
        return self._state.description

    def _answering(
        self, X: Any, n_jobs: int | None
    ) -> tuple[QueryModel, PredictOptions, Any]:
        rows = self._rules.many(X)
        return self._state.model, self._options(n_jobs), rows

    def _options(self, n_jobs: int | None) -> PredictOptions:
        return replace(self._state.options, n_threads=count_threads(n_jobs))

    def _packed(self) -> list[Any]:
        tree, arrays = to_tree(self._state)
        return pack(PREDICTOR, FORMAT_VERSION, tree, arrays)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError("A predictor does not change: make another one.")

    def __delattr__(self, name: str) -> None:
        raise AttributeError("A predictor does not change: make another one.")

    def __copy__(self) -> "Predictor":
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> "Predictor":
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        # A pickle holds the bytes of the file, with the same checks.
        return _from_bytes, (b"".join(self._packed()),)

    def __repr__(self) -> str:
        state = self._state
        return (
            f"Predictor(inference={self.inference!r}, ef={self.ef}, "
            f"n_features={state.n_features}, n_classes={len(state.classes)}, "
            f"n_points={state.model.training.n_nodes})"
        )


def load_predictor(path: Any, *, mmap: bool = True) -> Predictor:
    """Read a predictor from a file.

    The file holds no code, and every byte of it is verified before it is used.

    Parameters
    ----------
    path : path-like
        Written by `Predictor.save`.
    mmap : bool, default=True
        Map the file into memory, where processes that load it share its pages,
        instead of reading a copy. A mapped file may be replaced (as `save` does)
        or deleted, but not written into.

    Returns
    -------
    Predictor

    Raises
    ------
    SavedModelError
        Where the file is damaged, cut off, of a newer format or something else.
    """
    return _from_content(*read(path, PREDICTOR, FORMAT_VERSION, mapped=mmap))


def _from_bytes(content: bytes) -> Predictor:
    # Writable, as any other array: compiled code tells the two apart.
    return _from_content(*unpack(bytearray(content), PREDICTOR, FORMAT_VERSION))


def _from_content(tree: Any, arrays: dict[str, np.ndarray]) -> Predictor:
    return Predictor(checked_state(from_tree(tree, arrays)))


def _load_compiled_code(state: PredictorState) -> None:
    """So that the first answer is as quick as the next."""
    model = state.model
    model.space.map_block(np.zeros((1, state.n_features)))
    row = model.training.points[:1]
    if state.options.inference == "lookup":
        model.index.nearest(row, 1)
        return
    ids, squared = search_candidates(model.index, row, model.problem)
    candidate_votes(
        model.training, ids, squared, model.problem, reliability=model.reliability
    )
    if model.stored is not None:
        codes = model.stored.codes[:1]
        all_agree(model.training, ids, codes)
        stored_margin(model.training, ids, squared, codes, 0.0)
        near_votes(model.training, ids, squared)
