"""Data that several files share; nothing here is downloaded."""

import functools
from collections import Counter

import numpy as np
import pytest
from sklearn.datasets import load_digits, make_blobs

from knngraph.index.engines import ENGINES, VARIABLE, engine_name
from knngraph.index.hnswlib_graph import has_hnswlib
from knngraph.metric.grow import ForestSettings

# What tests have tried, by name: the end of the run shows it.
_TRIED: Counter[str] = Counter()


class _Counts:
    """Collects the counts of the processes that share a run."""

    def pytest_testnodedown(self, node):
        """Take over the counts of a process that has finished."""
        _TRIED.update(getattr(node, "workeroutput", {}).get("tried", {}))


def pytest_configure(config):
    """Processes that share the work come from a plugin that need not be there."""
    if config.pluginmanager.hasplugin("xdist"):
        config.pluginmanager.register(_Counts(), "counts of the workers")


def pytest_report_header():
    """Which search engines are tested."""
    others = "tests of graphs run both" if has_hnswlib() else "hnswlib is not installed"
    return f"search engine: {engine_name()}; {others}"


@pytest.fixture(params=[e for e in ENGINES if e != "hnswlib" or has_hnswlib()])
def engine(request, monkeypatch):
    """Name of the engine that builds and searches graphs: all that are installed."""
    monkeypatch.setenv(VARIABLE, request.param)
    return request.param


@pytest.fixture(scope="session")
def tried():
    """Counts that are shown at the end of the run."""
    return _TRIED


def pytest_sessionfinish(session):
    """Hand the counts of a process that shares the work to the one that reports."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["tried"] = dict(_TRIED)


def pytest_terminal_summary(terminalreporter):
    """Say how much was tried, beside how many tests passed."""
    if _TRIED:
        terminalreporter.section("tried")
        for name, count in sorted(_TRIED.items()):
            terminalreporter.write_line(f"{count:>8}  {name}")


@pytest.fixture(scope="session")
def digits():
    """All of scikit-learn's digits as (X, y), read-only."""
    X, y = load_digits(return_X_y=True)
    X.setflags(write=False)
    y.setflags(write=False)
    return X, y


@pytest.fixture(scope="session")
def blobs():
    """Four overlapping classes as (X, y), read-only."""
    X, y = make_blobs(
        n_samples=240, n_features=5, centers=4, cluster_std=3.0, random_state=11
    )
    X.setflags(write=False)
    y.setflags(write=False)
    return X, y


@pytest.fixture
def random():
    """A seeded generator, new for every test."""
    return np.random.default_rng(20240229)


@pytest.fixture
def few_trees(monkeypatch):
    """Forests of ten trees in place of 200, where the answers do not matter."""
    settings = functools.partial(ForestSettings, n_trees=10)
    monkeypatch.setattr("knngraph.metric.place.ForestSettings", settings)
