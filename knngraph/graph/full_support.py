"""Representation over all rows: solve on a few candidates, certify on all rows."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from scipy import sparse

from knngraph.distances import squared_distances
from knngraph.graph.candidates import SameClass, pack, ranks
from knngraph.graph.neighbors import Neighbors
from knngraph.graph.representation import (
    Problem,
    Representation,
    Solution,
    candidates_of,
    solve,
    warn_of_unsolved,
)
from knngraph.graph.training_set import TrainingSet
from knngraph.parallel import map_chunks

_ROWS_PER_CHUNK = 512
_BLOCK_BYTES = 32 * 2**20
_MAX_ROUNDS = 50
# Violators that join the candidates of a pair from one block in one round.
_NEWCOMERS = 8


def represent_fully(
    training: TrainingSet,
    neighbors: Neighbors,
    same_class: SameClass,
    problem: Problem,
    max_neighbors: int,
    *,
    n_threads: int = 1,
    advance: Callable[[int], None] | None = None,
) -> Representation:
    """Represent every pair by any of the others, with a certificate.

    The problem is solved on the nearest candidates; the optimality condition is
    then checked against all pairs, block by block of the kernel; pairs that
    violate it join the candidates, until there are none. No more than a block
    of the n x n kernel exists at a time.

    Parameters
    ----------
    max_neighbors : int
        Nearest neighbors to begin with.
    advance : callable or None
        Called with the number of pairs that are certified.
    """
    n = training.n_pairs
    # Half the tolerance for the solver leaves room for rounding in the check.
    strict = replace(problem, tol=0.5 * problem.tol)
    weights = sparse.csr_array((n, n))
    gaps, lambda_max = np.zeros(n), np.zeros(n)
    n_iter = np.zeros(n, dtype=np.intp)
    drops = np.zeros(4 * problem.max_iter)
    active = np.arange(n)
    candidates = candidates_of(training, neighbors, same_class, active, max_neighbors)
    start = np.zeros(candidates.shape)

    def solve_chunk(first: int, stop: int) -> Solution:
        """Solve some of the pairs that are active now."""
        chunk = slice(first, stop)
        pairs = active[chunk]
        before = start[chunk], lambda_max[pairs], n_iter[pairs]
        return solve(training, strict, pairs, candidates[chunk], before)

    for _ in range(_MAX_ROUNDS):
        parts = map_chunks(solve_chunk, len(active), _ROWS_PER_CHUNK, n_threads)
        solved = Solution.of_chunks(parts)
        weights = replace_rows(weights, active, solved.weights)
        gaps[active] = solved.gaps
        lambda_max[active] = solved.lambda_max
        n_iter[active] = solved.n_iter
        drops += solved.drops
        owner, violator, excess = find_violators(
            training, problem, active, solved.weights, solved.lambda_max, n_threads
        )
        np.maximum.at(gaps, active[owner], excess / lambda_max[active[owner]])
        unfinished = np.unique(owner)
        if advance is not None:
            advance(len(active) - len(unfinished))
        if not len(unfinished):
            break
        candidates, start = support_and_newcomers(
            solved.weights, unfinished, owner, violator, excess
        )
        active = active[unfinished]
    warn_of_unsolved(gaps, problem)
    return Solution(weights, gaps, lambda_max, n_iter, drops).finished()


def replace_rows(weights: Any, rows: np.ndarray, new_rows: Any) -> Any:
    """Put new rows in the place of old ones in a CSR array."""
    if len(rows) == weights.shape[0]:
        return sparse.csr_array(new_rows)
    keep = np.ones(weights.shape[0])
    keep[rows] = 0.0
    place = sparse.csr_array(
        (np.ones(len(rows)), (rows, np.arange(len(rows)))),
        shape=(weights.shape[0], len(rows)),
    )
    kept = sparse.csr_array(sparse.diags_array(keep) @ weights)
    merged = sparse.csr_array(kept + place @ new_rows)
    merged.eliminate_zeros()
    return merged


def find_violators(
    training: TrainingSet,
    problem: Problem,
    active: np.ndarray,
    weights: Any,
    lambda_max: np.ndarray,
    n_threads: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Check the conditions of the active pairs against all pairs.

    Parameters
    ----------
    active : ndarray of shape (n,)
    weights : CSR array of shape (n, n_pairs)
        Solutions of the active pairs.
    lambda_max : ndarray of shape (n,)

    Returns
    -------
    owner, violator, excess : ndarray
        Position among the active pairs, the pair that violates, and by how much.
    """
    from knngraph.graph import _violators

    gamma, feature_weight, label_weight, discount = problem.kernel.as_tuple()
    nodes = training.pair_node
    used = np.union1d(nodes[active], nodes[weights.indices])
    place = np.full(training.n_nodes, -1, dtype=np.intp)
    place[used] = np.arange(len(used))
    used_points = training.points[used].astype(np.float64)
    bounds = np.column_stack(
        [problem.fractions[active] * lambda_max, problem.tol * lambda_max]
    )
    # A pair without candidates has no condition to check.
    bounds[lambda_max == 0.0] = np.inf

    def scan(start: int, stop: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        block = training.points[nodes[start:stop]]
        features = squared_distances(used_points, block)
        features *= -gamma
        np.exp(features, out=features)
        features *= feature_weight
        own_class, product = np.zeros(training.n_classes), np.empty(stop - start)
        member = np.zeros(stop - start, dtype=bool)
        capacity = 4 * len(active) + 1024
        while True:
            owner = np.empty(capacity, dtype=np.int32)
            violator = np.empty(capacity, dtype=np.int32)
            excess = np.empty(capacity)
            n_found = _violators.count_or_list_violators(
                features,
                place,
                active,
                training.pair_node,
                training.pair_code,
                training.pair_weight,
                start,
                stop - start,
                weights.indptr,
                weights.indices,
                weights.data,
                bounds,
                label_weight,
                discount,
                bool(problem.positive),
                own_class,
                product,
                member,
                owner,
                violator,
                excess,
            )
            if n_found <= capacity:
                break
            capacity = n_found
        return _worst(owner[:n_found], violator[:n_found], excess[:n_found])

    rows_per_block = max(16, _BLOCK_BYTES // (8 * len(used)))
    parts = map_chunks(scan, training.n_pairs, rows_per_block, n_threads)
    owner, violator, excess = (np.concatenate(column) for column in zip(*parts))
    return owner, violator, excess


def _worst(
    owner: np.ndarray, violator: np.ndarray, excess: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Keep the few largest violations of every owner."""
    order = np.lexsort((-excess, owner))
    owner, violator, excess = owner[order], violator[order], excess[order]
    kept = ranks(np.bincount(owner)) < _NEWCOMERS
    return owner[kept], violator[kept], excess[kept]


def support_and_newcomers(
    weights: Any,
    unfinished: np.ndarray,
    owner: np.ndarray,
    violator: np.ndarray,
    excess: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Candidates of the next round, with the weights to start from."""
    owner, violator, _ = _worst(owner, violator, excess)
    support = weights[unfinished]
    owners = np.repeat(np.arange(len(unfinished)), np.diff(support.indptr))
    owners = np.concatenate([owners, np.searchsorted(unfinished, owner)])
    pairs = np.concatenate([support.indices, violator])
    values = np.concatenate([support.data, np.zeros(len(violator))])
    order = np.lexsort((-np.abs(values), pairs, owners))
    owners, pairs, values = owners[order], pairs[order], values[order]
    again = np.zeros(len(pairs), dtype=bool)
    again[1:] = (pairs[1:] == pairs[:-1]) & (owners[1:] == owners[:-1])
    owners, pairs, values = owners[~again], pairs[~again], values[~again]
    candidates = pack(owners, pairs, len(unfinished))
    start = np.zeros(candidates.shape)
    filled = candidates >= 0
    start[filled] = values
    return candidates, start
