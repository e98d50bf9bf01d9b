"""Why a query was answered as it was: the training rows behind the answer."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from knngraph.exceptions import KNNGraphWarning
from knngraph.graph.neighbors import Neighbors
from knngraph.graph.training_set import TrainingSet
from knngraph.inference.adaptive import leave_one_out_candidates, queries_per_block
from knngraph.inference.answer import Answered, answered_blocks, score_at
from knngraph.inference.prediction_sets import set_level
from knngraph.inference.probabilities import found_votes, probabilities_of
from knngraph.inference.query_model import Found, PredictOptions, QueryModel
from knngraph.inference.stored import StoredAnswers
from knngraph.inspection.columns import Columns
from knngraph.inspection.explanation import Explanation
from knngraph.inspection.rows import VotingNeighbor
from knngraph.metric.out_of_fold import OutOfFold
from knngraph.parallel import chunk_bounds
from knngraph.sparse_rows import as_dense

# Share of the sets of explanations that may miss the true class.
SET_ALPHA = 0.1
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


@dataclass(frozen=True)
class ShownRows:
    """What explanations show of the training rows besides the model.

    Parameters
    ----------
    votes : StoredVotes
    classes : ndarray of shape (n_classes,)
        Labels.
    columns : tuple of str
        Names of the columns of X.
    n_others : int
        So many of the nearest rows of the most probable other class.
    """

    votes: StoredVotes
    classes: np.ndarray
    columns: tuple[str, ...]
    n_others: int


def explain_answers(
    model: QueryModel,
    options: PredictOptions,
    shown: ShownRows,
    X: Any,
) -> list[Explanation]:
    """Explain the answer to every query, a row of X, by one search for each.

    Novelty and prediction sets are in the explanations where the model has them.
    """
    rows = _Rows(model, shown)
    level = None
    if model.sets is not None:
        with warnings.catch_warnings():
            # Too few rows of a class: the set is larger, and shown.
            warnings.simplefilter("ignore", KNNGraphWarning)
            level = set_level(model, shown.classes, SET_ALPHA, False)
    explanations = []
    for one in answered_blocks(model, options, X, level, with_shares=True):
        values = as_dense(X[one.block])
        pvalues = _pvalues(model, one.found)
        for place, answer in enumerate(_answers(rows, one)):
            explained = rows.explained(
                _Query(
                    one.block.start + place,
                    one.queries[place],
                    values[place].astype(np.float64),
                ),
                options.inference,
                answer,
                one.probabilities[place],
            )
            if pvalues is not None:
                explained = replace(explained, novelty_pvalue=pvalues[place])
            if one.sets is not None:
                labels = rows.in_order(explained, one.sets[place])
                explained = replace(explained, label_set=labels)
            explanations.append(explained)
    return explanations


def _pvalues(model: QueryModel, found: Found) -> list[float] | None:
    """How novel queries are, where the model says it."""
    if model.novelty is None:
        return None
    codes, scores = score_at(model, found.nodes, found.squared[:, 0])
    return model.novelty.pvalues(scores, codes).tolist()


def explain_left_out(
    model: QueryModel,
    options: PredictOptions,
    shown: ShownRows,
    neighbors: Neighbors,
    folds: OutOfFold | None,
    left_out: np.ndarray,
) -> list[Explanation]:
    """Explain the adaptive answers to training rows, each without its own vote.

    Labels vote in full: what is known of the reliability of the labels beside a row
    rests on the label of the row as well.

    Parameters
    ----------
    neighbors : Neighbors
        Of the nodes, for rows that are left out.
    folds : OutOfFold or None
        Maps that the neighbors were found under.
    left_out : ndarray of shape (n,)
        Training rows.
    """
    training, calibration = model.training, model.calibration
    assert calibration is not None
    model = replace(model, reliability=None)
    rows = _Rows(model, shown, folds)
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
        shares = np.zeros(found.ids.shape)
        counted = found_votes(model, options, found, shares)
        codes = np.full(len(some), -1)
        likely, _ = probabilities_of(
            counted, codes, found.is_open, calibration, options.inference
        )
        answers = _adaptive_answers(rows, found, counted, shares, some)
        for place, answer in enumerate(answers):
            explanations.append(
                rows.explained(
                    _Query(int(some[place]), queries[place], values[place], True),
                    options.inference,
                    answer,
                    likely[place],
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
    if n_rows == 1 and len(given):
        raise ValueError(
            "There is one training row: left out, it leaves none to vote. Fit more "
            "rows, or use `explain`."
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
        shown: ShownRows,
        folds: OutOfFold | None = None,
    ) -> None:
        training: TrainingSet = model.training
        self.training = training
        self.shown, self.votes, self.folds = shown, shown.votes, folds
        self._under: dict[int, np.ndarray] = {}
        reliability = model.reliability
        noisy = reliability is not None and reliability.doubt > 0.0
        self.reliability = reliability if noisy else None
        self.labels = shown.classes.tolist()
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
            classes=self.shown.classes,
            scores=answer.scores,
            probabilities=probabilities,
            margin=_margin(answer.scores),
            columns=self.shown.columns,
            values=query.values,
            shares=near[0][0],
            row_values=near[1][0],
            others=self.nearest_of_class(order[1:2], query),
        )

    def in_order(self, explained: Explanation, in_set: np.ndarray) -> tuple[Any, ...]:
        """Labels of a set, the likeliest first."""
        order = np.argsort(-explained.probabilities, kind="stable")
        return tuple(self.labels[code] for code in order if in_set[code])

    def nearest_of_class(
        self, code: np.ndarray, query: _Query
    ) -> tuple[VotingNeighbor, ...]:
        """The nearest rows of a class, of which there may be none, with reasons."""
        training = self.training
        pairs = np.flatnonzero(np.isin(training.pair_code, code))
        if not self.shown.n_others or not len(pairs):
            return ()
        nodes = training.pair_node[pairs]
        about, points = self.compared(query)
        away = np.concatenate(
            [
                self.distances(about, nodes[start:stop], points)
                for start, stop in chunk_bounds(len(nodes), _NODES_PER_BLOCK)
            ]
        )
        named = self.of_pair[pairs]
        if query.left_out:
            own = named == query.number
            named = np.where(own, self.second_of_pair[pairs], named)
            # Without a copy there is no other row.
            away = np.where(named < 0, np.inf, away)
        first = np.lexsort((named, away))[: self.shown.n_others]
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

    def compared(self, query: _Query) -> tuple[np.ndarray, np.ndarray]:
        """A query and all nodes under the map that it is compared with rows by.

        That of a left-out row is the one that its voters were found under.
        """
        points = self.training.points
        if not query.left_out or self.folds is None:
            return query.mapped, points
        pair = self.training.pair_of_row[query.number]
        fold = int(self.folds.fold_of_pair[pair])
        if not 0 <= fold < len(self.folds.maps):
            return query.mapped, points
        if fold not in self._under:
            self._under[fold] = self.folds.points_under(fold, self.training)
        points = self._under[fold]
        return points[self.training.pair_node[pair]], points

    def distances(
        self, mapped: np.ndarray, nodes: Any, points: np.ndarray | None = None
    ) -> np.ndarray:
        """Distances of a mapped row to nodes, from differences."""
        points = self.training.points if points is None else points
        away = points[nodes].astype(np.float64) - mapped
        return np.sqrt((away**2).sum(axis=1)) * self.scale

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


def _answers(rows: _Rows, answered: Answered) -> Iterator[_Answer]:
    """The answer to every query of a block, in their order."""
    found, shares, votes = answered.found, answered.shares, rows.votes
    assert shares is not None
    at_query = iter(_adaptive_answers(rows, found, answered.votes, shares))
    scores = as_dense(votes.stored.shares[found.nodes])
    for place, node in enumerate(found.nodes):
        if found.resolved[place]:
            neighbors = _stored_neighbors(votes, rows, int(node))
            yield _Answer("stored", int(node), neighbors, scores[place])
        else:
            yield next(at_query)


def _adaptive_answers(
    rows: _Rows,
    found: Found,
    votes: np.ndarray,
    shares: np.ndarray,
    left_out: np.ndarray | None = None,
) -> Iterator[_Answer]:
    """Answers by a vote at the query; `left_out` are training rows without a vote."""
    unresolved = np.flatnonzero(~found.resolved)
    # As the vote used them: those of left-out rows are not between mapped rows.
    away = np.sqrt(found.squared[unresolved].astype(np.float64)) * rows.scale
    for place, distances in zip(unresolved, away):
        ids = found.ids[place]
        nodes = ids[ids >= 0]
        out = None if left_out is None else int(left_out[place])
        neighbors = [
            VotingNeighbor(
                row=row,
                label=rows.labels[int(rows.training.pair_code[pair])],
                weight=float(weight * part),
                distance=float(distance),
                **rows.doubt(pair),
            )
            for node, weight, distance in zip(nodes, shares[place], distances)
            for pair, row, part in rows.shares_on(int(node), out)
        ]
        voters = _sorted(rows.weighed(neighbors))
        nearest = float(distances[0])
        yield _Answer("adaptive", int(nodes[0]), voters, votes[place], nearest)


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
