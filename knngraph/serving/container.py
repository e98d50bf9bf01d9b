"""One file of named arrays: versioned, length-checked, checksummed, without code.

    0   16 bytes   magic: what is inside
    16  uint32     version of the format
    20  uint32     zero
    24  uint64     bytes of the file
    32  uint64     bytes of the header
    40  32 bytes   SHA-256 of bytes 0 to 40 and of the header
    72  header     JSON: what the arrays mean, and of every array its name, dtype,
                   shape, offset and SHA-256
        arrays     raw, little-endian, every one at a multiple of 64 bytes; zeros
                   in between

All numbers are little-endian. Every byte is under a checksum, a length or the rule
that it is zero, so that a file with any of them changed is refused.
"""

import contextlib
import hashlib
import json
import math
import mmap
import os
import secrets
import stat
import struct
import sys
from errno import ENOENT
from typing import Any

import numpy as np

from knngraph.exceptions import SavedModelError

PREDICTOR = b"\x89knngraph-pred\r\n"
ESTIMATOR = b"\x89knngraph-esti\r\n"
PARTITION = b"\x89knngraph-part\r\n"
_PREAMBLE = struct.Struct("<16sIIQQ")
_DIGEST_BYTES = 32
_HEADER_AT = _PREAMBLE.size + _DIGEST_BYTES
_ALIGNMENT = 64
_KINDS = frozenset("biufU")
_WHAT = {
    PREDICTOR: "a predictor",
    ESTIMATOR: "an estimator",
    PARTITION: "a partition of a model",
}
_READ_WITH = {
    PREDICTOR: "knngraph.load_predictor",
    ESTIMATOR: "knngraph.load",
    PARTITION: "knngraph.distributed.DaskKNNGraphClassifier.load on its folder",
}
_RESTORE = "Copy the file again from where it was made, or save the model again."


def pack(
    magic: bytes, version: int, meaning: dict[str, Any], arrays: dict[str, np.ndarray]
) -> list[Any]:
    """Lay out a file; returns the buffers to write one after the other."""
    listed, buffers, at = [], [], 0
    for name, given in arrays.items():
        array = _little_endian(name, given)
        data = array.reshape(-1).view(np.uint8).data
        listed.append(
            {
                "name": name,
                "dtype": array.dtype.str,
                "shape": list(given.shape),
                "offset": at,
                "sha256": hashlib.sha256(data).hexdigest(),
            }
        )
        gap = -len(data) % _ALIGNMENT
        buffers += [data, bytes(gap)]
        at += len(data) + gap
    header = json.dumps({"meaning": meaning, "arrays": listed}).encode()
    # Spaces mean nothing to JSON, so they bring the first array into place.
    header += b" " * (-(_HEADER_AT + len(header)) % _ALIGNMENT)
    length = _HEADER_AT + len(header) + at
    preamble = _PREAMBLE.pack(magic, version, 0, length, len(header))
    digest = hashlib.sha256(preamble + header).digest()
    return [preamble, digest, header, *buffers]


def read(
    path: Any, magic: bytes, version: int, *, mapped: bool
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Read a file whole or map it into memory, and verify every byte.

    Parameters
    ----------
    path : path-like
    magic : bytes
        What has to be inside.
    version : int
        Newest version that can be read.
    mapped : bool
        The arrays then are pages of the file, shared by all processes that map
        it. Private where written to, so that they are the same to compiled code
        as any other array.

    Returns
    -------
    meaning : dict
    arrays : dict of ndarray
    """
    name = os.fspath(path)
    try:
        file = open(name, "rb")  # noqa: SIM115
    except IsADirectoryError:
        raise SavedModelError(f"{name!r} is a directory, not a file.") from None
    with file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise SavedModelError(f"{name!r} is not a regular file.")
        if status.st_size < _HEADER_AT:
            # An empty file cannot be mapped.
            raise _cut_off(name, status.st_size, _HEADER_AT)
        content: Any
        if mapped:
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        else:
            content = bytearray(file.read())
    return unpack(content, magic, version, name)


def unpack(
    content: Any, magic: bytes, version: int, name: str = "the saved bytes"
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Verify every byte of a file and give what is in it; see `read`."""
    buffer = np.frombuffer(content, dtype=np.uint8)
    header = _verified_header(buffer, magic, version, name)
    start = _HEADER_AT + len(header)
    try:
        described = json.loads(header)
        meaning, listed = described["meaning"], described["arrays"]
        arrays, at = {}, start
        for entry in listed:
            array, end = _verified_array(buffer, start, at, entry, name)
            arrays[str(entry["name"])] = array
            at = end
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        if isinstance(error, SavedModelError):
            raise
        raise SavedModelError(
            f"{name!r} has a header that describes no model ({error})."
        ) from error
    if at != len(buffer):
        raise SavedModelError(f"{name!r} has bytes that belong to nothing. {_RESTORE}")
    return meaning, arrays


def _verified_header(
    buffer: np.ndarray, magic: bytes, version: int, name: str
) -> bytes:
    if len(buffer) < _HEADER_AT:
        raise _cut_off(name, len(buffer), _HEADER_AT)
    found, found_version, zero, length, header_length = _PREAMBLE.unpack(
        buffer[: _PREAMBLE.size].tobytes()
    )
    if found != magic:
        if found in _WHAT:
            raise SavedModelError(
                f"{name!r} holds {_WHAT[found]}, not {_WHAT[magic]}: read it with "
                f"{_READ_WITH[found]}."
            )
        raise SavedModelError(
            f"{name!r} is not {_WHAT[magic]} saved by knngraph: it starts with "
            f"{found!r}."
        )
    if found_version > version:
        raise SavedModelError(
            f"{name!r} is of format {found_version}; this release of knngraph reads "
            f"up to format {version}. Upgrade knngraph, or save the model again with "
            "this release."
        )
    if length > len(buffer):
        raise _cut_off(name, len(buffer), length)
    if length < len(buffer):
        raise SavedModelError(
            f"{name!r} has {len(buffer) - length} bytes more than its header "
            f"states. {_RESTORE}"
        )
    if zero or not found_version or header_length > length - _HEADER_AT:
        raise _damaged(name, "its first bytes")
    header = buffer[_HEADER_AT : _HEADER_AT + header_length].tobytes()
    digest = buffer[_PREAMBLE.size : _HEADER_AT].tobytes()
    preamble = buffer[: _PREAMBLE.size].tobytes()
    if hashlib.sha256(preamble + header).digest() != digest:
        raise _damaged(name, "its header")
    return header


def _verified_array(
    buffer: np.ndarray, start: int, at: int, entry: dict[str, Any], name: str
) -> tuple[np.ndarray, int]:
    """One array, and where the next one starts."""
    dtype = np.dtype(str(entry["dtype"]))
    if dtype.kind not in _KINDS or dtype.byteorder == ">":
        raise SavedModelError(
            f"{name!r} has {entry['name']} as {dtype.str}, which this format does not "
            "hold: only little-endian numbers, flags and text."
        )
    shape = tuple(int(length) for length in entry["shape"])
    if min(shape, default=0) < 0 or start + int(entry["offset"]) != at:
        raise SavedModelError(f"{name!r} has {entry['name']} in no place.")
    n_bytes = math.prod(shape) * dtype.itemsize
    end = at + n_bytes
    padded = end + -n_bytes % _ALIGNMENT
    if padded > len(buffer):
        raise SavedModelError(f"{name!r} ends before {entry['name']} does.")
    data = buffer[at:end]
    if hashlib.sha256(data.data).hexdigest() != entry["sha256"]:
        raise _damaged(name, str(entry["name"]))
    if buffer[end:padded].any():
        raise _damaged(name, f"the gap behind {entry['name']}")
    array = data.view(dtype) if n_bytes else np.empty(0, dtype)
    if dtype.kind == "U" and n_bytes and data.view("<u4").max() > sys.maxunicode:
        raise SavedModelError(f"{name!r} has {entry['name']} with no text in it.")
    array = array.reshape(shape)
    return (array if dtype.isnative else array.astype(dtype.newbyteorder("="))), padded


def _little_endian(name: str, array: np.ndarray) -> np.ndarray:
    if array.dtype.kind not in _KINDS:
        raise SavedModelError(
            f"{name} has dtype {array.dtype}, which a file without code cannot hold. "
            "Save the estimator with knngraph.save instead."
        )
    if array.dtype.byteorder == ">" or (
        array.dtype.byteorder == "=" and sys.byteorder == "big"
    ):
        array = array.astype(array.dtype.newbyteorder("<"))
    return np.ascontiguousarray(array)


def _damaged(name: str, part: str) -> SavedModelError:
    return SavedModelError(f"{name!r} is damaged in {part}. {_RESTORE}")


def _cut_off(name: str, length: int, expected: int) -> SavedModelError:
    return SavedModelError(
        f"{name!r} is cut off: it has {length} bytes, {expected} at least belong to "
        f"it. {_RESTORE}"
    )


def write(path: Any, buffers: list[Any]) -> None:
    """Write buffers to a new file beside `path`, then put it in the place of that.

    The new file is on disk before it takes the name, and the name on disk before
    this returns: whatever ends the process or the machine, `path` is whole. A
    process that is killed can leave a file `.<name>.<random>.tmp` behind, which
    may be deleted.

    Parameters
    ----------
    path : path-like
        A symbolic link stays one: the file it leads to is replaced. A device or a
        pipe is written to.
    """
    target = os.path.realpath(os.fspath(path))
    folder, name = os.path.split(target)
    if os.path.exists(target) and not os.path.isfile(target):
        with open(target, "wb") as file:
            for buffer in buffers:
                file.write(buffer)
        return
    if not os.path.isdir(folder):
        # Otherwise the error would name the temporary file.
        raise FileNotFoundError(ENOENT, "There is no folder to save into", folder)
    # Fifty characters have at most 200 bytes of the 255 that a name may have.
    temporary = os.path.join(folder, f".{name[:50]}.{secrets.token_hex(8)}.tmp")
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
