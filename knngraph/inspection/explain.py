"""Why a query was answered as it was: the training rows behind the answer."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from knngraph.graph.training_set import TrainingSet
from knngraph.inference.answer import (
    Found,
    PredictOptions,
    QueryModel,
    answer_probabilities,
    query_blocks,
    search,
    stored_shares,
)
from knngraph.inference.stored import StoredAnswers
from knngraph.inspection._optional import as_frame

_CLASSES_IN_TEXT = 4
_VOTERS_IN_TEXT = 8


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
        From the row that the vote was about: the training row reached, or the
        query. In the units of `query_bandwidth_`.
    reliability : float, default=1.0
        Share of its vote that its label gets. The rest goes to `rival`.
    rival : object, default=None
        The class that contradicts its label most; None where the label is certain.
    """

    row: int
    label: Any
    weight: float
    distance: float
    reliability: float = 1.0
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
            Columns "query", "row", "label", "weight", "distance", "reliability" and
            "rival".
        """
        columns = {"query": [self.query] * len(self.neighbors)}
        for field in fields(VotingNeighbor):
            columns[field.name] = [getattr(n, field.name) for n in self.neighbors]
        return as_frame(columns, "Explanation.to_frame")

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
            f"{self.classes[c]} {self.scores[c]:.2f}"
            for c in order
            if self.scores[c] > 0.0
        ]
        return ", ".join(shown)


def _doubt_in_words(voter: VotingNeighbor) -> str:
    if voter.rival is None:
        return ""
    return f"  reliability {voter.reliability:.2f}, else {voter.rival}"


@dataclass(frozen=True)
class StoredVotes:
    """The vote behind the stored labels.

    `graph`, CSR of shape (n_rows, n_rows), holds the weights of the learned
    neighbors; `self_weight` is that of the fit.
    """

    graph: Any
    stored: StoredAnswers
    self_weight: float


def explain_answers(
    model: QueryModel,
    options: PredictOptions,
    votes: StoredVotes,
    classes: np.ndarray,
    X: Any,
) -> list[Explanation]:
    """Explain the answer to every query, a row of X."""
    probabilities = answer_probabilities(model, options, X)
    rows = _Rows(model, classes)
    explanations = []
    for block, queries in query_blocks(model, X):
        for place, answer in enumerate(_answers(model, options, votes, rows, queries)):
            query = block.start + place
            row = int(rows.first_of_node[answer.node])
            explanations.append(
                Explanation(
                    query=query,
                    inference=options.inference,
                    way=answer.way,
                    predicted=rows.labels[int(probabilities[query].argmax())],
                    row=row,
                    given=rows.given(row),
                    stored=rows.labels[int(votes.stored.codes[answer.node])],
                    distance=float(rows.distances(queries[place], [answer.node])[0]),
                    neighbors=answer.neighbors,
                    classes=classes,
                    scores=answer.scores,
                    probabilities=probabilities[query],
                    margin=_margin(answer.scores),
                )
            )
    return explanations


@dataclass(frozen=True)
class _Answer:
    way: str
    node: int
    neighbors: tuple[VotingNeighbor, ...]
    scores: np.ndarray


class _Rows:
    """Names and distances of the rows behind nodes and pairs."""

    def __init__(self, model: QueryModel, classes: np.ndarray) -> None:
        training: TrainingSet = model.training
        self.training = training
        reliability = model.reliability
        noisy = reliability is not None and reliability.noise > 0.0
        self.reliability = reliability if noisy else None
        self.labels = classes.tolist()
        self.scale = model.space.scale
        self.starts = training.node_starts()
        self.of_pair, _ = training.rows_of_pairs()
        self.first_of_node = np.minimum.reduceat(self.of_pair, self.starts[:-1])
        self.on_node = training.node_weights()

    def given(self, row: int) -> Any:
        return self.labels[int(self.training.codes[row])]

    def distances(self, mapped: np.ndarray, nodes: Any) -> np.ndarray:
        """Distances of a mapped row to nodes, from differences."""
        points = self.training.points[nodes].astype(np.float64)
        return np.sqrt(((points - mapped) ** 2).sum(axis=1)) * self.scale

    def doubt(self, pair: int) -> dict[str, Any]:
        """Reliability and rival of the label of a pair, where labels may be wrong."""
        if self.reliability is None:
            return {}
        rival = self.labels[int(self.reliability.rival[pair])]
        return {"reliability": float(self.reliability.own[pair]), "rival": rival}

    def weighed(self, neighbors: list[VotingNeighbor]) -> list[VotingNeighbor]:
        """The same voters, with the weights of classes in their votes."""
        factors = self.training.class_weight
        if factors is None:
            return neighbors
        of_label = dict(zip(self.labels, factors.tolist()))
        votes = [
            (
                n.weight * n.reliability * of_label[n.label],
                n.weight * (1.0 - n.reliability) * of_label.get(n.rival, 0.0),
            )
            for n in neighbors
        ]
        total = sum(own + other for own, other in votes) or 1.0
        return [
            replace(
                n,
                weight=(own + other) / total,
                reliability=own / (own + other) if other else n.reliability,
            )
            for n, (own, other) in zip(neighbors, votes)
        ]

    def shares_on(self, node: int) -> Iterator[tuple[int, float]]:
        """Pairs of a node, and the share of its weight that each stands for."""
        for pair in range(self.starts[node], self.starts[node + 1]):
            yield pair, self.training.pair_weight[pair] / self.on_node[node]


def _answers(
    model: QueryModel,
    options: PredictOptions,
    votes: StoredVotes,
    rows: _Rows,
    queries: np.ndarray,
) -> Iterator[_Answer]:
    """The answer to every query of a block, in their order."""
    found = search(model, options, queries)
    at_query = iter(_adaptive_answers(model, options, rows, queries, found))
    scores = stored_shares(votes.stored, found.nodes)
    for place, node in enumerate(found.nodes):
        if found.resolved[place]:
            neighbors = _stored_neighbors(votes, rows, int(node))
            yield _Answer("stored", int(node), neighbors, scores[place])
        else:
            yield next(at_query)


def _adaptive_answers(
    model: QueryModel,
    options: PredictOptions,
    rows: _Rows,
    queries: np.ndarray,
    found: Found,
) -> Iterator[_Answer]:
    unresolved = np.flatnonzero(~found.resolved[found.open])
    if not len(unresolved):
        return
    candidates = found.ids[unresolved]
    shares = np.zeros(candidates.shape)
    scores = found.votes(model, options.n_threads, unresolved, shares)
    for query, ids, weights, score in zip(
        queries[found.open[unresolved]], candidates, shares, scores
    ):
        nodes = ids[ids >= 0]
        neighbors = [
            VotingNeighbor(
                row=int(rows.of_pair[pair]),
                label=rows.labels[int(model.training.pair_code[pair])],
                weight=float(weight * part),
                distance=float(distance),
                **rows.doubt(pair),
            )
            for node, weight, distance in zip(
                nodes, weights, rows.distances(query, nodes)
            )
            for pair, part in rows.shares_on(node)
        ]
        voters = rows.weighed(neighbors)
        yield _Answer("adaptive", int(nodes[0]), _sorted(voters), score)


def _stored_neighbors(
    votes: StoredVotes, rows: _Rows, node: int
) -> tuple[VotingNeighbor, ...]:
    """Learned neighbors of the rows on a node, and those rows themselves."""
    graph, training = votes.graph, rows.training
    neighbors = []
    for pair, part in rows.shares_on(node):
        own = int(rows.of_pair[pair])
        listed = slice(graph.indptr[own], graph.indptr[own + 1])
        # The vote of `knngraph.graph.consensus`, neighbor by neighbor.
        weights = np.maximum(graph.data[listed], 0.0)
        own_weight = votes.self_weight * weights.max(initial=0.0)
        total = weights.sum() + own_weight
        if total <= 0.0:
            total = own_weight = 1.0
        columns, shares = graph.indices[listed], weights / total * part
        itself = np.flatnonzero(columns == own)
        if len(itself):  # stands for its copies: one voter with them
            shares[itself] += own_weight / total * part
        else:
            columns = np.append(columns, own)
            shares = np.append(shares, own_weight / total * part)
        away = rows.distances(training.points[node], training.node_of_row[columns])
        neighbors += [
            VotingNeighbor(int(row), rows.given(row), float(share), float(distance))
            for row, share, distance in zip(columns, shares, away)
        ]
    return _sorted(rows.weighed(neighbors))


def _sorted(neighbors: list[VotingNeighbor]) -> tuple[VotingNeighbor, ...]:
    return tuple(sorted(neighbors, key=lambda n: (-n.weight, n.distance, n.row)))


def _margin(scores: np.ndarray) -> float:
    largest = np.sort(scores)[::-1]
    return float(largest[0] - (largest[1] if len(largest) > 1 else 0.0))
