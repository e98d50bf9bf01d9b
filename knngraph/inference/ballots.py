"""Votes at left-out rows, label by label, with what the others say of each label."""

from dataclasses import dataclass

import numpy as np

from knngraph.graph.training_set import TrainingSet
from knngraph.inference.calibration import FLOOR
from knngraph.inference.leave_one_out import LeaveOneOut


def belief(
    own_share: np.ndarray,
    rival_share: np.ndarray,
    noise: float,
    exponent: float,
    n_classes: int,
) -> np.ndarray:
    """Probability that the given label of a row is right and not its rival.

    Parameters
    ----------
    own_share, rival_share : ndarray of shape (n,)
        Shares of the vote without the row, for its given class and for the
        strongest other.
    noise : float
        Share of wrong labels; a wrong label is any other class as often.
    exponent : float
        That calibrates such votes.
    n_classes : int

    Returns
    -------
    ndarray of shape (n,)

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.inference.ballots import belief
    >>> own, rival = np.array([0.9, 0.5, 0.0]), np.array([0.1, 0.5, 1.0])
    >>> belief(own, rival, noise=0.2, exponent=1.0, n_classes=2).round(2).tolist()
    [0.97, 0.8, 0.09]
    """
    floor = FLOOR / n_classes
    odds_right = (1.0 - noise) * (own_share + floor) ** exponent
    odds_wrong = noise / max(n_classes - 1, 1) * (rival_share + floor) ** exponent
    return odds_right / (odds_right + odds_wrong)


@dataclass(frozen=True)
class Witnesses:
    """Who voted, and how much, when the label of a pair was judged.

    Parameters
    ----------
    place : ndarray of shape (n_pairs,)
        Row of a pair below, -1 where it was not asked for.
    ids : ndarray of shape (n_asked, m)
        Nodes that were candidates of the pairs, left out.
    per_row : ndarray of shape (n_asked, m)
        Share that every row on such a node had in the vote.
    """

    place: np.ndarray
    ids: np.ndarray
    per_row: np.ndarray

    @classmethod
    def of_shares(
        cls,
        training: TrainingSet,
        pairs: np.ndarray,
        ids: np.ndarray,
        shares: np.ndarray,
    ) -> "Witnesses":
        """Take the weights of left-out pairs where they are known.

        Parameters
        ----------
        training : TrainingSet
        pairs : ndarray of shape (n_asked,)
        ids, shares : ndarray of shape (n_asked, m)
            Candidate nodes of these, and their shares of the vote.

        Returns
        -------
        Witnesses
        """
        place = np.full(training.n_pairs, -1, dtype=np.intp)
        place[pairs] = np.arange(len(pairs))
        return cls(place, ids, share_of_every_row(training, pairs, ids, shares))

    def share(self, pairs: np.ndarray, nodes: np.ndarray) -> np.ndarray:
        """Share that one row on each of some nodes had in the vote on a pair."""
        place = self.place[pairs]
        return np.where(self.ids[place] == nodes[:, None], self.per_row[place], 0).sum(
            axis=1
        )


def share_of_every_row(
    training: TrainingSet, pairs: np.ndarray, ids: np.ndarray, shares: np.ndarray
) -> np.ndarray:
    """Divide the shares that nodes have in left-out votes among their rows.

    Parameters
    ----------
    training : TrainingSet
    pairs : ndarray of shape (n,)
        Of which one row is left out.
    ids, shares : ndarray of shape (n, m)
        Candidate nodes of these, and their shares of the vote.

    Returns
    -------
    ndarray of shape (n, m)
    """
    there = training.node_counts()[ids] - (training.pair_node[pairs, None] == ids)
    return shares / np.maximum(there, 1)


@dataclass(frozen=True)
class Ballots:
    """Votes of single labels at left-out rows.

    Parameters
    ----------
    n_voted_on : int
        Number of left-out rows.
    owner : ndarray of shape (n_ballots,)
        Left-out row that a label votes at.
    weight : ndarray of shape (n_ballots,)
        Share of the vote there.
    code, rival : ndarray of shape (n_ballots,)
        The label, and its strongest contradiction.
    own_share, rival_share : ndarray of shape (n_ballots,)
        What is said of both by rows that are neither the voter nor the owner.
    """

    n_voted_on: int
    owner: np.ndarray
    weight: np.ndarray
    code: np.ndarray
    rival: np.ndarray
    own_share: np.ndarray
    rival_share: np.ndarray

    def count(self, noise: float, exponent: float, n_classes: int) -> np.ndarray:
        """Shares of the classes at every left-out row; see `belief`.

        Returns
        -------
        ndarray of shape (n_voted_on, n_classes)
        """
        own = belief(self.own_share, self.rival_share, noise, exponent, n_classes)
        first = self.owner * n_classes
        size = self.n_voted_on * n_classes
        votes = np.bincount(first + self.code, self.weight * own, size)
        votes += np.bincount(first + self.rival, self.weight * (1.0 - own), size)
        return votes.reshape(self.n_voted_on, n_classes)


def cast_ballots(
    training: TrainingSet,
    left_out: LeaveOneOut,
    witnesses: Witnesses,
    pairs: np.ndarray,
    ids: np.ndarray,
    shares: np.ndarray,
) -> Ballots:
    """Take the votes at left-out rows apart.

    A left-out row must not speak through its neighbors: its share is taken out of
    what is said of their labels.

    Parameters
    ----------
    training : TrainingSet
    left_out : LeaveOneOut
        What is said of every label.
    witnesses : Witnesses
        At least of the pairs on the nodes in `ids`.
    pairs : ndarray of shape (n,)
        Of which one row is left out.
    ids, shares : ndarray of shape (n, m)
        Candidate nodes of these, and their shares of the vote.

    Returns
    -------
    Ballots
    """
    asking, place = np.nonzero(shares > 0.0)
    nodes = ids[asking, place]
    starts = training.node_starts()
    n_on_node = starts[nodes + 1] - starts[nodes]
    vote = np.repeat(np.arange(len(nodes)), n_on_node)
    first = np.repeat(np.cumsum(n_on_node) - n_on_node, n_on_node)
    voter = starts[nodes][vote] + np.arange(len(vote)) - first
    owner = asking[vote]
    absent = training.pair_node[pairs]
    rows_there = training.node_counts()[nodes] - (absent[asking] == nodes)
    n_rows = training.pair_count[voter] - (voter == pairs[owner])
    weight = shares[asking, place][vote] * n_rows / rows_there[vote]
    heard = witnesses.share(voter, absent[owner])
    said = training.pair_code[pairs][owner]
    code, rival = training.pair_code[voter], left_out.rival_code[voter]
    # What is left of a vote that nobody else took part in says nothing.
    rest = 1.0 - heard
    scale = np.where(rest > 1e-9, 1.0 / np.maximum(rest, 1e-9), 0.0)
    own_share = left_out.own_share[voter] - heard * (said == code)
    rival_share = left_out.rival_share[voter] - heard * (said == rival)
    return Ballots(
        n_voted_on=len(pairs),
        owner=owner,
        weight=weight,
        code=code,
        rival=rival,
        own_share=np.maximum(own_share, 0.0) * scale,
        rival_share=np.maximum(rival_share, 0.0) * scale,
    )
