"""Leave-one-out answers of the stored labels."""

from collections.abc import Sequence

import numpy as np

from knngraph.graph.candidates import SameClass, nearest_pairs, pack
from knngraph.graph.consensus import vote
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

    A left-out row reaches its nearest other pair. That pair has learned its
    stored label with the row among its candidates, so its problem is solved
    again without it: no row votes for itself through its neighbor.

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
        nearest = nearest_pairs(training, neighbors, left_out, 1)
        if nearest.shape[1] == 0:
            return
        reached = nearest[:, 0]
        candidates = candidates_of(
            training, neighbors, same_class, reached, max_neighbors
        )
        gone = candidates == left_out[:, None]
        gone &= (training.pair_count[left_out] == 1)[:, None]
        owner, place = np.nonzero((candidates >= 0) & ~gone)
        candidates = pack(owner, candidates[owner, place], len(reached))
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
            right[setting, start:stop] = agreed.codes == training.pair_code[left_out]

    map_chunks(answer, len(pairs), _ROWS_PER_CHUNK, n_threads, limit_blas=False)
    return right
