"""Row chunks over threads: the only way this library uses more than one core.

Chunks have a fixed size whatever the number of threads, and a chunk writes only
to its own rows, so the number of threads never changes a bit of the result.
"""

import os
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, nullcontext
from functools import cache
from threading import RLock
from typing import Any, ClassVar
from weakref import WeakSet

from joblib import effective_n_jobs
from threadpoolctl import OpenBLASController, ThreadpoolController


def count_threads(n_jobs: int | None) -> int:
    """Translate scikit-learn's `n_jobs` to a number of threads.

    "All cores" are no more than `NUMBA_NUM_THREADS` says, where it is set: in a
    worker process joblib sets it to the share of the cores that the worker has,
    so that a search with two workers does not run twice as many threads as
    there are cores.
    """
    wanted = int(effective_n_jobs(n_jobs))
    limit = os.environ.get("NUMBA_NUM_THREADS", "")
    if n_jobs is not None and n_jobs < 0 and limit.isdecimal():
        return max(1, min(wanted, int(limit)))
    return wanted


class one_blas_thread:
    """Keep BLAS to one thread within a `with` block, until the last thread leaves.

    If each thread restored what it found, one that entered under the limit of
    another would leave that limit behind for good, and one that leaves would end
    the limit of those that stay. Where BLAS has a limit for every thread (OpenBLAS
    on OpenMP), every thread sets its own, and all but the last to leave keep it.
    """

    _lock: ClassVar[Any] = RLock()
    # Blocks that are open. Weak, so that an interrupt, which may skip the end of a
    # block, leaves none behind: the next one that ends restores the limits.
    _inside: ClassVar[WeakSet["one_blas_thread"]] = WeakSet()
    _limit: ClassVar[Any] = None

    def __enter__(self) -> None:
        shared = one_blas_thread
        with shared._lock:
            limit = _libraries().limit(limits=1, user_api="blas")
            _let_others_set_limits()
            if shared._limit is None:
                shared._limit = limit
            shared._inside.add(self)

    def __exit__(self, *_: Any) -> None:
        shared = one_blas_thread
        with shared._lock:
            shared._inside.discard(self)
            if not shared._inside and shared._limit is not None:
                shared._limit.restore_original_limits()
                shared._limit = None
                _let_others_set_limits()

    @classmethod
    def forget(cls) -> None:
        """Start anew, in a process that has none of the threads inside."""
        cls._lock, cls._inside = RLock(), WeakSet()


if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(after_in_child=one_blas_thread.forget)


def _let_others_set_limits() -> None:
    # From release 3.8 on, threadpoolctl lets only the first thread that set a limit
    # set another, as long as it lives. Threads of a pool live long.
    clear = getattr(OpenBLASController, "clear_controlling_thread", None)
    if clear is not None:
        clear()


@cache
def _libraries() -> ThreadpoolController:
    # To look for them takes milliseconds, more than a small change of a model. The
    # one that counts, that of numpy, is there as soon as this module is.
    return ThreadpoolController()


def chunk_bounds(n_rows: int, rows_per_chunk: int) -> list[tuple[int, int]]:
    """Cut `range(n_rows)` into consecutive (start, stop) pieces."""
    return [
        (start, min(start + rows_per_chunk, n_rows))
        for start in range(0, n_rows, rows_per_chunk)
    ]


def map_chunks(
    function: Callable[[int, int], Any],
    n_rows: int,
    rows_per_chunk: int,
    n_threads: int,
    advance: Callable[[int], None] | None = None,
    *,
    limit_blas: bool = True,
) -> list[Any]:
    """Call `function(start, stop)` on every chunk of rows and keep the order.

    Parameters
    ----------
    function : callable
        Works on rows `start` to `stop`; must release the interpreter lock for
        the threads to pay.
    advance : callable or None
        Called with the number of rows done as chunks finish (progress).
    limit_blas : bool, default=True
        Keep BLAS to one thread meanwhile: our own threads fill the cores, and a
        product split over BLAS threads could round differently. Setting the
        limit takes a millisecond; a function that never enters BLAS can do
        without.

    Returns
    -------
    list
        The results in the order of the chunks.
    """
    if 0 < n_rows <= rows_per_chunk and advance is None and not limit_blas:
        return [function(0, n_rows)]  # a single row counts every microsecond
    bounds = chunk_bounds(n_rows, rows_per_chunk)
    limit = one_blas_thread() if limit_blas else nullcontext()
    collected = []
    with limit, closing(_results(function, bounds, n_threads)) as results:
        for (start, stop), result in zip(bounds, results):
            collected.append(result)
            if advance is not None:
                advance(stop - start)
    return collected


def _results(
    function: Callable[[int, int], Any], bounds: list[tuple[int, int]], n_threads: int
) -> Generator[Any]:
    """The results in the order of the chunks, as they come.

    Threads of an executor end once nothing refers to it: an interrupt, which may
    come at any line here, leaves none behind.
    """
    if n_threads == 1 or len(bounds) <= 1:
        for chunk in bounds:
            yield function(*chunk)
        return
    executor = ThreadPoolExecutor(min(n_threads, len(bounds)))
    try:
        for future in [executor.submit(function, *chunk) for chunk in bounds]:
            yield future.result()
    finally:
        executor.shutdown(cancel_futures=True)
