"""Answers for the training rows themselves, each without its own vote.

The problem at a training row, itself left out, is its leave-one-out prediction:
fit has the candidates already, so an honest score costs one solve a row.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from knngraph.graph.neighbors import Neighbors
from knngraph.graph.stored_left_out import StoredVotes
from knngraph.graph.training_set import TrainingSet
from knngraph.inference.adaptive import QueryProblem, candidate_shares, candidate_votes
from knngraph.inference.blocks import queries_per_block
from knngraph.inference.calibration import Calibration, fit_exponent
from knngraph.inference.candidates import leave_one_out_candidates
from knngraph.inference.kept_shares import KeptShares

# Votes are kept for this many pairs, to calibrate on.
CALIBRATION_ROWS = 5000
# Fewer decided rows than this say nothing of their own.
_FEWEST_DECIDED = 50


@dataclass(frozen=True)
class LeaveOneOut:
    """What left-out rows say.

    Parameters
    ----------
    right : ndarray of shape (n_pairs,), bool
        Whether the adaptive answer is the given class.
    own_share : ndarray of shape (n_pairs,)
        Share of the vote that the given class gets.
    rival_code : ndarray of shape (n_pairs,), int32
        Class with the largest share among the others; the given one where there
        is no other vote.
    rival_share : ndarray of shape (n_pairs,)
        Its share.
    exponent : float
        Exponent that fits the adaptive votes best.
    score : float
        Share of right answers over the rows.
    """

    right: np.ndarray
    own_share: np.ndarray
    rival_code: np.ndarray
    rival_share: np.ndarray
    exponent: float
    score: float


def leave_one_out(
    training: TrainingSet,
    neighbors: Neighbors,
    problem: QueryProblem,
    *,
    pairs: np.ndarray | None = None,
    kept: KeptShares | None = None,
    n_threads: int = 1,
    advance: Callable[[int], None] | None = None,
) -> LeaveOneOut:
    """Answer every training pair with one of its rows left out.

    Parameters
    ----------
    training : TrainingSet
    neighbors : Neighbors
    problem : QueryProblem
    pairs : ndarray of shape (n,) or None, default=None
        Pairs to answer, the results in their order; None for all.
    kept : KeptShares or None
        Receives whose votes the pairs that it names got; for all pairs only.
    n_threads : int, default=1
    advance : callable or None

    Returns
    -------
    LeaveOneOut
    """
    asked = np.arange(training.n_pairs) if pairs is None else pairs
    n_pairs = len(asked)
    right = np.empty(n_pairs, dtype=bool)
    own_share = np.empty(n_pairs)
    rival_code = np.empty(n_pairs, dtype=np.int32)
    rival_share = np.empty(n_pairs)
    sample = calibration_sample(training)[:n_pairs]
    step = queries_per_block(training.n_classes)
    for start in range(0, n_pairs, step):
        block = slice(start, start + step)
        some = asked[block]
        votes = _votes_of_block(training, neighbors, problem, some, kept, n_threads)
        given = training.pair_code[some]
        right[block] = votes.argmax(axis=1) == given
        own_share[block] = votes[np.arange(len(some)), given]
        if start == 0:
            # The sample fits into one block.
            exponent = fit_exponent(
                votes[sample], given[sample], training.pair_count[some[sample]]
            )
        rival_code[block], rival_share[block] = take_rivals(votes, given)
        if advance is not None:
            advance(len(some))
    score = float(np.average(right, weights=training.pair_count[asked]))
    return LeaveOneOut(right, own_share, rival_code, rival_share, exponent, score)


def _votes_of_block(
    training: TrainingSet,
    neighbors: Neighbors,
    problem: QueryProblem,
    pairs: np.ndarray,
    kept: KeptShares | None,
    n_threads: int,
) -> np.ndarray:
    """Votes on consecutive pairs; whose they were into `kept`, for its pairs."""
    if kept is None:
        return left_out_votes(training, neighbors, problem, pairs, n_threads=n_threads)
    votes = np.empty((len(pairs), training.n_classes))
    some = kept.pairs_from(pairs[0], pairs[-1] + 1)
    others = np.ones(len(pairs), dtype=bool)
    others[some - pairs[0]] = False
    votes[others] = left_out_votes(
        training, neighbors, problem, pairs[others], n_threads=n_threads
    )
    ids, squared = leave_one_out_candidates(training, neighbors, some, problem)
    votes[~others], shares = candidate_shares(
        training, ids, squared, problem, left_out=some, n_threads=n_threads
    )
    kept.add(ids, shares)
    return votes


def left_out_votes(
    training: TrainingSet,
    neighbors: Neighbors,
    problem: QueryProblem,
    pairs: np.ndarray,
    *,
    n_threads: int = 1,
) -> np.ndarray:
    """Votes on some pairs, one row of each left out.

    Returns
    -------
    ndarray of shape (n, n_classes)
    """
    ids, squared = leave_one_out_candidates(training, neighbors, pairs, problem)
    return candidate_votes(
        training, ids, squared, problem, left_out=pairs, n_threads=n_threads
    )


def take_rivals(votes: np.ndarray, given: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Largest class but the given one and its share; overwrites the votes."""
    everyone = np.arange(len(given))
    votes[everyone, given] = 0.0
    codes = votes.argmax(axis=1)
    shares = votes[everyone, codes]
    return np.where(shares > 0.0, codes, given), shares


def calibration_sample(training: TrainingSet) -> np.ndarray:
    """Pairs to learn a few numbers on: a random sample of bounded memory."""
    # The first pairs lie on the first nodes, which are a random sample.
    limit = min(CALIBRATION_ROWS, queries_per_block(training.n_classes))
    return np.arange(min(limit, training.n_pairs))


def calibrate_stored(
    training: TrainingSet,
    votes: StoredVotes,
    decided: np.ndarray,
    adaptive_exponent: float,
) -> Calibration:
    """Fit the exponents of stored votes.

    Parameters
    ----------
    training : TrainingSet
    votes : StoredVotes
        Of the first pairs, left out.
    decided : ndarray of shape (n_sample,), bool
        Which of them a cascade answers at once.
    adaptive_exponent : float

    Returns
    -------
    Calibration
    """
    reached = votes.codes >= 0
    if not reached.any():
        return Calibration(adaptive_exponent, 1.0, 1.0)
    shares = votes.shares.toarray()[reached]
    codes = training.pair_code[: len(reached)][reached]
    counts = training.pair_count[: len(reached)][reached]
    exponent = fit_exponent(shares, codes, counts)
    sure = decided[reached]
    if sure.sum() < _FEWEST_DECIDED:
        return Calibration(adaptive_exponent, exponent, exponent)
    of_decided = fit_exponent(shares[sure], codes[sure], counts[sure])
    return Calibration(adaptive_exponent, exponent, of_decided)
