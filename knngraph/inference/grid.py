"""Exact leave-one-out over many settings of the problem at a query."""

from collections.abc import Callable, Sequence

import numpy as np

from knngraph.graph.neighbors import Neighbors
from knngraph.graph.training_set import TrainingSet
from knngraph.inference.adaptive import BELIEVED, QueryProblem, in_one_layout
from knngraph.inference.candidates import others_around
from knngraph.parallel import map_chunks

_QUERIES_PER_CHUNK = 128


def leave_one_out_grid(
    training: TrainingSet,
    neighbors: Neighbors,
    problems: Sequence[QueryProblem],
    pairs: np.ndarray,
    *,
    n_threads: int = 1,
    advance: Callable[[int], None] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Answer training pairs, one row of each left out, under every setting.

    One candidate search and one set of distances among the candidates serve all
    settings, and one kernel those that share a bandwidth.

    Parameters
    ----------
    training : TrainingSet
    neighbors : Neighbors
        As many as the largest setting asks for.
    problems : sequence of QueryProblem
        None of them with a lens.
    pairs : ndarray of shape (n,)
    n_threads : int, default=1
    advance : callable or None

    Returns
    -------
    right : ndarray of shape (n_problems, n), bool
    own_share : ndarray of shape (n_problems, n)
        Share of the vote that the given class gets.
    """
    from knngraph.inference import _adaptive

    widest = max(problem.n_neighbors for problem in problems)
    settings = np.array(
        [[p.n_neighbors, p.sigma, p.nugget, p.penalty] for p in problems],
        dtype=np.float64,
    )
    starts = training.node_starts()
    nothing = np.empty((training.n_nodes, 0), dtype=np.float32)  # no lens
    right = np.zeros((len(problems), len(pairs)), dtype=bool)
    own_share = np.zeros((len(problems), len(pairs)))

    def answer(start: int, stop: int) -> None:
        chunk = pairs[start:stop]
        ids, squared = in_one_layout(*others_around(training, neighbors, chunk, widest))
        votes = np.zeros((len(chunk), len(problems), training.n_classes))
        _adaptive.vote_queries(
            training.points,
            nothing,
            1.0,
            starts,
            training.pair_code,
            training.pair_count,
            *BELIEVED,
            ids,
            squared,
            chunk,
            settings,
            votes,
            np.empty((0, ids.shape[1])),
        )
        codes = training.pair_code[chunk, None]
        # Who has no candidates is not right by being of the first class.
        asked = (ids >= 0).any(axis=1, keepdims=True)
        right[:, start:stop] = ((votes.argmax(2) == codes) & asked).T
        given = np.take_along_axis(votes, codes[:, None], axis=2)
        own_share[:, start:stop] = given[:, :, 0].T

    map_chunks(
        answer, len(pairs), _QUERIES_PER_CHUNK, n_threads, advance, limit_blas=False
    )
    return right, own_share
