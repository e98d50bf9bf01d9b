"""What the first call of a kernel does beside compiling it."""

import gc
import io
import multiprocessing
import operator
import sys

import numpy as np
import pytest
from numba import njit
from numba.core import event, types
from numba.core.compiler import Flags
from numba.core.errors import TypingError
from numba.core.registry import cpu_target
from numba.core.typing import Context

from knngraph.compiling import compiled, compiled_part, pipelines
from knngraph.compiling.pipelines import _QuickFlags, _undisturbed
from knngraph.progress import stage


class _Look(event.Listener):
    def __init__(self):
        self.enabled = []

    def on_start(self, event):
        self.enabled.append(gc.isenabled())

    def on_end(self, event):
        self.enabled.append(gc.isenabled())


def test_the_collector_rests_while_a_kernel_compiles_and_no_longer():
    assert gc.isenabled()
    look = _Look()
    with event.install_listener("numba:run_pass", look):
        assert compiled(cache=False)(lambda x: x + 1)(1) == 2
    assert look.enabled
    assert not any(look.enabled)
    assert gc.isenabled()


def test_a_kernel_that_does_not_compile_wakes_it_too():
    with pytest.raises(TypingError):
        compiled(cache=False)(lambda x: x + "1")(1)
    assert gc.isenabled()


def test_a_collector_that_was_off_stays_off():
    gc.disable()
    try:
        assert compiled(cache=False)(lambda x: x + 2)(1) == 3
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_kernels_of_others_compile_as_they_always_did():
    from numba import njit

    look = _Look()
    with event.install_listener("numba:run_pass", look):
        assert njit(lambda x: x + 3)(1) == 4
    assert all(look.enabled)


def larger_than_its_caller(a=1, b=2, c=3, d=4, e=5, f=6, g=7, h=8, i=9, j=10):
    return [a, b, c, d, e, f, g, h, i, j]


def pages_asked_for(depth):
    """Pages that the system gave to 500 calls so deep."""
    if depth:
        return pages_asked_for(depth - 1)
    resource = pytest.importorskip("resource")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(500):
        larger_than_its_caller()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def test_no_depth_asks_the_system_for_memory_with_every_call():
    # Without room in one piece, one depth in a hundred or two does on CPython 3.11.
    def worst(depths):
        return max(pages_asked_for(depth) for depth in depths)

    assert _undisturbed(worst, range(300)) < 100


def test_a_part_is_part_of_who_calls_it():
    @compiled_part
    def twice(x):
        return 2 * x

    @compiled_part(fastmath=True)
    def half(x):
        return x / 2

    def both(x):
        return twice(half(x))

    kernel = compiled(cache=False)(both)
    assert kernel(3.0) == both(3.0) == 3.0
    assert kernel.nopython_signatures


def test_options_are_hashed_as_numba_does_it():
    plain = Flags()
    plain.nrt = True
    quick = _QuickFlags(plain)
    assert hash(quick) == hash(plain)
    assert quick == plain
    assert plain == quick
    assert quick.copy() == plain
    quick.nrt = False
    assert quick != plain


def test_a_part_is_no_machine_code_of_its_own():
    @compiled_part
    def thrice(x):
        return 3 * x

    kernel = compiled(cache=False)(lambda x: thrice(x) + thrice(2.0 * x))
    names = []

    class Passes(event.Listener):
        def on_start(self, happening):
            names.append(happening.data["name"])

        def on_end(self, happening):
            pass

    with event.install_listener("numba:run_pass", Passes()):
        assert kernel(1.0) == 9.0
    assert [name for name in names if name.startswith("part_lowering")]
    (code,) = kernel.overloads.values()
    # The part was linked into the kernel, and calls of it were pasted in.
    assert "thrice" not in str(code.library.get_llvm_str()).split("define ", 1)[1]


def test_callers_share_a_part():
    @compiled_part
    def half_of(x):
        return x / 2

    @compiled_part
    def one_less(x):
        return half_of(x) - 1.0

    @compiled_part
    def one_more(x):
        return half_of(x) + 1.0

    names = []

    class Compiled(event.Listener):
        def on_start(self, happening):
            names.append(happening.data["dispatcher"].py_func.__name__)

        def on_end(self, happening):
            pass

    with event.install_listener("numba:compile", Compiled()):
        kernel = compiled(cache=False)(lambda x: one_less(x) * one_more(x))
        assert kernel(4.0) == 3.0
        another = compiled(cache=False)(lambda x: one_more(x) + 0.5)
        assert another(4.0) == 3.5
    assert sorted(names) == ["<lambda>"] * 2 + ["half_of", "one_less", "one_more"]


def test_the_entry_for_python_is_not_optimized():
    kernel = compiled(cache=False)(lambda x: x + 5.0)
    assert kernel(1.0) == 6.0
    (code,) = kernel.overloads.values()
    text = str(code.library.get_llvm_str())
    (entry,) = [
        line
        for line in text.splitlines()
        if line.startswith("define") and "_ZN7cpython" in line
    ]
    group = entry.split("#")[1].split()[0]
    (attributes,) = [
        line for line in text.splitlines() if line.startswith(f"attributes #{group} ")
    ]
    assert "optnone" in attributes


def passes_of(function, *arguments):
    names = set()

    class Passes(event.Listener):
        def on_start(self, happening):
            names.add(happening.data["name"].split()[0])

        def on_end(self, happening):
            pass

    with event.install_listener("numba:run_pass", Passes()):
        result = function(*arguments)
    return result, names


def test_passes_for_what_no_kernel_has_are_left_out():
    def scan(values, bound):
        total = 0.0
        for i in range(values.shape[0]):
            if values[i] < bound:
                total += values[i] / bound
        return total

    values = np.linspace(0.0, 1.0, 8)
    expected, all_passes = passes_of(njit(scan), values, 0.5)
    found, passes = passes_of(compiled(cache=False)(scan), values, 0.5)
    assert found == expected
    assert all_passes - passes == {
        "inline_closure_likes",
        "nopython_rewrites",
        "native_lowering",
    }
    assert passes - all_passes == {"kernel_lowering"}


def test_operators_on_the_same_types_are_looked_up_once(monkeypatch):
    typing = pipelines._QuickTyping(cpu_target.typing_context)
    plus = typing.resolve_value_type(operator.add)
    calls = []
    plain = Context.resolve_function_type
    monkeypatch.setattr(
        Context,
        "resolve_function_type",
        lambda self, *call: calls.append(call) or plain(self, *call),
    )
    two = types.float64, types.int64
    first = typing.resolve_function_type(plus, two, {})
    assert first.return_type == types.float64
    assert typing.resolve_function_type(plus, two, {}) is first
    assert len(calls) == 1
    # Other types are another question.
    whole = types.int64, types.int64
    assert typing.resolve_function_type(plus, whole, {}).return_type == types.int64


def test_errors_of_parts_reach_the_caller():
    @compiled_part(allocates=True)
    def divide(x, y):
        if y < 0:
            raise ValueError("negative", y)
        return x / y

    kernel = compiled(cache=False, allocates=True)(lambda x, y: divide(x, y))
    assert kernel(1.0, 2.0) == 0.5
    with pytest.raises(ZeroDivisionError):
        kernel(1.0, 0.0)
    with pytest.raises(ValueError, match="negative"):
        kernel(1.0, -1.0)


def test_a_kernel_that_makes_arrays_says_so():
    def ones(n):
        return np.ones(n)

    with pytest.raises(TypingError, match="returning of array"):
        compiled(cache=False)(ones)(2)
    assert compiled(cache=False, allocates=True)(ones)(2).sum() == 2.0


class _Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def notice(monkeypatch):
    """A notice that is due at once, as in a process that has compiled for long."""
    fresh = pipelines._Notice()
    fresh.spent = 60.0
    monkeypatch.setattr(pipelines, "NOTICE", fresh)
    return fresh


def compile_two():
    for step in range(2):
        compiled(cache=False)(lambda x, step=step: x + step)(1)


def test_a_terminal_is_told_once_that_compilation_takes_a_while(notice, monkeypatch):
    terminal = _Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    compile_two()
    (line,) = terminal.getvalue().splitlines()
    assert line.startswith("[knngraph] compiles its functions")
    assert "knngraph warm" in line


def test_a_quick_compilation_is_silent(notice, monkeypatch):
    notice.spent = 0.0
    monkeypatch.setattr(pipelines, "_SECONDS_IN_SILENCE", 60.0)
    terminal = _Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    compile_two()
    assert terminal.getvalue() == ""
    assert notice.spent > 0.0


@pytest.mark.usefixtures("notice")
def test_captured_output_gets_no_line(capsys):
    compile_two()
    assert capsys.readouterr() == ("", "")


@pytest.mark.usefixtures("notice")
def test_a_worker_process_prints_no_line(monkeypatch):
    terminal = _Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(multiprocessing, "parent_process", object)
    compile_two()
    assert terminal.getvalue() == ""


@pytest.mark.usefixtures("notice")
@pytest.mark.parametrize("with_tqdm", [False, True])
def test_verbose_shows_the_line_wherever_it_prints(monkeypatch, capsys, with_tqdm):
    if not with_tqdm:
        monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    with stage("learning", total=2, verbose=1):
        compile_two()
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("compiles its functions") == 1
