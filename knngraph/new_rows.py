"""The self-representation problem of fit, solved for rows that fit has not seen."""

from typing import Any

import numpy as np
from scipy import sparse

from knngraph.graph.kernel import CompositeKernel
from knngraph.graph.representation import Problem, solve
from knngraph.graph.training_set import TrainingSet, training_set_of_pairs


def represent_new_rows(
    training: TrainingSet, problem: Problem, rows: np.ndarray, candidates: np.ndarray
) -> Any:
    """Represent rows by the nodes nearest to them.

    Labels take no part: a new row has none. Its penalty is, as a fraction of
    lambda*, that of its nearest node.

    Parameters
    ----------
    training : TrainingSet
    problem : Problem
        As fit has learned it.
    rows : ndarray of shape (n_rows, n_features), float32
        Mapped rows.
    candidates : ndarray of shape (n_rows, m)
        Nodes, nearest first.

    Returns
    -------
    CSR array of shape (n_rows, n_nodes)
    """
    # The solver represents pairs of one training set by each other: one is made
    # of the candidates and, behind them, of the rows.
    used, places = np.unique(candidates, return_inverse=True)
    n_used, n_rows = len(used), len(rows)
    n_pairs = n_used + n_rows
    own_number = np.arange(n_pairs)
    together = training_set_of_pairs(
        points=np.concatenate([training.points[used], rows]),
        pair_node=own_number,
        pair_code=np.zeros(n_pairs, dtype=np.intp),
        pair_count=np.ones(n_pairs, dtype=np.intp),
        n_classes=1,
    )
    nearest_pair = training.node_starts()[candidates[:, 0]]
    fractions = np.concatenate([np.zeros(n_used), problem.fractions[nearest_pair]])
    kernel = CompositeKernel(problem.kernel.sigma, 0.0, problem.kernel.label_discount)
    solution = solve(
        together,
        Problem(
            kernel,
            np.zeros(n_pairs),
            fractions,
            problem.nugget,
            problem.positive,
            problem.max_iter,
            problem.tol,
        ),
        own_number[n_used:],
        places.reshape(candidates.shape),
        np.zeros(candidates.shape),
        np.zeros(n_rows),
        np.zeros(n_rows, dtype=np.intp),
    )
    weights = solution.weights
    return sparse.csr_array(
        (weights.data, used[weights.indices], weights.indptr),
        shape=(n_rows, training.n_nodes),
    )
