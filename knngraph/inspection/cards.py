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
from knngraph.inspection.suspects import SuspectLabels
from knngraph.inspection.tables import TableExplanation, TableRow, cell_text

_CLASSES_SHOWN = 8
_VOTERS_SHOWN = 8
_COLUMNS_SHOWN = 10
_COLUMNS_FOLDED = 30
# Of a suspect, for either label.
_ROWS_BESIDE = 5
_LEAST_SHARE = 0.005


def answer_page(
    title: str,
    explanations: Sequence[TableExplanation],
    *,
    given: Sequence[Any] | None = None,
    lead: str = "",
    remarks: Iterable[str] = (),
) -> str:
    """A page with the cards of some answers.

    Parameters
    ----------
    title : str
    explanations : sequence of TableExplanation
    given : sequence or None, default=None
        Labels of the rows as far as they are known, else None.
    lead : str, default=""
        Below the title.
    remarks : iterable of str
        Below the cards.

    Returns
    -------
    str
        HTML that loads nothing. Names and cells are shown as they are, whatever they
        hold.
    """
    labels = given if given is not None else [None] * len(explanations)
    cards = [answer_card(e, label) for e, label in zip(explanations, labels)]
    return _page(title, lead, cards, remarks)


def suspects_page(
    title: str,
    explanations: Sequence[TableExplanation],
    suspects: SuspectLabels,
    *,
    lead: str = "",
    remarks: Iterable[str] = (),
) -> str:
    """A page of rows with doubtful labels, each beside the rows that contradict it.

    Parameters
    ----------
    title : str
    explanations : sequence of TableExplanation
        Of the first rows of `suspects`, each left out.
    suspects : SuspectLabels
    lead, remarks
        As for `answer_page`.
    """
    cards = [suspect_card(e, suspects, i) for i, e in enumerate(explanations)]
    return _page(title, lead, cards, remarks)


def _page(
    title: str, lead: str, cards: Iterable[list[str]], remarks: Iterable[str]
) -> str:
    blocks = [heading(title, 1)]
    if lead:
        blocks.append(paragraph(lead, "lead"))
    blocks += [block for card in cards for block in card]
    remarks = list(remarks)
    if remarks:
        blocks += [heading("Remarks"), bullets(remarks)]
    return html_page(title, blocks)


def suspect_card(
    explanation: TableExplanation, suspects: SuspectLabels, place: int
) -> list[str]:
    """Blocks of one suspect: its two labels, and the rows for either."""
    given, suggested = suspects.given[place], suspects.suggested[place]
    against = contradicting_rows(explanation, given)
    agreeing = [v for v in explanation.voters if v.neighbor.label == given]
    agreeing = agreeing or [o for o in explanation.others if o.neighbor.label == given]
    probabilities = {given: suspects.probability[place]}
    probabilities.setdefault(suggested, suspects.suggested_probability[place])
    blocks = [
        heading(f"Row {explanation.name}: {labels_in_words(suspects, place)}"),
        bars((str(label), p, f"{p:.1%}") for label, p in probabilities.items()),
    ]
    for words, rows in (
        ("Rows that contradict its label", against),
        ("Rows that agree with it", agreeing),
    ):
        if rows:
            blocks += [heading(words, 3), rows_beside(explanation, rows[:_ROWS_BESIDE])]
    return blocks


def labels_in_words(suspects: SuspectLabels, place: int) -> str:
    """The two labels of a suspect; one where no neighbor has another."""
    if suspects.suggested[place] == suspects.given[place]:
        return f"given {suspects.given[place]}"
    likelier = suspects.suggested_probability[place] > suspects.probability[place]
    word = "rather" if likelier else "perhaps"
    return f"given {suspects.given[place]}, {word} {suspects.suggested[place]}"


def contradicting_rows(explanation: TableExplanation, given: Any) -> list[TableRow]:
    """Voters of other classes than the given one, heaviest first."""
    return [v for v in explanation.voters if v.neighbor.label != given]


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
    lines = [_line(explanation, rows, j) for j in order[: n_lines + _COLUMNS_FOLDED]]
    whole = table(heads, [*facts, *lines[:n_lines]])
    rest = lines[n_lines:]
    if not rest:
        return whole
    noun = "column" if len(rest) == 1 else "columns"
    words = f"{len(rest)} more {noun}"
    if len(lines) < len(order):
        words += f" of {len(order) - n_lines}"
    return whole + folded(words, [table(heads, rest)])


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
    return cell_text(values[j]) if values is not None and j < len(values) else ""
