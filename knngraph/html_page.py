"""A self-contained HTML page of blocks: light and dark, wide and narrow, no network."""

import base64
import io
import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

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

# Letters of a text in a cell, and in the hint that shows more of it.
LONGEST_TEXT = 60
_LONGEST_HINT = 500
# Zero-width joiners: parts of letters and emoji that are shown.
_JOINERS = "\u200c\u200d"
_SHADE = "#0072b2"
_DARKEST = 0x60


def html_page(title: str, blocks: Iterable[str]) -> str:
    """The whole page in UTF-8, its style inside.

    The blocks are HTML: from the functions below, or rendered from Markdown.

    Examples
    --------
    >>> from knngraph.html_page import heading, html_page, table
    >>> codes = table(["", "code"], [["red", "1"]], label="Codes of colors")
    >>> "<td>1</td>" in html_page("Colors", [heading("Codes"), codes])
    True
    """
    body = "\n".join(blocks)
    return (
        "<!doctype html>\n<html lang='en'>\n<head>\n<meta charset='utf-8'>\n"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>\n"
        "<meta name='color-scheme' content='light dark'>\n"
        f"<title>{shown(title)}</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def heading(words: str, level: int = 2) -> str:
    """A heading."""
    return f"<h{level}>{shown(words)}</h{level}>"


def paragraph(words: str, kind: str = "") -> str:
    """A paragraph; its kind is "", "lead" or "note"."""
    return f"<p{_kind(kind)}>{shown(words)}</p>"


def bullets(items: Iterable[str]) -> str:
    """A list."""
    return "<ul>" + "".join(f"<li>{shown(item)}</li>" for item in items) + "</ul>"


def listed(items: Iterable[tuple[str, str]]) -> str:
    """Names, each with what is said of it."""
    lines = [f"<dt>{shown(name)}</dt><dd>{shown(said)}</dd>" for name, said in items]
    return f"<dl>{''.join(lines)}</dl>"


def picture(pixels: Any, words: str) -> str:
    """An image within the page: from its least value, black, to its largest, white.

    Parameters
    ----------
    pixels : array-like of shape (height, width) or (height, width, 3)
        Numbers; what is missing is black.
    words : str
        What is on it, for readers who do not see it.
    """
    values = np.asarray(pixels, dtype=np.float64)
    known = values[np.isfinite(values)]
    low, high = (known.min(), known.max()) if known.size else (0.0, 0.0)
    step = 255.0 / (high - low) if high > low else 0.0
    ink = np.nan_to_num((values - low) * step, nan=0.0, posinf=255.0, neginf=0.0)
    lines = np.round(ink).astype(np.uint8).reshape(len(values), -1)
    # A PNG (RFC 2083): no filter before every line, 8 bits gray or of three colors.
    size = struct.pack(">2I", values.shape[1], values.shape[0])
    parts = {
        b"IHDR": size + bytes([8, 2 if values.ndim == 3 else 0, 0, 0, 0]),
        b"IDAT": zlib.compress(np.pad(lines, ((0, 0), (1, 0))).tobytes(), 9),
        b"IEND": b"",
    }
    png = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(part))
        + kind
        + part
        + struct.pack(">I", zlib.crc32(kind + part))
        for kind, part in parts.items()
    )
    source = f"data:image/png;base64,{base64.b64encode(png).decode()}"
    return f"<img src='{source}' alt='{shown(words, _LONGEST_HINT)}'>"


def framed(page: str, title: str) -> str:
    """A whole page as a part of another one, such as a notebook: neither styles the
    other, and nothing in it runs.
    """
    return (
        f"<iframe sandbox title='{shown(title)}' srcdoc='{escape(page)}' style='"
        "width:100%;height:36rem;border:1px solid #888;resize:vertical'></iframe>"
    )


@dataclass(frozen=True)
class Cell:
    """A cell of a table that is more than a text.

    Parameters
    ----------
    text : str
    note : str, default=""
        Smaller, below the text.
    shade : float, default=0.0
        From 0 to 1.
    image : str, default=""
        Above the text, from `picture`.
    """

    text: str
    note: str = ""
    shade: float = 0.0
    image: str = ""


def table(
    heads: Sequence[str | Cell],
    rows: Iterable[Sequence[str | Cell]],
    *,
    label: str,
    chosen: str | None = None,
) -> str:
    """A table in a region that scrolls by itself where the screen is narrow.

    The first cell of a row names it; the `chosen` one gets a star. The region can be
    reached and scrolled by the keyboard, and `label` is what a screen reader calls it.
    """
    # What is empty heads nothing.
    head = "".join(_cell("th" if cell else "td", cell) for cell in heads)
    lines = []
    for name, *cells in rows:
        figures = "".join(_cell("td", cell) for cell in cells)
        mark = _kind("chosen" if name == chosen else "")
        lines.append(f"<tr{mark}>{_cell('th', name)}{figures}</tr>")
    return (
        f"<div class='wide' role='region' tabindex='0' aria-label='{shown(label)}'>"
        f"<table><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def bars(rows: Iterable[tuple[str, float, str]]) -> str:
    """Bars with a name and a figure each; their lengths are from 0 to 1."""
    lines = [
        f"<div class='label'>{shown(name, LONGEST_TEXT)}</div><div class='track'>"
        f"<div class='bar ours' style='width:{100 * length:.2f}%'></div></div>"
        f"<div class='figure'>{escape(figure)}</div>"
        for name, length, figure in rows
    ]
    return f"<div class='bars'>{''.join(lines)}</div>"


def folded(summary: str, blocks: Iterable[str]) -> str:
    """Blocks that a click on the summary shows."""
    body = "".join(blocks)
    return f"<details><summary>{shown(summary)}</summary>{body}</details>"


def shown(text: str, longest: int | None = None) -> str:
    """Any text as HTML that shows it; see `printable`.

    Examples
    --------
    >>> from knngraph.html_page import shown
    >>> shown("<b>bold</b>")
    '&lt;b&gt;bold&lt;/b&gt;'
    """
    return escape(printable(text, longest))


def printable(text: str, longest: int | None = None) -> str:
    """Any text without what steers a terminal or a browser, cut where asked.

    Controls, marks that turn the direction of writing, and what no file can hold
    become a replacement character.

    Examples
    --------
    >>> from knngraph.html_page import printable
    >>> printable("two\\nlines", longest=6)
    'two l…'
    """
    if longest is not None and len(text) > longest:
        text = text[: longest - 1] + "…"
    kept = [
        c if c.isprintable() or c in _JOINERS else " " if c.isspace() else "\ufffd"
        for c in text
    ]
    return "".join(kept)


def _cell(tag: str, cell: str | Cell) -> str:
    if isinstance(cell, str):
        return f"<{tag}>{shown(cell)}</{tag}>"
    whole = shown(cell.text, _LONGEST_HINT)
    text = shown(cell.text, LONGEST_TEXT)
    hint = f" title='{whole}'" if whole != text else ""
    shade = round(_DARKEST * min(max(cell.shade, 0.0), 1.0))
    paint = f" style='background:{_SHADE}{shade:02x}'" if shade else ""
    note = f"<br><small>{shown(cell.note)}</small>" if cell.note else ""
    return f"<{tag}{hint}{paint}><div>{cell.image}{text}{note}</div></{tag}>"


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
  --panel: #f2f6fa; --ours: #0072b2; --mark: #b34f00;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14181d; --ink: #e6eaee; --soft: #a3adb8; --line: #333b44;
    --panel: #1d242c; --ours: #56b4e9; --mark: #f0913a;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif;
}
main { max-width: 60rem; margin: 0 auto; padding: 1rem; }
h1, h2, h3 { overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; }
h2 { font-size: 1.15rem; margin-top: 2rem; }
h3 { font-size: 1rem; margin-top: 1.5rem; }
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
tr.chosen th { color: var(--mark); }
tr.chosen th::before { content: "★ "; }
.choice p:first-child { font-size: 1.1rem; }
.bars {
  display: grid; grid-template-columns: fit-content(40%) 1fr max-content;
  gap: 0.35rem 0.75rem; align-items: center;
}
.figure { font-variant-numeric: tabular-nums; text-align: right; font-size: 0.9rem; }
.label { overflow-wrap: anywhere; }
.track { min-width: 0; }
.bar { height: 1rem; min-width: 1px; border-radius: 0 3px 3px 0; }
.ours { background: var(--ours); }
p:has(> svg) {
  max-width: none; display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 20rem), 1fr));
}
svg { width: 100%; max-width: 46rem; height: auto; display: block; color: var(--ink); }
.wide { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-size: 0.9rem; }
th, td { padding: 0.3rem 0.8rem 0.3rem 0; text-align: right; white-space: nowrap; }
th:first-child, td:first-child {
  text-align: left; position: sticky; left: 0; background: var(--paper);
}
tbody th { font-weight: 400; }
thead th { color: var(--soft); font-weight: 600; }
tbody tr { border-top: 1px solid var(--line); }
td { font-variant-numeric: tabular-nums; }
thead th { vertical-align: bottom; }
td > div, th > div {
  width: max-content; max-width: 14rem; margin-left: auto;
  white-space: normal; overflow-wrap: anywhere;
}
th:first-child > div { margin-left: 0; }
small { color: var(--soft); }
td[style] small { color: inherit; }
td img { display: block; width: 6rem; image-rendering: pixelated; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0.35rem 1rem; }
dt { color: var(--soft); overflow-wrap: anywhere; max-width: 14rem; }
dd { margin: 0; overflow-wrap: anywhere; max-width: 46rem; }
summary { cursor: pointer; color: var(--soft); }
@media (max-width: 600px) {
  .bars { grid-template-columns: 1fr max-content; gap: 0.1rem 0.75rem; }
  .bars .label { grid-column: 1 / -1; margin-top: 0.4rem; }
  dl { grid-template-columns: 1fr; gap: 0.1rem; }
  dd { margin-bottom: 0.5rem; }
  td img { width: 4.5rem; }
  td > div, th > div { max-width: 9rem; }
  th:first-child > div { max-width: 7rem; }
}
"""
