"""Why a query was answered as it was: the training rows behind the answer."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
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
from knngraph.inspection.columns import Columns
from knngraph.inspection.explanation import Explanation, VotingNeighbor
from knngraph.space import is_sparse


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
    names: Any = None,
) -> list[Explanation]:
    """Explain the answer to every query, a row of X.

    Parameters
    ----------
    names : sequence of str or None, default=None
        Of the columns of X.
    """
    names = [f"x{j}" for j in range(X.shape[1])] if names is None else names
    names = tuple(str(name) for name in names)
    probabilities = answer_probabilities(model, options, X)
    rows = _Rows(model, classes)
    explanations = []
    for block, queries in query_blocks(model, X):
        values = X[block].toarray() if is_sparse(X) else X[block]
        for place, answer in enumerate(_answers(model, options, votes, rows, queries)):
            query = block.start + place
            row = int(rows.first_of_node[answer.node])
            near = rows.near(queries[place], [answer.node])
            about = queries[place]
            if answer.way == "stored":
                about = model.training.points[answer.node]
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
                    neighbors=rows.with_reasons(about, answer.neighbors),
                    classes=classes,
                    scores=answer.scores,
                    probabilities=probabilities[query],
                    margin=_margin(answer.scores),
                    columns=names,
                    values=values[place].astype(np.float64),
                    shares=near[0][0],
                    row_values=near[1][0],
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
        self.columns = Columns(model.space, training)

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
        rival = int(self.reliability.rival[pair])
        if rival == self.training.pair_code[pair]:
            return {}  # no other class has a vote there
        own = float(self.reliability.own[pair])
        return {"reliability": own, "rival": self.labels[rival]}

    def near(self, mapped: np.ndarray, nodes: Any) -> tuple[np.ndarray, np.ndarray]:
        """Shares of the columns in what makes nodes near, and values of the nodes."""
        points = self.training.points[nodes]
        parts = self.columns.parts
        shares = self.columns.shares(parts(mapped[None]), parts(points))
        return shares, self.columns.values(points)

    def with_reasons(
        self, about: np.ndarray, neighbors: tuple[VotingNeighbor, ...]
    ) -> tuple[VotingNeighbor, ...]:
        """The same neighbors; those with a weight with shares and values of columns.

        Parameters
        ----------
        about : ndarray of shape (n_coordinates,)
            The mapped row that the vote was about.
        neighbors : tuple of VotingNeighbor
            Heaviest first.
        """
        n_voters = sum(n.weight > 0.0 for n in neighbors)
        nodes = self.training.node_of_row[[n.row for n in neighbors[:n_voters]]]
        voters = [
            replace(voter, shares=shares, values=values)
            for voter, shares, values in zip(neighbors, *self.near(about, nodes))
        ]
        return (*voters, *neighbors[n_voters:])

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
