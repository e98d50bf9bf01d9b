"""Leave-one-out estimates: answers for the training rows, each without its own vote.

The problem at a training row, itself left out, is its leave-one-out prediction:
fit has the candidates already, so an honest score costs one solve a row.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from knngraph.graph.neighbors import Neighbors
from knngraph.graph.stored_left_out import StoredVotes
from knngraph.graph.training_set import TrainingSet
from knngraph.inference.adaptive import (
    FULL_VOTES,
    QueryProblem,
    candidate_shares,
    candidate_votes,
    in_one_layout,
    leave_one_out_candidates,
    queries_per_block,
)
from knngraph.inference.calibration import Calibration, fit_exponent
from knngraph.parallel import map_chunks

# Votes are kept for this many pairs, to calibrate on.
CALIBRATION_ROWS = 5000
# Fewer resolved rows than this are calibrated together with the others.
_FEWEST_RESOLVED = 50
_QUERIES_PER_CHUNK = 128


@dataclass(frozen=True)
class LeaveOneOut:
    """Leave-one-out answers of the training pairs.

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


class VoteWeightCache:
    """Candidates of some left-out pairs, and their shares of the vote.

    `leave_one_out` solves the problem of every pair anyway; what the noise model
    needs of it later is kept here.

    Parameters
    ----------
    pairs : ndarray of shape (n_kept,), ascending
        Of which shares are cache.

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.inference.leave_one_out import VoteWeightCache
    >>> cache = VoteWeightCache(np.array([2, 5]))
    >>> cache.pairs_from(0, 4).tolist()
    [2]
    >>> cache.add(np.array([[7, 8]]), np.array([[0.75, 0.25]]))
    >>> cache.add(np.array([[9]]), np.array([[1.0]]))
    >>> ids, shares = cache.of(np.array([5, 2]))
    >>> ids.tolist(), shares.tolist()
    ([[9, -1], [7, 8]], [[1.0, 0.0], [0.75, 0.25]])
    """

    def __init__(self, pairs: np.ndarray) -> None:
        self.pairs = pairs
        self._ids: list[np.ndarray] = []
        self._shares: list[np.ndarray] = []

    def pairs_from(self, start: int, stop: int) -> np.ndarray:
        """Those of the pairs from `start` to before `stop`."""
        first, last = np.searchsorted(self.pairs, [start, stop])
        return self.pairs[first:last]

    def add(self, ids: np.ndarray, shares: np.ndarray) -> None:
        """Keep candidates and shares, each of shape (n, m), of the next pairs."""
        self._ids.append(ids)
        self._shares.append(shares)

    def of(self, pairs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Candidates and shares of some of the pairs.

        Returns
        -------
        ids, shares : ndarray of shape (n, m)
            Ended by -1 and 0 where a pair has fewer.
        """
        places = np.searchsorted(self.pairs, pairs)
        return self._rows(self._ids, -1, places), self._rows(self._shares, 0, places)

    @staticmethod
    def _rows(parts: list[np.ndarray], ended_by: int, places: np.ndarray) -> np.ndarray:
        """Rows of the parts, as if they lay below each other."""
        width = max(part.shape[1] for part in parts)
        ends = np.cumsum([len(part) for part in parts])
        number = np.searchsorted(ends, places, side="right")
        rows = np.full((len(places), width), ended_by, dtype=parts[0].dtype)
        for part, (values, end) in enumerate(zip(parts, ends)):
            at = np.flatnonzero(number == part)
            rows[at, : values.shape[1]] = values[places[at] - (end - len(values))]
        return rows


def leave_one_out(
    training: TrainingSet,
    neighbors: Neighbors,
    problem: QueryProblem,
    *,
    pairs: np.ndarray | None = None,
    honest: np.ndarray | None = None,
    cache: VoteWeightCache | None = None,
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
    honest : ndarray of shape (n_honest,) or None, default=None
        Places among `pairs` whose answers are those of new rows, ascending: the
        exponent and the score are found on them. None for all.
    cache : VoteWeightCache or None
        Receives the vote weights of its pairs, where all are answered.
    n_threads : int, default=1
    advance : callable or None

    Returns
    -------
    LeaveOneOut
    """
    left_out = np.arange(training.n_pairs) if pairs is None else pairs
    n_pairs = len(left_out)
    right = np.empty(n_pairs, dtype=bool)
    own_share = np.empty(n_pairs)
    rival_code = np.empty(n_pairs, dtype=np.int32)
    rival_share = np.empty(n_pairs)
    honest = np.arange(n_pairs) if honest is None else honest
    sample = calibration_sample(training, honest)
    of_sample = []
    step = queries_per_block(training.n_classes)
    for start in range(0, n_pairs, step):
        block = slice(start, start + step)
        some = left_out[block]
        votes = _votes_of_block(training, neighbors, problem, some, cache, n_threads)
        given = training.pair_code[some]
        right[block] = votes.argmax(axis=1) == given
        own_share[block] = votes[np.arange(len(some)), given]
        here = sample[slice(*np.searchsorted(sample, [start, start + step]))]
        of_sample.append(votes[here - start])
        rival_code[block], rival_share[block] = take_rivals(votes, given)
        if advance is not None:
            advance(len(some))
    exponent = fit_exponent(
        np.concatenate(of_sample),
        training.pair_code[left_out[sample]],
        training.pair_count[left_out[sample]],
    )
    counts = training.pair_count[left_out[honest]]
    score = float(np.average(right[honest], weights=counts))
    return LeaveOneOut(right, own_share, rival_code, rival_share, exponent, score)


def _votes_of_block(
    training: TrainingSet,
    neighbors: Neighbors,
    problem: QueryProblem,
    pairs: np.ndarray,
    cache: VoteWeightCache | None,
    n_threads: int,
) -> np.ndarray:
    """Votes on consecutive pairs; vote weights of the pairs of `cache` into it."""
    if cache is None:
        return left_out_votes(training, neighbors, problem, pairs, n_threads=n_threads)
    votes = np.empty((len(pairs), training.n_classes))
    some = cache.pairs_from(pairs[0], pairs[-1] + 1)
    others = np.ones(len(pairs), dtype=bool)
    others[some - pairs[0]] = False
    votes[others] = left_out_votes(
        training, neighbors, problem, pairs[others], n_threads=n_threads
    )
    ids, squared = leave_one_out_candidates(
        training, neighbors, some, problem.n_neighbors
    )
    votes[~others], shares = candidate_shares(
        training, ids, squared, problem, left_out=some, n_threads=n_threads
    )
    cache.add(ids, shares)
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
    ids, squared = leave_one_out_candidates(
        training, neighbors, pairs, problem.n_neighbors
    )
    return candidate_votes(
        training, ids, squared, problem, left_out=pairs, n_threads=n_threads
    )


def take_rivals(votes: np.ndarray, given: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Largest class but the given one and its share; overwrites the votes."""
    rows = np.arange(len(given))
    votes[rows, given] = 0.0
    codes = votes.argmax(axis=1)
    shares = votes[rows, codes]
    return np.where(shares > 0.0, codes, given), shares


def calibration_sample(training: TrainingSet, honest: np.ndarray) -> np.ndarray:
    """Pairs to learn a few numbers on: a random sample of bounded memory.

    Parameters
    ----------
    training : TrainingSet
    honest : ndarray of shape (n_honest,)
        Pairs whose leave-one-out answers are those of new rows, ascending.

    Returns
    -------
    ndarray of shape (at most 5000,)
    """
    # The first pairs lie on the first nodes, which are a random sample.
    return honest[: min(CALIBRATION_ROWS, queries_per_block(training.n_classes))]


def calibrate_stored(
    training: TrainingSet,
    votes: StoredVotes,
    sample: np.ndarray,
    resolved: np.ndarray,
    adaptive_exponent: float,
) -> Calibration:
    """Fit the exponents of stored votes.

    Parameters
    ----------
    training : TrainingSet
    votes : StoredVotes
        Of the pairs of `sample`, left out.
    sample : ndarray of shape (n_sample,)
    resolved : ndarray of shape (n_sample,), bool
        Which of them a cascade answers by the stored label.
    adaptive_exponent : float

    Returns
    -------
    Calibration
    """
    reached = votes.codes >= 0
    if not reached.any():
        return Calibration(adaptive_exponent, 1.0, 1.0)
    shares = votes.shares.toarray()[reached]
    codes = training.pair_code[sample[reached]]
    counts = training.pair_count[sample[reached]]
    exponent = fit_exponent(shares, codes, counts)
    sure = resolved[reached]
    if sure.sum() < _FEWEST_RESOLVED:
        return Calibration(adaptive_exponent, exponent, exponent)
    of_resolved = fit_exponent(shares[sure], codes[sure], counts[sure])
    return Calibration(adaptive_exponent, exponent, of_resolved)


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
        As many as the largest setting needs.
    problems : sequence of QueryProblem
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
    right = np.zeros((len(problems), len(pairs)), dtype=bool)
    own_share = np.zeros((len(problems), len(pairs)))

    def answer(start: int, stop: int) -> None:
        chunk = pairs[start:stop]
        ids, squared = in_one_layout(
            *leave_one_out_candidates(training, neighbors, chunk, widest)
        )
        votes = np.zeros((len(chunk), len(problems), training.n_classes))
        _adaptive.vote_queries(
            training.points,
            starts,
            training.pair_code,
            training.pair_count,
            *FULL_VOTES,
            ids,
            squared,
            chunk,
            settings,
            votes,
            np.empty((0, ids.shape[1])),
        )
        codes = training.pair_code[chunk, None]
        # Without candidates the first class is no answer.
        answered = (ids >= 0).any(axis=1, keepdims=True)
        right[:, start:stop] = ((votes.argmax(2) == codes) & answered).T
        given = np.take_along_axis(votes, codes[:, None], axis=2)
        own_share[:, start:stop] = given[:, :, 0].T

    map_chunks(
        answer, len(pairs), _QUERIES_PER_CHUNK, n_threads, advance, limit_blas=False
    )
    return right, own_share
