"""A table of the user's, and a pipeline that is fitted on its rows."""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from knngraph.parallel import chunk_bounds
from knngraph.progress import stage
from knngraph.tables.load import LabeledTable, pipeline_for
from knngraph.tables.table import TableProblem, counted

REMARKS = (
    "Rows are counted from 0, the first one below the names of the columns.",
    "Rows with one label that are alike in all columns learned from share one vote, "
    "under the number of the first.",
)
_ROWS_PER_CHUNK = 50


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
    file : Path
    """

    pipeline: Any
    training: Any
    labels: np.ndarray
    file: Path

    def __str__(self) -> str:
        classifier = self.pipeline[-1]
        return (
            f"Learned from {counted(len(self.labels), 'row')} of {self.file.name} "
            f"by {type(classifier).__name__} (metric {classifier.metric_}), which "
            f"answers {classifier.loo_score_:.1%} of them right when they are left out"
        )


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
    _ = classifier.graph_  # explanations read it; its progress is shown here
    return FittedTable(pipeline, training, table.classes[codes], options.file)


def in_chunks(
    rows: Sequence[int], explain: Callable[[Any], list[Any]], quiet: bool
) -> list[Any]:
    """Explanations of some rows, with progress: what they share is found once."""
    explanations: list[Any] = []
    with stage("explaining", len(rows), not quiet) as explaining:
        for start, stop in chunk_bounds(len(rows), _ROWS_PER_CHUNK):
            explanations += explain(rows[start:stop])
            explaining.advance(stop - start)
    return explanations
