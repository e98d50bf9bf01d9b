"""The card of an answer: an HTML page that needs nothing else."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from knngraph.html_page import (
    Cell,
    bars,
    bullets,
    folded,
    heading,
    html_page,
    paragraph,
    table,
)
from knngraph.inspection.tables import TableExplanation, TableRow, as_text

_CLASSES_SHOWN = 8
_VOTERS_SHOWN = 8
_COLUMNS_SHOWN = 10
_LEAST_SHARE = 0.005


def answer_page(
    title: str,
    explanations: Sequence[TableExplanation],
    *,
    given: Sequence[Any] | None = None,
    remarks: Iterable[str] = (),
) -> str:
    """A page with the cards of some answers.

    Parameters
    ----------
    title : str
    explanations : sequence of TableExplanation
    given : sequence or None, default=None
        Labels of the rows as far as they are known, else None.
    remarks : iterable of str
        About the table and the model, below the cards.

    Returns
    -------
    str
        HTML that loads nothing. Names and cells are shown as they are, whatever they
        hold.
    """
    labels = given if given is not None else [None] * len(explanations)
    cards = [answer_card(e, label) for e, label in zip(explanations, labels)]
    return _page(title, cards, remarks)


def _page(title: str, cards: Iterable[list[str]], remarks: Iterable[str]) -> str:
    blocks = [heading(title, 1), *(block for card in cards for block in card)]
    remarks = list(remarks)
    if remarks:
        blocks += [heading("Remarks"), bullets(remarks)]
    return html_page(title, blocks)


def answer_card(explanation: TableExplanation, given: Any = None) -> list[str]:
    """Blocks of one answer: probabilities, voters, rows of the other class."""
    said = explanation.explanation
    known = "" if given is None else f" (its label: {given})"
    blocks = [
        heading(f"Row {explanation.name}: {said.predicted}{known}"),
        _probabilities(explanation),
        paragraph(_way_in_words(explanation)),
    ]
    voters = list(explanation.voters)
    if said.way == "stored":
        # The row reached is near to the query, the others are near to it.
        reached = explanation.reached
        own = [v for v in voters if v.neighbor.row == reached.neighbor.row]
        weight = own[0].neighbor.weight if own else 0.0
        near = replace(reached.neighbor, weight=weight)
        voters = [replace(reached, neighbor=near), *(v for v in voters if v not in own)]
    blocks.append(rows_beside(explanation, voters[:_VOTERS_SHOWN]))
    hidden = voters[_VOTERS_SHOWN:]
    if hidden:
        weight = sum(voter.neighbor.weight for voter in hidden)
        more = "row has" if len(hidden) == 1 else "rows have"
        blocks.append(
            paragraph(f"{len(hidden)} more {more} {weight:.0%} of the vote.", "note")
        )
    if explanation.others:
        other = explanation.others[0].neighbor.label
        blocks += [
            heading(f"Nearest rows of class {other}", 3),
            rows_beside(explanation, explanation.others),
        ]
    return blocks


def _way_in_words(explanation: TableExplanation) -> str:
    said = explanation.explanation
    if said.way == "stored":
        return (
            f"The nearest training row, {explanation.reached.name}, stores the class "
            f"{said.stored}, on which the rows beside it voted at fit."
        )
    n_voters, n_candidates = len(said.voters), len(said.neighbors)
    return (
        f"{n_voters} of the {n_candidates} nearest training rows share the vote. "
        "Shaded are the cells that make a row near; the figure is their share of it."
    )


def _probabilities(explanation: TableExplanation) -> str:
    likely = list(explanation.probabilities.items())
    rows = [(str(c), p, f"{p:.1%}") for c, p in likely[:_CLASSES_SHOWN]]
    rest = likely[_CLASSES_SHOWN:]
    if rest:
        total = sum(p for _, p in rest)
        rows.append((f"{len(rest)} more", total, f"{total:.1%}"))
    return bars(rows)


def rows_beside(explanation: TableExplanation, rows: Sequence[TableRow]) -> str:
    """A table with a column for every row, and a line for every column.

    Lines are in the order of their share, and what has little is folded.
    """
    heads: list[str | Cell] = ["", Cell("this row")]
    facts: list[list[str | Cell]] = [["class", ""], ["vote", ""], ["distance", ""]]
    for row in rows:
        near = row.neighbor
        heads.append(Cell(f"row {row.name}"))
        doubt = ""
        if near.rival is not None and near.reliability <= 1.0 - _LEAST_SHARE:
            doubt = f"{1.0 - near.reliability:.0%} for {near.rival}"
        facts[0].append(Cell(str(near.label), doubt))
        facts[1].append(f"{near.weight:.0%}" if near.weight > 0.0 else "")
        facts[2].append(f"{near.distance:.3g}")
    weights = [max(row.neighbor.weight, 1e-9) for row in rows]
    shares = np.average([row.shares for row in rows], axis=0, weights=weights)
    order = np.argsort(-shares, kind="stable")
    n_lines = int(np.clip((shares >= _LEAST_SHARE).sum(), 3, _COLUMNS_SHOWN))
    lines = [_line(explanation, rows, j) for j in order]
    rest = lines[n_lines:]
    whole = table(heads, [*facts, *lines[:n_lines]])
    if not rest:
        return whole
    noun = "column" if len(rest) == 1 else "columns"
    return whole + folded(f"{len(rest)} more {noun}", [table(heads, rest)])


def _line(
    explanation: TableExplanation, rows: Sequence[TableRow], j: int
) -> list[str | Cell]:
    line: list[str | Cell] = [
        Cell(explanation.columns[j]),
        Cell(_value(explanation.values, j)),
    ]
    for row in rows:
        share = float(row.shares[j])
        note = f"{share:.0%}" if share >= _LEAST_SHARE else ""
        line.append(Cell(_value(row.values, j), note, share))
    return line


def _value(values: tuple[Any, ...] | None, j: int) -> str:
    """A cell as text; columns that the encoding made have none."""
    return as_text(values[j]) if values is not None and j < len(values) else ""
