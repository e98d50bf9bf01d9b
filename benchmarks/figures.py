"""Drawings as SVG whose ink follows the page, so that one serves light and dark."""

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from knngraph.inspection._optional import COLORS, MARKERS

__all__ = ["COLORS", "MARKERS", "as_svg", "draw_lines", "drawing", "on_white"]

# A color that no drawing uses by itself; `as_svg` turns it into `currentColor`.
_INK = "#010203"
_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "knngraph",
    "font.family": "sans-serif",
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "axes.titlecolor": _INK,
    "text.color": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": "#80808055",
    "legend.frameon": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
}


@contextmanager
def drawing(width: float = 4.4, height: float = 3.4) -> Iterator[tuple[Any, Any]]:
    """A figure and its axes in the style of the reports; closed at the end."""
    import matplotlib

    with matplotlib.rc_context(_STYLE):
        from matplotlib.figure import Figure

        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure, figure.subplots()


def draw_lines(ax: Any, lines: Mapping[str, Any], x: Any = None) -> None:
    """Values by label as lines with markers, over a grid.

    Over `x`, or over the places of the values where there is none.
    """
    for place, (label, values) in enumerate(lines.items()):
        ax.plot(
            range(len(values)) if x is None else x,
            values,
            color=COLORS[place % len(COLORS)],
            marker=MARKERS[place % len(MARKERS)],
            markersize=4.5,
            linewidth=1.2,
            label=label,
        )
    ax.grid()


def as_svg(figure: Any) -> str:
    """The figure as an SVG document; the same figure gives the same bytes."""
    import matplotlib

    target = io.StringIO()
    with matplotlib.rc_context(_STYLE):
        figure.savefig(target, format="svg", metadata={"Date": None, "Creator": None})
    return target.getvalue().replace(_INK, "currentColor")


def on_white(svg: str) -> str:
    """The drawing for pages that show it as an image: black ink, white paper."""
    start = svg.index(">", svg.index("<svg")) + 1
    paper = '<rect width="100%" height="100%" fill="#ffffff"/>'
    return svg[:start] + paper + svg[start:].replace("currentColor", "#1c1e21")
