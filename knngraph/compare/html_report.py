"""The comparison as a self-contained HTML page."""

import platform
from html import escape

import numpy as np
import sklearn
from sklearn.metrics import confusion_matrix

from knngraph import html_page as page
from knngraph._version import __version__
from knngraph.compare.comparison import (
    HEADS,
    NOTE,
    Comparison,
    choice_lines,
    figures,
    headline,
    remarks,
)
from knngraph.compare.cross_validation import Measured
from knngraph.compare.methods import MAJORITY
from knngraph.inspection import ParetoDisplay

_CLASSES_SHOWN = 12
_CLASS_NOTE = (
    "Rows when held out. Recall: share of the rows of a class that are found. "
    "Precision: share of the answers with this class that are right."
)


def html_report(comparison: Comparison) -> str:
    """The page of a comparison: choice, picture, figures, classes and folds."""
    title = f"Comparison on {comparison.options.file.name}"
    of_folds = [
        [m.name, *(f"{100 * value:.2f}" for value in m.accuracy)]
        for m in comparison.fitted
    ]
    fold_heads = [f"fold {i + 1}" for i in range(comparison.folds.n_splits)]
    shown = comparison.chosen or max(comparison.fitted, key=lambda m: m.mean_accuracy)
    lines = "".join(f"<p>{escape(line)}</p>" for line in choice_lines(comparison))
    versions = (
        f"knngraph {__version__}, scikit-learn {sklearn.__version__}, "
        f"numpy {np.__version__}, Python {platform.python_version()} on "
        f"{platform.machine() or 'an unknown machine'}. Times are of this machine; "
        "the other figures depend on file, options and seed alone."
    )
    blocks = [
        page.heading(title, 1),
        page.paragraph(headline(comparison), "lead"),
        f"<section class='choice'>{lines}</section>",
        page.heading("Accuracy against time"),
        _picture(comparison),
        page.heading("All figures"),
        page.table(
            ["", *HEADS],
            figures(comparison),
            label="All figures",
            chosen=comparison.chosen_name,
        ),
        *map(page.paragraph, remarks(comparison)),
        page.paragraph(NOTE, "note"),
        *_classes(comparison, shown),
        page.heading("What was done to the table"),
        page.bullets(comparison.notices),
        page.heading("Every fold"),
        page.table(["accuracy, %", *fold_heads], of_folds, label="Every fold"),
        f"<footer>{escape(versions)}</footer>",
    ]
    return page.html_page(title, blocks)


def _picture(comparison: Comparison) -> str:
    """Accuracy against time; without the majority class, which comes first."""
    methods = [m for m in comparison.fitted if m.name != MAJORITY]
    if not methods:
        return ""
    star = {comparison.chosen_name: "★ "}
    display = ParetoDisplay(
        names=[star.get(m.name, "") + m.name for m in methods],
        microseconds=[m.query_microseconds for m in methods],
        accuracies=[m.mean_accuracy for m in methods],
    )
    with page.drawing(8.0, 5.0) as (picture, axes):
        display.plot(axes)
        svg = page.as_svg(picture)
    # Without the prolog, which only a document may have.
    return f"<p>{svg[svg.index('<svg') :]}</p>"


def _classes(comparison: Comparison, measured: Measured) -> list[str]:
    """Recall and precision of the classes, and what is taken for what."""
    table = comparison.table
    codes, names = table.codes, table.classes
    matrix = confusion_matrix(codes, measured.predicted, labels=range(len(names)))
    rows, answers, right = matrix.sum(axis=1), matrix.sum(axis=0), matrix.diagonal()
    order = np.argsort(-rows, kind="stable")
    shown, hidden = order[:_CLASSES_SHOWN], order[_CLASSES_SHOWN:]
    shares = [
        [
            str(names[c]),
            f"{rows[c]:,}",
            f"{100 * right[c] / rows[c]:.1f}",
            f"{100 * right[c] / answers[c]:.1f}" if answers[c] else "never said",
        ]
        for c in order
    ]
    rest = [f"{len(hidden)} others"] if len(hidden) else []
    taken = [
        [str(names[c]), *(f"{n:,}" for n in matrix[c, shown])]
        + [f"{matrix[c, hidden].sum():,}" for _ in rest]
        for c in shown
    ]
    answered = [str(names[c]) for c in shown]
    return [
        page.heading(f"Classes: {measured.name}"),
        page.table(
            [comparison.options.target, "rows", "recall, %", "precision, %"],
            shares,
            label="Classes",
        ),
        page.paragraph(_CLASS_NOTE, "note"),
        page.heading(f"Confusion matrix: {measured.name}"),
        page.table(
            ["is / answered", *answered, *rest], taken, label="Confusion matrix"
        ),
    ]
