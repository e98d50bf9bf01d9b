"""Copies of the project in which mutants live, and tests that run in forks.

The process that forks has loaded what is slow to load, other packages above all, and
nothing of ours: a run of a few tests then starts at once.
"""

import contextlib
import importlib
import os
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.mutation.mutants import ROOT

_LOADED = (
    "joblib",
    "matplotlib.figure",
    "numba",
    "pandas",
    "scipy.sparse.csgraph",
    "scipy.spatial",
    "scipy.stats",
    "sklearn.datasets",
    "sklearn.ensemble",
    "sklearn.linear_model",
    "sklearn.model_selection",
    "sklearn.neighbors",
    "sklearn.utils.estimator_checks",
)
# Bytes that the tests of a mutant may allocate: a change of a size may ask for all.
_MOST_BYTES = 3 << 30
_OPTIONS = (
    "--import-mode=importlib",
    "-q",
    "-x",
    "-p",
    "no:cacheprovider",
    "--no-header",
)
# Exit codes: pytest found no test; the process was ended.
NO_TESTS, TIMED_OUT = 5, -9


def load_other_packages() -> None:
    """Load what the tests need and no test changes."""
    assert not any(name.split(".")[0] == "knngraph" for name in sys.modules)
    for name in _LOADED:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


@dataclass
class Tree:
    """A copy of the project's files, in a folder of its own.

    numba keeps compiled kernels there; a tree that stays compiles them once.
    """

    path: Path
    _original: tuple[Path, bytes] = field(init=False, repr=False)

    def refresh(self) -> None:
        """Bring the copy up to date; files that are equal stay as they are."""
        listed = subprocess.check_output(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            text=True,
        )
        files = {name for name in listed.splitlines() if (ROOT / name).is_file()}
        for name in files:
            source, copy = ROOT / name, self.path / name
            if not copy.exists() or copy.read_bytes() != source.read_bytes():
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, copy)
        for folder in "knngraph", "tests":
            for copy in (self.path / folder).rglob("*.py"):
                if copy.relative_to(self.path).as_posix() not in files:
                    copy.unlink()

    def put(self, file: str, source: str) -> None:
        """Another text in the place of a file."""
        path = self.path / file
        self._original = path, path.read_bytes()
        path.write_text(source, encoding="utf-8")

    def restore(self) -> None:
        """The text that was there before, whatever became of the project's own."""
        path, content = self._original
        path.write_bytes(content)


class FirstFailure:
    """Notes the first test that fails, which ends the run."""

    def __init__(self) -> None:
        self.node = ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A test has ended."""
        if report.failed:
            self.node = self.node or report.nodeid

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A file has been loaded, or could not be."""
        if report.failed:
            self.node = self.node or report.nodeid


@dataclass(eq=False)
class Fork:
    """Tests that run in a process of their own."""

    tree: Tree
    seconds: float
    pid: int
    started: float = field(default_factory=time.monotonic)

    @property
    def notes(self) -> Path:
        """The file in which the process leaves what it found."""
        return self.tree.path / "found.txt"

    def first_failure(self) -> str:
        """The test that has failed; empty where the process did not live to say it."""
        return self.notes.read_text() if self.notes.exists() else ""

    def ended(self) -> int | None:
        """The exit code of pytest, `TIMED_OUT`, or None while it runs."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if pid:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)  # what it has started
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() - self.started < self.seconds:
            return None
        os.killpg(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        return TIMED_OUT


def start_tests(
    tree: Tree,
    arguments: list[str],
    seconds: float,
    plugin: Callable[[], object] = FirstFailure,
) -> Fork:
    """Fork, and run some tests in a copy of the project.

    Parameters
    ----------
    tree : Tree
        The copy.
    arguments : list of str
        Tests and options of pytest.
    seconds : float
        When to end it.
    plugin : callable
        Makes a plugin of pytest; its `node` is written to the notes of the fork.
    """
    found = Path(tree.path / "found.txt")
    found.unlink(missing_ok=True)
    pid = os.fork()
    if pid:
        return Fork(tree, seconds, pid)
    code = 70
    try:
        import resource  # there is none on Windows

        os.setsid()
        resource.setrlimit(resource.RLIMIT_DATA, (_MOST_BYTES, _MOST_BYTES))
        os.chdir(tree.path)
        shutil.rmtree(".hypothesis", ignore_errors=True)
        sys.path[0] = str(tree.path)
        for name in [n for n in sys.modules if n.split(".")[0] == "tests"]:
            del sys.modules[name]
        with open("output.txt", "w") as output:
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
            made = plugin()
            code = int(pytest.main([*_OPTIONS, *arguments], plugins=[made]))
        found.write_text(made.node)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)
