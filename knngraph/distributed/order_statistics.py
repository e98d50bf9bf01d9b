"""Order statistics of columns that lie in blocks, exactly, in few passes.

Numbers are read as unsigned integers that sort as they do. Every pass counts the
next twelve binary digits of those numbers that still may be the one looked for;
once a few are left they are listed. Nothing is sampled and nothing is rounded.
"""

from dataclasses import dataclass, replace

import numpy as np

from knngraph.distributed.sizes import Weighed

_DIGITS = 12
_BINS = 1 << _DIGITS
# So few candidates of every column are listed instead of counted.
_LISTED = 4096


@dataclass(frozen=True)
class Quest:
    """What is known of the numbers that are looked for.

    Parameters
    ----------
    ranks : ndarray of shape (n_columns,)
        Rank, from 0, among the numbers that begin with `prefix`.
    prefix : ndarray of shape (n_columns,), uint64
        First binary digits, the others zero.
    known : int
        How many digits that are.
    listing : bool
        Whether the next pass lists what is left.
    """

    ranks: np.ndarray
    prefix: np.ndarray
    known: int = 0
    listing: bool = False


@dataclass(frozen=True)
class Tally(Weighed):
    """What some blocks hold of the numbers that are left.

    Parameters
    ----------
    counts : ndarray of shape (n_columns, 4096) or None
    low, high : ndarray of shape (n_columns,), uint64
        Smallest and largest.
    listed : list of ndarray or None
        The numbers of every column.
    """

    counts: np.ndarray | None
    low: np.ndarray
    high: np.ndarray
    listed: list[np.ndarray] | None


def begin(ranks: np.ndarray) -> Quest:
    """Look for the numbers of these ranks, one a column."""
    ranks = np.asarray(ranks, dtype=np.int64)
    return Quest(ranks, np.zeros(len(ranks), dtype=np.uint64))


def count(values: np.ndarray, quest: Quest) -> Tally:
    """Count the numbers of one block that are left.

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_columns), or (n_rows, 1) for all columns
    quest : Quest

    Returns
    -------
    Tally
    """
    n_columns = len(quest.ranks)
    counts = np.zeros((0 if quest.listing else n_columns, _BINS), dtype=np.int64)
    low = np.full(n_columns, np.iinfo(np.uint64).max, dtype=np.uint64)
    high = np.zeros(n_columns, dtype=np.uint64)
    listed = []
    for column in range(n_columns):
        source = values[:, column if values.shape[1] > 1 else 0]
        keys = sortable(source)
        if quest.known:
            shift = np.uint64(64 - quest.known)
            keys = keys[keys >> shift == quest.prefix[column] >> shift]
        if len(keys):
            low[column], high[column] = keys.min(), keys.max()
        if quest.listing:
            listed.append(keys)
        else:
            counts[column] = np.bincount(_digits(keys, quest.known), minlength=_BINS)
    if quest.listing:
        return Tally(None, low, high, listed)
    return Tally(counts, low, high, None)


def merge(tallies: list[Tally]) -> Tally:
    """Add up the tallies of several blocks."""
    low = np.min([tally.low for tally in tallies], axis=0)
    high = np.max([tally.high for tally in tallies], axis=0)
    first = tallies[0]
    if first.listed is not None:
        columns = zip(*(tally.listed or [] for tally in tallies))
        return Tally(None, low, high, [np.concatenate(column) for column in columns])
    counts = [tally.counts for tally in tallies if tally.counts is not None]
    return Tally(np.sum(counts, axis=0), low, high, None)


def advance(quest: Quest, tally: Tally) -> tuple[Quest, np.ndarray | None]:
    """Narrow the quest, or end it.

    Returns
    -------
    quest : Quest
    found : ndarray of shape (n_columns,), float64, or None
    """
    if tally.listed is not None:
        ranked = [np.sort(keys)[rank] for keys, rank in zip(tally.listed, quest.ranks)]
        return quest, numbers(np.array(ranked, dtype=np.uint64))
    if (tally.low == tally.high).all():
        return quest, numbers(tally.low)
    assert tally.counts is not None
    up_to = np.cumsum(tally.counts, axis=1)
    columns = np.arange(len(quest.ranks))
    digits = (up_to <= quest.ranks[:, None]).sum(axis=1)
    inside = tally.counts[columns, digits]
    ranks = quest.ranks - (up_to[columns, digits] - inside)
    known = min(quest.known + _DIGITS, 64)
    shift = np.uint64(64 - known)
    size = np.uint64(min(_DIGITS, 64 - quest.known))
    prefix = quest.prefix >> shift
    prefix = (prefix >> size << size | digits.astype(np.uint64)) << shift
    if known == 64:
        return quest, numbers(prefix)
    few = bool((inside <= _LISTED).all())
    return replace(quest, ranks=ranks, prefix=prefix, known=known, listing=few), None


def sortable(values: np.ndarray) -> np.ndarray:
    """Unsigned integers in the order of some finite numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.distributed.order_statistics import numbers, sortable
    >>> keys = sortable(np.array([-2.0, -0.0, 0.0, 3.0]))
    >>> bool((keys[1:] >= keys[:-1]).all()), numbers(keys).tolist()
    (True, [-2.0, 0.0, 0.0, 3.0])
    """
    # Adding zero turns -0.0 into 0.0, which is the same number.
    bits = (np.asarray(values, dtype=np.float64) + 0.0).view(np.uint64)
    sign = np.uint64(1 << 63)
    return np.where(bits & sign, ~bits, bits | sign)


def numbers(keys: np.ndarray) -> np.ndarray:
    """The numbers that `sortable` made the keys of."""
    sign = np.uint64(1 << 63)
    return np.where(keys & sign, keys & ~sign, ~keys).view(np.float64)


def _digits(keys: np.ndarray, known: int) -> np.ndarray:
    """The next digits behind those that are known."""
    size = min(_DIGITS, 64 - known)
    shifted = keys >> np.uint64(64 - known - size)
    return (shifted & np.uint64((1 << size) - 1)).astype(np.intp)
