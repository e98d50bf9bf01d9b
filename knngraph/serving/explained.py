"""Answers of a predictor, explained by what it holds.

A predictor has distinct training rows with their labels, but not the graph behind the
stored labels: a stored label is explained by the row that it is stored on.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from scipy import sparse

from knngraph.inference.answer import PredictOptions
from knngraph.inference.stored import StoredAnswers
from knngraph.inspection.explain import StoredVotes, explain_answers
from knngraph.inspection.explanation import Explanation
from knngraph.inspection.rows import VotingNeighbor
from knngraph.prepared.steps import Preparation
from knngraph.serving.predictor_state import PredictorState
from knngraph.sparse_rows import as_dense


def explain_rows(
    state: PredictorState, options: PredictOptions, rows: Any, n_others: int
) -> list[Explanation]:
    """Explain the answer to every row; see `Predictor.explain`."""
    training, space = state.model.training, state.model.space
    n_pairs = training.n_pairs
    # One row for every distinct row and label.
    training = replace(
        training,
        node_of_row=training.pair_node,
        codes=training.pair_code,
        pair_of_row=np.arange(n_pairs),
    )
    model = replace(state.model, training=training)
    names: Any = state.names if state.names is not None else _numbered(state.n_features)
    if space.prepared is not None:
        model = replace(model, space=replace(space, prepared=None))
        rows = space.prepared.applied(as_dense(rows))
        if space.prepared.undone(rows[:0]) is None:
            names = _numbered(rows.shape[1])
    votes = StoredVotes(sparse.csr_array((n_pairs, n_pairs)), _stored(state), 1.0)
    columns = tuple(map(str, names))
    explained = explain_answers(
        model, options, votes, state.classes, columns, rows, n_others
    )
    return [
        _in_units_of_rows(one.with_ids(state.row_names), space.prepared)
        for one in explained
    ]


def _numbered(n: int) -> list[str]:
    return [f"x{j}" for j in range(n)]


def _stored(state: PredictorState) -> StoredAnswers:
    """Stored labels, with shares; given labels where none are stored."""
    training, stored = state.model.training, state.model.stored
    if stored is None:
        codes = training.pair_code[training.node_starts()[:-1]]
    elif stored.shares is not None:
        return stored
    else:
        codes = stored.codes
    n = len(codes)
    ones = np.ones(n), codes, np.arange(n + 1)
    shares = sparse.csr_array(ones, shape=(n, training.n_classes))
    return StoredAnswers(codes, shares)


def _in_units_of_rows(
    explanation: Explanation, prepared: Preparation | None
) -> Explanation:
    """The same with values as they were before the steps, where that is known."""
    if prepared is None or prepared.undone(explanation.values[None]) is None:
        return explanation

    def before(values: np.ndarray) -> np.ndarray:
        undone = prepared.undone(values[None])
        assert undone is not None
        return undone[0]

    def of(rows: tuple[VotingNeighbor, ...]) -> tuple[VotingNeighbor, ...]:
        return tuple(
            row if row.values is None else replace(row, values=before(row.values))
            for row in rows
        )

    return replace(
        explanation,
        values=before(explanation.values),
        row_values=before(explanation.row_values),
        neighbors=of(explanation.neighbors),
        others=of(explanation.others),
    )
