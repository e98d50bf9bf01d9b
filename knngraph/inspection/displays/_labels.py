"""Names beside points, so that none covers another or a point."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

# Ways from the point to its name, in points: near first, right before left.
_DIRECTIONS = [(1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1)]
_LENGTHS = (8, 18, 30, 44, 60)
# Pixels around a point and a line that stay free.
_HALF_POINT = 5.0
_HALF_LINE = 1.5


def label_points(
    ax: Any, x: np.ndarray, y: np.ndarray, names: Sequence[str], corners: np.ndarray
) -> None:
    """Write every name where it covers nothing, with a thin line if far.

    Parameters
    ----------
    ax : matplotlib Axes
        With its final limits.
    x, y : ndarray of shape (n,)
    names : sequence of str of length n
    corners : ndarray of shape (n_corners, 2)
        Of a line along the axes that shall stay free as well.
    """
    from matplotlib.transforms import Bbox

    # A first layout, so that what is measured stays where it is.
    ax.figure.draw_without_rendering()
    inside = ax.get_window_extent()
    taken = [
        Bbox.from_extents(*(place - _HALF_POINT), *(place + _HALF_POINT))
        for place in ax.transData.transform(np.column_stack([x, y]))
    ]
    turns = ax.transData.transform(corners) if len(corners) else corners
    for start, stop in pairwise(turns):
        low, high = np.minimum(start, stop), np.maximum(start, stop)
        taken.append(Bbox.from_extents(*(low - _HALF_LINE), *(high + _HALF_LINE)))
    ways = [(a, b, length) for length in _LENGTHS for a, b in _DIRECTIONS]
    for i, name in enumerate(names):
        label = ax.annotate(
            name,
            (x[i], y[i]),
            xytext=(0, 0),
            textcoords="offset points",
            fontsize="small",
            zorder=4,
        )
        costs = [_cost(_move(label, *way), taken, inside) for way in ways]
        best = ways[int(np.argmin(costs))]
        taken.append(_move(label, *best))
        if best[2] > _LENGTHS[0]:
            line = {"arrowstyle": "-", "color": "0.5", "lw": 0.6, "shrinkA": 0}
            ax.annotate(
                "",
                (x[i], y[i]),
                xytext=label.get_position(),
                textcoords="offset points",
                arrowprops=line,
            )


def _move(label: Any, right: int, up: int, length: int) -> Any:
    """Put a label to one side of its point; the box it then fills."""
    label.set_position((right * length, up * length))
    label.set_horizontalalignment({1: "left", 0: "center", -1: "right"}[right])
    label.set_verticalalignment({1: "bottom", 0: "center", -1: "top"}[up])
    return label.get_window_extent().padded(1.0)


def _cost(box: Any, taken: list[Any], inside: Any) -> float:
    """Area that is covered already, and area outside of the axes."""
    covered = sum(_common_area(box, other) for other in taken)
    return covered + box.width * box.height - _common_area(box, inside)


def _common_area(one: Any, other: Any) -> float:
    width = min(one.x1, other.x1) - max(one.x0, other.x0)
    height = min(one.y1, other.y1) - max(one.y0, other.y0)
    return max(width, 0.0) * max(height, 0.0)
