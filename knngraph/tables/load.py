"""From a file and options to typed columns and classes, and a pipeline for them."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

import numpy as np

from knngraph.tables.columns import TypedColumns, find_columns
from knngraph.tables.table import TableProblem, counted, read_table
from knngraph.tables.target import find_column, take_target

# Rows that are taken without --sample: minutes, not hours.
DEFAULT_SAMPLE = 20_000
# Memory that the encoded rows may take, and numbers that a category can become.
_LARGEST_BYTES = 4 * 2**30
_ENCODED_COLUMNS = 40


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

    `whole` is the table as it was read, `raw` has its rows that are taken, and `frame`
    their columns to learn from, as `columns` types them; the rows of both are numbered
    from 0. `rows` are their places in the file, the first row below the names being 0.
    `codes` point into `classes`, which are text. `notices` say what was left out or
    taken for what.
    """

    whole: Any
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
    path, name = Path(options.file), options.target
    table = read_table(path, separator=options.sep, encoding=options.encoding)
    names = list(table.frame.columns)
    find_column(names, name, "--target")
    for option in ("drop", "keep", "category"):
        for wanted in getattr(options, option):
            find_column(names, wanted, f"--{option}")
            if wanted == name:
                raise TableProblem(f"--{option}: {wanted!r} is the target.")
    labels, notices = take_target(
        table.frame[name], name,
        as_classes=options.as_classes, merge_case=options.merge_case,
    )  # fmt: skip
    rows = np.flatnonzero(labels.notna())
    columns, found = find_columns(
        table.frame.iloc[rows].drop(columns=[name, *set(options.drop)]),
        keep=options.keep,
        as_categories=options.category,
    )
    notices = [*table.notices, *notices, *found]
    size = DEFAULT_SAMPLE if options.sample is None else options.sample
    if 0 < size < len(rows):
        of_all = f"{counted(size, 'row')} out of {len(rows):,}"
        notices.append(f"A random sample of {of_all} (change: --sample).")
        random = np.random.default_rng(options.seed)
        rows = np.sort(random.choice(rows, size, replace=False))
    classes, codes = np.unique(labels.iloc[rows].to_numpy(str), return_inverse=True)
    if len(classes) < 2:
        raise TableProblem(
            f"--sample {size}: the sample holds one class; take more rows."
        )
    raw = table.frame.iloc[rows].reset_index(drop=True)
    frame = columns.transform(raw)
    width = sum(1 if t == np.float64 else _ENCODED_COLUMNS for t in frame.dtypes)
    if 8 * len(frame) * width > _LARGEST_BYTES:
        raise TableProblem(
            f"{counted(len(frame), 'row')} of {width:,} numbers would take "
            f"{8 * len(frame) * width / 2**30:.0f} GiB; take fewer with --sample."
        )
    return LabeledTable(table.frame, frame, raw, rows, codes, classes, columns, notices)


def pipeline_for(
    estimator: Any, columns: TypedColumns | None = None, *, seed: int = 0
) -> Any:
    """`skrub.tabular_pipeline` of an estimator, with a seed for the encoding of text.

    `columns` goes first where given, for rows as they are in a file; without, the
    pipeline takes `LabeledTable.frame`.
    """
    from skrub import tabular_pipeline

    pipeline = tabular_pipeline(estimator)
    pipeline.set_params(tablevectorizer__high_cardinality__random_state=seed)
    if columns is not None:
        pipeline.steps.insert(0, ("typedcolumns", columns))
    return pipeline
