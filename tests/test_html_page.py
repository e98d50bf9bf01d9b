"""Blocks of an HTML page: whatever a text holds, it is shown."""

import re

import pytest

from knngraph.html_page import (
    Cell,
    bars,
    bullets,
    folded,
    heading,
    html_page,
    paragraph,
    printable,
    shown,
    table,
)
from tests.commands.pages import Page

MARKUP = "<script>alert(1)</script>' onclick='x' &amp;"


def test_every_block_shows_its_text():
    blocks = [
        heading(MARKUP, 1),
        paragraph(MARKUP),
        bullets([MARKUP]),
        table(
            [MARKUP, Cell(MARKUP)],
            [[MARKUP, Cell(MARKUP, MARKUP, 0.5)]],
            label=MARKUP,
        ),
        bars([(MARKUP, 0.5, MARKUP)]),
        folded(MARKUP, [paragraph(MARKUP)]),
    ]
    page = Page(html_page(MARKUP, blocks))
    page.check_harmless()
    assert page.texts.count(MARKUP) == 13


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain ü 中 \N{GRINNING FACE}", "plain ü 中 \N{GRINNING FACE}"),
        ("two\nlines\tand a tab", "two lines and a tab"),
        ("\x00\x1b[2J", "\ufffd\ufffd[2J"),
        ("\u202eturned\u2066", "\ufffdturned\ufffd"),
        ("half \ud800", "half \ufffd"),
        ("joined \u200d", "joined \u200d"),
    ],
)
def test_what_is_printable(text, expected):
    assert printable(text) == expected
    assert shown(text).encode("utf-8")
    # All of it may come from a table.
    html_page(text, [table([text], [[Cell(text)]], label=text)]).encode("utf-8")


def test_long_texts_in_cells_are_cut_and_have_a_hint():
    text = "long <text> " * 60
    page = table([""], [["name", Cell(text)]], label="")
    (hint,) = Page(page).hints
    assert len(hint) == 500
    assert hint.startswith("long <text> ")
    (cell,) = [t for t in Page(page).texts if t.startswith("long")]
    assert len(cell) == 60
    assert cell.endswith("…")
    assert not Page(table([""], [["name", Cell("short")]], label="")).hints


@pytest.mark.parametrize("shade", [0.0, 0.001, 0.5, 1.0, 7.0, -1.0])
def test_shades_stay_light(shade):
    cell = table([""], [["name", Cell("x", shade=shade)]], label="")
    if shade < 0.01:
        assert "style" not in cell
    else:
        assert int(cell.split("#0072b2")[1][:2], 16) <= 0x60


def test_a_table_stays_a_table_in_a_region_that_scrolls():
    page = html_page("Colors", [table(["", "code"], [["red", "1"]], label=MARKUP)])
    region, _, rest = page.partition("<table>")
    assert region.endswith(
        f"<div class='wide' role='region' tabindex='0' aria-label='{shown(MARKUP)}'>"
    )
    assert "</table></div>" in rest
    # `display: block` would take the role of a table from it.
    (rules,) = re.findall(r"^table \{(.*?)\}", page, flags=re.MULTILINE | re.DOTALL)
    assert "display" not in rules
    assert re.search(r"^\.wide \{[^}]*overflow-x: auto", page, flags=re.MULTILINE)
