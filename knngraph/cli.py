"""The command `knngraph`."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from knngraph._version import __version__

# Exit statuses of a program that Ctrl-C ended, and of one after its reader has left.
_INTERRUPTED = 130
_NO_READER = 141


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    arguments : sequence of str or None
        Command line without the program; None takes that of the process.

    Returns
    -------
    int
        Exit status.
    """
    parser = _make_parser()
    options = parser.parse_args(arguments)
    if hasattr(sys.stdout, "reconfigure"):
        # A terminal without a letter shows a question mark.
        sys.stdout.reconfigure(errors="replace")
    try:
        return int(options.run(options, parser))
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        return _INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has left; nothing may be flushed to it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _NO_READER


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        """Print the message in one line and exit."""
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def _run_demo(options: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    if not options.output.absolute().parent.is_dir():
        parser.error(f"--output: there is no directory {options.output.parent}")

    from knngraph.demo import run_demo

    return run_demo(options.output)


def _run_compare(options: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    from knngraph.compare.command import run_compare

    return run_compare(options)


def _run_explain(options: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    from knngraph.commands.explain_rows import run_explain

    return run_explain(options)


def _run_suspects(options: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    from knngraph.commands.suspect_rows import run_suspects

    return run_suspects(options)


def _run_predict(options: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    from knngraph.compare.predict import run_predict

    return run_predict(options)


def _run_warm(options: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    from knngraph.warm import run_warm

    return run_warm()


def _make_parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="knngraph",
        description="k-nearest-neighbor classification that does its work at fit.",
    )
    parser.add_argument(
        "--version", action="version", version=f"knngraph {__version__}"
    )
    commands = parser.add_subparsers(metavar="command", required=True)
    demo = commands.add_parser(
        "demo",
        help="fit handwritten digits, print a table, draw a picture (under a minute)",
        description="Fit the digits that come with scikit-learn, print accuracy and "
        "speed beside KNeighborsClassifier, and draw the learned graph of two moons.",
    )
    demo.add_argument(
        "--output",
        type=Path,
        default=Path("knngraph-demo.png"),
        help="where to write the picture (default: %(default)s)",
    )
    demo.set_defaults(run=_run_demo)
    _add_compare(commands)
    _add_explain(commands)
    _add_suspects(commands)
    _add_predict(commands)
    warm = commands.add_parser(
        "warm",
        help="compile all functions ahead, so that no first fit waits for it",
        description="Compile all functions of knngraph into the cache of numba: "
        "NUMBA_CACHE_DIR, else the folder of the package, else that of the user.",
    )
    warm.set_defaults(run=_run_warm)
    return parser


def _add_compare(commands: Any) -> None:
    compare = commands.add_parser(
        "compare",
        help="cross-validate neighbors, forests, boosting and others on your table",
        description="Read a CSV or Parquet file, find the kinds of its columns, "
        "cross-validate the classifiers of this library beside those of scikit-learn, "
        "print a table, and say which one to take and why.",
    )
    compare.set_defaults(run=_run_compare)
    add_table_options(compare)
    _add_number(compare, "--folds", 2, 5, "number of stratified folds")
    for option, text in (
        ("--report", "write an HTML page as well"),
        ("--write-code", "write a Python program with the pipeline of the choice"),
        ("--save", "write that pipeline, fitted: a pickle for `knngraph predict`"),
    ):
        compare.add_argument(option, type=Path, metavar="FILE", help=text)
    compare.add_argument(
        "--quick", action="store_true", help="leave out the slow methods"
    )
    _add_number(compare, "--jobs", 1, 1, "threads of every method")
    compare.add_argument("--quiet", action="store_true", help="show no progress")


def _add_explain(commands: Any) -> None:
    explain = commands.add_parser(
        "explain",
        help="show which rows of a table decide an answer, as one HTML page",
        description="Fit a CSV or Parquet file, answer rows that the fit has not seen, "
        "and write a card of every answer: probabilities, the rows that voted beside "
        "the row explained, and the columns that make them near.",
    )
    explain.set_defaults(run=_run_explain)
    add_table_options(explain)
    explain.add_argument(
        "--row",
        type=_at_least(0),
        action="append",
        default=[],
        metavar="N",
        help="explain row N, counted from 0, of the file or of --query (repeatable)",
    )
    explain.add_argument(
        "--query",
        type=Path,
        metavar="FILE",
        help="explain the rows of another table with the same columns",
    )
    _add_fit_options(explain, "knngraph-explain.html")


def _add_suspects(commands: Any) -> None:
    suspects = commands.add_parser(
        "suspects",
        help="list the rows of a table with doubtful labels, as a page and a CSV file",
        description="Fit a CSV or Parquet file, find the probability of every label by "
        "the rows beside it, and write the doubtful ones: a page that shows each "
        "beside the rows that contradict it, and a CSV file with all their columns.",
    )
    suspects.set_defaults(run=_run_suspects)
    add_table_options(suspects)
    _add_number(
        suspects,
        "--top",
        1,
        None,
        "list the N most doubtful rows (default: as many as are expected to be wrong)",
    )
    _add_fit_options(suspects, "knngraph-suspects.html")


def _add_fit_options(command: argparse.ArgumentParser, output: str) -> None:
    """Options of commands that fit one classifier and write a page."""
    command.add_argument(
        "--output",
        type=Path,
        default=Path(output),
        metavar="FILE",
        help="where to write the page (default: %(default)s)",
    )
    command.add_argument(
        "--quick", action="store_true", help="fit without a search for settings"
    )
    _add_number(command, "--jobs", 1, 1, "threads")
    command.add_argument("--quiet", action="store_true", help="show no progress")


def _add_predict(commands: Any) -> None:
    predict = commands.add_parser(
        "predict",
        help="labels of the rows of a new file, by a model of `compare --save`",
        description="Write row, label and its probability for every row of a file. "
        "The model is a pickle, which can run code when it is loaded: take only files "
        "of people you trust.",
    )
    predict.set_defaults(run=_run_predict)
    predict.add_argument("model", type=Path, help="as `knngraph compare --save` wrote")
    predict.add_argument(
        "file", type=Path, help="CSV or Parquet with the columns of the table compared"
    )
    predict.add_argument(
        "--output", type=Path, metavar="FILE", help="CSV to write (default: print it)"
    )
    _add_reading(predict)


def add_table_options(command: argparse.ArgumentParser) -> None:
    """Add the options of `TableOptions`, which all commands on tables share."""
    command.add_argument(
        "file", type=Path, help="CSV (also .tsv, .gz) or Parquet (.parquet, .pq)"
    )
    command.add_argument(
        "--target", required=True, metavar="COLUMN", help="the column to predict"
    )
    for option, text in (
        ("--drop", "leave a column out (may be repeated)"),
        ("--keep", "keep a column that looks like names of the rows (repeatable)"),
        ("--category", "a number that is the code of a category (repeatable)"),
    ):
        command.add_argument(
            option, action="append", default=[], metavar="COLUMN", help=text
        )
    _add_reading(command)
    rows = "take N random rows, 0 for all (default: at most 20000)"
    _add_number(command, "--sample", 0, None, rows)
    _add_number(command, "--seed", 0, 0, "of everything random")
    for option, text in (
        ("--as-classes", "take every value of a numeric target for a class"),
        ("--merge-case", "take labels that differ only in case for one class"),
    ):
        command.add_argument(option, action="store_true", help=text)


def _add_reading(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--sep", type=_one_character, metavar="C", help="separator; found out else"
    )
    command.add_argument("--encoding", help="of the text; found out else")


def _add_number(
    command: argparse.ArgumentParser,
    option: str,
    least: int,
    default: int | None,
    text: str,
) -> None:
    if default is not None:
        text += " (default: %(default)s)"
    command.add_argument(
        option, type=_at_least(least), default=default, metavar="N", help=text
    )


def _at_least(smallest: int) -> Any:
    def number(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = smallest - 1
        if not smallest <= value < 2**32:
            raise argparse.ArgumentTypeError(
                f"{text!r} is no whole number from {smallest} on"
            )
        return value

    return number


def _one_character(text: str) -> str:
    text = {"\\t": "\t", "tab": "\t", "space": " "}.get(text, text)
    if len(text) != 1 or not text.isascii() or text in "\r\n":
        raise argparse.ArgumentTypeError(
            f"{text!r} is no separator: give one ASCII character (a tab is written tab)"
        )
    return text
