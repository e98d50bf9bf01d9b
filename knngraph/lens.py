"""A closer look at the candidates of a query, in directions that the labels name.

The index compares rows as they are. A lens adds a few coordinates in which rows of
different classes lie farther apart, and the problem at a query is solved with both.
Lookups know nothing of it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

_ROWS_PER_BLOCK = 4096


@dataclass(frozen=True)
class Lens:
    """Directions that count more than others where candidates are compared.

    Parameters
    ----------
    directions : ndarray of shape (n_features, n_directions), float64
        Orthogonal; longer ones count more.
    floor : float
        Share of a squared distance that counts in every direction.
    rows : ndarray of shape (n_nodes, n_directions), float32
        The stored rows along the directions.

    Notes
    -----
    The squared distance of two rows that differ by delta is
    ``floor * |delta|^2 + |delta @ directions|^2``: that of a linear map of all
    features, for the price of `n_directions` more coordinates.

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.lens import Lens
    >>> points = np.array([[0.0, 0.0], [3.0, 4.0]], dtype=np.float32)
    >>> lens = Lens.over(points, np.array([[2.0], [0.0]]), floor=0.04)
    >>> lens.rows.tolist()
    [[0.0], [6.0]]
    """

    directions: np.ndarray
    floor: float
    rows: np.ndarray

    @classmethod
    def over(cls, points: np.ndarray, directions: np.ndarray, floor: float) -> "Lens":
        """A lens in front of some rows.

        Parameters
        ----------
        points : ndarray of shape (n_nodes, n_features), float32
        directions : ndarray of shape (n_features, n_directions), float64
        floor : float

        Returns
        -------
        Lens
        """
        return cls(directions, floor, _along(points, directions))

    def through(self, rows: np.ndarray) -> np.ndarray:
        """Coordinates of rows along the directions.

        Parameters
        ----------
        rows : ndarray of shape (n_rows, n_features), float32

        Returns
        -------
        ndarray of shape (n_rows, n_directions), float32
        """
        return _along(rows, self.directions)


@dataclass(frozen=True)
class BlindLenses:
    """Lenses for rows that are left out: each has not seen the labels of some.

    A lens that has seen the label of a row answers that row better than others. What
    left-out rows say would be too good with it.

    Parameters
    ----------
    lenses : tuple of Lens
        In front of the same rows as the lens that they stand in for.
    lens_of_pair : ndarray of shape (n_pairs,), intp
        The one among `lenses` that was learned without a pair; -1 for pairs that
        the lens which they stand in for has not seen either.
    """

    lenses: tuple[Lens, ...]
    lens_of_pair: np.ndarray

    def for_pairs(
        self, lens: Lens, pairs: np.ndarray
    ) -> Iterator[tuple[Lens, np.ndarray]]:
        """A lens that has not seen them, and the places of some of the pairs.

        Parameters
        ----------
        lens : Lens
            For pairs that no lens was learned from.
        pairs : ndarray of shape (n,)

        Yields
        ------
        lens : Lens
        places : ndarray of intp
        """
        number = self.lens_of_pair[pairs]
        for i, one in enumerate((lens, *self.lenses), start=-1):
            places = np.flatnonzero(number == i)
            if len(places):
                yield one, places


def _along(rows: np.ndarray, directions: np.ndarray) -> np.ndarray:
    from knngraph._project import project

    seen = np.empty((len(rows), directions.shape[1]), dtype=np.float32)
    # In double precision, which is what `project` is compiled for.
    for start in range(0, len(rows), _ROWS_PER_BLOCK):
        block = slice(start, start + _ROWS_PER_BLOCK)
        project(rows[block].astype(np.float64, order="C"), directions, seen[block])
    return seen
