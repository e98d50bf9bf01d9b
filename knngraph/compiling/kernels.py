"""Compilation by numba, with the same options for all kernels.

The first use after an installation waits for it (`python -m benchmarks.compile_time`).
So kernels have no wrapper for C, and parts of kernels none for Python: nothing calls
those. And `_undisturbed` keeps two costs of the interpreter out of the compiler's way.
"""

import gc
from collections.abc import Callable
from functools import partial
from typing import Any

from numba import njit
from numba.core.compiler import Compiler
from numba.extending import register_jitable

from knngraph.compiling.cache import KernelCache

# Room of one frame in pointers: half a megabyte, for which CPython fetches a whole.
_ROOM = 1 << 16


def _undisturbed(compile_function: Callable, function: Callable) -> Any:
    """Compile without the garbage collector, and with frames that lie in one piece.

    numba makes millions of small objects for a kernel. Every so often the collector
    then looks through all objects of the process, which are many once scikit-learn is
    loaded. Objects in cycles wait until the kernel is there.

    CPython keeps the frames of functions in pieces of 16 KiB. Releases up to 2026 give
    a piece back as soon as it is empty: a loop that calls just across the end of a
    piece allocates memory in every turn, a hundred times the cost of the call
    (https://github.com/python/cpython/issues/142183). numba calls itself so deeply that
    some of its loops always do; which ones depends on the depth of the caller. A frame
    that claims more room than it needs gets a larger piece, and the rest of that piece
    is enough for all functions below it.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        return compile_function(function)
    finally:
        if was_on:
            gc.enable()


_undisturbed.__code__ = _undisturbed.__code__.replace(co_stacksize=_ROOM)


class _KernelCompiler(Compiler):
    """numba's own passes, undisturbed; numba's lock lets one thread in at a time."""

    def compile_extra(self, function: Callable) -> Any:
        return _undisturbed(super().compile_extra, function)


def compiled(
    function: Callable | None = None, *, cache: bool = True, **options: Any
) -> Callable:
    """Compile a function that Python calls; the interpreter is free meanwhile.

    Parameters
    ----------
    function : callable
        Left out where there are options.
    cache : bool, default=True
        Whether to keep the compiled code on disk.
    **options
        Of the compiler. With `inline="always"` the function becomes lines of the one
        that calls it: quicker to compile where it does little but hand on its arrays.

    Returns
    -------
    callable
        The kernel, or a decorator that makes one.
    """
    if function is None:
        return partial(compiled, cache=cache, **options)
    kernel = njit(
        nogil=True, no_cfunc_wrapper=True, pipeline_class=_KernelCompiler, **options
    )(function)
    # Without the compiler (NUMBA_DISABLE_JIT) the function stays as it is.
    if cache and kernel is not function:
        kernel._cache = KernelCache(function)
    return kernel


def compiled_part(function: Callable | None = None, **options: Any) -> Callable:
    """Mark a function that only compiled ones call; Python would run it as it stands.

    Parameters
    ----------
    function : callable
        Left out where there are options.
    **options
        Of the compiler, where they are not those of the function that calls.

    Returns
    -------
    callable
        The function, or a decorator for it.
    """
    mark = register_jitable(no_cfunc_wrapper=True, **options)
    return mark if function is None else mark(function)
