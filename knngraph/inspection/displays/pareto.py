"""Accuracy against the time of a query."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from knngraph.inspection.displays._axes import COLORS, drawing_axes, equally_long
from knngraph.inspection.displays._labels import label_points


class ParetoDisplay:
    """Who is accurate, who is fast, and whom nobody beats in both.

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
        """Those that are more accurate than everyone as fast, fastest first.

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

    def plot(self, ax: Any = None) -> "ParetoDisplay":
        """Draw and name every point, and a line through the front.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None

        Returns
        -------
        self : ParetoDisplay
        """
        (ax,) = drawing_axes(ax, type(self).__name__, figsize=(7.5, 5.0))
        from matplotlib.ticker import LogLocator, NullFormatter

        front = self.front
        ax.set_xscale("log")
        ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        ax.xaxis.set_major_formatter("{x:g}")
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.margins(x=0.2, y=0.15)
        ax.plot(*self._corners(front).T, color=COLORS[1], linewidth=1.2, zorder=1)
        on_front = np.isin(np.arange(len(self.names)), front)
        styles = [(on_front, "o", COLORS[1], "nobody is faster and as accurate")]
        styles.append((~on_front, "s", COLORS[0], "somebody is"))
        for chosen, marker, color, label in styles:
            if chosen.any():
                ax.scatter(
                    self.microseconds[chosen],
                    self.accuracies[chosen],
                    marker=marker,
                    color=color,
                    s=40,
                    zorder=3,
                    label=label,
                )
        ax.grid(color="0.93")
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
        self.ax_, self.figure_ = ax, ax.figure
        return self
