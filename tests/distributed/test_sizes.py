"""What a worker keeps of memory that nobody uses."""

import ctypes
import sys

import numpy as np
import pytest

from knngraph.distributed.sizes import give_back_freed

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "malloc_trim"),
    reason="only glibc gives memory back on demand",
)


def resident_bytes():
    with open("/proc/self/status") as status:
        lines = dict(line.split(":", 1) for line in status)
    return int(lines["VmRSS"].split()[0]) * 1024


def test_what_lies_between_small_arrays_is_given_back():
    arrays = [np.ones(8192, dtype=np.uint8) for _ in range(8192)]
    kept = arrays[::64]
    del arrays
    before = resident_bytes()
    give_back_freed()
    assert before - resident_bytes() > 2**25
    assert all(array.all() for array in kept)
