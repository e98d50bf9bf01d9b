"""Answers of a predictor, explained by what it holds.

A predictor has distinct training rows with their labels, but not the graph behind the
stored labels: a stored label is explained by the row that it is stored on.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from scipy import sparse

from knngraph.inference.query_model import PredictOptions
from knngraph.inference.stored import StoredAnswers
from knngraph.inspection.explain import ShownRows, StoredVotes, explain_answers
from knngraph.inspection.explanation import Explanation
from knngraph.inspection.rows import VotingNeighbor
from knngraph.inspection.sources import ColumnSources
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
    names = _names(state)
    sources, prepared = None, space.prepared
    given = rows
    if prepared is not None:
        model = replace(model, space=replace(space, prepared=None))
        rows = prepared.applied(as_dense(rows))
        sources = prepared.sources(state.n_features)
        names = _numbered(rows.shape[1])
    votes = StoredVotes(sparse.csr_array((n_pairs, n_pairs)), _stored(state), 1.0)
    shown = ShownRows(votes, state.classes, names, n_others)
    explained = [
        one.with_ids(state.row_names)
        for one in explain_answers(model, options, shown, rows)
    ]
    if prepared is None or sources is None:
        return explained
    before = _Before(prepared, _names(state), sources)
    return [before.explanation(one, given) for one in explained]


def _names(state: PredictorState) -> tuple[str, ...]:
    if state.names is None:
        return _numbered(state.n_features)
    return tuple(map(str, state.names))


def _numbered(n: int) -> tuple[str, ...]:
    return tuple(f"x{j}" for j in range(n))


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


class _Before:
    """Explanations in the columns before the steps, but for those that are dropped.

    Parameters
    ----------
    prepared : Preparation
    names : tuple of str
        Of the columns before.
    sources : ndarray of shape (n_outputs,)
        Column before that each behind is made of.
    """

    def __init__(
        self, prepared: Preparation, names: tuple[str, ...], sources: np.ndarray
    ) -> None:
        self.prepared, self.n_columns = prepared, len(names)
        self.used, places = np.unique(sources, return_inverse=True)
        columns = tuple(names[j] for j in self.used)
        self.sources = ColumnSources(columns, _numbered(len(sources)), places)

    def explanation(self, one: Explanation, given: Any) -> Explanation:
        """The same with its values as they were given, or were before the steps."""
        values = as_dense(given[one.query : one.query + 1])[0, self.used]
        return replace(
            one,
            columns=self.sources.columns,
            values=values.astype(np.float64),
            shares=self.sources.summed(one.shares),
            row_values=self.values(one.row_values),
            neighbors=tuple(map(self.neighbor, one.neighbors)),
            others=tuple(map(self.neighbor, one.others)),
        )

    def neighbor(self, row: VotingNeighbor) -> VotingNeighbor:
        if row.values is None or row.shares is None:
            return row
        shares = self.sources.summed(row.shares)
        return replace(row, values=self.values(row.values), shares=shares)

    def values(self, behind: np.ndarray) -> np.ndarray:
        return self.prepared.undone(behind[None], self.n_columns)[0, self.used]
