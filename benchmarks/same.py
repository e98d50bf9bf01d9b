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
    first, second = (_scores(path) for path in options.files)
    shared = sorted(set(first) & set(second))
    differing = [key for key in shared if first[key] != second[key]]
    for key in differing:
        print(*key, first[key], second[key])
    only = len(set(first) ^ set(second))
    print(
        f"{len(shared)} scores in both, {len(differing)} differ, {only} in one alone."
    )
    return 1 if differing or not shared else 0


def _scores(path: Path) -> dict[tuple[str, str, str, str], str]:
    """Scores as they are written, by set, method, fold and metric."""
    return {
        (row["set"], row["method"], row["fold"], row["metric"]): row["value"]
        for row in read_rows(path)
        if row["metric"] in QUALITY
    }
