"""How numba's compiler runs for our kernels: the same passes with less waiting.

The first use after an installation waits for it (`python -m benchmarks.compile_time`).
https://numba.readthedocs.io/en/stable/developer/custom_pipeline.html is what this
builds on; costs are left out that change no result of a kernel.
"""

import gc
import operator
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from numba import _dynfunc, types
from numba.core import cgutils, event
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler, Flags
from numba.core.compiler_machinery import PassManager, register_pass
from numba.core.lowering import Lower
from numba.core.typed_passes import NativeLowering, NopythonRewrites
from numba.core.typing import Context
from numba.core.untyped_passes import InlineClosureLikes

from knngraph.progress import tell

_SECONDS_IN_SILENCE = 1.0
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


_DEFAULTS = {name: option.default for name, option in Flags.options.items()}
_NAMES_HASH = hash(Flags())


class _QuickFlags(Flags):
    """numba's options of a function, hashed and compared in one step.

    numba looks them up for every overload that it tries for every operation of a
    function. Its own hash is that of the names of all options, collected and sorted
    anew every time; this one is equal to it.
    """

    def values(self) -> dict[str, Any]:
        """All options by name."""
        return _DEFAULTS | self._values

    def __hash__(self) -> int:
        return _NAMES_HASH


_OPERATORS = {value for value in vars(operator).values() if callable(value)}


class _QuickTyping(Context):
    """numba's types of functions, found once for operators on the same types.

    Inference goes through a function until no type changes, and looks up every
    operator anew every time, among all that could be meant by it.

    numba keeps what it has compiled for a call by the context of the caller. All that
    stand for one context are equal, so that a part is compiled once for its callers.

    Parameters
    ----------
    context : numba.core.typing.Context
        What is registered there is found here, now and later.
    """

    __slots__ = ("_found",)

    def __init__(self, context: Context) -> None:
        self.__dict__ = context.__dict__  # type: ignore[misc]
        self._found: dict[Any, Any] = {}

    def __eq__(self, other: object) -> bool:
        return getattr(other, "__dict__", None) is self.__dict__

    def __hash__(self) -> int:
        return id(self.__dict__)

    def resolve_function_type(self, func: Any, args: Any, kws: Any) -> Any:
        """Signature of a function for these types of arguments."""
        if kws or not isinstance(func, types.Function):
            return super().resolve_function_type(func, args, kws)
        if func.typing_key not in _OPERATORS:
            return super().resolve_function_type(func, args, kws)
        key = func, args
        if key not in self._found:
            self._found[key] = super().resolve_function_type(func, args, kws)
        return self._found[key]


# Passes for what no kernel has: functions within it, and expressions of whole arrays.
_NEEDLESS = {InlineClosureLikes, NopythonRewrites}


class _Undisturbed(Compiler):
    """numba's own passes; its lock lets one thread in at a time."""

    lowering = NativeLowering

    def __init__(self, context: Context, *arguments: Any) -> None:
        super().__init__(_QuickTyping(context), *arguments)
        self.state.flags = _QuickFlags(self.state.flags)

    def compile_extra(self, function: Callable) -> Any:
        """Compile from the bytecode of a function."""
        return _undisturbed(super().compile_extra, function)

    def define_pipelines(self) -> list[PassManager]:
        """numba's pipeline without what is not needed, and with a lowering of ours."""
        (passes,) = super().define_pipelines()
        needed = PassManager(passes.pipeline_name)
        needed.passes = [
            (self.lowering if kind is NativeLowering else kind, text)
            for kind, text in passes.passes
            if kind not in _NEEDLESS
        ]
        needed.finalize()
        return [needed]


class _Notice(event.Listener):
    """One line of progress a process, once its kernels have taken over a second."""

    def __init__(self) -> None:
        self.spent, self.begin, self.is_due = 0.0, 0.0, True

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Look at the clock with every pass of the compiler within the block."""
        if not self.is_due:
            yield
            return
        self.begin = time.perf_counter()
        with event.install_listener("numba:run_pass", self):
            yield
        self.spent += time.perf_counter() - self.begin

    def on_start(self, happening: event.Event) -> None:
        """Tell if it is time to."""
        elapsed = self.spent + time.perf_counter() - self.begin
        if self.is_due and elapsed > _SECONDS_IN_SILENCE:
            self.is_due = False
            tell(
                "compiles its functions, once after installation, which takes some "
                "seconds (`knngraph warm` does it ahead)"
            )

    def on_end(self, happening: event.Event) -> None:
        """The next pass looks again."""


NOTICE = _Notice()


class _KernelLibrary(JITCodeLibrary):
    """Code of a kernel, optimized once.

    numba optimizes all functions of a library twice, so that counts of references meet
    and vanish in between, and prepares to optimize functions that are only declared.
    Once is enough. The entry for calls from Python, which unpacks arguments and is as
    long as a small kernel, is not optimized at all.
    """

    def add_ir_module(self, ir_module: Any) -> None:
        """Add a function of the kernel, or the entry for calls from Python."""
        if ir_module.name == "wrapper":
            for function in ir_module.functions:
                if not function.is_declaration:
                    # LLVM leaves alone only what is not to be inlined either.
                    function.attributes.add("noinline")
                    function.attributes.add("optnone")
        super().add_ir_module(ir_module)

    def _optimize_functions(self, ll_module: Any) -> None:
        ll_module.data_layout = self._codegen._data_layout
        for function in ll_module.functions:
            if not function.is_declaration:
                passes, builder = self._codegen._function_pass_manager()
                passes.run(function, builder)

    def _optimize_final_module(self) -> None:
        passes, builder = self._codegen._module_pass_manager()
        passes.run(self._final_module, builder)


class _QuickLower(Lower):
    """numba's lowering without what a debugger would read.

    numba has LLVM parse a module for the size of every variable, which it then tells
    to a debugger that there is not.
    """

    def alloca_lltype(self, name: str, lltype: Any, datamodel: Any = None) -> Any:
        """Room for a variable."""
        return cgutils.alloca_once(self.builder, lltype, name=name, zfill=False)

    def storevar(self, value: Any, name: str, argidx: int | None = None) -> None:
        """Give a variable its value; that of an argument stands in for no other."""
        if argidx is None or name in self._singly_assigned_vars:
            super().storevar(value, name, argidx)
        else:
            self.builder.store(value, self.getvar(name))


class _QuickLowering(NativeLowering):
    """Lowering as of numba, with less work for every variable."""

    @property
    def lowering_class(self) -> type[Lower]:
        """What lowers a function."""
        return _QuickLower


@register_pass(mutates_CFG=True, analysis_only=False)
class _KernelLowering(_QuickLowering):
    """Lowering into a library of kernels."""

    _name = "kernel_lowering"

    def run_pass(self, state: Any) -> bool:
        """Lower the function, and keep its code for the cache."""
        name = state.func_id.func_qualname
        state.library = _KernelLibrary(state.targetctx.codegen(), name)
        state.library.enable_object_caching()
        return bool(super().run_pass(state))


class KernelCompiler(_Undisturbed):
    """The passes for a function that Python calls."""

    lowering = _KernelLowering

    def compile_extra(self, function: Callable) -> Any:
        """Compile, and give the parts that were linked in their environment.

        An environment holds the objects that a function needs to raise an error;
        numba sets that of a function when it has machine code of its own.
        """
        with NOTICE.watching():
            result = super().compile_extra(function)
        for environment in result._find_referenced_environments():
            result.library.codegen.set_env(environment.env_name, environment)
        return result


class _PartLibrary(_KernelLibrary):
    """Code of a part that waits to be linked into kernels.

    numba would optimize it and turn it into machine code of its own, which nothing
    calls; the optimizer then runs again over the kernel that the part is linked into.
    """

    def _optimize_functions(self, ll_module: Any) -> None:
        ll_module.data_layout = self._codegen._data_layout

    def _optimize_final_module(self) -> None:
        pass

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        self._finalized = True


@register_pass(mutates_CFG=True, analysis_only=False)
class _PartLowering(_QuickLowering):
    """Lowering into a library of parts, without an entry that could be called."""

    _name = "part_lowering"

    def run_pass(self, state: Any) -> bool:
        """Lower the function, and let compiled callers find it."""
        name = state.func_id.func_qualname
        state.library = _PartLibrary(state.targetctx.codegen(), name)
        state.flags.no_compile = True
        super().run_pass(state)
        lowered = state.cr
        # What stands for the function where numba looks it up; no call reaches it.
        entry = _dynfunc.make_function(
            lowered.fndesc.lookup_module(), name, "", 0, lowered.env, (state.library,)
        )
        state.targetctx.insert_user_function(entry, lowered.fndesc, [state.library])
        state["cr"] = lowered._replace(cfunc=entry)
        return True


class PartCompiler(_Undisturbed):
    """The passes for a function that only compiled functions call."""

    lowering = _PartLowering
