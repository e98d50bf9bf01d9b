"""Place the training rows in the space they are compared in."""

from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np

from knngraph.graph.training_set import TrainingSet, build_training_set
from knngraph.metric.choose import MAX_ROWS, Choice, choose_map, folds
from knngraph.metric.gradient_map import MAX_ROWS as ROWS_OF_A_MAP
from knngraph.metric.gradient_map import N_MAPS, gradient_maps, symmetric_map
from knngraph.metric.names import allows_missing
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
    row_weight: np.ndarray | None = None,
    *,
    seed: int = 0,
    precision: str = "single",
) -> tuple[Space, TrainingSet, OutOfFold | None]:
    """Map the training rows by a metric.

    Parameters
    ----------
    X : ndarray or CSR of shape (n_rows, n_features)
        With NaN only where the metric `allows_missing`.
    codes : ndarray of shape (n_rows,)
    metric : {"euclidean", "cosine", "learned", "auto"}
        "learned" maps the rows by the last of the `gradient_maps`; "auto" by the one
        that `choose_map` chooses, or by none. Maps are learned from distinct rows,
        whatever they weigh.
    row_weight : ndarray of shape (n_rows,) or None
        None where every row weighs one.
    precision : {"single", "double"}, default="single"
        Of the mapped rows; see `fit_space`.

    Returns
    -------
    space : Space
    training : TrainingSet
    out_of_fold : OutOfFold or None
        None where no map is kept.
    """
    if metric == "learned" and X.shape[1] > MAX_FEATURES:
        raise ValueError(
            f'metric="learned" maps rows by a square matrix of the features, and X '
            f"has {X.shape[1]} of them; the limit is {MAX_FEATURES}. Reduce them "
            "first (sklearn.decomposition.PCA or TruncatedSVD in a Pipeline), or use "
            'metric="euclidean" or "cosine".'
        )
    learned = metric in ("learned", "auto")
    space = fit_space(
        X,
        "euclidean" if learned else metric,
        precision,
        row_weight,
        allow_missing=allows_missing(metric),
    )
    training = _training_set(space, X, codes, n_classes, seed, row_weight)
    if not learned or space.n_mapped(X.shape[1]) > MAX_FEATURES:
        return space, training, None
    rows, row_codes = sample_pairs(training, MAX_ROWS)
    with one_blas_thread():
        chosen = Choice(N_MAPS)
        if metric == "auto":
            chosen = choose_map(rows, row_codes, n_classes, seed=seed)
        factor = _factor_of_map(chosen.number, rows, row_codes, n_classes, seed)
        if factor is None:
            return space, training, None
        linear = symmetric_map(factor)
    space = replace(space, metric="learned", linear=linear)
    mapped = _training_set(space, X, codes, n_classes, seed, row_weight)
    row_of_pair, _ = training.rows_of_pairs()
    pair_of_place = mapped.pair_of_row[row_of_pair[: len(rows)]]
    if training.n_pairs >= ROWS_OF_A_MAP + ENOUGH_UNSEEN:
        fold_maps, pair_of_place = [], pair_of_place[:ROWS_OF_A_MAP]
    else:
        fold_maps = _maps_of_folds(chosen, rows, row_codes, n_classes, seed)
    out_of_fold = OutOfFold.of_sample(linear, fold_maps, mapped.n_pairs, pair_of_place)
    if not len(out_of_fold.honest_pairs()):
        return space, mapped, None  # too few rows for a map without some of them
    return space, mapped, out_of_fold


def _maps_of_folds(
    chosen: Choice, rows: np.ndarray, codes: np.ndarray, n_classes: int, seed: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Factor of the map without every fold that leaves something to learn, and places.

    Those that the choice has found are not fitted again.
    """
    found = []
    with one_blas_thread():
        for fold, (fitted, places) in enumerate(folds(codes)):
            if fold < len(chosen.factors):
                factor: np.ndarray | None = chosen.factors[fold]
            else:
                factor = _factor_of_map(
                    chosen.number, rows[fitted], codes[fitted], n_classes, seed
                )
            if factor is not None:
                found.append((factor, places))
    return found


def _factor_of_map(
    number: int, rows: np.ndarray, codes: np.ndarray, n_classes: int, seed: int
) -> np.ndarray | None:
    """A map by its number; None for 0, and where there is nothing to learn."""
    if not number:
        return None
    factors = gradient_maps(rows, codes, n_classes, seed)
    return next(islice(factors, number - 1, None), None)


def sample_pairs(training: TrainingSet, limit: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and classes of a random sample of the training pairs.

    Returns
    -------
    rows : ndarray of shape (at most `limit`, n_features)
    codes : ndarray
    """
    # The first pairs lie on the first nodes, which are a random sample whatever
    # the order of the rows.
    nodes = training.pair_node[:limit]
    return training.points[nodes], training.pair_code[:limit]


def _training_set(
    space: Space,
    X: Any,
    codes: np.ndarray,
    n_classes: int,
    seed: int,
    row_weight: np.ndarray | None,
) -> TrainingSet:
    rows = space.map_rows(X)
    return build_training_set(rows, codes, n_classes, seed, row_weight=row_weight)
