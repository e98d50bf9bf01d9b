"""`knngraph compare`: from a file to a table, a picture and a choice."""

import argparse
import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from knngraph.compare.table import TableProblem, counted, read_table
from knngraph.compare.target import check_folds, find_column, take_target
from knngraph.progress import stage

# Rows that are compared on without --sample: minutes, not hours.
DEFAULT_SAMPLE = 20_000


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
    table = read_table(options.file, separator=options.sep, encoding=options.encoding)
    frame, notices = table.frame, list(table.notices)
    names = list(frame.columns)
    target_name = find_column(names, options.target, "--target")
    for option in ("drop", "keep", "category"):
        for name in getattr(options, option):
            find_column(names, name, f"--{option}")
            if name == target_name:
                raise TableProblem(f"--{option}: {name!r} is the target.")
    target = take_target(frame, target_name, as_classes=options.as_classes)
    frame = frame.iloc[target.rows].drop(columns=[target_name, *set(options.drop)])
    codes, classes = target.codes, target.classes
    notices += target.notices
    rows = _sampled_rows(len(frame), options.sample, options.seed)
    if len(rows) < len(frame):
        notices.append(
            f"A random sample of {counted(len(rows), 'row')} out of {len(frame):,} "
            "(change: --sample)."
        )
        frame, codes = frame.iloc[rows], codes[rows]
        kept, codes = np.unique(codes, return_inverse=True)
        classes = classes[kept]
        if len(classes) < 2:
            raise TableProblem(
                f"--sample {len(rows)}: the sample holds one class; take more rows."
            )
    notices += check_folds(codes, classes, target_name, options.folds)
    return _compare(
        options, frame.reset_index(drop=True), codes, classes, target_name, notices
    )


def _compare(
    options: argparse.Namespace,
    frame: Any,
    codes: np.ndarray,
    classes: np.ndarray,
    target_name: str,
    notices: list[str],
) -> Any:
    from knngraph.compare.columns import (
        check_size,
        describe_preparation,
        make_preparation,
        prepared_input,
        sort_columns,
    )
    from knngraph.compare.comparison import Comparison, choose
    from knngraph.compare.cross_validation import all_fits, cross_validate, warm_up

    columns = sort_columns(frame, keep=options.keep, as_categories=options.category)
    check_size(columns)
    notices = [*notices, *columns.notices, *_copies(columns, codes)]
    fits = all_fits(quick=options.quick)
    verbose = not options.quiet
    with stage("getting ready", len(fits), verbose, unit="method") as ready:
        warm_up(fits, n_jobs=options.jobs, advance=ready.advance)
    total = options.folds * len(fits)
    with stage("comparing", total, verbose, unit="fit") as comparing:
        measured = cross_validate(
            prepared_input(columns),
            codes,
            lambda: make_preparation(columns),
            fits,
            n_folds=options.folds,
            seed=options.seed,
            n_jobs=options.jobs,
            advance=comparing.advance,
        )
    return Comparison(
        path=options.file,
        target=target_name,
        class_names=classes,
        class_counts=np.bincount(codes, minlength=len(classes)),
        n_columns=len(columns.number_names) + len(columns.category_names),
        n_folds=options.folds,
        seed=options.seed,
        n_jobs=options.jobs,
        notices=notices,
        preparation=describe_preparation(columns),
        measured=measured,
        choice=choose(measured),
    )


def _sampled_rows(n_rows: int, sample: int | None, seed: int) -> np.ndarray:
    wanted = DEFAULT_SAMPLE if sample is None else sample
    if wanted == 0 or n_rows <= wanted:
        return np.arange(n_rows)
    random = np.random.default_rng(seed)
    return np.sort(random.choice(n_rows, wanted, replace=False))


def _copies(columns: Any, codes: np.ndarray) -> list[str]:
    """A notice of rows that repeat another one: they favor the nearest neighbor."""
    import pandas

    parts = (columns.numbers, columns.categories, codes)
    together = pandas.concat([pandas.DataFrame(part) for part in parts], axis=1)
    repeated = int(together.duplicated().sum())
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
