"""The comparison in a terminal."""

import textwrap
from typing import TextIO

from knngraph.compare.choose import RULE
from knngraph.compare.comparison import (
    NOTE,
    Comparison,
    largest_bar,
    remarks,
    table_lines,
    wrong_in_hundred,
)
from knngraph.compare.problem import counted

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
    plain = not _can_write("±█▌", stream)
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


def headline(comparison: Comparison) -> str:
    """What was compared on what."""
    threads = "one thread" if comparison.n_jobs == 1 else f"{comparison.n_jobs} threads"
    return (
        f"{comparison.path.name}: {counted(comparison.n_rows, 'row')}, "
        f"{counted(comparison.n_columns, 'column')}, "
        f"{counted(len(comparison.class_names), 'class')} in {comparison.target!r}; "
        f"{comparison.n_folds} stratified folds, seed {comparison.seed}, {threads}."
    )


def choice_lines(comparison: Comparison) -> list[str]:
    """What to take, why, and by which rule."""
    choice = comparison.choice
    if choice.chosen is None:
        return [choice.reason]
    reading = choice.chosen.reading
    return [
        f"Choose: {reading.name}. {choice.reason}",
        f"In Python: {reading.code}",
        f"Rule: {RULE}",
    ]


def format_table(comparison: Comparison, *, plain: bool = False) -> str:
    """Aligned columns with a head; a star marks the choice."""
    sign = "+-" if plain else "±"
    chosen = comparison.choice.chosen
    lines = table_lines(comparison)
    width = max(len(line.name) for line in lines) + 2
    head = (
        f"{'':{width}}{'accuracy':>14}  {'balanced':>8}  {'log loss':>8}  "
        f"{'fit, s':>7}  {'us a query':>10}"
    )
    texts = [head]
    for line in lines:
        mark = chosen is not None and line.name == chosen.reading.name
        accuracy = f"{line.accuracy} {sign} {line.spread:>5}"
        texts.append(
            f"{'* ' if mark else '  '}{line.name:{width - 2}}{accuracy:>14}  "
            f"{line.balanced:>8}  {line.log_loss:>8}  {line.fit:>7}  {line.query:>10}"
        )
    return "\n".join(texts)


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
