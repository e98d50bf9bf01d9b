"""Pictures of searches: what approximate neighbors miss, and accuracy against time."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any

import numpy as np

from knngraph.inspection._optional import COLORS, MARKERS, Display, equally_long

# Attribute, title, and what a perfect search has.
_MEASURES = [
    ("overlap", "Exact neighbors found", 1.0),
    ("distance_ratio", "Mean distance / exact", 1.0),
    ("barycenter_shift", "Shift of the barycenter", 0.0),
    ("dimension_ratio", "Intrinsic dimension / exact", 1.0),
]
# Ways from the point to its name, in points: near first, right before left.
_DIRECTIONS = [(1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1)]
_LENGTHS = (8, 18, 30, 44, 60)
# Pixels around a point and a line that stay free.
_HALF_POINT = 5.0
_HALF_LINE = 1.5


@dataclass(kw_only=True, eq=False, repr=False)
class FidelityDisplay(Display):
    """Measures of approximate neighborhoods over their size, a line an ef.

    Parameters
    ----------
    k : ndarray of shape (n_k,), int
    ef : ndarray of shape (n_ef,), int
    overlap, distance_ratio, barycenter_shift : ndarray of shape (n_ef, n_k)
    dimension_ratio : ndarray of shape (n_ef, n_k)
        Intrinsic dimensionality over the exact one.
    kept : ndarray of shape (n_ef, n_k), bool
        Whether all measures are within tolerance.
    tolerance : float

    Attributes
    ----------
    ax_ : ndarray of shape (4,)
        Axes, a measure each.
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from knngraph.inspection import FidelityDisplay, neighborhood_fidelity
    >>> from sklearn.datasets import load_digits
    >>> X, _ = load_digits(return_X_y=True)
    >>> fidelity = neighborhood_fidelity(X, k=[10, 20], ef=[10, 80], n_queries=100)
    >>> FidelityDisplay.from_fidelity(fidelity).overlap.shape
    (2, 2)
    """

    _n_axes = 4
    _figsize = (14.0, 4.0)

    k: Any
    ef: Any
    overlap: Any
    distance_ratio: Any
    barycenter_shift: Any
    dimension_ratio: Any
    kept: Any
    tolerance: float

    def __post_init__(self) -> None:
        self.k, self.ef = np.asarray(self.k), np.asarray(self.ef)
        self.kept = np.asarray(self.kept, dtype=bool)
        shape = (len(self.ef), len(self.k))
        for name in [*(name for name, _, _ in _MEASURES), "kept"]:
            table = np.asarray(getattr(self, name))
            if table.shape != shape:
                raise ValueError(
                    f"{name} must have shape {shape}, a row an ef and a column a k, "
                    f"got {table.shape}."
                )
            setattr(self, name, table)

    @classmethod
    def from_fidelity(cls, fidelity: Any) -> "FidelityDisplay":
        """Take what `neighborhood_fidelity` measured.

        Parameters
        ----------
        fidelity : NeighborhoodFidelity

        Returns
        -------
        FidelityDisplay
        """
        taken = {field.name for field in fields(cls)} - {"dimension_ratio"}
        with np.errstate(invalid="ignore", divide="ignore"):
            dimension_ratio = fidelity.lid / fidelity.lid_exact
        return cls(
            dimension_ratio=dimension_ratio,
            **{name: getattr(fidelity, name) for name in taken},
        )

    def _draw(self, *axes: Any) -> None:
        for ax, (name, title, perfect) in zip(axes, _MEASURES):
            self._draw_measure(ax, getattr(self, name), title, perfect)
        last = axes[-1]
        hollow = {"marker": "o", "markerfacecolor": "white", "color": "0.3"}
        last.plot([], [], linestyle="none", label="out of tolerance", **hollow)
        last.legend(loc="upper left", bbox_to_anchor=(1.02, 1.0), frameon=False)

    def _draw_measure(
        self, ax: Any, values: np.ndarray, title: str, perfect: float
    ) -> None:
        from matplotlib import colormaps

        # The yellow end of the map is lost on white.
        colors = colormaps["viridis"](np.linspace(0.0, 0.85, len(self.ef)))
        low = perfect - self.tolerance if perfect else 0.0
        high = perfect if values is self.overlap else perfect + self.tolerance
        ax.axhspan(low, high, color="0.9", zorder=0, label="tolerance")
        for i, ef in enumerate(self.ef):
            style = {"marker": MARKERS[i % len(MARKERS)], "color": colors[i]}
            ax.plot(self.k, values[i], label=f"ef={ef}", **style)
            off = ~self.kept[i]
            style |= {"linestyle": "none", "markerfacecolor": "white"}
            ax.plot(self.k[off], values[i, off], zorder=3, **style)
        ax.set_xscale("log")
        ax.set_xticks(self.k, [str(k) for k in self.k])
        ax.minorticks_off()
        ax.spines[["top", "right"]].set_visible(False)
        ax.set_xlabel("size of the neighborhood k")
        ax.set_title(title, fontsize="medium")


class ParetoDisplay(Display):
    """Accuracy against the time of a query, and the Pareto front of both.

    Parameters
    ----------
    names : sequence of str
    microseconds : array-like of shape (n,)
        Time of a query.
    accuracies : array-like of shape (n,)

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from knngraph.inspection import ParetoDisplay
    >>> display = ParetoDisplay(
    ...     names=["slow", "fast", "bad"],
    ...     microseconds=[90.0, 5.0, 30.0],
    ...     accuracies=[0.98, 0.95, 0.9],
    ... )
    >>> [display.names[i] for i in display.front]
    ['fast', 'slow']
    """

    _figsize = (7.5, 5.0)

    def __init__(
        self, *, names: Sequence[str], microseconds: Any, accuracies: Any
    ) -> None:
        self.names = [str(name) for name in names]
        self.microseconds = np.asarray(microseconds, dtype=np.float64)
        self.accuracies = np.asarray(accuracies, dtype=np.float64)
        equally_long(
            names=self.names,
            microseconds=self.microseconds,
            accuracies=self.accuracies,
        )
        if not (self.microseconds > 0.0).all():
            raise ValueError(
                "microseconds must be larger than zero for a logarithmic axis, got "
                f"{self.microseconds.min()}."
            )

    @property
    def front(self) -> np.ndarray:
        """Methods that no other is as fast and as accurate as, fastest first.

        Returns
        -------
        ndarray of shape (n_front,), intp
        """
        order = np.lexsort((-self.accuracies, self.microseconds))
        best = np.maximum.accumulate(self.accuracies[order])
        beaten = np.concatenate([[False], self.accuracies[order][1:] <= best[:-1]])
        return order[~beaten[: len(order)]]

    def _corners(self, front: np.ndarray) -> np.ndarray:
        """Corners of the stairs through the front, shape (n_corners, 2)."""
        x = np.repeat(self.microseconds[front], 2)[1:]
        y = np.repeat(self.accuracies[front], 2)[:-1]
        return np.column_stack([x, y])

    def _draw(self, *axes: Any) -> None:
        (ax,) = axes
        from matplotlib.ticker import LogLocator, NullFormatter

        front = self.front
        ax.set_xscale("log")
        ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        ax.xaxis.set_major_formatter("{x:g}")
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.margins(x=0.2, y=0.15)
        ax.plot(*self._corners(front).T, color=COLORS[1], linewidth=1.2, zorder=1)
        on_front = np.isin(np.arange(len(self.names)), front)
        points = np.column_stack([self.microseconds, self.accuracies])
        for chosen, marker, color, label in (
            (on_front, "o", COLORS[1], "Pareto front"),
            (~on_front, "s", COLORS[0], "behind the front"),
        ):
            if chosen.any():
                style = {"marker": marker, "color": color, "s": 40, "zorder": 3}
                ax.scatter(*points[chosen].T, label=label, **style)
        ax.grid(color="0.5", alpha=0.2)
        ax.set_axisbelow(True)
        ax.spines[["top", "right"]].set_visible(False)
        ax.set_xlabel("microseconds a query")
        ax.set_ylabel("accuracy")
        ax.set_title("Accuracy against the time of a query")
        # Below the axes: inside, it would take the place of names.
        ax.legend(
            loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=2, frameon=False
        )
        label_points(
            ax, self.microseconds, self.accuracies, self.names, self._corners(front)
        )


def label_points(
    ax: Any, x: np.ndarray, y: np.ndarray, names: Sequence[str], corners: np.ndarray
) -> None:
    """Write every name where it covers nothing, with a thin line if far.

    The axes have their final limits. A line along them, given by its `corners` of
    shape (n_corners, 2), stays free as well.
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
        placed = {"xy": (x[i], y[i]), "textcoords": "offset points"}
        label = ax.annotate(name, xytext=(0, 0), fontsize="small", zorder=4, **placed)
        costs = [_cost(_move(label, *way), taken, inside) for way in ways]
        best = ways[int(np.argmin(costs))]
        taken.append(_move(label, *best))
        if best[2] > _LENGTHS[0]:
            line = {"arrowstyle": "-", "color": "0.5", "lw": 0.6, "shrinkA": 0}
            ax.annotate("", xytext=label.get_position(), arrowprops=line, **placed)


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
