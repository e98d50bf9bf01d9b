"""Whose votes left-out pairs got, kept for some while all of them are answered."""

import numpy as np


class KeptShares:
    """Candidates of some left-out pairs, and their shares of the vote.

    What is to be asked later is solved once: `leave_one_out` answers every pair
    anyway.

    Parameters
    ----------
    pairs : ndarray of shape (n_kept,), ascending
        Of which shares are kept.

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.inference.kept_shares import KeptShares
    >>> kept = KeptShares(np.array([2, 5]))
    >>> kept.pairs_from(0, 4).tolist()
    [2]
    >>> kept.add(np.array([[7, 8]]), np.array([[0.75, 0.25]]))
    >>> kept.add(np.array([[9]]), np.array([[1.0]]))
    >>> ids, shares = kept.of(np.array([5, 2]))
    >>> ids.tolist(), shares.tolist()
    ([[9, -1], [7, 8]], [[1.0, 0.0], [0.75, 0.25]])
    """

    def __init__(self, pairs: np.ndarray) -> None:
        self.pairs = pairs
        self._ids: list[np.ndarray] = []
        self._shares: list[np.ndarray] = []

    def pairs_from(self, start: int, stop: int) -> np.ndarray:
        """Those of the pairs from `start` to before `stop`."""
        first, last = np.searchsorted(self.pairs, [start, stop])
        return self.pairs[first:last]

    def add(self, ids: np.ndarray, shares: np.ndarray) -> None:
        """Keep candidates and shares, each of shape (n, m), of the next pairs."""
        self._ids.append(ids)
        self._shares.append(shares)

    def of(self, pairs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Candidates and shares of some of the pairs.

        Returns
        -------
        ids, shares : ndarray of shape (n, m)
            Ended by -1 and 0 where a pair has fewer.
        """
        places = np.searchsorted(self.pairs, pairs)
        return self._rows(self._ids, -1, places), self._rows(self._shares, 0, places)

    @staticmethod
    def _rows(parts: list[np.ndarray], ended_by: int, places: np.ndarray) -> np.ndarray:
        """Rows of the parts, as if they lay below each other."""
        width = max(part.shape[1] for part in parts)
        ends = np.cumsum([len(part) for part in parts])
        number = np.searchsorted(ends, places, side="right")
        rows = np.full((len(places), width), ended_by, dtype=parts[0].dtype)
        for part, (values, end) in enumerate(zip(parts, ends)):
            at = np.flatnonzero(number == part)
            rows[at, : values.shape[1]] = values[places[at] - (end - len(values))]
        return rows
