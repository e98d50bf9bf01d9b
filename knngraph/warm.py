"""The command `knngraph warm`: compiles everything ahead, into the cache."""

import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numba.core import config, event

from knngraph.compiling.cache import UNKEPT
from knngraph.compiling.kernels import KERNELS
from knngraph.compiling.pipelines import NOTICE
from knngraph.exceptions import KNNGraphWarning

_ROWS, _COLUMNS, _CLASSES = 120, 5, 3


class Compilations(event.Listener):
    """Processor seconds of every compilation while it listens, by function.

    Parameters
    ----------
    done : callable or None
        Called with the name and the seconds after each of them.

    Attributes
    ----------
    seconds : dict of str to list of float
    """

    def __init__(self, done: Callable[[str, float], None] | None = None) -> None:
        self.seconds: dict[str, list[float]] = {}
        self._done, self._depth, self._begin = done, 0, 0.0

    def on_start(self, happening: event.Event) -> None:
        """Remember when the outermost of nested compilations starts."""
        if self._depth == 0:
            self._begin = time.process_time()
        self._depth += 1

    def on_end(self, happening: event.Event) -> None:
        """What a function compiles in turn counts as its own."""
        self._depth -= 1
        if self._depth:
            return
        function = happening.data["dispatcher"].py_func
        name = f"{function.__module__}.{function.__name__}"
        took = time.process_time() - self._begin
        self.seconds.setdefault(name, []).append(took)
        if self._done is not None:
            self._done(name, took)


def estimators() -> Iterator[Any]:
    """Every public estimator, and the main one with what compiles more."""
    import knngraph
    from knngraph import baselines

    for module in (knngraph, baselines):
        for name in module.__all__:
            kind = getattr(module, name)
            if isinstance(kind, type) and hasattr(kind, "fit"):
                yield kind()
    for support in ("exact", "local"):
        yield knngraph.KNNGraphClassifier(support=support, inference="adaptive")
    yield knngraph.KNNGraphClassifier(inference="cascade", metric="learned")
    yield knngraph.KNNGraphClassifier(walk="medoids", metric="trees")


def few_rows() -> tuple[np.ndarray, np.ndarray]:
    """Rows on which every estimator is quick, and their labels."""
    random = np.random.default_rng(0)
    return random.normal(size=(_ROWS, _COLUMNS)), random.integers(_CLASSES, size=_ROWS)


def use_all(X: np.ndarray, y: np.ndarray) -> None:
    """Call everything that compiles a function."""
    from knngraph import KNNGraphClassifier
    from knngraph.index.build import DEFAULT_BUILD, list_points
    from knngraph.index.scales import link_rows

    for estimator in estimators():
        estimator.fit(X, y)
        for method in ("predict", "predict_proba"):
            if hasattr(estimator, method):
                getattr(estimator, method)(X)
                getattr(estimator, method)(X[:1])
    changed = KNNGraphClassifier(metric="euclidean", support="local")
    changed.fit(X, y).forget([0]).predict(X)
    # Estimators list and link many rows only.
    rows = np.unique(X.astype(np.float32), axis=0)
    lists = list_points(rows, DEFAULT_BUILD.n_candidates, DEFAULT_BUILD)
    link_rows(lists.points, lists.ids, lists.squared)


def run_warm() -> int:
    """Compile everything, and print where it is kept.

    Returns
    -------
    int
        Exit status: 1 where nothing can be kept.
    """
    named = config.CACHE_DIR
    if named:
        try:
            Path(named).mkdir(parents=True, exist_ok=True)
            writable = os.access(named, os.W_OK)
        except OSError:
            writable = False
        if not writable:
            return _fail(f"NUMBA_CACHE_DIR, {named}, cannot be written to")
    NOTICE.is_due = False
    print("compiling, which takes some seconds unless it is done already", flush=True)
    compiled = Compilations(lambda name, took: print(f"  {took:4.1f} s  {name}"))
    with warnings.catch_warnings(), event.install_listener("numba:compile", compiled):
        warnings.simplefilter("ignore")
        warnings.filterwarnings("error", UNKEPT, KNNGraphWarning)
        try:
            use_all(*few_rows())
        except KNNGraphWarning as unkept:
            return _fail(str(unkept))
    folders = {Path(kernel._cache.cache_path) for kernel in KERNELS}
    files = [file for folder in folders for file in folder.glob("*.nb[ci]")]
    megabytes = sum(file.stat().st_size for file in files) / 2**20
    print(
        f"{len(compiled.seconds)} functions compiled, {len(KERNELS)} kept in "
        f"{os.path.commonpath(folders)} ({megabytes:.1f} MB)"
    )
    return 0


def _fail(why: str) -> int:
    print(f"knngraph warm: {why}", file=sys.stderr)
    return 1
