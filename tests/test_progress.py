"""What verbose shows, and that nothing is shown otherwise."""

import sys

import pytest

import knngraph.progress as progress
from knngraph.progress import stage


@pytest.fixture
def no_tqdm(monkeypatch):
    """An installation without the progress extra."""
    monkeypatch.setitem(sys.modules, "tqdm", None)
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)


def test_silent_by_default(capsys):
    with stage("counting", total=2, verbose=0) as counting:
        counting.advance(2)
    assert capsys.readouterr() == ("", "")


@pytest.mark.usefixtures("no_tqdm")
def test_lines_without_tqdm(capsys, monkeypatch):
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN_LINES", 0.0)
    with stage("counting", total=4, verbose=1) as counting:
        counting.advance(1)
        counting.advance(3)
    shown = capsys.readouterr()
    assert shown.out == ""
    first, last = shown.err.splitlines()
    assert first.startswith("[knngraph] counting: 1/4, ")
    assert first.endswith(" s left")
    assert last.startswith("[knngraph] counting: 4/4, done in ")


@pytest.mark.usefixtures("no_tqdm")
def test_a_step_that_finished_nothing_has_no_time_left_to_tell(capsys, monkeypatch):
    # The first round of the exact support may certify no row at all.
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN_LINES", 0.0)
    with stage("counting", total=4, verbose=1) as counting:
        counting.advance(0)
        assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("no_tqdm")
def test_the_end_is_shown_when_the_work_fails(capsys):
    with pytest.raises(ZeroDivisionError), stage("counting", 4, verbose=1):
        _ = 1 / 0
    assert "counting: 0/4, done in" in capsys.readouterr().err


def test_bar_with_tqdm(capsys):
    pytest.importorskip("tqdm")
    with stage("counting", total=4, verbose=1) as counting:
        counting.advance(4)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "[knngraph] counting" in shown.err
    assert "4/4" in shown.err
