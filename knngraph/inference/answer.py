"""Answer queries block by block: by lookup, by the adaptive vote, or by a cascade."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from knngraph.graph.training_set import TrainingSet
from knngraph.index.protocol import SearchIndex
from knngraph.inference.adaptive import (
    LabelReliability,
    QueryProblem,
    candidate_votes,
    queries_per_block,
    search_candidates,
)
from knngraph.inference.calibration import Calibration, sharpen
from knngraph.inference.cascade import CascadeRule, search_and_resolve
from knngraph.inference.stored import StoredAnswers
from knngraph.space import Space, is_sparse


@dataclass(frozen=True)
class PredictOptions:
    """How queries are answered, from the present parameters of the estimator.

    Parameters
    ----------
    inference : {"lookup", "adaptive", "cascade"}
    ef : int
        Of a lookup's search; the least `ef` of a search for candidates.
    n_threads : int
    """

    inference: str
    ef: int
    n_threads: int


@dataclass(frozen=True)
class QueryModel:
    """What answers are read from: the part of a fitted model that queries need.

    Parameters
    ----------
    space : Space
        Map from the rows of the user to those of the index.
    training : TrainingSet
    index : SearchIndex
        Over the nodes of `training`.
    problem : QueryProblem
    stored : StoredAnswers or None
        None for "adaptive", which does not read it.
    reliability : LabelReliability or None
        None gives every label the whole vote of its row.
    rule : CascadeRule or None
        None unless a cascade is used.
    calibration : Calibration or None
        None where only classes are computed.
    """

    space: Space
    training: TrainingSet
    index: SearchIndex
    problem: QueryProblem
    stored: StoredAnswers | None
    reliability: LabelReliability | None
    rule: CascadeRule | None
    calibration: Calibration | None


@dataclass(frozen=True)
class Found:
    """What the search for some queries found.

    Parameters
    ----------
    nodes : ndarray of shape (n_queries,)
        Nearest node.
    unresolved : ndarray of shape (n_unresolved,)
        Queries that the stored label does not answer.
    ids, squared : ndarray of shape (n_unresolved, m)
        Candidates of these.
    """

    nodes: np.ndarray
    unresolved: np.ndarray
    ids: np.ndarray
    squared: np.ndarray


def answer_codes(model: QueryModel, options: PredictOptions, X: Any) -> np.ndarray:
    """Class of every query.

    Parameters
    ----------
    model : QueryModel
    options : PredictOptions
    X : ndarray or CSR of shape (n_queries, n_features)

    Returns
    -------
    ndarray of shape (n_queries,), intp
    """
    codes = np.empty(X.shape[0], dtype=np.intp)
    for block, queries in query_blocks(model, X):
        codes[block] = mapped_codes(model, options, queries)
    return codes


def mapped_codes(
    model: QueryModel, options: PredictOptions, queries: np.ndarray
) -> np.ndarray:
    """Class of every query of one block of mapped rows; see `answer_codes`."""
    found = search(model, options, queries)
    if len(found.unresolved) == len(queries):
        return candidate_answers(model, options, found).argmax(axis=1)
    assert model.stored is not None
    codes = model.stored.codes[found.nodes]
    if len(found.unresolved):
        votes = candidate_answers(model, options, found)
        codes[found.unresolved] = votes.argmax(axis=1)
    return codes


def answer_probabilities(
    model: QueryModel, options: PredictOptions, X: Any
) -> np.ndarray:
    """Probability of every class for every query.

    Parameters
    ----------
    model : QueryModel
    options : PredictOptions
    X : ndarray or CSR of shape (n_queries, n_features)

    Returns
    -------
    ndarray of shape (n_queries, n_classes)
        The largest entry of a row is the class of `answer_codes`.
    """
    probabilities = np.empty((X.shape[0], model.training.n_classes))
    calibration = model.calibration
    assert calibration is not None
    cascade = options.inference == "cascade"
    exponent = calibration.resolved if cascade else calibration.stored
    for block, queries in query_blocks(model, X):
        found = search(model, options, queries)
        answers = probabilities[block]
        if len(found.unresolved):
            votes = candidate_answers(model, options, found)
            # Votes that differ in the last digit may do so no longer.
            shares = sharpen(votes, calibration.adaptive)
            answers[found.unresolved] = favor(shares, votes.argmax(axis=1))
        if len(found.unresolved) < len(queries):
            assert model.stored is not None
            resolved = np.delete(np.arange(len(queries)), found.unresolved)
            nodes = found.nodes[resolved]
            shares = sharpen(stored_shares(model.stored, nodes), exponent)
            answers[resolved] = favor(shares, model.stored.codes[nodes])
    return probabilities


def resolved_by_lookup(
    model: QueryModel, options: PredictOptions, X: Any
) -> np.ndarray:
    """Whether the stored label of a node answers a query.

    Returns
    -------
    ndarray of shape (n_queries,), bool
    """
    resolved = np.ones(X.shape[0], dtype=bool)
    for block, queries in query_blocks(model, X):
        resolved[block][search(model, options, queries).unresolved] = False
    return resolved


def query_blocks(model: QueryModel, X: Any) -> Iterator[tuple[slice, np.ndarray]]:
    """Blocks of mapped rows, and where they are in `X`."""
    largest = queries_per_block(model.training.n_classes)
    for start, stop in model.space.blocks(X, largest):
        yield slice(start, stop), model.space.map_block(X[start:stop])


def search(model: QueryModel, options: PredictOptions, queries: np.ndarray) -> Found:
    """One search for every query: the nearest node, or all candidates."""
    if options.inference == "lookup":
        ids, squared = model.index.nearest(
            queries, 1, ef=options.ef, n_threads=options.n_threads
        )
        none = np.empty(0, dtype=np.intp)
        return Found(ids[:, 0], none, ids[:0], squared[:0])
    if options.inference == "adaptive":
        ids, squared = search_candidates(
            model.index,
            queries,
            model.problem,
            ef=options.ef,
            n_threads=options.n_threads,
        )
        return Found(ids[:, 0], np.arange(len(queries)), ids, squared)
    assert model.stored is not None
    assert model.rule is not None
    ids, squared, resolved = search_and_resolve(
        model.index,
        model.training,
        model.stored.codes,
        model.rule,
        queries,
        model.problem,
        ef=options.ef,
        n_threads=options.n_threads,
    )
    unresolved = np.flatnonzero(~resolved)
    return Found(ids[:, 0], unresolved, ids[unresolved], squared[unresolved])


def candidate_answers(
    model: QueryModel, options: PredictOptions, found: Found
) -> np.ndarray:
    """Votes at the unresolved queries, of shape (n_unresolved, n_classes)."""
    return candidate_votes(
        model.training,
        found.ids,
        found.squared,
        model.problem,
        reliability=model.reliability,
        n_threads=options.n_threads,
    )


def stored_shares(stored: StoredAnswers, nodes: np.ndarray) -> np.ndarray:
    """Shares of the vote on some nodes, of shape (n, n_classes)."""
    shares = stored.shares[nodes]
    return shares.toarray() if is_sparse(shares) else shares


def favor(shares: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Let a class that is tied, or short by rounding, win by the last digit.

    Parameters
    ----------
    shares : ndarray of shape (n, n_classes)
        Changed in place.
    codes : ndarray of shape (n,)
        The class that has to have the largest share of a row.

    Returns
    -------
    ndarray of shape (n, n_classes)
    """
    tied = np.flatnonzero(shares.argmax(axis=1) != codes)
    shares[tied, codes[tied]] = np.nextafter(shares[tied].max(axis=1), 2.0)
    return shares
