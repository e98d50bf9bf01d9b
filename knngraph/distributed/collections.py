"""Dask collections: their blocks, checked where they lie, and answers to them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial, reduce
from typing import Any

import numpy as np

from knngraph.distributed.tasks import compute, task
from knngraph.missing import columns_without_values, with_nan

# Rows of a block of queries, in bytes of the candidates that it fetches at most.
_FETCHED_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Described:
    """Sizes and classes of one block of training rows, and columns without values."""

    n_rows: int
    n_features: int
    n_bytes: int
    classes: np.ndarray
    empty_columns: np.ndarray


def is_dask(X: Any) -> bool:
    """Whether X is a Dask array, data frame or series."""
    return hasattr(X, "dask") and hasattr(X, "to_delayed")


def is_frame(X: Any) -> bool:
    """Whether X is a Dask data frame."""
    return is_dask(X) and hasattr(X, "columns")


def row_blocks(X: Any, name: str = "X") -> list[Any]:
    """The blocks of rows of a collection, as tasks.

    Parameters
    ----------
    X : dask Array of shape (n, d) or (n,), DataFrame or Series
    name : str
        For messages.

    Returns
    -------
    list of Delayed
    """
    if not is_dask(X):
        raise TypeError(
            f"{name} must be a Dask array or data frame, got {type(X).__name__}. Put "
            "it on the cluster with dask.array.from_array, or use "
            "knngraph.KNNGraphClassifier for rows in memory."
        )
    if hasattr(X, "rechunk") and X.ndim == 2 and X.numblocks[1] > 1:
        X = X.rechunk({1: -1})
    return list(np.ravel(X.to_delayed()))


def training_blocks(X: Any, y: Any) -> tuple[list[Any], list[Any]]:
    """Blocks of X and y that belong together.

    Parameters
    ----------
    X : dask Array of shape (n, d) or DataFrame
    y : dask Array of shape (n,) or Series
        With chunks of other sizes than those of X it is cut anew, where the sizes
        are known.

    Returns
    -------
    X_blocks, y_blocks : list of Delayed
    """
    if is_dask(X) and X.ndim != 2:
        raise ValueError(f"X must have two dimensions, got {X.ndim}.")
    X_blocks = row_blocks(X)
    sizes = [getattr(part, "chunks", ((np.nan,),))[0] for part in (X, y)]
    if not any(np.isnan(part).any() for part in sizes):
        if sum(sizes[0]) != sum(sizes[1]):
            raise ValueError(
                f"X has {sum(sizes[0])} rows and y has {sum(sizes[1])}; they must "
                "have as many."
            )
        if sizes[0] != sizes[1]:
            y = y.rechunk({0: sizes[0]})
    y_blocks = row_blocks(y, "y")
    if len(X_blocks) != len(y_blocks):
        raise ValueError(
            f"X has {len(X_blocks)} blocks of rows and y has {len(y_blocks)}, and "
            "their sizes are not all known. Make the sizes known with "
            "compute_chunk_sizes() (arrays) or to_dask_array(lengths=True) (data "
            "frames), or cut both alike."
        )
    return X_blocks, y_blocks


def describe_blocks(
    X_blocks: list[Any], y_blocks: list[Any], allow_nan: bool
) -> list[Described]:
    """Check all blocks in one pass; a few numbers each come back."""
    described = [
        task(partial(_describe, number=i, allow_nan=allow_nan), X, y, name="describe")
        for i, (X, y) in enumerate(zip(X_blocks, y_blocks))
    ]
    return list(compute(*described))


def numeric_rows(X: Any, allow_nan: bool = True) -> np.ndarray:
    """A block of X as numbers, of any number of rows; NaN where it is allowed."""
    if _is_plain(X, n_dimensions=2) and X.shape[1]:
        whole: np.ndarray = X
        if not (np.isinf(X) if allow_nan else ~np.isfinite(X)).any():
            return whole
    # Only for what has to be converted or refused: scikit-learn loads pandas, and
    # both together take a worker more memory than many a partition.
    from sklearn.utils import check_array

    from knngraph.validation import naming_bad_entries

    X = with_nan(X) if allow_nan else X
    name = 'The estimator, unlike KNNGraphClassifier(metric="auto"),'
    with naming_bad_entries(X, allow_nan, name):
        rows: np.ndarray = check_array(
            X,
            dtype="numeric",
            ensure_all_finite="allow-nan" if allow_nan else True,
            ensure_min_samples=0,
            input_name="X",
        )
    return rows


def given_labels(y: Any) -> np.ndarray:
    """A block of y as one column."""
    labels = np.asarray(y)
    if labels.ndim != 1:
        from sklearn.utils import column_or_1d

        labels = column_or_1d(labels)
    if labels.dtype.kind == "f" and not np.isfinite(labels).all():
        raise ValueError("y holds NaN or infinity; every row needs a class.")
    return labels


def _is_plain(values: Any, n_dimensions: int, kinds: str = "iubf") -> bool:
    """Whether values are a numpy array that needs no conversion."""
    if type(values) is not np.ndarray or values.ndim != n_dimensions:
        return False
    return values.dtype.kind in kinds and values.dtype.itemsize > 0


def _describe(X: Any, y: Any, number: int, allow_nan: bool) -> Described:
    try:
        rows, labels = numeric_rows(X, allow_nan), given_labels(y)
        if len(labels) and not _is_plain(labels, n_dimensions=1, kinds="iubU"):
            from sklearn.utils.multiclass import check_classification_targets

            check_classification_targets(labels)
    except (TypeError, ValueError) as error:
        raise type(error)(f"Block {number} of the rows: {error}") from None
    if len(rows) != len(labels):
        raise ValueError(
            f"Block {number} has {len(rows)} rows in X and {len(labels)} in y; cut "
            "both alike."
        )
    classes = np.unique(labels)
    empty = columns_without_values(rows) if len(rows) else np.arange(rows.shape[1])
    return Described(len(rows), rows.shape[1], rows.nbytes, classes, empty)


def joint_classes(described: list[Described]) -> np.ndarray:
    """Sorted classes of all blocks; refuses rows of different widths, or none."""
    if not sum(block.n_rows for block in described):
        raise ValueError("X has 0 samples; at least 1 is needed to fit.")
    widths = {block.n_features for block in described if block.n_rows}
    if len(widths) > 1:
        raise ValueError(f"Blocks of X differ in their columns: {sorted(widths)}.")
    return np.unique(
        np.concatenate([block.classes for block in described if block.n_rows])
    )


def joint_empty_columns(described: list[Described]) -> np.ndarray:
    """Columns without a value in any block."""
    return reduce(np.intersect1d, [block.empty_columns for block in described])


def answer_blocks(
    X: Any, answer: Callable[[Any], Any], n_fetched: int
) -> tuple[Any, list[Any]]:
    """The tasks that answer the blocks of a Dask collection.

    Parameters
    ----------
    X : dask Array of shape (n, d) or DataFrame
        Chunks of known size are cut where they are too large.
    answer : callable
        From a block of rows to the task that answers it.
    n_fetched : int
        Bytes that are fetched for a row.

    Returns
    -------
    X : dask collection
        With the blocks that were answered.
    blocks : list of Delayed
    """
    if not is_frame(X):
        if X.ndim != 2:
            raise ValueError(f"X must have two dimensions, got {X.ndim}.")
        X = X.rechunk({1: -1}) if X.numblocks[1] > 1 else X
        if not np.isnan(X.chunks[0]).any():
            most = max(256, _FETCHED_BYTES // (n_fetched or 4 * X.shape[1] + 40))
            if max(X.chunks[0], default=0) > most:
                X = X.rechunk({0: tuple(_cut(X.chunks[0], most))})
    return X, [answer(block) for block in row_blocks(X)]


def collected(X: Any, blocks: list[Any], dtype: Any, columns: np.ndarray | None) -> Any:
    """Answers of the blocks of a collection as a collection, lazily.

    Parameters
    ----------
    X : dask Array of shape (n, d) or DataFrame
    blocks : list of Delayed
        An array each.
    dtype : dtype
        Of the answers.
    columns : ndarray or None
        Classes, where every row gets a number for each of them.

    Returns
    -------
    dask Array for an array; Series or DataFrame with the index of X for a data frame
    """
    put_together = _frame if is_frame(X) else _array
    return put_together(X, blocks, dtype, columns)


def _cut(sizes: tuple[int, ...], most: int) -> list[int]:
    """Sizes of chunks, each cut into equal pieces of at most so many rows."""
    cut = []
    for size in sizes:
        n_pieces = max(1, -(-size // most))
        cut += [len(piece) for piece in np.array_split(np.arange(size), n_pieces)]
    return cut


def _array(X: Any, blocks: list[Any], dtype: Any, columns: np.ndarray | None) -> Any:
    import dask.array as da

    wide = () if columns is None else (len(columns),)
    parts = [
        da.from_delayed(block, (size, *wide), dtype=dtype)
        for block, size in zip(blocks, X.chunks[0])
    ]
    return da.concatenate(parts, allow_unknown_chunksizes=True)


def _frame(X: Any, blocks: list[Any], dtype: Any, columns: np.ndarray | None) -> Any:
    import dask.dataframe as dd
    import pandas as pd

    index = row_blocks(X.index, "X")
    if columns is None:
        meta: Any = pd.Series(np.empty(0, dtype=dtype), index=X._meta.index[:0])
        parts = [
            task(_series, block, rows, name="series")
            for block, rows in zip(blocks, index)
        ]
    else:
        meta = _table(np.empty((0, len(columns))), X._meta.index[:0], columns)
        table = partial(_table, columns=columns)
        parts = [
            task(table, block, rows, name="table") for block, rows in zip(blocks, index)
        ]
    return dd.from_delayed(parts, meta=meta, divisions=X.divisions, verify_meta=False)


def _series(labels: np.ndarray, index: Any) -> Any:
    import pandas as pd

    return pd.Series(labels, index=index)


def _table(probabilities: np.ndarray, index: Any, columns: np.ndarray) -> Any:
    import pandas as pd

    return pd.DataFrame(probabilities, index=index, columns=columns)
