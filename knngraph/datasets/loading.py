"""A published set from a folder, or from the cache that a download fills."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from knngraph.datasets.catalog import CATALOG, RECORD_URL, PublishedSet
from knngraph.datasets.deposit import fetch_set
from knngraph.datasets.download import DownloadError
from knngraph.datasets.files import read_set


class MissingSetError(FileNotFoundError):
    """The file of a set is in none of the places where it may be."""


def cache_folder() -> Path:
    """Folder of downloaded sets.

    Returns
    -------
    Path
        The variable KNNGRAPH_CACHE, or `knngraph` in the variable
        XDG_CACHE_HOME, or `~/.cache/knngraph`.
    """
    own = os.environ.get("KNNGRAPH_CACHE")
    if own:
        return Path(own)
    shared = os.environ.get("XDG_CACHE_HOME")
    return (Path(shared) if shared else Path.home() / ".cache") / "knngraph"


def load(
    name: str,
    data_dir: str | os.PathLike[str] | None = None,
    *,
    download: bool = True,
    record_url: str = RECORD_URL,
    verbose: int = 1,
) -> tuple[Any, np.ndarray]:
    """Load one of the six sets on which the method was published.

    Parameters
    ----------
    name : {"binalpha", "caltech", "corel", "mpeg", "news", "palm"}
    data_dir : path or None, default=None
        Folder with `<name>.npz` (X, y), or `<name>.mat` (X, Y; X may be sparse),
        or sparse rows in `<name>_X.npz` (`scipy.sparse.save_npz`) with their
        labels in `<name>_y.npy`. None takes the variable KNNGRAPH_DATA; where
        that is not set either, the set is looked for in the cache folder and
        downloaded into it.
    download : bool, default=True
        Whether a set that the cache folder lacks may be downloaded. A folder
        that was named is never written to.
    record_url : str, default="https://zenodo.org/api/records/19531320"
        Zenodo record of the deposit.
    verbose : int, default=1
        Whether a download shows progress.

    Returns
    -------
    X : ndarray or CSR array of shape (n_rows, n_features), float64
    y : ndarray of shape (n_rows,)

    Raises
    ------
    MissingSetError
        The folder lacks the set, or it cannot be downloaded; the message says
        where to put the file.

    Examples
    --------
    >>> from knngraph import datasets
    >>> X, y = datasets.load("palm", data_dir="sets")  # doctest: +SKIP
    """
    described = CATALOG.get(name)
    if described is None:
        raise ValueError(
            f"name={name!r} is not a published set; they are {', '.join(CATALOG)}."
        )
    named = data_dir if data_dir is not None else os.environ.get("KNNGRAPH_DATA")
    folder = Path(named) if named else cache_folder()
    path = _find(described, folder)
    if path is None and named:
        raise MissingSetError(_where_to_put(described, folder))
    if path is None and not download:
        raise MissingSetError(
            f"{_where_to_put(described, folder)} With download=True it is fetched "
            f"from {record_url}."
        )
    if path is None:
        try:
            path = fetch_set(described, record_url, folder, verbose=verbose)
        except DownloadError as error:
            raise MissingSetError(
                f"{error} {_where_to_put(described, folder)}"
            ) from error
    X, y = read_set(path)
    _check_against_publication(described, X, y, path)
    return X, y


def _find(described: PublishedSet, folder: Path) -> Path | None:
    if not folder.is_dir():
        return None
    name = described.best_of(path.name for path in folder.iterdir())
    return None if name is None else folder / name


def _where_to_put(described: PublishedSet, folder: Path) -> str:
    name = described.name
    return (
        f"{folder} has no file of the set {name}: put {name}.mat (X, Y) or "
        f"{name}.npz (X, y) there, or name the folder that has it by data_dir or by "
        "the variable KNNGRAPH_DATA."
    )


def _check_against_publication(
    described: PublishedSet, X: Any, y: np.ndarray, path: Path
) -> None:
    """Refuse another set under the name of a published one."""
    found = {"features": X.shape[1], "classes": len(np.unique(y))}
    published = {"features": described.n_features, "classes": described.n_classes}
    for what, number in published.items():
        if number is not None and found[what] != number:
            raise ValueError(
                f"{path} has {found[what]} {what}, but the published set "
                f"{described.name} has {number}: it is another set."
            )
