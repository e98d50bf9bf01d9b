"""What a predictor holds, and whether the parts of a loaded one fit together.

Compiled code follows the numbers of a model without looking, hnswlib too. A file with
right checksums can still hold wrong numbers, if it was made to: no such number may
lead out of an array.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from knngraph.exceptions import SavedModelError
from knngraph.graph.training_set import TrainingSet
from knngraph.index.exact import ExactIndex
from knngraph.index.medoids import MOST_UNLINKED, MedoidSearch
from knngraph.inference.adaptive import LabelReliability, QueryProblem
from knngraph.inference.calibration import Calibration
from knngraph.inference.cascade import CascadeRule
from knngraph.inference.novelty import Novelty
from knngraph.inference.query_model import PredictOptions, QueryModel
from knngraph.inference.set_scores import SetScores
from knngraph.inference.stored import StoredAnswers
from knngraph.metric.forest import ForestMap
from knngraph.missing import Missing
from knngraph.prepared.steps import ELEMENTWISE, KINDS, Preparation, Step
from knngraph.serving.description import Description
from knngraph.space import Space
from knngraph.sparse_rows import is_sparse

_METRICS = ("euclidean", "cosine", "learned", "trees", "trees, learned")


@dataclass(frozen=True)
class PredictorState:
    """A model that answers one way.

    Parameters
    ----------
    model : QueryModel
        Without the rows behind the nodes, which only fit and inspection read.
    options : PredictOptions
    classes : ndarray of shape (n_classes,)
    n_features : int
    names : ndarray of str or None
        Names of the columns, where fit has seen any.
    label_ef : int
        Smallest `ef` whose labels agree with exact search often enough.
    description : Description or None, default=None
        None in files of earlier releases.
    row_names : ndarray of shape (n_pairs,) or None, default=None
        For every distinct row and label the number of its first training row, or the
        id that the user gave it; see `row_names`.
    """

    model: QueryModel
    options: PredictOptions
    classes: np.ndarray
    n_features: int
    names: np.ndarray | None
    label_ef: int
    description: Description | None = None
    row_names: np.ndarray | None = None


def without_rows(model: QueryModel) -> QueryModel:
    """The model without what no answer needs; arrays are shared, not copied."""
    empty = np.empty(0, dtype=np.intp)
    training = replace(
        model.training,
        node_of_row=empty,
        codes=empty,
        pair_of_row=empty,
        row_weight=None,
    )
    return replace(model, training=training)


def row_names(training: TrainingSet, ids: np.ndarray | None) -> np.ndarray:
    """Ids of the first row of every pair, or its number where some have no id."""
    first = training.rows_of_pairs()[0]
    if ids is not None:
        given = ids[first].tolist()
        for kind in (int, str):
            if all(type(one) is kind for one in given):
                return np.array(given)
    return first


def checked_state(state: Any) -> PredictorState:
    """Refuse a model whose parts do not fit together.

    Returns the same, which came out of a file.
    """
    _require(isinstance(state, PredictorState), "it is no predictor")
    model, options = state.model, state.options
    _require(isinstance(model, QueryModel), "it has no model")
    _require(isinstance(options, PredictOptions), "it has no options")
    n_classes = model.training.n_classes
    _check_array(state.classes, "classes", "biufUO", (n_classes,))
    _require(type(state.n_features) is int, "it has no number of features")
    _require(type(state.label_ef) is int, "it has no ef for labels")
    if state.names is not None:
        _check_array(state.names, "names", "OU", (state.n_features,))
    if state.description is not None:
        _check_description(state.description, n_classes)
    if state.row_names is not None:
        shape = model.training.pair_node.shape
        _check_array(state.row_names, "names of rows", "iU", shape)
    _check_space(model.space, state.n_features)
    n_mapped = model.space.n_mapped(state.n_features)
    _check_training(model.training, n_mapped, model.space.dtype)
    known = options.inference in ("lookup", "adaptive", "cascade")
    _require(known, "its inference is new")
    _require(isinstance(model.problem, QueryProblem), "it has no problem for queries")
    problem = model.problem
    for number in (problem.sigma, problem.nugget, problem.penalty):
        valid = type(number) in (int, float) and 0 <= number < 2.0**512
        _require(valid, f"its problem for queries has {number}")
    for count in (options.ef, options.n_threads, model.problem.n_neighbors):
        _require(type(count) is int and count > 0, f"it has {count} as a count")
    if options.inference != "adaptive":
        _check_stored(model.stored, model.training, options.inference)
    _check_reliability(model.reliability, model.training)
    if options.inference == "cascade":
        _check_rule(model.rule)
    _require(isinstance(model.calibration, Calibration), "it is not calibrated")
    for number in vars(model.calibration).values():
        valid = type(number) is float and 0.0 < number < np.inf
        _require(valid, f"it is calibrated by {number}")
    if model.novelty is not None:
        _check_novelty(model.novelty, n_classes)
    if model.sets is not None:
        _check_sets(model.sets, model.training)
    n_nodes = model.training.n_nodes
    if isinstance(model.index, MedoidSearch):
        _check_graph(model.index, model.training)
    if isinstance(model.index, ExactIndex):
        same = model.index.points is model.training.points
        _require(same, "its index holds other points")
    found = getattr(model.index, "numbers", np.arange(model.index.n_points))
    same = np.array_equal(found, np.arange(n_nodes))
    _require(same, "its index holds other points")
    return state


def _check_description(description: Any, n_classes: int) -> None:
    _require(isinstance(description, Description), "its description is unknown")
    counts = description.class_counts
    _check_array(counts, "rows of classes", "i", (n_classes,))


def _check_training(training: TrainingSet, n_features: int, dtype: np.dtype) -> None:
    n_nodes, n_pairs = len(training.points), len(training.pair_node)
    _require(n_nodes > 0, "it has no rows")
    _require(training.points.dtype == dtype, f"its rows are not {dtype}")
    _check_array(training.points, "rows", "f", (n_nodes, n_features))
    for name in ("pair_node", "pair_code"):
        pairs = getattr(training, name)
        _require(pairs.dtype == np.intp, f"{name} is {pairs.dtype}")
        _check_array(pairs, name, "i", (n_pairs,))
    steps = np.diff(training.pair_node, prepend=-1, append=n_nodes)
    _require(bool(((steps == 0) | (steps == 1)).all()), "its rows are out of order")
    _require(steps[0] == 1 and steps[-1] == 1, "its rows are out of order")
    _check_codes(training.pair_code, training.n_classes)
    _check_weights(training.pair_weight, (n_pairs,))
    if training.class_weight is not None:
        _check_weights(training.class_weight, (training.n_classes,))


def _check_weights(weights: np.ndarray, shape: tuple[int, ...]) -> None:
    _check_array(weights, "weights", "f", shape)
    _require(weights.dtype == np.float64, f"its weights are {weights.dtype}")
    # One comparison more would let NaN pass.
    valid = weights.min() > 0 and weights.max() < np.inf
    _require(bool(valid), "a weight is wild")


def _check_space(space: Space, n_features: int) -> None:
    _require(space.metric in _METRICS, "its metric is new")
    _require(space.precision in ("single", "double"), "its precision is new")
    _require(type(space.scale) is float and space.scale > 0, "it has no scale")
    if space.prepared is not None:
        _check_prepared(space.prepared, n_features)
    n_prepared = space.n_prepared(n_features)
    if space.missing is not None:
        _check_missing(space.missing, n_prepared)
    if space.center is not None:
        _check_array(space.center, "center", "f", (space.n_filled(n_features),))
    with_trees = space.metric.startswith("trees")
    _require((space.trees is not None) == with_trees, "its trees are not its metric")
    if space.trees is not None:
        _check_forest(space.trees, n_prepared)
    if space.linear is not None:
        n_mapped = space.n_mapped(n_features)
        _check_array(space.linear, "map", "f", (n_mapped, n_mapped))


def _check_prepared(prepared: Any, n_columns: int) -> None:
    _require(isinstance(prepared, Preparation), "its steps are unknown")
    _require(isinstance(prepared.steps, tuple), "its steps are unknown")
    for step in prepared.steps:
        _require(isinstance(step, Step) and step.kind in KINDS, "a step is unknown")
        n = _length(step.values)
        if step.kind in ("flag", "select"):
            _check_array(step.values, f"columns of {step.kind}", "i", (n,))
            _check_codes(step.values, n_columns)
        elif step.kind == "project":
            shape = (n_columns, _length(step.values.T))
            _check_array(step.values, "a matrix", "f", shape)
            whole = step.values.dtype == np.float64 and step.values.flags.c_contiguous
            _require(whole and step.values.size > 0, "a matrix is wild")
        else:
            _check_array(step.values, f"values to {step.kind}", "f", (n_columns,))
        known = step.kind not in ELEMENTWISE or not np.isnan(step.values).any()
        _require(known, "a value of a step is no number")
        n_columns = step.n_outputs(n_columns)


def _check_missing(missing: Any, n_features: int) -> None:
    _require(isinstance(missing, Missing), "what it fills in is unknown")
    _check_array(missing.medians, "medians", "f", (n_features,))
    n_indicators = _length(missing.columns)
    _check_array(missing.columns, "columns of indicators", "i", (n_indicators,))
    _check_array(missing.sizes, "sizes of indicators", "f", (n_indicators,))
    if n_indicators:
        _check_codes(missing.columns, n_features)
    for numbers in (missing.medians, missing.sizes):
        _require(bool(np.isfinite(numbers).all()), "what it fills in is not finite")


def _check_forest(forest: Any, n_features: int) -> None:
    _require(isinstance(forest, ForestMap), "its trees are of a new kind")
    n_nodes, n_trees = _length(forest.feature), _length(forest.roots)
    n_values, n_targets = _length(forest.values), _length(forest.values.T)
    for name, dtype, shape in (
        ("center", np.float64, (n_features,)),
        ("scale", np.float64, (n_features,)),
        ("feature", np.int32, (n_nodes,)),
        ("threshold", np.float32, (n_nodes,)),
        ("right", np.int32, (n_nodes,)),
        ("missing_left", np.bool_, (n_nodes,)),
        ("roots", np.int32, (n_trees,)),
        ("values", np.float32, (n_values, n_targets)),
        ("salts", np.uint64, (n_trees,)),
        ("grown_from", np.uint64, (_length(forest.grown_from),)),
    ):
        array = getattr(forest, name)
        _check_array(array, f"{name} of its trees", np.dtype(dtype).kind, shape)
        _require(array.dtype == dtype, f"{name} of its trees is {array.dtype}")
    _require(n_trees > 0 and n_nodes > 0 and n_targets > 0, "it has no trees")
    scaled = np.isfinite(forest.scale).all() and (forest.scale > 0.0).all()
    _require(bool(scaled), "a scale of its trees is wild")
    ascending = (forest.grown_from[1:] > forest.grown_from[:-1]).all()
    known = len(forest.grown_from) > 0 and forest.seed >= 0
    _require(bool(ascending and known), "its hashes are wild")
    feature, right, roots = forest.feature, forest.right, forest.roots
    _require(feature.min() >= -1 and feature.max() < n_features, "a column is wild")
    _require(roots.min() >= 0 and roots.max() < n_nodes, "a root is wild")
    inner = np.flatnonzero(feature >= 0)
    # Both children come after their parent, so that every path ends. The last node
    # has none then.
    inside = (right[inner] > inner).all() and (right[inner] < n_nodes).all()
    _require(bool(inside), "a child is wild")
    leaves = right[feature < 0]
    _require(leaves.min() >= 0 and leaves.max() < n_values, "a leaf is wild")


def _check_stored(stored: Any, training: TrainingSet, inference: str) -> None:
    _require(isinstance(stored, StoredAnswers), "it has no stored labels")
    n_nodes, n_classes = training.n_nodes, training.n_classes
    _require(stored.codes.dtype == np.intp, f"its labels are {stored.codes.dtype}")
    _check_array(stored.codes, "labels", "i", (n_nodes,))
    _check_codes(stored.codes, n_classes)
    if inference == "cascade":
        _require(stored.shares is None, "a cascade reads no shares")
    elif is_sparse(stored.shares):
        shape = stored.shares.shape
        _require(shape == (n_nodes, n_classes), "its shares are of another shape")
    else:
        _check_array(stored.shares, "shares", "f", (n_nodes, n_classes))


def _check_graph(walk: MedoidSearch, training: TrainingSet) -> None:
    n_points, n_features = training.points.shape
    _require(walk.points is training.points, "its graph is over other rows")
    n_deleted, width = _length(walk.deleted), _length(walk.links.T)
    _require(walk.deleted.dtype == np.float32, "its deleted are not float32")
    _check_array(walk.deleted, "deleted", "f", (n_deleted, n_features))
    _require(walk.links.dtype == np.int32, "its links are not int32")
    _check_array(walk.links, "links", "i", (n_points + n_deleted, width))
    _require(width > 0 and walk.links.min() >= -1, "a link is wild")
    _require(walk.links.max() < n_points + n_deleted, "a link is wild")
    _require(walk.entries.dtype == np.int32, "its entries are not int32")
    n_groups, most = _length(walk.entries), _length(walk.entries.T)
    _check_array(walk.entries, "entries", "i", (n_groups, most))
    _require(n_groups > 0 and most > 0, "it starts nowhere")
    inside = walk.entries.min() >= -1 and walk.entries.max() < n_points
    _require(bool(inside and walk.entries[:, 0].min() >= 0), "an entry is wild")
    _require(walk.unlinked.dtype == np.int32, "its unlinked are not int32")
    n_unlinked = min(_length(walk.unlinked), MOST_UNLINKED)
    _check_array(walk.unlinked, "unlinked", "i", (n_unlinked,))
    inside = (
        not n_unlinked or 0 <= walk.unlinked.min() <= walk.unlinked.max() < n_points
    )
    _require(bool(inside), "an unlinked point is wild")
    _require(walk.centers.dtype == np.float32, "its centers are not float32")
    _check_array(walk.centers, "centers", "f", (n_groups, n_features))


def _check_rule(rule: Any) -> None:
    _require(isinstance(rule, CascadeRule), "the rule of its cascade is unknown")
    n, fall = rule.n_agree, rule.sharpness
    _require(type(n) is int and 0 < n < 2**31, f"{n} nodes have to agree")
    _require(type(rule.threshold) is float, "it has no threshold")
    sharp = type(fall) is float and 0.0 <= fall < np.inf
    _require(sharp, f"votes of its margins fall by {fall}")


def _check_sets(sets: Any, training: TrainingSet) -> None:
    _require(isinstance(sets, SetScores), "its prediction sets are of a new kind")
    n_pairs = _length(sets.pairs)
    _check_array(sets.pairs, "pairs of its sets", "i", (n_pairs,))
    _require(sets.pairs.dtype == np.intp, "pairs of its sets are of another type")
    ascending = bool((np.diff(sets.pairs) > 0).all())
    _require(ascending, "pairs of its sets are out of order")
    if n_pairs:
        _check_codes(sets.pairs, len(training.pair_code))
    _check_array(sets.keys, "scores of its sets", "u", (n_pairs,))
    _require(sets.keys.dtype == np.uint64, "scores of its sets are of another type")
    _require(0 <= sets.n_drawn <= n_pairs, "the sample of its sets is wild")
    shape = training.n_classes, training.points.shape[1]
    _check_array(sets.means, "means of its classes", "f", shape)
    _require(bool(np.isfinite(sets.means).all()), "a mean of its classes is wild")


def _check_reliability(reliability: Any, training: TrainingSet) -> None:
    if reliability is None:
        return
    known = isinstance(reliability, LabelReliability)
    _require(known, "the reliability of its labels is unknown")
    for number in (reliability.doubt, reliability.nugget_factor):
        valid = type(number) is float and number >= 0
        _require(valid, f"it has {number} as doubt or nugget factor")
    shape = training.pair_code.shape
    _check_array(reliability.own, "reliabilities", "f", shape)
    dtype = reliability.own.dtype
    _require(dtype == np.float64, f"its reliabilities are {dtype}")
    _check_array(reliability.rival, "rivals", "i", shape)
    dtype = reliability.rival.dtype
    _require(dtype == np.int32, f"its rivals are {dtype}")
    _check_codes(reliability.rival, training.n_classes)


def _check_novelty(novelty: Any, n_classes: int) -> None:
    known = isinstance(novelty, Novelty)
    _require(known, "the distances of its left-out rows are unknown")
    n_left_out = _length(novelty.scores)
    for name, array, n in (
        ("scales", novelty.scales, n_classes + 1),
        ("left-out distances", novelty.scores, n_left_out),
        ("left-out weights", novelty.weights, n_left_out),
    ):
        _check_array(array, name, "f", (n,))
        within = (array >= 0.0) & (array < np.inf)  # NaN is not
        _require(bool(within.all()), f"one of its {name} is wild")
    _require(bool((novelty.scales > 0.0).all()), "one of its scales is zero")
    _check_array(novelty.codes, "left-out classes", "i", (n_left_out,))
    if n_left_out:
        _check_codes(novelty.codes + 1, n_classes + 1)


def _length(array: np.ndarray) -> int:
    return array.shape[0] if array.ndim else 0


def _check_codes(codes: np.ndarray, n: int) -> None:
    _require(len(codes) > 0 and codes.min() >= 0 and codes.max() < n, "a code is wild")


def _check_array(array: Any, name: str, kinds: str, shape: tuple[int, ...]) -> None:
    _require(isinstance(array, np.ndarray), f"{name} is no array")
    _require(array.dtype.kind in kinds, f"{name} is {array.dtype}")
    _require(array.shape == shape, f"{name} has shape {array.shape} for {shape}")


def _require(condition: bool, problem: str) -> None:
    if not condition:
        raise SavedModelError(
            f"The saved model does not hold together: {problem}. It was not written by "
            "this release of knngraph; save it again."
        )
