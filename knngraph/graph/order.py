"""An order of the rows that a graph is built in, and that caches like.

A graph built in random order is better than one built along the data, but then
every step of every search reads from far away, and once the rows are more than the
caches hold, that is most of the time. The biased randomized insertion order of
Amenta, Choi and Rote has both: rounds of random rows, each as large as all before
it, and near rows near one another within a round.

References
----------
Amenta, Choi and Rote (2003), "Incremental constructions con BRIO", Symposium on
Computational Geometry, 211-219.
"""

import numpy as np

# Fewer rows than this stay in the caches in any order.
RANDOM_HEAD = 8192
# Rows that are not worth another cut: their data is read at once.
_SMALLEST_PART = 8


def in_rounds(
    rows: np.ndarray,
    ids: np.ndarray,
    *,
    head: int = RANDOM_HEAD,
    tail: int = 0,
) -> np.ndarray:
    """Order rows, named in random order, by rounds of near rows.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_features), float32
    ids : ndarray of shape (n,), intp
        The rows to order, in random order.
    head, tail : int
        At least this many of the first, and this many of the last, stay where
        they are: they remain random samples of all.

    Returns
    -------
    ndarray of shape (n,), intp
        The same rows; `ids` itself where there are too few for two rounds.

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.graph.order import in_rounds
    >>> rows = np.random.default_rng(0).random((100, 1), dtype=np.float32)
    >>> order = in_rounds(rows, np.arange(100), head=20, tail=10)
    >>> order[:20].tolist() == list(range(20)), order[90:].tolist()[0]
    (True, 90)
    >>> steps = np.abs(np.diff(rows[:, 0])), np.abs(np.diff(rows[order, 0]))
    >>> bool(steps[1][45:89].mean() < 0.5 * steps[0].mean())
    True
    """
    stop = len(ids) - tail
    if stop // 2 < head:
        return ids
    from knngraph.graph import _halving

    ids = ids.copy()
    while stop // 2 >= head:
        _halving.order_by_halving(rows, ids[stop // 2 : stop], _SMALLEST_PART)
        stop //= 2
    return ids
