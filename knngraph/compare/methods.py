"""The classifiers that are compared."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sklearn.dummy import DummyClassifier
from sklearn.neighbors import KNeighborsClassifier

from knngraph.baselines import CVKNNClassifier
from knngraph.classifier import KNNGraphClassifier
from knngraph.selection import KNNGraphClassifierCV

MAJORITY = "majority class"


@dataclass(frozen=True)
class Reading:
    """One line of the table.

    Parameters
    ----------
    name : str
    code : str
        How to make it in Python.
    parameters : dict
        Set after the fit that it shares with the readings beside it.
    ours : bool
    """

    name: str
    code: str
    parameters: dict[str, Any] = field(default_factory=dict)
    ours: bool = False


@dataclass(frozen=True)
class Fit:
    """One estimator, fitted once a fold, and how it is read.

    Parameters
    ----------
    make : callable
        (seed, n_jobs) -> unfitted classifier.
    readings : list of Reading
    """

    make: Callable[[int, int], Any]
    readings: list[Reading]


def all_fits(*, quick: bool = False) -> list[Fit]:
    """Everything that is compared, simplest first.

    Parameters
    ----------
    quick : bool, default=False
        Leave out what learns a metric or its own settings.

    Returns
    -------
    list of Fit
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
        Fit(
            lambda seed, jobs: _graph(seed, jobs, "euclidean"),
            [
                _ours("lookup, ef=1", "lookup", 1),
                _ours("lookup, ef=auto", "lookup", "auto"),
                _ours("cascade", "cascade", None),
                _ours("adaptive", "adaptive", None),
            ],
        ),
    ]
    if quick:
        return fits
    return [
        *fits,
        Fit(
            lambda seed, jobs: _graph(seed, jobs, "auto"),
            [
                _ours("cascade, metric=auto", "cascade", None, "auto"),
                _ours("adaptive, metric=auto", "adaptive", None, "auto"),
            ],
        ),
        Fit(
            lambda seed, jobs: KNNGraphClassifierCV(random_state=seed, n_jobs=jobs),
            [
                Reading(
                    "KNNGraphClassifierCV",
                    "KNNGraphClassifierCV()",
                    ours=True,
                )
            ],
        ),
    ]


def _one(name: str, code: str, make: Callable[[int, int], Any]) -> Fit:
    return Fit(make, [Reading(name, code)])


def _neighbors(name: str, k: int, weights: str) -> Fit:
    code = f"KNeighborsClassifier({k}, weights={weights!r})".replace("'", '"')
    return _one(
        name,
        code,
        lambda seed, jobs: KNeighborsClassifier(k, weights=weights, n_jobs=jobs),
    )


def _graph(seed: int, jobs: int, metric: str) -> KNNGraphClassifier:
    # A cascade at fit does not warn that greedy walks miss rows: the table says so.
    return KNNGraphClassifier(
        inference="cascade", metric=metric, random_state=seed, n_jobs=jobs
    )


def _ours(
    name: str, inference: str, ef: int | str | None, metric: str | None = None
) -> Reading:
    arguments = [f'inference="{inference}"']
    if ef is not None:
        arguments.append(f"ef={ef}" if isinstance(ef, int) else f'ef="{ef}"')
    if metric is not None:
        arguments.append(f'metric="{metric}"')
    code = f"KNNGraphClassifier({', '.join(arguments)})"
    return Reading(name, code, {"inference": inference, "ef": ef}, ours=True)
