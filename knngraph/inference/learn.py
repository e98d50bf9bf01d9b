"""What fit learns for the queries, in its order: the end of the corridor."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from knngraph.graph.consensus import Consensus
from knngraph.graph.neighbors import Neighbors
from knngraph.graph.training_set import TrainingSet
from knngraph.index.build import WalkProbe
from knngraph.index.protocol import SearchIndex
from knngraph.inference.adaptive import QueryProblem
from knngraph.inference.cascade import learn_decisions
from knngraph.inference.leave_one_out import (
    LeaveOneOut,
    calibrate_stored,
    leave_one_out,
)
from knngraph.inference.model import FittedModel
from knngraph.inference.stored import StoredAnswers
from knngraph.progress import stage
from knngraph.space import Space


@dataclass(frozen=True)
class LearnedModel:
    """A model, and what left-out rows say of it.

    Parameters
    ----------
    model : FittedModel
    left_out : LeaveOneOut
        What adaptive inference says of left-out rows.
    decided : ndarray of shape (n_pairs,), bool
        Whether a cascade answers the pairs, left out, by a stored label.
    """

    model: FittedModel
    left_out: LeaveOneOut
    decided: np.ndarray


def learn_model(
    space: Space,
    training: TrainingSet,
    index: SearchIndex,
    probe: WalkProbe,
    neighbors: Neighbors,
    consensus: Consensus,
    distribution: Any,
    problem: QueryProblem,
    tolerance: float,
    *,
    n_threads: int = 1,
    verbose: int = 0,
) -> LearnedModel:
    """Leave rows out, then decide and calibrate on what they say.

    Parameters
    ----------
    space, training, index, probe, neighbors
        Of the earlier stages.
    consensus : Consensus
        By pair.
    distribution : ndarray or CSR array of shape (n_rows, n_classes)
        Shares of the vote on the training rows.
    problem : QueryProblem
    tolerance : float
        Loss of accuracy that a cascade may cost.
    n_threads : int, default=1
    verbose : int, default=0

    Returns
    -------
    LearnedModel
    """
    stored = StoredAnswers.from_consensus(training, consensus)
    with stage("leaving rows out", training.n_pairs, verbose) as leaving:
        left_out = leave_one_out(
            training, neighbors, problem, n_threads=n_threads, advance=leaving.advance
        )
    decisions, decided = learn_decisions(
        training, neighbors, left_out, stored.codes, tolerance
    )
    calibration = calibrate_stored(
        training, neighbors, stored, distribution, decided, left_out.exponent
    )
    model = FittedModel(space, training, index, stored, probe, calibration, decisions)
    return LearnedModel(model, left_out, decided)
