"""Votes of the nearest nodes, which the probabilities of stored labels are read from.

Where the nearest nodes of a cascade agree, the votes are counted at the query, over
nodes that its search has met anyway. A lookup meets one node: the votes around that
were counted at fit (`knngraph.inference.node_votes`).
"""

import numpy as np

from knngraph.graph.training_set import TrainingSet
from knngraph.inference.adaptive import in_one_layout, left_out_of
from knngraph.inference.cascade import rows_on
from knngraph.parallel import map_chunks

# How fast votes fall with distance: about a twentieth at the farthest node.
SHARPNESS = 3.0
_QUERIES_PER_CHUNK = 1024


def near_votes(
    training: TrainingSet,
    ids: np.ndarray,
    squared: np.ndarray,
    *,
    left_out: np.ndarray | None = None,
    n_threads: int = 1,
) -> np.ndarray:
    """Shares of the classes in a vote of the nearest nodes.

    Parameters
    ----------
    ids, squared : ndarray of shape (n_queries, k)
        Nearest nodes of the queries; -1 ends a row.
    left_out : ndarray of shape (n_queries,) or None
        Pair of which one row does not vote.

    Returns
    -------
    ndarray of shape (n_queries, n_classes)
        Rows sum to one; all zero where no row votes. The votes are those of
        `knngraph.inference.cascade.stored_margin` with a sharpness of 3.

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.graph.training_set import build_training_set
    >>> from knngraph.inference.near_votes import near_votes
    >>> rows = np.array([[0.0], [1.0], [3.0]], dtype=np.float32)
    >>> training = build_training_set(rows, np.array([0, 0, 1]), n_classes=2)
    >>> nearest = np.argsort(training.points[:, 0])[None]
    >>> near_votes(training, nearest, np.array([[0.01, 0.81, 8.41]])).round(2)
    array([[0.96, 0.04]])
    """
    from knngraph.inference import _cascade

    ids, squared = in_one_layout(ids, squared)
    left_out, class_weight = left_out_of(ids, left_out), training.class_weight
    if class_weight is None:
        class_weight = np.ones(training.n_classes)
    votes = np.zeros((len(ids), training.n_classes))

    def count(start: int, stop: int) -> None:
        chunk = slice(start, stop)
        _cascade.find_votes(
            *rows_on(training),
            ids[chunk],
            left_out[chunk],
            squared[chunk],
            SHARPNESS,
            class_weight,
            votes[chunk],
        )

    map_chunks(count, len(ids), _QUERIES_PER_CHUNK, n_threads, limit_blas=False)
    return votes
