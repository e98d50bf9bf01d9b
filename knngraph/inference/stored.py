"""The consensus of the training rows, brought to the nodes of the index."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from knngraph.compact import CompactPickle
from knngraph.graph.training_set import TrainingSet
from knngraph.sparse_rows import as_dense
from knngraph.weights import mean_votes

if TYPE_CHECKING:
    # For fit only: a predictor loads without it.
    from knngraph.graph.consensus import Consensus


@dataclass(frozen=True)
class StoredAnswers(CompactPickle):
    """Stored label of every node, and shares of a vote.

    Parameters
    ----------
    codes : ndarray of shape (n_nodes,), intp
        Class of every node. Copies with different labels share one node; its
        class is the largest mean share of their votes, the smaller code in a
        tie.
    shares : ndarray or CSR array of shape (n_nodes, n_classes), or None
        In a fitted model mean shares, over the rows of a node, of the vote that the
        label comes from; in a model for queries those that probabilities of lookups
        are read from, where they are.
    """

    codes: np.ndarray
    shares: Any

    @classmethod
    def from_consensus(
        cls, training: TrainingSet, consensus: "Consensus"
    ) -> "StoredAnswers":
        """Bring the consensus of the pairs to their nodes."""
        if training.n_nodes == training.n_pairs:  # pairs are sorted by node
            return cls(consensus.codes, consensus.distribution)
        from scipy import sparse

        # The pairs of a node, by their weights.
        by_pair = sparse.csr_array(
            (
                training.pair_weight / training.node_weights()[training.pair_node],
                (training.pair_node, np.arange(training.n_pairs)),
            ),
            shape=(training.n_nodes, training.n_pairs),
        )
        shares = mean_votes(by_pair, consensus.distribution, training.class_weight)
        return cls(_node_codes(training, consensus, shares), shares)


def _node_codes(
    training: TrainingSet, consensus: "Consensus", shares: Any
) -> np.ndarray:
    # A node with one pair keeps what its tie rule chose.
    first = training.node_starts()[:-1]
    codes = consensus.codes[first].astype(np.intp)
    several = np.flatnonzero(training.node_classes() < 0)
    step = 4096  # of dense shares at once, whatever the number of classes
    for start in range(0, len(several), step):
        nodes = several[start : start + step]
        of_nodes = shares[nodes]
        dense = as_dense(of_nodes)
        codes[nodes] = dense.argmax(axis=1)
    return codes
