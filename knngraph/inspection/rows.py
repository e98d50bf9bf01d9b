"""Training rows beside the row that is explained, and cells as people read them."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class VotingNeighbor:
    """A training row among the voters, and the weight of its vote.

    Parameters
    ----------
    row : int
        Number of the training row; the first where copies with one label share
        a vote.
    label : object
        Its given label.
    weight : float
        Its share of the vote, with that of the copies it stands for. Zero for
        candidates that explain nothing.
    distance : float
        As the vote used it, from the row that the vote was about: the training row
        reached, or the query. In the units of `query_bandwidth_`.
    reliability : float, default=1.0
        Share of its vote that its label gets. The rest goes to `rival`.
    rival : object, default=None
        The class that contradicts its label most; None where the label is certain.
    shares : ndarray of shape (n_features,) or None
        Share of every column in what makes the row near, with the sum one; see
        `knngraph.inspection.columns.Columns` for the formula. None for candidates
        that explain nothing.
    values : ndarray of shape (n_features,) or None
        The row in the units of the user, to the digits that the index holds.
    id : int, str or None, default=None
        What the user gave the row for a name; None where it has no id.
    """

    row: int
    label: Any
    weight: float
    distance: float
    reliability: float = 1.0
    rival: Any = None
    shares: np.ndarray | None = field(default=None, compare=False, repr=False)
    values: np.ndarray | None = field(default=None, compare=False, repr=False)
    id: int | str | None = None

    @property
    def name(self) -> int | str:
        """Its id, its number where it has none."""
        return self.row if self.id is None else self.id


@dataclass(frozen=True, eq=False)
class TableRow:
    """A training row beside the row that was explained.

    Parameters
    ----------
    name : object
        Its label in the index of the training table, else its id or its number.
    neighbor : VotingNeighbor
        Label, weight of the vote, distance, as the classifier gives them.
    values : tuple or None
        Its cells; None without the training table.
    shares : ndarray of shape (n_columns,)
        Share of every column in what makes the row near.
    """

    name: Any
    neighbor: VotingNeighbor
    values: tuple[Any, ...] | None
    shares: np.ndarray


def cell_text(cell: Any) -> str:
    """A cell as people read it; "missing" without a value.

    Examples
    --------
    >>> from knngraph.inspection.rows import cell_text
    >>> cell_text(0.1 + 0.2), cell_text("Oslo"), cell_text(float("nan"))
    ('0.3', 'Oslo', 'missing')
    """
    # Neither of the two of pandas equals itself, nor says so by a boolean.
    if cell is None or type(cell).__name__ in ("NAType", "NaTType"):
        return "missing"
    if isinstance(cell, float | np.floating):
        return "missing" if np.isnan(cell) else f"{cell:.6g}"
    return str(cell).removesuffix(" 00:00:00")  # a day
