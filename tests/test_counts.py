"""What was tried is shown at the end of a run, also where two processes share it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

MODULE = """
def test_counts(tried):
    tried["inputs"] += {count}
"""


@pytest.mark.parametrize("processes", [[], ["--numprocesses=2", "--dist=loadscope"]])
def test_counts_of_all_processes_are_shown(processes, tmp_path):
    if processes:
        pytest.importorskip("xdist")
    shutil.copy(Path(__file__).parent / "conftest.py", tmp_path)
    for number, count in enumerate([30, 5, 7]):
        (tmp_path / f"test_{number}.py").write_text(MODULE.format(count=count))
    where = ["--rootdir", str(tmp_path), "-c", os.devnull, str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--import-mode=importlib", *where, *processes],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "      42  inputs" in done.stdout, done.stdout
    assert "3 passed" in done.stdout
