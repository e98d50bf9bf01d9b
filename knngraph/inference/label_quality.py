"""How probable it is that the given label of a training row is right."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from knngraph.graph.neighbors import Neighbors
from knngraph.graph.training_set import TrainingSet
from knngraph.inference.adaptive import (
    QueryProblem,
    candidate_votes,
    leave_one_out_candidates,
    queries_per_block,
)
from knngraph.inference.calibration import fit_exponent, sharpen
from knngraph.inference.leave_one_out import calibration_sample
from knngraph.inference.noise_matrix import (
    estimate_noise_matrix,
    right_label_probability,
)

# The nugget is this large at least: it spreads the vote over more neighbors, and wrong
# labels among them weigh less.
LEAST_NUGGET = 1.0
# Pairs that are judged at once: bounds the memory of their candidates.
_PAIRS_PER_BLOCK = 65536


@dataclass(frozen=True)
class LabelQuality:
    """Labels of the training pairs, judged without the pair.

    Parameters
    ----------
    given : ndarray of shape (n_pairs,)
        Probability that the given label is right.
    rival_code : ndarray of shape (n_pairs,), int32
        Likeliest class among the others that have a vote; the given one where none
        has.
    rival : ndarray of shape (n_pairs,)
        Its probability.
    noise_matrix : ndarray of shape (n_classes, n_classes)
        See `estimate_noise_matrix`.
    """

    given: np.ndarray
    rival_code: np.ndarray
    rival: np.ndarray
    noise_matrix: np.ndarray


def judge_labels(
    training: TrainingSet,
    neighbors: Neighbors,
    problem: QueryProblem,
    honest: np.ndarray,
    *,
    shares: np.ndarray | None = None,
    n_threads: int = 1,
    advance: Callable[[int], None] | None = None,
) -> LabelQuality:
    """Judge the label of every training pair by the vote without it.

    Parameters
    ----------
    problem : QueryProblem
        Its nugget is raised to one, where it is smaller, also on copies.
    honest : ndarray of shape (n_honest,)
        Pairs that are answered, left out, as new rows are, ascending.
    shares : ndarray of shape (n_nodes, n_classes) or None, default=None
        Of the classes by trees that have not seen the nodes: they count half. None
        where there are none.

    Notes
    -----
    On at most 5000 pairs, left out, the exponent of the calibration is found that gives
    the given labels the smallest log loss, then the noise matrix. Class weights do not
    count: they say what errors cost, not which labels are wrong.
    """
    training = replace(training, class_weight=None)
    nugget = max(problem.nugget, LEAST_NUGGET)
    problem = replace(problem, nugget=nugget, trust_copies=False)
    given, weights = training.pair_code, training.pair_weight

    def votes_on(pairs: np.ndarray) -> np.ndarray:
        ids, squared = leave_one_out_candidates(
            training, neighbors, pairs, problem.n_neighbors
        )
        votes = candidate_votes(
            training, ids, squared, problem, left_out=pairs, n_threads=n_threads
        )
        if shares is None:
            return votes
        return 0.5 * (votes + shares[training.pair_node[pairs]])

    sample = calibration_sample(training, honest)
    votes = votes_on(sample)
    exponent = fit_exponent(votes, given[sample], weights[sample])
    matrix = estimate_noise_matrix(
        sharpen(votes, exponent), given[sample], weights[sample]
    )
    quality = LabelQuality(
        given=np.empty(training.n_pairs),
        rival_code=np.empty(training.n_pairs, dtype=np.int32),
        rival=np.empty(training.n_pairs),
        noise_matrix=matrix,
    )
    step = min(_PAIRS_PER_BLOCK, queries_per_block(training.n_classes))
    for start in range(0, training.n_pairs, step):
        pairs = np.arange(start, min(start + step, training.n_pairs))
        votes, codes = votes_on(pairs), given[pairs]
        right = right_label_probability(sharpen(votes, exponent), codes, matrix)
        rows = np.arange(len(pairs))
        quality.given[pairs] = right[rows, codes]
        # A class without a vote is no suggestion.
        others = np.where(votes > 0.0, right, 0.0)
        others[rows, codes] = 0.0
        rival = others.argmax(axis=1)
        rival = np.where(others[rows, rival] > 0.0, rival, codes)
        quality.rival_code[pairs] = rival
        quality.rival[pairs] = right[rows, rival]
        if advance is not None:
            advance(len(pairs))
    return quality
