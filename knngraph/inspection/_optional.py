"""Axes of matplotlib and frames of pandas: both load on first use."""

from typing import Any, Self

import numpy as np

# Colors that color-blind eyes tell apart (Okabe and Ito), without the yellow, which
# is lost on white, and the black, which marks what stands out.
COLORS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00"]
# Five shapes and six colors: thirty classes before a combination comes back.
MARKERS = ["o", "s", "^", "D", "v"]


class Display:
    """Base of the pictures: `plot` finds the axes, draws, and keeps both."""

    _n_axes = 1
    # Of a new figure, in inches.
    _figsize = (6.0, 4.2)
    ax_: Any
    figure_: Any

    def plot(self, ax: Any = None) -> Self:
        """Draw the picture.

        Parameters
        ----------
        ax : matplotlib Axes, sequence of Axes or None, default=None
            Where to draw: as many axes as `ax_` has. None makes a new figure.

        Returns
        -------
        self : object
        """
        name = f"{type(self).__name__}.plot"
        try:
            import matplotlib.pyplot as plt
        except ImportError as error:
            raise ImportError(
                f"{name} needs matplotlib. Install it with: "
                "pip install 'knngraph[plots]'"
            ) from error
        if ax is None:
            _, ax = plt.subplots(
                1, self._n_axes, figsize=self._figsize, layout="constrained"
            )
        axes = np.atleast_1d(np.asarray(ax, dtype=object)).ravel()
        if len(axes) != self._n_axes:
            raise ValueError(
                f"{name} draws on {self._n_axes} axes, got ax with {len(axes)}; make "
                f"them with matplotlib.pyplot.subplots(1, {self._n_axes}), or leave "
                "ax=None."
            )
        self._draw(*axes)
        self.ax_ = axes if self._n_axes > 1 else axes[0]
        self.figure_ = axes[0].figure
        return self

    def _draw(self, *axes: Any) -> None:
        raise NotImplementedError


def equally_long(**arrays: Any) -> int:
    """Common length of the arrays; an error that names the odd one."""
    first, *others = arrays
    length = len(arrays[first])
    for name in others:
        if len(arrays[name]) != length:
            raise ValueError(
                f"{name} must be as long as {first}: got {len(arrays[name])} "
                f"and {length}."
            )
    return length


def as_frame(columns: dict[str, Any], caller: str) -> Any:
    """A data frame of equally long columns.

    Where pandas is missing, the message names the `caller`.
    """
    try:
        import pandas
    except ImportError as error:
        raise ImportError(
            f"{caller} needs pandas. Install it with: pip install pandas"
        ) from error
    return pandas.DataFrame(columns)
