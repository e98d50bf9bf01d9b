"""A stream of mixed changes on one model, held against fits on the same rows.

    python -m benchmarks.updating --changes --data-dir DIR [--write-docs]

One model an inference gets 2,000 changes, each followed by an answer: a row comes, or a
row goes, old or new, as often. The rows that come drift from the first half of the
classes to the second. At ten points of the stream a fit on the rows that are there
answers the same test rows.
"""

import os
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil

from benchmarks.datasets import TABULAR, load, scale
from benchmarks.machine import conditions, described
from benchmarks.pages import table
from knngraph import KNNGraphClassifier

SETS = ("letter", "magic", "mnist")
INFERENCES = ("lookup", "adaptive", "cascade")
N_FIRST, N_POOL, N_TEST = 5500, 3000, 10_000
N_CHANGES, N_POINTS = 2000, 10
# Wide enough that lookups in two graphs end at the same row: what is compared is the
# labels.
EF = 32
# How many times likelier a row of one half of the classes is at either end.
_DRIFT = 9.0


@dataclass
class Track:
    """What a stream of changes with one inference has shown.

    Parameters
    ----------
    fit_seconds : list of float
        Of the fits at the points, processor time.
    change_seconds : list of float
        Of every change and the answer after it.
    differences : list of float
        Accuracy of the changed model minus that of the fit, in points of percent.
    resident : list of int
        Bytes of the process at the points.
    """

    fit_seconds: list[float] = field(default_factory=list)
    change_seconds: list[float] = field(default_factory=list)
    differences: list[float] = field(default_factory=list)
    resident: list[int] = field(default_factory=list)


def changes(y: np.ndarray, n_changes: int, seed: int = 0) -> list[tuple[str, int]]:
    """("add", row of the pool) and ("forget", number of the row) in turn at random.

    Parameters
    ----------
    y : ndarray of shape (n_first + n_pool,)
        Classes; the pool lies behind the first rows.
    """
    random = np.random.default_rng(seed)
    n_there, found = N_FIRST, []
    pool = np.arange(N_FIRST, len(y))
    later = y[pool] > np.median(np.unique(y)) - 0.5
    free = np.ones(len(pool), dtype=bool)
    for number in range(n_changes):
        if random.random() < 0.5:
            share = number / n_changes
            odds = _DRIFT ** np.where(later, share, 1.0 - share) * free
            place = random.choice(len(pool), p=odds / odds.sum())
            free[place] = False
            found.append(("add", int(pool[place])))
            n_there += 1
        else:
            found.append(("forget", int(random.integers(n_there))))
            n_there -= 1
    return found


def track(
    X: np.ndarray,
    y: np.ndarray,
    queries: np.ndarray,
    answers: np.ndarray,
    inference: str,
    n_changes: int = N_CHANGES,
) -> Track:
    """Carry out a stream, and fit anew at ten points of it."""
    settings = {
        "inference": inference,
        "metric": "euclidean",  # a map stays that of the first fit
        "ef": EF,
        "random_state": 0,
    }
    model = KNNGraphClassifier(**settings).fit(X[:N_FIRST], y[:N_FIRST])
    there, seen, process = list(range(N_FIRST)), Track(), psutil.Process(os.getpid())
    for number, (kind, row) in enumerate(changes(y, n_changes)):
        start = time.process_time()
        if kind == "add":
            model.partial_fit(X[row : row + 1], y[row : row + 1])
        else:
            model.forget(row)
        model.predict(queries[number % len(queries)][None])
        seen.change_seconds.append(time.process_time() - start)
        if kind == "add":
            there.append(row)
        else:
            del there[row]
        if (number + 1) % (n_changes // N_POINTS) == 0:
            start = time.process_time()
            fresh = KNNGraphClassifier(**settings).fit(X[there], y[there])
            seen.fit_seconds.append(time.process_time() - start)
            gain = model.score(queries, answers) - fresh.score(queries, answers)
            seen.differences.append(100.0 * gain)
            seen.resident.append(process.memory_info().rss)
    return seen


def tracks(name: str, data_dir: Path | None) -> dict[str, Track]:
    """A stream an inference on one set."""
    n_rows = N_FIRST + N_POOL + N_TEST
    X, y = load(name, data_dir, max_rows=n_rows)
    some = np.random.default_rng(0).permutation(len(X))
    X, y = X[some], y[some]
    train = slice(0, N_FIRST + N_POOL)
    test = slice(N_FIRST + N_POOL, None)
    X_train, y_train, X_test, y_test = scale(
        X[train], X[test], scaled=name in TABULAR, y=(y[train], y[test])
    )
    return {way: track(X_train, y_train, X_test, y_test, way) for way in INFERENCES}


def changes_page(by_set: dict[str, dict[str, Track]]) -> str:
    """Time, accuracy and memory of all streams as a table."""
    lines = []
    for name, of_set in by_set.items():
        for way, seen in of_set.items():
            fit = np.median(seen.fit_seconds)
            spent = np.array(seen.change_seconds)
            gains = np.array(seen.differences)
            first, last = seen.resident[0] / 2**20, seen.resident[-1] / 2**20
            lines.append(
                [
                    name,
                    way,
                    f"{fit:.2f} s",
                    f"{1e3 * np.median(spent):.1f} ms, {np.median(spent) / fit:.1%}",
                    f"{1e3 * spent.mean():.1f} ms, {spent.mean() / fit:.1%}",
                    " ".join(f"{gain:+.2f}" for gain in gains),
                    f"{gains.mean():+.2f}",
                    f"{first:.0f}, {last:.0f}",
                ]
            )
    heads = ["set", "inference", "a fit", "a change and an answer, median", "mean"]
    heads += ["accuracy minus that of a fit, points", "mean", "MB at first, at last"]
    return (
        table(heads, lines)
        + f"\n\n{N_FIRST} rows at first, {N_CHANGES} changes, half of them removals; "
        f"`ef={EF}`, accuracy on {N_TEST} rows at {N_POINTS} points; processor time, "
        "one thread; means hold the learning anew after every twentieth of the rows. "
        + described(conditions())
    )
