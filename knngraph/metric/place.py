"""Place the training rows in the space they are compared in."""

from dataclasses import replace
from typing import Any

import numpy as np

from knngraph.graph.training_set import TrainingSet, build_training_set
from knngraph.inference.adaptive import QueryProblem
from knngraph.metric.choose import (
    MAX_ROWS,
    N_ROUNDS,
    choose_round,
    held_out_answers,
    sample_pairs,
)
from knngraph.metric.gradient_map import gradient_maps
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
    problem: QueryProblem,
    *,
    seed: int = 0,
    n_threads: int = 1,
) -> tuple[Space, TrainingSet]:
    """Map the training rows by the metric asked for.

    Parameters
    ----------
    X : ndarray or CSR of shape (n_rows, n_features)
    codes : ndarray of shape (n_rows,)
    n_classes : int
    metric : {"euclidean", "cosine", "learned", "auto"}
        "learned" maps the rows by the linear map of three rounds of
        `gradient_maps`; "auto" by as many rounds as answer held-out rows best,
        or by none.
    problem : QueryProblem
        With which "auto" answers the held-out rows.
    seed : int, default=0
    n_threads : int, default=1

    Returns
    -------
    space : Space
    training : TrainingSet
    """
    if metric not in ("learned", "auto"):
        space = fit_space(X, metric)
        return space, _training_set(space, X, codes, n_classes, seed)
    check_width(X.shape[1], metric)
    plain = fit_space(X, "euclidean")
    training = _training_set(plain, X, codes, n_classes, seed)
    if X.shape[1] > MAX_FEATURES or n_classes < 2:
        return plain, training
    sample = sample_pairs(training, MAX_ROWS)
    space = learned_space(
        plain, *sample, n_classes, metric, problem, seed=seed, n_threads=n_threads
    )
    if space is plain:
        return plain, training
    return space, _training_set(space, X, codes, n_classes, seed)


def learned_space(
    plain: Space,
    rows: np.ndarray,
    row_codes: np.ndarray,
    n_classes: int,
    metric: str,
    problem: QueryProblem,
    *,
    seed: int = 0,
    n_threads: int = 1,
) -> Space:
    """The space with the map that a sample of the training rows asks for.

    Parameters
    ----------
    plain : Space
        Without a map.
    rows, row_codes : ndarray
        As `sample_pairs` gives them.
    n_classes, metric, problem, seed, n_threads
        As in `place_training_rows`.

    Returns
    -------
    Space
        `plain` itself where no map is kept.
    """
    with one_blas_thread():
        n_rounds = N_ROUNDS
        if metric == "auto":
            right = held_out_answers(
                rows, row_codes, n_classes, problem, seed=seed, n_threads=n_threads
            )
            n_rounds = choose_round(right)
        maps = gradient_maps(rows, row_codes, n_classes, n_rounds, seed)
    return replace(plain, metric="learned", linear=maps[-1]) if maps else plain


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
