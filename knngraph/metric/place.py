"""Place the training rows in the space they are compared in."""

from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from knngraph.graph.training_set import TrainingSet, build_training_set
from knngraph.index.cells import Cells
from knngraph.metric.choose import MAX_ROWS, Choice, choose_map, folds
from knngraph.metric.forest import ForestMap
from knngraph.metric.gradient_map import MAX_ROWS as ROWS_OF_A_MAP
from knngraph.metric.gradient_map import N_MAPS, gradient_maps, symmetric_map
from knngraph.metric.grow import ForestSettings, grow_forest
from knngraph.metric.names import allows_missing
from knngraph.metric.out_of_fold import ENOUGH_UNSEEN, OutOfFold, honest_pairs
from knngraph.parallel import one_blas_thread
from knngraph.space import Space, fit_space
from knngraph.sparse_rows import as_dense

# A map is a square matrix of the features: beyond this many it costs more at a
# query than it can give.
MAX_FEATURES = 1000
# Rows farther from the middle than so many typical ones weigh as those.
_FAR = 5.0


class PlacedRows(NamedTuple):
    """Training rows in the space they are compared in.

    Parameters
    ----------
    space : Space
    training : TrainingSet
    out_of_fold : OutOfFold or None
        For left-out rows that a linear map has seen; None where none is kept.
    scores : dict
        Accuracy on held-out rows without a linear map and with the best one, by
        metric; empty where no map was tried.
    cells : Cells or None, default=None
        Of many nodes, which are in their order; see `knngraph.graph.order`.
    """

    space: Space
    training: TrainingSet
    out_of_fold: OutOfFold | None
    scores: dict[str, float]
    cells: Cells | None = None

    @property
    def honest_pairs(self) -> np.ndarray:
        """Pairs that are answered, left out, as new rows are."""
        return honest_pairs(self.training, self.out_of_fold)


def place_training_rows(
    X: Any,
    codes: np.ndarray,
    n_classes: int,
    metric: str,
    row_weight: np.ndarray | None = None,
    *,
    seed: int = 0,
    precision: str = "single",
    n_threads: int = 1,
) -> PlacedRows:
    """Map the training rows by a metric.

    Parameters
    ----------
    X : ndarray or CSR of shape (n_rows, n_features)
        With NaN only where the metric `allows_missing`.
    codes : ndarray of shape (n_rows,)
    metric : {"euclidean", "cosine", "learned", "auto", "trees"}
        "learned" maps the rows by the last of the `gradient_maps`; "auto" by the one
        that `choose_map` chooses, or by none; "trees" by a `ForestMap`, and then as
        "auto" does. Maps are learned from distinct rows, whatever they weigh.
    row_weight : ndarray of shape (n_rows,) or None
        None where every row weighs one.
    precision : {"single", "double"}, default="single"
        Of the mapped rows; see `fit_space`.

    Returns
    -------
    PlacedRows
    """
    if metric == "learned" and X.shape[1] > MAX_FEATURES:
        raise ValueError(
            f'metric="learned" maps rows by a square matrix of the features, and X '
            f"has {X.shape[1]} of them; the limit is {MAX_FEATURES}. Reduce them "
            "first (sklearn.decomposition.PCA or TruncatedSVD in a Pipeline), or use "
            'metric="euclidean" or "cosine".'
        )
    plain = "cosine" if metric == "cosine" else "euclidean"
    rows = LabeledRows(X, codes, n_classes, row_weight, seed, n_threads)
    space = fit_space(
        X, plain, precision, row_weight, allow_missing=allows_missing(metric)
    )
    training = rows.placed(space)
    row_of_pair, _ = training.rows_of_pairs()
    if metric == "trees":
        forest = grow_on_pairs(rows, training)
        if forest is not None:
            space, training = place_by_forest(rows, space, training, forest)
    if metric == plain:
        return PlacedRows(space, training, None, {})
    # The same for all metrics, so that their maps have seen the same labels.
    some = row_of_pair[:MAX_ROWS]
    return place_by_linear_map(rows, space, training, some, chosen=metric != "learned")


@dataclass(frozen=True)
class LabeledRows:
    """Training rows as the user gave them, and what placing them takes.

    Parameters
    ----------
    X : ndarray or CSR of shape (n_rows, n_features)
    codes : ndarray of shape (n_rows,)
    n_classes : int
    row_weight : ndarray of shape (n_rows,) or None
    seed, n_threads : int
    """

    X: Any
    codes: np.ndarray
    n_classes: int
    row_weight: np.ndarray | None = None
    seed: int = 0
    n_threads: int = 1

    def placed(self, space: Space) -> TrainingSet:
        """The training set in a space."""
        rows = space.map_rows(self.X, n_threads=self.n_threads)
        return build_training_set(
            rows, self.codes, self.n_classes, self.seed, row_weight=self.row_weight
        )


def grow_on_pairs(rows: LabeledRows, training: TrainingSet) -> ForestMap | None:
    """Grow a forest on the training pairs; None where there is only one class.

    Parameters
    ----------
    training : TrainingSet
        The rows in a space without trees.
    """
    if not (training.pair_code != training.pair_code[0]).any():
        return None
    return grow_forest(
        rows.X,
        training.pair_code,
        rows.n_classes,
        ForestSettings(seed=rows.seed),
        places=training.rows_of_pairs()[0],
        n_threads=rows.n_threads,
    )


def place_by_forest(
    rows: LabeledRows, space: Space, training: TrainingSet, forest: ForestMap
) -> tuple[Space, TrainingSet]:
    """Map rows by a forest, which adds its shares before the columns.

    Parameters
    ----------
    space, training : Space, TrainingSet
        Without trees.

    Returns
    -------
    space, training : Space, TrainingSet
        The columns have the weight that makes both parts vary alike.
    """
    some = training.rows_of_pairs()[0][:MAX_ROWS]
    sample = as_dense(rows.X[some])
    of_shares = _variance(forest.shares(sample, n_threads=rows.n_threads))
    points = training.points[training.pair_node[:MAX_ROWS]].astype(np.float64)
    of_columns = _variance(points)
    weight = 1.0
    if of_shares > 0.0 and of_columns > 0.0:
        weight = float(np.sqrt(of_shares / of_columns))
    # Shares have no unit: neither have the mapped rows.
    # It may be more than a number can be where the columns are subnormal.
    column_weight = min(weight / space.scale, float(np.finfo(float).max))
    forest = replace(forest, column_weight=column_weight)
    space = replace(space, metric="trees", scale=1.0, trees=forest)
    return space, rows.placed(space)


def place_by_linear_map(
    rows: LabeledRows,
    space: Space,
    training: TrainingSet,
    some: np.ndarray,
    *,
    chosen: bool,
) -> PlacedRows:
    """Map rows by a linear map, where there is one to learn.

    Parameters
    ----------
    space, training : Space, TrainingSet
        Without a linear map; the rows may be those of a forest.
    some : ndarray of shape (n_some,)
        Rows that the map is learned from, in random order, one a training pair.
    chosen : bool
        Whether `choose_map` chooses the map, or none; else it is the last one.
    """
    unmapped = PlacedRows(space, training, None, {})
    if training.points.shape[1] > MAX_FEATURES:
        return unmapped
    n_classes, seed = rows.n_classes, rows.seed
    metric = "learned" if space.trees is None else "trees, learned"
    points, codes = training.points[training.node_of_row[some]], rows.codes[some]
    with one_blas_thread():
        choice = Choice(N_MAPS)
        if chosen:
            choice = choose_map(points, codes, n_classes, seed=seed)
            names = space.metric, metric
            unmapped = unmapped._replace(scores=dict(zip(names, choice.scores)))
        factor = _factor_of_map(choice.number, points, codes, n_classes, seed)
        if factor is None:
            return unmapped
        linear = symmetric_map(factor)
    space = replace(space, metric=metric, linear=linear)
    mapped = rows.placed(space)
    pair_of_place = mapped.pair_of_row[some]
    if training.n_pairs >= ROWS_OF_A_MAP + ENOUGH_UNSEEN:
        fold_maps, pair_of_place = [], pair_of_place[:ROWS_OF_A_MAP]
    else:
        fold_maps = _maps_of_folds(choice, points, codes, n_classes, seed)
    out_of_fold = OutOfFold.of_sample(linear, fold_maps, mapped.n_pairs, pair_of_place)
    if not len(out_of_fold.honest_pairs()):
        # Too few rows for a map without some of them.
        return PlacedRows(space, mapped, None, unmapped.scores)
    return PlacedRows(space, mapped, out_of_fold, unmapped.scores)


def _variance(rows: np.ndarray) -> float:
    """Sum of the variances of all columns, with far rows drawn near.

    Rows that are over five times as far from the middle as a typical one would else
    decide how little the others count.
    """
    rows = rows - np.median(rows, axis=0)
    sizes = np.abs(rows).max(axis=1)
    if not sizes.max() > 0.0:
        return 0.0
    limit = _FAR * np.median(sizes[sizes > 0.0])
    rows /= np.maximum(sizes / limit, 1.0)[:, None]
    return float(rows.var(axis=0).sum())


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
