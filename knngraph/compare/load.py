"""From a file and options to typed columns and classes, and a pipeline for them."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

import numpy as np

from knngraph.compare.columns import TypedColumns, check_size, find_columns
from knngraph.compare.table import TableProblem, counted, read_table
from knngraph.compare.target import find_column, take_target

# Rows that are taken without --sample: minutes, not hours.
DEFAULT_SAMPLE = 20_000


@dataclass(frozen=True)
class TableOptions:
    """Which table to read, and how: the options that all commands on tables share.

    `drop`, `keep` (although they look like names of the rows) and `category` (numbers
    that are codes) name columns. `sep` and `encoding` are found out where None.
    `sample` rows are drawn, all for 0 and at most 20,000 for None. With `as_classes`
    every value of a numeric target is a class; with `merge_case` labels that differ
    only in case are one.
    """

    file: Any
    target: str
    drop: Sequence[str] = ()
    keep: Sequence[str] = ()
    category: Sequence[str] = ()
    sep: str | None = None
    encoding: str | None = None
    sample: int | None = None
    seed: int = 0
    as_classes: bool = False
    merge_case: bool = False

    @classmethod
    def of(cls, options: argparse.Namespace) -> Self:
        """Those among the options of a command line."""
        given = {field.name: getattr(options, field.name) for field in fields(cls)}
        lists = {k: tuple(v) for k, v in given.items() if isinstance(v, list)}
        return cls(**given | lists)


@dataclass(frozen=True)
class LabeledTable:
    """Rows of a table that have a class.

    Parameters
    ----------
    frame : DataFrame of shape (n_rows, n_columns)
        The columns to learn from as `columns` types them, rows numbered from 0.
    raw : DataFrame
        The same rows as they were read, with all columns of the file.
    rows : ndarray of shape (n_rows,)
        Their places in the file, the first row below the names being 0.
    codes : ndarray of shape (n_rows,), intp
    classes : ndarray of shape (n_classes,), str
    columns : TypedColumns
        Makes `frame` from `raw`, or from rows of another file.
    notices : list of str
        What was left out, and what was taken for what.
    """

    frame: Any
    raw: Any
    rows: np.ndarray
    codes: np.ndarray
    classes: np.ndarray
    columns: TypedColumns
    notices: list[str]

    @property
    def labels(self) -> np.ndarray:
        """The class of every row as text."""
        return self.classes[self.codes]


def load_table(options: TableOptions) -> LabeledTable:
    """Read a table, take its target, find the kinds of its columns, draw a sample.

    Raises
    ------
    TableProblem
        With the way out in one line.
    """
    table = read_table(
        Path(options.file), separator=options.sep, encoding=options.encoding
    )
    raw, name = table.frame, options.target
    find_column(list(raw.columns), name, "--target")
    for option in ("drop", "keep", "category"):
        for wanted in getattr(options, option):
            find_column(list(raw.columns), wanted, f"--{option}")
            if wanted == name:
                raise TableProblem(f"--{option}: {wanted!r} is the target.")
    target = take_target(
        raw, name, as_classes=options.as_classes, merge_case=options.merge_case
    )
    labeled = raw.iloc[target.rows]
    columns, found = find_columns(
        labeled.drop(columns=[name, *set(options.drop)]),
        keep=options.keep,
        as_categories=options.category,
    )
    notices = [*table.notices, *target.notices, *found]
    taken = np.arange(len(labeled))
    wanted = DEFAULT_SAMPLE if options.sample is None else options.sample
    if 0 < wanted < len(labeled):
        random = np.random.default_rng(options.seed)
        taken = np.sort(random.choice(len(labeled), wanted, replace=False))
        notices.append(
            f"A random sample of {counted(wanted, 'row')} out of {len(labeled):,} "
            "(change: --sample)."
        )
    kept, codes = np.unique(target.codes[taken], return_inverse=True)
    if len(kept) < 2:
        raise TableProblem(
            f"--sample {wanted}: the sample holds one class; take more rows."
        )
    labeled = labeled.iloc[taken].reset_index(drop=True)
    frame = columns.transform(labeled)
    check_size(frame)
    return LabeledTable(
        frame=frame,
        raw=labeled,
        rows=target.rows[taken],
        codes=codes,
        classes=target.classes[kept],
        columns=columns,
        notices=notices,
    )


def pipeline_for(
    estimator: Any, columns: TypedColumns | None = None, *, seed: int = 0
) -> Any:
    """What skrub puts before an estimator on such columns: encoded, filled, scaled.

    Parameters
    ----------
    estimator : object
        Unfitted; it gets an imputer where its tags do not allow NaN.
    columns : TypedColumns or None
        Goes first where given, for rows as they are in a file; None for `frame`.
    seed : int
        Of the encoding of text.

    Returns
    -------
    Pipeline
    """
    from skrub import tabular_pipeline

    pipeline = tabular_pipeline(estimator)
    pipeline.set_params(tablevectorizer__high_cardinality__random_state=seed)
    if columns is not None:
        pipeline.steps.insert(0, ("typedcolumns", columns))
    return pipeline
