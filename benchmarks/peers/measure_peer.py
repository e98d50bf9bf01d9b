"""The parts that run in a process of their own: choose settings, then measure."""

import pickle
import time
import warnings
from typing import Any

import numpy as np
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier

from benchmarks.isolated import peak_megabytes, reset_peak, resident_megabytes
from benchmarks.metrics import median_seconds, quality, seconds
from benchmarks.peers.catalog import KS, WEIGHTS, Peer, Settings, peers

# A setting this close to the best counts as as good, and the fastest is taken.
AS_GOOD = 0.001
HELD_OUT_AT_MOST = 2000
TUNING_ROWS = 10_000
N_SINGLE = 300
N_FIRST_CALLS = 20


def find(name: str) -> Peer:
    """The peer of a name."""
    return next(peer for peer in peers() if peer.name == name)


def choose_votes(path: str) -> Settings:
    """k and weights by exact search on held-out training rows.

    Parameters
    ----------
    path : str
        Archive with X_train and y_train.

    Returns
    -------
    dict
        "k", "weights".
    """
    X, y, X_held, y_held = _tuning_rows(path, TUNING_ROWS)
    shares = {}
    for k in (k for k in KS if k <= len(y)):
        for weights in WEIGHTS:
            model = KNeighborsClassifier(k, weights=weights, algorithm="brute")
            shares[k, weights] = model.fit(X, y).score(X_held, y_held)
    return dict(zip(("k", "weights"), max(shares, key=shares.__getitem__)))


def choose_settings(path: str, name: str, votes: Settings) -> Settings:
    """The setting of a peer's grid that does best on held-out training rows.

    Among those within a tenth of a percent of the best, the fastest.
    """
    peer = find(name)
    shared = votes if peer.votes else {}
    X, y, X_held, y_held = _tuning_rows(path, peer.search_rows or TUNING_ROWS)
    tried = []
    for settings in peer.grid:
        model = peer.build(shared | settings).fit(X, y)
        model.predict(X_held[:N_FIRST_CALLS])
        share = float(np.mean(model.predict(X_held) == y_held))
        taken = median_seconds(lambda model=model: model.predict(X_held))
        tried.append((share, taken, settings))
    most = max(share for share, _, _ in tried)
    good = [(taken, s) for share, taken, s in tried if share >= most - AS_GOOD]
    return shared | min(good, key=lambda pair: pair[0])[1]


def measure_peer(path: str, name: str, settings: Settings) -> dict[str, float]:
    """Fit once, answer in a batch and one by one.

    Returns
    -------
    dict
        Metrics by name; memory is what fit and answers took beyond the rows.
    """
    # A narrow walk warns of itself; the table says the same.
    warnings.simplefilter("ignore")
    with np.load(path) as file:
        X, y, X_test, y_test = (
            file[k] for k in ("X_train", "y_train", "X_test", "y_test")
        )
    peer = find(name)
    _warm_up(peer, settings, X, y)
    model = peer.build(settings)
    reset_peak()
    before = resident_megabytes()
    fit_seconds = seconds(lambda: model.fit(X, y))
    answers = model.predict(X_test)
    batch = median_seconds(lambda: model.predict(X_test), budget=5.0)
    peak = peak_megabytes() - before
    single = _microseconds_of_rows(model, X_test)
    return quality(y_test, answers) | {
        "fit_seconds": fit_seconds,
        "batch_us": 1e6 * batch / len(y_test),
        "single_p50_us": float(np.percentile(single, 50)),
        "single_p99_us": float(np.percentile(single, 99)),
        "peak_megabytes": peak,
        "model_megabytes": _n_bytes(model) / 2**20,
    }


def _microseconds_of_rows(model: Any, X: np.ndarray) -> np.ndarray:
    """Times of calls with one row each, the first ones left out."""
    taken = []
    for i in range(N_FIRST_CALLS + N_SINGLE):
        row = X[[i % len(X)]]
        taken.append(seconds(lambda row=row: model.predict(row)))
    return 1e6 * np.array(taken[N_FIRST_CALLS:])


def _tuning_rows(path: str, n_rows: int) -> tuple[np.ndarray, ...]:
    """Training rows cut in two: X, y, X_held, y_held."""
    with np.load(path) as file:
        X, y = file["X_train"], file["y_train"]
    n_held = min(HELD_OUT_AT_MOST, len(y) // 5)
    chosen, held = train_test_split(
        np.arange(len(y)), test_size=n_held, random_state=0, stratify=_strata(y)
    )
    chosen = np.sort(chosen)[:: max(1, -(-len(chosen) // n_rows))]
    return X[chosen], y[chosen], X[held], y[held]


def _strata(y: np.ndarray) -> np.ndarray | None:
    """Classes to keep in proportion; none where a class is a single row."""
    return y if np.bincount(y).min() >= 2 else None


def _warm_up(peer: Peer, settings: Settings, X: np.ndarray, y: np.ndarray) -> None:
    """Compile on a few rows, so that no clock below sees it."""
    few = np.sort(np.random.default_rng(0).permutation(len(y))[:400])
    codes = np.unique(y[few], return_inverse=True)[1]
    start = time.perf_counter()
    model = peer.build(settings).fit(X[few], codes)
    while time.perf_counter() - start < 0.2:
        model.predict(X[:8])


def _n_bytes(model: Any) -> int:
    return model.n_bytes() if hasattr(model, "n_bytes") else len(pickle.dumps(model))
