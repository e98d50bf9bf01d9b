"""The learning stages in their order: from neighbors to the stored labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from knngraph.graph.candidates import SameClass, nearest_of_same_class
from knngraph.graph.consensus import Consensus, vote
from knngraph.graph.density import (
    extremes,
    inverse_distances,
    normalized_density,
    penalty_fractions,
)
from knngraph.graph.full_support import represent_fully
from knngraph.graph.kernel import (
    CompositeKernel,
    median_bandwidth,
    neighbors_bandwidth,
)
from knngraph.graph.neighbors import Neighbors
from knngraph.graph.representation import (
    Problem,
    Representation,
    represent_locally,
)
from knngraph.graph.training_set import TrainingSet
from knngraph.progress import stage


@dataclass(frozen=True)
class GraphSettings:
    """The parameters of the learning stages, named as on the classifier."""

    max_neighbors: int
    density_scales: Sequence[int]
    penalty_min: float
    penalty_max: float
    label_weight: float
    label_discount: float
    bandwidth: float | str
    nugget: float
    self_weight: float
    positive: bool
    max_iter: int
    tol: float


@dataclass(frozen=True)
class LearnedGraph:
    """Results of the learning stages, by pair.

    Parameters
    ----------
    problem : Problem
    same_class : SameClass
        Candidates of the same class, beside the nearest.
    representation : Representation
    consensus : Consensus
    extremes : tuple of ndarray of shape (n_scales,)
        Of the density, smallest and largest; empty where the problem was given.
    """

    problem: Problem
    same_class: SameClass
    representation: Representation
    consensus: Consensus
    extremes: tuple[np.ndarray, ...] = ()


def learn_graph(
    training: TrainingSet,
    neighbors: Neighbors,
    settings: GraphSettings,
    *,
    exact: bool,
    seed: int = 0,
    n_threads: int = 1,
    verbose: int = 0,
) -> LearnedGraph:
    """Run density, penalty, kernel, representation and consensus.

    Parameters
    ----------
    neighbors : Neighbors
        At least `max_neighbors` and the largest density scale, where there are
        as many.
    exact : bool
        Whether the representation is certified against all rows.
    """
    problem, ends = graph_problem(training, neighbors, settings)
    same_class = nearest_of_same_class(
        training,
        neighbors,
        settings.max_neighbors,
        same_class_quota(settings.max_neighbors),
        seed=seed,
        n_threads=n_threads,
    )
    represent = represent_fully if exact else represent_locally
    with stage("learning neighbors", training.n_pairs, verbose) as learning:
        representation = represent(
            training,
            neighbors,
            same_class,
            problem,
            settings.max_neighbors,
            n_threads=n_threads,
            advance=learning.advance,
        )
    consensus = vote(
        representation.weights,
        training.pair_code,
        training.n_classes,
        settings.self_weight,
        class_weight=training.class_weight,
    )
    return LearnedGraph(problem, same_class, representation, consensus, ends)


def learn_pairs(
    training: TrainingSet,
    neighbors: Neighbors,
    settings: GraphSettings,
    problem: Problem,
    pairs: np.ndarray,
    *,
    seed: int,
    n_threads: int,
) -> LearnedGraph:
    """Learn some pairs only, with a problem that is posed already.

    Parameters
    ----------
    training : TrainingSet
        Holds the candidates of the pairs.
    neighbors : Neighbors
        Of the nodes of the pairs at least.
    pairs : ndarray of shape (n,)

    Returns
    -------
    LearnedGraph
        Its representation and its consensus are those of `pairs`, in their order.
    """
    m = settings.max_neighbors
    same_class = nearest_of_same_class(
        training,
        neighbors,
        m,
        same_class_quota(m),
        pairs=pairs,
        seed=seed,
        n_threads=n_threads,
    )
    representation = represent_locally(
        training, neighbors, same_class, problem, m, pairs, n_threads=n_threads
    )
    consensus = vote(
        representation.weights,
        training.pair_code[pairs],
        training.n_classes,
        settings.self_weight,
        neighbor_codes=training.pair_code,
        class_weight=training.class_weight,
    )
    return LearnedGraph(problem, same_class, representation, consensus)


def same_class_quota(max_neighbors: int) -> int:
    """Candidates of the same class that every row needs.

    With half of all candidates a row finds its solution among them almost
    always: on Binalpha the objective is within 0.002 % of the one over all rows.
    """
    return max(1, max_neighbors // 2)


def graph_problem(
    training: TrainingSet, neighbors: Neighbors, settings: GraphSettings
) -> tuple[Problem, tuple[np.ndarray, np.ndarray]]:
    """Density, penalties and kernel: what the representation is learned with.

    Returns
    -------
    problem : Problem
    extremes : tuple of ndarray of shape (n_scales,)
        Of the density, smallest and largest.
    """
    inverse = inverse_distances(neighbors, settings.density_scales)
    ends = extremes(inverse)
    density = normalized_density(inverse, *ends)
    sigma = graph_bandwidth(training, neighbors, settings)
    return problem_with(training, density, sigma, settings), ends


def problem_with(
    training: TrainingSet, density: np.ndarray, sigma: float, settings: GraphSettings
) -> Problem:
    """The problem of given densities of the nodes and a given bandwidth.

    Where the votes of classes are weighed, neighbors are chosen by features alone:
    those that the label term prefers all vote for the label that the row has.
    """
    fractions = penalty_fractions(density, settings.penalty_min, settings.penalty_max)
    label_weight = settings.label_weight if training.class_weight is None else 0.0
    return Problem(
        kernel=CompositeKernel(sigma, label_weight, settings.label_discount),
        density=density[training.pair_node],
        fractions=fractions[training.pair_node],
        nugget=settings.nugget,
        positive=settings.positive,
        max_iter=settings.max_iter,
        tol=settings.tol,
    )


def graph_bandwidth(
    training: TrainingSet, neighbors: Neighbors, settings: GraphSettings
) -> float:
    """Bandwidth of the composite kernel in mapped units."""
    if settings.bandwidth == "median":
        return median_bandwidth(training.points)
    if settings.bandwidth == "neighbors":
        return neighbors_bandwidth(neighbors, settings.max_neighbors)
    return float(settings.bandwidth)


def graph_over_rows(training: TrainingSet, weights: Any) -> Any:
    """Spread weights between pairs to the rows the user gave.

    A neighbor that has copies is stood for by the first of them, and by the
    second where the first is the row itself. A row without a second has itself
    among its neighbors where it weighs more than one: the entry is on the diagonal.

    Parameters
    ----------
    weights : CSR array of shape (n_pairs, n_pairs)

    Returns
    -------
    CSR array of shape (n_rows, n_rows), sorted
    """
    first, second = training.rows_of_pairs()
    graph = weights[training.pair_of_row]
    rows = np.repeat(np.arange(training.n_rows), np.diff(graph.indptr))
    columns = first[graph.indices]
    own = columns == rows
    others = second[graph.indices[own]]
    columns[own] = np.where(others >= 0, others, columns[own])
    graph = sparse.csr_array(
        (graph.data, columns.astype(np.int32), graph.indptr.astype(np.int32)),
        shape=(training.n_rows, training.n_rows),
    )
    graph.sort_indices()
    return graph
