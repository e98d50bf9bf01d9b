"""How the objective of fit came down."""

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from knngraph.inspection.displays._axes import COLORS, drawing_axes


class ConvergenceDisplay:
    """Mean objective after every iteration of the solver.

    Parameters
    ----------
    objective_path : ndarray of shape (n_iterations + 1,)
        From the zero vector on.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from knngraph import KNNGraphClassifier
    >>> from knngraph.inspection import ConvergenceDisplay
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> classifier = KNNGraphClassifier(ef=16, random_state=0).fit(X, y)
    >>> display = ConvergenceDisplay.from_estimator(classifier)
    >>> bool(display.objective_path[0] > display.objective_path[-1])
    True
    """

    def __init__(self, *, objective_path: Any) -> None:
        self.objective_path = np.asarray(objective_path, dtype=np.float64)
        if self.objective_path.ndim != 1 or not len(self.objective_path):
            raise ValueError(
                "objective_path must be one row of at least one number, got shape "
                f"{self.objective_path.shape}; pass the objective_path_ of a fitted "
                "classifier."
            )

    @classmethod
    def from_estimator(cls, estimator: Any) -> "ConvergenceDisplay":
        """Take the path from a fitted classifier.

        Parameters
        ----------
        estimator : KNNGraphClassifier
            Fitted.

        Returns
        -------
        ConvergenceDisplay
        """
        check_is_fitted(estimator)
        return cls(objective_path=estimator.objective_path_)

    def plot(self, ax: Any = None) -> "ConvergenceDisplay":
        """Draw how far the objective is above its last value.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None

        Returns
        -------
        self : ConvergenceDisplay
        """
        (ax,) = drawing_axes(ax, type(self).__name__, figsize=(6.0, 4.2))
        above = self.objective_path - self.objective_path[-1]
        # The last value, and all equal to it, have no place on a logarithmic axis.
        shown = np.flatnonzero(above > 0.0)
        ax.plot(shown, above[shown], marker="o", markersize=4, color=COLORS[0])
        if len(shown):
            ax.set_yscale("log")
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.grid(axis="y", color="0.9")
        ax.spines[["top", "right"]].set_visible(False)
        ax.set_xlabel("iteration")
        ax.set_ylabel("mean objective above the last")
        ax.set_title(f"Convergence to {self.objective_path[-1]:.4g}")
        self.ax_, self.figure_ = ax, ax.figure
        return self
