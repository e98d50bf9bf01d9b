"""Leave-one-out answers of the stored labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from knngraph.graph.candidates import SameClass, pack, ranks
from knngraph.graph.consensus import Consensus, vote
from knngraph.graph.neighbors import Neighbors
from knngraph.graph.representation import Problem, candidates_of, solve
from knngraph.graph.training_set import TrainingSet
from knngraph.parallel import map_chunks
from knngraph.weights import mean_votes, without_one_row

_ROWS_PER_CHUNK = 1024


@dataclass(frozen=True)
class StoredVotes:
    """What the node answers that left-out rows reach.

    Parameters
    ----------
    codes : ndarray of shape (n,)
        Stored class, -1 where no other row is there to be reached.
    shares : CSR array of shape (n, n_classes)
        Shares of the vote on the node.
    """

    codes: np.ndarray
    shares: Any


def stored_votes_left_out(
    training: TrainingSet,
    neighbors: Neighbors,
    same_class: SameClass,
    problem: Problem,
    max_neighbors: int,
    self_weights: Sequence[float],
    pairs: np.ndarray,
    *,
    n_threads: int,
) -> list[StoredVotes]:
    """What a lookup answers for training pairs when a row of each is left out.

    A left-out row reaches the node of its nearest other row. The rows there have
    learned their stored labels with it among their candidates, so their problems
    are solved again without it: no row votes for itself through its neighbor.

    Parameters
    ----------
    self_weights : sequence of float
        Several values cost no more than one.
    pairs : ndarray of shape (n,)

    Returns
    -------
    list of StoredVotes, one a self weight
    """

    def answer(start: int, stop: int) -> list[StoredVotes]:
        left_out = pairs[start:stop]
        owner, reached, weight = _reached_pairs(training, neighbors, left_out)
        gone = left_out[owner]
        candidates = candidates_of(
            training, neighbors, same_class, reached, max_neighbors
        )
        # Without the row that is left out and the one that is represented.
        rest = without_one_row(training.pair_weight[gone])
        rest = np.where(reached == gone, without_one_row(rest), rest)
        usable = (candidates != gone[:, None]) | (rest > 0.0)[:, None]
        problem_of, place = np.nonzero((candidates >= 0) & usable)
        candidates = pack(problem_of, candidates[problem_of, place], len(reached))
        solution = solve(training, problem, reached, candidates)
        return [
            _votes_of_nodes(
                vote(
                    solution.weights,
                    training.pair_code[reached],
                    training.n_classes,
                    self_weight,
                    neighbor_codes=training.pair_code,
                    class_weight=training.class_weight,
                ),
                owner,
                weight,
                len(left_out),
                training.class_weight,
            )
            for self_weight in self_weights
        ]

    chunks = map_chunks(
        answer, len(pairs), _ROWS_PER_CHUNK, n_threads, limit_blas=False
    )
    return [
        StoredVotes(
            np.concatenate([part.codes for part in parts]),
            sparse.csr_array(sparse.vstack([part.shares for part in parts])),
        )
        for parts in zip(*chunks)
    ]


def _reached_pairs(
    training: TrainingSet, neighbors: Neighbors, left_out: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs on the node that every left-out row reaches.

    Returns
    -------
    owner : ndarray of shape (n_reached,)
        Which of the left-out rows reaches a pair.
    reached : ndarray of shape (n_reached,)
    weight : ndarray of shape (n_reached,)
        Weight of the pair that is still there.
    """
    nodes = training.pair_node[left_out]
    has_company = training.left_weights(left_out) > 0.0
    if neighbors.ids.shape[1]:
        nodes = np.where(has_company, nodes, neighbors.ids[nodes, 0])
    starts = training.node_starts()
    n_on_node = starts[nodes + 1] - starts[nodes]
    owner = np.repeat(np.arange(len(nodes)), n_on_node)
    reached = starts[nodes][owner] + ranks(n_on_node)
    weight = training.pair_weight[reached]
    weight = np.where(reached == left_out[owner], without_one_row(weight), weight)
    there = weight > 0.0
    return owner[there], reached[there], weight[there]


def _votes_of_nodes(
    agreed: Consensus,
    owner: np.ndarray,
    weight: np.ndarray,
    n_owners: int,
    class_weight: np.ndarray | None,
) -> StoredVotes:
    """Mean share over the rows of every node, and the class that it stores."""
    codes = np.full(n_owners, -1, dtype=np.intp)
    codes[owner] = agreed.codes
    total = np.bincount(owner, weights=weight, minlength=n_owners)
    average = sparse.csr_array(
        (weight / total[owner], (owner, np.arange(len(owner)))),
        shape=(n_owners, len(owner)),
    )
    shares = mean_votes(average, sparse.csr_array(agreed.distribution), class_weight)
    several = np.flatnonzero(np.bincount(owner, minlength=n_owners) > 1)
    if len(several):
        codes[several] = shares[several].toarray().argmax(axis=1)
    return StoredVotes(codes, shares)
