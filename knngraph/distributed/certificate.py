"""Solutions of a block of pairs, checked and solved again: pure functions."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import sparse

from knngraph.distributed.learning import Globals, Learned, add_paths
from knngraph.distributed.partition import Nodes, Partition, join_nodes, take_nodes
from knngraph.distributed.sizes import Weighed
from knngraph.graph.consensus import vote
from knngraph.graph.full_support import (
    find_violators,
    replace_rows,
    support_and_newcomers,
)
from knngraph.graph.learn import problem_with
from knngraph.graph.penalty import penalty_fractions
from knngraph.graph.representation import Problem, solve
from knngraph.graph.training_set import TrainingSet


@dataclass(frozen=True)
class Certificate(Weighed):
    """Solutions of a block of pairs on their way to being certified.

    Parameters
    ----------
    nodes : Nodes
        Those of the pairs and of everyone who represents them.
    pairs : ndarray of shape (n,), int64
        Their numbers among all.
    fractions, lambda_max, gaps, n_iter : ndarray of shape (n,)
    weights : CSR array of shape (n, n_pairs of all partitions)
    drops : ndarray
        Falls of the objective in the rounds so far.
    active : ndarray
        Which of the pairs are not certified.
    candidates : ndarray of shape (n_active, width), int64
        Numbers of pairs, padded with -1.
    start : ndarray of shape (n_active, width)
    """

    nodes: Nodes
    pairs: np.ndarray
    fractions: np.ndarray
    lambda_max: np.ndarray
    gaps: np.ndarray
    n_iter: np.ndarray
    weights: Any
    drops: np.ndarray
    active: np.ndarray
    candidates: np.ndarray
    start: np.ndarray


def nodes_of_pairs(
    partition: Partition, pairs: np.ndarray, number: int, everything: Globals
) -> Nodes:
    """Nodes that some pairs of a partition lie on."""
    nodes = np.unique(partition.training.pair_node[pairs])
    return take_nodes(partition, nodes, number, everything.offsets)


def wanted_first(
    partition: Partition,
    learned: Learned,
    *,
    start: int,
    stop: int,
    number: int,
    everything: Globals,
) -> list[np.ndarray]:
    """Pairs of every partition that the block and its neighbors are."""
    own = everything.offsets.pairs[number] + np.arange(start, stop)
    used = learned.weights[start:stop].indices
    return everything.offsets.split_pairs(np.unique(np.concatenate([own, used])))


def wanted_next(certificate: Certificate, everything: Globals) -> list[np.ndarray]:
    """Pairs of every partition that join the candidates."""
    wanted = np.unique(certificate.candidates)
    return everything.offsets.split_pairs(wanted[wanted >= 0])


def begin_certificate(
    partition: Partition,
    learned: Learned,
    fetched: list[Nodes],
    *,
    start: int,
    stop: int,
    number: int,
    everything: Globals,
) -> Certificate:
    """Take the solutions as they were learned."""
    settings, n = everything.settings, stop - start
    density = learned.density[partition.training.pair_node[start:stop]]
    return Certificate(
        nodes=join_nodes(fetched),
        pairs=everything.offsets.pairs[number] + np.arange(start, stop),
        fractions=penalty_fractions(
            density, settings.penalty_min, settings.penalty_max
        ),
        lambda_max=learned.lambda_max[start:stop],
        gaps=learned.gaps[start:stop],
        n_iter=learned.n_iter[start:stop],
        weights=learned.weights[start:stop],
        drops=np.zeros(4 * settings.max_iter),
        active=np.arange(n),
        candidates=np.empty((n, 0), dtype=np.int64),
        start=np.empty((n, 0)),
    )


def scan_partition(
    partition: Partition, certificate: Certificate, number: int, everything: Globals
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of a partition that violate conditions of the active pairs."""
    offsets, active = everything.offsets, certificate.active
    here = take_nodes(partition, np.arange(partition.training.n_nodes), number, offsets)
    nodes = join_nodes([certificate.nodes, here])
    training = nodes.training_set(everything.n_classes)
    numbers = nodes.pair_numbers()
    pairs = np.searchsorted(numbers, certificate.pairs[active])
    first, last = np.searchsorted(numbers, offsets.pairs[[number, number + 1]])
    owner, violator, excess = find_violators(
        training,
        _problem(certificate, training, pairs, everything),
        pairs,
        _in_numbers_of(numbers, certificate.weights[active]),
        certificate.lambda_max[active],
        everything.n_threads,
        (int(first), int(last)),
    )
    return owner, numbers[violator], excess


def take_in(
    certificate: Certificate, found: list[tuple[np.ndarray, np.ndarray, np.ndarray]]
) -> Certificate:
    """Let the violators join the candidates of the next round."""
    owner, violator, excess = (np.concatenate(column) for column in zip(*found))
    active = certificate.active
    gaps = certificate.gaps.copy()
    np.maximum.at(gaps, active[owner], excess / certificate.lambda_max[active[owner]])
    unfinished = np.unique(owner)
    candidates, start = support_and_newcomers(
        certificate.weights[active], unfinished, owner, violator, excess
    )
    return replace(
        certificate,
        gaps=gaps,
        active=active[unfinished],
        candidates=candidates,
        start=start,
    )


def solve_again(
    certificate: Certificate, fetched: list[Nodes], everything: Globals
) -> Certificate:
    """Solve what was objected to, over more candidates."""
    nodes = join_nodes([certificate.nodes, *fetched])
    training, numbers = nodes.training_set(everything.n_classes), nodes.pair_numbers()
    active, candidates = certificate.active, certificate.candidates
    pairs = np.searchsorted(numbers, certificate.pairs[active])
    problem = _problem(certificate, training, pairs, everything)
    solved = solve(
        training,
        # Half the tolerance for the solver leaves room for rounding in the check.
        replace(problem, tol=0.5 * problem.tol),
        pairs,
        np.where(candidates >= 0, np.searchsorted(numbers, candidates), -1),
        certificate.start,
        certificate.lambda_max[active],
        certificate.n_iter[active],
    )
    weights = solved.weights
    width = certificate.weights.shape[1]
    rows = sparse.csr_array(
        (weights.data, numbers[weights.indices], weights.indptr),
        shape=(len(active), width),
    )
    gaps, lambda_max, n_iter = (
        getattr(certificate, name).copy() for name in ("gaps", "lambda_max", "n_iter")
    )
    gaps[active], lambda_max[active] = solved.gaps, solved.lambda_max
    n_iter[active] = solved.n_iter
    return replace(
        certificate,
        nodes=nodes,
        gaps=gaps,
        lambda_max=lambda_max,
        n_iter=n_iter,
        weights=replace_rows(certificate.weights, active, rows),
        drops=certificate.drops + solved.drops,
    )


def vote_again(
    learned: Learned, certificates: list[Certificate], everything: Globals
) -> Learned:
    """Let the certified neighbors vote again."""
    if not certificates:
        return learned
    votes = [_vote(certificate, everything) for certificate in certificates]
    drops = np.sum([certificate.drops for certificate in certificates], axis=0)
    n_iter = np.concatenate([c.n_iter for c in certificates])
    n_steps = min(int(n_iter.max()), len(drops))
    fallen = -np.concatenate([[0.0], np.cumsum(drops[:n_steps])])
    weights = sparse.csr_array(sparse.vstack([c.weights for c in certificates]))
    weights.sort_indices()
    return replace(
        learned,
        weights=weights,
        gaps=np.concatenate([c.gaps for c in certificates]),
        lambda_max=np.concatenate([c.lambda_max for c in certificates]),
        n_iter=n_iter,
        path=add_paths([learned.path, fallen]),
        distribution=sparse.csr_array(sparse.vstack([v.distribution for v in votes])),
        codes=np.concatenate([v.codes for v in votes]),
        margin=np.concatenate([v.margin for v in votes]),
    )


def _vote(certificate: Certificate, everything: Globals) -> Any:
    training = certificate.nodes.training_set(everything.n_classes)
    numbers = certificate.nodes.pair_numbers()
    own = np.searchsorted(numbers, certificate.pairs)
    agreed = vote(
        _in_numbers_of(numbers, certificate.weights),
        training.pair_code[own],
        training.n_classes,
        everything.settings.self_weight,
        neighbor_codes=training.pair_code,
    )
    return replace(agreed, distribution=sparse.csr_array(agreed.distribution))


def _problem(
    certificate: Certificate,
    training: TrainingSet,
    pairs: np.ndarray,
    everything: Globals,
) -> Problem:
    problem = problem_with(
        training, np.zeros(training.n_nodes), everything.sigma, everything.settings
    )
    fractions = np.zeros(training.n_pairs)
    fractions[pairs] = certificate.fractions[certificate.active]
    return replace(problem, fractions=fractions)


def _in_numbers_of(numbers: np.ndarray, weights: Any) -> Any:
    """Columns counted among some sorted pair numbers."""
    return sparse.csr_array(
        (weights.data, np.searchsorted(numbers, weights.indices), weights.indptr),
        shape=(weights.shape[0], len(numbers)),
    )


def n_active(certificate: Certificate) -> int:
    """Number of pairs that are not certified yet."""
    return len(certificate.active)
