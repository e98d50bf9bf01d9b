"""`knngraph predict`: labels for the rows of a new file."""

import argparse
import csv
import sys
import warnings
from typing import Any

from knngraph.exceptions import SavedModelError
from knngraph.serving.estimator_file import load
from knngraph.tables.columns import TypedColumns
from knngraph.tables.output import check_output, writing
from knngraph.tables.table import TableProblem, counted, or_say_why, quoted, read_table


def run_predict(options: argparse.Namespace) -> int:
    """Read, predict and write; the status is 2 for a bad file or option."""
    return or_say_why("predict", lambda: _predict(options))


def _predict(options: argparse.Namespace) -> None:
    check_output("--output", options.output, options.file, options.model)
    try:
        pipeline = load(options.model)
    except FileNotFoundError as problem:
        raise TableProblem(f"there is no file {options.model}.") from problem
    except (SavedModelError, OSError) as problem:
        raise TableProblem(str(problem)) from problem
    steps = getattr(pipeline, "steps", [("", None)])
    if not isinstance(steps[0][1], TypedColumns):
        raise TableProblem(
            f"{options.model} holds no pipeline of `knngraph compare --save`."
        )
    frame, notices = _read(options, steps[0][1])
    for notice in notices:
        print(f"knngraph predict: {notice}", file=sys.stderr)
    with warnings.catch_warnings():
        # Such a category is no known one to the model, and other columns decide.
        warnings.filterwarnings("ignore", message="Found unknown categories")
        labels, given = pipeline.predict(frame), pipeline.predict_proba(frame)
    places = {label: place for place, label in enumerate(pipeline.classes_)}
    answers = [
        (row, label, f"{given[row, places[label]]:.6g}")
        for row, label in enumerate(labels)
    ]
    if options.output is None:
        _write(answers, sys.stdout)
        return
    with (
        writing("--output", options.output),
        options.output.open("w", encoding="utf-8", newline="") as file,
    ):
        _write(answers, file)


def _write(answers: list[tuple[int, str, str]], file: Any) -> None:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["row", "label", "probability"])
    writer.writerows(answers)


def _read(options: argparse.Namespace, typed: TypedColumns) -> tuple[Any, list[str]]:
    """The new rows, and how they differ from those of the fit."""
    table = read_table(
        options.file,
        separator=options.sep,
        encoding=options.encoding,
        text_columns=typed.text_names,
    )
    frame, notices = table.frame, list(table.notices)
    lost = typed.transform(frame).isna() & frame.reindex(columns=typed.kinds).notna()
    more = [name for name in frame.columns if name not in typed.kinds]
    if more:
        notices.append(f"the model does not use: {quoted(more)}.")
    notices += [
        f"{counted(int(n), 'cell')} of {name!r} taken as missing, not read as "
        f"{typed.kinds[name]}."
        for name, n in lost.sum().items()
        if n
    ]
    return frame, notices
