"""Training rows whose given label their neighbors contradict."""

from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np

from knngraph.graph.training_set import TrainingSet
from knngraph.inference.leave_one_out import LeaveOneOut
from knngraph.inspection._optional import as_frame

_ROWS_IN_TEXT = 10
_DIGITS = 6


@dataclass(frozen=True, eq=False)
class SuspectLabels:
    """Rows in the order in which their labels are doubted.

    Parameters
    ----------
    rows : ndarray of shape (k,), intp
        Training rows, most suspect first.
    given, suggested : ndarray of shape (k,)
        Their label, and the class that the vote without the row prefers among
        the others; the given label where no other class has a vote.
    share, rival_share : ndarray of shape (k,)
        Shares of the vote without the row for either class.
    """

    rows: np.ndarray
    given: np.ndarray
    suggested: np.ndarray
    share: np.ndarray
    rival_share: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def __str__(self) -> str:
        lines = [
            f"{'row':>8}  {'given':>10}  {'share':>5}  {'other':>10}  {'share':>5}"
        ]
        shown = min(len(self), _ROWS_IN_TEXT)
        for i in range(shown):
            lines.append(
                f"{self.rows[i]:>8}  {self.given[i]!s:>10}  {self.share[i]:5.2f}  "
                f"{self.suggested[i]!s:>10}  {self.rival_share[i]:5.2f}"
            )
        if shown < len(self):
            lines.append(f"and {len(self) - shown} more")
        return "\n".join(lines)

    def to_frame(self) -> Any:
        """One line a row.

        Returns
        -------
        pandas.DataFrame
            Columns "row", "given", "suggested", "share" and "rival_share".
        """
        others = ("given", "suggested", "share", "rival_share")
        columns = {"row": self.rows} | {name: getattr(self, name) for name in others}
        return as_frame(columns, "SuspectLabels.to_frame")


def rank_suspects(
    training: TrainingSet,
    left_out: LeaveOneOut,
    classes: np.ndarray,
    k: int | None = None,
) -> SuspectLabels:
    """Order the rows by how much the vote without them contradicts their label.

    Returns
    -------
    SuspectLabels
        The first `k`, or all: smallest share of the given class first, then the
        largest share of another class, then the order of the rows.

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.graph.training_set import build_training_set
    >>> from knngraph.inference.leave_one_out import LeaveOneOut
    >>> from knngraph.inspection.suspects import rank_suspects
    >>> points = np.zeros((2, 1), dtype=np.float32)
    >>> training = build_training_set(points, np.array([0, 1]), 2)
    >>> said = LeaveOneOut(
    ...     right=np.array([True, False]),
    ...     own_share=np.array([0.9, 0.2]),
    ...     rival_code=np.array([1, 0]),
    ...     rival_share=np.array([0.1, 0.8]),
    ...     exponent=1.0,
    ...     score=0.5,
    ... )
    >>> print(rank_suspects(training, said, np.array(["cat", "dog"])))
         row       given  share       other  share
           1         dog   0.20         cat   0.80
           0         cat   0.90         dog   0.10
    """
    pair = training.pair_of_row
    share, rival_share = left_out.own_share[pair], left_out.rival_share[pair]
    # Shares that differ by rounding alone are equal.
    keys = (-rival_share.round(_DIGITS), share.round(_DIGITS))
    rows = np.lexsort(keys)[: _checked_number(k, training.n_rows)]
    return SuspectLabels(
        rows=rows,
        given=classes[training.codes[rows]],
        suggested=classes[left_out.rival_code[pair[rows]]],
        share=share[rows],
        rival_share=rival_share[rows],
    )


def _checked_number(k: int | None, n_rows: int) -> int:
    if k is None:
        return n_rows
    if not isinstance(k, Integral) or isinstance(k, bool) or not 1 <= k <= n_rows:
        raise ValueError(
            f"k must be an integer between 1 and {n_rows}, the number of training "
            f"rows, or None for all of them, got {k!r}."
        )
    return int(k)
