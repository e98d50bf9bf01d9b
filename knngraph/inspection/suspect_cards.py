"""The page of doubtful labels: each beside the rows that contradict it."""

from collections.abc import Iterable, Sequence
from typing import Any

from knngraph.html_page import bars, heading
from knngraph.inspection.cards import page_of_cards, rows_beside
from knngraph.inspection.rows import TableRow
from knngraph.inspection.suspects import SuspectLabels
from knngraph.inspection.tables import TableExplanation

# Of a suspect, for either label.
_ROWS_BESIDE = 5


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
    return page_of_cards(title, lead, cards, remarks)


def suspect_card(
    explanation: TableExplanation, suspects: SuspectLabels, place: int
) -> list[str]:
    """Blocks of one suspect: its two labels, and the rows for either."""
    card = explanation.to_card()
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
            beside = rows_beside(card, rows[:_ROWS_BESIDE], words)
            blocks += [heading(words, 3), beside]
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
