"""The tasks of predict: one block of queries asks the partitions."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from knngraph.distributed.answering import (
    First,
    ask_stored,
    decide,
    fetch_fitted,
    final_codes,
    final_probabilities,
    first_answers,
    nobody_answered,
    search_fitted,
    votes_of,
    wanted_candidates,
)
from knngraph.distributed.blocks import given_labels, numeric_rows
from knngraph.distributed.layout import Layout, ask_partitions, fetch_from
from knngraph.distributed.partition import join_nodes
from knngraph.distributed.searching import merge_found
from knngraph.distributed.tasks import items, task
from knngraph.distributed.thresholds import Thresholds
from knngraph.index.protocol import ef_for
from knngraph.inference.adaptive import n_listed_for
from knngraph.inference.cascade import n_nodes_around
from knngraph.inference.model import Reading
from knngraph.space import Space


@dataclass(frozen=True)
class DistributedModel:
    """A fitted model whose partitions lie on the cluster.

    Parameters
    ----------
    space : Space
    fitted : list of Delayed
        Persisted `FittedPartition`.
    lens : Delayed or None
        Persisted `SharedLens`.
    layout : Layout
    thresholds : Thresholds
    classes : ndarray of shape (n_classes,)
    walk : {"hnsw", "medoids"}
        Of the queries, in every partition.
    """

    space: Space
    fitted: list[Any]
    lens: Any
    layout: Layout
    thresholds: Thresholds
    classes: np.ndarray
    walk: str


def labels_of_block(model: DistributedModel, reading: Reading, block: Any) -> Any:
    """Labels of one block of the user's rows, as a task."""
    finish = partial(_labels, classes=model.classes)
    return _answer(model, reading, block, finish, with_shares=False)


def probabilities_of_block(
    model: DistributedModel, reading: Reading, block: Any
) -> Any:
    """Probabilities of one block of the user's rows, as a task."""
    calibration = model.thresholds.calibration
    cascade = reading.inference == "cascade"
    finish = partial(
        final_probabilities,
        n_classes=len(model.classes),
        adaptive_exponent=calibration.adaptive,
        stored_exponent=calibration.decided if cascade else calibration.stored,
    )
    return _answer(model, reading, block, finish, with_shares=True)


def count_right(answers: np.ndarray, given: Any) -> tuple[int, int]:
    """Right answers of a block, and all."""
    return int((answers == given_labels(given)).sum()), len(answers)


def _answer(
    model: DistributedModel,
    reading: Reading,
    block: Any,
    finish: Callable[..., np.ndarray],
    *,
    with_shares: bool,
) -> Any:
    map_block = partial(_map_queries, model.space, model.layout.n_features)
    queries = task(map_block, block, name="queries")
    cascade, decisions = reading.inference == "cascade", model.thresholds.decisions
    if reading.inference == "adaptive" or (cascade and decisions.threshold > 1.0):
        first = task(nobody_answered, queries, name="first")
        return task(finish, first, _votes(model, reading, queries), name="answer")
    k = n_nodes_around(reading.problem.n_neighbors) if cascade else 1
    reached = _ask(
        partial(ask_stored, with_shares=with_shares), model, reading, queries, k, k
    )
    read = partial(
        first_answers,
        offsets=model.layout.offsets,
        k=k,
        n_unanimous=decisions.n_unanimous if cascade else None,
        n_classes=len(model.classes),
    )
    first, around = items(task(read, reached, queries, name="first"), 2, name="first")
    if not cascade:
        return task(finish, first, name="answer")
    known = task(join_nodes, _fetch(model, around), name="known")
    settle = partial(
        decide,
        problem=reading.problem,
        decisions=decisions,
        n_classes=len(model.classes),
    )
    first = task(settle, first, around, known, queries, model.lens, name="decide")
    slow = task(_slow_queries, queries, first, name="slow")
    return task(finish, first, _votes(model, reading, slow, known), name="answer")


def _votes(
    model: DistributedModel, reading: Reading, queries: Any, known: Any = None
) -> Any:
    """Votes of the candidates that the partitions find."""
    m, chosen = reading.problem.n_neighbors, model.thresholds.chosen
    k = m if model.lens is None else n_listed_for(m)
    found = _ask(search_fitted, model, reading, queries, k, ef_for(k))
    merged = task(
        partial(
            merge_found,
            offsets=model.layout.offsets,
            k=k,
            m=None if model.lens is None else m,
        ),
        found,
        queries,
        name="nearest",
    )
    vote = partial(
        votes_of,
        problem=reading.problem,
        believing=None if chosen is None else (chosen.noise, chosen.nugget_factor),
        n_classes=len(model.classes),
        n_threads=reading.n_threads,
    )
    fetched = _fetch(model, merged, known)
    return task(vote, merged, fetched, model.lens, known, name="vote")


def _ask(
    ask: Callable[..., Any],
    model: DistributedModel,
    reading: Reading,
    queries: Any,
    k: int,
    least_beam: int,
) -> list[Any]:
    """What the partitions find around queries."""
    ask = partial(
        ask,
        offsets=model.layout.offsets,
        k=k,
        ef=max(least_beam, reading.ef),
        exact=False,
        n_threads=reading.n_threads,
        walk=model.walk,
    )
    return ask_partitions(
        lambda number: partial(ask, number=number),
        [(part,) for part in model.fitted],
        queries,
        model.layout,
        k,
        name="search",
    )


def _fetch(model: DistributedModel, merged: Any, known: Any = None) -> list[Any]:
    """The nodes found, with coordinates, but for those that are known."""
    offsets = model.layout.offsets
    wanted = task(
        partial(wanted_candidates, offsets=offsets), merged, known, name="wanted"
    )
    return fetch_from(
        lambda number: partial(fetch_fitted, number=number, offsets=offsets),
        [(part,) for part in model.fitted],
        wanted,
        model.layout,
        name="fetch",
    )


def _map_queries(space: Space, n_features: int, block: Any) -> np.ndarray:
    rows = numeric_rows(block)
    if rows.shape[1] != n_features:
        raise ValueError(
            f"X has {rows.shape[1]} features, but DaskKNNGraphClassifier is expecting "
            f"{n_features} features as input."
        )
    return space.map_rows(rows)


def _slow_queries(queries: np.ndarray, first: First) -> np.ndarray:
    return queries[first.slow]


def _labels(
    first: First, votes: np.ndarray | None = None, *, classes: np.ndarray
) -> np.ndarray:
    labels: np.ndarray = classes[final_codes(first, votes)]
    return labels
