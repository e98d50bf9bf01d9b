"""What the command lines of the benchmarks share."""

import argparse
import os
from pathlib import Path

from benchmarks.pages import put_between


def parser_of(doc: str | None, *, folder: bool = True) -> argparse.ArgumentParser:
    """A command line with --write-docs, and --data-dir where there is a folder."""
    parser = argparse.ArgumentParser(description=(doc or "").splitlines()[0])
    if folder:
        add_folder(parser)
    parser.add_argument(
        "--write-docs", action="store_true", help="write the figures into the page"
    )
    return parser


def add_folder(parser: argparse.ArgumentParser) -> None:
    """The option that names the folder of the sets."""
    parser.add_argument(
        "--data-dir",
        type=Path,
        default=os.environ.get("KNNGRAPH_DATA"),
        help="folder of the sets (default: the variable KNNGRAPH_DATA)",
    )


def publish(text: str, page: Path, mark: str, options: argparse.Namespace) -> None:
    """Print the text, and put it between the marks of the page where asked to."""
    print(text)
    if options.write_docs:
        put_between(page, mark, text)
