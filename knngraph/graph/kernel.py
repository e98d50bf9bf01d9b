"""The composite kernel of features and labels, and its width."""

from dataclasses import dataclass

import numpy as np

from knngraph.distances import squared_distances
from knngraph.graph.neighbors import Neighbors
from knngraph.weights import weighted_median

# Up to this many nodes the median is over all pairs, above over the pairs of a
# sample of this size.
MEDIAN_SAMPLE = 2000


@dataclass(frozen=True)
class CompositeKernel:
    """K_ij = (1 - b) exp(-|x_i - x_j|^2 / (2 sigma^2)) + b L_ij.

    L_ij is one where the labels agree and `label_discount` where they do not.
    Both terms are positive semidefinite, and so is K.

    Parameters
    ----------
    sigma : float
        Bandwidth in mapped units.
    label_weight : float
        b, the share of the label term.
    label_discount : float
    """

    sigma: float
    label_weight: float
    label_discount: float

    def as_tuple(self) -> tuple[float, float, float, float]:
        """The four numbers that the compiled solver takes."""
        return (
            0.5 / self.sigma**2,
            1.0 - self.label_weight,
            self.label_weight,
            self.label_discount,
        )


def median_bandwidth(points: np.ndarray) -> float:
    """Median distance over all pairs of distinct rows.

    Rows are in random order: above `MEDIAN_SAMPLE` only the first are used.

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.graph.kernel import median_bandwidth
    >>> median_bandwidth(np.array([[0.0], [1.0], [5.0]], dtype=np.float32))
    4.0
    """
    sample = points[:MEDIAN_SAMPLE]
    if len(sample) < 2:
        return 1.0
    squared = squared_distances(sample, sample)
    # Row by row: the places of all pairs would take more memory than the distances.
    pairs = np.concatenate([row[place + 1 :] for place, row in enumerate(squared)])
    del squared
    return _positive_root(float(np.median(pairs, overwrite_input=True)), pairs)


def neighbors_bandwidth(neighbors: Neighbors, k: int) -> float:
    """Root of the median squared distance to the `k`-th nearest other row."""
    squared = weighted_median(neighbors.squared_distance_to(k), neighbors.node_weights)
    return _positive_root(squared, neighbors.squared)


def _positive_root(squared: float, others: np.ndarray) -> float:
    if squared > 0.0:
        return float(np.sqrt(squared))
    # Most pairs are copies; the nearest distances that are not set the scale.
    positive = others[others > 0]
    return float(np.sqrt(np.median(positive))) if positive.size else 1.0
