"""What the first call of a kernel does beside compiling it."""

import gc

import pytest
from numba.core import event
from numba.core.errors import TypingError

from knngraph.compiling import njit


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
    with event.install_listener("numba:compile", look):
        assert njit(lambda x: x + 1)(1) == 2
    assert look.enabled[0] is False
    assert gc.isenabled()


def test_a_kernel_that_does_not_compile_wakes_it_too():
    with pytest.raises(TypingError):
        njit(lambda x: x + "1")(1)
    assert gc.isenabled()


def test_a_collector_that_was_off_stays_off():
    gc.disable()
    try:
        assert njit(lambda x: x + 2)(1) == 3
        assert not gc.isenabled()
    finally:
        gc.enable()
