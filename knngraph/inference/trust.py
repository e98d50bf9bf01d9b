"""How far the labels of training rows are believed when they vote.

A wrong label contradicts the rows around it, and the vote that leaves its row out
says so. How much such a contradiction means depends on the data: where classes
overlap, rows are contradicted with right labels. So the share of wrong labels is
not guessed but chosen, with the nugget, by what answers left-out rows best.
"""

from dataclasses import replace
from itertools import product

import numpy as np

from knngraph.graph.neighbors import Neighbors
from knngraph.graph.training_set import TrainingSet
from knngraph.inference.adaptive import LabelTrust, QueryProblem, candidate_shares
from knngraph.inference.ballots import Ballots, Witnesses, belief, cast_ballots
from knngraph.inference.calibration import fit_exponent
from knngraph.inference.candidates import leave_one_out_candidates
from knngraph.inference.kept_shares import KeptShares
from knngraph.inference.leave_one_out import LeaveOneOut, calibration_sample

# Multiples of the nugget and shares of wrong labels that are compared. The plain
# vote comes first: it wins among equals.
NUGGET_FACTORS = (1.0, 1.0 / 3.0, 10.0 / 3.0)
NOISE_LEVELS = (0.0, 0.05, 0.2, 0.4)


def learn_trust(
    training: TrainingSet,
    neighbors: Neighbors,
    problem: QueryProblem,
    left_out: LeaveOneOut,
    kept: KeptShares,
    *,
    n_threads: int = 1,
) -> tuple[LabelTrust | None, LeaveOneOut]:
    """Choose nugget and share of wrong labels by left-out rows.

    Parameters
    ----------
    training : TrainingSet
    neighbors : Neighbors
    problem : QueryProblem
    left_out : LeaveOneOut
        What votes over the given labels say of left-out rows.
    kept : KeptShares
        Whose votes they were, at `pairs_asked`.
    n_threads : int, default=1

    Returns
    -------
    trust : LabelTrust or None
        None where nothing answers better than the plain vote.
    left_out : LeaveOneOut
        With the answers, the calibration and the score of votes by this trust,
        of a sample of the rows.
    """
    sample = calibration_sample(training)
    given, counts = training.pair_code[sample], training.pair_count[sample]
    ballots = _ballots_of_sample(
        training, neighbors, problem, left_out, kept, sample, n_threads
    )
    best_score, best_votes, choice = -1.0, np.empty(0), (1.0, 0.0)
    for factor, noise in product(ballots, NOISE_LEVELS):
        votes = ballots[factor].count(noise, left_out.exponent, training.n_classes)
        right = votes.argmax(axis=1) == given
        score = float(np.average(right, weights=counts))
        if score > best_score:
            best_score, best_votes, choice = score, votes, (factor, noise)
    factor, noise = choice
    if factor == 1.0 and noise == 0.0:
        return None, left_out
    own = belief(
        left_out.own_share,
        left_out.rival_share,
        noise,
        left_out.exponent,
        training.n_classes,
    )
    right = left_out.right.copy()
    right[sample] = best_votes.argmax(axis=1) == given
    exponent = fit_exponent(best_votes, given, counts)
    return (
        LabelTrust(own, left_out.rival_code, noise, factor),
        replace(left_out, right=right, exponent=exponent, score=best_score),
    )


def pairs_asked(
    training: TrainingSet, neighbors: Neighbors, problem: QueryProblem
) -> np.ndarray:
    """Pairs of whose labels left-out rows of the sample are told.

    Returns
    -------
    ndarray, ascending
        All pairs that are candidates of the sample.
    """
    sample = calibration_sample(training)
    ids, _ = leave_one_out_candidates(training, neighbors, sample, problem)
    asked = np.zeros(training.n_nodes, dtype=bool)
    asked[ids[ids >= 0]] = True
    return np.flatnonzero(asked[training.pair_node])


def _ballots_of_sample(
    training: TrainingSet,
    neighbors: Neighbors,
    problem: QueryProblem,
    left_out: LeaveOneOut,
    kept: KeptShares,
    sample: np.ndarray,
    n_threads: int,
) -> dict[float, Ballots]:
    """Ballots at the sampled pairs for every multiple of the nugget."""
    witnesses = Witnesses.of_shares(training, kept.pairs, *kept.of(kept.pairs))
    return ballots_of_nuggets(
        training, neighbors, problem, left_out, witnesses, sample, n_threads=n_threads
    )


def ballots_of_nuggets(
    training: TrainingSet,
    neighbors: Neighbors,
    problem: QueryProblem,
    left_out: LeaveOneOut,
    witnesses: Witnesses,
    sample: np.ndarray,
    *,
    n_threads: int = 1,
) -> dict[float, Ballots]:
    """Ballots at some pairs for every multiple of the nugget.

    Parameters
    ----------
    training : TrainingSet
    neighbors : Neighbors
    problem : QueryProblem
    left_out : LeaveOneOut
        What is said of the labels around the pairs.
    witnesses : Witnesses
        By whom.
    sample : ndarray of shape (n,)
        The pairs.
    n_threads : int, default=1

    Returns
    -------
    dict
        Empty where no row has another to be answered by.
    """
    ids, squared = leave_one_out_candidates(training, neighbors, sample, problem)
    if ids.shape[1] == 0:
        return {}
    ballots = {}
    for factor in NUGGET_FACTORS:
        scaled = replace(problem, nugget=factor * problem.nugget)
        _, shares = candidate_shares(
            training, ids, squared, scaled, left_out=sample, n_threads=n_threads
        )
        ballots[factor] = cast_ballots(
            training, left_out, witnesses, sample, ids, shares
        )
    return ballots
