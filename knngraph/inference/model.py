"""What fit leaves behind for the queries."""

from dataclasses import dataclass, replace

from knngraph.graph.training_set import TrainingSet
from knngraph.index.build import WalkProbe
from knngraph.index.hnsw import HNSWIndex
from knngraph.index.protocol import SearchIndex
from knngraph.inference.adaptive import LabelTrust, QueryProblem
from knngraph.inference.calibration import Calibration
from knngraph.inference.cascade import Decisions
from knngraph.inference.stored import StoredAnswers
from knngraph.lens import Lens
from knngraph.space import Space


@dataclass(frozen=True)
class FittedModel:
    """The state that every inference reads and none changes.

    Parameters
    ----------
    space : Space
        Map from user rows to index rows.
    training : TrainingSet
    index : SearchIndex
        Over the nodes of `training`.
    stored : StoredAnswers
    probe : WalkProbe
        How well walks of several beams find the nearest node.
    label_beam : int
        Smallest beam whose labels agree with exact search often enough.
    node_beam : int
        Smallest beam that ends at the nearest node often enough.
    calibration : Calibration
    decisions : Decisions
        What a cascade trusts.
    trust : LabelTrust or None
        How far labels are believed when they vote at a query; None believes all.
    lens : Lens or None
        Through which candidates are compared at a query; None looks at rows as the
        index does.
    """

    space: Space
    training: TrainingSet
    index: SearchIndex
    stored: StoredAnswers
    probe: WalkProbe
    label_beam: int
    node_beam: int
    calibration: Calibration
    decisions: Decisions
    trust: LabelTrust | None
    lens: Lens | None

    def walking_from_medoids(self) -> "FittedModel":
        """The same model, whose queries walk from the nearest of few medoids."""
        return replace(self, index=self._medoid_walk())

    def _medoid_walk(self) -> SearchIndex:
        index = self.index
        # Other engines have no links to walk over.
        if not isinstance(index, HNSWIndex):
            return index
        return index.from_medoids(self.training.points)


@dataclass(frozen=True)
class Reading:
    """How queries are to be answered, from the parameters of the estimator.

    Parameters
    ----------
    inference : {"lookup", "adaptive", "cascade"}
    ef : int
        Beam of the walk, or the least beam of the search for candidates.
    problem : QueryProblem
    n_threads : int
    """

    inference: str
    ef: int
    problem: QueryProblem
    n_threads: int
