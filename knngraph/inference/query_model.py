"""What queries are answered from, and the one search for each."""

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
from knngraph.inference.calibration import Calibration
from knngraph.inference.cascade import CascadeRule, search_and_resolve
from knngraph.inference.novelty import Novelty
from knngraph.inference.set_scores import SetScores
from knngraph.inference.stored import StoredAnswers
from knngraph.space import Space


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
        Queries with nearest nodes that do not agree: candidates vote on the class
        of those that are not resolved, and on the probabilities of all.
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

    @property
    def is_open(self) -> np.ndarray:
        """The open queries as a mask of shape (n_queries,)."""
        mask = np.zeros(len(self.nodes), dtype=bool)
        mask[self.open] = True
        return mask

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


def query_blocks(
    model: QueryModel, X: Any, n_threads: int, rows_each: int = 1
) -> Iterator[tuple[slice, np.ndarray]]:
    """Blocks of mapped rows, and where they are in `X`.

    Parameters
    ----------
    rows_each : int, default=1
        Votes on all classes that are held for every query: bounds the blocks.
    """
    largest = max(1, queries_per_block(model.training.n_classes) // rows_each)
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
