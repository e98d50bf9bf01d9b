"""Benchmarks that anyone can rerun.

    python -m benchmarks.run paper --data-dir DIR    the published tables
    python -m benchmarks.run peers --set NAME        today's other ways
    python -m benchmarks.run same A.csv B.csv        two runs, digit by digit

Every command goes on where it was stopped. The folder of the sets may be named
by the variable KNNGRAPH_DATA instead; see docs/benchmarks.md.
"""

import argparse
import sys
from collections.abc import Sequence

from benchmarks import same
from benchmarks.command import add_folder
from benchmarks.paper import run_paper as paper
from benchmarks.peers import run_peers as peers

COMMANDS = {
    "paper": (paper, "the published tables, measured again"),
    "peers": (peers, "accuracy against the time of a query, beside other packages"),
    "same": (same, "whether two runs gave the same scores, to the last digit"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.run", description=(__doc__ or "").split("\n")[0]
    )
    commands = parser.add_subparsers(metavar="command", required=True)
    for name, (module, words) in COMMANDS.items():
        own = commands.add_parser(name, help=words, description=module.__doc__)
        module.add_arguments(own)
        if name in ("paper", "peers"):
            add_folder(own)
        own.set_defaults(run=module.run)
    options = parser.parse_args(arguments)
    return int(options.run(options))


if __name__ == "__main__":
    sys.exit(main())
