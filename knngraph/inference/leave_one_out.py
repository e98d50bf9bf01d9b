"""Leave-one-out estimates: answers for the training rows, each without its own vote.

The problem at a training row, itself left out, is its leave-one-out prediction:
fit has the candidates already, so an honest score costs one solve a row.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from knngraph.graph.changed_rows import ChangedRows
from knngraph.graph.neighbors import Neighbors
from knngraph.graph.training_set import TrainingSet
from knngraph.inference.adaptive import (
    LabelReliability,
    QueryProblem,
    candidate_votes,
    leave_one_out_candidates,
    queries_per_block,
    votes_by_setting,
)
from knngraph.inference.calibration import (
    Calibration,
    fit_exponent,
    fit_exponent_and_floor,
)
from knngraph.parallel import chunk_bounds, map_chunks

# Votes are kept for this many pairs, to calibrate on.
CALIBRATION_ROWS = 5000
# Fewer rows than this whose nearest nodes agree are calibrated with the others.
_FEWEST_AGREED = 50
_QUERIES_PER_CHUNK = 128
# Pairs that are answered at once: bounds the memory of their candidates.
PAIRS_PER_BLOCK = 65536
# Votes whose weights are looked up at once: bounds the memory.
_VOTES_PER_BLOCK = 16384


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
    label_exponent : float
        The same of votes over the given labels, which labels are evaluated by.
    score : float
        Share of right answers over the rows, by their weight and their class's.
    reliability : LabelReliability or None
        With which the labels vote; None where every label gets its whole vote.
    """

    right: np.ndarray
    own_share: np.ndarray
    rival_code: np.ndarray
    rival_share: np.ndarray
    exponent: float
    label_exponent: float
    score: float
    reliability: LabelReliability | None = None

    @property
    def open_pairs(self) -> np.ndarray:
        """Pairs that are not answered yet: their shares are NaN."""
        return np.flatnonzero(np.isnan(self.own_share))

    def after(self, change: ChangedRows) -> "LeaveOneOut":
        """By the pairs after a change; those on a node with other rows are open."""
        there = np.flatnonzero(change.pair_now >= 0)
        source = np.full(change.training.n_pairs, -1, dtype=np.intp)
        source[change.pair_now[there]] = there
        is_open = change.touched[change.training.pair_node]
        shares = {}
        for name in ("own_share", "rival_share"):
            shares[name] = getattr(self, name)[source]
            shares[name][is_open] = np.nan
        reliability, rival = self.reliability, self.rival_code[source]
        if reliability is not None:
            own = reliability.own[source]
            reliability = replace(reliability, own=own, rival=rival)
        return replace(
            self,
            right=self.right[source],
            rival_code=rival,
            reliability=reliability,
            **shares,
        )


class VoteWeights:
    """Leave-one-out vote weights: the share of every candidate at left-out pairs.

    `leave_one_out` solves the problem of every pair anyway; what the noise model
    needs of it later is kept here.

    Parameters
    ----------
    pairs : ndarray of shape (n_kept,), ascending
    n_neighbors : int
        Candidates of a pair.

    Attributes
    ----------
    ids : ndarray of shape (n_kept, n_neighbors)
        Candidate nodes of the pairs, left out; -1 where there are fewer.
    per_row : ndarray of shape (n_kept, n_neighbors)
        Share of the vote that a row of weight one on such a node had, before its
        class was weighed.
    """

    def __init__(self, pairs: np.ndarray, n_neighbors: int) -> None:
        self.pairs = pairs
        self.ids = np.full((len(pairs), n_neighbors), -1, dtype=np.intp)
        self.per_row = np.zeros((len(pairs), n_neighbors))

    def add(
        self,
        training: TrainingSet,
        pairs: np.ndarray,
        ids: np.ndarray,
        shares: np.ndarray,
        votes: np.ndarray,
    ) -> None:
        """Keep candidates and shares, of shape (n, m), of pairs with these votes.

        Pairs are ascending, with all between the first and the last that are kept.
        """
        kept = slice(*np.searchsorted(self.pairs, [pairs[0], pairs[-1] + 1]))
        places = np.searchsorted(pairs, self.pairs[kept])
        if training.class_weight is not None:
            # Over the sum that the weighed votes were divided by.
            factor = (votes / training.class_weight).sum(axis=1, keepdims=True)
            shares = shares * factor
        ids, own = ids[places], training.pair_node[self.pairs[kept], None]
        left = training.left_weights(self.pairs[kept])[:, None]
        weight = np.where(own == ids, left, training.node_weights()[ids])
        self.ids[kept, : ids.shape[1]] = ids
        weight[weight == 0.0] = 1.0  # where the node is no candidate
        self.per_row[kept, : ids.shape[1]] = shares[places] / weight

    def share(self, pairs: np.ndarray, nodes: np.ndarray) -> np.ndarray:
        """Share that a row of weight one on some nodes had in the votes on pairs."""
        share = np.empty(len(pairs))
        for start, stop in chunk_bounds(len(pairs), _VOTES_PER_BLOCK):
            place = np.searchsorted(self.pairs, pairs[start:stop])
            there = self.ids[place] == nodes[start:stop, None]
            share[start:stop] = np.where(there, self.per_row[place], 0).sum(axis=1)
        return share


def leave_one_out(
    training: TrainingSet,
    neighbors: Neighbors,
    problem: QueryProblem,
    *,
    pairs: np.ndarray | None = None,
    honest: np.ndarray | None = None,
    weights: VoteWeights | None = None,
    n_threads: int = 1,
    advance: Callable[[int], None] | None = None,
) -> LeaveOneOut:
    """Answer every training pair with one of its rows left out.

    Parameters
    ----------
    pairs : ndarray of shape (n,) or None, default=None
        Pairs to answer, the results in their order; None for all.
    honest : ndarray of shape (n_honest,) or None, default=None
        Places among `pairs` whose answers are those of new rows, ascending: the
        exponent and the score are found on them. None for all.
    weights : VoteWeights or None
        Receives those of its pairs, where all are answered.
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
    step = min(PAIRS_PER_BLOCK, queries_per_block(training.n_classes))
    for start in range(0, n_pairs, step):
        block = slice(start, start + step)
        some = left_out[block]
        ids, squared = leave_one_out_candidates(
            training, neighbors, some, problem.n_neighbors
        )
        shares = None if weights is None else np.zeros(ids.shape)
        votes = candidate_votes(
            training,
            ids,
            squared,
            problem,
            left_out=some,
            shares=shares,
            n_threads=n_threads,
        )
        if weights is not None and shares is not None:
            weights.add(training, some, ids, shares, votes)
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
        training.score_weights(left_out[sample]),
    )
    of_honest = training.score_weights(left_out[honest])
    score = float(np.average(right[honest], weights=of_honest))
    return LeaveOneOut(
        right, own_share, rival_code, rival_share, exponent, exponent, score
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
    honest : ndarray of shape (n_honest,)
        Pairs with leave-one-out answers that are those of new rows, ascending.

    Returns
    -------
    ndarray of shape (at most 5000,)
    """
    # The first pairs lie on the first nodes, which are a random sample.
    return honest[: min(CALIBRATION_ROWS, queries_per_block(training.n_classes))]


def calibrate_stored(
    training: TrainingSet,
    at_node: np.ndarray,
    at_query: np.ndarray,
    sample: np.ndarray,
    agreed: np.ndarray,
    adaptive_exponent: float,
) -> Calibration:
    """Fit exponents and floors of the votes behind stored labels.

    Parameters
    ----------
    at_node, at_query : ndarray of shape (n_sample, n_classes)
        Votes around the nodes that the pairs of the sample, left out, reach, and
        around the pairs themselves; zero where no other row is there.
    sample : ndarray of shape (n_sample,)
    agreed : ndarray of shape (n_sample,), bool
        Whether the nearest nodes of them agree, by the rule of a cascade.
    """
    reached = at_node.any(axis=1) & at_query.any(axis=1)
    codes, weights = training.pair_code[sample], training.score_weights(sample)
    sure = reached & agreed
    if sure.sum() < _FEWEST_AGREED:
        sure = reached
    exponents, floors = zip(
        *(
            fit_exponent_and_floor(votes[some], codes[some], weights[some])
            for votes, some in ((at_node, reached), (at_query, sure))
        )
    )
    return Calibration(adaptive_exponent, *exponents, *floors)


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
    neighbors : Neighbors
        As many as the largest setting needs.
    problems : sequence of QueryProblem
    pairs : ndarray of shape (n,)

    Returns
    -------
    right : ndarray of shape (n_problems, n), bool
    own_share : ndarray of shape (n_problems, n)
        Share of the vote that the given class gets.
    """
    widest = max(problem.n_neighbors for problem in problems)
    settings = np.array([p.setting() for p in problems], dtype=np.float64)
    right = np.zeros((len(problems), len(pairs)), dtype=bool)
    own_share = np.zeros((len(problems), len(pairs)))

    def answer(start: int, stop: int) -> None:
        chunk = pairs[start:stop]
        ids, squared = leave_one_out_candidates(training, neighbors, chunk, widest)
        votes = votes_by_setting(training, ids, squared, chunk, settings)
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
