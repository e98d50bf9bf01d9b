"""How far labels are believed: one choice for all partitions, on the sample.

The ballots stay on the workers. What comes to the client are the rows that every
combination of nugget and share of wrong labels answers right, and the votes of the
one that is chosen.
"""

from dataclasses import dataclass, field
from functools import partial
from itertools import product
from typing import Any

import numpy as np

from knngraph.distributed.judging import Judged
from knngraph.distributed.learning import Learned
from knngraph.distributed.tasks import compute, task
from knngraph.inference.ballots import Ballots, belief
from knngraph.inference.trust import NOISE_LEVELS, NUGGET_FACTORS

# The plain vote comes first: it wins among equals.
_CHOICES = tuple(product(NUGGET_FACTORS, NOISE_LEVELS))
_PLAIN = _CHOICES[0]


@dataclass(frozen=True)
class Chosen:
    """How far labels are believed.

    Parameters
    ----------
    nugget_factor, noise : float
        See `knngraph.inference.adaptive.LabelTrust`.
    exponent : float
        That calibrates votes over the given labels.
    n_classes : int
    score : float
        Share of the sampled rows that are answered right, left out.
    votes : ndarray of shape (n_sampled, n_classes)
        On the sampled pairs. Needed at fit only.
    """

    nugget_factor: float
    noise: float
    exponent: float
    n_classes: int
    score: float
    votes: np.ndarray = field(repr=False)

    def belief(self, learned: Learned) -> np.ndarray:
        """Belief in the class of every pair, and the class that gets the rest.

        Returns
        -------
        ndarray of shape (n_pairs, 2), or without columns where all are believed
        """
        if self.noise == 0.0:
            return nothing_said(len(learned.codes))
        shares = (learned.own_share, learned.rival_share)
        own = belief(*shares, self.noise, self.exponent, self.n_classes)
        return np.column_stack([own, learned.rival_code])


def nothing_said(n_pairs: int) -> np.ndarray:
    """Belief where every label is believed."""
    return np.empty((n_pairs, 0))


def choose_trust(
    judged: list[Any], counts: np.ndarray, exponent: float, n_classes: int
) -> Chosen | None:
    """Choose nugget and share of wrong labels by what answers most of the sample.

    Parameters
    ----------
    judged : list of Delayed
        `Judged` and the ballots of every block of the sample.
    counts : ndarray of shape (n_sampled,)
        Rows that the pairs of the sample stand for.
    exponent : float
        That calibrates votes over the given labels.
    n_classes : int

    Returns
    -------
    Chosen or None
        None where nothing answers better than the plain vote.
    """
    how: dict[str, Any] = {"exponent": exponent, "n_classes": n_classes}
    tally = partial(n_right_of_choices, **how)
    n_right = np.sum(
        compute(*(task(tally, block, name="tally") for block in judged)), axis=0
    )
    best = int(n_right.argmax())
    if _CHOICES[best] == _PLAIN:
        return None
    factor, noise = _CHOICES[best]
    count = partial(count_ballots, factor=factor, noise=noise, **how)
    votes = compute(*(task(count, block, name="ballots") for block in judged))
    score = float(n_right[best] / counts.sum())
    return Chosen(
        factor, noise, exponent, n_classes, score, np.concatenate(list(votes))
    )


def n_right_of_choices(
    block: tuple[Judged, dict[float, Ballots]], exponent: float, n_classes: int
) -> np.ndarray:
    """Rows of a block of the sample that every choice answers right.

    Returns
    -------
    ndarray of shape (n_choices,)
    """
    judged, ballots = block
    n_right = np.zeros(len(_CHOICES), dtype=np.int64)
    if ballots:
        for place, (factor, noise) in enumerate(_CHOICES):
            votes = ballots[factor].count(noise, exponent, n_classes)
            n_right[place] = judged.counts[votes.argmax(axis=1) == judged.codes].sum()
    return n_right


def count_ballots(
    block: tuple[Judged, dict[float, Ballots]],
    factor: float,
    noise: float,
    exponent: float,
    n_classes: int,
) -> np.ndarray:
    """Votes on a block of the sample.

    Returns
    -------
    ndarray of shape (n_pairs, n_classes)
    """
    return block[1][factor].count(noise, exponent, n_classes)
