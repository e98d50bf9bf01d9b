"""A table of the user's, and a pipeline that is fitted on its rows."""

import argparse
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from knngraph.compare.load import LabeledTable, pipeline_for
from knngraph.compare.table import TableProblem


@dataclass(frozen=True)
class FittedTable:
    """A pipeline and the rows that it was fitted on, as they are in the file.

    Parameters
    ----------
    pipeline : Pipeline
        Takes rows as they are in the file; its last step is the classifier.
    training : DataFrame
        Rows of the fit, with the index of the file and without the target.
    labels : ndarray of shape (n_training,), str
    """

    pipeline: Any
    training: Any
    labels: np.ndarray


def fit_table(
    table: LabeledTable, options: argparse.Namespace, left_out: np.ndarray | None = None
) -> FittedTable:
    """Fit a pipeline on the rows of a table but some.

    Parameters
    ----------
    left_out : ndarray of shape (n,) or None, default=None
        Rows of the file that the fit does not see.
    """
    from knngraph.classifier import KNNGraphClassifier
    from knngraph.selection import KNNGraphClassifierCV

    kept = np.arange(len(table.rows))
    if left_out is not None:
        kept = np.flatnonzero(~np.isin(table.rows, left_out))
    codes = table.codes[kept]
    if len(np.unique(codes)) < 2:
        raise TableProblem(
            "the rows that are left to learn from are of one class; leave more of them."
        )
    settings = {
        "random_state": options.seed,
        "n_jobs": options.jobs,
        "verbose": 0 if options.quiet else 1,
    }
    classifier = (
        KNNGraphClassifier(inference="adaptive", **settings)
        if options.quick
        else KNNGraphClassifierCV(**settings)
    )
    training = table.raw.iloc[kept].drop(columns=[options.target])
    training.index = table.rows[kept]
    pipeline = pipeline_for(classifier, table.columns, seed=options.seed)
    pipeline.fit(training, table.classes[codes])
    return FittedTable(pipeline, training, table.classes[codes])


def check_output(path: Path, option: str = "--output") -> None:
    """Find out before the work whether a file can be written."""
    folder = path.absolute().parent
    if not folder.is_dir():
        raise TableProblem(f"{option}: there is no folder {path.parent}.")
    if path.is_dir():
        raise TableProblem(f"{option}: {path} is a folder; name a file.")
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise TableProblem(f"{option}: {path} cannot be written.")


def or_say_why(name: str, run: Callable[[], None]) -> int:
    """Run a command; 2 and one line on standard error for a bad table or option."""
    try:
        run()
    except TableProblem as problem:
        print(f"knngraph {name}: {problem}", file=sys.stderr)
        return 2
    return 0
