"""Who takes part in the problem at a query, and at a row that is left out."""

import numpy as np

from knngraph.graph.kernel import neighbors_bandwidth
from knngraph.graph.neighbors import Neighbors
from knngraph.graph.training_set import TrainingSet
from knngraph.index.protocol import SearchIndex, beam_for
from knngraph.inference.adaptive import QueryProblem, in_one_layout
from knngraph.lens import Lens

# Rows that a bandwidth behind a lens is measured on.
BANDWIDTH_ROWS = 5000


def search_candidates(
    index: SearchIndex,
    queries: np.ndarray,
    problem: QueryProblem,
    *,
    ef: int | None = None,
    n_threads: int = 1,
) -> tuple[np.ndarray, np.ndarray]:
    """Candidates of every query: the nearest nodes, or the nearest through the lens.

    The beam is at least twice as wide as the number of nodes that are searched.

    Parameters
    ----------
    index : SearchIndex
    queries : ndarray of shape (n_queries, n_features), float32
    problem : QueryProblem
    ef : int or None, default=None
        Least width of the beam.
    n_threads : int, default=1

    Returns
    -------
    ids, squared : ndarray of shape (n_queries, m)
        Nearest first, squared distances through the lens where there is one.
    """
    beam = max(beam_for(problem.n_searched), ef or 1)
    ids, squared = index.nearest(
        queries, problem.n_searched, ef=beam, n_threads=n_threads
    )
    return through_lens(problem, queries, ids, squared, problem.n_neighbors)


def through_lens(
    problem: QueryProblem,
    queries: np.ndarray,
    ids: np.ndarray,
    squared: np.ndarray,
    m: int,
    some: np.ndarray | slice = slice(None),
) -> tuple[np.ndarray, np.ndarray]:
    """The `m` nearest of some nodes, as the problem compares them.

    Parameters
    ----------
    problem : QueryProblem
    queries : ndarray of shape (n_queries, n_features), float32
    ids, squared : ndarray of shape (n_queries, k)
        Nodes, nearest first, and their squared distances in the index.
    m : int
    some : ndarray of int or slice, default=all
        Which queries; without a lens none of their features is copied.

    Returns
    -------
    ids, squared : ndarray of shape (n_some, min(k, m))
    """
    lens = problem.lens
    if lens is None:
        return ids[some, :m], squared[some, :m]
    seen = lens.through(queries[some])
    return nearest_through(lens, seen, ids[some], squared[some], m)


def nearest_through(
    lens: Lens, seen: np.ndarray, ids: np.ndarray, squared: np.ndarray, m: int
) -> tuple[np.ndarray, np.ndarray]:
    """The `m` candidates that are nearest through a lens, nearest first.

    Parameters
    ----------
    lens : Lens
    seen : ndarray of shape (n_queries, n_directions), float32
        The queries along the directions of the lens.
    ids, squared : ndarray of shape (n_queries, k)
        Candidates and their squared distances without it; -1 ends a row.
    m : int

    Returns
    -------
    ids : ndarray of shape (n_queries, min(k, m)), intp
    squared : ndarray of shape (n_queries, min(k, m)), float32
    """
    from knngraph.inference import _candidates

    shape = len(ids), min(ids.shape[1], m)
    nearest = np.full(shape, -1, dtype=np.intp)
    distances = np.zeros(shape, dtype=np.float32)
    ids, squared = in_one_layout(ids, squared, np.float32)
    _candidates.order_through_lens(
        lens.rows, seen, float(lens.floor), ids, squared, nearest, distances
    )
    return nearest, distances


def problem_bandwidth(problem: QueryProblem, neighbors: Neighbors) -> float:
    """Typical distance of a row to its farthest candidate, through the lens.

    Parameters
    ----------
    problem : QueryProblem
    neighbors : Neighbors

    Returns
    -------
    float
        Root of the median squared distance; on the first 5000 nodes, a random
        sample, where there is a lens.
    """
    if problem.lens is None:
        return neighbors_bandwidth(neighbors, problem.n_neighbors)
    sample = slice(0, BANDWIDTH_ROWS)
    ids, squared = nearest_through(
        problem.lens,
        problem.lens.rows[sample],
        neighbors.ids[sample, : problem.n_searched].astype(np.intp),
        neighbors.squared[sample, : problem.n_searched],
        problem.n_neighbors,
    )
    seen = Neighbors(ids, squared, neighbors.counts[sample], neighbors.counts[ids])
    return neighbors_bandwidth(seen, problem.n_neighbors)


def leave_one_out_candidates(
    training: TrainingSet,
    neighbors: Neighbors,
    pairs: np.ndarray,
    problem: QueryProblem,
) -> tuple[np.ndarray, np.ndarray]:
    """Candidates of training pairs when one row of each is left out.

    Parameters
    ----------
    training : TrainingSet
    neighbors : Neighbors
    pairs : ndarray of shape (n,)
    problem : QueryProblem

    Returns
    -------
    ids, squared : ndarray of shape (n, m)
        As `search_candidates` gives them for queries.
    """
    ids, squared = others_around(training, neighbors, pairs, problem.n_searched)
    return left_out_through_lens(
        training, problem, pairs, ids, squared, problem.n_neighbors
    )


def left_out_through_lens(
    training: TrainingSet,
    problem: QueryProblem,
    pairs: np.ndarray,
    ids: np.ndarray,
    squared: np.ndarray,
    m: int,
) -> tuple[np.ndarray, np.ndarray]:
    """As `through_lens`, for left-out pairs, through lenses that are blind to them."""
    if problem.lens is None:
        return ids[:, :m], squared[:, :m]
    shape = len(ids), min(ids.shape[1], m)
    nearest = np.empty(shape, dtype=np.intp)
    distances = np.empty(shape, dtype=np.float32)
    nodes = training.pair_node[pairs]
    for part, at in problem.parts(pairs):
        lens = part.lens
        assert lens is not None
        nearest[at], distances[at] = nearest_through(
            lens, lens.rows[nodes[at]], ids[at], squared[at], m
        )
    return nearest, distances


def others_around(
    training: TrainingSet, neighbors: Neighbors, pairs: np.ndarray, n_neighbors: int
) -> tuple[np.ndarray, np.ndarray]:
    """Nodes around training pairs of each of which one row is left out.

    The node of a pair stays among them, at distance zero, where other rows lie
    on it.

    Parameters
    ----------
    training : TrainingSet
    neighbors : Neighbors
    pairs : ndarray of shape (n,)
    n_neighbors : int

    Returns
    -------
    ids, squared : ndarray of shape (n, m)
        Nearest first.
    """
    nodes = training.pair_node[pairs]
    others = neighbors.ids[nodes, :n_neighbors].astype(np.intp)
    distances = neighbors.squared[nodes, :n_neighbors]
    shared = neighbors.counts[nodes] > 1
    if not shared.any():
        return others, distances
    # As many as a query has, the own node among them.
    m = min(n_neighbors, others.shape[1] + 1)
    ids = np.full((len(pairs), m), -1, dtype=np.intp)
    squared = np.zeros((len(pairs), m), dtype=distances.dtype)
    ids[:, : others.shape[1]] = others
    squared[:, : others.shape[1]] = distances
    ids[shared, 0] = nodes[shared]
    ids[shared, 1:] = others[shared, : m - 1]
    squared[shared, 0] = 0.0
    squared[shared, 1:] = distances[shared, : m - 1]
    return ids, squared
