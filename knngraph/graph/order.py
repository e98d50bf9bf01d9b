"""The order of many nodes: near nodes near one another, for the caches.

Later stages read the nodes by their numbers: the neighbors of a node, and the links
of a graph, one search after another. In random order each of them is read from far
away, and once the rows are more than the caches hold, that is most of the time.
"""

from dataclasses import replace

import numpy as np

from knngraph.graph.training_set import TrainingSet
from knngraph.index.build import BuildSettings, group_points, makes_lists
from knngraph.index.cells import Cells
from knngraph.index.recall import HELD_OUT

# The first nodes stay in random order, as the last do that are held out: samples of
# all are taken from either end. Fewer stay in the caches in any order.
RANDOM_HEAD = 8192


def bring_together(
    training: TrainingSet, settings: BuildSettings
) -> tuple[TrainingSet, Cells | None]:
    """Order many nodes by cells of near ones.

    Returns
    -------
    training : TrainingSet
        `training` itself where nodes are few.
    cells : Cells or None
        By the numbers that the nodes have now; None where there are none.
    """
    if not makes_lists(training.points):
        return training, None
    cells = group_points(training.points, settings)
    order = by_cells(cells)
    now = np.empty(len(order), dtype=np.int32)
    now[order] = np.arange(len(order), dtype=np.int32)
    return training.in_order(order), replace(cells, order=now[cells.order])


def by_cells(cells: Cells) -> np.ndarray:
    """The order of nodes that are in random order now.

    Parameters
    ----------
    cells : Cells
        Of the nodes.

    Returns
    -------
    ndarray of shape (n_nodes,)
        The nodes by their present numbers: the first and the last as they are, those
        between in the order of their cells.

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.graph.order import RANDOM_HEAD, by_cells
    >>> from knngraph.index.cells import group_rows
    >>> points = np.random.default_rng(0).random((10_000, 1), dtype=np.float32)
    >>> order = by_cells(group_rows(points))
    >>> order[:3].tolist(), order[-3:].tolist()
    ([0, 1, 2], [9997, 9998, 9999])
    >>> steps = np.abs(np.diff(points[order[RANDOM_HEAD:9500], 0]))
    >>> bool(steps.mean() < 0.1 * np.abs(np.diff(points[:, 0])).mean())
    True
    """
    n_nodes = len(cells.order)
    stop = max(RANDOM_HEAD, n_nodes - HELD_OUT)
    between = cells.order[(cells.order >= RANDOM_HEAD) & (cells.order < stop)]
    nodes = np.arange(n_nodes, dtype=np.int32)
    return np.concatenate([nodes[:RANDOM_HEAD], between, nodes[stop:]])


def by_cells_still(first_entry: np.ndarray, n_before: int) -> np.ndarray:
    """The order of nodes after some have come and gone.

    Parameters
    ----------
    first_entry : ndarray of shape (n_nodes,)
        For nodes in random order, their numbers before; from `n_before` on new ones.
    n_before : int

    Returns
    -------
    ndarray of shape (n_nodes,)
        The first and the last as they are; between them those that were there in the
        order that they had, then the new ones.

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.graph.order import RANDOM_HEAD, by_cells_still
    >>> entries = np.random.default_rng(0).permutation(10_000)
    >>> order = by_cells_still(entries, 9_999)
    >>> kept = entries[order][RANDOM_HEAD:9_500]
    >>> bool((np.diff(kept) > 0).all())
    True
    """
    n_nodes = len(first_entry)
    stop = max(RANDOM_HEAD, n_nodes - HELD_OUT)
    order = np.arange(n_nodes)
    between = np.minimum(first_entry[RANDOM_HEAD:stop], n_before)
    order[RANDOM_HEAD:stop] = RANDOM_HEAD + np.argsort(between, kind="stable")
    return order
