"""What compiles the kernels: numba, with the garbage collector at rest meanwhile.

numba makes millions of small objects for a kernel, and every so many of them the
collector looks through all that the process holds, which is much once scikit-learn is
loaded (`python -m benchmarks.compile_time`). Objects in cycles wait until the kernel is
there.
"""

import gc
from threading import Lock
from typing import Any

from numba import njit
from numba.core import event

__all__ = ["njit"]


class _CollectorAtRest(event.Listener):
    """The collector is off from the first compilation that begins to the last end."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._n_running = 0
        self._was_on = False

    def on_start(self, event: Any) -> None:
        with self._lock:
            if not self._n_running:
                self._was_on = gc.isenabled()
                gc.disable()
            self._n_running += 1

    def on_end(self, event: Any) -> None:
        with self._lock:
            self._n_running -= 1
            if not self._n_running and self._was_on:
                gc.enable()


event.register("numba:compile", _CollectorAtRest())
