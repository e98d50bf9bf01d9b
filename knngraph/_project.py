"""Compiled product of rows and a square matrix, one row at a time.

A library product picks its kernel by the shape of the block and may round a row
differently in another block. Here a row is a fixed sequence of operations, so
that the size of a batch never changes an answer and a training row that comes
back as a query is mapped to the same bits.
"""

import numpy as np

from knngraph.compiling import compiled


@compiled(allocates=True)
def project(rows, matrix, out):
    """Write rows @ matrix to `out`.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_features), float64
    matrix : ndarray of shape (n_features, n_features), float64
    out : ndarray of shape (n_rows, n_features), float32
    """
    total = np.empty(matrix.shape[1])
    for i in range(rows.shape[0]):
        for g in range(matrix.shape[1]):
            total[g] = 0.0
        for f in range(rows.shape[1]):
            value = rows[i, f]
            if value != 0.0:
                for g in range(matrix.shape[1]):
                    total[g] += value * matrix[f, g]
        for g in range(matrix.shape[1]):
            out[i, g] = total[g]
