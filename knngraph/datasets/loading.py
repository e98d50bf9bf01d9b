"""A labeled set from a folder, or from the cache that a download fills."""

import os
import zipfile
import zlib
from collections.abc import Callable
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse
from scipy.io import loadmat
from scipy.io.matlab import MatReadError

from knngraph.datasets.deposit import (
    CATALOG,
    RECORD_URL,
    DownloadError,
    PublishedSet,
    fetch_set,
)

_LABEL_NAMES = ("Y", "y")
# What numpy and scipy raise on files that are cut or are something else.
_SIGNS_OF_DAMAGE = (
    ValueError,
    TypeError,
    EOFError,
    OSError,
    zlib.error,
    zipfile.BadZipFile,
    MatReadError,
)


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
    if path is None:
        advice = (
            f"{folder} has no file of the set {name}: put {name}.mat (X, Y) or "
            f"{name}.npz (X, y) there, or name the folder that has it by data_dir or "
            "by the variable KNNGRAPH_DATA."
        )
        if named:
            raise MissingSetError(advice)
        if not download:
            raise MissingSetError(
                f"{advice} With download=True it is fetched from {record_url}."
            )
        try:
            path = fetch_set(described, record_url, folder, verbose=verbose)
        except DownloadError as error:
            raise MissingSetError(f"{error} {advice}") from error
    X, y = read_set(path)
    _check_against_publication(described, X, y, path)
    return X, y


def _find(described: PublishedSet, folder: Path) -> Path | None:
    if not folder.is_dir():
        return None
    name = described.best_of(path.name for path in folder.iterdir())
    return None if name is None else folder / name


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


def read_set(path: Path) -> tuple[Any, np.ndarray]:
    """Read one labeled set, in one of the formats that `load` takes.

    Returns
    -------
    X : ndarray or CSR array of shape (n_rows, n_features), float64
    y : ndarray of shape (n_rows,)
        Labels as the file has them, whole numbers as integers.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from knngraph.datasets.loading import read_set
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "tiny.npz"
    ...     np.savez(path, X=[[0, 1], [1, 0], [1, 1]], y=[[0.0], [1.0], [1.0]])
    ...     X, y = read_set(path)
    >>> X.shape, y
    ((3, 2), array([0, 1, 1]))
    """
    X, y = _read(path)
    y = _checked_labels(y, path)
    return _checked_rows(X, len(y), path), y


def _read(path: Path) -> tuple[Any, Any]:
    if path.stem.lower().endswith("_x"):
        labels = path.with_name(path.stem[:-1] + "y.npy")
        if not labels.exists():
            raise ValueError(f"{path} needs its labels beside it, in {labels.name}.")
        return _opened(path, sparse.load_npz), _opened(labels, np.load)
    reader = _matlab if path.suffix.lower() == ".mat" else _arrays
    return _pick(_opened(path, reader), path)


def _matlab(path: Path) -> dict[str, Any]:
    # Both kinds of sparse rows will do, but scipy 1.18 wants to be told which.
    told = {"spmatrix": False} if "spmatrix" in signature(loadmat).parameters else {}
    return loadmat(path, **told)


def _arrays(path: Path) -> dict[str, np.ndarray]:
    # numpy leaves the file open where it is no archive.
    with path.open("rb") as file, np.load(file) as content:
        return dict(content)


def _opened(path: Path, reader: Callable[[Path], Any]) -> Any:
    """What a reader makes of a file, or an error that names the file."""
    try:
        return reader(path)
    except NotImplementedError:
        raise ValueError(
            f"{path} is a MATLAB v7.3 file; save it with `save(file, '-v7')` instead."
        ) from None
    except _SIGNS_OF_DAMAGE as error:
        # An error of the system, such as a missing permission, speaks for itself.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise ValueError(
            f"{path} is damaged or no {path.suffix} file ({error}); fetch it again."
        ) from error


def _pick(content: Any, path: Path) -> tuple[Any, Any]:
    """X and the labels of an open file."""
    names = [name for name in content if not name.startswith("__")]
    if {"indices", "indptr", "data"} <= set(names):
        raise ValueError(
            f"{path} holds sparse rows without labels: call it {path.stem}_X.npz and "
            f"put the labels beside it in {path.stem}_y.npy (numpy.save)."
        )
    labels = next((name for name in _LABEL_NAMES if name in names), None)
    if "X" not in names or labels is None:
        lacking = "X" if "X" not in names else "Y"
        raise ValueError(
            f"{path} has no variable {lacking}; it holds {', '.join(names) or 'none'}. "
            "X are the rows, Y (or y) their labels."
        )
    return content["X"], content[labels]


def _checked_labels(y: Any, path: Path) -> np.ndarray:
    y = np.asarray(y.toarray() if sparse.issparse(y) else y)
    if y.size == 0 or y.size != max(y.shape, default=0):
        raise ValueError(
            f"{path}: the labels have shape {y.shape}; one label a row is needed."
        )
    y = y.ravel()
    if y.dtype.kind == "f":
        if not np.array_equal(y, np.rint(y)):
            raise ValueError(f"{path}: the labels are not whole numbers.")
        y = y.astype(np.int64)
    if y.dtype.kind not in "iubU":
        raise ValueError(
            f"{path}: the labels are of type {y.dtype}; numbers or strings are needed."
        )
    return y


def _checked_rows(X: Any, n_rows: int, path: Path) -> Any:
    if not sparse.issparse(X):
        X = np.asarray(X)
    if X.ndim != 2 or X.dtype.kind not in "iubf":
        raise ValueError(
            f"{path}: X has shape {X.shape} and type {X.dtype}; a table of numbers "
            "is needed."
        )
    # MATLAB code often keeps one row a column; a square X is taken as it stands.
    if X.shape[0] != n_rows and X.shape[1] == n_rows:
        X = X.T
    if X.shape[0] != n_rows:
        raise ValueError(
            f"{path}: X has shape {X.shape}, but there are {n_rows} labels."
        )
    if sparse.issparse(X):
        X = sparse.csr_array(X, dtype=np.float64)
        values = X.data
    else:
        X = values = np.ascontiguousarray(X, dtype=np.float64)
    if not np.isfinite(values).all():
        n_bad = int((~np.isfinite(values)).sum())
        raise ValueError(f"{path}: X has {n_bad} entries that are not finite.")
    return X
