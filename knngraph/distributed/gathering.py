"""A fitted model from the cluster as a plain classifier, where it fits."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from scipy import sparse

from knngraph.classifier import KNNGraphClassifier
from knngraph.distributed.fitting import sizes_of_sample
from knngraph.distributed.layout import Layout
from knngraph.distributed.learning import Globals, Learned, join_learned
from knngraph.distributed.partition import Partition, ranges
from knngraph.distributed.predicting import DistributedModel
from knngraph.distributed.surroundings import lists_of
from knngraph.distributed.tasks import compute, task
from knngraph.distributed.trusting import Chosen
from knngraph.graph.candidates import SameClass
from knngraph.graph.consensus import DENSE_DISTRIBUTION_LIMIT, Consensus
from knngraph.graph.density import normalized_density
from knngraph.graph.learn import LearnedGraph, problem_with
from knngraph.graph.neighbors import Neighbors
from knngraph.graph.representation import Representation
from knngraph.graph.training_set import TrainingSet, build_training_set
from knngraph.index.build import build_index
from knngraph.inference.adaptive import LabelTrust, QueryProblem
from knngraph.inference.candidates import others_around
from knngraph.inference.deciding import decided_left_out
from knngraph.inference.learn import LearnedModel, label_beam, node_beam
from knngraph.inference.leave_one_out import LeaveOneOut
from knngraph.inference.model import FittedModel
from knngraph.inference.stored import StoredAnswers
from knngraph.metric.choose_directions import MAX_DIRECTIONS
from knngraph.updating.model import LearningModel
from knngraph.updating.state import SearchedRows

# Fields of `Learned` that are not arrays with one entry a pair.
_OTHER_FIELDS = ("density", "weights", "path", "distribution")


@dataclass(frozen=True)
class LocalParts:
    """What a plain classifier needs beside the fitted partitions.

    Parameters
    ----------
    partitions, around, learned : list of Delayed
        Persisted.
    everything : Globals
    exact : bool
        Whether the candidates are those of an exact search.
    seed : int
    lens : Delayed or None
        Persisted.
    """

    partitions: list[Any]
    around: list[Any]
    learned: list[Any]
    everything: Globals
    exact: bool
    seed: int
    lens: Any


@dataclass(frozen=True)
class Gathered:
    """All partitions in one place, numbered as on one machine.

    Parameters
    ----------
    training : TrainingSet
    neighbors : Neighbors
    inverse : ndarray of shape (n_nodes, n_scales)
    learned : Learned
        Without densities.
    pair_numbers : ndarray of shape (n_pairs,)
        Of its pairs, among those of all partitions.
    """

    training: TrainingSet
    neighbors: Neighbors
    inverse: np.ndarray
    learned: Learned
    pair_numbers: np.ndarray


def check_size(model: DistributedModel, parts: LocalParts, max_bytes: int) -> None:
    """Refuse to gather a model that would not fit."""
    layout, settings = model.layout, parts.everything.settings
    n_rows = int(layout.n_rows.sum())
    # Points, the index with its own, neighbors, learned weights; then shares.
    of_row = 8 * layout.n_features + 160 + 16 * settings.max_neighbors + 100
    if parts.lens is not None:  # twice as many neighbors, and rows along four lenses
        of_row += 12 * settings.max_neighbors + 16 * MAX_DIRECTIONS
    n_bytes = n_rows * (of_row + 8 * min(len(model.classes), 10))
    if n_bytes > max_bytes:
        raise ValueError(
            f"The fitted model of {n_rows} rows would take about "
            f"{n_bytes / 2**30:.2f} GiB in this process; the limit is "
            f"{max_bytes / 2**30:.2f} GiB. Raise max_bytes, or predict on the cluster."
        )


def local_model(
    classifier: KNNGraphClassifier,
    model: DistributedModel,
    parts: LocalParts,
    loo_score: float,
    *,
    n_threads: int,
) -> LearningModel:
    """The model that a plain classifier of these settings would have learned.

    The index over all rows is built here.
    """
    everything, space = parts.everything, model.space
    gathered = _gather(model, parts)
    training, neighbors = gathered.training, gathered.neighbors
    scales = list(everything.settings.density_scales)
    n_listed = max(classifier._neighbors_needed(training.n_nodes), *scales)
    recipe = classifier._recipe_of(scales, space, neighbors, n_listed, parts.seed)
    graph = _learned_graph(gathered, everything)
    problem = everything.query
    if parts.lens is not None:
        (lens,) = compute(parts.lens)
        problem = lens.before(problem, training.points, gathered.pair_numbers)
    index, probe = build_index(
        training.points,
        M=recipe.M,
        ef_construction=recipe.ef_construction,
        seed=recipe.seed,
        walk=recipe.walk,
        n_threads=recipe.build_threads(n_threads),
        verbose=classifier.verbose,
    )
    stored = StoredAnswers.from_consensus(training, graph.consensus)
    thresholds = model.thresholds
    fitted = FittedModel(
        space=space,
        training=training,
        index=index,
        stored=stored,
        probe=probe,
        label_beam=label_beam(probe, stored),
        node_beam=node_beam(probe, training, everything.query.n_neighbors),
        calibration=thresholds.calibration,
        decisions=thresholds.decisions,
        trust=_label_trust(gathered.learned, thresholds.chosen),
        lens=problem.lens,
    )
    answering = LearnedModel(
        fitted,
        _left_out(gathered, model, loo_score),
        _decided(gathered, fitted, problem),
    )
    rows = SearchedRows(
        space, training, None, index, probe, neighbors, parts.exact, solved=None
    )
    found = LearningModel(rows, recipe, n_threads, classifier.verbose)
    found.know(problem, graph, answering)
    return found


def _learned_graph(gathered: Gathered, everything: Globals) -> LearnedGraph:
    training, learned = gathered.training, gathered.learned
    density = normalized_density(gathered.inverse, everything.low, everything.high)
    problem = problem_with(training, density, everything.sigma, everything.settings)
    representation = Representation(
        learned.weights,
        learned.gaps,
        learned.lambda_max,
        learned.n_iter,
        learned.path / training.n_pairs,
    )
    distribution = learned.distribution
    if training.n_pairs * int(training.n_classes) <= DENSE_DISTRIBUTION_LIMIT:
        distribution = distribution.toarray()
    # Whoever solves a problem again searches for the own class again.
    nobody = SameClass(
        np.full(training.n_pairs, -1, dtype=np.intp), np.empty((0, 1), dtype=np.intp)
    )
    consensus = Consensus(distribution, learned.codes, learned.margin)
    return LearnedGraph(problem, nobody, representation, consensus)


def _label_trust(learned: Learned, chosen: Chosen | None) -> LabelTrust | None:
    if chosen is None:
        return None
    own = np.ones(len(learned.codes))
    if chosen.noise > 0.0:
        own = chosen.belief(learned)[:, 0]
    return LabelTrust(own, learned.rival_code, chosen.noise, chosen.nugget_factor)


def _left_out(gathered: Gathered, model: DistributedModel, score: float) -> LeaveOneOut:
    learned = gathered.learned
    return LeaveOneOut(
        learned.right,
        learned.own_share,
        learned.rival_code,
        learned.rival_share,
        model.thresholds.calibration.adaptive,
        score,
    )


def _decided(
    gathered: Gathered, fitted: FittedModel, problem: QueryProblem
) -> np.ndarray:
    training, neighbors = gathered.training, gathered.neighbors
    ids, _ = others_around(training, neighbors, np.arange(training.n_pairs), 1)
    if not ids.shape[1]:
        return np.ones(training.n_pairs, dtype=bool)
    return decided_left_out(
        training,
        neighbors,
        problem,
        fitted.stored.codes[ids[:, 0]],
        fitted.decisions,
    )


def _gather(model: DistributedModel, parts: LocalParts) -> Gathered:
    offsets, n = model.layout.offsets, len(parts.partitions)
    some = [task(lists_of, part, name="lists") for part in parts.around]
    gathered = compute(*parts.partitions, *parts.learned, *some)
    partitions, learned, lists = gathered[:n], gathered[n : 2 * n], gathered[2 * n :]
    n_classes = len(model.classes)
    old_node, old_pair, points, codes = _rows_of(partitions, offsets)
    # Numbered anew, as whatever comes later expects it.
    training = build_training_set(
        points, codes, n_classes, parts.seed, place_of_row=old_node
    )
    node_was, node_now = _renumbering(training.node_of_row, old_node, len(points))
    n_pairs = int(offsets.pairs[-1])
    pair_was, pair_now = _renumbering(training.pair_of_row, old_pair, n_pairs)
    ids, squared, inverse = (np.concatenate(part)[node_was] for part in zip(*lists))
    joined = join_learned(list(learned), n_classes, n_pairs)
    _answer_sample(joined, model.layout, parts.everything, model.thresholds.right)
    return Gathered(
        training,
        Neighbors(node_now[ids].astype(np.int32), squared, training.node_counts()),
        inverse,
        _renumber_learned(joined, pair_was, pair_now),
        pair_was,
    )


def _answer_sample(
    learned: Learned, layout: Layout, everything: Globals, right: np.ndarray
) -> None:
    """Pairs of the sample were answered with what is believed of the labels."""
    sizes = sizes_of_sample(layout, everything)
    learned.right[ranges(layout.offsets.pairs[:-1], sizes)] = right


def _rows_of(
    partitions: tuple[Partition, ...], offsets: Any
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Node, pair and class of every row in the order of the user, and all points."""
    in_order = np.argsort(np.concatenate([part.numbers for part in partitions]))
    trainings = [part.training for part in partitions]
    nodes = [t.node_of_row + f for t, f in zip(trainings, offsets.nodes)]
    pairs = [t.pair_of_row + f for t, f in zip(trainings, offsets.pairs)]
    codes = [t.codes for t in trainings]
    return (
        np.concatenate(nodes)[in_order],
        np.concatenate(pairs)[in_order],
        np.concatenate([t.points for t in trainings]),
        np.concatenate(codes)[in_order],
    )


def _renumbering(
    of_row: np.ndarray, old_of_row: np.ndarray, n: int
) -> tuple[np.ndarray, np.ndarray]:
    """Old number of every new one, and new of every old."""
    was, now = np.empty(n, dtype=np.intp), np.empty(n, dtype=np.intp)
    was[of_row], now[old_of_row] = old_of_row, of_row
    return was, now


def _renumber_learned(learned: Learned, was: np.ndarray, now: np.ndarray) -> Learned:
    values = {field.name: getattr(learned, field.name) for field in fields(Learned)}
    for name in values.keys() - set(_OTHER_FIELDS):
        values[name] = values[name][was]
    weights = learned.weights[was]
    weights = sparse.csr_array(
        (weights.data, now[weights.indices].astype(np.int32), weights.indptr),
        shape=weights.shape,
    )
    weights.sort_indices()
    values |= {"weights": weights, "distribution": learned.distribution[was]}
    return Learned(**values)
