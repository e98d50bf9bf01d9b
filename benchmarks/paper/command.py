"""The command `paper`: the published tables, measured again."""

import argparse
import warnings
from pathlib import Path

from threadpoolctl import threadpool_limits

from benchmarks.datasets import load
from benchmarks.paper.measure import measure, open_journal
from benchmarks.paper.methods import entries
from benchmarks.paper.report import write_report
from benchmarks.report.markdown import copy_to_docs
from benchmarks.rows import read_rows
from knngraph.datasets import NAMES
from knngraph.exceptions import LookupAgreementWarning

ROOT = Path(__file__).resolve().parent.parent


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    labels = [label for entry in entries() for label in entry.readings]
    parser.add_argument("--sets", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument(
        "--methods",
        nargs="+",
        choices=labels,
        metavar="METHOD",
        default=labels,
        help=f"any of: {'; '.join(labels)}",
    )
    parser.add_argument("--folds", type=int, default=10)
    parser.add_argument(
        "--output", type=Path, default=ROOT / "results" / "paper", help="folder"
    )
    parser.add_argument(
        "--report-only", action="store_true", help="measure nothing, write the report"
    )
    parser.add_argument(
        "--again",
        action="store_true",
        help="measure the chosen methods on the chosen sets anew",
    )
    parser.add_argument(
        "--write-docs", action="store_true", help="copy the report to docs/paper.md"
    )


def run(options: argparse.Namespace) -> int:
    """Measure what is missing, then write the report."""
    csv_path = options.output / "paper.csv"
    chosen = [e for e in entries() if set(e.readings) & set(options.methods)]
    if options.report_only:
        lacking = _lacking(options.data_dir)
    else:
        journal = open_journal(csv_path, options.folds)
        if options.again:
            names = {label for entry in chosen for label in entry.readings}
            journal.forget(set=set(options.sets), method=names)
        with threadpool_limits(1), warnings.catch_warnings():
            warnings.simplefilter("ignore", LookupAgreementWarning)
            # The least class of a fold may have fewer rows than the inner folds.
            warnings.filterwarnings("ignore", "The least populated class", UserWarning)
            lacking = measure(
                journal,
                options.sets,
                chosen,
                options.data_dir,
                options.folds,
                download=options.data_dir is None,
            )
    if not read_rows(csv_path):
        print(f"{csv_path} holds no figures: nothing to report.")
        return 1
    pages = write_report(csv_path, entries(), lacking)
    print("Written:", *(str(path) for path in [csv_path, *pages]), sep="\n  ")
    if options.write_docs:
        copy_to_docs(pages[0], "paper.md", "paper-*.svg")
    return 0


def _lacking(data_dir: Path | None) -> dict[str, str]:
    found = {}
    for name in NAMES:
        try:
            load(name, data_dir)
        except (FileNotFoundError, ValueError) as error:
            found[name] = str(error)
    return found
