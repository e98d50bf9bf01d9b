"""Whether two runs of `paper` gave the same scores, to the last digit."""

import argparse
from pathlib import Path

from benchmarks.metrics import QUALITY
from benchmarks.rows import read_rows


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("files", nargs=2, type=Path, metavar="CSV")


def run(options: argparse.Namespace) -> int:
    """Compare two files; 0 where every score that both have is the same."""
    key = ["set", "method", "fold", "metric"]
    first, second = (
        rows[rows["metric"].isin(QUALITY)][[*key, "value"]]
        for rows in map(read_rows, options.files)
    )
    both = first.merge(second, on=key)
    differing = both[both["value_x"] != both["value_y"]]
    for row in differing.itertuples(index=False):
        print(*row)
    only = len(first) + len(second) - 2 * len(both)
    print(f"{len(both)} scores in both, {len(differing)} differ, {only} in one alone.")
    return 1 if len(differing) or both.empty else 0
