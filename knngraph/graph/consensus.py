"""The vote of the learned neighbors and of the row itself."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from knngraph.compact import CompactPickle
from knngraph.parallel import chunk_bounds
from knngraph.weights import weigh_votes

# Above this many numbers the distributions stay sparse.
DENSE_DISTRIBUTION_LIMIT = 10_000_000
_ROWS_PER_BLOCK = 65536
_LEAST_VOTE = 1e-6


@dataclass(frozen=True)
class Consensus(CompactPickle):
    """The vote on every row and its result.

    Parameters
    ----------
    distribution : ndarray or CSR array of shape (n_rows, n_classes)
        Shares of the vote; rows sum to one.
    codes : ndarray of shape (n_rows,)
        The class that is stored.
    margin : ndarray of shape (n_rows,)
        Largest share minus second largest.
    """

    distribution: Any
    codes: np.ndarray
    margin: np.ndarray


def vote(
    weights: Any,
    own_codes: np.ndarray,
    n_classes: int,
    self_weight: float,
    neighbor_codes: np.ndarray | None = None,
    class_weight: np.ndarray | None = None,
) -> Consensus:
    """Let every row and its neighbors vote on its label.

    Parameters
    ----------
    weights : CSR array of shape (n_rows, n_neighbors)
        Row j holds the weights of the neighbors of j. Negative weights, which
        only a problem without `positive` has, do not vote.
    own_codes : ndarray of shape (n_rows,)
    self_weight : float
        Weight of a row's own label, in units of its largest neighbor weight.
    neighbor_codes : ndarray of shape (n_neighbors,) or None
        Classes of the neighbors; None where they are the rows themselves.
    class_weight : ndarray of shape (n_classes,) or None
        What the votes of every class are multiplied by. The class with the largest
        has a millionth of a vote more everywhere: neighbors are few, and a class
        that is said to weigh millions wins without one.

    Notes
    -----
    P_jc = (o_j [y_j = c] + sum_i w_ij [y_i = c]) / (o_j + sum_i w_ij) with
    o_j = self_weight * max_i w_ij. The stored class is the largest share; a tie
    goes to the row's own label, then to the class of the heaviest neighbor,
    then to the smaller code. A row without neighbors keeps its label.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy import sparse
    >>> from knngraph.graph.consensus import vote
    >>> weights = sparse.csr_array([[0, 0.3, 0.3], [0.5, 0, 0], [0.5, 0, 0]])
    >>> agreed = vote(weights, np.array([0, 1, 1]), n_classes=2, self_weight=1.0)
    >>> agreed.codes.tolist(), agreed.distribution.round(2).tolist()
    ([1, 1, 1], [[0.33, 0.67], [0.5, 0.5], [0.5, 0.5]])
    """
    n_rows = own_codes.shape[0]
    weights = sparse.csr_array(weights)
    if neighbor_codes is None:
        neighbor_codes = own_codes
    codes = np.empty(n_rows, dtype=np.intp)
    margin = np.empty(n_rows)
    dense = None
    if n_rows * int(n_classes) <= DENSE_DISTRIBUTION_LIMIT:
        dense = np.empty((n_rows, n_classes))
    blocks = []
    # In blocks: the votes of all rows at once need several times their memory.
    for start, stop in chunk_bounds(n_rows, _ROWS_PER_BLOCK) or [(0, 0)]:
        block = slice(start, stop)
        votes, codes[block], margin[block] = _vote_of_block(
            weights if stop - start == n_rows else weights[block],
            own_codes[block],
            n_classes,
            self_weight,
            neighbor_codes,
            class_weight,
        )
        if dense is None:
            blocks.append(votes)
        else:
            dense[block] = votes.toarray()
    if dense is not None:
        return Consensus(dense, codes, margin)
    together = sparse.csr_array(sparse.vstack(blocks, format="csr"))
    return Consensus(together, codes, margin)


def _vote_of_block(
    weights: Any,
    own_codes: np.ndarray,
    n_classes: int,
    self_weight: float,
    neighbor_codes: np.ndarray,
    class_weight: np.ndarray | None,
) -> tuple[Any, np.ndarray, np.ndarray]:
    n_rows = own_codes.shape[0]
    neighbor_weights = np.maximum(weights.data, 0.0)
    rows = np.repeat(np.arange(n_rows), np.diff(weights.indptr))
    heaviest, _ = _heaviest(weights.indptr, neighbor_weights)
    own = self_weight * heaviest
    # Rows without any vote keep their label.
    own[np.bincount(rows, weights=neighbor_weights, minlength=n_rows) + own <= 0] = 1.0
    votes = sparse.coo_array(
        (
            np.concatenate([own, neighbor_weights]),
            (
                np.concatenate([np.arange(n_rows), rows]),
                np.concatenate([own_codes, neighbor_codes[weights.indices]]),
            ),
        ),
        shape=(n_rows, n_classes),
    ).tocsr()  # adds the votes of one class up
    votes.sort_indices()
    votes.data /= np.repeat(votes.sum(axis=1), np.diff(votes.indptr))
    if class_weight is not None:
        votes = weigh_votes(_with_least_vote(votes, class_weight), class_weight)
    # The smallest class of the heaviest neighbors, or none at all.
    preferred = np.full(n_rows, n_classes, dtype=np.intp)
    at_heaviest = neighbor_weights == heaviest[rows]
    np.minimum.at(
        preferred, rows[at_heaviest], neighbor_codes[weights.indices[at_heaviest]]
    )
    return votes, *_winners(votes, own_codes, preferred)


def _with_least_vote(votes: Any, class_weight: np.ndarray) -> Any:
    """Votes with next to nothing more for the class of the largest weight."""
    n_rows = votes.shape[0]
    places = np.arange(n_rows), np.full(n_rows, int(class_weight.argmax()))
    least = sparse.coo_array((np.full(n_rows, _LEAST_VOTE), places), votes.shape)
    return (votes + least).tocsr()


def _heaviest(indptr: np.ndarray, data: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Largest entry of every row and its position in `data`, or 0 and -1."""
    n_rows = len(indptr) - 1
    largest = np.zeros(n_rows)
    position = np.full(n_rows, -1, dtype=np.intp)
    filled = np.flatnonzero(np.diff(indptr))
    if len(filled):
        largest[filled] = np.maximum.reduceat(data, indptr[filled])
        row_of_entry = np.repeat(np.arange(n_rows), np.diff(indptr))
        at_largest = np.flatnonzero(data == largest[row_of_entry])
        # Written from the back, so that the first of equals stays.
        position[row_of_entry[at_largest[::-1]]] = at_largest[::-1]
    return largest, position


def _winners(
    votes: Any, own_codes: np.ndarray, preferred: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    n_rows = votes.shape[0]
    first, position = _heaviest(votes.indptr, votes.data)
    codes = votes.indices[position].astype(np.intp)
    rows = np.repeat(np.arange(n_rows), np.diff(votes.indptr))
    at_first = votes.data == first[rows]
    # Later writes win: the heaviest neighbor's class, then the own label.
    for favorite in (preferred, own_codes):
        tied = at_first & (votes.indices == favorite[rows])
        codes[rows[tied]] = votes.indices[tied]
    rest = np.where(np.arange(len(votes.data)) == position[rows], 0.0, votes.data)
    second = np.maximum.reduceat(rest, votes.indptr[:-1])
    return codes, first - second
