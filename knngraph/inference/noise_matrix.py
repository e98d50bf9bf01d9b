"""Which labels were given to rows of which class: estimated, and taken into account.

Everything here works on arrays of probabilities of the *given* label, found without the
row itself. The noise matrix says how often a class was given another label. With it the
probabilities of the given label become those of the right one.
"""

import numpy as np

# Of the rows of a likely class those count for which its probability is in the upper
# quarter: where classes overlap, other rows carry another label and are right.
_SUREST = 0.25
# Rows per entry of the matrix that are assumed beside those counted: wrong labels that
# are every other class as often.
_ASSUMED_ROWS = 5.0
# Probabilities that differ by rounding alone are equal.
_DIGITS = 6
# A class is surer than the labels given to its rows: some of these are wrong.
_SURER = 2


def estimate_noise_matrix(
    probability: np.ndarray, given: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Probability of every given label in every likely class.

    Parameters
    ----------
    probability : ndarray of shape (n, n_classes)
        Of every label to be the given one, found without the row.
    given : ndarray of shape (n,)
        Codes of the given labels.
    weights : ndarray of shape (n,)
        How many rows each stands for.

    Returns
    -------
    ndarray of shape (n_classes, n_classes)
        A row for every likely class, a column for every given label; rows sum to one.

    Notes
    -----
    The likely class of a row is the most probable. Of the rows with likely class c the
    quarter counts for which c is most probable. Let N_cg be the weight of those with
    the given label g, and epsilon the share of all that lies off the diagonal. Then

        T_cg = (N_cg + 5 K E_cg) / (sum_g N_cg + 5 K),

    with E_cc = 1 - epsilon, E_cg = epsilon / (K - 1), for K classes. That labels are
    counted where a class is sure follows the idea of anchor points (Liu and Tao, 2016,
    "Classification with noisy labels by importance reweighting") and of confident
    learning (Northcutt, Jiang and Chuang, 2021).

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.inference.noise_matrix import estimate_noise_matrix
    >>> sure = np.repeat(np.eye(2), 400, axis=0)  # 400 rows of either class
    >>> given = np.repeat([0, 1, 1], [300, 100, 400])  # a quarter of the first: wrong
    >>> estimate_noise_matrix(sure, given, np.ones(800)).round(2)
    array([[0.75, 0.25],
           [0.  , 1.  ]])
    """
    n_classes = probability.shape[1]
    likely = probability.argmax(axis=1)
    height = probability[np.arange(len(likely)), likely].round(_DIGITS)
    counts = np.zeros((n_classes, n_classes))
    for code in range(n_classes):
        rows = np.flatnonzero(likely == code)
        if len(rows):
            rows = rows[height[rows] >= _upper_quantile(height[rows], weights[rows])]
            counts[code] = np.bincount(given[rows], weights[rows], n_classes)
    if n_classes == 1:
        return np.ones((1, 1))
    # No worse than labels by chance.
    wrong = min(1.0 - np.trace(counts) / counts.sum(), 1.0 - 1.0 / n_classes)
    expected = np.full((n_classes, n_classes), wrong / (n_classes - 1))
    np.fill_diagonal(expected, 1.0 - wrong)
    matrix = counts + _ASSUMED_ROWS * n_classes * expected
    return matrix / matrix.sum(axis=1, keepdims=True)


def _upper_quantile(values: np.ndarray, weights: np.ndarray) -> float:
    """The largest value that a quarter of the weight reaches."""
    order = np.argsort(-values, kind="stable")
    reached = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(reached, _SUREST * reached[-1])])


def right_label_probability(
    probability: np.ndarray, given: np.ndarray, noise_matrix: np.ndarray
) -> np.ndarray:
    """Probability of every class to be the right label of a row, its given one known.

    Parameters
    ----------
    probability : ndarray of shape (n, n_classes)
        Of every label to be the given one, found without the row.
    given : ndarray of shape (n,)
    noise_matrix : ndarray of shape (n_classes, n_classes)
        T of `estimate_noise_matrix`.

    Returns
    -------
    ndarray of shape (n, n_classes)

    Notes
    -----
    With p the probabilities of a label to be the given one, without the row, that of a
    class is taken as proportional to p_c^2: it is surer than the labels given to its
    rows, and the strongest of the other classes counts more than their sum. Bayes' rule
    adds the given label g: the class is c with a probability in proportion to
    p_c^2 T_cg.

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.inference.noise_matrix import right_label_probability
    >>> matrix = np.array([[0.7, 0.3], [0.0, 1.0]])  # many of class 0 were named 1
    >>> p = np.array([[0.7, 0.3], [0.7, 0.3]])
    >>> right_label_probability(p, np.array([0, 1]), matrix).round(2)
    array([[1.  , 0.  ],
           [0.62, 0.38]])
    """
    of_class = (probability / probability.max(axis=1, keepdims=True)) ** _SURER
    joint = of_class * noise_matrix[:, given].T
    return np.asarray(joint / joint.sum(axis=1, keepdims=True))
