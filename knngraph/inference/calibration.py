"""From votes to probabilities by a number or two learned from left-out rows."""

from dataclasses import dataclass

import numpy as np

# A class without votes is not impossible: the classes share this much.
FLOOR = 0.05
# What they may share besides votes of the nearest nodes: where labels are wrong here
# and there, a single neighbor of another class says little of which class it is.
FLOORS = (FLOOR, 0.2, 0.5, 1.0, 2.0)
_EXPONENTS = (0.1, 10.0)
# Fewer rows than this do not show how sure their votes are.
_FEWEST_ROWS = 10


@dataclass(frozen=True)
class Calibration:
    """Exponents for the three kinds of votes that answer a query.

    Parameters
    ----------
    adaptive : float
        For the votes of the problem solved at the query.
    stored : float
        For the votes around the node that a lookup ends at.
    agreed : float
        For those around a query where the nearest nodes of a cascade agree.
    stored_floor, agreed_floor : float
        What the classes share besides these votes.
    """

    adaptive: float
    stored: float
    agreed: float
    stored_floor: float = FLOOR
    agreed_floor: float = FLOOR


def sharpen(votes: np.ndarray, exponent: float, floor: float = FLOOR) -> np.ndarray:
    """Probabilities p_c proportional to (v_c + floor / n_classes)^exponent.

    Parameters
    ----------
    votes : ndarray of shape (n_queries, n_classes)
        Shares of the classes, summing to one.
    exponent : float
        Above one for votes that are less certain than they are right.
    floor : float, default=0.05

    Returns
    -------
    ndarray of shape (n_queries, n_classes)
        Rows sum to one; the order of the classes is that of the votes.

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.inference.calibration import sharpen
    >>> sharpen(np.array([[0.725, 0.225]]), exponent=2.0).round(2).tolist()
    [[0.9, 0.1]]
    """
    logits = exponent * np.log(votes + floor / votes.shape[1])
    logits -= logits.max(axis=1, keepdims=True)
    probabilities = np.exp(logits)
    return probabilities / probabilities.sum(axis=1, keepdims=True)


def fit_exponent(
    votes: np.ndarray, codes: np.ndarray, weights: np.ndarray, floor: float = FLOOR
) -> float:
    """Exponent with the smallest log loss on left-out rows.

    Parameters
    ----------
    votes : ndarray of shape (n, n_classes)
        Leave-one-out votes.
    codes : ndarray of shape (n,)
        Given classes.
    weights : ndarray of shape (n,)
        How many rows each stands for.
    floor : float, default=0.05
        See `sharpen`.

    Returns
    -------
    float
        1 where there are fewer than ten rows.

    Notes
    -----
    The loss counts one row more, with votes as the others have them and in equal parts
    of every class. Where all n rows are right, no number of theirs says how seldom such
    votes are wrong: by this row about once in n, and not never.

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.inference.calibration import fit_exponent, sharpen
    >>> votes = np.tile([1.0, 0.0], (50, 1))
    >>> exponent = fit_exponent(votes, np.zeros(50, dtype=int), np.ones(50))
    >>> sharpen(votes[:1], exponent).round(2).tolist()
    [[0.99, 0.01]]
    """
    if weights.sum() < _FEWEST_ROWS:
        return 1.0
    return _fitted(votes, codes, weights, floor)[1]


def fit_exponent_and_floor(
    votes: np.ndarray, codes: np.ndarray, weights: np.ndarray
) -> tuple[float, float]:
    """Both with the smallest log loss; see `fit_exponent`."""
    if weights.sum() < _FEWEST_ROWS:
        return 1.0, FLOOR
    fitted = [(*_fitted(votes, codes, weights, floor), floor) for floor in FLOORS]
    _, exponent, floor = min(fitted)
    return exponent, floor


def _fitted(
    votes: np.ndarray, codes: np.ndarray, weights: np.ndarray, floor: float
) -> tuple[float, float]:
    """The smallest log loss, and its exponent."""
    # For fit only: a predictor loads without scipy.
    from scipy.optimize import minimize_scalar

    logs = np.log(votes + floor / votes.shape[1])
    logs -= logs.max(axis=1, keepdims=True)
    n_rows = weights.sum()
    # Of the rows, and of one more that has a part in every class.
    counted = logs[np.arange(len(codes)), codes] + logs.mean(axis=1) / n_rows
    gained = weights @ counted / (n_rows + 1.0)

    def log_loss(power: float) -> float:
        exponent = np.exp(power)
        totals = np.log(np.exp(exponent * logs).sum(axis=1))
        return float(weights @ totals / n_rows - exponent * gained)

    found = minimize_scalar(
        log_loss,
        bounds=np.log(_EXPONENTS),
        method="bounded",
        options={"xatol": 1e-2},
    )
    return float(found.fun), float(np.exp(found.x))
