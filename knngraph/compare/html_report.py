"""The comparison as a self-contained HTML page, with the picture drawn as SVG."""

import math
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
from knngraph.compare.html_page import (
    bullets,
    figure,
    heading,
    html_page,
    paragraph,
    table,
)

_CLASSES_SHOWN = 12
# In units of the drawing: about pixels on a phone, so that text stays legible.
_WIDTH, _HEIGHT = 400, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 26, 14, 40
_RADIUS = 5
_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20)
_NUMBER_SIZE = 14
# Where a number may stand beside its point, best place first.
_PLACES = [
    (15, 4), (-15, 4), (0, -10), (0, 19), (15, -8), (-15, -8), (15, 16), (-15, 16),
    (26, 4), (-26, 4), (0, -24), (0, 32), (28, -14), (-28, -14), (28, 22), (-28, 22),
]  # fmt: skip


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
        _scatter(comparison),
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


def _scatter(comparison: Comparison) -> str:
    """Accuracy against time, numbered, with the names beside it."""
    # Without the majority class, which comes first.
    points = [
        (m.method.name, m.query_microseconds, 100 * m.mean_accuracy, m.method.ours)
        for m in comparison.fitted
        if m.method.name != MAJORITY
    ]
    if not points:
        return ""
    lows = math.floor(math.log10(min(us for _, us, _, _ in points)) - 0.05)
    highs = math.ceil(math.log10(max(us for _, us, _, _ in points)) + 0.05)
    ticks = _accuracy_ticks([accuracy for _, _, accuracy, _ in points])

    def place(us: float, accuracy: float) -> tuple[float, float]:
        along = (math.log10(us) - lows) / (highs - lows)
        up = (accuracy - ticks[0]) / (ticks[-1] - ticks[0])
        return (
            _LEFT + along * (_WIDTH - _LEFT - _RIGHT),
            _HEIGHT - _BOTTOM - up * (_HEIGHT - _TOP - _BOTTOM),
        )

    parts = [_grid(lows, highs, ticks, place)]
    dots = [place(us, accuracy) for _, us, accuracy, _ in points]
    numbers = _free_places(dots)
    names = []
    for i, (name, us, accuracy, ours) in enumerate(points):
        is_chosen = name == comparison.chosen_name
        kind = ("ours" if ours else "other") + (" mark" if is_chosen else "")
        x, y = dots[i]
        hint = f"{name}: {accuracy:.2f} %, {us:,.1f} microseconds"
        parts.append(
            f"<g><title>{escape(hint)}</title>"
            f"<circle class='dot {kind}' cx='{x:.1f}' cy='{y:.1f}' r='{_RADIUS}'/>"
            f"<text x='{numbers[i][0]:.1f}' y='{numbers[i][1]:.1f}' "
            f"text-anchor='middle'>{i + 1}</text></g>"
        )
        mark = " class='chosen'" if is_chosen else ""
        names.append(f"<li{mark}>{escape(name)}</li>")
    drawing = (
        f"<svg class='scatter' viewBox='0 0 {_WIDTH} {_HEIGHT}' role='img' "
        f"aria-label='Accuracy against microseconds a query'>{''.join(parts)}</svg>"
    )
    return figure([drawing, f"<ol>{''.join(names)}</ol>"])


def _accuracy_ticks(values: list[float]) -> list[float]:
    """Round numbers around all values, three to seven of them."""
    low, high = min(values), max(values)
    step = next((s for s in _STEPS if (high - low) / s <= 5), _STEPS[-1])
    first = math.floor(low / step + 1e-9)
    last = max(math.ceil(high / step - 1e-9), first + 2)
    return [float(round(i * step, 6)) for i in range(first, last + 1)]


def _free_places(dots: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Where the number of every dot stands, clear of dots and other numbers."""
    taken: list[tuple[float, float]] = []
    for x, y in dots:
        options = [(x + dx, y + dy) for dx, dy in _PLACES]
        inside = [
            option
            for option in options
            if _LEFT + 8 < option[0] < _WIDTH - 6
            and _TOP + 6 < option[1] < _HEIGHT - _BOTTOM - 4
        ]
        crowd = [
            (
                sum(_touch(option, (dot[0], dot[1] + 4)) for dot in dots)
                + sum(_touch(option, other) for other in taken)
            )
            for option in inside
        ]
        taken.append(inside[crowd.index(min(crowd))])
    return taken


def _touch(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return (
        abs(one[0] - other[0]) < _NUMBER_SIZE - 3
        and abs(one[1] - other[1]) < _NUMBER_SIZE - 3
    )


def _grid(lows: int, highs: int, ticks: list[float], place) -> str:  # type: ignore[no-untyped-def]
    parts = []
    for tick in ticks:
        _, y = place(10.0**lows, tick)
        parts.append(
            f"<line class='grid' x1='{_LEFT}' x2='{_WIDTH - _RIGHT}' y1='{y:.1f}' "
            f"y2='{y:.1f}'/><text class='tick' x='{_LEFT - 6}' y='{y + 4:.1f}' "
            f"text-anchor='end'>{tick:g}</text>"
        )
    for power in range(lows, highs + 1):
        x, _ = place(10.0**power, ticks[0])
        bottom = _HEIGHT - _BOTTOM
        parts.append(
            f"<line class='grid' x1='{x:.1f}' x2='{x:.1f}' y1='{_TOP}' y2='{bottom}'/>"
            f"<text class='tick' x='{x:.1f}' y='{bottom + 16}' "
            f"text-anchor='middle'>{10.0**power:,g}</text>"
        )
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    parts.append(
        f"<text class='tick' x='{middle:.1f}' y='{_HEIGHT - 6}' text-anchor='middle'>"
        "microseconds a query (further left is faster)</text>"
        f"<text class='tick' transform='rotate(-90)' x='{-(_HEIGHT - _BOTTOM) / 2:.1f}'"
        " y='12' text-anchor='middle'>accuracy, %</text>"
    )
    return "".join(parts)
