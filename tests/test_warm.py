"""The command `knngraph warm`, and what is left to compile after it: nothing."""

import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from benchmarks.isolated import run_isolated
from knngraph import warm
from knngraph.cli import main
from knngraph.compiling.cache import UNKEPT
from knngraph.exceptions import KNNGraphWarning, warn_once


def run_warm(cache):
    return subprocess.run(
        [sys.executable, "-m", "knngraph", "warm"],
        capture_output=True,
        text=True,
        env=os.environ | {"NUMBA_CACHE_DIR": str(cache)},
    )


@pytest.mark.slow
def test_nothing_is_left_to_compile(tmp_path):
    cache = tmp_path / "cache"
    first = run_warm(cache)
    assert first.returncode == 0, first.stderr
    assert first.stderr == ""
    lines = first.stdout.splitlines()
    for kernel in (
        "_fista.solve_rows",
        "_near_rows.join",
        "_links.choose_links",
        "_changed.refill",
    ):
        assert any(kernel in line for line in lines)
    assert f"in {cache} (" in lines[-1]
    files = {file: file.stat().st_mtime_ns for file in cache.rglob("*.nb[ci]")}
    assert files
    again = run_warm(cache)
    assert again.returncode == 0
    assert again.stdout.splitlines()[-1].startswith("0 functions compiled, ")
    assert files == {file: file.stat().st_mtime_ns for file in cache.rglob("*.nb[ci]")}
    # Every estimator, rows in every layout.
    left = run_isolated(
        "benchmarks.compile_time:use_everything",
        {},
        environment={"NUMBA_CACHE_DIR": str(cache)},
    )
    assert left == {}, json.dumps(left)


def test_a_folder_that_cannot_be_written_to_is_an_error(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").touch()
    monkeypatch.setattr(warm.config, "CACHE_DIR", str(tmp_path / "file" / "cache"))
    assert main(["warm"]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "NUMBA_CACHE_DIR" in shown.err
    assert "cannot be written to" in shown.err


def test_no_folder_at_all_is_an_error(monkeypatch, capsys):
    def use_all(X, y):
        warn_once(UNKEPT, KNNGraphWarning)

    monkeypatch.setattr(warm, "use_all", use_all)
    monkeypatch.setattr(warm.config, "CACHE_DIR", "")
    assert main(["warm"]) == 1
    assert "Set NUMBA_CACHE_DIR to a folder" in capsys.readouterr().err


@pytest.mark.parametrize("nested", [0, 2])
def test_what_a_function_compiles_in_turn_counts_as_its_own(nested):
    dispatcher = SimpleNamespace(py_func=run_warm)
    happening = SimpleNamespace(data={"dispatcher": dispatcher})
    told = []
    compiled = warm.Compilations(lambda name, took: told.append(name))
    for _ in range(nested + 1):
        compiled.on_start(happening)
    for _ in range(nested + 1):
        compiled.on_end(happening)
    assert told == list(compiled.seconds) == [f"{__name__}.run_warm"]
