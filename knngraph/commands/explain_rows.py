"""`knngraph explain`: the cards of the answers to some rows."""

import argparse
import warnings
from typing import Any

import numpy as np

from knngraph.commands.fitted_table import REMARKS, fit_table, in_chunks
from knngraph.inspection.cards import answer_page
from knngraph.inspection.tables import explain_table
from knngraph.tables.columns import TypedColumns, as_text
from knngraph.tables.load import LabeledTable, TableOptions, load_table
from knngraph.tables.output import check_output, writing
from knngraph.tables.table import TableProblem, counted, or_say_why, quoted, read_table

# Cards of one page.
_MOST_CARDS = 100
_ROWS_IN_TITLE = 5


def run_explain(options: argparse.Namespace) -> int:
    """Fit a table, explain rows of it or of another one, and write their cards."""
    return or_say_why("explain", lambda: _explain(options))


def _explain(options: argparse.Namespace) -> None:
    check_output("--output", options.output, options.file, options.query)
    if options.query is None and not options.row:
        raise TableProblem("say which row to explain: --row N, or --query FILE.")
    table = load_table(TableOptions.of(options))
    asked, given, notices = _rows_asked(options, table)
    own = options.query is None
    fitted = fit_table(table, options, asked.index.to_numpy() if own else None)
    notices += _new_categories(asked, fitted.training, table.columns)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Found unknown categories")  # said above
        explanations = in_chunks(
            range(len(asked)),
            lambda places: explain_table(
                fitted.pipeline, asked.iloc[list(places)], training=fitted.training
            ),
            options.quiet,
        )
    name = options.file.name if own else options.query.name
    rows = "row" if len(asked) == 1 else "rows"
    shown = ", ".join(map(str, asked.index[:_ROWS_IN_TITLE]))
    if len(asked) > _ROWS_IN_TITLE:
        shown += f" and {len(asked) - _ROWS_IN_TITLE} more"
    title = f"{rows.capitalize()} {shown} of {name}"
    page = answer_page(
        title,
        explanations,
        given=given,
        lead=f"{fitted}." + (" What is explained is not among them." if own else ""),
        remarks=[*REMARKS, *notices, *table.notices],
    )
    with writing("--output", options.output):
        options.output.write_text(page, encoding="utf-8")
    for explanation in explanations:
        print(explanation)
    print(f"Card: {options.output}")


def _rows_asked(
    options: argparse.Namespace, table: LabeledTable
) -> tuple[Any, list[str | None], list[str]]:
    """Rows as they are in their file, their labels where it has them, notices."""
    path, frame, notices = options.file, table.whole, []
    if options.query is not None:
        path = options.query
        file = read_table(
            path,
            separator=options.sep,
            encoding=options.encoding,
            text_columns=table.columns.text_names,
        )
        frame, notices = file.frame, list(file.notices)
    lost = [name for name in table.columns.kinds if name not in frame.columns]
    if lost:
        raise TableProblem(f"--query: {path} has no column {lost[0]!r}.")
    rows = list(dict.fromkeys(options.row)) or list(range(len(frame)))
    beyond = [row for row in rows if row >= len(frame)]
    if beyond:
        raise TableProblem(
            f"--row {beyond[0]}: {path} has {counted(len(frame), 'row')}, "
            f"counted from 0 to {len(frame) - 1}."
        )
    if len(rows) > _MOST_CARDS:
        notices.append(
            f"The first {_MOST_CARDS} of {counted(len(rows), 'row')} have a card "
            "(choose: --row)."
        )
        rows = rows[:_MOST_CARDS]
    asked = frame.iloc[rows]
    asked.index = np.array(rows)
    given: list[str | None] = [None] * len(rows)
    if options.target in frame.columns:
        given = as_text(asked.pop(options.target)).tolist()
    return asked, given, notices


def _new_categories(asked: Any, training: Any, columns: TypedColumns) -> list[str]:
    """A notice of every column with categories that no training row has."""
    notices = []
    for name, kind in columns.kinds.items():
        if kind == "category":
            known = set(as_text(training[name]).dropna())
            words = as_text(asked[name]).dropna().unique()
            new = [word for word in words if word not in known]
            if new:
                notices.append(f"No training row has {quoted(new)} in {name!r}.")
    return notices
