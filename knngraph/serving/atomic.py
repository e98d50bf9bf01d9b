"""Write a file so that whoever reads it sees all of the old one or all of the new."""

import contextlib
import os
import secrets
from typing import Any


def write_atomically(path: Any, buffers: list[Any]) -> None:
    """Write buffers to a new file beside `path`, then put it in the place of that.

    The new file is on disk before it takes the name, and the name on disk before
    this returns: whatever ends the process or the machine, `path` is whole. A
    process that is killed can leave a file `.<name>.<random>.tmp` behind, which
    may be deleted.

    Parameters
    ----------
    path : path-like
        A symbolic link stays one: the file it leads to is replaced.
    buffers : list of bytes-like
    """
    target = os.path.realpath(os.fspath(path))
    folder, name = os.path.split(target)
    temporary = os.path.join(folder, f".{name[:99]}.{secrets.token_hex(8)}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    try:
        with os.fdopen(os.open(temporary, flags, 0o666), "wb") as file:
            for buffer in buffers:
                file.write(buffer)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    _sync_folder(folder)


def _sync_folder(folder: str) -> None:
    if os.name != "posix":  # elsewhere a folder cannot be opened
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
