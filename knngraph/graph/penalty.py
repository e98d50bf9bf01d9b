"""From density to the strength of the sparsity penalty."""

import numpy as np


def penalty_fractions(
    density: np.ndarray, penalty_min: float, penalty_max: float
) -> np.ndarray:
    """Penalty of every row as a fraction of lambda*.

    Dense surroundings get a weak penalty and so more neighbors, sparse ones a
    strong one. lambda* is the smallest penalty at which no neighbor at all is
    optimal, so that any fraction below one leaves a row at least one neighbor
    (Proposition 1 of the publication).

    Parameters
    ----------
    density : ndarray of shape (n_nodes,)
        Between 0 and 1.
    penalty_min, penalty_max : float

    Returns
    -------
    ndarray of shape (n_nodes,)

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.graph.penalty import penalty_fractions
    >>> penalty_fractions(np.array([0.0, 0.5, 1.0]), 0.25, 0.75).tolist()
    [0.75, 0.5, 0.25]
    """
    return penalty_min + (penalty_max - penalty_min) * (1.0 - density)
