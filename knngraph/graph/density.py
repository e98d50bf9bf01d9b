"""The density around every node, and the sparsity penalty that follows from it."""

from collections.abc import Sequence

import numpy as np

from knngraph.graph.neighbors import NODES_PER_BLOCK, Neighbors
from knngraph.parallel import chunk_bounds

# Distances are single precision: values of a scale that differ by less are one.
_SAME = 1e-6


def local_density(neighbors: Neighbors, scales: Sequence[int]) -> np.ndarray:
    """Mean over several scales of the normalised inverse distance to neighbors.

    Parameters
    ----------
    scales : sequence of int
        Numbers of neighbors k.

    Returns
    -------
    density : ndarray of shape (n_nodes,)
        Between 0 (sparsest) and 1 (densest), never NaN.

    Notes
    -----
    For every scale k, s_j = 1 / (mean Euclidean distance of row j to its k
    nearest other rows); exact copies among them carry no scale and are left
    out of the mean. A row of weight w counts as w rows. s is brought to [0, 1] over
    j by its smallest and largest value, and density is the mean over the scales. A
    row whose k neighbors are all copies gets 1 at that scale, and so do all rows
    where all values agree.

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.graph.density import local_density
    >>> from knngraph.graph.neighbors import nearest_others
    >>> from knngraph.index.exact import ExactIndex
    >>> points = np.array([[0.0], [1.0], [5.0]], dtype=np.float32)
    >>> found = nearest_others(ExactIndex(points), points, np.ones(3), k=2)
    >>> local_density(found, [1]).tolist()
    [1.0, 1.0, 0.0]
    """
    inverse = inverse_distances(neighbors, scales)
    return normalized_density(inverse, *extremes(inverse))


def inverse_distances(neighbors: Neighbors, scales: Sequence[int]) -> np.ndarray:
    """s of every node and scale, before it is normalised.

    Returns
    -------
    ndarray of shape (n_nodes, n_scales)
        NaN where all neighbors are copies.
    """
    n_nodes = neighbors.squared.shape[0]
    inverse = np.full((n_nodes, len(scales)), np.nan)
    for start, stop in chunk_bounds(n_nodes, NODES_PER_BLOCK):
        nodes = slice(start, stop)
        distances = np.sqrt(neighbors.squared[nodes].astype(np.float64))
        for place, k in enumerate(scales):
            taken = neighbors.rows_taken(k, nodes)
            n_taken = taken.sum(axis=1)
            total = np.einsum("ij,ij->i", taken, distances)
            # Squares of tiny distances may underflow: copies in effect.
            measured = total > 0.0
            inverse[start:stop][measured, place] = n_taken[measured] / total[measured]
    return inverse


def extremes(inverse: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Smallest and largest s of every scale; infinite where none is measured."""
    measured = ~np.isnan(inverse)
    low = np.where(measured, inverse, np.inf).min(axis=0, initial=np.inf)
    high = np.where(measured, inverse, -np.inf).max(axis=0, initial=-np.inf)
    return low, high


def normalized_density(
    inverse: np.ndarray, low: np.ndarray, high: np.ndarray
) -> np.ndarray:
    """Density from s and its extremes over all nodes; see `local_density`."""
    density = np.zeros(inverse.shape[0])
    for place in range(inverse.shape[1]):
        value = np.ones(inverse.shape[0])
        smallest, largest = low[place], high[place]
        if largest - smallest > _SAME * largest:
            measured = ~np.isnan(inverse[:, place])
            value[measured] = (inverse[measured, place] - smallest) / (
                largest - smallest
            )
        density += value
    return density / inverse.shape[1]


def penalty_fractions(
    density: np.ndarray, penalty_min: float, penalty_max: float
) -> np.ndarray:
    """Penalty of every row as a fraction of lambda*.

    Dense regions get a weak penalty and so more neighbors, sparse ones a strong
    one. lambda* is the smallest penalty at which no neighbor at all is
    optimal, so that any fraction below one leaves a row at least one neighbor
    (Proposition 1 of the publication).

    Parameters
    ----------
    density : ndarray of shape (n_nodes,)
        Between 0 and 1.

    Returns
    -------
    ndarray of shape (n_nodes,)

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.graph.density import penalty_fractions
    >>> penalty_fractions(np.array([0.0, 0.5, 1.0]), 0.25, 0.75).tolist()
    [0.75, 0.5, 0.25]
    """
    return penalty_min + (penalty_max - penalty_min) * (1.0 - density)
