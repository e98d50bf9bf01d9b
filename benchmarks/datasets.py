"""Sets of a folder, and their folds, as every benchmark takes them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.model_selection import StratifiedKFold, train_test_split
from sklearn.preprocessing import StandardScaler, normalize

from knngraph import datasets
from knngraph.datasets.deposit import CATALOG
from knngraph.datasets.loading import read_set

# Columns of different units: a standard scaler goes in front.
TABULAR = [
    "balance_scale",
    "banana",
    "dermatology",
    "glass",
    "ionosphere",
    "letter",
    "magic",
    "mfeat_zer47",
    "phoneme",
    "satimage",
    "spambase",
    "vehicle",
    "wine_red",
]

# X_train, y_train, X_test, y_test.
Fold = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def load(
    name: str, data_dir: Path | None, *, download: bool = False, max_rows: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Rows and class codes of a set.

    Parameters
    ----------
    name : str
        One of the published sets, or the name of a file in the folder.
    data_dir : Path or None
        None is for published sets alone: see `knngraph.datasets.load`.
    download : bool, default=False
    max_rows : int, default=0
        Of a larger set a random sample of so many rows is taken; 0 takes all.

    Returns
    -------
    X : ndarray of shape (n_rows, n_features), float64
        Rows of text and of sparse sets have unit length.
    y : ndarray of shape (n_rows,), intp
        Codes from 0 in the order of the labels.

    Raises
    ------
    FileNotFoundError
        The message says where to put the file.
    """
    if name in CATALOG:
        X, y = datasets.load(name, data_dir, download=download)
    else:
        X, y = read_set(_path_of(name, data_dir))
    if max_rows and len(y) > max_rows:
        chosen = np.sort(np.random.default_rng(0).permutation(len(y))[:max_rows])
        X, y = X[chosen], y[chosen]
    return as_dense(X, unit_rows=name in CATALOG and CATALOG[name].is_text), codes_of(y)


def as_dense(X: Any, *, unit_rows: bool) -> np.ndarray:
    """Dense rows; sparse ones, and those of text, at unit length."""
    if sparse.issparse(X):
        return normalize(X).toarray()
    return normalize(X) if unit_rows else X


def codes_of(y: np.ndarray) -> np.ndarray:
    """Class codes from 0 in the order of the labels."""
    return np.unique(y, return_inverse=True)[1].astype(np.intp)


def _path_of(name: str, folder: Path | None) -> Path:
    if folder is None:
        raise FileNotFoundError(
            f"{name} is not a published set; name the folder that has it with "
            "--data-dir or the variable KNNGRAPH_DATA."
        )
    candidates = [Path(folder) / f"{name}{end}" for end in (".npz", "_X.npz", ".mat")]
    for path in candidates:
        if path.exists():
            return path
    raise FileNotFoundError(
        f"{folder} holds none of {', '.join(path.name for path in candidates)}; name "
        "the folder that does with --data-dir or the variable KNNGRAPH_DATA."
    )


def split(
    X: np.ndarray, y: np.ndarray, n_folds: int, *, scaled: bool, seed: int = 0
) -> Iterator[Fold]:
    """Stratified folds, with a standard scaler of the training rows if asked for."""
    splitter = StratifiedKFold(n_folds, shuffle=True, random_state=seed)
    for train, test in splitter.split(X, y):
        yield scale(X[train], X[test], scaled=scaled, y=(y[train], y[test]))


def scale(
    X_train: np.ndarray,
    X_test: np.ndarray,
    *,
    scaled: bool,
    y: tuple[np.ndarray, np.ndarray],
) -> Fold:
    """One fold, its columns scaled by what the training rows say."""
    if scaled:
        scaler = StandardScaler().fit(X_train)
        X_train, X_test = scaler.transform(X_train), scaler.transform(X_test)
    return X_train, y[0], X_test, y[1]


def split_once(X: np.ndarray, y: np.ndarray, share: float, *, scaled: bool) -> Fold:
    """One stratified split, the given share of the rows as its test part."""
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, test_size=share, stratify=y, random_state=0
    )
    return scale(X_train, X_test, scaled=scaled, y=(y_train, y_test))
