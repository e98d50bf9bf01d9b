"""Tables in Markdown, and pages whose marked parts a command writes."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from tabulate import DataRow, TableFormat

# Cells as wide as their text, so that a longer one changes its own line alone.
_ROW = DataRow("|", "|", "|")
_COMPACT = TableFormat(
    lineabove=None,
    linebelowheader=lambda widths, _: f"|{' --- |' * len(widths)}",
    linebetweenrows=None,
    linebelow=None,
    headerrow=_ROW,
    datarow=_ROW,
    padding=1,
    with_header_hide=None,
)
DOCS = Path(__file__).resolve().parent.parent / "docs"


def table(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A Markdown table; cells stand as they are given."""
    frame = pd.DataFrame([list(map(str, row)) for row in rows], columns=list(heads))
    return frame.to_markdown(
        index=False, tablefmt=_COMPACT, disable_numparse=True, stralign=None
    )


def read_table(lines: Sequence[str]) -> pd.DataFrame:
    """The cells of a Markdown table."""
    cells = [[c.strip() for c in line.strip("|").split("|")] for line in lines]
    return pd.DataFrame(cells[2:], columns=cells[0])


def tables_of(page: Path, heading: str) -> list[pd.DataFrame]:
    """Tables under headings that begin so."""
    sections = re.split(r"^#+ ", page.read_text(), flags=re.MULTILINE)
    found = [
        read_table(lines.splitlines())
        for section in sections
        if section.startswith(heading)
        for lines in re.findall(r"(?:^\|.*\n?)+", section, re.MULTILINE)
    ]
    if not found:
        raise SystemExit(f"{page} has no table under the heading {heading!r}.")
    return found


def marked(name: str, text: str) -> str:
    """The text between the marks `name: begin` and `name: end`."""
    return f"<!-- {name}: begin -->\n\n{text.strip()}\n\n<!-- {name}: end -->"


def put_between(page: Path, name: str, text: str) -> None:
    """Replace what stands between the marks."""
    found = _find(page, name)
    content = found.string
    page.write_text(
        content[: found.start()] + marked(name, text) + content[found.end() :]
    )


def between(page: Path, name: str) -> str:
    """What stands between the marks."""
    return _find(page, name)[1].strip()


def _find(page: Path, name: str) -> re.Match[str]:
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    found = re.search(f"{begin}(.*?){end}", page.read_text(), re.DOTALL)
    if found is None:
        raise SystemExit(f"{page} has no lines {begin} and {end} to write between.")
    return found
