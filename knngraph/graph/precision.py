"""Whether single precision can tell the training rows apart.

The index holds 24 binary digits of a centered row. Tight clusters at large
distances from each other need more: with unit spread and 1e8 between them, rows
of one cluster become equal, and the class of the nearest is an accident.
"""

from typing import Any

import numpy as np

from knngraph.graph.neighbors import Neighbors
from knngraph.graph.training_set import TrainingSet
from knngraph.space import Space

# Nodes that are looked at; they are in random order.
PRECISION_SAMPLE = 2000
# Share of rows, determined by rounding, above which `fit` refuses the data.
TOLERATED_SHARE = 0.01
_ROUNDING = 2.0**-24
# What double precision cannot tell apart either is a tie, or a copy. A learned map is
# good to single precision only: its further digits tell no rows apart.
_TIE, _TIE_IN_A_MAP = 2.0**-46, 2.0**-20
# Share of the distance to two rows below which they are one place seen from there.
_NEXT_TO = 2.0**-13


def check_precision(
    space: Space,
    X: Any,
    training: TrainingSet,
    neighbors: Neighbors,
    *,
    labeled: bool = True,
    counts: np.ndarray | None = None,
) -> None:
    """Refuse rows whose nearest class is determined by rounding.

    A node is blurred where its nearest neighbor and the nearest one of another
    class are closer in distance than the rounding of the rows, or where rows of
    several classes lie on it that differ before they are rounded. Ties in double
    precision are ties.

    Parameters
    ----------
    X : ndarray or CSR of shape (n_rows, n_features)
        The rows as the user gave them.
    neighbors : Neighbors
        Of the first nodes at least.
    labeled : bool, default=True
        Without labels the farthest listed neighbor stands for that of another
        class: a node is blurred where all its neighbors look equally near.
    counts : ndarray of shape (at least n_looked_at,) or None
        Rows on the first nodes, where X does not hold all of them.

    Raises
    ------
    ValueError
        Where more than one row in a hundred is blurred.
    """
    nodes = np.arange(min(PRECISION_SAMPLE, len(neighbors.ids)))
    ids = neighbors.ids[nodes]
    counts = (training.node_weights() if counts is None else counts)[nodes]
    if labeled:
        rival = nearest_of_another_class(training, ids)
        mixed = np.diff(training.node_starts())[nodes] > 1
    else:
        rival = ids[:, -1] if ids.shape[1] else np.full(len(nodes), -1)
        mixed = counts > max(1, ids.shape[1])
    close = rival >= 0
    if close.any():
        first = ids[close, 0]
        close[close] = may_be_blurred(training, nodes[close], first, rival[close])
    limit = TOLERATED_SHARE * counts.sum()
    if counts[close | mixed].sum() <= limit:
        return
    row_of_node = np.empty(training.n_nodes, dtype=np.intp)
    row_of_node[training.node_of_row[::-1]] = np.arange(training.n_rows)[::-1]
    blurred = np.zeros(len(nodes), dtype=bool)
    if close.any():
        some = nodes[close], ids[close, 0], rival[close]
        blurred[close] = _is_blurred(space, X, *(row_of_node[those] for those in some))
    blurred[mixed] |= _rows_differ(space, X, training, nodes[mixed], row_of_node)
    if counts[blurred].sum() > limit:
        share = counts[blurred].sum() / counts.sum()
        _refuse(space, X, row_of_node[nodes[blurred]], share, labeled)


def nearest_of_another_class(training: TrainingSet, ids: np.ndarray) -> np.ndarray:
    """Nearest listed node with another class than the first listed; -1 without."""
    if ids.shape[1] == 0:
        return np.full(len(ids), -1, dtype=np.intp)
    codes = training.pair_code[training.node_starts()[:-1]][ids]
    other = codes != codes[:, :1]
    place = other.argmax(axis=1)
    found = ids[np.arange(len(ids)), place].astype(np.intp)
    return np.where(other.any(axis=1), found, -1)


def may_be_blurred(
    training: TrainingSet, nodes: np.ndarray, first: np.ndarray, rival: np.ndarray
) -> np.ndarray:
    """Where the nearest node and a rival look alike, a bound without the user's rows.

    Parameters
    ----------
    nodes, first, rival : ndarray of shape (n,)
        Nodes, the nearest to each, and the nearest of another class.
    """
    size = sum(_lengths(training.points[some]) for some in (nodes, first, rival))
    gap = np.abs(
        _lengths(training.points[nodes] - training.points[rival])
        - _lengths(training.points[nodes] - training.points[first])
    )
    return gap <= 4.0 * _ROUNDING * size


def _is_blurred(space: Space, X: Any, *rows: np.ndarray) -> np.ndarray:
    """Whether rounding chooses between the first row near a row and its rival."""
    exact = [_in_double(space, X, some) for some in rows]
    moved = [_lengths(e - space.map_block(X[some])) for e, some in zip(exact, rows)]
    own, first, rival = exact
    to_rival, to_first = _lengths(own - rival), _lengths(own - first)
    gap = np.abs(to_rival - to_first)
    size = _lengths(own) + to_rival
    # Two that are next to each other are copies with other labels: no precision
    # would add information about the row.
    two = _lengths(first - rival) > _NEXT_TO * to_first
    tie = _TIE if space.linear is None else _TIE_IN_A_MAP
    return (gap < 2.0 * moved[0] + moved[1] + moved[2]) & (gap > tie * size) & two


def _rows_differ(
    space: Space,
    X: Any,
    training: TrainingSet,
    nodes: np.ndarray,
    row_of_node: np.ndarray,
) -> np.ndarray:
    """Whether rows on these nodes differ before they are rounded."""
    wanted = np.zeros(training.n_nodes, dtype=bool)
    wanted[nodes] = True
    rows = np.flatnonzero(wanted[training.node_of_row])
    node_of_row = training.node_of_row[rows]
    differs = np.zeros(training.n_nodes, dtype=bool)
    for start, stop in space.blocks(X[rows]):
        some, on = rows[start:stop], node_of_row[start:stop]
        exact = _in_double(space, X, some)
        apart = _lengths(exact - _in_double(space, X, row_of_node[on]))
        differs[on[apart > _TIE * _lengths(exact)]] = True
    return differs[nodes]


def _in_double(space: Space, X: Any, rows: np.ndarray) -> np.ndarray:
    return space.map_block(X[rows], out=np.empty((len(rows), X.shape[1])))


def _lengths(rows: np.ndarray) -> np.ndarray:
    return np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64))


def _refuse(
    space: Space, X: Any, rows: np.ndarray, share: float, labeled: bool
) -> None:
    rows = rows[:PRECISION_SAMPLE]
    moved = np.abs(_in_double(space, X, rows) - space.map_block(X[rows]))
    column = int(moved.sum(axis=0).argmax())
    other = "one of another class" if labeled else "the farthest of the list"
    raise ValueError(
        f"For {share:.0%} of the rows of X single precision, which the index holds, "
        f"cannot tell the nearest neighbor from {other}: rows differ by less than a "
        "ten-millionth of their distance from the center, most in column "
        f"{column}. {_way_out(space.metric)} KDTreeKNNClassifier searches in double "
        "precision."
    )


def _way_out(metric: str) -> str:
    if metric == "cosine":
        return (
            "The rows point in almost the same direction: center the columns "
            "(sklearn.preprocessing.StandardScaler), or use metric='euclidean'."
        )
    return (
        "Spread the columns evenly (sklearn.preprocessing.QuantileTransformer), or "
        "round X where such differences are noise, so that they become copies."
    )
