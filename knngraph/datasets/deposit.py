"""What a Zenodo record holds, and the file of a set out of it."""

import json
import shutil
import urllib.error
import zipfile
from contextlib import closing
from pathlib import Path, PurePosixPath
from urllib.parse import urljoin

from knngraph.datasets.catalog import PublishedSet
from knngraph.datasets.download import DownloadError, RemoteFile, fetch, open_url


def list_files(record_url: str) -> list[RemoteFile]:
    """Files of a record, with the sizes and checksums that the record gives.

    Parameters
    ----------
    record_url : str
        Address of the record in the interface for programs,
        `https://zenodo.org/api/records/<number>`.

    Returns
    -------
    list of RemoteFile
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

    Parameters
    ----------
    described : PublishedSet
    record_url : str
    folder : Path
    verbose : int

    Returns
    -------
    Path
        The file in the folder.
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
