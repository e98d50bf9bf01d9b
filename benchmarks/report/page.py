"""A report as one HTML file that needs nothing else, light and dark."""

import html
import re
from pathlib import Path

from benchmarks.report.blocks import (
    Block,
    Bullets,
    Cell,
    Heading,
    Paragraph,
    Picture,
    Report,
    Table,
)

_STYLE = """
:root { color-scheme: light dark; --ink: #1c1e21; --soft: #5b626b; --paper: #ffffff;
  --line: #d9dde2; --stripe: #f5f6f8; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8eb; --soft: #a3abb5;
  --paper: #15171a; --line: #363b42; --stripe: #1d2024; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 72rem; color: var(--ink);
  background: var(--paper); font: 1rem/1.55 system-ui, sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.2; }
h2 { font-size: 1.25rem; margin-top: 2.5rem; }
h1, h2, h3, p, li, figcaption { overflow-wrap: anywhere; }
p, li { max-width: 46rem; }
code { font-size: .92em; background: var(--stripe); padding: .05em .3em;
  border-radius: 3px; }
.wide { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums;
  font-size: .9rem; }
caption, figcaption { text-align: left; color: var(--soft); font-size: .9rem;
  padding: .4rem 0; max-width: 46rem; }
th, td { padding: .3rem .7rem; text-align: right; white-space: nowrap;
  border-bottom: 1px solid var(--line); vertical-align: top; }
th:first-child, td:first-child { text-align: left; position: sticky; left: 0;
  background: var(--paper); }
td.words { text-align: left; white-space: normal; min-width: 18rem; }
thead th { border-bottom: 2px solid var(--line); }
td small { display: block; color: var(--soft); font-size: .8rem; }
figure { margin: 1.5rem 0; }
.panels { display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 20rem), 1fr)); }
.panels svg { width: 100%; max-width: 34rem; height: auto; color: var(--ink); }
"""


def as_page(report: Report) -> str:
    """The whole page."""
    body = "\n".join(_block(block) for block in report.blocks)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(report.title)}</title>\n<style>{_STYLE}</style>\n"
        f"</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def write_page(report: Report, path: Path) -> None:
    """Write the page."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(as_page(report), encoding="utf-8")


def _inline(text: str) -> str:
    text = html.escape(text, quote=False)
    text = re.sub(r"`([^`]+)`", r"<code>\1</code>", text)
    return re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", text)


def _block(block: Block) -> str:
    if isinstance(block, Heading):
        return f"<h{block.level}>{_inline(block.text)}</h{block.level}>"
    if isinstance(block, Paragraph):
        return f"<p>{_inline(block.text)}</p>"
    if isinstance(block, Bullets):
        items = "".join(f"<li>{_inline(item)}</li>" for item in block.items)
        return f"<ul>{items}</ul>"
    if isinstance(block, Picture):
        return _picture(block)
    return _table(block)


def _picture(picture: Picture) -> str:
    # Names inside a drawing count for the whole page: each gets its own.
    svgs = [
        _with_own_names(_without_prolog(svg), f"{picture.name}-{i}")
        for i, svg in enumerate(picture.svgs)
    ]
    panels = "\n".join(f"<div>{svg}</div>" for svg in svgs)
    caption = f"<figcaption>{_inline(picture.caption)}</figcaption>"
    return f'<figure><div class="panels">{panels}</div>{caption}</figure>'


def _without_prolog(svg: str) -> str:
    return svg[svg.index("<svg") :]


def _with_own_names(svg: str, prefix: str) -> str:
    svg = re.sub(r'\bid="', f'id="{prefix}-', svg)
    svg = svg.replace("url(#", f"url(#{prefix}-")
    return svg.replace('xlink:href="#', f'xlink:href="#{prefix}-')


def _table(table: Table) -> str:
    head = "".join(f"<th>{_inline(cell)}</th>" for cell in table.header)
    rows = "\n".join(
        "<tr>" + "".join(_cell(cell) for cell in row) + "</tr>" for row in table.rows
    )
    caption = f"<caption>{_inline(table.caption)}</caption>" if table.caption else ""
    return (
        f'<div class="wide"><table>{caption}<thead><tr>{head}</tr></thead>'
        f"<tbody>\n{rows}\n</tbody></table></div>"
    )


def _is_words(cell: str) -> bool:
    """Whether a cell is text to be read, not a figure in a column."""
    return len(cell) > 20


def _cell(cell: str | Cell) -> str:
    if isinstance(cell, Cell):
        note = f"<small>{_inline(cell.note)}</small>" if cell.note else ""
        return f"<td>{_inline(cell.text)}{note}</td>"
    words = ' class="words"' if _is_words(cell) else ""
    return f"<td{words}>{_inline(cell)}</td>"
