"""Answers of one block of queries, by the inferences of one machine on a patch."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from knngraph.distributed.collections import given_labels, numeric_rows
from knngraph.distributed.learn import fetch_patch
from knngraph.distributed.partition import Layout, Nodes, join_nodes
from knngraph.distributed.pilot import Shared
from knngraph.distributed.search import Lists, SearchOptions, nearest_over
from knngraph.distributed.tasks import Held, constant, items, task
from knngraph.inference.adaptive import LabelTrust, candidate_votes
from knngraph.inference.calibration import sharpen
from knngraph.inference.cascade import n_nodes_around, walk_and_decide
from knngraph.inference.stored import StoredAnswers, favor
from knngraph.space import Space, is_sparse


@dataclass(frozen=True)
class PartitionedModel:
    """A fitted model whose partitions lie on the cluster.

    Parameters
    ----------
    partitions : list of Delayed
        Persisted `Partition`.
    layout : Layout
    shared : Shared
    classes : ndarray of shape (n_classes,)
    """

    partitions: list[Any]
    layout: Layout
    shared: Shared
    classes: np.ndarray


@dataclass(frozen=True)
class AnswerOptions:
    """How queries are answered, from the parameters of the estimator.

    Parameters
    ----------
    inference : {"lookup", "adaptive", "cascade"}
    walk : {"hnsw", "medoids"}
    ef : int
    n_threads : int
    """

    inference: str
    walk: str
    ef: int
    n_threads: int


@dataclass(frozen=True)
class Stored(Held):
    """The stored answers, and the queries that need another.

    Parameters
    ----------
    codes : ndarray of shape (n_queries,)
    shares : ndarray of shape (n_queries, n_classes) or None
    unresolved : ndarray of shape (n_queries,), bool
    """

    codes: np.ndarray
    shares: np.ndarray | None
    unresolved: np.ndarray


@dataclass(frozen=True)
class _FoundLists:
    """Lists that were found already, as a search index that answers with them."""

    ids: np.ndarray
    squared: np.ndarray

    @property
    def n_points(self) -> int:
        return self.ids.shape[1]

    def nearest(
        self, queries: np.ndarray, k: int, *, ef: int = 1, n_threads: int = 1
    ) -> tuple[np.ndarray, np.ndarray]:
        return self.ids[:, :k], self.squared[:, :k]


def answers_of(
    model: PartitionedModel, options: AnswerOptions, *, probabilities: bool
) -> Callable[[Any], Any]:
    """From a block of the user's rows to the task that answers it.

    Parameters
    ----------
    model : PartitionedModel
    options : AnswerOptions
    probabilities : bool
        Whether to answer with probabilities instead of labels.

    Returns
    -------
    callable
    """
    space = constant(model.shared.space, name="space")
    lean = replace(  # tasks carry it
        model,
        partitions=[],
        shared=replace(model.shared, space=Space("euclidean", None, 1.0)),
    )

    def answer(block: Any) -> Any:
        map_block = partial(_map_queries, n_features=model.layout.n_features)
        queries = task(map_block, space, block, name="queries")
        stored = votes = None
        if options.inference != "adaptive":
            stored, queries = _read_stored(model, lean, options, queries, probabilities)
        if options.inference != "lookup":
            votes = _votes(model, lean, options, queries)
        finish = partial(_probabilities if probabilities else _labels, lean, options)
        return task(finish, stored, votes, name="answer")

    return answer


def count_right(answers: np.ndarray, given: Any) -> tuple[int, int]:
    """Right answers of a block, and all."""
    return int((answers == given_labels(given)).sum()), len(answers)


def _read_stored(
    model: PartitionedModel,
    lean: PartitionedModel,
    options: AnswerOptions,
    queries: Any,
    with_shares: bool,
) -> tuple[Any, Any]:
    """`Stored` answers of queries, and the queries that they leave unresolved."""
    cascade = options.inference == "cascade"
    k = n_nodes_around(model.shared.problem.n_neighbors) if cascade else 1
    found, nodes = _patch(model, options, queries, k, codes=True, shares=with_shares)
    read = partial(_stored_answers, lean, options)
    both = task(read, queries, found, nodes, name="stored")
    stored, unresolved = items(both, 2, name="stored")
    return stored, unresolved


def _votes(
    model: PartitionedModel,
    lean: PartitionedModel,
    options: AnswerOptions,
    queries: Any,
) -> Any:
    """Votes of the candidates of queries."""
    m = model.shared.problem.n_neighbors
    found, nodes = _patch(model, options, queries, m, points=True, reliability=True)
    vote = partial(_candidate_votes, lean, options.n_threads)
    return task(vote, found, nodes, name="vote")


def _patch(
    model: PartitionedModel, options: AnswerOptions, queries: Any, k: int, **what: bool
) -> tuple[Any, list[Any]]:
    """The nodes around queries, and what lies on them."""
    search = SearchOptions(
        max(options.ef, k, 2 * k if what.get("points") else 0),
        walk=options.walk,
        n_threads=options.n_threads,
    )
    found = nearest_over(model.partitions, queries, k, model.layout, search)
    wanted = task(partial(_wanted, model.layout), found, name="wanted")
    return found, fetch_patch(model.partitions, wanted, model.layout, **what)


def _map_queries(space: Space, block: Any, n_features: int) -> np.ndarray:
    rows = numeric_rows(block)
    if rows.shape[1] != n_features:
        raise ValueError(
            f"X has {rows.shape[1]} features, but DaskKNNGraphClassifier is expecting "
            f"{n_features} features as input."
        )
    return space.map_rows(rows)


def _wanted(layout: Layout, found: Lists) -> list[np.ndarray]:
    return layout.split(np.unique(found.ids))


def _stored_answers(
    model: PartitionedModel,
    options: AnswerOptions,
    queries: np.ndarray,
    found: Lists,
    fetched: list[Nodes],
) -> tuple[Stored, np.ndarray]:
    nodes, shared = join_nodes(fetched), model.shared
    ids = np.searchsorted(nodes.ids, found.ids)
    codes = nodes.codes if nodes.codes is not None else np.empty(0, dtype=np.intp)
    reached, unresolved = ids[:, 0], np.zeros(len(ids), dtype=bool)
    if options.inference == "cascade":
        reached, resolved = walk_and_decide(
            _FoundLists(ids, found.squared),
            nodes.training_set(len(model.classes)),
            StoredAnswers(codes, np.arange(len(codes)), None),
            shared.decisions,
            queries,
            shared.problem,
            ef=options.ef,
            n_threads=options.n_threads,
        )
        unresolved = ~resolved
    shares = nodes.shares
    if shares is not None:
        shares = shares[reached]
        shares = shares.toarray() if is_sparse(shares) else shares
    return Stored(codes[reached], shares, unresolved), queries[unresolved]


def _candidate_votes(
    model: PartitionedModel, n_threads: int, found: Lists, fetched: list[Nodes]
) -> np.ndarray:
    nodes, shared = join_nodes(fetched), model.shared
    trust = None
    if shared.noise > 0.0 or shared.nugget_factor != 1.0:
        own, rival = nodes.own, nodes.rival
        if own is None or rival is None:  # all labels count
            own, rival = np.empty(0), np.empty(0, dtype=np.int32)
        trust = LabelTrust(own, rival, shared.noise, shared.nugget_factor)
    return candidate_votes(
        nodes.training_set(len(model.classes)),
        np.searchsorted(nodes.ids, found.ids),
        found.squared,
        shared.problem,
        trust=trust,
        n_threads=n_threads,
    )


def _labels(
    model: PartitionedModel,
    options: AnswerOptions,
    stored: Stored | None,
    votes: np.ndarray | None,
) -> np.ndarray:
    if stored is None:
        assert votes is not None
        codes = votes.argmax(axis=1)
    else:
        codes = stored.codes.copy()
        if votes is not None:
            codes[stored.unresolved] = votes.argmax(axis=1)
    labels: np.ndarray = model.classes[codes]
    return labels


def _probabilities(
    model: PartitionedModel,
    options: AnswerOptions,
    stored: Stored | None,
    votes: np.ndarray | None,
) -> np.ndarray:
    """Probability of every class, the largest that of the label."""
    calibration, by_vote = model.shared.calibration, None
    if votes is not None:
        by_vote = favor(sharpen(votes, calibration.adaptive), votes.argmax(axis=1))
    if stored is None:
        assert by_vote is not None
        return by_vote
    cascade = options.inference == "cascade"
    exponent = calibration.decided if cascade else calibration.stored
    assert stored.shares is not None
    probabilities = favor(sharpen(stored.shares, exponent), stored.codes)
    if by_vote is not None:
        probabilities[stored.unresolved] = by_vote
    return probabilities
