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
from knngraph.inference.cascade import (
    CascadeRule,
    n_margin_nodes,
    search_and_resolve,
)
from knngraph.inference.near_votes import near_votes
from knngraph.inference.novelty import Novelty
from knngraph.inference.set_scores import SetScores
from knngraph.inference.stored import StoredAnswers
from knngraph.space import Space
from knngraph.sparse_rows import as_dense


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
    novelty : Novelty or None, default=None
        None where nothing is said of how unlike the training rows a query is.
    sets : SetScores or None, default=None
        None where no prediction sets are computed.
    """

    space: Space
    training: TrainingSet
    index: SearchIndex
    problem: QueryProblem
    stored: StoredAnswers | None
    reliability: LabelReliability | None
    rule: CascadeRule | None
    calibration: Calibration | None
    novelty: Novelty | None = None
    sets: SetScores | None = None


@dataclass(frozen=True)
class Found:
    """What the search for some queries found.

    Parameters
    ----------
    nodes : ndarray of shape (n_queries,)
        Nearest node.
    resolved : ndarray of shape (n_queries,), bool
        Whether the stored label of that node is the answer.
    open : ndarray of shape (n_open,)
        Queries whose nearest nodes do not agree: candidates vote on the class of
        those that are not resolved, and on the probabilities of all.
    ids, squared : ndarray of shape (n_queries, m)
        Nodes that were found, nearest first: candidates of the open queries, fewer
        of others, in rows that -1 may end.
    left_out : ndarray of shape (n_queries,) or None
        Pairs of which one row does not vote; None for queries that are new.
    """

    nodes: np.ndarray
    resolved: np.ndarray
    open: np.ndarray
    ids: np.ndarray
    squared: np.ndarray
    left_out: np.ndarray | None = None

    def votes(
        self,
        model: QueryModel,
        n_threads: int,
        some: slice | np.ndarray,
        shares: np.ndarray | None = None,
    ) -> np.ndarray:
        """Votes of candidates at some queries; `shares` as in `candidate_votes`."""
        return candidate_votes(
            model.training,
            self.ids[some],
            self.squared[some],
            model.problem,
            reliability=model.reliability,
            left_out=None if self.left_out is None else self.left_out[some],
            shares=shares,
            n_threads=n_threads,
        )


def answer_codes(model: QueryModel, options: PredictOptions, X: Any) -> np.ndarray:
    """Class of every query.

    Parameters
    ----------
    X : ndarray or CSR of shape (n_queries, n_features)

    Returns
    -------
    ndarray of shape (n_queries,), intp
    """
    codes = np.empty(X.shape[0], dtype=np.intp)
    for block, queries in query_blocks(model, X, options.n_threads):
        codes[block] = mapped_codes(model, options, queries)
    return codes


def mapped_codes(
    model: QueryModel, options: PredictOptions, queries: np.ndarray
) -> np.ndarray:
    """Class of every query of one block of mapped rows; see `answer_codes`."""
    found = search(model, options, queries)
    if options.inference == "adaptive":
        return found.votes(model, options.n_threads, slice(None)).argmax(axis=1)
    assert model.stored is not None
    codes = model.stored.codes[found.nodes]
    unresolved = np.flatnonzero(~found.resolved)
    if len(unresolved):
        votes = found.votes(model, options.n_threads, unresolved)
        codes[unresolved] = votes.argmax(axis=1)
    return codes


def answer_probabilities(
    model: QueryModel,
    options: PredictOptions,
    X: Any,
    nearest: tuple[np.ndarray, np.ndarray] | None = None,
) -> np.ndarray:
    """Probability of every class for every query.

    Parameters
    ----------
    X : ndarray or CSR of shape (n_queries, n_features)
    nearest : tuple of ndarray, or None, default=None
        Into which the nearest nodes and their squared distances are written; see
        `nearest_nodes`.

    Returns
    -------
    ndarray of shape (n_queries, n_classes)
        The largest entry of a row is the class of `answer_codes`. Where the nearest
        nodes of a cascade agree, the shares are those of a vote of the nodes that its
        search has met; where they do not, of the candidates' vote, even if a margin
        resolves the query. Those of a lookup are stored on the node that it ends at.
    """
    probabilities = np.empty((X.shape[0], model.training.n_classes))
    for block, queries in query_blocks(model, X, options.n_threads):
        found = search(model, options, queries)
        if nearest is not None:
            nearest[0][block], nearest[1][block] = found.nodes, found.squared[:, 0]
        probabilities[block] = found_probabilities(model, options, found)
    return probabilities


def found_probabilities(
    model: QueryModel,
    options: PredictOptions,
    found: Found,
    shares: np.ndarray | None = None,
) -> np.ndarray:
    """Probabilities at the queries of one search; see `answer_probabilities`.

    Parameters
    ----------
    shares : ndarray of the shape of `found.ids`, or None
        Zeros, into which shares of the vote of candidates are written.
    """
    calibration = model.calibration
    assert calibration is not None
    answers = np.empty((len(found.nodes), model.training.n_classes))
    some = found.open
    if len(some):
        of_some = None if shares is None else np.zeros((len(some), shares.shape[1]))
        votes = found.votes(model, options.n_threads, some, of_some)
        if shares is not None:
            shares[some] = of_some
        codes = votes.argmax(axis=1)
        if model.stored is not None:
            stored = model.stored.codes[found.nodes[some]]
            codes = np.where(found.resolved[some], stored, codes)
        # Votes that differ in the last digit may do so no longer.
        answers[some] = favor(sharpen(votes, calibration.adaptive), codes)
    some = np.delete(np.arange(len(answers)), some)
    if len(some):
        assert model.stored is not None
        nodes = found.nodes[some]
        if options.inference == "cascade":
            k = n_margin_nodes(model.problem.n_neighbors)
            votes = near_votes(
                model.training,
                found.ids[some, :k],
                found.squared[some, :k],
                n_threads=options.n_threads,
            )
            sharpened = sharpen(votes, calibration.agreed, calibration.agreed_floor)
        else:
            votes = as_dense(model.stored.shares[nodes])
            sharpened = sharpen(votes, calibration.stored, calibration.stored_floor)
        answers[some] = favor(sharpened, model.stored.codes[nodes])
    return answers


def resolved_by_lookup(
    model: QueryModel, options: PredictOptions, X: Any
) -> np.ndarray:
    """Whether the stored label of a node answers a query.

    Returns
    -------
    ndarray of shape (n_queries,), bool
    """
    resolved = np.empty(X.shape[0], dtype=bool)
    for block, queries in query_blocks(model, X, options.n_threads):
        resolved[block] = search(model, options, queries).resolved
    return resolved


def nearest_nodes(
    model: QueryModel, options: PredictOptions, X: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Nearest node of every query, as the search for its answer finds it.

    Returns
    -------
    nodes : ndarray of shape (n_queries,)
    squared : ndarray of shape (n_queries,)
        Squared distances, in mapped units.
    """
    nodes, squared = np.empty(X.shape[0], dtype=np.intp), np.empty(X.shape[0])
    for block, queries in query_blocks(model, X, options.n_threads):
        found = search(model, options, queries)
        nodes[block], squared[block] = found.nodes, found.squared[:, 0]
    return nodes, squared


def query_blocks(
    model: QueryModel, X: Any, n_threads: int
) -> Iterator[tuple[slice, np.ndarray]]:
    """Blocks of mapped rows, and where they are in `X`."""
    largest = queries_per_block(model.training.n_classes)
    for start, stop in model.space.blocks(X, largest):
        block = X[start:stop]
        yield slice(start, stop), model.space.map_block(block, n_threads=n_threads)


def search(model: QueryModel, options: PredictOptions, queries: np.ndarray) -> Found:
    """One search for every query: the nearest node, or all candidates."""
    if options.inference == "lookup":
        ids, squared = model.index.nearest(
            queries, 1, ef=options.ef, n_threads=options.n_threads
        )
        resolved, none = np.ones(len(queries), dtype=bool), np.empty(0, dtype=np.intp)
        return Found(ids[:, 0], resolved, none, ids, squared)
    if options.inference == "adaptive":
        ids, squared = search_candidates(
            model.index,
            queries,
            model.problem,
            ef=options.ef,
            n_threads=options.n_threads,
        )
        resolved = np.zeros(len(queries), dtype=bool)
        every = np.arange(len(queries))
        return Found(ids[:, 0], resolved, every, ids, squared)
    assert model.stored is not None
    assert model.rule is not None
    ids, squared, agreed, resolved = search_and_resolve(
        model.index,
        model.training,
        model.stored.codes,
        model.rule,
        queries,
        model.problem,
        ef=options.ef,
        n_threads=options.n_threads,
    )
    rest = np.flatnonzero(~agreed)
    return Found(ids[:, 0], resolved, rest, ids, squared)


def favor(shares: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Let a class that is behind win by the last digit.

    Parameters
    ----------
    shares : ndarray of shape (n, n_classes)
        Changed in place.
    codes : ndarray of shape (n,)
        The class that has to have the largest share of a row: it is raised to the
        largest, and all are divided by their sum.

    Returns
    -------
    ndarray of shape (n, n_classes)
    """
    behind = np.flatnonzero(shares.argmax(axis=1) != codes)
    if len(behind):
        raised, own = shares[behind], (np.arange(len(behind)), codes[behind])
        raised[own] = raised.max(axis=1)
        raised /= raised.sum(axis=1, keepdims=True)
        raised[own] = np.nextafter(raised.max(axis=1), 2.0)
        shares[behind] = raised
    return shares
