"""Tests and examples that need PyTorch, which `make test-torch` installs."""

from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent
_NEED_TORCH = (ROOT / "tests" / "torch", ROOT / "knngraph" / "torch")


class _WithoutTorch(pytest.Dir):
    def collect(self):
        """No files; the folder itself is reported as skipped."""
        pytest.skip("PyTorch is not installed: make test-torch")


def pytest_collect_directory(path, parent):
    """Skip these folders where there is no torch, before any file is imported."""
    if path in _NEED_TORCH and find_spec("torch") is None:
        return _WithoutTorch.from_parent(parent, path=path)
    return None
