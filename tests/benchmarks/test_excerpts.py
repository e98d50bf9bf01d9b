"""Figures that a page repeats are those of the page that was measured."""

import re
from html import unescape

import pytest

from benchmarks.excerpts import (
    CHART,
    MEASURED,
    SPELLED,
    excerpts,
    short_figures,
    short_table,
)
from benchmarks.pages import between, marked, put_between, table, tables_of


@pytest.mark.parametrize(
    ("page", "name", "text"), excerpts(), ids=lambda part: getattr(part, "stem", None)
)
def test_pages_repeat_what_was_measured(page, name, text):
    assert between(page, name) == text.strip()


def test_the_chart_is_drawn_from_the_short_table():
    drawn = CHART.read_text()
    (said,) = re.findall(r"<desc>(.*?)</desc>", drawn, re.DOTALL)
    assert unescape(said) == short_table()
    names = [SPELLED.get(method, method) for method in short_figures().index]
    assert [name for name in names if f">{name}</text>" not in drawn] == []


@pytest.mark.parametrize(("noise", "column"), [("noise 0.0", 0), ("noise 0.2", 1)])
def test_the_short_table_is_that_of_all_sets(noise, column):
    means = tables_of(MEASURED, noise)[0].set_index("method").iloc[:, 0].astype(float)
    said = short_figures().iloc[:, column]
    assert len(said)
    for method, mean in said.items():
        if mean:
            assert means[method] == pytest.approx(float(mean), abs=0.0501)


def test_a_table_is_read_as_it_was_written(tmp_path):
    page = tmp_path / "page.md"
    lines = [["method", "here"], ["1-NN", "-"], ["kNN", ""]]
    page.write_text(f"# Title\n\n## Table 1: all\n\n{table(lines[0], lines[1:])}\n")
    (read,) = tables_of(page, "Table 1")
    assert [list(read), *read.to_numpy().tolist()] == lines
    with pytest.raises(SystemExit, match=re.escape("no table under the heading")):
        tables_of(page, "Table 2")


def test_text_between_marks_is_replaced(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"before\n\n{marked('part', 'old')}\n\nafter\n")
    put_between(page, "part", "new")
    assert between(page, "part") == "new"
    assert page.read_text() == f"before\n\n{marked('part', 'new')}\n\nafter\n"
    with pytest.raises(SystemExit, match="has no lines"):
        put_between(page, "other", "new")
