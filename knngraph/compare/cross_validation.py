"""Cross-validation of the methods on the same folds, with times."""

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.metrics import recall_score, roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_validate

from knngraph.compare.methods import Method
from knngraph.tables.load import LabeledTable, pipeline_for

SMALLEST_PROBABILITY = 1e-15
_WARM_UP_ROWS = 120
# A fold is predicted again, and the fastest time counts, while that takes no time.
_CALLS = 3
_SECONDS_OF_CALLS = 0.2


@dataclass
class Measured:
    """The figures of one method, all but the last three a value a fold.

    `area` is that under the ROC curve, one class against the rest, the mean over the
    classes. A fit counts with the encoding of the columns, the `microseconds` of a
    query without. `predicted` has the class of every row by the fit that did not hold
    it; `failure` is the error where the method could not be fitted.
    """

    method: Method
    accuracy: Any = ()
    balanced: Any = ()
    area: Any = ()
    log_loss: Any = ()
    fit_seconds: Any = ()
    microseconds: Any = ()
    predicted: Any = None
    warned: Any = ()
    failure: str = ""

    @property
    def name(self) -> str:
        """Of the method."""
        return self.method.name

    @property
    def mean_accuracy(self) -> float:
        """Mean over the folds."""
        return float(np.mean(self.accuracy))

    @property
    def query_microseconds(self) -> float:
        """Median over the folds, which a single slow one does not move."""
        return float(np.median(self.microseconds))


def measure(
    method: Method,
    table: LabeledTable,
    folds: StratifiedKFold,
    seed: int = 0,
    advance: Callable[[int], None] = lambda n: None,
) -> Measured:
    """Cross-validate one method; `advance` is called with 1 after every fold."""
    scorer = _Scorer(table.classes, len(table.frame), advance)
    pipeline = pipeline_for(method.estimator, seed=seed)
    warned: list[str] = []
    if method.ours:
        # On random rows first, so that no time is compile time.
        X = np.random.default_rng(0).normal(size=(_WARM_UP_ROWS, 4))
        with _kept([]):
            clone(method.estimator).fit(X, X[:, 0] > 0).predict_proba(X)
    try:
        with _kept(warned):
            found = cross_validate(
                pipeline,
                table.frame,
                table.labels,
                cv=folds,
                scoring=scorer,
                error_score="raise",
            )
    except ValueError as error:
        # Five neighbors of four rows, say: a line of the table, not the end of it.
        return Measured(method, failure=" ".join(str(error).split()))
    scores = {k.removeprefix("test_"): v for k, v in found.items() if "test_" in k}
    seconds, warned = found["fit_time"], list(dict.fromkeys(warned))
    return Measured(
        method, **scores, fit_seconds=seconds, predicted=scorer.predicted, warned=warned
    )


class _Scorer:
    """Scores a fitted pipeline; keeps what it predicts for the rows of the fold."""

    def __init__(
        self, classes: np.ndarray, n_rows: int, advance: Callable[[int], None]
    ) -> None:
        self.places = {name: code for code, name in enumerate(classes)}
        self.predicted = np.zeros(n_rows, np.intp)
        self.advance = advance

    def __call__(self, pipeline: Any, X: Any, y: np.ndarray) -> dict[str, float]:
        model, rows = pipeline[-1], pipeline[:-1].transform(X)
        seconds: list[float] = []
        while len(seconds) < _CALLS and sum(seconds) < _SECONDS_OF_CALLS:
            start = time.perf_counter()
            labels = model.predict(rows)
            seconds.append(time.perf_counter() - start)
        given = np.zeros((len(y), len(self.places)))
        given[:, self._codes(model.classes_)] = model.predict_proba(rows)
        codes, predicted = self._codes(y), self._codes(labels)
        self.predicted[X.index] = predicted
        self.advance(1)
        present = np.unique(codes)
        # A class called impossible that turns out to be right costs 34.5.
        right = np.maximum(given[np.arange(len(y)), codes], SMALLEST_PROBABILITY)
        several = len(present) > 1
        areas = [roc_auc_score(codes == c, given[:, c]) for c in present if several]
        return {
            "accuracy": float((predicted == codes).mean()),
            "balanced": recall_score(
                codes, predicted, labels=present, average="macro", zero_division=0.0
            ),
            "area": float(np.mean(areas)) if several else np.nan,
            "log_loss": -float(np.log(right).mean()),
            "microseconds": 1e6 * min(seconds) / len(y),
        }

    def _codes(self, labels: np.ndarray) -> np.ndarray:
        return np.array([self.places[label] for label in labels])


@contextmanager
def _kept(messages: list[str]) -> Iterator[None]:
    """Keep warnings for the report, out of the way of the progress."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for category in (DeprecationWarning, FutureWarning):
            warnings.simplefilter("ignore", category)
        # Classes with fewer rows than folds are a notice already, and nothing can be
        # known of a category that only the held-out rows have.
        for known in ("The least populated class", "Found unknown categories"):
            warnings.filterwarnings("ignore", message=known)
        yield
    messages += [" ".join(str(warning.message).split()) for warning in caught]
