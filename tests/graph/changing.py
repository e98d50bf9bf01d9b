"""Training sets with rows that come and go, small enough for searches of everything."""

import numpy as np

from knngraph.graph.changed_rows import ChangedRows, PendingRows, change_rows
from knngraph.graph.neighbors import Neighbors, nearest_others
from knngraph.graph.training_set import TrainingSet, build_training_set, row_hashes
from knngraph.index.exact import ExactIndex

N_CLASSES = 4


def exact_lists(training: TrainingSet, k: int) -> Neighbors:
    """Neighbor lists by a search of all nodes."""
    points = training.points
    return nearest_others(ExactIndex(points), points, training.node_weights(), k)


class Changing:
    """Rows before and after a change, and what the library makes of it.

    Rows on a grid are as far from many others. Some rows are copies, with the same
    label or another one, and so are some of the new ones; some of the rows that go
    leave a copy behind.
    """

    def __init__(
        self, seed: int, n_rows: int, n_gone: int, n_new: int, *, grid: bool = False
    ) -> None:
        random = np.random.default_rng(seed)

        def drawn(n: int) -> np.ndarray:
            rows = random.normal(size=(n, 3))
            return (np.round(2.0 * rows) if grid else rows).astype(np.float32)

        rows = drawn(n_rows)
        rows[: n_rows // 5] = rows[n_rows // 5 : 2 * (n_rows // 5)]
        codes = random.integers(0, N_CLASSES, n_rows)
        self.before = build_training_set(rows, codes, N_CLASSES)
        kept = np.sort(random.choice(n_rows, n_rows - n_gone, replace=False))
        new = drawn(n_new)
        copies = random.random(n_new) < 0.3
        new[copies] = rows[random.integers(0, n_rows, copies.sum())]
        new_codes = random.integers(0, N_CLASSES, n_new)
        self.kept = kept
        self.rows = np.concatenate([rows[kept], new])
        self.codes = np.concatenate([codes[kept], new_codes])
        pending = PendingRows(kept)
        if n_new:
            pending = pending.added(new, new_codes, None)
        self.hashes = row_hashes(self.before.points, 0)
        self.change: ChangedRows = change_rows(self.before, self.hashes, pending, 0)
