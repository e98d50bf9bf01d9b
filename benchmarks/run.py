"""Benchmarks that anyone can rerun.

    python -m benchmarks.run paper --data-dir DIR    the published tables
    python -m benchmarks.run peers --set NAME        today's other ways
    python -m benchmarks.run convnn --data-dir DIR   nets with neighbors in them
    python -m benchmarks.run same A.csv B.csv        two runs, digit by digit

Every command goes on where it was stopped. The folder of the sets may be named
by the variable KNNGRAPH_DATA instead; see docs/benchmarks.md.
"""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from benchmarks.command import add_folder

COMMANDS = {
    "paper": ("paper.run_paper", "the published tables, measured again"),
    "peers": (
        "peers.run_peers",
        "accuracy against the time of a query, beside other packages",
    ),
    "convnn": (
        "convnn.run_convnn",
        "nets with convolutions over chosen neighbors, beside published figures",
    ),
    "same": ("same", "whether two runs gave the same scores, to the last digit"),
}
WITH_FOLDER = ("paper", "peers", "convnn")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.run", description=(__doc__ or "").split("\n")[0]
    )
    commands = parser.add_subparsers(metavar="command", required=True)
    for name, (home, words) in COMMANDS.items():
        own = commands.add_parser(name, help=words)
        if [name] != list(arguments[:1]):
            continue
        # Only the command that runs is imported: each needs packages of its own.
        module = import_module(f"benchmarks.{home}")
        own.description = module.__doc__
        module.add_arguments(own)
        if name in WITH_FOLDER:
            add_folder(own)
        own.set_defaults(run=module.run)
    options = parser.parse_args(arguments)
    return int(options.run(options))


if __name__ == "__main__":
    sys.exit(main())
