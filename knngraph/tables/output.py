"""Files that a command is going to write."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from knngraph.tables.table import TableProblem


def check_output(option: str, path: Path | None, *inputs: Path | None) -> None:
    """Find out before the work whether a file can be written, and is no input.

    Parameters
    ----------
    option : str
        Names the file in messages.
    path : Path or None
        None where nothing is written.
    inputs : Path or None
        Files that are read.
    """
    if path is None:
        return
    folder = path.absolute().parent
    if not folder.is_dir():
        raise TableProblem(f"{option}: there is no folder {path.parent}.")
    if path.is_dir():
        raise TableProblem(f"{option}: {path} is a folder; name a file.")
    read = [file for file in inputs if file is not None and file.exists()]
    if path.exists() and any(path.samefile(file) for file in read):
        raise TableProblem(f"{option}: {path} is a file that is read.")
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise TableProblem(f"{option}: {path} cannot be written.")


@contextmanager
def writing(option: str, path: Path) -> Iterator[None]:
    """Name the option and the file where the system refuses a write, as a full disk.

    Parameters
    ----------
    option, path
        As of `check_output`.
    """
    try:
        yield
    except OSError as error:
        raise TableProblem(
            f"{option}: {path} cannot be written: {error.strerror}."
        ) from error
