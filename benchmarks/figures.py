"""Drawings as SVG whose ink follows the page, so that one serves light and dark."""

from collections.abc import Mapping
from typing import Any

from knngraph.html_page import as_svg, drawing
from knngraph.inspection._optional import COLORS, MARKERS

__all__ = ["COLORS", "MARKERS", "as_svg", "draw_lines", "drawing", "on_white"]


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


def on_white(svg: str) -> str:
    """The drawing for pages that show it as an image: black ink, white paper."""
    start = svg.index(">", svg.index("<svg")) + 1
    paper = '<rect width="100%" height="100%" fill="#ffffff"/>'
    return svg[:start] + paper + svg[start:].replace("currentColor", "#1c1e21")
