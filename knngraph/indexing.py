"""Place, index and search the training rows: what all later stages read.

Rows are placed in single precision, and again in double where single finds others.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from knngraph.fitted.rows import IndexedRows
from knngraph.graph.neighbors import Neighbors
from knngraph.graph.order import bring_together
from knngraph.graph.precision import place_precisely, search_precisely
from knngraph.index.build import BuildSettings, build_graph
from knngraph.metric.place import PlacedRows, place_training_rows
from knngraph.progress import stage


@dataclass(frozen=True)
class GivenRows:
    """Checked rows and labels of a fit.

    Parameters
    ----------
    X : ndarray or CSR of shape (n_rows, n_features)
    codes : ndarray of shape (n_rows,)
    n_classes : int
    row_weight : ndarray of shape (n_rows,) or None
    class_weight : "balanced", tuple of float, or None
        See `knngraph.weights.class_factors`.
    """

    X: Any
    codes: np.ndarray
    n_classes: int
    row_weight: np.ndarray | None
    class_weight: str | tuple[float, ...] | None


@dataclass(frozen=True)
class IndexSettings:
    """How rows are indexed and searched.

    Parameters
    ----------
    n_listed : int
        Neighbors that are listed for every node.
    exact_up_to : float
        Weight of the rows up to which lists are searched exactly.
    build : BuildSettings
    """

    n_listed: int
    exact_up_to: float
    build: BuildSettings


def place_rows(given: GivenRows, metric: str, settings: IndexSettings) -> PlacedRows:
    """Place the rows by a metric, as far as their neighbors need not be known.

    Parameters
    ----------
    metric : str
        As in `place_training_rows`.
    """
    return place_precisely(given.X, partial(_placed, given, metric, settings))


def index_rows(
    given: GivenRows, placed: PlacedRows, metric: str, settings: IndexSettings
) -> IndexedRows:
    """Index placed rows and list their neighbors.

    Parameters
    ----------
    placed : PlacedRows
        Of the `given` ones by `metric`; placed anew where the lists show that single
        precision loses digits.
    """
    return search_precisely(
        given.X,
        placed,
        partial(_placed, given, metric, settings),
        partial(index_placed, settings=settings),
    )


def index_placed(placed: PlacedRows, settings: IndexSettings) -> IndexedRows:
    """Index placed rows and list their neighbors, in the precision that they have."""
    training = placed.training
    exact = training.weight <= settings.exact_up_to
    built = build_graph(
        training.points,
        settings.n_listed,
        settings.build,
        exact=exact,
        found=placed.cells,
    )
    return IndexedRows(
        placed.space,
        training,
        None,
        built.index,
        built.search_recall,
        Neighbors(built.ids, built.squared, training.node_weights()),
        exact,
        placed.out_of_fold,
    )


def _placed(
    given: GivenRows, metric: str, settings: IndexSettings, precision: str
) -> PlacedRows:
    n_rows = given.X.shape[0]
    with stage("placing rows", n_rows, settings.build.verbose) as placing:
        placed = place_training_rows(
            given.X,
            given.codes,
            given.n_classes,
            metric,
            given.row_weight,
            seed=settings.build.seed,
            precision=precision,
            n_threads=settings.build.n_threads,
        )
        placing.advance(n_rows)
    training = placed.training.with_class_weight(given.class_weight)
    training, cells = bring_together(training, settings.build)
    folds = placed.out_of_fold
    if folds is not None and cells is not None:
        _, pair_now = training.renumbering(placed.training)
        folds = folds.after(pair_now, training.n_pairs)
    return placed._replace(training=training, out_of_fold=folds, cells=cells)
