"""What the index keeps on its nodes: a label, and where its vote is found."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from knngraph.graph.training_set import TrainingSet
from knngraph.space import is_sparse

if TYPE_CHECKING:
    # For fit only: what answers queries is to load without it.
    from knngraph.graph.consensus import Consensus


@dataclass(frozen=True)
class StoredAnswers:
    """Stored label of every node, and the rows whose votes it stands for.

    Parameters
    ----------
    codes : ndarray of shape (n_nodes,)
        Class of every node. Copies with different labels share one node; its
        class is the largest mean share of their votes, the smaller code in a
        tie.
    row_of_node : ndarray of shape (n_nodes,)
        A row on every node.
    average : CSR array of shape (n_nodes, n_rows) or None
        Mean over the rows of a node; None where no node has several.
    """

    codes: np.ndarray
    row_of_node: np.ndarray
    average: Any

    @classmethod
    def from_consensus(
        cls, training: TrainingSet, consensus: "Consensus"
    ) -> "StoredAnswers":
        """Bring the consensus of the pairs to their nodes."""
        from scipy import sparse

        row_of_node = np.empty(training.n_nodes, dtype=np.intp)
        row_of_node[training.node_of_row] = np.arange(training.n_rows)
        if training.n_nodes == training.n_rows:
            codes = np.empty(training.n_nodes, dtype=np.intp)
            codes[training.pair_node] = consensus.codes
            return cls(codes, row_of_node, None)
        rows = sparse.csr_array(
            (
                1.0 / training.node_counts()[training.node_of_row],
                (training.node_of_row, np.arange(training.n_rows)),
            ),
            shape=(training.n_nodes, training.n_rows),
        )
        codes = _node_codes(training, consensus)
        return cls(codes, row_of_node, rows)

    def distribution(self, by_row: Any, nodes: np.ndarray) -> np.ndarray:
        """Shares of the vote on some nodes.

        Parameters
        ----------
        by_row : ndarray or CSR array of shape (n_rows, n_classes)
            Shares of the vote on the training rows.
        nodes : ndarray of shape (n_queries,)

        Returns
        -------
        ndarray of shape (n_queries, n_classes)
        """
        shares = self.by_node(by_row, nodes)
        return shares.toarray() if is_sparse(shares) else shares

    def by_node(self, by_row: Any, nodes: np.ndarray) -> Any:
        """As `distribution`, sparse where `by_row` is."""
        if self.average is None:
            return by_row[self.row_of_node[nodes]]
        return self.average[nodes] @ by_row


def favor(shares: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Let a class that is tied, or short by rounding, win by the last digit.

    Parameters
    ----------
    shares : ndarray of shape (n, n_classes)
        Changed in place.
    codes : ndarray of shape (n,)
        The class that has to have the largest share of a row.

    Returns
    -------
    ndarray of shape (n, n_classes)
    """
    tied = np.flatnonzero(shares.argmax(axis=1) != codes)
    shares[tied, codes[tied]] = np.nextafter(shares[tied].max(axis=1), 2.0)
    return shares


def _node_codes(training: TrainingSet, consensus: "Consensus") -> np.ndarray:
    from scipy import sparse

    # The pairs of a node, weighted by their copies, in few enough columns that
    # ten thousand classes stay affordable: only nodes with several pairs differ.
    by_pair = sparse.csr_array(
        (
            training.pair_count / training.node_counts()[training.pair_node],
            (training.pair_node, np.arange(training.n_pairs)),
        ),
        shape=(training.n_nodes, training.n_pairs),
    )
    shares = sparse.csr_array(by_pair @ sparse.csr_array(consensus.distribution))
    shares.sort_indices()
    starts = shares.indptr[:-1]
    largest = np.maximum.reduceat(shares.data, starts)
    node_of_share = np.repeat(np.arange(training.n_nodes), np.diff(shares.indptr))
    winners = np.flatnonzero(shares.data == largest[node_of_share])[::-1]
    codes = np.empty(training.n_nodes, dtype=np.intp)
    codes[node_of_share[winners]] = shares.indices[winners]
    # A node with one pair keeps what its tie rule chose.
    alone = np.bincount(training.pair_node, minlength=training.n_nodes) == 1
    first = training.node_starts()[:-1]
    codes[alone] = consensus.codes[first[alone]]
    return codes
