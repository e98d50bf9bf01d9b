"""Whose votes left-out pairs heard, kept and sent in numbers of all partitions."""

from dataclasses import dataclass

import numpy as np

from knngraph.distributed.sizes import Weighed
from knngraph.graph.training_set import TrainingSet
from knngraph.inference.ballots import share_of_every_row


@dataclass(frozen=True)
class Witnessed(Weighed):
    """Whose votes some pairs heard when one row of each was left out.

    Parameters
    ----------
    pairs : ndarray of shape (n,), int64
        Numbers among the pairs of all partitions, ascending.
    ids : ndarray of shape (n, m), int64
        Numbers among the nodes of all partitions, padded with -1.
    per_row : ndarray of shape (n, m)
        Share that every row on such a node had in the vote.
    """

    pairs: np.ndarray
    ids: np.ndarray
    per_row: np.ndarray

    @classmethod
    def of_votes(
        cls,
        training: TrainingSet,
        asked: np.ndarray,
        ids: np.ndarray,
        shares: np.ndarray,
        *,
        pair_numbers: np.ndarray,
        node_numbers: np.ndarray,
    ) -> "Witnessed":
        """Keep who had a share in the votes.

        Parameters
        ----------
        training : TrainingSet
            Of a patch.
        asked : ndarray of shape (n,)
            Pairs of the patch, ascending.
        ids, shares : ndarray of shape (n, m)
            Candidates in numbers of the patch, and their shares of the vote.
        pair_numbers : ndarray of shape (n,)
            Numbers of the pairs among all.
        node_numbers : ndarray of shape (n_nodes,)
            Numbers of the nodes of the patch among all.

        Returns
        -------
        Witnessed
        """
        per_row = share_of_every_row(training, asked, ids, shares)
        per_row[ids < 0] = 0.0
        width = int((per_row > 0).sum(axis=1).max(initial=0))
        voters = np.argsort(per_row == 0, axis=1, kind="stable")[:, :width]
        ids, per_row = (
            np.take_along_axis(part, voters, axis=1) for part in (ids, per_row)
        )
        numbers = np.where(per_row > 0, node_numbers[ids], -1).astype(np.int64)
        return cls(pair_numbers.astype(np.int64), numbers, per_row)

    @classmethod
    def join(cls, parts: list["Witnessed"]) -> "Witnessed":
        """Witnesses of the pairs of several parts, in their order."""
        width = max((part.ids.shape[1] for part in parts), default=0)

        def padded(values: np.ndarray, fill: float) -> np.ndarray:
            missing = ((0, 0), (0, width - values.shape[1]))
            return np.pad(values, missing, constant_values=fill)

        return cls(
            np.concatenate([part.pairs for part in parts]),
            np.concatenate([padded(part.ids, -1) for part in parts]),
            np.concatenate([padded(part.per_row, 0.0) for part in parts]),
        )

    @classmethod
    def nobody(cls) -> "Witnessed":
        """Nothing kept of no pair."""
        none = np.empty((0, 0))
        return cls(np.empty(0, dtype=np.int64), none.astype(np.int64), none)

    def of_pairs(self, pairs: np.ndarray) -> "Witnessed":
        """Those of some of the pairs."""
        rows = np.searchsorted(self.pairs, pairs)
        return Witnessed(pairs, self.ids[rows], self.per_row[rows])
