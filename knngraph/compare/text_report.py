"""The comparison in a terminal."""

import textwrap
from typing import TextIO

from knngraph.compare.comparison import (
    HEADS,
    NOTE,
    Comparison,
    choice_lines,
    figures,
    headline,
    largest_bar,
    remarks,
    wrong_in_hundred,
)

_WIDTH = 88
_BAR = 40


def write_text(comparison: Comparison, stream: TextIO) -> None:
    """Print what was compared, the table, the picture and the choice.

    Parameters
    ----------
    comparison : Comparison
    stream : text file
        Letters that its encoding lacks are replaced by plain ones.
    """
    plain = not _can_write("±µ█▌", stream)
    paragraphs = [
        _wrap(headline(comparison)),
        *(_wrap(notice, "- ") for notice in comparison.notices),
        *(_wrap(line, "- ") for line in comparison.preparation),
        "",
        format_table(comparison, plain=plain),
        *(_wrap(remark) for remark in remarks(comparison)),
        _wrap(NOTE),
        "",
        format_bars(comparison, plain=plain),
        "",
        *(_wrap(line) for line in choice_lines(comparison)),
    ]
    stream.write("\n".join(paragraphs) + "\n")
    stream.flush()


def format_table(comparison: Comparison, *, plain: bool = False) -> str:
    """Aligned columns with a head; a star marks the choice."""
    rows = [["", *HEADS], *figures(comparison)]
    if plain:
        rows = [[c.replace("±", "+-").replace("µ", "u") for c in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = []
    for name, *cells in rows:
        mark = "* " if name == comparison.chosen_name else "  "
        right = [f"{cell:>{width}}" for cell, width in zip(cells, widths[1:])]
        lines.append(mark + "  ".join([f"{name:{widths[0]}}", *right]))
    return "\n".join(lines)


def format_bars(comparison: Comparison, *, plain: bool = False) -> str:
    """Bars of the wrong answers in a hundred, from zero."""
    full, half, cut = ("#", "", ">") if plain else ("█", "▌", "»")
    shares = wrong_in_hundred(comparison)
    end = largest_bar(comparison)
    width = max(len(name) for name, _, _ in shares) + 2
    texts = ["Wrong answers in a hundred (shorter is better)"]
    for name, wrong, _ in shares:
        if wrong > end * (1 + 1e-12):
            bar = full * (_BAR - 1) + cut
        else:
            halves = round(2 * _BAR * wrong / end)
            bar = full * (halves // 2) + half * (halves % 2)
        texts.append(f"  {name:{width - 2}}{wrong:7.2f}  {bar}".rstrip())
    return "\n".join(texts)


def _wrap(text: str, bullet: str = "") -> str:
    return textwrap.fill(
        text,
        _WIDTH,
        initial_indent=bullet,
        subsequent_indent=" " * len(bullet),
        break_long_words=False,
        break_on_hyphens=False,
    )


def _can_write(text: str, stream: TextIO) -> bool:
    try:
        text.encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
