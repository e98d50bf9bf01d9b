"""Answers of a pipeline, explained in the columns of the table before its encoding."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from knngraph.html_page import printable
from knngraph.inspection._optional import as_frame
from knngraph.inspection.cards import Card, CardMixin
from knngraph.inspection.explanation import Explanation
from knngraph.inspection.rows import TableRow, VotingNeighbor, cell_text
from knngraph.inspection.sources import ColumnSources, column_sources

_VOTERS_IN_TEXT = 8
_LETTERS = 24
_COLUMNS_IN_TEXT = 3
_LEAST_SHARE = 0.005


@dataclass(frozen=True, eq=False)
class TableExplanation(CardMixin):
    """How one row of a table was answered, in the columns of the table.

    Parameters
    ----------
    name : object
        Label of the row in the index of its table, else its number.
    columns : tuple of str
        Columns of the table, then encoded columns that come from none or from
        several of them (`unresolved`).
    values : tuple
        Cells of the row, one a column of the table.
    unresolved : tuple of str
    explanation : Explanation
        What the classifier says, in encoded columns.
    reached : TableRow
        The training row that the search found.
    voters : tuple of TableRow
        Largest weight first.
    others : tuple of TableRow
        The nearest training rows of the class that came second.
    """

    name: Any
    columns: tuple[str, ...]
    values: tuple[Any, ...]
    unresolved: tuple[str, ...]
    explanation: Explanation
    reached: TableRow
    voters: tuple[TableRow, ...]
    others: tuple[TableRow, ...]

    @property
    def relevance(self) -> np.ndarray:
        """Mean share of every column over the voters by weight, sum one."""
        if not self.voters:  # of classes without weight
            return self.reached.shares
        weights = [voter.neighbor.weight for voter in self.voters]
        shares = np.array([voter.shares for voter in self.voters])
        return np.average(shares, axis=0, weights=weights)

    @property
    def probabilities(self) -> dict[Any, float]:
        """Probability of every class, largest first."""
        return self.explanation.likely

    def to_card(self) -> Card:
        """What a card shows, with the columns and the training rows of the table."""
        return self.explanation.card(
            self.name,
            self.columns,
            self.values,
            self.reached,
            self.voters,
            self.others,
        )

    def __str__(self) -> str:
        said = self.explanation
        likely = [
            f"{_short(c)} {p:.2f}" for c, p in list(self.probabilities.items())[:4]
        ]
        lines = [
            f"row {_short(self.name)}: class {_short(said.predicted)}",
            f"  probabilities: {', '.join(likely)}",
            f"  columns: {', '.join(self._reasons(self.relevance, None))}",
            f"  {'row':>8}  {'label':>10}  {'weight':>6}  distance, near by",
        ]
        for voter in self.voters[:_VOTERS_IN_TEXT]:
            near = voter.neighbor
            lines.append(
                f"  {_short(voter.name):>8}  {_short(near.label):>10}  "
                f"{near.weight:6.3f}  {near.distance:8.4g}, "
                f"{', '.join(self._reasons(voter.shares, voter.values))}"
            )
        if len(self.voters) > _VOTERS_IN_TEXT:
            lines.append(f"  and {len(self.voters) - _VOTERS_IN_TEXT} more")
        return "\n".join(lines)

    def to_frame(self) -> Any:
        """One line a voter: label, weight, distance, and the share of every column.

        Returns
        -------
        pandas.DataFrame
            Its index holds the names of the voters. Columns "label", "weight",
            "distance", then "share of COLUMN" for every one.
        """
        near = [voter.neighbor for voter in self.voters]
        columns: dict[str, Any] = {
            "label": [n.label for n in near],
            "weight": [n.weight for n in near],
            "distance": [n.distance for n in near],
        }
        for j, column in enumerate(self.columns):
            columns[f"share of {column}"] = [v.shares[j] for v in self.voters]
        frame = as_frame(columns, "TableExplanation.to_frame")
        frame.index = [voter.name for voter in self.voters]
        return frame

    def _reasons(self, shares: np.ndarray, values: Any) -> list[str]:
        words = []
        for j in np.argsort(-shares, kind="stable")[:_COLUMNS_IN_TEXT]:
            if shares[j] < _LEAST_SHARE:
                break
            known = values is not None and j < len(values)
            cell = f" ({_short(cell_text(values[j]))})" if known else ""
            words.append(f"{_short(self.columns[j])} {shares[j]:.0%}{cell}")
        return words


def explain_table(
    model: Any, X: Any, *, training: Any = None, n_others: int = 3
) -> list[TableExplanation]:
    """Explain the answers to rows of a table, in the columns of the table.

    Parameters
    ----------
    model : Pipeline, search over pipelines, or classifier
        Fitted; its last step is a `KNNGraphClassifier` or one of its kin.
    X : DataFrame or array of shape (n_rows, n_columns), or list or Series of texts
        Rows as the pipeline takes them.
    training : DataFrame, array, list or Series of n_training rows, default=None
        What the pipeline was fitted on. The explanation then names training rows
        by its index and shows their cells.
    n_others : int, default=3
        Training rows of the class that came second.

    Returns
    -------
    list of TableExplanation
        One a row of X.

    See Also
    --------
    explain_training_rows : The same for rows of the training table.

    Notes
    -----
    The share of a column is the sum of the shares of the encoded columns that are
    made of it. Sources are followed through `ColumnTransformer`, `FeatureUnion`,
    pipelines, skrub's `TableVectorizer` and `ApplyToCols`, and every step that
    derives the names of its outputs from those of its inputs. An encoded column of
    other steps, or of several columns at once (a principal component), stands in
    the explanation under its own name.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn.compose import make_column_transformer
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import OneHotEncoder, StandardScaler
    >>> from knngraph import KNNGraphClassifier
    >>> from knngraph.inspection import explain_table
    >>> table = pd.DataFrame(
    ...     {"city": ["Oslo", "Rome"] * 10, "age": range(20)}, index=range(100, 120)
    ... )
    >>> columns = make_column_transformer(
    ...     (OneHotEncoder(), ["city"]), (StandardScaler(), ["age"])
    ... )
    >>> classifier = KNNGraphClassifier(inference="adaptive", random_state=0)
    >>> model = make_pipeline(columns, classifier).fit(table, table["city"] == "Oslo")
    >>> answer = explain_table(model, table.iloc[[4]], training=table)[0]
    >>> answer.name, answer.columns, answer.reached.name
    (104, ('city', 'age'), 104)
    """
    encoders, classifier = _steps(model)
    encoded = X
    for encoder in encoders:
        encoded = encoder.transform(encoded)
    table, beside = _Table(X), _training_table(training, classifier)
    sources = column_sources(encoders, table.columns, classifier.n_features_in_)
    return [
        _in_columns(said, sources, table, beside, encoded=bool(encoders))
        for said in classifier.explain(encoded, n_others=n_others)
    ]


def explain_training_rows(
    model: Any, training: Any, rows: Sequence[int], *, n_others: int = 3
) -> list[TableExplanation]:
    """Explain what the other training rows say of some, in the columns of the table.

    Parameters
    ----------
    model : Pipeline, search over pipelines, or classifier
        As for `explain_table`.
    training : DataFrame or array of shape (n_training, n_columns)
        What the pipeline was fitted on.
    rows : sequence of int
        Places in it, such as `suspect_labels` gives.
    n_others : int, default=3
        As for `explain_table`.

    Returns
    -------
    list of TableExplanation
        One a row: the vote of its neighbors, itself left out.
    """
    encoders, classifier = _steps(model)
    table = _training_table(training, classifier)
    sources = column_sources(encoders, table.columns, classifier.n_features_in_)
    return [
        _in_columns(said, sources, table, table)
        for said in classifier.explain_left_out(rows, n_others=n_others)
    ]


def _steps(model: Any) -> tuple[list[Any], Any]:
    """Fitted transformers before the classifier, and the classifier."""
    model = getattr(model, "best_estimator_", model)
    check_is_fitted(model)
    *encoders, classifier = [step for _, step in getattr(model, "steps", [("", model)])]
    if not hasattr(classifier, "explain_left_out"):
        raise TypeError(
            "model has to end with a classifier of knngraph, which explains its "
            f"answers; it ends with {type(classifier).__name__}."
        )
    # Samplers have done their work at fit.
    return [step for step in encoders if hasattr(step, "transform")], classifier


def _training_table(training: Any, classifier: Any) -> Any:
    if training is None:
        return None
    table = _Table(training)
    if len(table) != classifier.n_samples_fit_:
        raise ValueError(
            f"training has {len(table)} rows, but the classifier holds "
            f"{classifier.n_samples_fit_}; give the table that the model was fitted on."
        )
    return table


def _in_columns(
    said: Explanation,
    sources: ColumnSources,
    table: "_Table",
    training: Any,
    encoded: bool = True,
) -> TableExplanation:
    """`encoded` is false where the index holds the cells of the training rows."""

    def beside(neighbor: VotingNeighbor) -> TableRow:
        assert neighbor.shares is not None  # candidates without a vote have none
        cells = None
        if training is not None:
            cells = training.cells(neighbor.row, sources.columns)
        elif not encoded and neighbor.values is not None:
            cells = tuple(neighbor.values.tolist())
        return TableRow(
            neighbor.name if training is None else training.name(neighbor.row),
            neighbor,
            cells,
            sources.summed(neighbor.shares),
        )

    return TableExplanation(
        name=table.name(said.query),
        columns=sources.names,
        values=table.cells(said.query, sources.columns),
        unresolved=sources.unresolved,
        explanation=said,
        reached=beside(said.reached),
        voters=tuple(beside(voter) for voter in said.voters),
        others=tuple(beside(other) for other in said.others),
    )


class _Table:
    """Names, columns and cells of a frame or an array."""

    def __init__(self, table: Any) -> None:
        if hasattr(table, "to_frame") and not hasattr(table, "columns"):
            table = table.to_frame("text" if table.name is None else table.name)
        is_frame = hasattr(table, "columns")
        if isinstance(table, list | tuple):  # texts as they are, not all of one width
            table = np.array(table, dtype=object)
        self._table: Any = table if is_frame else np.asarray(table)
        self._index = getattr(table, "index", None) if is_frame else None
        names: Any = getattr(table, "columns", ())
        if not is_frame and self._table.ndim == 1:  # such as texts
            self._table, names = self._table[:, None], ("text",)
        elif not is_frame:
            names = (f"x{j}" for j in range(self._table.shape[1]))
        self.columns = tuple(map(str, names))
        self._place = {name: j for j, name in enumerate(self.columns)}
        self._rows: dict[int, tuple[Any, ...]] = {}

    def __len__(self) -> int:
        return int(self._table.shape[0])

    def name(self, row: int) -> Any:
        return row if self._index is None else self._index[row]

    def cells(self, row: int, columns: Sequence[str]) -> tuple[Any, ...]:
        """Cells of a row in some columns; None where there is no such column."""
        if row not in self._rows:  # a row votes at many others
            self._rows[row] = self._read(row)
        cells = self._rows[row]
        if columns == self.columns or len(columns) == len(self.columns) == 1:
            return cells  # one column of texts has a name in a Series alone
        return tuple(
            cells[self._place[name]] if name in self._place else None
            for name in columns
        )

    def _read(self, row: int) -> tuple[Any, ...]:
        if hasattr(self._table, "itertuples"):
            # Column by column: a row on its own would make floats of integers.
            return next(self._table.iloc[[row]].itertuples(index=False, name=None))
        return tuple(self._table[row, j] for j in range(len(self.columns)))


def _short(value: Any) -> str:
    return printable(str(value), _LETTERS)
