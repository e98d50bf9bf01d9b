"""How densely the training rows lie around every node."""

from collections.abc import Sequence

import numpy as np

from knngraph.graph.neighbors import Neighbors

# Distances are single precision: values of a scale that differ by less are one.
_SAME = 1e-6


def local_density(neighbors: Neighbors, scales: Sequence[int]) -> np.ndarray:
    """Mean over several scales of the normalised inverse distance to neighbors.

    Parameters
    ----------
    neighbors : Neighbors
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
    out of the mean. s is brought to [0, 1] over j by its smallest and largest
    value, and density is the mean over the scales. A row all of whose k
    neighbors are copies gets 1 at that scale, and so does everyone where all
    values agree.

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.graph.density import local_density
    >>> from knngraph.graph.neighbors import nearest_others
    >>> from knngraph.index.exact import ExactIndex
    >>> points = np.array([[0.0], [1.0], [5.0]], dtype=np.float32)
    >>> found = nearest_others(ExactIndex(points), points, np.ones(3, int), k=2)
    >>> local_density(found, [1]).tolist()
    [1.0, 1.0, 0.0]
    """
    distances = np.sqrt(neighbors.squared.astype(np.float64))
    density = np.zeros(distances.shape[0])
    for k in scales:
        taken = neighbors.rows_taken(k)
        n_taken = taken.sum(axis=1)
        measured = n_taken > 0
        total = np.einsum("ij,ij->i", taken, distances)
        value = np.ones(distances.shape[0])
        if measured.any():
            inverse = n_taken[measured] / total[measured]
            low, high = inverse.min(), inverse.max()
            if high - low > _SAME * high:
                value[measured] = (inverse - low) / (high - low)
        density += value
    return density / len(scales)
