"""`knngraph compare`: from a file to a table, a choice and its pipeline."""

import argparse
import sys
from typing import Any

from knngraph.progress import stage
from knngraph.tables.load import LabeledTable, TableOptions, load_table, pipeline_for
from knngraph.tables.output import check_output, writing
from knngraph.tables.table import counted, or_say_why, require
from knngraph.tables.target import check_folds


def run_compare(options: argparse.Namespace) -> int:
    """Compare, print, write files; the status is 2 for a bad table or option."""
    return or_say_why("compare", lambda: _compare(options))


def _compare(options: argparse.Namespace) -> None:
    for option in ("report", "write_code", "save"):
        name = f"--{option.replace('_', '-')}"
        check_output(name, getattr(options, option), options.file)
    if options.report is not None:
        require("matplotlib")
    comparison = compare_table(options)
    from knngraph.compare.comparison import text_report

    print(text_report(comparison))
    _write_files(options, comparison)


def compare_table(options: argparse.Namespace) -> Any:
    """Read the table and compare: all but the reports."""
    from sklearn.model_selection import StratifiedKFold
    from threadpoolctl import threadpool_limits

    from knngraph.compare.comparison import Comparison, choose
    from knngraph.compare.cross_validation import measure
    from knngraph.compare.methods import all_methods

    wanted, seed, jobs = TableOptions.of(options), options.seed, options.jobs
    table = load_table(wanted)
    rare = check_folds(table.codes, table.classes, options.target, options.folds)
    methods, left_out = all_methods(
        len(table.frame), seed=seed, n_jobs=jobs, quick=options.quick
    )
    folds = StratifiedKFold(options.folds, shuffle=True, random_state=seed)
    measured = []
    for method in methods:
        with (
            threadpool_limits(limits=jobs),
            stage(method.name, options.folds, not options.quiet, unit="fold") as shown,
        ):
            measured.append(measure(method, table, folds, seed, shown.advance))
    chosen, reason = choose(measured)
    pipeline = None
    if chosen is not None:
        pipeline = pipeline_for(chosen.method.estimator, table.columns, seed=seed)
    notices = [*table.notices, *rare, *_copies(table), *left_out]
    return Comparison(
        wanted, table, folds, jobs, notices, measured, chosen, reason, pipeline
    )


def _copies(table: LabeledTable) -> list[str]:
    """A notice of rows that repeat another one: they favor the nearest neighbor."""
    n = int(table.frame.assign(**{"\0": table.codes}).duplicated().sum())
    if not n:
        return []
    return [
        f"{counted(n, 'row')} repeat an earlier one in every column: a copy among the "
        "training rows gives the answer away, which flatters neighbors most."
    ]


def _write_files(options: argparse.Namespace, comparison: Any) -> None:
    if options.report is not None:
        from knngraph.compare.html_report import html_report

        page = html_report(comparison)
        with writing("--report", options.report):
            options.report.write_text(page, encoding="utf-8")
        print(f"Report: {options.report}")
    if comparison.pipeline is None:
        if options.write_code or options.save:
            print("No code and no model, as nothing is recommended.", file=sys.stderr)
        return
    if options.write_code is not None:
        from knngraph.compare.write_code import write_code

        code = write_code(comparison)
        with writing("--write-code", options.write_code):
            options.write_code.write_text(code, encoding="utf-8")
        print(f"Code: {options.write_code}")
    if options.save is not None:
        from knngraph.serving.estimator_file import save

        table = comparison.table
        pipeline = comparison.pipeline.fit(table.raw, table.labels)
        with writing("--save", options.save):
            save(pipeline, options.save)
        print(
            f"Model: {options.save} (for knngraph predict; a pickle, which can run "
            "code when it is loaded: take such files only from people you trust)"
        )
