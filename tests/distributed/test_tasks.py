"""Tasks with a worker of their own, and what a worker keeps of memory."""

import ctypes
import sys

import dask
import numpy as np
import pytest
from dask.sizeof import sizeof

from knngraph.distributed.partition import Piece
from knngraph.distributed.tasks import blocks_at_once, task
from knngraph.freed import give_back_freed


def annotations(made):
    return made.dask.layers[made.key].annotations


def test_a_task_runs_at_home_or_elsewhere_once_that_is_gone():
    at_home = task(len, [1], name="fetch", home="tcp://127.0.0.1:1")
    assert annotations(at_home) == {
        "workers": ["tcp://127.0.0.1:1"],
        "allow_other_workers": True,
    }
    assert not annotations(task(len, [1], name="fetch"))


def test_a_task_may_wait_for_another_and_let_others_go_first():
    order = []
    first = task(order.append, "first", name="first")
    second = task(order.append, "second", name="second", after=first, later=True)
    assert annotations(second) == {"priority": -1}
    dask.compute(second, scheduler="sync")
    assert order == ["first", "second"]


@pytest.mark.parametrize(
    ("n_partitions", "n_threads", "expected"), [(4, 4, 2), (2, 8, 5), (8, 2, 2)]
)
def test_every_thread_has_a_block_and_another_waits(n_partitions, n_threads, expected):
    with dask.config.set(scheduler="threads", num_workers=n_threads):
        assert blocks_at_once(n_partitions) == expected


def test_dask_places_tasks_by_the_arrays_in_results():
    rows, numbers = np.zeros((1000, 8), dtype=np.float32), np.arange(1000)
    piece = Piece(rows, numbers.astype(np.int32), numbers.astype(np.int32), numbers)
    assert sizeof(piece) == 1000 * (8 * 4 + 4 + 4 + 8)


@pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "malloc_trim"),
    reason="only glibc gives memory back on demand",
)
def test_what_lies_between_small_arrays_is_given_back():
    def resident_bytes():
        with open("/proc/self/status") as status:
            lines = dict(line.split(":", 1) for line in status)
        return int(lines["VmRSS"].split()[0]) * 1024

    arrays = [np.ones(8192, dtype=np.uint8) for _ in range(8192)]
    kept = arrays[::64]
    del arrays
    before = resident_bytes()
    give_back_freed()
    assert before - resident_bytes() > 2**25
    assert all(array.all() for array in kept)
