"""Votes on left-out rows, counted as those on queries are."""

from dataclasses import dataclass

import numpy as np

from knngraph.graph.neighbors import Neighbors
from knngraph.graph.training_set import TrainingSet
from knngraph.inference.adaptive import QueryProblem, leave_one_out_candidates
from knngraph.inference.cascade import n_margin_nodes
from knngraph.inference.leave_one_out import LeaveOneOut
from knngraph.inference.node_votes import near_votes_left_out, node_votes_left_out
from knngraph.inference.reliability import reliable_votes


@dataclass(frozen=True)
class LeftOutRows:
    """What left-out rows are answered from.

    Parameters
    ----------
    training : TrainingSet
    neighbors : Neighbors
        Of left-out rows, under maps that have not seen them.
    around : Neighbors
        Of the nodes, under the map of queries.
    problem : QueryProblem
    answers : LeaveOneOut
    n_threads : int, default=1
    """

    training: TrainingSet
    neighbors: Neighbors
    around: Neighbors
    problem: QueryProblem
    answers: LeaveOneOut
    n_threads: int = 1

    def votes(
        self, pairs: np.ndarray, of_candidates: np.ndarray, inference: str
    ) -> np.ndarray:
        """Votes on pairs when a row of each is left out; see `found_votes`.

        Parameters
        ----------
        pairs : ndarray of shape (n,)
        of_candidates : ndarray of shape (n,), bool
            Whether candidates vote; else the nodes around.
        inference : {"lookup", "adaptive", "cascade"}

        Returns
        -------
        ndarray of shape (n, n_classes)
        """
        votes = np.empty((len(pairs), self.training.n_classes))
        if of_candidates.any():
            votes[of_candidates] = reliable_votes(
                self.training,
                self.neighbors,
                self.problem,
                self.answers,
                pairs[of_candidates],
                n_threads=self.n_threads,
            )
        if not of_candidates.all():
            votes[~of_candidates] = self.near_votes(pairs[~of_candidates], inference)
        return votes

    def near_votes(self, pairs: np.ndarray, inference: str) -> np.ndarray:
        """Votes of the nodes around left-out pairs (cascade), or around those reached.

        Zero where no other row is there.
        """
        k = n_margin_nodes(self.problem.n_neighbors)
        if inference == "cascade":
            return near_votes_left_out(self.training, self.neighbors, pairs, k)
        reached, _ = leave_one_out_candidates(self.training, self.neighbors, pairs, 1)
        if not reached.shape[1]:
            return np.zeros((len(pairs), self.training.n_classes))
        return node_votes_left_out(self.training, self.around, reached[:, 0], pairs, k)
