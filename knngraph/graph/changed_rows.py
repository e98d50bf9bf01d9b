"""The training set after rows have come and gone."""

from dataclasses import dataclass, replace

import numpy as np

from knngraph.graph.order import by_cells_still
from knngraph.graph.training_set import (
    TrainingSet,
    row_hashes,
    rows_by_hash,
    rows_on_nodes,
)
from knngraph.index.build import makes_lists


@dataclass(frozen=True)
class PendingRows:
    """What is left of the rows there were, and the rows that came since.

    Parameters
    ----------
    kept : ndarray of shape (n_kept,), intp
        Rows that there were and that stay, in their order.
    rows : tuple of ndarray of shape (any, n_features), float32
        Mapped rows that came, in their order.
    codes : tuple of ndarray
        Their classes.
    weights : tuple of (ndarray or None)
        Their weights; None where each weighs one.
    """

    kept: np.ndarray
    rows: tuple[np.ndarray, ...] = ()
    codes: tuple[np.ndarray, ...] = ()
    weights: tuple[np.ndarray | None, ...] = ()

    @property
    def n_added(self) -> int:
        """Number of rows that came and stay."""
        return sum(len(codes) for codes in self.codes)

    @property
    def n_rows(self) -> int:
        """Number of rows that there are now."""
        return len(self.kept) + self.n_added

    def n_changed(self, n_before: int) -> int:
        """Number of rows that came or went, of `n_before` that there were."""
        return n_before - len(self.kept) + self.n_added

    def added(
        self, rows: np.ndarray, codes: np.ndarray, weights: np.ndarray | None
    ) -> "PendingRows":
        """With some rows more, behind the others."""
        return PendingRows(
            self.kept,
            (*self.rows, rows),
            (*self.codes, codes),
            (*self.weights, weights),
        )

    def removed(self, indices: np.ndarray) -> "PendingRows":
        """Without some rows; the others close up as in `numpy.delete`."""
        n_kept = len(self.kept)
        kept = np.delete(self.kept, indices[indices < n_kept])
        late = indices[indices >= n_kept] - n_kept
        if not len(late):
            return replace(self, kept=kept)
        rows = np.delete(np.concatenate(self.rows), late, axis=0)
        codes = np.delete(np.concatenate(self.codes), late)
        weights = self.added_weights()
        if weights is not None:
            weights = np.delete(weights, late)
        return PendingRows(kept, (rows,), (codes,), (weights,))

    def with_classes(self, code_now: np.ndarray) -> "PendingRows":
        """The same with the new number of every class."""
        return replace(self, codes=tuple(code_now[codes] for codes in self.codes))

    def added_weights(self) -> np.ndarray | None:
        """Weights of the rows that came; None where each weighs one."""
        if all(weights is None for weights in self.weights):
            return None
        return np.concatenate(
            [
                np.ones(len(codes)) if weights is None else weights
                for weights, codes in zip(self.weights, self.codes)
            ]
        )


@dataclass(frozen=True)
class ChangedRows:
    """The training set that a fresh start would make, and what became of the old.

    Parameters
    ----------
    training : TrainingSet
    hashes : ndarray of shape (n_nodes,), uint64
        By which the nodes are ordered.
    node_now : ndarray of shape (n_old_nodes,), intp
        New number of every old node, -1 where all its rows are gone.
    pair_now : ndarray of shape (n_old_pairs,), intp
        The same for pairs.
    old_node : ndarray of shape (n_nodes,), intp
        Old number of every node, -1 where it is new.
    touched : ndarray of shape (n_nodes,), bool
        Nodes on which there are other rows than before.
    """

    training: TrainingSet
    hashes: np.ndarray
    node_now: np.ndarray
    pair_now: np.ndarray
    old_node: np.ndarray
    touched: np.ndarray

    def with_nodes_of(self, training: TrainingSet) -> "ChangedRows":
        """The same change with the nodes in the order of another training set."""
        now, pair_now = training.renumbering(self.training)
        order = np.argsort(now)
        return ChangedRows(
            training,
            self.hashes[order],
            np.where(self.node_now < 0, -1, now[self.node_now]),
            np.where(self.pair_now < 0, -1, pair_now[self.pair_now]),
            self.old_node[order],
            self.touched[order],
        )

    @property
    def new_nodes(self) -> np.ndarray:
        """Nodes that were not there."""
        return np.flatnonzero(self.old_node < 0)

    @property
    def same_nodes(self) -> bool:
        """Whether no node has come or gone."""
        n_nodes = self.training.n_nodes
        return len(self.node_now) == n_nodes and not (self.old_node < 0).any()


def change_rows(
    training: TrainingSet,
    hashes: np.ndarray,
    pending: PendingRows,
    seed: int,
) -> ChangedRows:
    """Apply pending changes to a training set.

    Nodes keep the order of their hashes, so that the result does not depend on
    the way that led to the rows; many keep the order that they have.

    Parameters
    ----------
    training : TrainingSet
        Of the rows that there were; stays as it is.
    hashes : ndarray of shape (n_nodes,), uint64
    seed : int
        Of the hashes.
    """
    kept_node = training.node_of_row[pending.kept]
    there = np.zeros(training.n_nodes, dtype=bool)
    there[kept_node] = True
    points, hashes = training.points[there], hashes[there]
    if pending.n_added:
        points = np.concatenate([points, *pending.rows])
        new_hashes = [row_hashes(rows, seed) for rows in pending.rows]
        hashes = np.concatenate([hashes, *new_hashes])
    n_there = int(there.sum())
    node_of_entry, first_entry = rows_by_hash(points, hashes)
    if makes_lists(points):
        order = by_cells_still(first_entry, n_there)
        first_entry = first_entry[order]
        node_of_entry = np.argsort(order)[node_of_entry]
    node_now = np.full(training.n_nodes, -1, dtype=np.intp)
    node_now[there] = node_of_entry[:n_there]
    changed = rows_on_nodes(
        points[first_entry],
        np.concatenate([node_now[kept_node], node_of_entry[n_there:]]),
        np.concatenate([training.codes[pending.kept], *pending.codes]),
        training.n_classes,
        _weights_now(training, pending),
    )
    old_node = np.full(changed.n_nodes, -1, dtype=np.intp)
    old_node[node_now[there]] = np.flatnonzero(there)
    pair_now = _pairs_now(training, changed, node_now)
    return ChangedRows(
        changed,
        hashes[first_entry],
        node_now,
        pair_now,
        old_node,
        _touched(training, changed, node_now, pair_now),
    )


def _weights_now(training: TrainingSet, pending: PendingRows) -> np.ndarray | None:
    before, added = training.row_weight, pending.added_weights()
    if before is None and added is None:
        return None
    kept = np.ones(len(pending.kept)) if before is None else before[pending.kept]
    added = np.ones(pending.n_added) if added is None else added
    return np.concatenate([kept, added])


def _pairs_now(
    before: TrainingSet, after: TrainingSet, node_now: np.ndarray
) -> np.ndarray:
    node = node_now[before.pair_node]
    wanted = node * before.n_classes + before.pair_code
    keys = after.pair_node * after.n_classes + after.pair_code
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where((node >= 0) & (keys[place] == wanted), place, -1)


def _touched(
    before: TrainingSet, after: TrainingSet, node_now: np.ndarray, pair_now: np.ndarray
) -> np.ndarray:
    """Nodes with a pair that is new, or of another weight, or gone."""
    touched = np.zeros(after.n_nodes, dtype=bool)
    there = np.flatnonzero(pair_now >= 0)
    weight_before = np.zeros(after.n_pairs)
    weight_before[pair_now[there]] = before.pair_weight[there]
    touched[after.pair_node[weight_before != after.pair_weight]] = True
    bereft = node_now[before.pair_node[pair_now < 0]]
    touched[bereft[bereft >= 0]] = True
    return touched
