"""The tasks that find quantities which are one for all partitions."""

from functools import partial
from typing import Any

import numpy as np

from knngraph.distributed.layout import Layout
from knngraph.distributed.partition import points_of
from knngraph.distributed.placing import order_statistics
from knngraph.distributed.surroundings import (
    Surroundings,
)
from knngraph.distributed.tasks import compute, task
from knngraph.distributed.thresholds import (
    sample_sizes,
)
from knngraph.graph.density import extremes
from knngraph.graph.kernel import MEDIAN_SAMPLE, median_bandwidth


def density_extremes(around: list[Any]) -> tuple[np.ndarray, np.ndarray]:
    """Extremes of the inverse distances over all partitions."""
    ends = compute(*(task(_extremes, part, name="extremes") for part in around))
    low, high = zip(*ends)
    return np.min(low, axis=0), np.max(high, axis=0)


def neighbors_bandwidth_on(around: list[Any], n_rows: int) -> float:
    """Root of the median squared distance to the farthest candidate.

    As `knngraph.graph.kernel.neighbors_bandwidth` finds it.
    """
    squared = _median(_to_farthest, around, n_rows)
    if squared > 0.0:
        return float(np.sqrt(squared))
    # Most rows are copies; the nearest distances that are not set the scale.
    counts = compute(*(task(_n_positive, part, name="count") for part in around))
    n_positive = int(sum(counts))
    if not n_positive:
        return 1.0
    return float(np.sqrt(_median(_positive_squared, around, n_positive)))


def median_bandwidth_on(partitions: list[Any], layout: Layout) -> float:
    """Median distance between the nodes of a bounded sample."""
    in_order = layout.router.centroids is None
    sizes = sample_sizes(layout.n_nodes, 1, in_order, MEDIAN_SAMPLE)
    parts = [
        task(partial(points_of, start=0, stop=int(size)), part, name="sample")
        for part, size in zip(partitions, sizes)
        if size
    ]
    (sigma,) = compute(task(_median_bandwidth, parts, name="bandwidth"))
    return float(sigma)


def _extremes(around: Surroundings) -> tuple[np.ndarray, np.ndarray]:
    return extremes(around.inverse)


def _median(read: Any, around: list[Any], n: int) -> float:
    middle = order_statistics(read, around, [(n - 1) // 2, n // 2])
    return float(middle.mean())


def _to_farthest(around: Surroundings) -> np.ndarray:
    return np.repeat(around.to_farthest, around.rows)[:, None]


def _positive_squared(around: Surroundings) -> np.ndarray:
    return around.squared[around.squared > 0][:, None]


def _n_positive(around: Surroundings) -> int:
    return int((around.squared > 0).sum())


def _median_bandwidth(parts: list[np.ndarray]) -> float:
    return median_bandwidth(np.concatenate(parts))
