"""Compiled steps of the cells of near rows: which cells a row is near to."""

import numpy as np

from knngraph.compiling import compiled, compiled_part

_REORDER = {"reassoc", "contract", "nsz"}


@compiled_part(fastmath=_REORDER)
def squared_to_center(rows, row, centers, cell):
    """Squared Euclidean distance of a row to a center, in single precision."""
    total = np.float32(0.0)
    for f in range(rows.shape[1]):
        difference = rows[row, f] - centers[cell, f]
        total += difference * difference
    return total


@compiled
def move_to_nearest(rows, cells, centers, near, moved):
    """Find the nearest center of every row among those near that of its cell.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_features), float32
    cells : ndarray of shape (n_rows,), int32
        Cell of every row.
    centers : ndarray of shape (n_cells, n_features), float32
    near : ndarray of shape (n_cells, n_near), int32
        Cells whose centers are near that of a cell, -1 where there are no more.
    moved : ndarray of shape (n_rows,), int32
        Filled with the cells of the nearest centers.
    """
    for row in range(rows.shape[0]):
        cell = cells[row]
        nearest = cell
        least = squared_to_center(rows, row, centers, cell)
        for i in range(near.shape[1]):
            other = near[cell, i]
            if other < 0:
                break
            squared = squared_to_center(rows, row, centers, other)
            if squared < least:
                nearest, least = other, squared
        moved[row] = nearest
