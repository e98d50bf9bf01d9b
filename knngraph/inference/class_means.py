"""Means of the classes, which order the classes that no row has voted for.

Where rows have many classes, most of them get no vote at a query, and all of those
have one probability. Which of them is likelier shows at the distance to its mean.
"""

import numpy as np

from knngraph.distances import squared_distances_to
from knngraph.graph.training_set import TrainingSet
from knngraph.metric.out_of_fold import OutOfFold
from knngraph.parallel import chunk_bounds, one_blas_thread
from knngraph.weights import LEAST_REST

# Distances that are found at once: bounds the memory of their places.
_DISTANCES_PER_BLOCK = 2**20


def class_means(training: TrainingSet) -> np.ndarray:
    """Mean of the mapped rows of every class.

    Returns
    -------
    ndarray of shape (n_classes, n_features)
        In the precision of the rows; zero where a class has no rows.

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.graph.training_set import build_training_set
    >>> from knngraph.inference.class_means import class_means
    >>> rows = np.array([[0.0], [2.0], [2.0], [5.0]], dtype=np.float32)
    >>> training = build_training_set(rows, np.array([0, 0, 0, 1]), n_classes=2)
    >>> class_means(training).round(2).tolist()
    [[1.3300000429153442], [5.0]]
    """
    means = np.zeros((training.n_classes, training.points.shape[1]))
    codes, weights = training.pair_code, training.pair_weight
    total = _class_weights(training)
    total[total == 0.0] = 1.0
    for column in range(means.shape[1]):
        of_pairs = weights * training.points[training.pair_node, column]
        means[:, column] = np.bincount(codes, of_pairs, training.n_classes) / total
    return means.astype(training.points.dtype)


def squared_to_means(rows: np.ndarray, means: np.ndarray) -> np.ndarray:
    """Squared distances of rows to the means of all classes.

    Parameters
    ----------
    rows : ndarray of shape (n, n_features)
    means : ndarray of shape (n_classes, n_features)

    Returns
    -------
    ndarray of shape (n, n_classes), float64
        The same to the last bit, whatever the other rows.
    """
    squared = np.empty((len(rows), len(means)))
    step = max(1, _DISTANCES_PER_BLOCK // len(means))
    for start, stop in chunk_bounds(len(rows), step):
        every = np.broadcast_to(np.arange(len(means)), (stop - start, len(means)))
        squared[start:stop] = squared_distances_to(rows[start:stop], means, every)
    return squared


def squared_left_out(
    training: TrainingSet,
    pairs: np.ndarray,
    means: np.ndarray,
    out_of_fold: OutOfFold | None,
) -> np.ndarray:
    """Squared distances of rows to the means of all classes, each row left out.

    Parameters
    ----------
    pairs : ndarray of shape (n,)
        Of which one row is left out.
    means : ndarray of shape (n_classes, n_features)
        Of all rows.
    out_of_fold : OutOfFold or None
        Maps that have not seen the rows.

    Returns
    -------
    ndarray of shape (n, n_classes), float64
        Infinite for a class without other rows.

    Notes
    -----
    Without a row x of weight g, the mean m of a class of weight W is
    (W m - g x) / (W - g), and the distance to it W / (W - g) times |x - m|.
    """
    rows = training.points[training.pair_node[pairs]]
    squared = np.empty((len(pairs), len(means)))
    fold = np.full(len(pairs), -1)
    if out_of_fold is not None and len(out_of_fold.maps):
        fold = out_of_fold.fold_of_pair[pairs]
    for number in np.unique(fold):
        some = fold == number
        of_fold = rows[some], means
        if number >= 0:
            assert out_of_fold is not None
            linear = out_of_fold.maps[number]
            with one_blas_thread():
                of_fold = of_fold[0] @ linear, means @ linear
        squared[some] = squared_to_means(*of_fold)
    codes = training.pair_code[pairs]
    total = _class_weights(training)[codes]
    rest = total - np.minimum(training.pair_weight[pairs], 1.0)
    alone, own = rest <= LEAST_REST, (np.arange(len(pairs)), codes)
    squared[own] *= (total / np.where(alone, 1.0, rest)) ** 2
    squared[own] = np.where(alone, np.inf, squared[own])
    return squared


def _class_weights(training: TrainingSet) -> np.ndarray:
    return np.bincount(
        training.pair_code, training.pair_weight, minlength=training.n_classes
    )
