"""What compiles the kernels: numba, with the same options for all of them.

Compilation is what the first use after an installation waits for
(`python -m benchmarks.compile_time`). So code is left out by which nobody calls: the
door of a kernel for C, and that of its parts for Python as well. And two things of the
interpreter that compiling a kernel meets all the time are kept out of its way
(`_undisturbed`).
"""

import gc
from collections.abc import Callable
from functools import partial
from typing import Any

from numba import njit
from numba.core.compiler import Compiler
from numba.extending import register_jitable

# Room of one frame in pointers: half a megabyte, for which CPython fetches a whole.
_ROOM = 1 << 16


def _undisturbed(compile_function: Callable, function: Callable) -> Any:
    """Compile without the garbage collector, and with frames that lie in one piece.

    numba makes millions of small objects for a kernel, and every so many of them the
    collector looks through all that the process holds, which is much once scikit-learn
    is loaded. Objects in cycles wait until the kernel is there.

    CPython keeps the frames of its functions in pieces of 16 KiB, and up to the
    releases of 2026 gives a piece back as soon as it is empty: a loop whose calls just
    do not fit into one asks the system for memory in every turn, a hundred times as
    long as the call takes (https://github.com/python/cpython/issues/142183). numba
    calls itself so deeply that some of its loops always do; which, depends on how deep
    the caller is. A frame that asks for more room than it needs gets a larger piece,
    and the rest of that is enough for all who are called from it.
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


# A function that Python calls, and that does not hold the interpreter meanwhile. With
# inline="always" it becomes lines of the function that calls it: quicker to compile
# where it does little but hand on its arrays.
compiled = partial(
    njit, cache=True, nogil=True, no_cfunc_wrapper=True, pipeline_class=_KernelCompiler
)


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
