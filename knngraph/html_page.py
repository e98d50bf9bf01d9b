"""A self-contained HTML page of blocks: light and dark, wide and narrow, no network."""

import io
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from html import escape
from typing import Any

# A color that no drawing uses by itself: `as_svg` turns it into the ink of the page.
_INK = "#010203"
_DRAWING = {
    "svg.fonttype": "none",
    "svg.hashsalt": "knngraph",
    "font.family": "sans-serif",
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    **dict.fromkeys(
        (
            "axes.edgecolor",
            "axes.labelcolor",
            "axes.titlecolor",
            "text.color",
            "xtick.color",
            "ytick.color",
        ),
        _INK,
    ),
    **dict.fromkeys(
        ("figure.facecolor", "axes.facecolor", "savefig.facecolor"), "none"
    ),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": "#80808055",
    "legend.frameon": False,
}


def html_page(title: str, blocks: Iterable[str]) -> str:
    """The whole page in UTF-8, its style inside.

    The blocks are HTML: from the functions below, or rendered from Markdown.

    Examples
    --------
    >>> from knngraph.html_page import heading, html_page, table
    >>> codes = table(["", "code"], [["red", "1"]])
    >>> "<td>1</td>" in html_page("Colors", [heading("Codes"), codes])
    True
    """
    body = "\n".join(blocks)
    return (
        "<!doctype html>\n<html lang='en'>\n<head>\n<meta charset='utf-8'>\n"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>\n"
        "<meta name='color-scheme' content='light dark'>\n"
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def heading(words: str, level: int = 2) -> str:
    """A heading."""
    return f"<h{level}>{escape(words)}</h{level}>"


def paragraph(words: str, kind: str = "") -> str:
    """A paragraph; its kind is "", "lead" or "note"."""
    return f"<p{_kind(kind)}>{escape(words)}</p>"


def bullets(items: Iterable[str]) -> str:
    """A list."""
    return "<ul>" + "".join(f"<li>{escape(item)}</li>" for item in items) + "</ul>"


def table(
    heads: Sequence[str], rows: Iterable[Sequence[str]], chosen: str | None = None
) -> str:
    """A table that scrolls by itself where the screen is narrow.

    The first cell of a row names it; the `chosen` one gets a star.
    """
    head = "".join(f"<th>{escape(cell)}</th>" for cell in heads)
    lines = []
    for name, *cells in rows:
        figures = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
        mark = _kind("chosen" if name == chosen else "")
        lines.append(f"<tr{mark}><th>{escape(name)}</th>{figures}</tr>")
    return (
        f"<table tabindex='0'><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(lines)}</tbody></table>"
    )


@contextmanager
def drawing(width: float = 4.4, height: float = 3.4) -> Iterator[tuple[Any, Any]]:
    """A figure of matplotlib and its axes in the style of the page, sizes in inches."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_DRAWING):
        picture = Figure(figsize=(width, height), layout="constrained")
        yield picture, picture.subplots()


def as_svg(picture: Any) -> str:
    """The figure as an SVG document in the ink of the page, with reproducible bytes."""
    import matplotlib

    target = io.StringIO()
    with matplotlib.rc_context(_DRAWING):
        picture.savefig(target, format="svg", metadata={"Date": None, "Creator": None})
    return target.getvalue().replace(_INK, "currentColor")


def _kind(name: str) -> str:
    return f" class='{name}'" if name else ""


_STYLE = """
:root {
  --paper: #ffffff; --ink: #1d2329; --soft: #5a6570; --line: #d8dee4;
  --panel: #f2f6fa; --ours: #0072b2; --other: #9aa5b0; --mark: #d55e00;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14181d; --ink: #e6eaee; --soft: #a3adb8; --line: #333b44;
    --panel: #1d242c; --ours: #56b4e9; --other: #6d7985; --mark: #f0913a;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif;
}
main { max-width: 60rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.5rem; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin-top: 2rem; }
p, li { overflow-wrap: anywhere; max-width: 46rem; }
code { font-size: 0.9em; }
em { color: var(--soft); font-size: 0.9rem; }
.lead, .note, footer { color: var(--soft); }
.note, footer { font-size: 0.85rem; }
footer { border-top: 1px solid var(--line); margin-top: 2rem; padding-top: 0.5rem; }
.choice {
  background: var(--panel); border-left: 4px solid var(--mark);
  padding: 0.25rem 1rem; border-radius: 4px;
}
.chosen, tr.chosen th { color: var(--mark); }
span.chosen::before, tr.chosen th::before { content: "★ "; }
.choice p:first-child { font-size: 1.1rem; }
.bars {
  display: grid; grid-template-columns: max-content 1fr max-content;
  gap: 0.35rem 0.75rem; align-items: center;
}
.figure { font-variant-numeric: tabular-nums; text-align: right; font-size: 0.9rem; }
.track { min-width: 0; }
.bar { height: 1rem; min-width: 1px; border-radius: 0 3px 3px 0; }
.ours { background: var(--ours); }
.other { background: var(--other); }
.bar.leaves {
  background: linear-gradient(90deg, var(--other) 85%, transparent);
}
.key { display: inline-block; width: 0.8em; height: 0.8em; border-radius: 2px; }
p:has(> svg) {
  max-width: none; display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 20rem), 1fr));
}
svg { width: 100%; max-width: 46rem; height: auto; display: block; color: var(--ink); }
table {
  display: block; overflow-x: auto; margin: 1rem 0; border-collapse: collapse;
  font-size: 0.9rem;
}
th, td { padding: 0.3rem 0.8rem 0.3rem 0; text-align: right; white-space: nowrap; }
th:first-child, td:first-child {
  text-align: left; position: sticky; left: 0; background: var(--paper);
}
tbody th { font-weight: 400; }
thead th { color: var(--soft); font-weight: 600; }
tbody tr { border-top: 1px solid var(--line); }
td { font-variant-numeric: tabular-nums; }
@media (max-width: 600px) {
  .bars { grid-template-columns: 1fr max-content; gap: 0.1rem 0.75rem; }
  .bars .label { grid-column: 1 / -1; margin-top: 0.4rem; }
}
"""
