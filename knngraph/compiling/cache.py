"""Where compiled kernels are kept, also where no folder can be written to.

numba keeps them in `NUMBA_CACHE_DIR`, else beside the source, else in the user's
cache folder. It passes over a folder that cannot be written to, even one that was
filled when an image was built, and where none is left it raises an error:
https://numba.readthedocs.io/en/stable/developer/caching.html
"""

import inspect
import os
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

from numba.core import caching

from knngraph.exceptions import KNNGraphWarning, warn_once

UNKEPT = (
    "compiled functions cannot be kept on disk, so every process compiles them anew, "
    "which takes seconds. Set NUMBA_CACHE_DIR to a folder that can be written to; "
    "`knngraph warm` fills it ahead"
)
# Processes that have warned: a fork is one of its own.
_WARNED: set[int] = set()


class KernelCache(caching._Cache):
    """Saves where numba does, and loads from folders that can only be read as well.

    Parameters
    ----------
    function : callable
        The kernel in Python.
    """

    def __init__(self, function: Callable) -> None:
        self._function = function
        try:
            self._writable = caching.FunctionCache(function)
        except RuntimeError:
            self._writable = caching.NullCache()

    @cached_property
    def _readable(self) -> list[caching.FunctionCache]:
        return list(_open_to_read(self._function))

    @property
    def cache_path(self) -> str | None:
        """The folder of the code, else one that is read; None where there is none."""
        caches = self._writable, *self._readable
        return next((c.cache_path for c in caches if c.cache_path is not None), None)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Compiled code for these types of arguments; None where there is none."""
        found = self._writable.load_overload(sig, target_context)
        if found is None:
            for cache in self._readable:
                try:
                    found = cache.load_overload(sig, target_context)
                except OSError:
                    continue
                if found is not None:
                    break
        return found

    def save_overload(self, sig: Any, data: Any) -> None:
        """Save compiled code, or warn once that it is lost when the process ends."""
        try:
            self._writable.save_overload(sig, data)
            kept = self._writable.cache_path is not None
        except OSError:
            # The folder was writable when the kernel was imported; or the disk is full.
            kept = False
        if not kept and os.getpid() not in _WARNED:
            _WARNED.add(os.getpid())
            warn_once(UNKEPT, KNNGraphWarning)

    def enable(self) -> None:
        """As in numba."""
        self._writable.enable()

    def disable(self) -> None:
        """As in numba."""
        self._writable.disable()

    def flush(self) -> None:
        """As in numba."""
        self._writable.flush()


def _open_to_read(function: Callable) -> Iterator[caching.FunctionCache]:
    """The caches that numba passes over as their folder cannot be written to."""
    for kind in caching.UserProvidedCacheLocator, caching.InTreeCacheLocator:
        if kind.from_function(function, inspect.getfile(function)) is not None:
            continue
        unchecked = {"ensure_cache_path": lambda self: None}
        places = {"_locator_classes": [type(kind.__name__, (kind,), unchecked)]}
        place = type("Place", (caching.CompileResultCacheImpl,), places)
        reader = type("Reader", (caching.FunctionCache,), {"_impl_class": place})
        try:
            yield reader(function)
        except RuntimeError:
            # NUMBA_CACHE_DIR is not set.
            continue
