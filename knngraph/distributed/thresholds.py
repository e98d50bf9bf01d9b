"""What a cascade decides and how votes become probabilities, from a sample.

The sample is bounded, and so is what it asks for: the sampled rows, at most 128 at a
time, fetch their surroundings and the candidates of those, and are answered without
themselves (see `knngraph.distributed.judging`). Only votes travel on.
"""

from dataclasses import dataclass

import numpy as np

from knngraph.distributed.judging import Judged
from knngraph.distributed.trusting import Chosen
from knngraph.graph.stored_left_out import StoredVotes
from knngraph.graph.training_set import TrainingSet, training_set_of_pairs
from knngraph.inference.blocks import queries_per_block
from knngraph.inference.calibration import Calibration, fit_exponent
from knngraph.inference.cascade import Decisions
from knngraph.inference.deciding import (
    DECISION_ROWS,
    NOTHING_UNSURE,
    Tried,
    choose_decisions,
    decide,
)
from knngraph.inference.leave_one_out import CALIBRATION_ROWS, calibrate_stored


@dataclass(frozen=True)
class Thresholds:
    """The numbers that answers need beside the partitions.

    Parameters
    ----------
    calibration : Calibration
    decisions : Decisions
        When a cascade answers by a stored label.
    chosen : Chosen or None
        How far labels are believed; None believes all.
    right : ndarray of shape (n_sampled,), bool
        Whether the pairs of the sample, left out, are answered right.
    """

    calibration: Calibration
    decisions: Decisions
    chosen: Chosen | None
    right: np.ndarray


def sample_sizes(
    n_pairs: np.ndarray,
    n_classes: int,
    in_order: bool,
    largest: int = CALIBRATION_ROWS,
) -> np.ndarray:
    """How many of its first pairs every partition gives to the sample.

    Parameters
    ----------
    n_pairs : ndarray of shape (n_partitions,)
    n_classes : int
    in_order : bool
        Whether the partitions follow one another in the random order that the
        nodes have on one machine: the sample is then the same as there. Else
        every partition gives its share.
    largest : int
        Of the whole sample.

    Returns
    -------
    ndarray of shape (n_partitions,)

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.distributed.thresholds import sample_sizes
    >>> sample_sizes(np.array([4000, 4000]), 10, in_order=True).tolist()
    [4000, 1000]
    >>> sample_sizes(np.array([4000, 4000]), 10, in_order=False).tolist()
    [2500, 2500]
    """
    limit = min(largest, queries_per_block(n_classes), int(n_pairs.sum()))
    if in_order:
        before = np.cumsum(n_pairs) - n_pairs
        return np.clip(limit - before, 0, n_pairs)
    return -(-n_pairs * limit // n_pairs.sum())


def learn_thresholds(
    sample: Judged,
    exponent: float,
    chosen: Chosen | None,
    n_neighbors: int,
    tolerance: float,
) -> Thresholds:
    """Decisions of the cascade and exponents of the votes, from the sample.

    Parameters
    ----------
    sample : Judged
    exponent : float
        That calibrates votes over the given labels.
    chosen : Chosen or None
    n_neighbors : int
        Candidates of a query.
    tolerance : float
        Loss of accuracy that a cascade may cost.

    Returns
    -------
    Thresholds
    """
    given, votes = _sample_as_training_set(sample), sample.votes
    if chosen is not None:
        votes = chosen.votes
        exponent = fit_exponent(votes, sample.codes, sample.counts)
    # As on one machine, whose threshold is learned on the first of the sample.
    some = slice(0, DECISION_ROWS)
    adaptive_right = votes.argmax(axis=1) == sample.codes
    stored_right = sample.stored == sample.codes
    gain = stored_right.astype(np.intp) - adaptive_right.astype(np.intp)
    if (sample.stored < 0).all():
        decisions = NOTHING_UNSURE
        decided = np.ones(len(gain), dtype=bool)
    else:
        decisions = choose_decisions(
            Tried(sample.tried.settled[some], sample.tried.margin[some]),
            gain[some],
            sample.counts[some],
            n_neighbors,
            tolerance,
        )
        decided = decide(decisions, sample.shown, n_neighbors)
    calibration = calibrate_stored(
        given,
        StoredVotes(sample.stored, sample.shares),
        decided,
        exponent,
    )
    return Thresholds(calibration, decisions, chosen, adaptive_right)


def _sample_as_training_set(sample: Judged) -> TrainingSet:
    return training_set_of_pairs(
        np.empty((len(sample.codes), 0), dtype=np.float32),
        np.arange(len(sample.codes)),
        sample.codes,
        sample.counts,
        sample.votes.shape[1],
    )
