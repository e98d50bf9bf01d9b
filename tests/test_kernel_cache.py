"""Where compiled kernels are kept: installations that can only be read."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "knngraph"

# Runs a program, and prints each warning of folders and the number of kernels that
# were compiled.
COUNTED = """
import sys, warnings
import numpy as np
from numba.core import event
import knngraph

class Count(event.Listener):
    n = 0
    def on_start(self, happening):
        function = happening.data["dispatcher"].py_func
        self.n += function.__module__.startswith("knngraph.")
    def on_end(self, happening):
        pass
count = Count()
event.register("numba:compile", count)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    run()
print(knngraph.__file__)
for one in caught:
    if "NUMBA_CACHE_DIR" in str(one.message):
        print(one.category.__name__, one.filename, one.message)
print(count.n)
"""

# Every inference of estimators, and of predictors from their files.
USE = """
def run():
    from knngraph import KNNGraphClassifier, load_predictor
    random = np.random.default_rng(0)
    X = random.normal(size=(150, 4)); y = X[:, 0] + random.normal(size=150) > 0
    for inference in ("lookup", "adaptive", "cascade"):
        fitted = KNNGraphClassifier(inference=inference, random_state=0).fit(X, y)
        labels = fitted.predict(X)
        shares = fitted.predict_proba(X)
        fitted.to_predictor().save(sys.argv[1])
        loaded = load_predictor(sys.argv[1])
        assert np.array_equal(loaded.predict(X), labels)
        assert np.array_equal(loaded.predict_proba(X), shares)
"""

# Two small kernels: what is kept of them is kept of all.
USE_FEW = """
def run():
    from knngraph._project import project
    from knngraph.index._nearest import keep_least
    rows, mapped = np.arange(6.0).reshape(3, 2), np.empty((3, 2), np.float32)
    project(rows, np.eye(2), mapped)
    assert (mapped == rows).all()
    ids, kept = np.full((1, 2), -1), np.full((1, 2), np.inf)
    keep_least(np.array([[5.0, 3.0, 4.0]]), 0, ids, kept)
    assert sorted(ids[0]) == [1, 2]
"""

# Folders that can be read and not written to: permissions do not bind root.
NO_FOLDER_IS_WRITABLE = """
from numba.core.caching import _CacheLocator
def ensure_cache_path(self):
    raise PermissionError(13, "Permission denied", self.get_cache_path())
_CacheLocator.ensure_cache_path = ensure_cache_path
"""


@pytest.fixture
def installed(tmp_path):
    """A copy of the package; nothing was compiled there."""
    copy = tmp_path / "site" / "knngraph"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


def run(program, installed, **variables):
    """Lines that the program prints with this copy of the package and no home."""
    folder = installed.parent
    left = {"HOME", "XDG_CACHE_HOME", "NUMBA_CACHE_DIR"}
    environment = {
        name: value for name, value in os.environ.items() if name not in left
    }
    environment |= {
        "HOME": os.path.join(os.devnull, "home"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": str(folder),
    }
    ended = subprocess.run(
        [sys.executable, "-c", program + COUNTED, str(folder / "predictor")],
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment | variables,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.splitlines()


def close_all_folders(installed):
    """A file in the place of every folder stops root as well."""
    for folder in {module.parent for module in installed.rglob("*.py")}:
        (folder / "__pycache__").touch()


def check_one_warning(lines, installed):
    """Number of kernels that were compiled."""
    where, warned, compiled = lines
    assert where == str(installed / "__init__.py")
    assert warned.startswith("KNNGraphWarning <string> ")
    assert "knngraph warm" in warned
    return int(compiled)


@pytest.mark.slow
def test_without_any_folder_all_answers_come_with_one_warning(installed):
    close_all_folders(installed)
    assert check_one_warning(run(USE, installed), installed) > 5


def test_without_any_folder_there_is_one_warning(installed):
    close_all_folders(installed)
    assert check_one_warning(run(USE_FEW, installed), installed) == 2


@pytest.mark.parametrize("named", [False, True])
def test_a_folder_that_was_filled_is_read_though_it_cannot_be_written_to(
    installed, tmp_path, named
):
    # With NUMBA_CACHE_DIR or beside the source.
    variables = {"NUMBA_CACHE_DIR": str(tmp_path / "cache")} if named else {}
    assert run(USE_FEW, installed, **variables)[1:] == ["2"]
    assert any((tmp_path / "cache" if named else installed).rglob("*.nbc"))
    program = NO_FOLDER_IS_WRITABLE + USE_FEW
    assert run(program, installed, **variables)[1:] == ["0"]
