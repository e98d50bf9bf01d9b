"""A fitted model that answers, and does nothing else."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from knngraph.inference.adaptive import candidate_votes
from knngraph.inference.answer import answer_codes, answer_probabilities
from knngraph.inference.candidates import search_candidates
from knngraph.inference.cascade import stored_margin, unanimous
from knngraph.parallel import count_threads
from knngraph.serving.checks import check_served
from knngraph.serving.container import PREDICTOR, pack, read, unpack, write
from knngraph.serving.row_answer import row_answer
from knngraph.serving.rows import RowRules
from knngraph.serving.served import Served
from knngraph.serving.tree import from_tree, to_tree

if TYPE_CHECKING:
    from knngraph.condensing.classifier import CondensedClassifier

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
        Beam of the walk.

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

    __slots__ = ("__weakref__", "_answer", "_rules", "_served")

    _answer: Any
    _rules: RowRules
    _served: Served

    def __init__(self, served: Served) -> None:
        rules = RowRules(served.n_features, served.names)
        object.__setattr__(self, "_served", served)
        object.__setattr__(self, "_rules", rules)
        object.__setattr__(self, "_answer", row_answer(served, rules))
        if served.reading.inference != "lookup":
            _load_compiled_code(served)

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
        rows = self._rules.many(X)
        codes = answer_codes(self._served.model, self._reading(n_jobs), rows)
        return self._served.classes[codes]

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
        rows = self._rules.many(X)
        served = self._served
        return answer_probabilities(
            served.model, self._reading(n_jobs), served.distribution, rows
        )

    def condense(
        self,
        tolerance: float = 0.01,
        *,
        outvoted: str = "auto",
        n_jobs: int | None = None,
    ) -> "CondensedClassifier":
        """Keep only stored rows that the stored decision needs.

        Parameters
        ----------
        tolerance, outvoted
            As for `KNNGraphClassifier.condense`.
        n_jobs : int or None, default=None
            Number of threads. None is one thread, -1 all cores.

        Returns
        -------
        CondensedClassifier
            Its `to_predictor` makes the smaller predictor. Needs scikit-learn.
        """
        from knngraph.condensing.classifier import make_condensed

        return make_condensed(
            self._served, lambda nodes: nodes, tolerance, outvoted, n_jobs=n_jobs
        )

    def save(self, path: Any) -> None:
        """Write the predictor to a file without code; see `load_predictor`.

        Who reads the file meanwhile, or finds it after this process was killed,
        sees the old file or the new one, never a part.

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
        return self._served.classes.copy()

    @property
    def n_features_in_(self) -> int:
        """Number of features of a row."""
        return self._served.n_features

    @property
    def feature_names_in_(self) -> np.ndarray | None:
        """Names of the columns, where fit has seen any."""
        names = self._served.names
        return None if names is None else names.copy()

    @property
    def inference(self) -> str:
        """How queries are answered."""
        return self._served.reading.inference

    @property
    def ef(self) -> int:
        """Beam of the walk."""
        return self._served.reading.ef

    def _reading(self, n_jobs: int | None) -> Any:
        return replace(self._served.reading, n_threads=count_threads(n_jobs))

    def _packed(self) -> list[Any]:
        tree, arrays = to_tree(self._served)
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
        # A pickle is the file in other hands, with the same checks.
        return _from_bytes, (b"".join(self._packed()),)

    def __repr__(self) -> str:
        served = self._served
        return (
            f"Predictor(inference={self.inference!r}, ef={self.ef}, "
            f"n_features={served.n_features}, n_classes={len(served.classes)}, "
            f"n_points={served.model.training.n_nodes})"
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
    return Predictor(check_served(from_tree(tree, arrays)))


def _load_compiled_code(served: Served) -> None:
    """So that the first answer is as quick as the next."""
    model, problem = served.model, served.reading.problem
    row = model.training.points[:1]
    ids, squared = search_candidates(model.index, row, problem)
    candidate_votes(model.training, ids, squared, problem, trust=model.trust)
    if served.reading.inference == "cascade":
        codes = model.stored.codes[:1]
        unanimous(model.training, ids, codes)
        stored_margin(model.training, ids, squared, codes, 0.0)
