"""Which queries a cascade resolves by the stored label of the nearest node."""

from dataclasses import dataclass

import numpy as np

from knngraph.graph.training_set import TrainingSet
from knngraph.index.medoids import MedoidSearch
from knngraph.index.protocol import SearchIndex, ef_for
from knngraph.inference.adaptive import QueryProblem, in_one_layout, left_out_of


@dataclass(frozen=True)
class CascadeRule:
    """When the stored label of the nearest node resolves a query.

    Parameters
    ----------
    n_agree : int
        Number of nearest nodes that resolve it where all rows on them have the
        stored class.
    threshold : float
        Margin that resolves it elsewhere; see `stored_margin`. Above 1 none does.
    sharpness : float
        How fast the votes of a margin fall with distance.
    """

    n_agree: int
    threshold: float
    sharpness: float


def n_margin_nodes(n_neighbors: int) -> int:
    """Number of nearest nodes that a margin is computed from."""
    return max(1, n_neighbors // 2)


def search_and_resolve(
    index: SearchIndex,
    training: TrainingSet,
    stored_codes: np.ndarray,
    rule: CascadeRule,
    queries: np.ndarray,
    problem: QueryProblem,
    *,
    ef: int,
    n_threads: int = 1,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Candidates of every query, and whether the stored label answers it.

    One search serves both: it ends early where the nearest nodes agree, and
    otherwise finds the candidates of the problem at the query.

    Parameters
    ----------
    stored_codes : ndarray of shape (n_nodes,)
        Stored class of every node.
    queries : ndarray of shape (n_queries, n_features), float32
    ef : int
        `ef` of the search; at least twice the number of candidates is used.

    Returns
    -------
    ids, squared : ndarray of shape (n_queries, m)
        Nearest first. Where the nearest nodes agree only the first counts.
    agreed : ndarray of shape (n_queries,), bool
        Whether all rows on the nearest nodes have the stored class.
    resolved : ndarray of shape (n_queries,), bool
        Whether they agree or the margin is large enough.
    """
    m = problem.n_neighbors
    wide = max(ef_for(m), ef)
    k = n_margin_nodes(m)
    agreed = np.zeros(len(queries), dtype=bool)
    if rule.threshold > 1.0:
        ids, squared = index.nearest(queries, m, ef=wide, n_threads=n_threads)
        return ids, squared, agreed, agreed
    # An `ef` above k was measured to be needed, or asked for: no early end then.
    if isinstance(index, MedoidSearch) and ef <= k:
        ids, squared, agreed = index.nearest_unless_agreed(
            queries,
            m,
            n_agree=rule.n_agree,
            stored=stored_codes,
            node_classes=training.node_classes(),
            ef=wide,
            early_ef=k,
            n_threads=n_threads,
        )
    else:
        ids, squared = index.nearest(queries, m, ef=wide, n_threads=n_threads)
    # Nodes that did not agree half way may do so at the end.
    rest = np.flatnonzero(~agreed)
    near, codes = ids[rest, : rule.n_agree], stored_codes[ids[rest, 0]]
    agreed[rest] = all_agree(training, near, codes)
    resolved, rest = agreed.copy(), np.flatnonzero(~agreed)
    if len(rest):
        codes = stored_codes[ids[rest, 0]]
        margin = stored_margin(
            training, ids[rest, :k], squared[rest, :k], codes, rule.sharpness
        )
        resolved[rest] = margin >= rule.threshold
    return ids, squared, agreed, resolved


def all_agree(
    training: TrainingSet,
    ids: np.ndarray,
    codes: np.ndarray,
    left_out: np.ndarray | None = None,
) -> np.ndarray:
    """Whether all rows on the nodes of every query have one class.

    Parameters
    ----------
    ids : ndarray of shape (n_queries, k)
        Nearest nodes of the queries; -1 ends a row.
    codes : ndarray of shape (n_queries,)
        Class of every query.
    left_out : ndarray of shape (n_queries,) or None
        Pair of which one row does not count.

    Returns
    -------
    ndarray of shape (n_queries,), bool
    """
    from knngraph.inference import _cascade

    agree = np.empty(len(ids), dtype=bool)
    _cascade.find_agreeing(
        *rows_on(training),
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
    """Lead of the stored class over every other in a vote of the nearest nodes.

    Parameters
    ----------
    ids, squared : ndarray of shape (n_queries, k)
        Nearest nodes of the queries; -1 ends a row.
    codes : ndarray of shape (n_queries,)
        Stored class of the node that every query reaches.
    sharpness : float
        See Notes.
    left_out : ndarray of shape (n_queries,) or None
        Pair of which one row does not vote.

    Returns
    -------
    ndarray of shape (n_queries,)
        Share of the stored class in the vote of these nodes, minus the largest share
        of another; between -1 and 1. Every given label has its whole vote.

    Notes
    -----
    Node i at the distance d_i has the vote exp(-s (d_i - d_1) / d_k), its rows share
    it, and s is the sharpness. With weights of classes, the votes of a class are
    multiplied by its weight.

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.graph.training_set import build_training_set
    >>> from knngraph.inference.cascade import stored_margin
    >>> rows = np.array([[0.0], [1.0], [3.0]], dtype=np.float32)
    >>> training = build_training_set(rows, np.array([0, 0, 1]), n_classes=2)
    >>> nearest = np.argsort(training.points[:, 0])[None]
    >>> squared = np.array([[0.01, 0.81, 8.41]])  # of a query at 0.1
    >>> stored_margin(training, nearest, squared, np.array([0]), 8.0).round(2)
    array([1.])
    """
    from knngraph.inference import _cascade

    margin, class_weight = np.empty(len(ids)), training.class_weight
    ids, squared = in_one_layout(ids, squared)
    _cascade.find_margins(
        *rows_on(training),
        ids,
        left_out_of(ids, left_out),
        codes,
        squared,
        sharpness,
        np.ones(training.n_classes) if class_weight is None else class_weight,
        np.zeros(training.n_classes),
        margin,
    )
    return margin


def rows_on(training: TrainingSet) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which rows are on which node, as compiled code reads it."""
    return training.node_starts(), training.pair_code, training.pair_weight
