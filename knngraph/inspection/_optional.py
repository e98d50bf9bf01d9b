"""Axes of matplotlib and frames of pandas: both load on first use."""

from typing import Any

import numpy as np

# Colors that color-blind eyes tell apart (Okabe and Ito), without the yellow, which
# is lost on white, and the black, which marks what stands out.
COLORS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00"]
# Five shapes and six colors: thirty classes before a combination comes back.
MARKERS = ["o", "s", "^", "D", "v"]


def drawing_axes(
    ax: Any, name: str, n_axes: int = 1, figsize: tuple[float, float] | None = None
) -> np.ndarray:
    """The axes to draw on, new ones where none are given.

    Parameters
    ----------
    ax : matplotlib Axes, sequence of n_axes Axes, or None
    name : str
        Name of the display, for messages.
    n_axes : int, default=1
    figsize : (float, float) or None
        Of a new figure, in inches.

    Returns
    -------
    ndarray of shape (n_axes,), object
    """
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            f"{name}.plot needs matplotlib. Install it with: "
            "pip install 'knngraph[plots]'"
        ) from error
    if ax is None:
        _, ax = plt.subplots(1, n_axes, figsize=figsize, layout="constrained")
    axes = np.atleast_1d(np.asarray(ax, dtype=object)).ravel()
    if len(axes) != n_axes:
        raise ValueError(
            f"{name}.plot draws on {n_axes} axes, got ax with {len(axes)}; make them "
            f"with matplotlib.pyplot.subplots(1, {n_axes}), or leave ax=None."
        )
    return axes


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

    Parameters
    ----------
    columns : dict of sequence
    caller : str
        Name of the caller, for the message where pandas is missing.

    Returns
    -------
    pandas.DataFrame
    """
    try:
        import pandas
    except ImportError as error:
        raise ImportError(
            f"{caller} needs pandas. Install it with: pip install pandas"
        ) from error
    return pandas.DataFrame(columns)
