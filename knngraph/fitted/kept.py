"""What a change of the rows keeps of what was learned before."""

from collections.abc import Collection
from dataclasses import dataclass, fields, replace

import numpy as np

from knngraph.graph.changed_rows import ChangedRows
from knngraph.graph.solved import Solved
from knngraph.index.medoids import renumbered_entries
from knngraph.index.recall import SearchRecall
from knngraph.inference.adaptive import QueryProblem
from knngraph.inference.calibration import Calibration
from knngraph.inference.cascade import CascadeRule
from knngraph.inference.leave_one_out import LeaveOneOut
from knngraph.inference.novelty import Novelty


@dataclass(frozen=True)
class StoredRule:
    """When a stored label is the answer, and how its vote becomes a probability."""

    rule: CascadeRule
    calibration: Calibration


@dataclass(frozen=True)
class Kept:
    """Parts of a model that hold after a change, each None where it was not found.

    Numbers that all rows share stay as they are; what belongs to a row goes with it.

    Parameters
    ----------
    graph : Solved or None
        None too where all rows are candidates: no problem is what it was.
    problem : QueryProblem or None
        With its bandwidth.
    left_out : LeaveOneOut or None
        Rows that came since are open.
    stored_rule : StoredRule or None
    entries : tuple of ndarray, or None
        Of the search from medoids.
    recall_from_medoids : SearchRecall or None
    novelty : Novelty or None
    """

    graph: Solved | None = None
    problem: QueryProblem | None = None
    left_out: LeaveOneOut | None = None
    stored_rule: StoredRule | None = None
    entries: tuple[np.ndarray, np.ndarray] | None = None
    recall_from_medoids: SearchRecall | None = None
    novelty: Novelty | None = None

    def after(self, change: ChangedRows, moved: np.ndarray) -> "Kept":
        """By the numbers of nodes and pairs after one change more."""
        graph, left_out, entries = self.graph, self.left_out, self.entries
        recall, node_now = self.recall_from_medoids, change.node_now
        return replace(
            self,
            graph=graph and graph.after(change, moved),
            left_out=left_out and left_out.after(change),
            recall_from_medoids=recall and recall.renumbered(node_now),
            entries=entries and renumbered_entries(*entries, node_now),
        )

    def without(self, names: Collection[str]) -> "Kept":
        """Without the parts of these names."""
        return replace(self, **{name: None for name in NAMES if name in names})


# Names of the parts, which are those in a model.
NAMES = tuple(field.name for field in fields(Kept))
NOTHING_KEPT = Kept()
