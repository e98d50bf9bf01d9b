"""Ids that the user gave to training rows, and the rows that they name."""

from collections import Counter
from numbers import Integral
from typing import Any

import numpy as np

_SHOWN = 5
_LARGEST = 2**63 - 1


def checked_ids(ids: Any, n_rows: int | None = None) -> np.ndarray:
    """Ids as int64 numbers where all are, else as objects: integers and strings.

    Parameters
    ----------
    ids : int, str, or array-like of them
    n_rows : int or None, default=None
        Number of ids that there should be; None for any.

    Examples
    --------
    >>> from knngraph.updating.ids import checked_ids
    >>> checked_ids([7, 3]), checked_ids("C-17")
    (array([7, 3]), array(['C-17'], dtype=object))
    """
    alone = isinstance(ids, str | bytes) or not hasattr(ids, "__len__")
    n_dimensions = getattr(ids, "ndim", 0 if alone else 1)
    if n_dimensions > 1:
        raise ValueError(
            f"ids must be one-dimensional, got an array of shape {ids.shape}."
        )
    listed = list(ids) if n_dimensions else [ids if alone else ids.item()]
    if n_rows is not None and len(listed) != n_rows:
        raise ValueError(
            f"ids has {len(listed)} values for {n_rows} rows: every row needs one."
        )
    return _compact([_plain(value, row) for row, value in enumerate(listed)])


def join_ids(
    before: np.ndarray | None, n_before: int, added: np.ndarray | None, n_added: int
) -> np.ndarray | None:
    """Ids of rows and of those behind them; None where no row has one.

    Parameters
    ----------
    before, added : ndarray or None
        None where none of the `n_before` or `n_added` rows has an id.

    Examples
    --------
    >>> from knngraph.updating.ids import checked_ids, join_ids
    >>> join_ids(checked_ids([7, 3]), 2, None, 1)
    array([7, 3, None], dtype=object)
    """
    if added is not None:
        _refuse_repeated(before, added)
    elif before is None:
        return None
    parts = [
        np.full(size, None) if ids is None else ids
        for ids, size in ((before, n_before), (added, n_added))
        if size
    ]
    if any(part.dtype == object for part in parts):
        parts = [part.astype(object) for part in parts]
    return _settled(np.concatenate(parts))


def remove_ids(ids: np.ndarray | None, rows: np.ndarray) -> np.ndarray | None:
    """Ids of the rows that are left when some are forgotten; None without any.

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.updating.ids import remove_ids
    >>> remove_ids(np.array([7, None, 3], dtype=object), np.array([1]))
    array([7, 3])
    """
    return None if ids is None else _settled(np.delete(ids, rows))


def rows_of_ids(asked: np.ndarray, ids: np.ndarray | None) -> np.ndarray:
    """Rows that ids name, ascending; an error names those that no row has.

    Parameters
    ----------
    asked : ndarray of shape (n,)
        As of `checked_ids`; an id may come twice.
    ids : ndarray of shape (n_rows,) or None
        Of the rows there are.

    Examples
    --------
    >>> from knngraph.updating.ids import checked_ids, rows_of_ids
    >>> rows_of_ids(checked_ids([7, 9, 7]), checked_ids([9, 3, 7])).tolist()
    [0, 2]
    """
    rows = _rows_with(asked, ids)
    there = set() if ids is None else set(ids[rows].tolist())
    unknown = [value for value in dict.fromkeys(asked.tolist()) if value not in there]
    if unknown:
        shown = ", ".join(map(repr, unknown[:_SHOWN]))
        more = f" and {len(unknown) - _SHOWN} more" if len(unknown) > _SHOWN else ""
        raise ValueError(
            f"ids has {shown}{more}, which no row has; ids_ holds those that rows "
            "have. Rows that came without ids are forgotten by their numbers, "
            "forget(indices)."
        )
    return rows


def _plain(value: Any, row: int) -> int | str:
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Integral) and not isinstance(value, bool):
        return int(value)
    hint = "Turn others into strings, for example by [str(i) for i in ids]."
    if isinstance(value, float | np.floating):
        hint = "A column of integers is one of floats where some are missing."
    elif isinstance(value, bool | np.bool_):
        hint = "A mask of rows goes to forget as its indices."
    raise TypeError(
        f"ids has {value!r} in row {row}: an id is an integer or a string. {hint}"
    )


def _compact(values: list[Any]) -> np.ndarray:
    """An array of numbers where all are; strings and large numbers stay objects."""
    if all(isinstance(v, int) and -_LARGEST <= v <= _LARGEST for v in values):
        return np.array(values, dtype=np.int64)
    objects = np.empty(len(values), dtype=object)
    objects[:] = values
    return objects


def _settled(ids: np.ndarray) -> np.ndarray | None:
    """Ids in an array that follows from them alone; None where no row has one."""
    if ids.dtype == object:
        values = ids.tolist()
        if all(value is None for value in values):
            return None
        ids = _compact(values)
    ids.setflags(write=False)
    return ids


def _rows_with(asked: np.ndarray, ids: np.ndarray | None) -> np.ndarray:
    if ids is None:
        return np.empty(0, dtype=np.intp)
    if ids.dtype != object and asked.dtype != object:
        return np.flatnonzero(np.isin(ids, asked))
    wanted = set(asked.tolist())
    rows = [row for row, value in enumerate(ids.tolist()) if value in wanted]
    return np.array(rows, dtype=np.intp)


def _refuse_repeated(before: np.ndarray | None, added: np.ndarray) -> None:
    values = added.tolist()
    if len(set(values)) < len(values):
        repeated = next(v for v, times in Counter(values).items() if times > 1)
        raise ValueError(
            f"ids has {repeated!r} twice: an id names one row. Where several rows "
            'belong together, give each an id of its own, such as "17-1" and "17-2".'
        )
    known = _rows_with(added, before)
    if len(known):
        assert before is not None
        value = before.item(known[0])
        raise ValueError(
            f"ids has {value!r}, which row {known[0]} of the estimator has: an id "
            f"names one row. To replace it, forget that row first, "
            f"forget(ids=[{value!r}]); else give the new row another id."
        )
