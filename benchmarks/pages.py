"""Tables in Markdown, and pages whose marked parts a command writes."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parent.parent / "docs"


def table(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)


def put_between(page: Path, name: str, text: str) -> None:
    """Replace what stands between the marks `name: begin` and `name: end`."""
    before, _, after = _parts(page, name)
    page.write_text(before + marked(name, text) + after)


def marked(name: str, text: str) -> str:
    """The text between its marks."""
    begin, end = _marks(name)
    return f"{begin}\n\n{text.strip()}\n\n{end}"


def between(page: Path, name: str) -> str:
    """What stands between the marks `name: begin` and `name: end`."""
    return _parts(page, name)[1].strip()


def tables_of(page: Path, heading: str) -> list[list[list[str]]]:
    """Tables under headings that begin so: lines of cells, the head first."""
    tables: list[list[list[str]]] = []
    inside = in_table = False
    for line in page.read_text().splitlines():
        if line.startswith("#"):
            inside = line.lstrip("# ").startswith(heading)
        if inside and line.startswith("|"):
            if not in_table:
                tables.append([])
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            if any(cell.strip("-: ") for cell in cells) or not tables[-1]:
                tables[-1].append(cells)
        in_table = inside and line.startswith("|")
    if not tables:
        raise SystemExit(f"{page} has no table under the heading {heading!r}.")
    return tables


def _marks(name: str) -> tuple[str, str]:
    return f"<!-- {name}: begin -->", f"<!-- {name}: end -->"


def _parts(page: Path, name: str) -> tuple[str, str, str]:
    begin, end = _marks(name)
    content = page.read_text()
    if begin not in content or end not in content:
        raise SystemExit(f"{page} has no lines {begin} and {end} to write between.")
    before, rest = content.split(begin)
    text, after = rest.split(end)
    return before, text, after
