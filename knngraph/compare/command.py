"""`knngraph compare`: from a file to a table, a picture and a choice."""

import argparse
import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from knngraph.compare.load import TableOptions, load_table, pipeline_for
from knngraph.compare.table import TableProblem, counted
from knngraph.compare.target import check_folds
from knngraph.progress import stage


def run_compare(options: argparse.Namespace) -> int:
    """Compare, print, write the report; the status is 2 for a bad table or option."""
    try:
        if options.report is not None:
            _check_report(options.report)
        comparison = compare_table(options)
    except TableProblem as problem:
        print(f"knngraph compare: {problem}", file=sys.stderr)
        return 2
    from knngraph.compare.comparison import write_text

    write_text(comparison, sys.stdout)
    if options.report is not None:
        from knngraph.compare.html_report import html_report

        options.report.write_text(html_report(comparison), encoding="utf-8")
        print(f"Report: {options.report}")
    return 0


def compare_table(options: argparse.Namespace) -> Any:
    """Read the table, prepare it and compare: all but the reports."""
    from sklearn.neighbors import KNeighborsClassifier

    from knngraph.compare.comparison import Comparison, choose
    from knngraph.compare.cross_validation import all_fits, cross_validate, warm_up

    table = load_table(TableOptions.of(options))
    frame, codes, classes = table.frame, table.codes, table.classes
    notices = [
        *table.notices,
        *check_folds(codes, classes, options.target, options.folds),
    ]
    notices += _copies(frame, codes)
    fits = all_fits(quick=options.quick)
    verbose = not options.quiet
    with stage("getting ready", len(fits), verbose, unit="method") as ready:
        warm_up(fits, n_jobs=options.jobs, advance=ready.advance)
    total = options.folds * len(fits)
    with stage("comparing", total, verbose, unit="fit") as comparing:
        measured = cross_validate(
            frame,
            codes,
            lambda: pipeline_for(KNeighborsClassifier())[:-1],
            fits,
            n_folds=options.folds,
            seed=options.seed,
            n_jobs=options.jobs,
            advance=comparing.advance,
        )
    return Comparison(
        path=options.file,
        target=options.target,
        class_names=classes,
        class_counts=np.bincount(codes, minlength=len(classes)),
        n_columns=len(frame.columns),
        n_folds=options.folds,
        seed=options.seed,
        n_jobs=options.jobs,
        notices=notices,
        preparation=["Encoded by skrub.tabular_pipeline, on the training rows alone."],
        measured=measured,
        choice=choose(measured),
    )


def _copies(frame: Any, codes: np.ndarray) -> list[str]:
    """A notice of rows that repeat another one: they favor the nearest neighbor."""
    repeated = int(frame.assign(**{"\0": codes}).duplicated().sum())
    if not repeated:
        return []
    return [
        f"{counted(repeated, 'row')} repeat an earlier one in every column: a copy "
        "among the training rows gives the answer away, which flatters 1-NN most."
    ]


def _check_report(path: Path) -> None:
    """Find out before the work whether the report can be written."""
    folder = path.absolute().parent
    if not folder.is_dir():
        raise TableProblem(f"--report: there is no folder {path.parent}.")
    if path.is_dir():
        raise TableProblem(f"--report: {path} is a folder; name a file.")
    if find_spec("matplotlib") is None:
        raise TableProblem(
            "--report draws with matplotlib. Install it with: "
            "pip install 'knngraph[tables]'"
        )
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise TableProblem(f"--report: {path} cannot be written.")
