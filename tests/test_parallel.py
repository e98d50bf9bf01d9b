"""Chunks of rows over threads."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from knngraph.parallel import (
    _let_others_set_limits,
    chunk_bounds,
    count_threads,
    map_chunks,
    one_blas_thread,
)


def blas_threads():
    """Threads of every BLAS but that of faiss, which no product of ours enters.

    Other tests may have loaded it.
    """
    found = [
        library["num_threads"]
        for library in threadpool_info()
        if library["user_api"] == "blas" and "faiss" not in library["filepath"]
    ]
    assert found
    return found


def test_chunks_are_consecutive_and_complete():
    assert chunk_bounds(7, 3) == [(0, 3), (3, 6), (6, 7)]
    assert chunk_bounds(0, 3) == []


@pytest.mark.parametrize("n_threads", [1, 2, 5])
def test_results_keep_the_order_of_the_chunks(n_threads):
    done = []
    results = map_chunks(lambda i, j: (i, j), 11, 2, n_threads, done.append)
    assert results == chunk_bounds(11, 2)
    assert sum(done) == 11


@pytest.mark.parametrize("n_threads", [1, 2])
def test_an_error_in_a_chunk_reaches_the_caller(n_threads):
    def fail(start, stop):
        if start:
            raise OverflowError("chunk 4")

    with pytest.raises(OverflowError, match="chunk 4"):
        map_chunks(fail, 8, 4, n_threads)


def test_several_threads_work_at_once():
    # Two chunks that wait for one another: with one thread this would not end.
    together = threading.Barrier(2, timeout=60)
    map_chunks(lambda i, j: together.wait(), 2, 1, n_threads=2)


def test_blas_has_one_thread_within_a_chunk():
    with threadpool_limits(limits=2, user_api="blas"):
        assert 2 in blas_threads()
        within = map_chunks(lambda i, j: blas_threads(), 1, 1, n_threads=1)[0]
    assert set(within) == {1}


def test_the_limit_ends_when_the_last_thread_leaves():
    with threadpool_limits(limits=2, user_api="blas"):
        before = blas_threads()
        first, second = one_blas_thread(), one_blas_thread()
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert set(blas_threads()) == {1}
        second.__exit__(None, None, None)
        assert blas_threads() == before
        assert 2 in before


def test_every_thread_can_set_the_limit():
    seen = []

    def work():
        with one_blas_thread():
            seen.append(set(blas_threads()))
        seen.append(set(blas_threads()))

    with one_blas_thread():
        pass  # ends a limit that an interrupt in an earlier test left behind
    with (
        threadpool_limits(limits=2, user_api="blas"),
        ThreadPoolExecutor(1) as first,
        ThreadPoolExecutor(1) as second,
    ):
        _let_others_set_limits()
        before = set(blas_threads())
        # The threads of both pools are alive all the time.
        for pool in (first, second, first):
            pool.submit(work).result()
    assert seen == 3 * [{1}, before]
    assert 2 in before


def test_the_limit_ends_where_an_interrupt_skips_its_end():
    with threadpool_limits(limits=2, user_api="blas"):
        before = blas_threads()
        limit = one_blas_thread()
        limit.__enter__()
        assert set(blas_threads()) == {1}
        del limit
        with one_blas_thread():
            assert set(blas_threads()) == {1}
        assert blas_threads() == before


def test_n_jobs_as_in_scikit_learn():
    assert count_threads(None) == 1
    assert count_threads(3) == 3
    assert count_threads(-1) >= 1
