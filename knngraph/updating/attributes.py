"""Fitted attributes of the classifier, brought from pairs to the rows of the user."""

from typing import Any

import numpy as np

from knngraph.graph.learn import graph_over_rows
from knngraph.updating.model import LearningModel

# What `learned_attributes` gives, by the names it has on the estimator.
LEARNED = frozenset(
    {
        "graph_",
        "n_neighbors_",
        "density_",
        "lambda_max_",
        "penalty_",
        "bandwidth_",
        "query_bandwidth_",
        "label_distribution_",
        "labels_",
        "margin_",
        "relabeled_",
        "optimality_gap_",
        "objective_path_",
        "n_iter_",
        "loo_score_",
        "decided_",
        "_model",
        "_left_out",
        "_rows",
    }
)


def learned_attributes(model: LearningModel, classes: np.ndarray) -> dict[str, Any]:
    """Everything that is learned from the rows of a model.

    Parameters
    ----------
    model : LearningModel
    classes : ndarray of shape (n_classes,)

    Returns
    -------
    dict
        A value for every name in `LEARNED`.
    """
    training, learned, answering = model.training, model.learned, model.answering
    pair = training.pair_of_row
    problem, representation = learned.problem, learned.representation
    consensus = learned.consensus
    graph = graph_over_rows(training, representation.weights)
    lambda_max = representation.lambda_max[pair]
    return {
        "graph_": graph,
        "n_neighbors_": np.diff(graph.indptr),
        "density_": problem.density[pair],
        "lambda_max_": lambda_max,
        "penalty_": problem.fractions[pair] * lambda_max,
        "bandwidth_": problem.kernel.sigma * model.space.scale,
        "query_bandwidth_": model.query_bandwidth,
        "label_distribution_": consensus.distribution[pair],
        "labels_": classes[consensus.codes[pair]],
        "margin_": consensus.margin[pair],
        "relabeled_": np.flatnonzero(consensus.codes[pair] != training.codes),
        "optimality_gap_": representation.gaps[pair],
        "objective_path_": representation.objective_path,
        "n_iter_": max(1, int(representation.n_iter.max())),
        "loo_score_": answering.left_out.score,
        "decided_": answering.decided[pair],
        "_model": answering.model,
        "_left_out": answering.left_out,
        "_rows": model.learned_rows(),
    }
