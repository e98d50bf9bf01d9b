"""What approximate neighborhoods lose as they grow."""

from typing import Any

import numpy as np

from knngraph.inspection.displays._axes import MARKERS, drawing_axes

# Attribute, title, and what a perfect search has.
_MEASURES = [
    ("overlap", "Exact neighbors found", 1.0),
    ("distance_ratio", "Mean distance / exact", 1.0),
    ("barycenter_shift", "Shift of the barycenter", 0.0),
    ("dimension_ratio", "Intrinsic dimension / exact", 1.0),
]


class FidelityDisplay:
    """Measures of approximate neighborhoods over their size, a line a beam.

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

    def __init__(
        self,
        *,
        k: Any,
        ef: Any,
        overlap: Any,
        distance_ratio: Any,
        barycenter_shift: Any,
        dimension_ratio: Any,
        kept: Any,
        tolerance: float,
    ) -> None:
        self.k = np.asarray(k)
        self.ef = np.asarray(ef)
        self.overlap = np.asarray(overlap)
        self.distance_ratio = np.asarray(distance_ratio)
        self.barycenter_shift = np.asarray(barycenter_shift)
        self.dimension_ratio = np.asarray(dimension_ratio)
        self.kept = np.asarray(kept, dtype=bool)
        self.tolerance = tolerance
        shape = (len(self.ef), len(self.k))
        for name in [*(name for name, _, _ in _MEASURES), "kept"]:
            if getattr(self, name).shape != shape:
                raise ValueError(
                    f"{name} must have shape {shape}, a row an ef and a column a k, "
                    f"got {getattr(self, name).shape}."
                )

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
        with np.errstate(invalid="ignore", divide="ignore"):
            dimension_ratio = fidelity.lid / fidelity.lid_exact
        return cls(
            k=fidelity.k,
            ef=fidelity.ef,
            overlap=fidelity.overlap,
            distance_ratio=fidelity.distance_ratio,
            barycenter_shift=fidelity.barycenter_shift,
            dimension_ratio=dimension_ratio,
            kept=fidelity.kept,
            tolerance=fidelity.tolerance,
        )

    def plot(self, ax: Any = None) -> "FidelityDisplay":
        """Draw four measures; hollow points are out of tolerance in one of them.

        Parameters
        ----------
        ax : sequence of four matplotlib Axes or None, default=None

        Returns
        -------
        self : FidelityDisplay
        """
        all_axes = drawing_axes(ax, type(self).__name__, 4, (14.0, 4.0))
        for axes, (name, title, perfect) in zip(all_axes, _MEASURES):
            self._draw(axes, getattr(self, name), title, perfect)
        last = all_axes[-1]
        hollow = {"marker": "o", "markerfacecolor": "white", "color": "0.3"}
        last.plot([], [], linestyle="none", label="out of tolerance", **hollow)
        last.legend(loc="upper left", bbox_to_anchor=(1.02, 1.0), frameon=False)
        self.ax_, self.figure_ = all_axes, last.figure
        return self

    def _draw(self, ax: Any, values: np.ndarray, title: str, perfect: float) -> None:
        from matplotlib import colormaps

        # The yellow end of the map is lost on white.
        colors = colormaps["viridis"](np.linspace(0.0, 0.85, len(self.ef)))
        low = perfect - self.tolerance if perfect else 0.0
        high = perfect if values is self.overlap else perfect + self.tolerance
        ax.axhspan(low, high, color="0.9", zorder=0, label="tolerance")
        for i, ef in enumerate(self.ef):
            marker = MARKERS[i % len(MARKERS)]
            ax.plot(self.k, values[i], color=colors[i], marker=marker, label=f"ef={ef}")
            off = ~self.kept[i]
            ax.plot(
                self.k[off],
                values[i, off],
                linestyle="none",
                marker=marker,
                color=colors[i],
                markerfacecolor="white",
                zorder=3,
            )
        ax.set_xscale("log")
        ax.set_xticks(self.k, [str(k) for k in self.k])
        ax.minorticks_off()
        ax.spines[["top", "right"]].set_visible(False)
        ax.set_xlabel("size of the neighborhood k")
        ax.set_title(title, fontsize="medium")
