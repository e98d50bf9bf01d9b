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


@compiled
def mark_near_cells(rows, start, starts, cell, centers, near, n_wanted, marks, away):
    """Mark the cells that are nearest to any row of a cell.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_features), float32
        In the order of their cells.
    starts : ndarray of shape (n_cells + 1,), int32
        First row of every cell.
    start, cell : int
        The first cell of those that `marks` stands for, and the last but one.
    n_wanted : int
        A row reaches the nearest cells that have so many rows together.
    marks : ndarray of shape (n, n_near), uint16
        Filled with the number of rows that reach each of the near cells.
    away : ndarray of shape (n_near,), float32
        Room for distances.
    """
    for c in range(start, cell):
        mark = marks[c - start]
        mark[:] = 0
        for row in range(starts[c], starts[c + 1]):
            for i in range(near.shape[1]):
                other = near[c, i]
                away[i] = np.inf
                if other >= 0:
                    away[i] = squared_to_center(rows, row, centers, other)
            n_reached = 0
            while n_reached < n_wanted:
                nearest = 0
                for i in range(1, near.shape[1]):
                    if away[i] < away[nearest]:
                        nearest = i
                if not away[nearest] < np.inf:
                    break
                away[nearest] = np.inf
                mark[nearest] += 1
                other = near[c, nearest]
                n_reached += starts[other + 1] - starts[other]
