"""Leave-one-out answers of the stored labels."""

from collections.abc import Sequence

import numpy as np
from scipy import sparse

from knngraph.graph.candidates import SameClass, pack
from knngraph.graph.consensus import Consensus, vote
from knngraph.graph.neighbors import Neighbors
from knngraph.graph.representation import Problem, candidates_of, solve
from knngraph.graph.training_set import TrainingSet
from knngraph.parallel import map_chunks

_ROWS_PER_CHUNK = 1024


def stored_answers_left_out(
    training: TrainingSet,
    neighbors: Neighbors,
    same_class: SameClass,
    problem: Problem,
    max_neighbors: int,
    self_weights: Sequence[float],
    pairs: np.ndarray,
    *,
    n_threads: int = 1,
) -> np.ndarray:
    """What a lookup answers for training pairs when a row of each is left out.

    A left-out row reaches the node of its nearest other row. The rows there have
    learned their stored labels with it among their candidates, so their problems
    are solved again without it: no row votes for itself through its neighbor.

    Parameters
    ----------
    training : TrainingSet
    neighbors : Neighbors
    same_class : SameClass
    problem : Problem
    max_neighbors : int
    self_weights : sequence of float
        Several values cost no more than one.
    pairs : ndarray of shape (n,)
    n_threads : int, default=1

    Returns
    -------
    ndarray of shape (n_self_weights, n), bool
        Whether the answer is the given class.
    """
    right = np.zeros((len(self_weights), len(pairs)), dtype=bool)

    def answer(start: int, stop: int) -> None:
        left_out = pairs[start:stop]
        owner, reached, n_rows = _reached_pairs(training, neighbors, left_out)
        if not len(reached):
            return
        gone = left_out[owner]
        candidates = candidates_of(
            training, neighbors, same_class, reached, max_neighbors
        )
        # Without the row that is left out and the one that is represented.
        n_candidates = training.pair_count[gone] - 1 - (reached == gone)
        usable = (candidates != gone[:, None]) | (n_candidates > 0)[:, None]
        problem_of, place = np.nonzero((candidates >= 0) & usable)
        candidates = pack(problem_of, candidates[problem_of, place], len(reached))
        solution = solve(
            training,
            problem,
            reached,
            candidates,
            np.zeros(candidates.shape),
            np.zeros(len(reached)),
            np.zeros(len(reached), dtype=np.intp),
        )
        for setting, self_weight in enumerate(self_weights):
            agreed = vote(
                solution.weights,
                training.pair_code[reached],
                training.n_classes,
                self_weight,
                neighbor_codes=training.pair_code,
            )
            codes = _codes_of_nodes(agreed, owner, n_rows, len(left_out))
            right[setting, start:stop] = codes == training.pair_code[left_out]

    map_chunks(answer, len(pairs), _ROWS_PER_CHUNK, n_threads, limit_blas=False)
    return right


def _reached_pairs(
    training: TrainingSet, neighbors: Neighbors, left_out: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs on the node that every left-out row reaches.

    Returns
    -------
    owner : ndarray of shape (n_reached,)
        Which of the left-out rows reaches a pair.
    reached : ndarray of shape (n_reached,)
    n_rows : ndarray of shape (n_reached,)
        Rows of the pair that are still there.
    """
    nodes = training.pair_node[left_out]
    has_company = neighbors.counts[nodes] > 1
    if neighbors.ids.shape[1]:
        nodes = np.where(has_company, nodes, neighbors.ids[nodes, 0])
    starts = training.node_starts()
    n_on_node = starts[nodes + 1] - starts[nodes]
    owner = np.repeat(np.arange(len(nodes)), n_on_node)
    rank = np.arange(len(owner)) - np.repeat(
        np.cumsum(n_on_node) - n_on_node, n_on_node
    )
    reached = starts[nodes][owner] + rank
    n_rows = training.pair_count[reached] - (reached == left_out[owner])
    there = n_rows > 0
    return owner[there], reached[there], n_rows[there]


def _codes_of_nodes(
    agreed: Consensus, owner: np.ndarray, n_rows: np.ndarray, n_owners: int
) -> np.ndarray:
    """Class of the mean share over the rows of a node, -1 without any."""
    codes = np.full(n_owners, -1, dtype=np.intp)
    codes[owner] = agreed.codes
    several = np.flatnonzero(np.bincount(owner, minlength=n_owners) > 1)
    if len(several):
        total = np.bincount(owner, weights=n_rows, minlength=n_owners)
        average = sparse.csr_array(
            (n_rows / total[owner], (owner, np.arange(len(owner)))),
            shape=(n_owners, len(owner)),
        )
        shares = average[several] @ sparse.csr_array(agreed.distribution)
        codes[several] = shares.toarray().argmax(axis=1)
    return codes
