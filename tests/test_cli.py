"""The command line."""

import subprocess
import sys
from pathlib import Path

import pytest

import knngraph
from knngraph.cli import main


@pytest.fixture
def outputs(monkeypatch):
    """Collects where demos were to write, and runs none."""
    outputs = []
    monkeypatch.setattr(
        "knngraph.demo.run_demo", lambda output: outputs.append(output) or 0
    )
    return outputs


def test_demo_writes_to_the_working_directory_by_default(outputs):
    assert main(["demo"]) == 0
    assert outputs == [Path("knngraph-demo.png")]


def test_demo_writes_where_it_is_told(outputs, tmp_path):
    assert main(["demo", "--output", str(tmp_path / "a.png")]) == 0
    assert outputs == [tmp_path / "a.png"]


def test_the_exit_status_is_that_of_the_demo(monkeypatch):
    monkeypatch.setattr("knngraph.demo.run_demo", lambda output: 1)
    assert main(["demo"]) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["dance"], "invalid choice: 'dance'"),
        ([], "required: command"),
        (["demo", "--loud"], "unrecognized arguments: --loud"),
        (["demo", "--output", "/no/such/place.png"], "no directory /no/such"),
    ],
)
def test_errors_say_what_is_wrong(arguments, message, capsys, outputs):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err
    assert not outputs


def test_the_module_is_the_command():
    shown = subprocess.run(
        [sys.executable, "-W", "error", "-m", "knngraph", "--version"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert shown == f"knngraph {knngraph.__version__}\n"
