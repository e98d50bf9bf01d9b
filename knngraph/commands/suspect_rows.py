"""`knngraph suspects`: doubtful labels, beside the rows that contradict them."""

import argparse
from typing import Any

import numpy as np

from knngraph.commands.fitted_table import REMARKS, fit_table, in_chunks
from knngraph.html_page import printable
from knngraph.inspection.suspect_cards import (
    contradicting_rows,
    labels_in_words,
    suspects_page,
)
from knngraph.inspection.tables import explain_training_rows
from knngraph.tables.load import TableOptions, load_table
from knngraph.tables.output import check_output, writing
from knngraph.tables.table import TableProblem, counted, or_say_why

_SUSPECTS_IN_TEXT = 10
# Cards of the page, and rows of the table that contradict a label.
_MOST_CARDS = 100
_CONTRADICTING = 10
# Of two labels in a line of text.
_LETTERS = 80


def run_suspects(options: argparse.Namespace) -> int:
    """Fit a table, rank its labels, and write a page and a table of the suspects."""
    return or_say_why("suspects", lambda: _suspects(options))


def _suspects(options: argparse.Namespace) -> None:
    listed = options.output.with_suffix(".csv")
    if listed == options.output:
        raise TableProblem("--output: name the page (.html); the table goes beside it.")
    check_output("--output", options.output, options.file)
    check_output("--output", listed, options.file)
    table = load_table(TableOptions.of(options))
    fitted = fit_table(table, options)
    classifier = fitted.pipeline[-1]
    suspects = classifier.suspect_labels()
    n_listed = options.top
    if n_listed is None:
        n_listed = len(fitted.labels) - len(classifier.clean())
    n_listed = min(n_listed, len(suspects))
    explanations = in_chunks(
        suspects.rows[:n_listed],
        lambda rows: explain_training_rows(fitted.pipeline, fitted.training, rows),
        options.quiet,
    )
    page = suspects_page(
        f"Doubtful labels of {options.file.name}",
        explanations[:_MOST_CARDS],
        suspects,
        lead=f"{counted(n_listed, 'row')} of {len(suspects):,}, most doubtful first, "
        "each by the vote of its neighbors without itself. With all their columns "
        f"they are in {listed.name}"
        + (f"; here are the first {_MOST_CARDS}." if n_listed > _MOST_CARDS else "."),
        remarks=[f"{fitted}.", *REMARKS, *table.notices],
    )
    with writing("--output", options.output):
        options.output.write_text(page, encoding="utf-8")
    frame = _frame_of_suspects(table.raw, suspects, explanations)
    with writing("--output", listed):
        frame.to_csv(listed, index=False)
    for place in range(min(n_listed, _SUSPECTS_IN_TEXT)):
        print(
            f"row {explanations[place].name}: "
            f"{printable(labels_in_words(suspects, place), _LETTERS)} "
            f"({_shares_in_words(suspects, place)})"
        )
    if n_listed > _SUSPECTS_IN_TEXT:
        print(f"and {n_listed - _SUSPECTS_IN_TEXT} more")
    if not n_listed:
        print("No label is doubtful; --top N lists the N most doubtful all the same.")
    print(f"Page: {options.output}\nTable: {listed}")


def _shares_in_words(suspects: Any, place: int) -> str:
    """Probability of the given label, and of another where a neighbor has one."""
    given = f"{suspects.probability[place]:.0%}"
    if suspects.suggested[place] == suspects.given[place]:
        return given
    return f"{given} against {suspects.suggested_probability[place]:.0%}"


def _frame_of_suspects(raw: Any, suspects: Any, explanations: list[Any]) -> Any:
    """Rows of the file, after what is said of them."""
    import pandas

    n_listed = len(explanations)
    rows = raw.iloc[suspects.rows[:n_listed]].reset_index(drop=True)
    contradicting = [
        " ".join(
            str(voter.name)
            for voter in contradicting_rows(explanation, given)[:_CONTRADICTING]
        )
        for explanation, given in zip(explanations, suspects.given)
    ]
    given, suggested = suspects.given[:n_listed], suspects.suggested[:n_listed]
    likelihood = suspects.suggested_probability[:n_listed].round(4)
    has_other = suggested != given  # a neighbor of another class
    said = {
        "row": [explanation.name for explanation in explanations],
        "given": given,
        "suggested": np.where(has_other, suggested, None),
        "probability of given": suspects.probability[:n_listed].round(4),
        "probability of suggested": np.where(has_other, likelihood, np.nan),
        "contradicted by rows": contradicting,
    }
    taken = set(rows.columns)
    named = {}
    for name, column in said.items():
        while name in taken:  # a column of the file may have the same name
            name += "_"
        named[name] = column
    return pandas.concat([pandas.DataFrame(named), rows], axis=1)
