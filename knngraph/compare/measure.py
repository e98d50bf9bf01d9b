"""Cross-validate every method on the same folds, and time it."""

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.metrics import recall_score
from sklearn.model_selection import StratifiedKFold
from threadpoolctl import threadpool_limits

from knngraph.compare.methods import Fit, Reading

# Probabilities are kept this far from zero before their logarithm is taken: a
# method that says "impossible" of what happens is charged 34.5.
SMALLEST_PROBABILITY = 1e-15
_WARM_UP_ROWS = 120
# A fold is asked again, and the fastest answer counts, while that takes no time.
_CALLS = 3
_SECONDS_OF_CALLS = 0.2


@dataclass
class Measured:
    """What one method did, a value a fold.

    Parameters
    ----------
    reading : Reading
    accuracy, balanced_accuracy, log_loss : list of float
    fit_seconds : list of float
        Empty where the fit is that of an earlier method.
    microseconds : list of float
        A query, of a batch of all test rows.
    failure : str or None
        What the method said where it could not be fitted.
    warned : list of str
        The first warning of every fit and of every reading that gave one.
    """

    reading: Reading
    accuracy: list[float] = field(default_factory=list)
    balanced_accuracy: list[float] = field(default_factory=list)
    log_loss: list[float] = field(default_factory=list)
    fit_seconds: list[float] = field(default_factory=list)
    microseconds: list[float] = field(default_factory=list)
    failure: str | None = None
    warned: list[str] = field(default_factory=list)

    @property
    def mean_accuracy(self) -> float:
        """Mean over the folds."""
        return float(np.mean(self.accuracy))

    @property
    def spread(self) -> float:
        """Standard deviation over the folds."""
        return float(np.std(self.accuracy, ddof=1))

    @property
    def query_microseconds(self) -> float:
        """Median over the folds, which a single slow one does not move."""
        return float(np.median(self.microseconds))


def cross_validate(
    rows: np.ndarray,
    codes: np.ndarray,
    make_preparation: Callable[[], Any],
    fits: list[Fit],
    *,
    n_folds: int,
    seed: int,
    n_jobs: int = 1,
    advance: Callable[[int], None] | None = None,
) -> list[Measured]:
    """Fit and ask every method on stratified folds.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_columns)
        As `make_preparation()` takes them.
    codes : ndarray of shape (n_rows,)
    make_preparation : callable
        () -> unfitted transformer; fitted on the training rows of every fold.
    fits : list of Fit
    n_folds : int
    seed : int
        Of the folds and of every method.
    n_jobs : int, default=1
    advance : callable or None
        Called with 1 after every fit and its readings.

    Returns
    -------
    list of Measured
        In the order of the readings.
    """
    measured = [[Measured(reading) for reading in fit.readings] for fit in fits]
    folds = StratifiedKFold(n_folds, shuffle=True, random_state=seed)
    with threadpool_limits(limits=n_jobs), warnings.catch_warnings():
        _ignore_what_is_told()
        for train, test in folds.split(rows, codes):
            preparation = make_preparation()
            X_train = preparation.fit_transform(rows[train])
            X_test = preparation.transform(rows[test])
            for fit, entries in zip(fits, measured):
                _measure_fit(
                    fit, entries, X_train, codes[train], X_test, codes[test], seed,
                    n_jobs,
                )  # fmt: skip
                if advance is not None:
                    advance(1)
    return [entry for entries in measured for entry in entries]


def warm_up(
    fits: list[Fit],
    *,
    n_jobs: int = 1,
    advance: Callable[[int], None] | None = None,
) -> None:
    """Run everything once on random rows, so that no time is compile time."""
    random = np.random.default_rng(0)
    X = random.normal(size=(_WARM_UP_ROWS, 4))
    codes = np.arange(_WARM_UP_ROWS) % 2
    for fit in fits:
        entries = [Measured(reading) for reading in fit.readings]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _measure_fit(fit, entries, X, codes, X, codes, 0, n_jobs)
        if advance is not None:
            advance(1)


def _measure_fit(
    fit: Fit,
    entries: list[Measured],
    X_train: np.ndarray,
    y_train: np.ndarray,
    X_test: np.ndarray,
    y_test: np.ndarray,
    seed: int,
    n_jobs: int,
) -> None:
    if entries[0].failure is not None:
        return
    model = fit.make(seed, n_jobs)
    try:
        with _warnings_of(entries[0]):
            start = time.perf_counter()
            model.fit(X_train, y_train)
            entries[0].fit_seconds.append(time.perf_counter() - start)
        for entry in entries:
            if entry.reading.parameters:
                model.set_params(**entry.reading.parameters)
            with _warnings_of(entry):
                _measure_reading(model, entry, X_test, y_test)
    except ValueError as error:
        # Five neighbors of four rows, say: a line of the table, not the end of it.
        for entry in entries:
            entry.failure = " ".join(str(error).split())


def _ignore_what_is_told() -> None:
    # Classes with fewer rows than folds have been told to the user.
    warnings.filterwarnings("ignore", message="The least populated class")


@contextmanager
def _warnings_of(entry: Measured) -> Iterator[None]:
    """Keep the first warning for the report, out of the way of the progress."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for category in (DeprecationWarning, FutureWarning):
            warnings.simplefilter("ignore", category)
        _ignore_what_is_told()
        yield
    if told:
        entry.warned.append(" ".join(str(told[0].message).split()))


def _measure_reading(
    model: Any, entry: Measured, X: np.ndarray, codes: np.ndarray
) -> None:
    seconds: list[float] = []
    while len(seconds) < _CALLS and sum(seconds) < _SECONDS_OF_CALLS:
        start = time.perf_counter()
        predicted = model.predict(X)
        seconds.append(time.perf_counter() - start)
    entry.microseconds.append(1e6 * min(seconds) / len(X))
    entry.accuracy.append(float((predicted == codes).mean()))
    entry.balanced_accuracy.append(
        float(
            recall_score(
                codes,
                predicted,
                labels=np.unique(codes),
                average="macro",
                zero_division=0.0,
            )
        )
    )
    entry.log_loss.append(log_loss(codes, model.predict_proba(X), model.classes_))


def log_loss(
    codes: np.ndarray, probabilities: np.ndarray, classes: np.ndarray
) -> float:
    """Mean of -log of what the right class was given, at least 1e-15.

    A class that the training rows did not hold was given nothing.

    Parameters
    ----------
    codes : ndarray of shape (n,)
    probabilities : ndarray of shape (n, n_known)
    classes : ndarray of shape (n_known,)
        Codes of the columns, in order.

    Returns
    -------
    float

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.compare.measure import log_loss
    >>> round(log_loss(np.array([0, 1]), np.full((2, 2), 0.5), np.array([0, 1])), 4)
    0.6931
    """
    place = np.minimum(np.searchsorted(classes, codes), len(classes) - 1)
    given = probabilities[np.arange(len(codes)), place]
    given = np.where(classes[place] == codes, given, 0.0)
    return float(-np.log(np.maximum(given, SMALLEST_PROBABILITY)).mean())
