"""Results of blocks put together as the Dask collection that belongs to the input."""

from collections.abc import Callable
from typing import Any

import numpy as np

from knngraph.distributed.blocks import is_frame, row_blocks

# Rows of a block of queries, in bytes of the candidates that it fetches at most.
_FETCHED_BYTES = 64 * 2**20


def answer_rows(
    X: Any,
    answer: Callable[[Any], Any],
    n_candidates: int,
    dtype: Any,
    columns: np.ndarray | None,
) -> Any:
    """Answer a Dask collection block by block, lazily.

    Parameters
    ----------
    X : dask Array of shape (n, d) or DataFrame
        Chunks of known size are cut where they are too large.
    answer : callable
        From a block of rows to the task that answers it.
    n_candidates : int
        Nodes that are fetched for a row.
    dtype : dtype
        Of the answers.
    columns : ndarray or None
        Classes, where every row gets a probability for each of them.

    Returns
    -------
    dask Array for an array; Series or DataFrame with the index of X for a data frame
    """
    if is_frame(X):
        return _frame(X, [answer(block) for block in row_blocks(X)], dtype, columns)
    if X.ndim != 2:
        raise ValueError(f"X must have two dimensions, got {X.ndim}.")
    X = X.rechunk({1: -1}) if X.numblocks[1] > 1 else X
    if not np.isnan(X.chunks[0]).any():
        of_row = max(1, n_candidates) * (4 * X.shape[1] + 40)
        most = max(256, _FETCHED_BYTES // of_row)
        if max(X.chunks[0], default=0) > most:
            X = X.rechunk({0: tuple(_cut(X.chunks[0], most))})
    return _array(X, [answer(block) for block in row_blocks(X)], dtype, columns)


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

    from knngraph.distributed.tasks import task

    index = row_blocks(X.index, "X")
    if columns is None:
        meta: Any = pd.Series(np.empty(0, dtype=dtype), index=X._meta.index[:0])
        parts = [
            task(_series, block, rows, name="series")
            for block, rows in zip(blocks, index)
        ]
    else:
        meta = _table(np.empty((0, len(columns))), X._meta.index[:0], columns)
        from functools import partial

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
