"""The published sets in their deposit, and how they are downloaded.

A download is resumed after a cut, checked, and whole or not there.
"""

import hashlib
import http.client
import json
import os
import re
import shutil
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePath, PurePosixPath
from typing import Any
from urllib.parse import urljoin

from knngraph.progress import stage

# The deposit of the publication: doi.org/10.5281/zenodo.19531320.
RECORD_URL = "https://zenodo.org/api/records/19531320"
_TIMEOUT_SECONDS = 30.0
_BLOCK = 1 << 16
_ATTEMPTS = 4
_FIRST_PAUSE_SECONDS = 1.0
# Answers of a busy server that another attempt may change.
_WORTH_ANOTHER_ATTEMPT = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True)
class PublishedSet:
    """One set as the publication describes it; None where it does not state a number.

    The columns of a text count words.
    """

    name: str
    content: str
    n_features: int | None = None
    n_classes: int | None = None
    is_text: bool = False

    def is_named_by(self, file_name: str) -> bool:
        """Whether a file is this set by its name.

        `binalpha.npz`, `Palm.mat`, `20news_uni.mat` and `mpeg7.mat` are; a name
        with any other addition is taken for a derived set and is not.
        """
        path = PurePath(file_name)
        stem = rf"\d*{self.name}(\d+k?)?(_uni|_x)?"
        return path.suffix.lower() in (".npz", ".mat") and bool(
            re.fullmatch(stem, path.stem.lower())
        )

    def best_of(self, file_names: Iterable[str]) -> str | None:
        """The file of this set: the plain name first, `.npz` before `.mat`."""
        own = [name for name in file_names if self.is_named_by(name)]
        return min(own, key=self._distance_from_plain, default=None)

    def _distance_from_plain(self, file_name: str) -> tuple[int, bool, str]:
        path = PurePath(file_name)
        return (
            len(path.stem) - len(self.name),
            path.suffix.lower() != ".npz",
            file_name,
        )


CATALOG = {
    described.name: described
    for described in (
        PublishedSet("binalpha", "binary images of characters", n_features=320),
        PublishedSet("caltech", "objects of the Caltech 101 categories"),
        PublishedSet("corel", "color, texture and layout of photos", n_features=423),
        PublishedSet("mpeg", "MPEG-7 shapes", n_classes=70),
        PublishedSet("news", "words of newsgroups", n_features=8014, is_text=True),
        PublishedSet("palm", "palm prints", n_classes=100),
    )
}


class DownloadError(OSError):
    """A file could not be fetched, or is not the file that the deposit describes."""


@dataclass(frozen=True)
class RemoteFile:
    """A file of a deposit: size in bytes, checksum as in "md5:d41d8c...".

    The checksum is an algorithm and a hexadecimal digest.
    """

    name: str
    url: str
    size: int
    checksum: str


def list_files(record_url: str) -> list[RemoteFile]:
    """Files of a record, with the sizes and checksums that the record gives.

    The address of a record in the interface for programs is
    `https://zenodo.org/api/records/<number>`.
    """
    try:
        with closing(open_url(record_url, {"Accept": "application/json"})) as answer:
            record = json.loads(answer.read())
    except urllib.error.HTTPError as error:
        error.close()
        raise DownloadError(
            f"{record_url} answers {error.code} {error.reason}."
        ) from None
    except DownloadError:
        raise
    except (OSError, ValueError) as error:
        raise DownloadError(f"{record_url} cannot be read ({error}).") from error
    try:
        return [
            RemoteFile(
                PurePosixPath(entry["key"]).name,
                urljoin(record_url, entry["links"]["self"]),
                int(entry["size"]),
                str(entry["checksum"]),
            )
            for entry in record["files"]
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise DownloadError(
            f"{record_url} does not list its files with key, size, checksum and link."
        ) from error


def fetch_set(
    described: PublishedSet, record_url: str, folder: Path, *, verbose: int
) -> Path:
    """Bring the file of a set into a folder.

    A file of the record that is named for the set is taken as it is; else the
    archives of the record are fetched and searched, smallest first.
    """
    files = {remote.name: remote for remote in list_files(record_url)}
    name = described.best_of(files)
    if name is not None:
        return fetch(files[name], folder / name, verbose=verbose)
    archives = [r for r in files.values() if r.name.lower().endswith(".zip")]
    for remote in sorted(archives, key=lambda remote: (remote.size, remote.name)):
        archive = fetch(remote, folder / remote.name, verbose=verbose)
        found = _unpack(described, archive, folder)
        if found is not None:
            return found
    raise DownloadError(
        f"{record_url} holds no file of {described.name}; it holds "
        f"{', '.join(sorted(files)) or 'nothing'}."
    )


def _unpack(described: PublishedSet, archive: Path, folder: Path) -> Path | None:
    """Take the file of a set out of an archive."""
    try:
        with zipfile.ZipFile(archive) as content:
            # The last part alone: a member must not choose where it is written.
            members = {PurePosixPath(m).name: m for m in content.namelist()}
            name = described.best_of(members)
            if name is None:
                return None
            part = folder / f"{name}.part"
            with content.open(members[name]) as source, part.open("wb") as target:
                shutil.copyfileobj(source, target)
    except zipfile.BadZipFile as error:
        archive.unlink()
        raise DownloadError(f"{archive.name} is no archive ({error}).") from error
    return part.replace(folder / name)


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
    """Fetch a file unless it is there, and return the `target`.

    What has arrived is kept in `<target>.part` and a later call goes on behind
    it. Only a file of the promised size and checksum takes the name `target`.
    The second of four attempts comes `first_pause` seconds after the first; every
    further pause is twice as long.
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
    """Append the missing bytes to the part; the reason where some are still missing."""
    if _length(part) > remote.size:
        part.unlink()
    have = _length(part)
    if have == remote.size:
        return ""
    try:
        headers = {"Range": f"bytes={have}-"} if have else {}
        with closing(open_url(remote.url, headers)) as answer:
            span = answer.headers.get("Content-Range", "")
            goes_on = answer.status == 206 and span.startswith(f"bytes {have}-")
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
    # Against accidents, not attackers: the deposit chooses the algorithm.
    empty = partial(hashlib.new, algorithm, usedforsecurity=False)
    with part.open("rb") as file:
        digest = hashlib.file_digest(file, empty)
    if digest.hexdigest() != expected.lower():
        part.unlink()
        raise DownloadError(
            f"{remote.name} from {remote.url} has {algorithm} {digest.hexdigest()}, "
            f"but the deposit says {expected}; nothing was kept."
        )
