"""Drawings as SVG whose ink follows the page, so that one serves light and dark."""

from collections.abc import Mapping
from html import escape
from typing import Any

from knngraph.html_page import as_svg, drawing
from knngraph.inspection._optional import COLORS, MARKERS

__all__ = ["COLORS", "MARKERS", "as_svg", "draw_lines", "drawing", "on_paper"]
# Ink and paper of a picture that a page shows as an image, by the mode of the reader.
_PAPER = (
    "<style>svg{color:#1c1e21}.paper{fill:#ffffff}"
    "@media (prefers-color-scheme:dark){svg{color:#e6eaee}.paper{fill:#14181d}}</style>"
    '<rect class="paper" width="100%" height="100%"/>'
)


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


def on_paper(svg: str, facts: str = "") -> str:
    """The drawing for pages that show it as an image: its own paper, light or dark.

    Readers that see no pictures get the `facts`, and so do tests.
    """
    start = svg.index(">", svg.index("<svg")) + 1
    said = f"<desc>{escape(facts)}</desc>" if facts else ""
    return svg[:start] + said + _PAPER + svg[start:]
