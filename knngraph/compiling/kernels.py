"""Compilation by numba, with the same options for all kernels."""

from collections.abc import Callable
from functools import partial
from typing import Any

from numba import njit
from numba.extending import register_jitable

from knngraph.compiling.cache import KernelCache
from knngraph.compiling.pipelines import KernelCompiler, PartCompiler

# Every kernel of the modules imported so far that is kept on disk.
KERNELS: list[Any] = []


def compiled(
    function: Callable | None = None,
    *,
    allocates: bool = False,
    cache: bool = True,
    **options: Any,
) -> Callable:
    """Compile a function that Python calls; the interpreter is free meanwhile.

    Parameters
    ----------
    function : callable
        Left out where there are options.
    allocates : bool, default=False
        Whether it makes arrays. Without any it counts no references, which is a tenth
        of the work of the compiler; its callers hold its arrays.
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
        return partial(compiled, allocates=allocates, cache=cache, **options)
    kernel = njit(
        nogil=True,
        no_cfunc_wrapper=True,
        pipeline_class=KernelCompiler,
        _nrt=allocates,
        **options,
    )(function)
    # Without the compiler (NUMBA_DISABLE_JIT) the function stays as it is.
    if cache and kernel is not function and "inline" not in options:
        kernel._cache = KernelCache(function)
        KERNELS.append(kernel)
    return kernel


def compiled_part(
    function: Callable | None = None, *, allocates: bool = False, **options: Any
) -> Callable:
    """Mark a function that only compiled ones call; Python would run it as it stands.

    Parameters
    ----------
    function : callable
        Left out where there are options.
    allocates : bool, default=False
        As in `compiled`.
    **options
        Of the compiler, where they are not those of the function that calls.

    Returns
    -------
    callable
        The function, or a decorator for it.
    """
    mark = register_jitable(
        no_cfunc_wrapper=True,
        pipeline_class=PartCompiler,
        _nrt=allocates,
        **options,
    )
    return mark if function is None else mark(function)
