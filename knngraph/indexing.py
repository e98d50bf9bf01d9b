"""Place, index and search the training rows: what all later stages read.

Rows are placed in single precision, and again in double where single finds others.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from knngraph.fitted.rows import IndexedRows
from knngraph.graph.neighbors import nearest_others
from knngraph.graph.precision import loses_digits
from knngraph.index.build import build_index
from knngraph.index.exact import ExactIndex
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
    M, ef_construction, seed : int
        Of the index.
    n_threads, build_threads : int
    verbose : int
    """

    n_listed: int
    exact_up_to: float
    M: int
    ef_construction: int
    seed: int
    n_threads: int
    build_threads: int
    verbose: int


def place_rows(given: GivenRows, metric: str, settings: IndexSettings) -> PlacedRows:
    """Place the rows by a metric, as far as their neighbors need not be known.

    Parameters
    ----------
    metric : str
        As in `place_training_rows`.
    """
    placed = _placed(given, metric, settings, "single")
    if loses_digits(placed.space, given.X, placed.training):
        placed = _placed(given, metric, settings, "double")
    return placed


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
    rows = index_placed(placed, settings)
    if loses_digits(placed.space, given.X, placed.training, rows.neighbors):
        placed = _placed(given, metric, settings, "double")
        rows = index_placed(placed, settings)
    return rows


def index_placed(placed: PlacedRows, settings: IndexSettings) -> IndexedRows:
    """Index placed rows and list their neighbors, in the precision that they have."""
    training = placed.training
    index, search_recall = build_index(
        training.points,
        M=settings.M,
        ef_construction=settings.ef_construction,
        seed=settings.seed,
        n_threads=settings.build_threads,
        verbose=settings.verbose,
    )
    exact = training.weight <= settings.exact_up_to
    with stage("searching neighbors", training.n_nodes, settings.verbose) as searching:
        neighbors = nearest_others(
            ExactIndex(training.points) if exact else index,
            training.points,
            training.node_weights(),
            settings.n_listed,
            n_threads=settings.n_threads,
            advance=searching.advance,
        )
    return IndexedRows(
        placed.space,
        training,
        None,
        index,
        search_recall,
        neighbors,
        exact,
        placed.out_of_fold,
        solved=None,
    )


def _placed(
    given: GivenRows, metric: str, settings: IndexSettings, precision: str
) -> PlacedRows:
    n_rows = given.X.shape[0]
    with stage("placing rows", n_rows, settings.verbose) as placing:
        placed = place_training_rows(
            given.X,
            given.codes,
            given.n_classes,
            metric,
            given.row_weight,
            seed=settings.seed,
            precision=precision,
            n_threads=settings.n_threads,
        )
        placing.advance(n_rows)
    training = placed.training.with_class_weight(given.class_weight)
    return placed._replace(training=training)
