"""Rows and labels from a `.mat` or `.npz` file, checked."""

import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse
from scipy.io import loadmat
from scipy.io.matlab import MatReadError

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


def read_set(path: Path) -> tuple[Any, np.ndarray]:
    """Read one labeled set.

    Parameters
    ----------
    path : Path
        `.mat` with X and Y, `.npz` with X and y, or `<name>_X.npz` of
        `scipy.sparse.save_npz` beside `<name>_y.npy`.

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
    >>> from knngraph.datasets.files import read_set
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
    reader = loadmat if path.suffix.lower() == ".mat" else _arrays
    return _pick(_opened(path, reader), path)


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
