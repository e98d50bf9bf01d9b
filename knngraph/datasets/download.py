"""One file over HTTP: resumed after a cut, checked, and whole or not there."""

import hashlib
import http.client
import os
import time
import urllib.error
import urllib.request
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from knngraph.progress import stage

_TIMEOUT_SECONDS = 30.0
_BLOCK = 1 << 16
_ATTEMPTS = 4
_FIRST_PAUSE_SECONDS = 1.0
# Answers of a busy server that another attempt may change.
_WORTH_ANOTHER_ATTEMPT = frozenset({408, 425, 429, 500, 502, 503, 504})


class DownloadError(OSError):
    """A file could not be fetched, or is not what the deposit says it is."""


@dataclass(frozen=True)
class RemoteFile:
    """A file of a deposit.

    Parameters
    ----------
    name, url : str
    size : int
        Bytes.
    checksum : str
        Algorithm and hexadecimal digest, as in "md5:d41d8c...".
    """

    name: str
    url: str
    size: int
    checksum: str


def open_url(url: str, headers: dict[str, str] | None = None) -> Any:
    """Open an address of the web, and of nothing else."""
    if not url.startswith(("https://", "http://")):
        raise DownloadError(f"{url!r} is not an address of the web.")
    request = urllib.request.Request(url, headers=headers or {})
    return urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS)


def fetch(
    remote: RemoteFile,
    target: Path,
    *,
    verbose: int = 0,
    first_pause: float = _FIRST_PAUSE_SECONDS,
) -> Path:
    """Fetch a file unless it is there.

    What has arrived is kept in `<target>.part` and a later call goes on behind
    it. Only a file of the promised size and checksum takes the name `target`.

    Parameters
    ----------
    remote : RemoteFile
    target : Path
    verbose : int, default=0
        Whether to show progress.
    first_pause : float, default=1.0
        Seconds before the second of four attempts; doubled before each further.

    Returns
    -------
    Path
        `target`.

    Raises
    ------
    DownloadError
    """
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    with stage(f"fetching {remote.name}", remote.size, verbose, unit="byte") as shown:
        pause, reason = first_pause, ""
        for attempt in range(_ATTEMPTS):
            if attempt:
                time.sleep(pause)
                pause *= 2
            reason = _receive(remote, part, shown)
            if not reason:
                break
        else:
            raise DownloadError(
                f"{remote.url}: {reason} after {_ATTEMPTS} attempts; "
                f"{_length(part)} of {remote.size} bytes are kept, call again to go on."
            )
    _check(remote, part)
    os.replace(part, target)
    return target


def _receive(remote: RemoteFile, part: Path, shown: Any) -> str:
    """Append to the part what is still to come; say why where it is not all."""
    if _length(part) > remote.size:
        part.unlink()
    have = _length(part)
    if have == remote.size:
        return ""
    try:
        headers = {"Range": f"bytes={have}-"} if have else {}
        with closing(open_url(remote.url, headers)) as answer:
            goes_on = answer.status == 206 and _starts_at(answer, have)
            _append(answer, part, have if goes_on else 0, remote, shown)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416:
            part.unlink()
        elif error.code not in _WORTH_ANOTHER_ATTEMPT:
            raise DownloadError(
                f"{remote.url} answers {error.code} {error.reason}."
            ) from None
        return f"the server answers {error.code} {error.reason}"
    except DownloadError:
        raise
    except (OSError, http.client.HTTPException) as error:
        return f"the connection failed ({error})"
    if _length(part) < remote.size:
        return f"the connection ended at {_length(part)} of {remote.size} bytes"
    return ""


def _starts_at(answer: Any, offset: int) -> bool:
    return bool(answer.headers.get("Content-Range", "").startswith(f"bytes {offset}-"))


def _append(
    answer: Any, part: Path, offset: int, remote: RemoteFile, shown: Any
) -> None:
    with part.open("r+b" if part.exists() else "wb") as file:
        file.truncate(offset)
        file.seek(offset)
        shown.advance(offset - shown.done)
        while block := answer.read(_BLOCK):
            file.write(block)
            shown.advance(len(block))
            if file.tell() > remote.size:
                break
    if _length(part) > remote.size:
        part.unlink()
        raise DownloadError(
            f"{remote.url} sends more than the {remote.size} bytes that the deposit "
            "says; nothing was kept."
        )


def _length(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _check(remote: RemoteFile, part: Path) -> None:
    algorithm, _, expected = remote.checksum.partition(":")
    if algorithm not in hashlib.algorithms_available or not expected:
        raise DownloadError(f"{remote.name}: cannot check {remote.checksum!r}.")
    # Against accidents, not attackers: the deposit says which algorithm.
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with part.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    if digest.hexdigest() != expected.lower():
        part.unlink()
        raise DownloadError(
            f"{remote.name} from {remote.url} has {algorithm} {digest.hexdigest()}, "
            f"but the deposit says {expected}; nothing was kept."
        )
