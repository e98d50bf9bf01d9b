"""Which queries a stored label answers at once."""

from dataclasses import dataclass

import numpy as np

from knngraph.graph.training_set import TrainingSet
from knngraph.index.medoids import MedoidWalk
from knngraph.index.protocol import SearchIndex
from knngraph.inference.adaptive import QueryProblem, in_one_layout, left_out_of
from knngraph.inference.candidates import through_lens
from knngraph.inference.stored import StoredAnswers


@dataclass(frozen=True)
class Decisions:
    """When a stored label is sure.

    Parameters
    ----------
    n_unanimous : int
        Number of nearest nodes whose rows settle it where they are all of its class.
    threshold : float
        Margin from which it is sure elsewhere; see `stored_margin`. Above 1 nothing
        is.
    sharpness : float
        How fast the votes of a margin fall with distance.
    """

    n_unanimous: int
    threshold: float
    sharpness: float


def n_nodes_around(n_neighbors: int) -> int:
    """Number of nodes around a query on which a margin is found."""
    return max(1, n_neighbors // 2)


def walk_and_decide(
    index: SearchIndex,
    training: TrainingSet,
    stored: StoredAnswers,
    decisions: Decisions,
    queries: np.ndarray,
    problem: QueryProblem,
    *,
    ef: int,
    n_threads: int = 1,
) -> tuple[np.ndarray, np.ndarray]:
    """Node that every query reaches, and whether its stored label answers.

    Parameters
    ----------
    index : SearchIndex
    training : TrainingSet
    stored : StoredAnswers
    decisions : Decisions
    queries : ndarray of shape (n_queries, n_features), float32
    problem : QueryProblem
    ef : int
        Width of the beam.
    n_threads : int, default=1

    Returns
    -------
    nodes : ndarray of shape (n_queries,), intp
    decided : ndarray of shape (n_queries,), bool
    """
    if decisions.threshold > 1.0:
        nowhere = np.zeros(len(queries), dtype=np.intp)
        return nowhere, np.zeros(len(queries), dtype=bool)
    k = n_nodes_around(problem.n_neighbors)
    ids, squared, decided = _nodes_around(
        index, training, stored, decisions, queries, k, ef=ef, n_threads=n_threads
    )
    nodes = ids[:, 0]
    codes = stored.codes[nodes]
    unsure = np.flatnonzero(~decided)
    if len(unsure):
        around = through_lens(problem, queries, ids, squared, k, unsure)
        margin = stored_margin(training, *around, codes[unsure], decisions.sharpness)
        decided[unsure] = margin >= decisions.threshold
    return nodes, decided


def _nodes_around(
    index: SearchIndex,
    training: TrainingSet,
    stored: StoredAnswers,
    decisions: Decisions,
    queries: np.ndarray,
    k: int,
    *,
    ef: int,
    n_threads: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Nodes around queries, and whether the nearest of them are unanimous.

    Where they are, only the first node of a query counts.
    """
    n_unanimous = decisions.n_unanimous
    if isinstance(index, MedoidWalk):
        ids, squared, agreed = index.nearest_unless_agreed(
            queries,
            k,
            n_agree=n_unanimous,
            stored=stored.codes,
            voices=training.node_voices(),
            ef=ef,
            n_threads=n_threads,
        )
    else:
        ids, squared = index.nearest(queries, k, ef=ef, n_threads=n_threads)
        agreed = np.zeros(len(queries), dtype=bool)
    # Who did not agree half way may do so in the end.
    rest = np.flatnonzero(~agreed)
    near, codes = ids[rest, :n_unanimous], stored.codes[ids[rest, 0]]
    agreed[rest] = unanimous(training, near, codes)
    return ids, squared, agreed


def unanimous(
    training: TrainingSet,
    ids: np.ndarray,
    codes: np.ndarray,
    left_out: np.ndarray | None = None,
) -> np.ndarray:
    """Whether all rows around queries are of a class.

    Parameters
    ----------
    training : TrainingSet
    ids : ndarray of shape (n_queries, k)
        Nodes around the queries; -1 ends a row.
    codes : ndarray of shape (n_queries,)
        Class of every query.
    left_out : ndarray of shape (n_queries,) or None
        Pair of which one row does not count.

    Returns
    -------
    ndarray of shape (n_queries,), bool
    """
    from knngraph.inference import _candidates

    agree = np.empty(len(ids), dtype=bool)
    _candidates.find_unanimous(
        *_rows_on(training),
        np.ascontiguousarray(ids),  # a slice would be compiled for anew
        left_out_of(ids, left_out),
        codes,
        agree,
    )
    return agree


def stored_margin(
    training: TrainingSet,
    ids: np.ndarray,
    squared: np.ndarray,
    codes: np.ndarray,
    sharpness: float,
    *,
    left_out: np.ndarray | None = None,
) -> np.ndarray:
    """How far the nodes around queries prefer the stored class to every other.

    Parameters
    ----------
    training : TrainingSet
    ids, squared : ndarray of shape (n_queries, k)
        Nodes around the queries, as the problem compares them; -1 ends a row.
    codes : ndarray of shape (n_queries,)
        Stored class of the node that every query reaches.
    sharpness : float
        See Notes.
    left_out : ndarray of shape (n_queries,) or None
        Pair of which one row must not vote.

    Returns
    -------
    ndarray of shape (n_queries,)
        Share of the stored class in the vote of these nodes, minus the largest share
        of another; between -1 and 1. Every given label is believed.

    Notes
    -----
    Node i at the distance d_i has the vote exp(-s (d_i - d_1) / d_k), its rows share
    it, and s is the sharpness.

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.graph.training_set import build_training_set
    >>> from knngraph.inference.cascade import stored_margin
    >>> rows = np.array([[0.0], [1.0], [3.0]], dtype=np.float32)
    >>> training = build_training_set(rows, np.array([0, 0, 1]), n_classes=2)
    >>> around = np.argsort(training.points[:, 0])[None]
    >>> squared = np.array([[0.01, 0.81, 8.41]])  # of a query at 0.1
    >>> stored_margin(training, around, squared, np.array([0]), 8.0).round(2)
    array([1.])
    """
    from knngraph.inference import _candidates

    margin = np.empty(len(ids))
    ids, squared = in_one_layout(ids, squared)
    _candidates.find_margins(
        *_rows_on(training),
        ids,
        left_out_of(ids, left_out),
        codes,
        squared,
        sharpness,
        np.zeros(training.n_classes),
        margin,
    )
    return margin


def _rows_on(training: TrainingSet) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which rows are on which node, as compiled code reads it."""
    return training.node_starts(), training.pair_code, training.pair_count
