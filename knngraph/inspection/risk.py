"""What accuracy remains when the least sure answers are handed to a person."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from knngraph.inspection._optional import COLORS, Display, equally_long

# Shares of the rows that a curve prints.
_PRINTED = (1.0, 0.95, 0.9, 0.8, 0.7, 0.5)


@dataclass(frozen=True)
class RiskCoverage:
    """Share of wrong answers among the surest, for every share that is answered.

    Made by `risk_coverage`; prints as a short table.

    Parameters
    ----------
    coverage : ndarray of shape (n_levels,)
        Share of the rows that are answered, ascending; 1 at the end.
    risk : ndarray of shape (n_levels,)
        Share of wrong answers among them.
    threshold : ndarray of shape (n_levels,)
        Confidence of the least sure of them.
    """

    coverage: np.ndarray
    risk: np.ndarray
    threshold: np.ndarray

    @cached_property
    def area(self) -> float:
        """Area under the risk, from no coverage to all: 0 is best.

        Rows of equal confidence come evenly mixed, whatever their order.
        """
        wrong = np.append(0.0, self.coverage * self.risk)
        coverage = np.append(0.0, self.coverage)
        slope = np.diff(wrong) / np.diff(coverage)
        # Up to the first level all rows are alike, and so is the risk.
        rest = (wrong - np.append(0.0, slope) * coverage)[1:]
        logs = np.log(coverage[2:] / coverage[1:-1])
        area = float((slope * np.diff(coverage)).sum() + (rest[1:] * logs).sum())
        return max(0.0, area)

    def accuracy_at(self, coverage: Any) -> Any:
        """Accuracy of the surest answers, by the share of the rows that gets one.

        Parameters
        ----------
        coverage : float or array-like of float
            Above 0 and at most 1.

        Returns
        -------
        float or ndarray
        """
        share = np.asarray(coverage, dtype=np.float64)
        if not ((share > 0.0) & (share <= 1.0)).all():
            raise ValueError(
                f"coverage must be above 0 and at most 1, got {coverage!r}: the share "
                "of the rows that is answered."
            )
        wrong = np.append(0.0, self.coverage * self.risk)
        found = 1.0 - np.interp(share, np.append(0.0, self.coverage), wrong) / share
        return found if share.ndim else float(found)

    def threshold_for(self, accuracy: float) -> float:
        """Confidence from which on answers together are as accurate as asked for.

        Parameters
        ----------
        accuracy : float

        Returns
        -------
        float
            The smallest: less sure rows are handed over.
        """
        enough = np.flatnonzero(1.0 - self.risk >= accuracy)
        if not len(enough):
            raise ValueError(
                f"No threshold reaches an accuracy of {accuracy!r}: the surest answers "
                f"have {1.0 - self.risk.min():.4g}. Ask for that or less."
            )
        return float(self.threshold[enough[-1]])

    def __str__(self) -> str:
        accuracy = self.accuracy_at(_PRINTED)
        return "\n".join(
            [
                "handed over   accuracy of the rest",
                *(
                    f"{1.0 - share:11.0%}   {found:20.4f}"
                    for share, found in zip(_PRINTED, accuracy)
                ),
                f"area under risk and coverage: {self.area:.4f}",
            ]
        )


def risk_coverage(
    y_true: Any, y_pred: Any, confidence: Any, *, sample_weight: Any = None
) -> RiskCoverage:
    """Sort answers by confidence, and count the wrong ones among the surest.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples,)
        Labels, and answers.
    confidence : array-like of shape (n_samples,)
        How sure every answer is, such as the largest entry of `predict_proba`, or a
        p-value of `novelty_pvalue`; larger is surer.
    sample_weight : array-like of shape (n_samples,) or None, default=None

    Returns
    -------
    RiskCoverage

    See Also
    --------
    RiskCoverageDisplay : The same of an estimator, and its picture.

    References
    ----------
    The area is that of Y. Geifman, G. Uziel, R. El-Yaniv (2019), "Bias-reduced
    uncertainty estimation for deep neural classifiers", ICLR, for many copies of every
    row.

    Examples
    --------
    >>> from knngraph.inspection import risk_coverage
    >>> curve = risk_coverage([0, 1, 1, 0], [0, 1, 1, 1], [0.9, 0.8, 0.7, 0.6])
    >>> curve.accuracy_at([1.0, 0.75]).tolist(), curve.threshold_for(1.0)
    ([0.75, 1.0], 0.7)
    """
    y_true, y_pred = np.asarray(y_true), np.asarray(y_pred)
    try:
        sure = np.asarray(confidence, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"confidence must hold one number a row: {error}") from error
    for name, array in (("y_true", y_true), ("y_pred", y_pred), ("confidence", sure)):
        if array.ndim != 1:
            raise ValueError(
                f"{name} must be one-dimensional, got shape {array.shape}: one value a "
                "row."
            )
    weights = np.ones(len(sure))
    if sample_weight is not None:
        weights = np.asarray(sample_weight, dtype=np.float64)
    n_rows = equally_long(
        y_true=y_true, y_pred=y_pred, confidence=sure, sample_weight=weights
    )
    kinds = {y_true.dtype.kind, y_pred.dtype.kind}
    if n_rows and "U" in kinds and kinds & set("biuf"):
        raise ValueError(
            f"y_pred has labels as {y_pred[0].item()!r} and y_true as "
            f"{y_true[0].item()!r}: no answer is right. Give both as texts, or both as "
            "numbers."
        )
    if np.isnan(sure).any():
        row = int(np.isnan(sure).argmax())
        raise ValueError(
            f"confidence is NaN in row {row}; give every answer a number, 0 where "
            "nothing is known."
        )
    if not ((weights >= 0.0) & (weights < np.inf)).all() or not weights.sum() > 0.0:
        raise ValueError(
            "sample_weight must hold finite numbers from 0 on, not all of them 0, for "
            f"at least one row; got {n_rows} rows."
        )
    rows = np.flatnonzero(weights)
    rows = rows[np.argsort(-sure[rows], kind="stable")]
    sure, weights = sure[rows], weights[rows]
    wrong = weights * (y_true[rows] != y_pred[rows])
    last_of_tie = np.append(sure[1:] != sure[:-1], True)
    answered = np.cumsum(weights)[last_of_tie]
    risk = np.cumsum(wrong)[last_of_tie] / answered
    coverage = answered / answered[-1]
    return RiskCoverage(coverage, np.minimum(risk, 1.0), sure[last_of_tie])


class RiskCoverageDisplay(Display):
    """Accuracy that remains when the least sure rows are handed to a person.

    Parameters
    ----------
    curve : RiskCoverage
    name : str or None, default=None
        Of the estimator, for the legend.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from knngraph import KNNGraphClassifier
    >>> from knngraph.inspection import RiskCoverageDisplay
    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> model = KNNGraphClassifier(inference="adaptive", random_state=0)
    >>> model = model.fit(X[:900], y[:900])
    >>> display = RiskCoverageDisplay.from_estimator(model, X[900:], y[900:])
    >>> bool(display.curve.accuracy_at(0.8) > display.curve.accuracy_at(1.0))
    True

    A second one on the same axes: `other.plot(ax=display.ax_)`.
    """

    def __init__(self, *, curve: RiskCoverage, name: str | None = None) -> None:
        self.curve = curve
        self.name = name

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, y: Any, *, name: str | None = None
    ) -> "RiskCoverageDisplay":
        """Take the class of the largest probability, which is the confidence.

        Parameters
        ----------
        estimator : object
            Fitted, with `predict_proba` and `classes_`: a classifier of any library, a
            pipeline that ends in one, or a `Predictor`.
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
        name : str or None, default=None
            None is that of its class.

        Returns
        -------
        RiskCoverageDisplay
        """
        if not hasattr(estimator, "predict_proba"):
            raise TypeError(
                f"{type(estimator).__name__} has no predict_proba; use "
                "RiskCoverageDisplay.from_predictions with a confidence of your own."
            )
        shares = estimator.predict_proba(X)
        answers = np.asarray(estimator.classes_)[shares.argmax(axis=1)]
        name = type(estimator).__name__ if name is None else name
        return cls.from_predictions(y, answers, shares.max(axis=1), name=name)

    @classmethod
    def from_predictions(
        cls, y_true: Any, y_pred: Any, confidence: Any, *, name: str | None = None
    ) -> "RiskCoverageDisplay":
        """Sort answers that are there by a confidence of any kind.

        Parameters
        ----------
        y_true, y_pred, confidence : array-like of shape (n_samples,)
            As for `risk_coverage`.
        name : str or None, default=None

        Returns
        -------
        RiskCoverageDisplay
        """
        return cls(curve=risk_coverage(y_true, y_pred, confidence), name=name)

    def _draw(self, *axes: Any) -> None:
        (ax,) = axes
        # From the share where a single row no longer decides.
        shares = np.linspace(1.0, max(0.02, self.curve.coverage[0]), 200)
        label = f"area {self.curve.area:.4f}"
        if self.name is not None:
            label = f"{self.name} ({label})"
        color = COLORS[len(ax.lines) % len(COLORS)]
        accuracy = self.curve.accuracy_at(shares)
        ax.plot(1.0 - shares, accuracy, color=color, label=label)
        ax.set_xlabel("share of the rows that a person answers")
        ax.set_ylabel("accuracy of the other answers")
        ax.set_title("What handing over the least sure gains")
        ax.legend(loc="lower right", frameon=False)
