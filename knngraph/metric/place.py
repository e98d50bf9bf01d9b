"""Place the training rows in the space they are compared in."""

from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np

from knngraph.graph.training_set import TrainingSet, build_training_set
from knngraph.metric.choose import MAX_ROWS, choose_map, folds
from knngraph.metric.gradient_map import MAX_ROWS as ROWS_OF_A_MAP
from knngraph.metric.gradient_map import N_MAPS, gradient_maps, symmetric_map
from knngraph.metric.out_of_fold import ENOUGH_UNSEEN, OutOfFold
from knngraph.parallel import one_blas_thread
from knngraph.space import Space, fit_space

# A map is a square matrix of the features: beyond this many it costs more at a
# query than it can give.
MAX_FEATURES = 1000


def place_training_rows(
    X: Any,
    codes: np.ndarray,
    n_classes: int,
    metric: str,
    *,
    seed: int = 0,
) -> tuple[Space, TrainingSet, OutOfFold | None]:
    """Map the training rows by a metric.

    Parameters
    ----------
    X : ndarray or CSR of shape (n_rows, n_features)
    codes : ndarray of shape (n_rows,)
    n_classes : int
    metric : {"euclidean", "cosine", "learned", "auto"}
        "learned" maps the rows by the last of the `gradient_maps`; "auto" by the one
        that `choose_map` chooses, or by none.
    seed : int, default=0

    Returns
    -------
    space : Space
    training : TrainingSet
    out_of_fold : OutOfFold or None
        None where no map is kept.
    """
    check_width(X.shape[1], metric)
    learned = metric in ("learned", "auto")
    space = fit_space(X, "euclidean" if learned else metric)
    training = _training_set(space, X, codes, n_classes, seed)
    if not learned or X.shape[1] > MAX_FEATURES:
        return space, training, None
    rows, row_codes = sample_pairs(training, MAX_ROWS)
    number, linear = learn_map(rows, row_codes, n_classes, metric, seed=seed)
    if linear is None:
        return space, training, None
    space = replace(space, metric="learned", linear=linear)
    mapped = _training_set(space, X, codes, n_classes, seed)
    row_of_pair, _ = training.rows_of_pairs()
    pair_of_place = mapped.pair_of_row[row_of_pair[: len(rows)]]
    out_of_fold = _out_of_fold(
        linear, number, rows, row_codes, mapped, pair_of_place, seed
    )
    return space, mapped, out_of_fold


def _out_of_fold(
    linear: np.ndarray,
    number: int,
    rows: np.ndarray,
    codes: np.ndarray,
    training: TrainingSet,
    pair_of_place: np.ndarray,
    seed: int,
) -> OutOfFold:
    """Maps of folds that stand in for a map, where it has seen most of the pairs."""
    if training.n_pairs >= ROWS_OF_A_MAP + ENOUGH_UNSEEN:
        seen = pair_of_place[:ROWS_OF_A_MAP]
        return OutOfFold.of_sample(linear, [], training.n_pairs, seen, [])
    factors, held_out = [], []
    with one_blas_thread():
        for fitted, places in folds(codes):
            maps = gradient_maps(rows[fitted], codes[fitted], training.n_classes, seed)
            factor = next(islice(maps, number - 1, None), None)
            if factor is not None:
                factors.append(factor)
                held_out.append(places)
    return OutOfFold.of_sample(
        linear, factors, training.n_pairs, pair_of_place, held_out
    )


def learn_map(
    rows: np.ndarray, codes: np.ndarray, n_classes: int, metric: str, *, seed: int = 0
) -> tuple[int, np.ndarray | None]:
    """The map that a sample of the training rows leads to.

    Parameters
    ----------
    rows, codes : ndarray
        As `sample_pairs` gives them.
    n_classes, metric, seed
        As in `place_training_rows`.

    Returns
    -------
    number : int
        Of the map among the `gradient_maps`, 0 for none.
    linear : ndarray of shape (n_features, n_features) or None
        None where no map is kept, or where there is nothing to learn.
    """
    with one_blas_thread():
        number = N_MAPS
        if metric == "auto":
            number = choose_map(rows, codes, n_classes, seed=seed)
        if not number:
            return 0, None
        factors = gradient_maps(rows, codes, n_classes, seed)
        factor = next(islice(factors, number - 1, None), None)
        return number, None if factor is None else symmetric_map(factor)


def sample_pairs(training: TrainingSet, limit: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and classes of a random sample of the training pairs.

    Returns
    -------
    rows : ndarray of shape (at most `limit`, n_features), float32
    codes : ndarray
    """
    # The first pairs lie on the first nodes, which are a random sample whatever
    # the order of the rows.
    nodes = training.pair_node[:limit]
    return training.points[nodes], training.pair_code[:limit]


def _training_set(
    space: Space, X: Any, codes: np.ndarray, n_classes: int, seed: int
) -> TrainingSet:
    return build_training_set(space.map_rows(X), codes, n_classes, seed)


def check_width(n_features: int, metric: str) -> None:
    """Refuse to learn a map of too many features."""
    if metric == "learned" and n_features > MAX_FEATURES:
        raise ValueError(
            f'metric="learned" maps rows by a square matrix of the features, and X '
            f"has {n_features} of them; the limit is {MAX_FEATURES}. Reduce them "
            "first (sklearn.decomposition.PCA or TruncatedSVD in a Pipeline), or use "
            'metric="euclidean" or "cosine".'
        )
