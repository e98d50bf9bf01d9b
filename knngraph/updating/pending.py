"""Rows that came and went since the model last looked."""

from dataclasses import dataclass

import numpy as np


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
    """

    kept: np.ndarray
    rows: tuple[np.ndarray, ...] = ()
    codes: tuple[np.ndarray, ...] = ()

    @property
    def n_added(self) -> int:
        """Number of rows that came and stay."""
        return sum(len(codes) for codes in self.codes)

    @property
    def n_rows(self) -> int:
        """Number of rows that there are now."""
        return len(self.kept) + self.n_added

    def added(self, rows: np.ndarray, codes: np.ndarray) -> "PendingRows":
        """With some rows more, behind the others."""
        return PendingRows(self.kept, (*self.rows, rows), (*self.codes, codes))

    def removed(self, indices: np.ndarray) -> "PendingRows":
        """Without some rows; the others close up as in `numpy.delete`."""
        n_kept = len(self.kept)
        kept = np.delete(self.kept, indices[indices < n_kept])
        late = indices[indices >= n_kept] - n_kept
        if not len(late):
            return PendingRows(kept, self.rows, self.codes)
        rows = np.delete(np.concatenate(self.rows), late, axis=0)
        codes = np.delete(np.concatenate(self.codes), late)
        return PendingRows(kept, (rows,), (codes,))
