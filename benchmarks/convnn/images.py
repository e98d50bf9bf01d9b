"""CIFAR-10 as arrays: a sample in one file, a folder of batches, or torchvision's."""

import io
import pickle
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

SAMPLE = "cifar10_small.npz"
SIDE = 32
_BYTES_A_ROW = 3 * SIDE * SIDE + 1
# Folders in the archives of the set, beside the folder that is named itself.
_FOLDERS = ("", "cifar-10-batches-bin", "cifar-10-batches-py")


class Images(NamedTuple):
    """Training and test rows.

    Parameters
    ----------
    X_train, X_test : ndarray of shape (n_rows, 3, 32, 32), uint8
    y_train, y_test : ndarray of shape (n_rows,), int64
    """

    X_train: np.ndarray
    y_train: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray


def read_images(data: str, folder: Path | None) -> Images:
    """Images of CIFAR-10 (Krizhevsky 2009).

    Parameters
    ----------
    data : {"sample", "cifar10"}
        `sample` is the file `cifar10_small.npz` of the folder; `cifar10` the whole
        set, from its binary or Python batches, else downloaded by torchvision.
    folder : Path or None

    Raises
    ------
    FileNotFoundError
        The message says what to put where.
    """
    if data == "sample":
        return _read_sample(folder)
    if folder is not None:
        for name in _FOLDERS:
            for read in (_read_binary, _read_pickled):
                found = read(folder / name)
                if found is not None:
                    return found
    return _download(folder)


def _read_sample(folder: Path | None) -> Images:
    path = Path(folder or "") / SAMPLE
    if folder is None or not path.exists():
        where = "No folder was named" if folder is None else f"{path} is not there"
        raise FileNotFoundError(
            f"{where}: name the folder that holds {SAMPLE} with --data-dir or the "
            "variable KNNGRAPH_DATA, or take the whole set with --data cifar10."
        )
    with np.load(path) as file:
        y, n_train = file["y"].astype(np.int64), int(file["n_train"])
        if "X" in file:
            X = file["X"]
        else:
            X = _decoded(file["jpeg"].tobytes(), file["offsets"])
    X = np.ascontiguousarray(X.transpose(0, 3, 1, 2))
    return Images(X[:n_train], y[:n_train], X[n_train:], y[n_train:])


def _decoded(jpeg: bytes, offsets: np.ndarray) -> np.ndarray:
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError(
            f"{SAMPLE} holds JPEG images, which Pillow decodes: pip install pillow."
        ) from error
    files = (io.BytesIO(jpeg[start:end]) for start, end in pairwise(offsets))
    return np.stack([np.asarray(Image.open(file).convert("RGB")) for file in files])


def _read_binary(folder: Path) -> Images | None:
    """`data_batch_1.bin` to `_5.bin`: rows of a label and three planes of bytes."""
    paths = sorted(folder.glob("data_batch_*.bin"))
    test = folder / "test_batch.bin"
    if not paths or not test.exists():
        return None
    train = [_rows_of(path) for path in paths]
    X, y = (np.concatenate(parts) for parts in zip(*train))
    return Images(X, y, *_rows_of(test))


def _rows_of(path: Path) -> tuple[np.ndarray, np.ndarray]:
    found = np.fromfile(path, np.uint8)
    if found.size % _BYTES_A_ROW:
        raise ValueError(
            f"{path} has {found.size} bytes, which is no multiple of {_BYTES_A_ROW}, "
            "the bytes of an image and its label: copy the file again."
        )
    found = found.reshape(-1, _BYTES_A_ROW)
    return found[:, 1:].reshape(-1, 3, SIDE, SIDE), found[:, 0].astype(np.int64)


class _Arrays(pickle.Unpickler):
    """Loads arrays and plain values, and nothing that runs code."""

    def find_class(self, module: str, name: str) -> Any:
        """Allow what rebuilds an array."""
        if module.startswith("numpy") and name in ("_reconstruct", "ndarray", "dtype"):
            return super().find_class(module, name)
        if (module, name) == ("_codecs", "encode"):
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"{module}.{name} is no part of a batch of images")


def _read_pickled(folder: Path) -> Images | None:
    """`data_batch_1` to `_5`, pickled by Python 2."""
    paths = sorted(p for p in folder.glob("data_batch_*") if not p.suffix)
    test = folder / "test_batch"
    if not paths or not test.exists():
        return None
    train = [_unpickled(path) for path in paths]
    X, y = (np.concatenate(parts) for parts in zip(*train))
    return Images(X, y, *_unpickled(test))


def _unpickled(path: Path) -> tuple[np.ndarray, np.ndarray]:
    with path.open("rb") as file:
        batch = _Arrays(file, encoding="bytes").load()
    X = np.asarray(batch[b"data"], np.uint8).reshape(-1, 3, SIDE, SIDE)
    return X, np.asarray(batch[b"labels"], np.int64)


def _download(folder: Path | None) -> Images:
    """By torchvision into the cache; a folder that is named is never written to."""
    from knngraph.datasets import cache_folder

    try:
        from torchvision.datasets import CIFAR10

        where = str(cache_folder())
        sets = [CIFAR10(where, train=part, download=True) for part in (True, False)]
    except Exception as error:
        lacking = (
            "No folder was named" if folder is None else f"{folder} has no batches"
        )
        raise FileNotFoundError(
            f"{lacking}, and torchvision could not download CIFAR-10 "
            f"({type(error).__name__}: {error}). Put data_batch_1.bin to "
            "data_batch_5.bin and test_batch.bin, or the Python batches, into a folder "
            "and name it by --data-dir; or take a sample by --data sample."
        ) from error
    parts = []
    for one in sets:
        parts += [one.data.transpose(0, 3, 1, 2), np.asarray(one.targets, np.int64)]
    return Images(*parts)


def averaged(X: np.ndarray, side: int) -> np.ndarray:
    """Images averaged down over squares of pixels, as float32 from 0 to 1.

    Examples
    --------
    >>> import numpy as np
    >>> from benchmarks.convnn.images import averaged
    >>> averaged(np.array([[[[0, 255], [255, 0]]]], dtype=np.uint8), 1).tolist()
    [[[[0.5]]]]
    """
    n_rows, n_channels, height, width = X.shape
    if height % side or width % side:
        raise ValueError(
            f"size={side} does not divide the side of the images, {height}; take 16, "
            "8 or 4, or 32 to leave them as they are."
        )
    blocks = X.reshape(n_rows, n_channels, side, height // side, side, width // side)
    return blocks.mean(axis=(3, 5), dtype=np.float32) / np.float32(255)
