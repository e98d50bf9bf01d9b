"""A label noise model: how far the given labels count when they vote.

A wrong label contradicts the rows around it, and the vote that leaves its row out
shows that. How much such a contradiction means depends on the data: where classes
overlap, rows with right labels are contradicted too. So the share of wrong labels is
not guessed but chosen, with the nugget, by what answers left-out rows best.
"""

from dataclasses import dataclass, replace

import numpy as np

from knngraph.graph.neighbors import Neighbors
from knngraph.graph.training_set import TrainingSet
from knngraph.inference.adaptive import (
    LabelReliability,
    QueryProblem,
    candidate_votes,
    leave_one_out_candidates,
    queries_per_block,
)
from knngraph.inference.calibration import FLOOR, fit_exponent
from knngraph.inference.leave_one_out import (
    PAIRS_PER_BLOCK,
    LeaveOneOut,
    VoteWeights,
    leave_one_out,
    take_rivals,
)
from knngraph.weights import weigh_votes, without_one_row

# Multiples of the nugget and shares of wrong labels that are compared, the plain vote
# first.
NUGGET_FACTORS = (1.0, 1.0 / 3.0, 10.0 / 3.0)
DOUBTS = (0.0, 0.05, 0.2, 0.4)
# The best must lead the plain vote by more than so many standard errors, and by so
# many rows besides where it assumes more wrong labels than are contradicted.
_LEAD = 0.5
_LEAD_ROWS = 2
# Leads and shares of rows closer than this are equal: weights may be nearly so.
_EQUAL = 1e-6
# What is left of a share without a row: less than this is rounding.
_ROUNDING = 1e-9


def label_probability(
    own_share: np.ndarray,
    rival_share: np.ndarray,
    doubt: float,
    exponent: float,
    n_classes: int,
) -> np.ndarray:
    """Probability that the given label of a row is right and not its rival.

    Parameters
    ----------
    own_share, rival_share : ndarray of shape (n,)
        Shares of the vote without the row, for its given class and for the
        strongest other.
    doubt : float
        Share of wrong labels; a wrong label is any other class as often.
    exponent : float
        Of the calibration of such votes.

    Returns
    -------
    ndarray of shape (n,)

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.inference.reliability import label_probability
    >>> own, rival = np.array([0.9, 0.5, 0.0]), np.array([0.1, 0.5, 1.0])
    >>> label_probability(own, rival, doubt=0.2, exponent=1.0, n_classes=2).round(2)
    array([0.97, 0.8 , 0.09])
    """
    floor = FLOOR / n_classes
    odds_right = (1.0 - doubt) * (own_share + floor) ** exponent
    odds_wrong = doubt / max(n_classes - 1, 1) * (rival_share + floor) ** exponent
    return odds_right / (odds_right + odds_wrong)


@dataclass(frozen=True)
class NeighborVotes:
    """Votes per neighbor: every label that votes at a left-out row.

    Parameters
    ----------
    n_rows : int
        Number of left-out rows.
    owner : ndarray of shape (n_votes,)
        Left-out row that a label votes at.
    weight : ndarray of shape (n_votes,)
        Share of the vote there.
    code, rival : ndarray of shape (n_votes,)
        The label, and the likeliest other class of its row.
    own_share, rival_share : ndarray of shape (n_votes,)
        Shares of both in the vote on that row, without the owner.
    class_weight : ndarray of shape (n_classes,) or None
    """

    n_rows: int
    owner: np.ndarray
    weight: np.ndarray
    code: np.ndarray
    rival: np.ndarray
    own_share: np.ndarray
    rival_share: np.ndarray
    class_weight: np.ndarray | None

    def count(self, doubt: float, exponent: float, n_classes: int) -> np.ndarray:
        """Shares of the classes at every left-out row; see `label_probability`.

        Returns
        -------
        ndarray of shape (n_rows, n_classes)
        """
        own = label_probability(
            self.own_share, self.rival_share, doubt, exponent, n_classes
        )
        first = self.owner * n_classes
        size = self.n_rows * n_classes
        votes = np.bincount(first + self.code, self.weight * own, size)
        votes += np.bincount(first + self.rival, self.weight * (1.0 - own), size)
        return weigh_votes(votes.reshape(self.n_rows, n_classes), self.class_weight)


def votes_per_neighbor(
    training: TrainingSet,
    left_out: LeaveOneOut,
    weights: VoteWeights,
    pairs: np.ndarray,
    ids: np.ndarray,
    shares: np.ndarray,
    seconds: tuple[np.ndarray, np.ndarray] | None = None,
) -> NeighborVotes:
    """Split the votes at left-out rows by the labels that cast them.

    A left-out row must not vote through its neighbors: its share is taken out of
    the votes on their labels.

    Parameters
    ----------
    left_out : LeaveOneOut
        Answers at every pair.
    weights : VoteWeights
        At least of the pairs on the nodes in `ids`.
    pairs : ndarray of shape (n,)
        Of which one row is left out.
    ids, shares : ndarray of shape (n, m)
        Candidate nodes of these, and their shares of the vote.
    seconds : tuple of ndarray of shape (n_pairs,), or None, default=None
        Codes and shares of the class after the rival, of the pairs on the nodes in
        `ids`: it is the rival where the left-out row has made the other one. None
        keeps all rivals, which lets classes that only left-out rows have been found
        in be a little too likely for them.
    """
    row, place = np.nonzero(shares > 0.0)
    nodes = ids[row, place]
    starts = training.node_starts()
    n_on_node = starts[nodes + 1] - starts[nodes]
    vote = np.repeat(np.arange(len(nodes)), n_on_node)
    first = np.repeat(np.cumsum(n_on_node) - n_on_node, n_on_node)
    voter = starts[nodes][vote] + np.arange(len(vote)) - first
    owner = row[vote]
    absent = training.pair_node[pairs]
    on_own = absent[row] == nodes
    there = np.where(
        on_own, training.left_weights(pairs)[row], training.node_weights()[nodes]
    )
    left = training.pair_weight[voter]
    left = np.where(voter == pairs[owner], without_one_row(left), left)
    weight = shares[row, place][vote] * left / there[vote]
    gone = np.minimum(training.pair_weight[pairs], 1.0)[owner]
    from_owner = gone * weights.share(voter, absent[owner])
    given = training.pair_code[pairs][owner]
    if training.class_weight is not None:
        from_owner *= training.class_weight[given]
    code, rival = training.pair_code[voter], left_out.rival_code[voter]
    # A vote that only the owner took part in carries no information without it.
    rest = 1.0 - from_owner
    scale = np.where(rest > _ROUNDING, 1.0 / np.maximum(rest, _ROUNDING), 0.0)
    own_share = left_out.own_share[voter] - from_owner * (given == code)
    rival_share = left_out.rival_share[voter] - from_owner * (given == rival)
    if seconds is not None:
        second, its_share = (values[voter] for values in seconds)
        its_share = its_share - from_owner * (given == second)
        behind = rival_share < its_share
        rival = np.where(behind, second, rival)
        rival_share = np.where(behind, its_share, rival_share)
        rival = np.where(rival_share > _ROUNDING, rival, code)
    return NeighborVotes(
        n_rows=len(pairs),
        owner=owner,
        weight=weight,
        code=code,
        rival=rival,
        own_share=np.maximum(own_share, 0.0) * scale,
        rival_share=np.maximum(rival_share, 0.0) * scale,
        class_weight=training.class_weight,
    )


def estimate_reliability(
    training: TrainingSet,
    neighbors: Neighbors,
    problem: QueryProblem,
    left_out: LeaveOneOut,
    weights: VoteWeights,
    sample: np.ndarray,
    *,
    n_threads: int = 1,
) -> LeaveOneOut:
    """Choose nugget and share of wrong labels by left-out rows.

    Parameters
    ----------
    left_out : LeaveOneOut
        Answers of votes over the given labels.
    weights : VoteWeights
        Of the pairs of `voting_pairs`.
    sample : ndarray of shape (n_sample,)
        Pairs that are answered, left out.

    Returns
    -------
    LeaveOneOut
        With the reliability, and with the answers, the exponent and the score of
        votes by it, on a sample of the rows; `left_out` itself where nothing answers
        clearly better than the plain vote.

    Notes
    -----
    Let g be what a left-out row gains against the plain vote: -1, 0 or 1. By chance
    alone the sum of all g would have a standard error of the root of the sum of all
    g^2. The best setting has to lead by more than half of that: the best of several
    always leads a little.

    A wrong label is contradicted by the vote without its row. So a share of wrong
    labels above the share of rows that the plain vote, with the same nugget,
    contradicts is unlikely: such a setting has to lead by two rows besides.
    """
    given, in_score = training.pair_code[sample], training.score_weights(sample)
    # Small weights count as rows too.
    rows = in_score / min(1.0, in_score.mean()) if len(sample) else in_score
    best_lead, best_votes, factor, doubt = 0.0, np.empty(0), 1.0, 0.0
    plain = differ = np.empty(0)
    ids, squared = leave_one_out_candidates(
        training, neighbors, sample, problem.n_neighbors
    )
    for nugget_factor in NUGGET_FACTORS if ids.shape[1] else ():
        scaled = replace(problem, nugget=nugget_factor * problem.nugget)
        shares = np.zeros(ids.shape)
        candidate_votes(
            training,
            ids,
            squared,
            scaled,
            left_out=sample,
            shares=shares,
            n_threads=n_threads,
        )
        voters = votes_per_neighbor(training, left_out, weights, sample, ids, shares)
        for level in DOUBTS:
            votes = voters.count(level, left_out.exponent, training.n_classes)
            right = votes.argmax(axis=1) == given
            if level == 0.0:
                contradicted = float(np.average(~right, weights=in_score))
            if nugget_factor == 1.0 and level == 0.0:
                plain = right
            gained = right.astype(np.float64) - plain
            lead = float(gained @ rows)
            if level > contradicted + _EQUAL:
                lead -= _LEAD_ROWS
            if lead > best_lead + _EQUAL:
                best_lead, best_votes, differ = lead, votes, np.abs(gained)
                factor, doubt = nugget_factor, level
    if best_lead <= _LEAD * np.sqrt(differ @ rows[: len(differ)]):
        return left_out
    own = label_probability(
        left_out.own_share,
        left_out.rival_share,
        doubt,
        left_out.exponent,
        training.n_classes,
    )
    right = left_out.right.copy()
    right[sample] = best_votes.argmax(axis=1) == given
    score = float(np.average(right[sample], weights=in_score))
    return replace(
        left_out,
        right=right,
        exponent=fit_exponent(best_votes, given, in_score),
        score=score,
        reliability=LabelReliability(own, left_out.rival_code, doubt, factor),
    )


def reliable_votes(
    training: TrainingSet,
    neighbors: Neighbors,
    problem: QueryProblem,
    left_out: LeaveOneOut,
    pairs: np.ndarray,
    *,
    n_threads: int = 1,
) -> np.ndarray:
    """Votes on pairs of which one row is left out, by the reliability of the labels.

    A left-out row takes no part in what is known of its neighbors' labels.

    Parameters
    ----------
    pairs : ndarray of shape (n,)

    Returns
    -------
    ndarray of shape (n, n_classes)
    """
    ids, squared = leave_one_out_candidates(
        training, neighbors, pairs, problem.n_neighbors
    )
    reliability = left_out.reliability
    if reliability is None or reliability.doubt == 0.0:
        return candidate_votes(
            training,
            ids,
            squared,
            problem,
            reliability=reliability,
            left_out=pairs,
            n_threads=n_threads,
        )
    voting = voting_pairs(training, neighbors, problem, pairs)
    weights = VoteWeights(voting, problem.n_neighbors)
    second, its_share = training.pair_code.copy(), np.zeros(training.n_pairs)
    step = min(PAIRS_PER_BLOCK, queries_per_block(training.n_classes))
    for start in range(0, len(voting), step):
        some = voting[start : start + step]
        near = leave_one_out_candidates(training, neighbors, some, problem.n_neighbors)
        shares = np.zeros(near[0].shape)
        votes = candidate_votes(
            training,
            *near,
            problem,
            left_out=some,
            shares=shares,
            n_threads=n_threads,
        )
        weights.add(training, some, near[0], shares, votes)
        votes[np.arange(len(some)), left_out.rival_code[some]] = 0.0
        second[some], its_share[some] = take_rivals(votes, training.pair_code[some])
    shares = np.zeros(ids.shape)
    candidate_votes(
        training,
        ids,
        squared,
        replace(problem, nugget=reliability.nugget_factor * problem.nugget),
        left_out=pairs,
        shares=shares,
        n_threads=n_threads,
    )
    voters = votes_per_neighbor(
        training, left_out, weights, pairs, ids, shares, (second, its_share)
    )
    return voters.count(reliability.doubt, left_out.label_exponent, training.n_classes)


def answer_open_pairs(
    left_out: LeaveOneOut,
    training: TrainingSet,
    neighbors: Neighbors,
    problem: QueryProblem,
    *,
    n_threads: int = 1,
) -> LeaveOneOut:
    """Answer pairs that came since, left out; all numbers of the model hold.

    Parameters
    ----------
    left_out : LeaveOneOut
        After a change of the rows.
    neighbors : Neighbors
        Read for the open pairs alone.
    """
    pairs = left_out.open_pairs
    if not len(pairs):
        return left_out
    fresh = leave_one_out(
        training, neighbors, problem, pairs=pairs, n_threads=n_threads
    )
    whole = {}
    for name in ("right", "own_share", "rival_code", "rival_share"):
        whole[name] = getattr(left_out, name).copy()
        whole[name][pairs] = getattr(fresh, name)
    reliability = left_out.reliability
    if reliability is not None:
        own = reliability.own.copy()
        own[pairs] = label_probability(
            fresh.own_share,
            fresh.rival_share,
            reliability.doubt,
            left_out.label_exponent,
            training.n_classes,
        )
        reliability = replace(reliability, own=own, rival=whole["rival_code"])
    return replace(left_out, reliability=reliability, **whole)


def voting_pairs(
    training: TrainingSet,
    neighbors: Neighbors,
    problem: QueryProblem,
    sample: np.ndarray,
) -> np.ndarray:
    """Pairs whose labels vote at the left-out rows of the sample.

    Returns
    -------
    ndarray, ascending
        All pairs that are candidates of the sample.
    """
    ids, _ = leave_one_out_candidates(training, neighbors, sample, problem.n_neighbors)
    votes = np.zeros(training.n_nodes, dtype=bool)
    votes[ids[ids >= 0]] = True
    return np.flatnonzero(votes[training.pair_node])
