"""Whether single precision finds the nearest rows.

The index holds 24 binary digits of a centered row. Some data need more: with tight
clusters at large distances from each other, or with many rows on a line, rounding
decides which row is nearest. Such data is placed in double precision.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol, TypeVar

import numpy as np

from knngraph.graph.neighbors import Neighbors, nearest_others
from knngraph.graph.training_set import TrainingSet
from knngraph.index.exact import FEW_COLUMNS, ExactIndex
from knngraph.space import Space

# Nodes that are looked at; they are in random order.
PRECISION_SAMPLE = 2000
# Share of the rows whose nearest row may be another one than in double precision. With
# few columns double precision costs next to nothing, and none may be.
_TOLERATED_SHARE = 0.001
# Neighbors that are searched for here, with few columns.
_N_SEARCHED = 8
# Rows on these nodes that are compared with one another, at most.
_MOST_COPIES = 10 * PRECISION_SAMPLE
# Of the size of rows: distances that differ by more are told apart in any case.
_FAR_APART = 2.0**-21
# A learned map is good to single precision only: its further digits tell no rows apart.
_ROUNDING_OF_A_MAP = 2.0**-20
_NUMBERS_PER_BLOCK = 2**21


class _HasPlaces(Protocol):
    @property
    def space(self) -> Space: ...
    @property
    def training(self) -> TrainingSet: ...


class _HasLists(_HasPlaces, Protocol):
    @property
    def neighbors(self) -> Neighbors | None: ...


_Placed = TypeVar("_Placed", bound=_HasPlaces)
_Searched = TypeVar("_Searched", bound=_HasLists)


def loses_digits(
    space: Space, X: Any, training: TrainingSet, neighbors: Neighbors | None = None
) -> bool:
    """Whether the nearest rows in single precision are others than in double.

    A node counts where another listed neighbor than the first is nearest, or is only
    farther by what single precision rounds; and so do nodes with rows that differ
    before they are rounded. Distances that differ by no more than the rounding of the
    user's numbers are ties, of which any may come first.

    Parameters
    ----------
    space : Space
    X : ndarray or CSR of shape (n_rows, n_features)
        The rows as the user gave them.
    training : TrainingSet
        The same in `space`.
    neighbors : Neighbors or None
        Of the first nodes at least. None where there are no lists yet: then only rows
        of few columns are looked at, whose neighbors are soon found.

    Returns
    -------
    bool
        Whether any row of few columns is on such a node, or more than one in a
        thousand of many columns.
    """
    few = training.points.shape[1] <= FEW_COLUMNS
    if space.precision == "double" or few != (neighbors is None):
        return False
    if neighbors is None:
        points, weights = training.points, training.node_weights()
        some = points[:PRECISION_SAMPLE]
        index = ExactIndex(points)
        neighbors = nearest_others(index, some, weights, _N_SEARCHED)
    nodes = np.arange(min(PRECISION_SAMPLE, len(neighbors.ids)))
    counts = np.bincount(training.node_of_row, minlength=training.n_nodes)[nodes]
    row_of_node = np.empty(training.n_nodes, dtype=np.intp)
    row_of_node[training.node_of_row[::-1]] = np.arange(training.n_rows)[::-1]
    lost = _rounding_decides(space, X, training, neighbors, nodes, row_of_node)
    lost |= _copies_differ(space, X, training, nodes, row_of_node)
    tolerated = 0.0 if few else _TOLERATED_SHARE
    return bool(counts[lost].sum() > tolerated * counts.sum())


def place_precisely(X: Any, place: Callable[[str], _Placed]) -> _Placed:
    """Place rows in single precision, or in double where that loses digits at once.

    Parameters
    ----------
    X : ndarray or CSR of shape (n_rows, n_features)
    place : callable
        From a precision to the rows in a space: an object with `space` and
        `training`.
    """
    placed = place("single")
    lost = loses_digits(placed.space, X, placed.training)
    return place("double") if lost else placed


def search_precisely(
    X: Any,
    placed: _Placed,
    place: Callable[[str], _Placed],
    search: Callable[[_Placed], _Searched],
) -> _Searched:
    """Search placed rows, and again in double precision where the lists lose digits.

    Parameters
    ----------
    X, place
        As for `place_precisely`, which gave `placed`.
    search : callable
        From placed rows to an object with `space`, `training` and `neighbors`.
    """
    found = search(placed)
    if loses_digits(found.space, X, found.training, found.neighbors):
        found = search(place("double"))
    return found


def _rounding_decides(
    space: Space,
    X: Any,
    training: TrainingSet,
    neighbors: Neighbors,
    nodes: np.ndarray,
    row_of_node: np.ndarray,
) -> np.ndarray:
    """Nodes whose nearest neighbor rounding to single precision may decide."""
    ids = neighbors.ids[nodes]
    decides = np.zeros(len(nodes), dtype=bool)
    if ids.shape[1] < 2:
        return decides
    away = np.sqrt(neighbors.squared[nodes].astype(np.float64))
    size = _lengths(training.points[nodes].astype(np.float64))[:, None] + away
    owner, place = np.nonzero(away - away[:, :1] <= _FAR_APART * size)
    several = np.bincount(owner, minlength=len(nodes)) > 1
    owner, place = owner[several[owner]], place[several[owner]]
    one, two = row_of_node[nodes[owner]], row_of_node[ids[owner, place]]
    relative = _rounding_of(X) if space.linear is None else _ROUNDING_OF_A_MAP
    distance, rounding, moved = _distances(space, X, one, two, relative)
    starts = np.flatnonzero(np.diff(owner, prepend=-1))
    if len(starts):
        # The first place of an owner is 0, the neighbor that is listed first.
        first = np.repeat(starts, np.diff(np.append(starts, len(owner))))
        gap = distance - distance[first]
        tied = np.abs(gap) <= rounding + rounding[first]
        decides[owner[~tied & (gap <= moved + moved[first])]] = True
    return decides


def _copies_differ(
    space: Space,
    X: Any,
    training: TrainingSet,
    nodes: np.ndarray,
    row_of_node: np.ndarray,
) -> np.ndarray:
    """Nodes with rows that differ before they are rounded."""
    wanted = np.zeros(training.n_nodes, dtype=bool)
    wanted[nodes] = True
    rows = np.flatnonzero(wanted[training.node_of_row])
    firsts = row_of_node[training.node_of_row[rows]]
    rows, firsts = (some[rows != firsts][:_MOST_COPIES] for some in (rows, firsts))
    if space.linear is not None:  # a map rounds anew
        space = replace(space, linear=None)
    distance, rounding, _ = _distances(space, X, rows, firsts, _rounding_of(X))
    differ = np.zeros(training.n_nodes, dtype=bool)
    differ[training.node_of_row[rows[distance > rounding]]] = True
    return differ[nodes]


def _rounding_of(X: Any) -> float:
    """How far the numbers of the user are rounded, as a share of their size.

    They are the nearest of their type to what the user means. Decimals carry an error
    of half a unit in the last place, and another from the arithmetic that made them.
    """
    eps = float(np.finfo(X.dtype).eps) if X.dtype.kind == "f" else 0.0
    return 2.0 * max(eps, float(np.finfo(np.float64).eps))


def _distances(
    space: Space, X: Any, one: np.ndarray, two: np.ndarray, relative: float
) -> np.ndarray:
    """Distances between rows in double precision, and how far they are rounded.

    The second number is for the doubles: every coordinate is rounded by `relative` of
    its size, but alike in two rows in which it is equal. The third is for single
    precision: how far it moves the rows against each other.

    Returns
    -------
    ndarray of shape (3, n)
    """
    double = space.in_double()
    found = np.empty((3, len(one)))
    step = max(1, _NUMBERS_PER_BLOCK // space.n_mapped(X.shape[1]))
    for start in range(0, len(one), step):
        block = slice(start, start + step)
        ends = X[one[block]], X[two[block]]
        begin, end = (double.map_block(rows) for rows in ends)
        difference = begin - end
        size = np.where(difference == 0.0, 0.0, np.abs(begin) + np.abs(end))
        begin, end = (space.map_block(rows).astype(np.float64) for rows in ends)
        moved = difference - (begin - end)
        found[:, block] = (
            _lengths(difference),
            relative * _lengths(size),
            _lengths(moved),
        )
    return found


def _lengths(rows: np.ndarray) -> np.ndarray:
    return np.sqrt(np.einsum("ij,ij->i", rows, rows))
