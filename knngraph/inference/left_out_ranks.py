"""Left-out rows in the order of a number, and the share of them that a level leaves."""

from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

# Fewer numbers are searched before they would have been sorted.
_FEW = 256


@dataclass(frozen=True)
class Ranked:
    """Ascending numbers of rows, and the weight of the rows from each on, zero last.

    Parameters
    ----------
    numbers : ndarray of shape (n,)
    from_here : ndarray of shape (n + 1,)

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.inference.left_out_ranks import Ranked
    >>> ranked = Ranked.of(np.array([3.0, 1.0, 2.0]), np.array([1.0, 1.0, 2.0]))
    >>> ranked.total, ranked.from_on(np.array([2.0, 9.0])).tolist()
    (4.0, [3.0, 0.0])
    >>> ranked.above(np.array([2.0])).tolist()
    [1.0]
    """

    numbers: np.ndarray
    from_here: np.ndarray

    @classmethod
    def of(cls, numbers: np.ndarray, weights: np.ndarray) -> "Ranked":
        """Rank rows with some numbers and weights."""
        order = np.argsort(numbers, kind="stable")
        from_here = np.zeros(len(numbers) + 1)
        from_here[:-1] = np.cumsum(weights[order][::-1])[::-1]
        return cls(numbers[order], from_here)

    @property
    def total(self) -> float:
        """Weight of all rows."""
        return float(self.from_here[0])

    def from_on(self, numbers: np.ndarray) -> np.ndarray:
        """Weight of the rows with at least these numbers."""
        return self.from_here[self.places(numbers)]

    def places(self, numbers: np.ndarray) -> np.ndarray:
        """How many rows have smaller numbers than each of these."""
        if len(numbers) < _FEW:
            return np.searchsorted(self.numbers, numbers, side="left")
        # Many are searched in their order, where branches are foreseen.
        order = np.argsort(numbers)
        places = np.empty(len(numbers), dtype=np.intp)
        places[order] = np.searchsorted(self.numbers, numbers[order], side="left")
        return places

    def above(self, numbers: np.ndarray) -> np.ndarray:
        """Weight of the rows with larger numbers."""
        return self.from_here[np.searchsorted(self.numbers, numbers, side="right")]


# What `alpha` is the share of.
OF_SETS = "the share of sets that may miss the true class"
OF_USUAL_ROWS = "the share of usual rows that are taken for novel, as 0.05"


def check_alpha(alpha: Any, meaning: str) -> None:
    """ValueError where `alpha` is no share; `meaning` says of what."""
    is_number = isinstance(alpha, Real) and not isinstance(alpha, bool | np.bool_)
    if not is_number or not 0.0 < alpha < 1.0:
        raise ValueError(
            f"alpha must be a number between 0 and 1, both excluded, got {alpha!r}: "
            f"{meaning}."
        )
