"""Why a query was answered as it was: records to read, print and tabulate."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from knngraph.inspection._frames import as_frame

_CLASSES_IN_TEXT = 4
_VOTERS_IN_TEXT = 8


@dataclass(frozen=True)
class VotingNeighbor:
    """A training row that was asked, and what its vote counted.

    Parameters
    ----------
    row : int
        Number of the training row; the first where copies with one label share
        a vote.
    label : object
        Its given label.
    weight : float
        Its share of the vote. Zero for candidates that explain nothing.
    distance : float
        From the row that the vote was about: the training row reached, or the
        query. In the units of `query_bandwidth_`.
    belief : float, default=1.0
        Share of its vote that its label gets. The rest goes to `rival`.
    rival : object, default=None
        The class that contradicts its label most; None where it is believed.
    """

    row: int
    label: Any
    weight: float
    distance: float
    belief: float = 1.0
    rival: Any = None


@dataclass(frozen=True, eq=False)
class Explanation:
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
        Training row that the walk reached; on the adaptive way the nearest
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

    @property
    def voters(self) -> tuple[VotingNeighbor, ...]:
        """The neighbors whose vote counts."""
        return tuple(n for n in self.neighbors if n.weight > 0.0)

    def __str__(self) -> str:
        voters = self.voters
        lines = [
            f"query {self.query}: class {self.predicted}, "
            f"score {self.scores.max():.2f}, margin {self.margin:.2f}",
            f"  nearest training row {self.row}: given {self.given}, "
            f"stored {self.stored}, distance {self.distance:.4g}",
            f"  answered by {self._way_in_words()}",
            f"  scores: {self._scores_in_words()}",
            f"  {'row':>8}  {'label':>10}  {'weight':>6}  distance",
        ]
        for voter in voters[:_VOTERS_IN_TEXT]:
            lines.append(
                f"  {voter.row:>8}  {voter.label!s:>10}  {voter.weight:6.3f}  "
                f"{voter.distance:.4g}{_doubt_in_words(voter)}"
            )
        if len(voters) > _VOTERS_IN_TEXT:
            lines.append(f"  and {len(voters) - _VOTERS_IN_TEXT} more")
        return "\n".join(lines)

    def to_frame(self) -> Any:
        """One line a neighbor.

        Returns
        -------
        pandas.DataFrame
            Columns "query", "row", "label", "weight", "distance", "belief" and
            "rival".
        """
        columns = {
            "query": [self.query] * len(self.neighbors),
            "row": [n.row for n in self.neighbors],
            "label": [n.label for n in self.neighbors],
            "weight": [n.weight for n in self.neighbors],
            "distance": [n.distance for n in self.neighbors],
            "belief": [n.belief for n in self.neighbors],
            "rival": [n.rival for n in self.neighbors],
        }
        return as_frame(columns, "Explanation.to_frame")

    def _way_in_words(self) -> str:
        of_cascade = ", cascade" if self.inference == "cascade" else ""
        n_voters = len(self.voters)
        if self.way == "stored":
            return f"the stored label{of_cascade}; votes behind it: {n_voters}"
        asked = f"{n_voters} of {len(self.neighbors)} candidates"
        return f"a vote at the query{of_cascade}; voters: {asked}"

    def _scores_in_words(self) -> str:
        order = np.argsort(-self.scores, kind="stable")[:_CLASSES_IN_TEXT]
        shown = [
            f"{self.classes[c]} {self.scores[c]:.2f}"
            for c in order
            if self.scores[c] > 0.0
        ]
        return ", ".join(shown)


def _doubt_in_words(voter: VotingNeighbor) -> str:
    if voter.rival is None:
        return ""
    return f"  believed {voter.belief:.2f}, else {voter.rival}"
