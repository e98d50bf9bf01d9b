"""Why a query was answered as it was: the training rows behind the answer."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from knngraph.graph.neighbors import Neighbors
from knngraph.graph.training_set import TrainingSet
from knngraph.inference.adaptive import leave_one_out_candidates, queries_per_block
from knngraph.inference.answer import (
    Found,
    PredictOptions,
    QueryModel,
    answer_probabilities,
    favor,
    query_blocks,
    search,
)
from knngraph.inference.calibration import sharpen
from knngraph.inference.stored import StoredAnswers
from knngraph.inspection.columns import Columns
from knngraph.inspection.explanation import Explanation
from knngraph.inspection.rows import VotingNeighbor
from knngraph.parallel import chunk_bounds
from knngraph.sparse_rows import as_dense

# Nodes that are compared with a query at once: bounds the memory.
_NODES_PER_BLOCK = 65536


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
    names: tuple[str, ...],
    X: Any,
    n_others: int,
) -> list[Explanation]:
    """Explain the answer to every query, a row of X.

    Parameters
    ----------
    names : tuple of str
        Of the columns of X.
    n_others : int
        Nearest rows of the most probable other class.
    """
    probabilities = answer_probabilities(model, options, X)
    rows = _Rows(model, votes, classes, names, n_others)
    explanations = []
    for block, queries in query_blocks(model, X, options.n_threads):
        values = as_dense(X[block])
        found = search(model, options, queries)
        for place, answer in enumerate(_answers(model, options, rows, found)):
            query = block.start + place
            explanations.append(
                rows.explained(
                    _Query(query, queries[place], values[place].astype(np.float64)),
                    options.inference,
                    answer,
                    probabilities[query],
                )
            )
    return explanations


def explain_left_out(
    model: QueryModel,
    options: PredictOptions,
    votes: StoredVotes,
    classes: np.ndarray,
    names: tuple[str, ...],
    neighbors: Neighbors,
    left_out: np.ndarray,
    n_others: int,
) -> list[Explanation]:
    """Explain the adaptive answers to training rows, each without its own vote.

    Labels vote in full: what is known of the reliability of the labels beside a row
    rests on the label of the row as well.

    Parameters
    ----------
    neighbors : Neighbors
        Of the nodes, for rows that are left out.
    left_out : ndarray of shape (n,)
        Training rows.
    """
    training, calibration = model.training, model.calibration
    assert calibration is not None
    model = replace(model, reliability=None)
    rows = _Rows(model, votes, classes, names, n_others)
    explanations = []
    for start, stop in chunk_bounds(
        len(left_out), queries_per_block(training.n_classes)
    ):
        some = left_out[start:stop]
        pairs = training.pair_of_row[some]
        candidates = leave_one_out_candidates(
            training, neighbors, pairs, model.problem.n_neighbors
        )
        found = Found(
            candidates[0][:, 0],
            np.zeros(len(some), dtype=bool),
            np.arange(len(some)),
            *candidates,
            left_out=pairs,
        )
        queries = training.points[training.pair_node[pairs]]
        values = rows.columns.values(queries)
        answers = _adaptive_answers(model, options, rows, found, some)
        for place, answer in enumerate(answers):
            likely = sharpen(answer.scores[None], calibration.adaptive)
            favor(likely, np.array([answer.scores.argmax()]))
            explanations.append(
                rows.explained(
                    _Query(int(some[place]), queries[place], values[place], True),
                    "adaptive",
                    answer,
                    likely[0],
                )
            )
    return explanations


def checked_rows(rows: Any, n_rows: int) -> np.ndarray:
    """Places among the training rows, or an error that names one that is none."""
    given = np.asarray(rows)
    if given.ndim != 1 or (given.size and given.dtype.kind not in "iu"):
        raise ValueError(
            f"rows must be a list of integers, got {rows!r}; they are places among the "
            "training rows."
        )
    beyond = given[(given < 0) | (given >= n_rows)]
    if len(beyond):
        raise ValueError(
            f"rows must be from 0 to {n_rows - 1}, the places of the {n_rows} training "
            f"rows, got {beyond[0]}."
        )
    return given.astype(np.intp)


@dataclass(frozen=True)
class _Query:
    """A query: its number, as it is mapped, in the units of the user.

    `left_out` says that the number is that of a training row, which does not vote.
    """

    number: int
    mapped: np.ndarray
    values: np.ndarray
    left_out: bool = False


@dataclass(frozen=True)
class _Answer:
    """The vote behind an answer; `distance` is that of the node where it is known."""

    way: str
    node: int
    neighbors: tuple[VotingNeighbor, ...]
    scores: np.ndarray
    distance: float = 0.0


class _Rows:
    """Names and distances of the rows behind nodes and pairs."""

    def __init__(
        self,
        model: QueryModel,
        votes: StoredVotes,
        classes: np.ndarray,
        names: tuple[str, ...],
        n_others: int,
    ) -> None:
        training: TrainingSet = model.training
        self.training = training
        self.votes = votes
        self.names = names
        self.n_others = n_others
        reliability = model.reliability
        noisy = reliability is not None and reliability.noise > 0.0
        self.reliability = reliability if noisy else None
        self.classes = classes
        self.labels = classes.tolist()
        self.scale = model.space.scale
        self.starts = training.node_starts()
        self.of_pair, self.second_of_pair = training.rows_of_pairs()
        self.first_of_node = np.minimum.reduceat(self.of_pair, self.starts[:-1])
        self.on_node = training.node_weights()
        self.columns = Columns(model.space, training)

    def explained(
        self,
        query: _Query,
        inference: str,
        answer: "_Answer",
        probabilities: np.ndarray,
    ) -> Explanation:
        """The explanation of an answer."""
        row = int(self.first_of_node[answer.node])
        near = self.near(query.mapped, [answer.node])
        about, distance = query.mapped, answer.distance
        if answer.way == "stored":
            about = self.training.points[answer.node]
            distance = float(self.distances(query.mapped, [answer.node])[0])
        order = np.argsort(-probabilities, kind="stable")
        return Explanation(
            query=query.number,
            inference=inference,
            way=answer.way,
            predicted=self.labels[int(order[0])],
            row=row,
            given=self.given(row),
            stored=self.labels[int(self.votes.stored.codes[answer.node])],
            distance=distance,
            neighbors=self.with_reasons(about, answer.neighbors),
            classes=self.classes,
            scores=answer.scores,
            probabilities=probabilities,
            margin=_margin(answer.scores),
            columns=self.names,
            values=query.values,
            shares=near[0][0],
            row_values=near[1][0],
            others=self.nearest_of_class(order[1:2], query),
        )

    def nearest_of_class(
        self, code: np.ndarray, query: _Query
    ) -> tuple[VotingNeighbor, ...]:
        """The nearest rows of a class, of which there may be none, with reasons."""
        training = self.training
        pairs = np.flatnonzero(np.isin(training.pair_code, code))
        if not self.n_others or not len(pairs):
            return ()
        nodes = training.pair_node[pairs]
        away = np.concatenate(
            [
                self.distances(query.mapped, nodes[start:stop])
                for start, stop in chunk_bounds(len(nodes), _NODES_PER_BLOCK)
            ]
        )
        named = self.of_pair[pairs]
        if query.left_out:
            own = named == query.number
            named = np.where(own, self.second_of_pair[pairs], named)
            # Without a copy there is no other row.
            away = np.where(named < 0, np.inf, away)
        first = np.lexsort((named, away))[: self.n_others]
        first = first[np.isfinite(away[first])]
        shares, values = self.near(query.mapped, nodes[first])
        return tuple(
            VotingNeighbor(
                row=int(named[i]),
                label=self.labels[code[0]],
                weight=0.0,
                distance=float(away[i]),
                **self.doubt(int(pairs[i])),
                shares=share,
                values=value,
            )
            for i, share, value in zip(first, shares, values)
        )

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

    def shares_on(
        self, node: int, left_out: int | None = None
    ) -> Iterator[tuple[int, int, float]]:
        """Pairs of a node, a row of each, and the share of its weight that it has.

        Without the row that is left out, where one is.
        """
        weights = self.training.pair_weight[self.starts[node] : self.starts[node + 1]]
        whole, out = self.on_node[node], -1
        if left_out is not None:
            out = int(self.training.pair_of_row[left_out])
            if self.training.pair_node[out] == node:
                place = out - self.starts[node]
                weights = weights.copy()
                weights[place] -= min(1.0, weights[place])
                whole = self.training.left_weights(np.array([out]))[0]
        for place, weight in enumerate(weights):
            pair = int(self.starts[node] + place)
            row = int(self.of_pair[pair])
            if row == left_out:
                row = int(self.second_of_pair[pair])
            if row >= 0 and weight > 0.0:
                yield pair, row, weight / whole


def _answers(
    model: QueryModel,
    options: PredictOptions,
    rows: _Rows,
    found: Found,
) -> Iterator[_Answer]:
    """The answer to every query of a block, in their order."""
    at_query = iter(_adaptive_answers(model, options, rows, found))
    votes = rows.votes
    scores = as_dense(votes.stored.shares[found.nodes])
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
    found: Found,
    left_out: np.ndarray | None = None,
) -> Iterator[_Answer]:
    """Answers by a vote at the query; `left_out` are training rows without a vote."""
    unresolved = np.flatnonzero(~found.resolved)
    if not len(unresolved):
        return
    candidates = found.ids[unresolved]
    shares = np.zeros(candidates.shape)
    scores = found.votes(model, options.n_threads, unresolved, shares)
    # As the vote used them: those of left-out rows are not between mapped rows.
    away = np.sqrt(found.squared[unresolved].astype(np.float64)) * rows.scale
    for place, ids, distances, weights, score in zip(
        unresolved, candidates, away, shares, scores
    ):
        nodes = ids[ids >= 0]
        out = None if left_out is None else int(left_out[place])
        neighbors = [
            VotingNeighbor(
                row=row,
                label=rows.labels[int(model.training.pair_code[pair])],
                weight=float(weight * part),
                distance=float(distance),
                **rows.doubt(pair),
            )
            for node, weight, distance in zip(nodes, weights, distances)
            for pair, row, part in rows.shares_on(int(node), out)
        ]
        voters = rows.weighed(neighbors)
        nearest = float(distances[0])
        yield _Answer("adaptive", int(nodes[0]), _sorted(voters), score, nearest)


def _stored_neighbors(
    votes: StoredVotes, rows: _Rows, node: int
) -> tuple[VotingNeighbor, ...]:
    """Learned neighbors of the rows on a node, and those rows themselves."""
    graph, training = votes.graph, rows.training
    neighbors = []
    for _, own, part in rows.shares_on(node):
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
