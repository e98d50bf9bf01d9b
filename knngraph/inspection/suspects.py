"""Training rows with a given label that is likely wrong, and the rows that are left."""

from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np

from knngraph.graph.training_set import TrainingSet
from knngraph.inference.label_quality import LabelQuality
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
        Their label, and the likeliest other class of those that the vote without the
        row names; the given label where it names no other.
    probability : ndarray of shape (k,)
        Probability that the given label is right.
    suggested_probability : ndarray of shape (k,)
        Probability that the suggested one is.
    ids : ndarray of shape (k,) or None, default=None
        Ids of the rows, None for a row without; None where no row has one.
    """

    rows: np.ndarray
    given: np.ndarray
    suggested: np.ndarray
    probability: np.ndarray
    suggested_probability: np.ndarray
    ids: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def __str__(self) -> str:
        columns = f"{'given':>10}  {'right':>5}  {'suggested':>10}  {'right':>5}"
        lines = [f"{'row':>8}  {columns}"]
        shown = min(len(self), _ROWS_IN_TEXT)
        for i in range(shown):
            given = f"{self.given[i]!s:>10}  {self.probability[i]:5.2f}"
            suggested = (
                f"{self.suggested[i]!s:>10}  {self.suggested_probability[i]:5.2f}"
            )
            row = None if self.ids is None else self.ids[i]
            row = self.rows[i] if row is None else row
            lines.append(f"{row:>8}  {given}  {suggested}")
        if shown < len(self):
            lines.append(f"and {len(self) - shown} more")
        return "\n".join(lines)

    def to_frame(self) -> Any:
        """One line a row.

        Returns
        -------
        pandas.DataFrame
            Columns "row", "id" where rows have ids, "given", "suggested",
            "probability" and "suggested_probability".
        """
        others = ("given", "suggested", "probability", "suggested_probability")
        named = {} if self.ids is None else {"id": self.ids}
        columns = (
            {"row": self.rows} | named | {name: getattr(self, name) for name in others}
        )
        return as_frame(columns, "SuspectLabels.to_frame")


def rank_suspects(
    training: TrainingSet,
    quality: LabelQuality,
    classes: np.ndarray,
    k: int | None = None,
    ids: np.ndarray | None = None,
) -> SuspectLabels:
    """Order the rows by the probability that their label is right.

    `ids`, one a row, are shown beside the rows.

    Returns
    -------
    SuspectLabels
        The first `k`, or all: least probable label first, then the most probable
        suggestion, then the order of the rows.

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.graph.training_set import build_training_set
    >>> from knngraph.inference.label_quality import LabelQuality
    >>> from knngraph.inspection.suspects import rank_suspects
    >>> points = np.zeros((2, 1), dtype=np.float32)
    >>> training = build_training_set(points, np.array([0, 1]), 2)
    >>> quality = LabelQuality(
    ...     given=np.array([0.9, 0.2]),
    ...     rival_code=np.array([1, 0]),
    ...     rival=np.array([0.1, 0.8]),
    ...     noise_matrix=np.eye(2),
    ... )
    >>> print(rank_suspects(training, quality, np.array(["cat", "dog"])))
         row       given  right   suggested  right
           1         dog   0.20         cat   0.80
           0         cat   0.90         dog   0.10
    """
    if k is not None and (
        not isinstance(k, Integral)
        or isinstance(k, bool)
        or not 1 <= k <= training.n_rows
    ):
        raise ValueError(
            f"k must be an integer between 1 and {training.n_rows}, the number of "
            f"training rows, or None for all of them, got {k!r}."
        )
    pair = training.pair_of_row
    given, rival = quality.given[pair], quality.rival[pair]
    # Probabilities that differ by rounding alone are equal.
    rows = np.lexsort((-rival.round(_DIGITS), given.round(_DIGITS)))[:k]
    return SuspectLabels(
        rows=rows,
        given=classes[training.codes[rows]],
        suggested=classes[quality.rival_code[pair[rows]]],
        probability=given[rows],
        suggested_probability=rival[rows],
        ids=None if ids is None else ids[rows],
    )


def rows_to_keep(suspects: SuspectLabels, remove: float | None) -> np.ndarray:
    """Rows that are left when the most suspect ones are removed.

    Parameters
    ----------
    suspects : SuspectLabels
        All rows.
    remove : int, float or None
        Their number, or their share of all rows; None for the number of wrong labels
        that is expected, the sum of the probabilities to be wrong.

    Returns
    -------
    ndarray of intp, ascending
        The least suspect row of every class is kept.
    """
    n_rows = len(suspects)
    # The last of every class.
    last = n_rows - 1 - np.unique(suspects.given[::-1], return_index=True)[1]
    most = n_rows - len(last)
    share = isinstance(remove, Real) and not isinstance(remove, Integral)
    if remove is None:
        number = min(round(float((1.0 - suspects.probability).sum())), most)
    elif share and 0.0 <= remove < 1.0:
        number = min(round(float(remove) * n_rows), most)
    elif isinstance(remove, Integral) and not isinstance(remove, bool):
        number = int(remove)
    else:
        number = -1
    if not 0 <= number <= most:
        raise ValueError(
            "remove must be None, a share of the training rows, at least 0.0 and below "
            f"1.0, or their number, an integer from 0 to {most} (of {n_rows} rows one "
            f"of every class is kept), got {remove!r}."
        )
    removed = np.delete(np.arange(n_rows), last)[:number]
    return np.sort(np.delete(suspects.rows, removed))
