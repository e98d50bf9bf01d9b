"""The command `knngraph`."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import knngraph


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
    if not options.output.absolute().parent.is_dir():
        parser.error(f"--output: there is no directory {options.output.parent}")

    from knngraph.demo import run_demo

    return run_demo(options.output)


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="knngraph",
        description="k-nearest-neighbor classification that does its work at fit.",
    )
    parser.add_argument(
        "--version", action="version", version=f"knngraph {knngraph.__version__}"
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
    return parser
