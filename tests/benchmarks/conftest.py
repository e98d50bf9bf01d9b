"""What tests of several benchmarks need."""

import importlib

import pytest

from benchmarks import fit_scale, fit_stages, kept, lists


@pytest.fixture
def here(monkeypatch):
    """Measurements in this process, which loads next to nothing; lists what they were.

    What a process of its own would give, without the time to start one.
    """
    calls = []

    def in_this_process(function, arguments, **_):
        calls.append(arguments)
        module, _, name = function.partition(":")
        return getattr(importlib.import_module(module), name)(**arguments)

    monkeypatch.setattr(kept, "run_isolated", in_this_process)
    monkeypatch.setattr(lists, "WARMING", dict.fromkeys(lists.WARMING, 500))
    monkeypatch.setattr(fit_stages, "WARMING", 500)
    monkeypatch.setattr(lists, "N_QUERIES", 50)
    monkeypatch.setattr(fit_scale, "N_QUERIES", 50)
    return calls
