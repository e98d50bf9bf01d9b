"""Folders of tests that need what is not everywhere, and threads of tests."""

import os
from importlib.util import find_spec
from pathlib import Path

import pytest

# Processes that share the cores get a thread each. Threads of OpenMP and BLAS wait for
# one another in loops: twice as many as there are cores take many times as long.
if "PYTEST_XDIST_WORKER" in os.environ:
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")

ROOT = Path(__file__).resolve().parent
_NEED_TORCH = (ROOT / "tests" / "torch", ROOT / "knngraph" / "torch")
_NEEDS_POSIX = ROOT / "tests" / "benchmarks"


class _Skipped(pytest.Dir):
    reason: str

    def collect(self):
        """No files; the folder itself is reported as skipped."""
        pytest.skip(self.reason)


def pytest_collect_directory(path, parent):
    """Skip a folder before any of its files is imported."""
    if path in _NEED_TORCH and find_spec("torch") is None:
        reason = "PyTorch is not installed: make test-torch"
    elif path == _NEEDS_POSIX and os.name != "posix":
        reason = "benchmarks end processes and measure their memory by POSIX"
    else:
        return None
    folder = _Skipped.from_parent(parent, path=path)
    folder.reason = reason
    return folder
