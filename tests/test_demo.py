"""The demonstration: what it prints and draws, not how fast."""

import sys

import numpy as np
import pytest

from knngraph import KNNGraphClassifier
from knngraph.demo import (
    INFERENCES,
    PEERS,
    Row,
    draw_picture,
    format_table,
    run_demo,
)
from knngraph.inspection import LearnedKDisplay

PNG = b"\x89PNG\r\n"


def test_the_whole_demo(tmp_path, capsys):
    output = tmp_path / "picture.png"
    assert run_demo(output) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    assert output.read_bytes().startswith(PNG)
    lines = shown.out.splitlines()
    table = lines[lines.index(next(x for x in lines if "accuracy" in x)) :]
    names = [name for name, _ in [*INFERENCES, *PEERS]]
    assert len({len(line) for line in table[: len(names) + 1]}) == 1  # aligned
    for name, line in zip(names, table[1:]):
        assert line.startswith(name)
        accuracy = float(line[len(name) :].split()[0])
        assert 0.9 < accuracy <= 1.0  # measured: 0.967 to 0.991
    assert f"Picture: {output}" in lines


def test_the_table():
    table = format_table(
        [Row("one", 0.5, 0.1234, 1234.56), Row("longer", 1.0, None, 0.04)]
    )
    assert table.splitlines() == [
        "        accuracy    fit, s  us a query",
        "one       0.5000     0.123      1234.6",
        "longer    1.0000  same fit         0.0",
    ]


@pytest.fixture
def quick(monkeypatch):
    """A demo whose table is empty, for tests of what comes after it."""
    model = KNNGraphClassifier(random_state=0).fit([[0.0], [1.0], [2.0]], [0, 1, 1])
    monkeypatch.setattr("knngraph.demo.compile_solvers", lambda X, y: 0.0)
    monkeypatch.setattr(
        "knngraph.demo.measure", lambda *data: (model, [Row("one", 1.0, 0.0, 0.0)])
    )


@pytest.mark.usefixtures("quick")
def test_without_matplotlib(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert run_demo(tmp_path / "picture.png") == 1
    shown = capsys.readouterr()
    assert "accuracy" in shown.out
    assert shown.err == (
        "No picture: matplotlib is not installed. Install it with: "
        "pip install 'knngraph[plots]'\n"
    )


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("name", ["missing/picture.png", "picture.nonsense"])
def test_a_picture_that_cannot_be_written(name, tmp_path, capsys):
    assert run_demo(tmp_path / name) == 1
    assert capsys.readouterr().err.startswith("No picture: ")


def test_the_ending_sets_the_format(tmp_path):
    learned = LearnedKDisplay(n_neighbors=np.array([1, 1, 2]), density=np.ones(3))
    draw_picture(learned, tmp_path / "picture.svg")
    assert b"<svg" in (tmp_path / "picture.svg").read_bytes()
