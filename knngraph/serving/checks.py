"""Whether the parts of a loaded model fit together.

Compiled code and hnswlib follow the numbers of a model without looking. A file with
right checksums can still hold wrong numbers, if it was made to: no such number may
lead out of an array.
"""

from typing import Any

import numpy as np

from knngraph.exceptions import SavedModelError
from knngraph.graph.training_set import TrainingSet
from knngraph.index.medoids import MedoidWalk
from knngraph.inference.adaptive import LabelTrust
from knngraph.inference.cascade import Decisions
from knngraph.inference.model import FittedModel, Reading
from knngraph.lens import Lens
from knngraph.serving.served import Served
from knngraph.space import Space, is_sparse


def check_served(served: Any) -> Served:
    """Refuse a model whose parts do not fit together.

    Parameters
    ----------
    served : object
        As it came out of a file.

    Returns
    -------
    Served
        The same.
    """
    _require(isinstance(served, Served), "it is no predictor")
    model, reading = served.model, served.reading
    _require(isinstance(model, FittedModel), "it has no model")
    _require(isinstance(reading, Reading), "it has no reading")
    n_classes = model.training.n_classes
    _check_array(served.classes, "classes", "biufUO", (n_classes,))
    _require(type(served.n_features) is int, "it has no number of features")
    if served.names is not None:
        _check_array(served.names, "names", "OU", (served.n_features,))
    _check_training(model.training, served.n_features)
    _check_space(model.space, served.n_features)
    _check_nodes(model)
    _check_trust(model.trust, model.training)
    _check_decisions(model.decisions)
    _check_reading(reading)
    _check_lens(reading.problem.lens, model.training)
    _require(model.lens is None, "it has two lenses")
    n_nodes = model.training.n_nodes
    if isinstance(model.index, MedoidWalk):
        _check_walk(model.index, model.training)
    found = getattr(model.index, "numbers", np.arange(model.index.n_points))
    same = np.array_equal(found, np.arange(n_nodes))
    _require(same, "its index holds other points")
    if served.distribution is None:
        _require(reading.inference == "adaptive", "it has no shares of the vote")
    elif is_sparse(served.distribution):
        shape = served.distribution.shape
        _require(shape == (n_nodes, n_classes), "its shares are of another shape")
    else:
        _check_array(served.distribution, "shares", "f", (n_nodes, n_classes))
    return served


def _check_training(training: TrainingSet, n_features: int) -> None:
    n_nodes, n_pairs = len(training.points), len(training.pair_node)
    _require(n_nodes > 0, "it has no rows")
    _require(training.points.dtype == np.float32, "its rows are not float32")
    _check_array(training.points, "rows", "f", (n_nodes, n_features))
    for name in ("pair_node", "pair_code", "pair_count"):
        pairs = getattr(training, name)
        _require(pairs.dtype == np.intp, f"{name} is {pairs.dtype}")
        _check_array(pairs, name, "i", (n_pairs,))
    steps = np.diff(training.pair_node, prepend=-1, append=n_nodes)
    _require(bool(((steps == 0) | (steps == 1)).all()), "its rows are out of order")
    _require(steps[0] == 1 and steps[-1] == 1, "its rows are out of order")
    _check_codes(training.pair_code, training.n_classes)
    _require(training.pair_count.min() > 0, "it counts no copies")


def _check_space(space: Space, n_features: int) -> None:
    _require(space.metric in ("euclidean", "cosine", "learned"), "its metric is new")
    _require(type(space.scale) is float and space.scale > 0, "it has no scale")
    if space.center is not None:
        _check_array(space.center, "center", "f", (n_features,))
    if space.linear is not None:
        _check_array(space.linear, "map", "f", (n_features, n_features))


def _check_nodes(model: FittedModel) -> None:
    n_nodes = model.training.n_nodes
    for name, dtype, nodes in (
        ("labels", np.intp, model.stored.codes),
        ("places", np.intp, model.stored.row_of_node),
    ):
        _require(nodes.dtype == dtype, f"its {name} are {nodes.dtype}")
        _check_array(nodes, name, "if", (n_nodes,))
    _check_codes(model.stored.codes, model.training.n_classes)
    _check_codes(model.stored.row_of_node, n_nodes)
    _require(model.stored.average is None, "it averages rows that it has not")


def _check_walk(walk: MedoidWalk, training: TrainingSet) -> None:
    n_points, n_features = training.points.shape
    _require(walk.points is training.points, "its walk is over other rows")
    n_stations, width = _length(walk.stations), _length(walk.links.T)
    _require(walk.stations.dtype == np.float32, "its stations are not float32")
    _check_array(walk.stations, "stations", "f", (n_stations, n_features))
    _require(walk.links.dtype == np.int32, "its links are not int32")
    _check_array(walk.links, "links", "i", (n_points + n_stations, width))
    _require(width > 0 and walk.links.min() >= -1, "a link is wild")
    _require(walk.links.max() < n_points + n_stations, "a link is wild")
    _require(walk.entries.dtype == np.int32, "its entries are not int32")
    _check_array(walk.entries, "entries", "i", (_length(walk.entries),))
    _check_codes(walk.entries, n_points)


def _check_decisions(decisions: Any) -> None:
    _require(isinstance(decisions, Decisions), "it decides in an unknown way")
    n, fall = decisions.n_unanimous, decisions.sharpness
    _require(type(n) is int and 0 < n < 2**31, f"{n} nodes settle its answers")
    _require(type(decisions.threshold) is float, "it has no threshold")
    sharp = type(fall) is float and 0.0 <= fall < np.inf
    _require(sharp, f"votes of its margins fall by {fall}")


def _check_trust(trust: Any, training: TrainingSet) -> None:
    if trust is None:
        return
    _require(isinstance(trust, LabelTrust), "its trust is unknown")
    for number in (trust.noise, trust.nugget_factor):
        _require(type(number) is float and number >= 0, f"it trusts by {number}")
    shape = training.pair_code.shape
    _check_array(trust.own, "beliefs", "f", shape)
    _require(trust.own.dtype == np.float64, f"its beliefs are {trust.own.dtype}")
    _check_array(trust.rival, "rivals", "i", shape)
    _require(trust.rival.dtype == np.int32, f"its rivals are {trust.rival.dtype}")
    _check_codes(trust.rival, training.n_classes)


def _check_reading(reading: Reading) -> None:
    known = reading.inference in ("lookup", "adaptive", "cascade")
    _require(known, "its inference is new")
    problem = reading.problem
    for count in (reading.ef, problem.n_neighbors, reading.n_threads):
        _require(type(count) is int and count > 0, f"it has {count} as a count")
    _require(problem.blind is None, "it has lenses for left-out rows")


def _check_lens(lens: Any, training: TrainingSet) -> None:
    if lens is None:
        return
    _require(isinstance(lens, Lens), "its lens is unknown")
    n_nodes, n_features = training.points.shape
    _require(np.ndim(lens.directions) == 2, "its lens has no directions")
    n_directions = lens.directions.shape[1]
    for name, dtype, array, n_rows in (
        ("directions", np.float64, lens.directions, n_features),
        ("rows behind a lens", np.float32, lens.rows, n_nodes),
    ):
        _check_array(array, name, "f", (n_rows, n_directions))
        _require(array.dtype == dtype, f"its {name} are {array.dtype}")
    floor = lens.floor
    _require(type(floor) is float and floor >= 0, f"its lens counts {floor} in all")


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
