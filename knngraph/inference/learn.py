"""What fit learns for the queries, in its order: the end of the corridor."""

from dataclasses import dataclass

import numpy as np

from knngraph.graph.learn import GraphSettings, LearnedGraph
from knngraph.graph.neighbors import Neighbors
from knngraph.graph.stored_left_out import stored_votes_left_out
from knngraph.graph.training_set import TrainingSet
from knngraph.index.build import WalkProbe
from knngraph.index.protocol import SearchIndex
from knngraph.inference.adaptive import LabelTrust, QueryProblem
from knngraph.inference.cascade import n_nodes_around
from knngraph.inference.deciding import learn_decisions
from knngraph.inference.kept_shares import KeptShares
from knngraph.inference.leave_one_out import (
    LeaveOneOut,
    calibrate_stored,
    calibration_sample,
    leave_one_out,
)
from knngraph.inference.model import FittedModel
from knngraph.inference.stored import StoredAnswers
from knngraph.inference.trust import learn_trust, pairs_asked
from knngraph.progress import stage
from knngraph.space import Space

# Agreement with exact search that ef="auto" reaches.
ENOUGH_SAME_LABELS = 0.99
# A cascade looks at several nodes around a query: missing the nearest now and
# then does it no harm.
ENOUGH_SAME_NODES = 0.95


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


@dataclass(frozen=True)
class Heard:
    """What left-out rows say of the labels.

    Parameters
    ----------
    left_out : LeaveOneOut
    trust : LabelTrust or None
        How far labels are believed; None where all are.
    """

    left_out: LeaveOneOut
    trust: LabelTrust | None


def leave_rows_out(
    training: TrainingSet,
    neighbors: Neighbors,
    problem: QueryProblem,
    *,
    vote: str,
    n_threads: int = 1,
    verbose: int = 0,
) -> Heard:
    """Answer every training row without it, and learn what labels are worth.

    Parameters
    ----------
    training : TrainingSet
    neighbors : Neighbors
    problem : QueryProblem
    vote : {"trusted", "labels"}
        Whether to learn how far labels are believed at queries.
    n_threads : int, default=1
    verbose : int, default=0

    Returns
    -------
    Heard
    """
    asked = None
    if vote == "trusted":
        asked = KeptShares(pairs_asked(training, neighbors, problem))
    with stage("leaving rows out", training.n_pairs, verbose) as leaving:
        left_out = leave_one_out(
            training,
            neighbors,
            problem,
            kept=asked,
            n_threads=n_threads,
            advance=leaving.advance,
        )
    if asked is None:
        return Heard(left_out, None)
    trust, left_out = learn_trust(
        training, neighbors, problem, left_out, asked, n_threads=n_threads
    )
    return Heard(left_out, trust)


def learn_model(
    space: Space,
    training: TrainingSet,
    index: SearchIndex,
    probe: WalkProbe,
    neighbors: Neighbors,
    learned: LearnedGraph,
    settings: GraphSettings,
    problem: QueryProblem,
    heard: Heard,
    tolerance: float,
    *,
    n_threads: int = 1,
    verbose: int = 0,
) -> LearnedModel:
    """Decide and calibrate on what left-out rows say.

    Parameters
    ----------
    space, training, index, probe, neighbors
        Of the earlier stages.
    learned : LearnedGraph
    settings : GraphSettings
        That it was learned with.
    problem : QueryProblem
    heard : Heard
        From `leave_rows_out`.
    tolerance : float
        Loss of accuracy that a cascade may cost.
    n_threads : int, default=1
    verbose : int, default=0

    Returns
    -------
    LearnedModel
    """
    stored = StoredAnswers.from_consensus(training, learned.consensus)
    sample = calibration_sample(training)
    (votes,) = stored_votes_left_out(
        training,
        neighbors,
        learned.same_class,
        learned.problem,
        settings.max_neighbors,
        [settings.self_weight],
        sample,
        n_threads=n_threads,
    )
    decisions, decided = learn_decisions(
        training,
        neighbors,
        problem,
        heard.left_out,
        stored.codes,
        votes,
        tolerance,
    )
    calibration = calibrate_stored(
        training, votes, decided[: len(sample)], heard.left_out.exponent
    )
    model = FittedModel(
        space=space,
        training=training,
        index=index,
        stored=stored,
        probe=probe,
        label_beam=label_beam(probe, stored),
        node_beam=node_beam(probe, training, problem.n_neighbors),
        calibration=calibration,
        decisions=decisions,
        trust=heard.trust,
        lens=problem.lens,
    )
    return LearnedModel(model, heard.left_out, decided)


def label_beam(probe: WalkProbe, stored: StoredAnswers) -> int:
    """Smallest beam whose labels agree with exact search often enough."""
    return probe.smallest_beam(stored.codes, ENOUGH_SAME_LABELS)


def node_beam(probe: WalkProbe, training: TrainingSet, n_neighbors: int) -> int:
    """Smallest beam that ends at the nearest node often enough."""
    own_number = np.arange(training.n_nodes)
    beam = probe.smallest_beam(own_number, ENOUGH_SAME_NODES)
    return max(beam, n_nodes_around(n_neighbors))
