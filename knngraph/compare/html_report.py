"""The comparison as a self-contained HTML page."""

import platform
from html import escape

import numpy as np
import sklearn

from knngraph._version import __version__
from knngraph.compare.comparison import (
    HEADS,
    NOTE,
    Comparison,
    choice_lines,
    figures,
    headline,
    largest_bar,
    remarks,
    wrong_in_hundred,
)
from knngraph.compare.cross_validation import MAJORITY
from knngraph.html_page import (
    as_svg,
    bullets,
    drawing,
    heading,
    html_page,
    paragraph,
    table,
)
from knngraph.inspection import ParetoDisplay

_CLASSES_SHOWN = 12


def html_report(comparison: Comparison) -> str:
    """The page of a comparison: choice, bars, picture, figures, folds and classes."""
    title = f"Comparison on {comparison.path.name}"
    folds = [
        [m.method.name, *(f"{100 * value:.2f}" for value in m.accuracy)]
        for m in comparison.fitted
    ]
    fold_heads = [f"fold {i + 1}" for i in range(comparison.n_folds)]
    blocks = [
        heading(title, 1),
        paragraph(headline(comparison), "lead"),
        _choice(comparison),
        heading("Wrong answers in a hundred"),
        _bars(comparison),
        heading("Accuracy against time"),
        _picture(comparison),
        heading("All figures"),
        table(["", *HEADS], figures(comparison), chosen=comparison.chosen_name),
        *map(paragraph, remarks(comparison)),
        paragraph(NOTE, "note"),
        heading("What was done to the table"),
        bullets([*comparison.notices, *comparison.preparation]),
        heading("Classes"),
        table([comparison.target, "rows"], _class_rows(comparison)),
        heading("Every fold"),
        table(["accuracy, %", *fold_heads], folds),
        f"<footer>{escape(_versions())}</footer>",
    ]
    return html_page(title, blocks)


def _choice(comparison: Comparison) -> str:
    first, *more = choice_lines(comparison)
    paragraphs = [f"<p>{escape(first)}</p>"]
    for line in more:
        start, _, rest = line.partition(": ")
        text = f"<code>{escape(rest)}</code>" if start == "In Python" else escape(rest)
        paragraphs.append(f"<p>{escape(start)}: {text}</p>")
    return f"<section class='choice'>{''.join(paragraphs)}</section>"


def _bars(comparison: Comparison) -> str:
    end = largest_bar(comparison)
    ours = {m.method.name for m in comparison.fitted if m.method.ours}
    rows = []
    for name, wrong, spread in wrong_in_hundred(comparison):
        leaves = wrong > end * (1 + 1e-12)
        width = min(100.0, 100 * wrong / end)
        kind = "ours" if name in ours else "other"
        kind += " leaves" if leaves else ""
        mark = " class='chosen'" if name == comparison.chosen_name else ""
        rows.append(
            f"<div class='label'><span{mark}>{escape(name)}</span></div>"
            f"<div class='track'><div class='bar {kind}' style='width:{width:.2f}%'>"
            f"</div></div><div class='figure'>{wrong:.2f} ± {spread:.2f}</div>"
        )
    return (
        f"<div class='bars'>{''.join(rows)}</div><p class='note'>"
        "<span class='key ours'></span> knngraph <span class='key other'></span> "
        "others. Bars start at zero; a bar with an open end leaves the picture. "
        "★ is the choice."
        "</p>"
    )


def _class_rows(comparison: Comparison) -> list[list[str]]:
    order = np.argsort(-comparison.class_counts, kind="stable")
    shown, hidden = order[:_CLASSES_SHOWN], order[_CLASSES_SHOWN:]
    counts = comparison.class_counts
    rows = [[str(comparison.class_names[c]), f"{counts[c]:,}"] for c in shown]
    if len(hidden):
        rows.append([f"{len(hidden)} more", f"{counts[hidden].sum():,}"])
    return rows


def _versions() -> str:
    return (
        f"knngraph {__version__}, scikit-learn {sklearn.__version__}, "
        f"numpy {np.__version__}, Python {platform.python_version()} on "
        f"{platform.machine() or 'an unknown machine'}. Times are of this machine; "
        "the other figures depend on file, options and seed alone."
    )


def _picture(comparison: Comparison) -> str:
    """Accuracy against time; without the majority class, which comes first."""
    methods = [m for m in comparison.fitted if m.method.name != MAJORITY]
    if not methods:
        return ""
    star = {comparison.chosen_name: "★ "}
    display = ParetoDisplay(
        names=[star.get(m.method.name, "") + m.method.name for m in methods],
        microseconds=[m.query_microseconds for m in methods],
        accuracies=[m.mean_accuracy for m in methods],
    )
    with drawing(8.0, 5.0) as (picture, axes):
        display.plot(axes)
        svg = as_svg(picture)
    # Without the prolog, which only a document may have.
    return f"<p>{svg[svg.index('<svg') :]}</p>"
