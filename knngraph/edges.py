"""Graphs between the rows of the user: copies, own entries, symmetry, order."""

from typing import Any

import numpy as np
from scipy import sparse

from knngraph.graph.candidates import ranks
from knngraph.graph.neighbors import Neighbors
from knngraph.graph.training_set import TrainingSet
from knngraph.index.others import all_but_self

_ROWS_PER_BLOCK = 16384


class RowLists:
    """From lists of nodes to lists of rows: a node stands for all its copies.

    Parameters
    ----------
    training : TrainingSet
    """

    def __init__(self, training: TrainingSet) -> None:
        self.node_of_row = training.node_of_row
        self.counts = np.bincount(self.node_of_row, minlength=training.n_nodes)
        self.starts = np.concatenate([[0], np.cumsum(self.counts)[:-1]])
        self.by_node = training.rows_by_node()

    @property
    def first_rows(self) -> np.ndarray:
        """First row of every node."""
        return self.by_node[self.starts]

    def unfold(
        self, nodes: np.ndarray, squared: np.ndarray, k: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """The `k` nearest rows of lists of nodes.

        Parameters
        ----------
        nodes : ndarray of shape (n, n_listed)
            Nearest first; they hold at least `k` rows, or all.
        squared : ndarray of shape (n, n_listed)

        Returns
        -------
        rows, squared : ndarray of shape (n, min(k, n_rows))
        """
        k = min(k, len(self.node_of_row))
        reached = np.minimum(np.cumsum(self.counts[nodes], axis=1), k)
        taken = np.diff(reached, axis=1, prepend=0).ravel()
        first = np.repeat(self.starts[nodes.ravel()], taken)
        rows = self.by_node[first + ranks(taken)]
        distances = np.repeat(squared.ravel(), taken)
        return rows.reshape(-1, k), distances.reshape(-1, k)

    def of_training_rows(
        self, neighbors: Neighbors, k: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """The `k` nearest other rows of every row, its copies first.

        Returns
        -------
        rows, squared : ndarray of shape (n_rows, min(k, n_rows - 1))
        """
        n_rows = len(self.node_of_row)
        k = min(k, n_rows - 1)
        rows = np.empty((n_rows, k), dtype=np.int32)
        squared = np.empty((n_rows, k))
        for start in range(0, n_rows, _ROWS_PER_BLOCK):
            own = np.arange(start, min(start + _ROWS_PER_BLOCK, n_rows))
            node = self.node_of_row[own]
            listed = np.concatenate([node[:, None], neighbors.ids[node]], axis=1)
            away = np.pad(neighbors.squared[node].astype(np.float64), ((0, 0), (1, 0)))
            found, distance = self.unfold(listed, away, k + 1)
            # A row with more than k copies may not be on its own list: then the first
            # copy goes, as scikit-learn does it.
            others = all_but_self(found, own, instead=0)
            rows[own] = found[others].reshape(len(own), k)
            squared[own] = distance[others].reshape(len(own), k)
        return rows, squared


def graph_of_lists(columns: np.ndarray, values: np.ndarray, n_columns: int) -> Any:
    """CSR array of lists of one length."""
    n_rows, k = columns.shape
    indptr = np.arange(n_rows + 1) * k
    return _csr(values.ravel(), columns.ravel(), indptr, (n_rows, n_columns))


def with_own_entries(graph: Any, value: float) -> Any:
    """The graph with an explicit entry of every row for itself, which comes first."""
    n = graph.shape[0]
    at = graph.indptr[:-1]
    columns = np.insert(graph.indices, at, np.arange(n))
    values = np.insert(graph.data, at, value)
    return _csr(values, columns, graph.indptr + np.arange(n + 1), graph.shape)


def squared_lengths(
    graph: Any, rows: np.ndarray, points: np.ndarray, point_of_column: np.ndarray
) -> np.ndarray:
    """Squared length of every edge, from coordinate differences.

    Parameters
    ----------
    graph : CSR array of shape (n_rows, n_columns)
    rows : ndarray of shape (n_rows, n_features)
        Where the edges begin.
    points : ndarray of shape (n_points, n_features)
    point_of_column : ndarray of shape (n_columns,)
        The point at which an edge to a column ends.

    Returns
    -------
    ndarray of shape (n_edges,), float64
    """
    squared = np.empty(graph.nnz)
    begin = np.repeat(np.arange(graph.shape[0]), np.diff(graph.indptr))
    end = point_of_column[graph.indices]
    for start in range(0, graph.nnz, _ROWS_PER_BLOCK):
        block = slice(start, start + _ROWS_PER_BLOCK)
        difference = points[end[block]].astype(np.float64) - rows[begin[block]]
        squared[block] = np.einsum("ij,ij->i", difference, difference)
    return squared


def symmetrized(graph: Any, how: str, absent_is_zero: bool = True) -> Any:
    """Make a graph symmetric; explicit zeros stay entries.

    Parameters
    ----------
    graph : CSR array of shape (n, n)
    how : {"union", "mutual", "mean"}
        "union": an edge where either row lists the other, with the larger value;
        "mutual": where both do, with the smaller; "mean": where either does, with
        the mean of the two values.
    absent_is_zero : bool, default=True
        Whether a missing direction counts as zero in the mean. It must not for
        distances: there the other direction is the value.

    Returns
    -------
    CSR array of shape (n, n), columns ascending

    Examples
    --------
    >>> from scipy import sparse
    >>> from knngraph.edges import symmetrized
    >>> graph = sparse.csr_array([[0.0, 1.0], [3.0, 0.0]])
    >>> [symmetrized(graph, how).data.tolist() for how in ("union", "mutual", "mean")]
    [[3.0, 3.0], [1.0, 1.0], [2.0, 2.0]]
    """
    n = graph.shape[0]
    rows = np.repeat(np.arange(n, dtype=np.int64), np.diff(graph.indptr))
    columns = graph.indices.astype(np.int64)
    keys = np.concatenate([rows * n + columns, columns * n + rows])
    # Stable: the forward direction comes before the backward one.
    order = np.argsort(keys, kind="stable")
    keys, values = keys[order], np.concatenate([graph.data, graph.data])[order]
    first = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]])[: len(keys)])
    both = np.diff(np.append(first, len(keys))) == 2
    one, other = values[first], values[np.minimum(first + 1, len(values) - 1)]
    if how == "mutual":
        first, one, other = first[both], one[both], other[both]
        merged = np.minimum(one, other)
    elif how == "union":
        merged = np.where(both, np.maximum(one, other), one)
    else:
        merged = np.where(both, (one + other) / 2, one / 2 if absent_is_zero else one)
    rows, columns = np.divmod(keys[first], n)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=n))])
    return _csr(merged, columns, indptr, graph.shape)


def in_order(graph: Any, nearest_first: bool) -> Any:
    """Every row by columns, or by values and equal values by columns."""
    rows = np.repeat(np.arange(graph.shape[0]), np.diff(graph.indptr))
    keys = (graph.indices, graph.data, rows) if nearest_first else (graph.indices, rows)
    order = np.lexsort(keys)
    return _csr(graph.data[order], graph.indices[order], graph.indptr, graph.shape)


def _csr(
    values: np.ndarray, columns: np.ndarray, indptr: np.ndarray, shape: Any
) -> Any:
    # scikit-learn takes no 64-bit positions where 32 bits would do.
    large = max(int(indptr[-1]), *shape) > np.iinfo(np.int32).max
    dtype = np.int64 if large else np.int32
    return sparse.csr_array(
        (np.asarray(values, np.float64), columns.astype(dtype), indptr.astype(dtype)),
        shape=shape,
    )
