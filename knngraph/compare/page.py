"""The comparison as one HTML page that needs no network."""

import platform
from html import escape

import numpy as np
import sklearn

import knngraph
from knngraph.compare.comparison import (
    NOTE,
    Comparison,
    largest_bar,
    remarks,
    table_lines,
    wrong_in_hundred,
)
from knngraph.compare.scatter import scatter
from knngraph.compare.style import STYLE
from knngraph.compare.text import choice_lines, headline

_CLASSES_SHOWN = 12


def page(comparison: Comparison) -> str:
    """Write the page.

    Parameters
    ----------
    comparison : Comparison

    Returns
    -------
    str
        HTML in UTF-8 with its style and figures inside, for light and dark
        screens, wide and narrow.
    """
    title = f"Comparison on {comparison.path.name}"
    sections = [
        f"<h1>{escape(title)}</h1>",
        f"<p class='lead'>{escape(headline(comparison))}</p>",
        _choice(comparison),
        "<h2>Wrong answers in a hundred</h2>",
        _bars(comparison),
        "<h2>Accuracy against time</h2>",
        scatter(_points(comparison), _chosen_name(comparison)),
        "<h2>All figures</h2>",
        _table(comparison),
        "".join(f"<p>{escape(line)}</p>" for line in remarks(comparison)),
        f"<p class='note'>{escape(NOTE)}</p>",
        "<h2>What was done to the table</h2>",
        _list([*comparison.notices, *comparison.preparation]),
        "<h2>Classes</h2>",
        _classes(comparison),
        "<h2>Every fold</h2>",
        _folds(comparison),
        f"<footer>{escape(_versions())}</footer>",
    ]
    body = "\n".join(sections)
    return (
        "<!doctype html>\n<html lang='en'>\n<head>\n<meta charset='utf-8'>\n"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>\n"
        "<meta name='color-scheme' content='light dark'>\n"
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _chosen_name(comparison: Comparison) -> str | None:
    chosen = comparison.choice.chosen
    return None if chosen is None else chosen.reading.name


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
    chosen = _chosen_name(comparison)
    ours = {m.reading.name for m in comparison.measured if m.reading.ours}
    rows = []
    for name, wrong, spread in wrong_in_hundred(comparison):
        leaves = wrong > end * (1 + 1e-12)
        width = min(100.0, 100 * wrong / end)
        kind = "ours" if name in ours else "other"
        kind += " leaves" if leaves else ""
        mark = " class='chosen'" if name == chosen else ""
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


def _points(comparison: Comparison) -> list[tuple[str, float, float, bool]]:
    """Name, microseconds, accuracy in percent, ours; without the majority class."""
    return [
        (
            entry.reading.name,
            entry.query_microseconds,
            100 * entry.mean_accuracy,
            entry.reading.ours,
        )
        for entry in comparison.measured[1:]
        if entry.failure is None
    ]


def _table(comparison: Comparison) -> str:
    chosen = _chosen_name(comparison)
    rows = []
    for line in table_lines(comparison):
        mark = " class='chosen'" if line.name == chosen else ""
        cells = [
            f"{line.accuracy} ± {line.spread}",
            line.balanced,
            line.log_loss,
            line.fit,
            line.query,
        ]
        figures = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
        rows.append(f"<tr{mark}><th>{escape(line.name)}</th>{figures}</tr>")
    heads = ["", "accuracy, %", "balanced, %", "log loss", "fit, s", "µs a query"]
    return _framed(heads, rows)


def _folds(comparison: Comparison) -> str:
    rows = []
    for entry in comparison.measured:
        if entry.failure is None:
            figures = "".join(f"<td>{100 * value:.2f}</td>" for value in entry.accuracy)
            rows.append(f"<tr><th>{escape(entry.reading.name)}</th>{figures}</tr>")
    heads = ["accuracy, %"]
    heads += [f"fold {i + 1}" for i in range(comparison.n_folds)]
    return _framed(heads, rows)


def _classes(comparison: Comparison) -> str:
    order = np.argsort(-comparison.class_counts, kind="stable")
    rows = [
        f"<tr><th>{escape(str(comparison.class_names[c]))}</th>"
        f"<td>{comparison.class_counts[c]:,}</td></tr>"
        for c in order[:_CLASSES_SHOWN]
    ]
    hidden = order[_CLASSES_SHOWN:]
    if len(hidden):
        rows.append(
            f"<tr><th>{len(hidden)} more</th>"
            f"<td>{comparison.class_counts[hidden].sum():,}</td></tr>"
        )
    return _framed([comparison.target, "rows"], rows)


def _framed(heads: list[str], rows: list[str]) -> str:
    """A table that scrolls by itself where the screen is narrow."""
    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    return (
        f"<div class='frame' tabindex='0'><table><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _list(items: list[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(item)}</li>" for item in items) + "</ul>"


def _versions() -> str:
    return (
        f"knngraph {knngraph.__version__}, scikit-learn {sklearn.__version__}, "
        f"numpy {np.__version__}, Python {platform.python_version()} on "
        f"{platform.machine() or 'an unknown machine'}. Times are of this machine; "
        "the other figures depend on file, options and seed alone."
    )
