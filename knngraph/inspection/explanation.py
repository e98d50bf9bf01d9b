"""An answer as it is explained: the voters, their shares, and text of both."""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from knngraph.html_page import printable
from knngraph.inspection._optional import as_frame
from knngraph.inspection.cards import Card, CardMixin
from knngraph.inspection.rows import TableRow, VotingNeighbor

_CLASSES_IN_TEXT = 4
_VOTERS_IN_TEXT = 8
_COLUMNS_IN_TEXT = 3
_LETTERS_OF_A_NAME = 24
_LINE = 88
# Columns of a smaller share, which is none in per cent, are not shown.
_LEAST_SHARE = 0.005
# Doubt about a label that is shown: less is none in two digits.
_LEAST_DOUBT = 0.005
_IN_FRAME = ("row", "label", "weight", "distance", "reliability", "rival")


class Reason(NamedTuple):
    """A column that makes a row near.

    Parameters
    ----------
    column : str
    share : float
        Of the column in what makes the row near.
    about, row : float
        Value at what the vote was about, and at the row, in the units of the user.
    """

    column: str
    share: float
    about: float
    row: float

    def __str__(self) -> str:
        name = shorten(self.column)
        return f"{name} {self.share:.0%} ({_number(self.about)}, {_number(self.row)})"


@dataclass(frozen=True, eq=False)
class Explanation(CardMixin):
    """How one query was answered.

    Parameters
    ----------
    query : int
        Row of X.
    inference : {"lookup", "adaptive", "cascade"}
    way : {"stored", "adaptive"}
        Whether a stored label answered, or the problem solved at the query. Only
        a cascade takes both ways.
    predicted : object
        The class that `predict` returns.
    row : int
        Training row that the search found; on the adaptive way the nearest
        candidate. The first where several rows are copies.
    given, stored : object
        Its given label, and the label stored for it.
    distance : float
        From the query to it: Euclidean, in the units of the data; between rows
        of unit length with metric="cosine", between mapped rows with "learned".
    neighbors : tuple of VotingNeighbor
        Heaviest first. On the stored way the learned neighbors of the row
        reached and the row itself, on the adaptive way all candidates.
    classes : ndarray of shape (n_classes,)
    scores : ndarray of shape (n_classes,)
        Share of the vote that every class has.
    probabilities : ndarray of shape (n_classes,)
        What `predict_proba` makes of it.
    margin : float
        Largest minus second largest score.
    columns : tuple of str
        Names of the columns of X: `feature_names_in_`, else "x0", "x1" ...
    values : ndarray of shape (n_features,)
        The query, in the units of the user.
    shares, row_values : ndarray of shape (n_features,)
        Shares of the columns in what makes `row` near to the query, and the values of
        `row`; as `shares` and `values` of its `VotingNeighbor`.
    others : tuple of VotingNeighbor
        The nearest training rows of the most probable other class, without weights; as
        many as were wanted.
    row_id : int, str or None, default=None
        The id that the user gave to `row`.
    query_name : object, default=None
        Its label in the index of X, where that is a data frame.
    label_set : tuple or None, default=None
        Classes of the prediction set at 90%, most probable first, as from
        `predict_set`. None for training rows that are left out.
    novelty_pvalue : float or None, default=None
        How often a training row is as unlike all others. None for left-out rows.
    """

    query: int
    inference: str
    way: str
    predicted: Any
    row: int
    given: Any
    stored: Any
    distance: float
    neighbors: tuple[VotingNeighbor, ...]
    classes: np.ndarray
    scores: np.ndarray
    probabilities: np.ndarray
    margin: float
    columns: tuple[str, ...]
    values: np.ndarray
    shares: np.ndarray
    row_values: np.ndarray
    others: tuple[VotingNeighbor, ...] = ()
    row_id: int | str | None = None
    query_name: Any = None
    label_set: tuple[Any, ...] | None = None
    novelty_pvalue: float | None = None

    @property
    def name(self) -> Any:
        """Label of the query in the index of its frame, else its number."""
        return self.query if self.query_name is None else self.query_name

    def with_ids(self, ids: np.ndarray | None) -> "Explanation":
        """The same, with the ids of training rows; None where none has one."""
        if ids is None:
            return self

        def named(rows: tuple[VotingNeighbor, ...]) -> tuple[VotingNeighbor, ...]:
            return tuple(replace(row, id=ids.item(row.row)) for row in rows)

        return replace(
            self,
            row_id=ids.item(self.row),
            neighbors=named(self.neighbors),
            others=named(self.others),
        )

    @property
    def voters(self) -> tuple[VotingNeighbor, ...]:
        """The neighbors with a vote that counts."""
        return tuple(n for n in self.neighbors if n.weight > 0.0)

    def reasons(
        self, neighbor: VotingNeighbor | None = None, n_columns: int = 3
    ) -> list[Reason]:
        """The columns that make a row near, largest share first.

        Parameters
        ----------
        neighbor : VotingNeighbor or None, default=None
            One of `voters`, near to what the vote was about: the query, or the training
            row reached on the stored way. None is the row reached, near to the query.
        n_columns : int, default=3
            At most so many; columns without a share are left out.

        Returns
        -------
        list of Reason
        """
        if neighbor is None:
            about, shares, values = self.values, self.shares, self.row_values
        elif neighbor.shares is None or neighbor.values is None:
            return []
        else:
            about = self.row_values if self.way == "stored" else self.values
            shares, values = neighbor.shares, neighbor.values
        order = np.argsort(-shares, kind="stable")[:n_columns]
        return [
            Reason(self.columns[j], float(shares[j]), float(about[j]), float(values[j]))
            for j in order
            if shares[j] > 0.0
        ]

    def __str__(self) -> str:
        voters, stored = self.voters, self.way == "stored"
        row = _short(self.row if self.row_id is None else self.row_id)
        about = f"row {row}" if stored else "query"
        lines = [
            f"query {_short(self.name)}: class {_short(self.predicted)}, "
            f"score {self.scores.max():.2f}, margin {self.margin:.2f}",
            f"  nearest training row {row}: given {_short(self.given)}, "
            f"stored {_short(self.stored)}, distance {self.distance:.4g}",
            *([_reasons_in_words(self.reasons(), "near by ")] if stored else []),
            f"  answered by {self._way_in_words()}",
            f"  scores: {self._scores_in_words()}",
            f"  {'row':>8}  {'label':>10}  {'weight':>6}  distance, "
            f"and columns that make it near ({about}, row)",
        ]
        for voter in voters[:_VOTERS_IN_TEXT]:
            lines += [
                f"  {_short(voter.name):>8}  {_short(voter.label):>10}  "
                f"{voter.weight:6.3f}  "
                f"{voter.distance:.4g}{_doubt_in_words(voter)}",
                _reasons_in_words(self.reasons(voter)),
            ]
        if len(voters) > _VOTERS_IN_TEXT:
            lines.append(f"  and {len(voters) - _VOTERS_IN_TEXT} more")
        return "\n".join(lines)

    def to_frame(self) -> Any:
        """One line a neighbor.

        Returns
        -------
        pandas.DataFrame
            Columns "query", "row", "label", "weight", "distance", "reliability",
            "rival" and "reasons", which is text: the three columns of the largest
            shares, with the values of what the vote was about and of the row. After
            "row" comes "id" where a row has one.
        """
        columns: dict[str, list[Any]] = {"query": [self.name] * len(self.neighbors)}
        names = list(_IN_FRAME)
        if any(n.id is not None for n in self.neighbors):
            names.insert(1, "id")
        for name in names:
            columns[name] = [getattr(n, name) for n in self.neighbors]
        columns["reasons"] = [
            ", ".join(map(str, self.reasons(n))) for n in self.neighbors
        ]
        return as_frame(columns, "Explanation.to_frame")

    def to_card(self) -> Card:
        """What a card shows, with the columns and the training rows of the index."""

        def beside(neighbor: VotingNeighbor) -> TableRow:
            assert neighbor.shares is not None  # candidates without a vote have none
            assert neighbor.values is not None
            cells = tuple(neighbor.values.tolist())
            return TableRow(neighbor.name, neighbor, cells, neighbor.shares)

        return self.card(
            self.name,
            self.columns,
            tuple(self.values.tolist()),
            beside(self.reached),
            tuple(map(beside, self.voters)),
            tuple(map(beside, self.others)),
        )

    def card(
        self,
        name: Any,
        columns: tuple[str, ...],
        values: tuple[Any, ...],
        reached: TableRow,
        voters: tuple[TableRow, ...],
        others: tuple[TableRow, ...],
    ) -> Card:
        """A card with these rows and columns.

        Parameters
        ----------
        name : object
            Of the query.
        columns : tuple of str
        values : tuple
            Cells of the query.
        reached : TableRow
        voters, others : tuple of TableRow
        """
        return Card(
            name=name,
            predicted=self.predicted,
            probabilities=self.likely,
            label_set=self.label_set,
            novelty_pvalue=self.novelty_pvalue,
            stored=self.stored if self.way == "stored" else None,
            n_candidates=len(self.neighbors),
            columns=columns,
            values=values,
            reached=reached,
            voters=voters,
            others=others,
        )

    @property
    def likely(self) -> dict[Any, float]:
        """Probability of every class, largest first."""
        order = np.argsort(-self.probabilities, kind="stable")
        return {self.classes[c]: float(self.probabilities[c]) for c in order}

    @property
    def reached(self) -> VotingNeighbor:
        """The training row that the search found, near to the query."""
        return VotingNeighbor(
            self.row,
            self.given,
            0.0,
            self.distance,
            shares=self.shares,
            values=self.row_values,
            id=self.row_id,
        )

    def _way_in_words(self) -> str:
        of_cascade = ", cascade" if self.inference == "cascade" else ""
        n_voters, n_candidates = len(self.voters), len(self.neighbors)
        if self.way == "stored":
            return f"the stored label{of_cascade}; votes behind it: {n_voters}"
        voters = f"{n_voters} of {n_candidates} candidates"
        return f"a vote at the query{of_cascade}; voters: {voters}"

    def _scores_in_words(self) -> str:
        order = np.argsort(-self.scores, kind="stable")[:_CLASSES_IN_TEXT]
        shown = [
            f"{_short(self.classes[c])} {self.scores[c]:.2f}"
            for c in order
            if self.scores[c] > 0.0
        ]
        return ", ".join(shown)


def shorten(name: str) -> str:
    """A name of at most 24 letters."""
    if len(name) <= _LETTERS_OF_A_NAME:
        return name
    return f"{name[: _LETTERS_OF_A_NAME - 3]}..."


def _short(name: Any) -> str:
    """A name of any kind, in a line of a terminal."""
    return shorten(printable(str(name)))


def _number(value: float) -> str:
    return "missing" if np.isnan(value) else f"{value:.6g}"


def _reasons_in_words(reasons: list[Reason], start: str = "") -> str:
    line = f"{'':12}{start}"
    for place, reason in enumerate(reasons):
        more = f"{', ' if place else ''}{reason}"
        if len(line) + len(more) > _LINE or (place and reason.share < _LEAST_SHARE):
            break
        line += more
    return line


def _doubt_in_words(voter: VotingNeighbor) -> str:
    if voter.rival is None or voter.reliability > 1.0 - _LEAST_DOUBT:
        return ""
    return f"  reliability {voter.reliability:.2f}, else {_short(voter.rival)}"
