"""The methods that are compared: cross-validated on the same folds, and timed."""

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.dummy import DummyClassifier
from sklearn.metrics import recall_score
from sklearn.model_selection import StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier
from threadpoolctl import threadpool_limits

from knngraph.baselines import CVKNNClassifier
from knngraph.classifier import KNNGraphClassifier
from knngraph.selection import KNNGraphClassifierCV

MAJORITY = "majority class"
# Probabilities are kept this far from zero before their logarithm is taken: a
# class called impossible that turns out to be right costs 34.5.
SMALLEST_PROBABILITY = 1e-15
_WARM_UP_ROWS = 120
# A fold is predicted again, and the fastest time counts, while that takes no time.
_CALLS = 3
_SECONDS_OF_CALLS = 0.2


@dataclass(frozen=True)
class Method:
    """One line of the table.

    `code` makes it in Python; `parameters` are set after the fit, which the methods
    of one `Fit` share.
    """

    name: str
    code: str
    parameters: dict[str, Any] = field(default_factory=dict)
    ours: bool = False


@dataclass(frozen=True)
class Fit:
    """One estimator, fitted once a fold, and the methods that answer from that fit.

    `make` takes a seed and a number of threads.
    """

    make: Callable[[int, int], Any]
    methods: list[Method]


def all_fits(*, quick: bool = False) -> list[Fit]:
    """Everything that is compared, simplest first.

    `quick` leaves out what learns a metric or its own settings.
    """
    fits = [
        _one(
            MAJORITY,
            'DummyClassifier(strategy="prior")',
            lambda seed, jobs: DummyClassifier(strategy="prior"),
        ),
        _neighbors("1-NN", 1, "uniform"),
        _neighbors("kNN, k=5", 5, "uniform"),
        _neighbors("kNN, k=5, by distance", 5, "distance"),
        _one(
            "kNN, k by cross-validation",
            "CVKNNClassifier()",
            lambda seed, jobs: CVKNNClassifier(random_state=seed, n_jobs=jobs),
        ),
        _graph("euclidean", ", euclidean"),
    ]
    if quick:
        return fits
    every_setting = Method("KNNGraphClassifierCV", "KNNGraphClassifierCV()", ours=True)
    return [
        *fits,
        _graph("auto", ""),
        Fit(
            lambda seed, jobs: KNNGraphClassifierCV(random_state=seed, n_jobs=jobs),
            [every_setting],
        ),
    ]


def _one(name: str, code: str, make: Callable[[int, int], Any]) -> Fit:
    return Fit(make, [Method(name, code)])


def _neighbors(name: str, k: int, weights: str) -> Fit:
    return _one(
        name,
        f'KNeighborsClassifier({k}, weights="{weights}")',
        lambda seed, jobs: KNeighborsClassifier(k, weights=weights, n_jobs=jobs),
    )


def _graph(metric: str, suffix: str) -> Fit:
    """One fit of the graph classifier, and all its inferences."""
    methods = []
    for inference, ef in (
        ("lookup", 1), ("lookup", "auto"), ("cascade", None), ("adaptive", None)
    ):  # fmt: skip
        name, code = inference, f'inference="{inference}", metric="{metric}"'
        if ef is not None:
            name += f", ef={ef}"
            code += f", ef={ef}" if isinstance(ef, int) else f', ef="{ef}"'
        methods.append(
            Method(
                name + suffix,
                f"KNNGraphClassifier({code})",
                {"inference": inference, "ef": ef},
                ours=True,
            )
        )
    # A cascade at fit does not warn that the greedy search misses rows: the table
    # shows it.
    return Fit(
        lambda seed, jobs: KNNGraphClassifier(
            inference="cascade", metric=metric, random_state=seed, n_jobs=jobs
        ),
        methods,
    )


@dataclass
class Measured:
    """The figures of one method, a value a fold.

    Parameters
    ----------
    method : Method
    accuracy, balanced_accuracy, log_loss : list of float
    fit_seconds : list of float
        Empty where the fit is that of an earlier method.
    microseconds : list of float
        A query, of a batch of all test rows.
    failure : str or None
        The error where the method could not be fitted.
    warned : list of str
        The first warning of every fit and every evaluation that gave one.
    """

    method: Method
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
    rows: Any,
    codes: np.ndarray,
    make_preparation: Callable[[], Any],
    fits: list[Fit],
    *,
    n_folds: int,
    seed: int,
    n_jobs: int = 1,
    advance: Callable[[int], None] | None = None,
) -> list[Measured]:
    """Fit and evaluate every method on stratified folds.

    Parameters
    ----------
    rows : DataFrame of shape (n_rows, n_columns)
        As `make_preparation()` takes them.
    codes : ndarray of shape (n_rows,)
    make_preparation : callable
        () -> unfitted transformer; fitted on the training rows of every fold.
    seed : int
        Of the folds and of every method.
    advance : callable or None
        Called with 1 after every fit and its methods.
    """
    measured = [[Measured(method) for method in fit.methods] for fit in fits]
    folds = StratifiedKFold(n_folds, shuffle=True, random_state=seed)
    with threadpool_limits(limits=n_jobs), warnings.catch_warnings():
        _ignore_small_classes()
        for train, test in folds.split(rows, codes):
            preparation = make_preparation()
            X_train = np.asarray(preparation.fit_transform(rows.iloc[train]))
            X_test = np.asarray(preparation.transform(rows.iloc[test]))
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
        entries = [Measured(method) for method in fit.methods]
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
            if entry.method.parameters:
                model.set_params(**entry.method.parameters)
            with _warnings_of(entry):
                _measure_method(model, entry, X_test, y_test)
    except ValueError as error:
        # Five neighbors of four rows, say: a line of the table, not the end of it.
        for entry in entries:
            entry.failure = " ".join(str(error).split())


def _ignore_small_classes() -> None:
    # Classes with fewer rows than folds are a notice already.
    warnings.filterwarnings("ignore", message="The least populated class")


@contextmanager
def _warnings_of(entry: Measured) -> Iterator[None]:
    """Keep the first warning for the report, out of the way of the progress."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for category in (DeprecationWarning, FutureWarning):
            warnings.simplefilter("ignore", category)
        _ignore_small_classes()
        yield
    if caught:
        entry.warned.append(" ".join(str(caught[0].message).split()))


def _measure_method(
    model: Any, entry: Measured, X: np.ndarray, codes: np.ndarray
) -> None:
    seconds: list[float] = []
    while len(seconds) < _CALLS and sum(seconds) < _SECONDS_OF_CALLS:
        start = time.perf_counter()
        predicted = model.predict(X)
        seconds.append(time.perf_counter() - start)
    entry.microseconds.append(1e6 * min(seconds) / len(X))
    entry.accuracy.append(float((predicted == codes).mean()))
    present = np.unique(codes)
    recall = recall_score(
        codes, predicted, labels=present, average="macro", zero_division=0.0
    )
    entry.balanced_accuracy.append(float(recall))
    entry.log_loss.append(log_loss(codes, model.predict_proba(X), model.classes_))


def log_loss(
    codes: np.ndarray, probabilities: np.ndarray, classes: np.ndarray
) -> float:
    """Mean of -log of the probability of the right class, cut at 1e-15.

    `classes` are the codes of the columns of `probabilities`, in order. A class that
    the training rows do not hold has probability zero.

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.compare.cross_validation import log_loss
    >>> round(log_loss(np.array([0, 1]), np.full((2, 2), 0.5), np.array([0, 1])), 4)
    0.6931
    """
    place = np.minimum(np.searchsorted(classes, codes), len(classes) - 1)
    given = probabilities[np.arange(len(codes)), place]
    given = np.where(classes[place] == codes, given, 0.0)
    return float(-np.log(np.maximum(given, SMALLEST_PROBABILITY)).mean())
