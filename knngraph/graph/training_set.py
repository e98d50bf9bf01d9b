"""Training rows as the stages see them: distinct, and in an order of their own.

Exact copies tear a navigable graph apart (they fill one another's links) and add
no information, so the index holds every distinct row once, a *node*. Rows that agree
in features and label solve the same problem, so the learning stages work on
distinct (node, class) *pairs*. Without copies a row, its pair and its node are
one and the same.

Nodes are ordered by a seeded hash of their own bytes. The order is as good as
shuffled, which suits the index, and does not depend on the order in which the
rows came, so that permuting the training rows permutes the results and nothing
else. Many nodes are put in another order later (see `knngraph.graph.order`).
"""

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np

from knngraph.compact import CompactPickle
from knngraph.weights import LEAST_REST, class_factors, without_one_row

_HASH_BLOCK_BYTES = 4 * 2**20


@dataclass(frozen=True)
class TrainingSet(CompactPickle):
    """Distinct rows and labels, with the way back to the user's rows.

    Parameters
    ----------
    points : ndarray of shape (n_nodes, n_features), float32 or float64
    node_of_row : ndarray of shape (n_rows,), intp
    codes : ndarray of shape (n_rows,), intp
        Class of every row as a number from 0.
    n_classes : int
    pair_of_row : ndarray of shape (n_rows,), intp
    pair_node, pair_code : ndarray of shape (n_pairs,), intp
        Node and class of a pair; pairs are sorted by node, then class.
    pair_weight : ndarray of shape (n_pairs,), float64
        Weight of the rows of a pair: the number of its copies where every row
        weighs one.
    row_weight : ndarray of shape (n_rows,), float64, or None
        Weights of the rows; None where every row weighs one.
    class_weight : ndarray of shape (n_classes,), float64, or None
        What the votes of every class are multiplied by, with mean one over the rows;
        None where all classes are alike.
    """

    points: np.ndarray
    node_of_row: np.ndarray
    codes: np.ndarray
    n_classes: int
    pair_of_row: np.ndarray
    pair_node: np.ndarray
    pair_code: np.ndarray
    pair_weight: np.ndarray
    row_weight: np.ndarray | None = None
    class_weight: np.ndarray | None = None

    @property
    def n_rows(self) -> int:
        """Number of rows the user gave."""
        return self.node_of_row.shape[0]

    @property
    def n_nodes(self) -> int:
        """Number of rows that differ in features."""
        return self.points.shape[0]

    @property
    def n_pairs(self) -> int:
        """Number of rows that differ in features or label."""
        return self.pair_node.shape[0]

    @property
    def weight(self) -> float:
        """Weight of all rows, without the rounding of its sum."""
        return round(float(self.pair_weight.sum()), 6)

    def with_class_weight(
        self, class_weight: str | tuple[float, ...] | None
    ) -> "TrainingSet":
        """The same rows with the weights of classes; see `class_factors`."""
        of_class = np.bincount(self.pair_code, self.pair_weight, self.n_classes)
        return replace(self, class_weight=class_factors(class_weight, of_class))

    def with_classes(self, code_now: np.ndarray, n_classes: int) -> "TrainingSet":
        """The same rows among more classes, with pairs in the same order.

        Parameters
        ----------
        code_now : ndarray of shape (n_old_classes,), ascending
            New number of every class.
        """
        return replace(
            self,
            codes=code_now[self.codes],
            n_classes=n_classes,
            pair_code=code_now[self.pair_code],
            class_weight=None,
        )

    def in_order(self, order: np.ndarray) -> "TrainingSet":
        """The same rows with the nodes in another order.

        Parameters
        ----------
        order : ndarray of shape (n_nodes,)
            The nodes, by their present numbers.
        """
        now = np.empty(self.n_nodes, dtype=np.intp)
        now[order] = np.arange(self.n_nodes)
        renamed = rows_on_nodes(
            self.points[order],
            now[self.node_of_row],
            self.codes,
            self.n_classes,
            self.row_weight,
        )
        return replace(renamed, class_weight=self.class_weight)

    def renumbering(self, other: "TrainingSet") -> tuple[np.ndarray, np.ndarray]:
        """Numbers here of the nodes and pairs of another training set of these rows.

        Returns
        -------
        node_now : ndarray of shape (n_nodes,)
        pair_now : ndarray of shape (n_pairs,)
        """
        node_now = np.empty(other.n_nodes, dtype=np.intp)
        node_now[other.node_of_row] = self.node_of_row
        pair_now = np.empty(other.n_pairs, dtype=np.intp)
        pair_now[other.pair_of_row] = self.pair_of_row
        return node_now, pair_now

    def score_weights(self, pairs: np.ndarray) -> np.ndarray:
        """What some pairs weigh in a score, by their rows and their class."""
        weights = self.pair_weight[pairs]
        if self.class_weight is None:
            return weights
        return weights * self.class_weight[self.pair_code[pairs]]

    def node_starts(self) -> np.ndarray:
        """First pair of every node, and `n_pairs` at the end."""
        return self._node_starts

    @cached_property
    def _node_starts(self) -> np.ndarray:
        # Every query reads it: found once, it costs a query nothing.
        return np.searchsorted(self.pair_node, np.arange(self.n_nodes + 1))

    def node_classes(self) -> np.ndarray:
        """Class of all rows on every node, -1 where they differ."""
        return self._node_classes

    @cached_property
    def _node_classes(self) -> np.ndarray:
        starts = self.node_starts()
        alone = np.diff(starts) == 1
        return np.where(alone, self.pair_code[starts[:-1]], -1).astype(np.intp)

    def row_of_node(self) -> np.ndarray:
        """A row on every node."""
        row_of_node = np.empty(self.n_nodes, dtype=np.intp)
        row_of_node[self.node_of_row] = np.arange(self.n_rows)
        return row_of_node

    def rows_by_node(self) -> np.ndarray:
        """The rows in the order of their nodes, those of a node ascending."""
        return self._rows_by_node

    @cached_property
    def _rows_by_node(self) -> np.ndarray:
        return np.argsort(self.node_of_row, kind="stable")

    def node_weights(self) -> np.ndarray:
        """Weight of the rows on every node."""
        return self._node_weights

    @cached_property
    def _node_weights(self) -> np.ndarray:
        return np.bincount(self.pair_node, self.pair_weight, self.n_nodes)

    def copied(self) -> np.ndarray:
        """Whether a pair keeps any weight when one row of it is left out."""
        return self._copied

    @cached_property
    def _copied(self) -> np.ndarray:
        return without_one_row(self.pair_weight) > 0.0

    def left_weights(self, pairs: np.ndarray) -> np.ndarray:
        """Weight on the nodes of some pairs when one row of each is left out.

        A pair of weight w loses min(1, w); what rounding leaves is no weight.
        """
        lost = np.minimum(self.pair_weight[pairs], 1.0)
        rest = self.node_weights()[self.pair_node[pairs]] - lost
        return np.where(rest > LEAST_REST, rest, 0.0)

    def rows_of_pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """First and second row of every pair, the second -1 where there is one."""
        by_pair = np.argsort(self.pair_of_row, kind="stable")
        n_rows = np.bincount(self.pair_of_row, minlength=self.n_pairs)
        starts = np.concatenate([[0], np.cumsum(n_rows)[:-1]])
        first = by_pair[starts]
        second = np.full(self.n_pairs, -1, dtype=np.intp)
        several = n_rows > 1
        second[several] = by_pair[starts[several] + 1]
        return first, second


def build_training_set(
    rows: np.ndarray,
    codes: np.ndarray,
    n_classes: int,
    seed: int = 0,
    place_of_row: np.ndarray | None = None,
    row_weight: np.ndarray | None = None,
) -> TrainingSet:
    """Find distinct rows and distinct (row, label) pairs.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_features), float32 or float64
        Mapped rows (see `knngraph.space`).
    codes : ndarray of shape (n_rows,)
    seed : int, default=0
        Seed of the hash that orders the nodes.
    place_of_row : ndarray of shape (n_training_rows,) or None
        Where copies were put together before: which of `rows` every training row
        is. `codes` then are those of the training rows.
    row_weight : ndarray of shape (n_rows,) or None
        None where every row weighs one.

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.graph.training_set import build_training_set
    >>> rows = np.array([[0.0], [1.0], [0.0], [0.0]], dtype=np.float32)
    >>> training = build_training_set(rows, np.array([0, 1, 0, 1]), n_classes=2)
    >>> training.n_rows, training.n_pairs, training.n_nodes
    (4, 3, 2)
    """
    node_of_row, row_of_node = distinct_rows(rows, seed)
    if place_of_row is not None:
        node_of_row = node_of_row[place_of_row]
    return rows_on_nodes(rows[row_of_node], node_of_row, codes, n_classes, row_weight)


def rows_on_nodes(
    points: np.ndarray,
    node_of_row: np.ndarray,
    codes: np.ndarray,
    n_classes: int,
    row_weight: np.ndarray | None = None,
) -> TrainingSet:
    """Find the distinct (node, label) pairs of rows whose nodes are known."""
    codes = codes.astype(np.intp, copy=False)
    keys = node_of_row * n_classes + codes
    pair_keys, pair_of_row = np.unique(keys, return_inverse=True)
    return TrainingSet(
        points=points,
        node_of_row=node_of_row,
        codes=codes,
        n_classes=n_classes,
        pair_of_row=pair_of_row,
        pair_node=pair_keys // n_classes,
        pair_code=pair_keys % n_classes,
        # The cast is of counts, which bincount gives where there are no weights.
        pair_weight=np.bincount(pair_of_row, row_weight).astype(np.float64),
        row_weight=row_weight,
    )


def random_pairs(pairs: np.ndarray, limit: int) -> np.ndarray:
    """A random sample of at most `limit` of some pairs, the same at every call.

    Parameters
    ----------
    pairs : ndarray of shape (n,), ascending

    Returns
    -------
    ndarray of shape (at most `limit`,), ascending
    """
    if len(pairs) <= limit:
        return pairs
    random = np.random.default_rng(0)
    return np.sort(random.choice(pairs, limit, replace=False))


def training_set_of_pairs(
    points: np.ndarray,
    pair_node: np.ndarray,
    pair_code: np.ndarray,
    pair_weight: np.ndarray,
    n_classes: int,
) -> TrainingSet:
    """Put a training set together from pairs, whose order its rows follow.

    The parameters are as of `TrainingSet`; the weights are numbers of copies.
    """
    pair_of_row = np.repeat(np.arange(len(pair_node)), pair_weight.astype(np.intp))
    return TrainingSet(
        points=points,
        node_of_row=pair_node[pair_of_row],
        codes=pair_code[pair_of_row],
        n_classes=n_classes,
        pair_of_row=pair_of_row,
        pair_node=pair_node,
        pair_code=pair_code,
        pair_weight=pair_weight,
    )


def distinct_rows(rows: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Node of every row and one row of every node, nodes by hash."""
    return rows_by_hash(rows, row_hashes(rows, seed))


def rows_by_hash(rows: np.ndarray, hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the distinct rows, as `distinct_rows` does, by hashes that are known."""
    order = np.argsort(hashes, kind="stable")
    sorted_hashes = hashes[order]
    new_hash = np.concatenate([[True], sorted_hashes[1:] != sorted_hashes[:-1]])
    first_of_group = order[np.flatnonzero(new_hash)]
    group = np.cumsum(new_hash) - 1
    shared = np.flatnonzero(~new_hash)
    same = (rows[order[shared]] == rows[first_of_group[group[shared]]]).all(axis=1)
    if not same.all():
        # Two different rows with one hash: next to impossible, but then the
        # slow way is the right way.
        _, row_of_node, node_of_row = np.unique(
            rows, axis=0, return_index=True, return_inverse=True
        )
        return node_of_row.ravel().astype(np.intp), row_of_node
    node_of_row = np.empty(len(rows), dtype=np.intp)
    node_of_row[order] = group
    return node_of_row, first_of_group


@lru_cache(maxsize=8)
def _multipliers(n_words: int, seed: int) -> np.ndarray:
    # Kept, as a predictor with trees needs them for every row.
    random = np.random.default_rng(seed)
    multipliers = random.integers(0, 2**64, size=n_words, dtype=np.uint64) | 1
    multipliers.setflags(write=False)
    return multipliers


def row_hashes(rows: np.ndarray, seed: int) -> np.ndarray:
    """A number of 64 bits for every row that depends on its bytes and the seed."""
    n_words = rows.shape[1] * rows.itemsize // 4
    multipliers = _multipliers(n_words, seed)
    hashes = np.empty(len(rows), dtype=np.uint64)
    size = max(1, _HASH_BLOCK_BYTES // (8 * n_words))
    for start in range(0, len(rows), size):
        # Adding zero turns -0.0 into 0.0, which is the same number.
        words = (rows[start : start + size] + np.float32(0.0)).view(np.uint32)
        hashes[start : start + size] = (words * multipliers).sum(axis=1)
    # The low bits of a sum of products are weak; mix the high ones in.
    hashes ^= hashes >> np.uint64(32)
    hashes *= np.uint64(0x9E3779B97F4A7C15)
    hashes ^= hashes >> np.uint64(29)
    return hashes
