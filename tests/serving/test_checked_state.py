"""Numbers of a loaded model: the last that fits is taken, the next one refused."""

from dataclasses import replace

import numpy as np
import pytest

from knngraph import SavedModelError
from knngraph.index.medoids import MOST_UNLINKED
from knngraph.serving.predictor_state import checked_state
from tests.serving.models import fitted


@pytest.fixture(scope="module")
def states():
    """What predictors of several kinds hold."""
    X = np.random.default_rng(0).normal(size=(40, 3))
    X[::7, 1] = np.nan
    with_gaps = fitted("adaptive", "trees")[0].fit(X, np.arange(40) % 2)
    models = {
        "lookup": fitted("lookup")[0],
        "adaptive": fitted("adaptive", labels=np.array(["a", "b", "c"]))[0],
        "cascade": fitted("cascade")[0],
        "trees": fitted("lookup", "trees")[0],
        "medoids": fitted("lookup", walk="medoids")[0],
        "gaps": with_gaps,
    }
    return {name: model.to_predictor()._state for name, model in models.items()}


def part(state, path):
    """A part of a part of a state."""
    for name in path.split("."):
        state = getattr(state, name)
    return state


def put(state, path, value):
    """The state with another part."""
    name, _, rest = path.partition(".")
    if rest:
        value = put(getattr(state, name), rest, value)
    changed = replace(state, **{name: value})
    if path == "model.training.points":  # the index holds the same array
        changed = put(changed, "model.index.points", value.training.points)
    return changed


def at(place, value):
    """An array with another number at a place."""

    def change(array):
        array = array.copy()
        array[place] = value
        return array

    return change


def as_type(dtype):
    """An array of another type."""
    return lambda array: array.astype(dtype)


def cut(array):
    """An array without its last entry."""
    return array[:-1]


def constantly(value):
    """Any other value."""
    return lambda _: value


INF, NAN = np.inf, np.nan
# Kind of model, part, and what is put there: refused, and taken.
REFUSED = [
    ("lookup", "options.inference", constantly("nearest")),
    ("lookup", "options.ef", constantly(0)),
    ("lookup", "options.ef", constantly(2.0)),
    ("lookup", "options.ef", constantly(True)),
    ("lookup", "options.n_threads", constantly(0)),
    ("lookup", "model.problem.n_neighbors", constantly(0)),
    ("lookup", "n_features", constantly(4.0)),
    ("lookup", "label_ef", constantly("4")),
    ("lookup", "classes", cut),
    ("lookup", "names", constantly(np.array(["a", "b"]))),
    ("lookup", "description", constantly("a model")),
    ("lookup", "description.class_counts", cut),
    ("lookup", "row_names", cut),
    ("lookup", "row_names", as_type(float)),
    ("lookup", "model.space.metric", constantly("manhattan")),
    ("lookup", "model.space.precision", constantly("half")),
    ("lookup", "model.space.scale", constantly(1)),
    ("lookup", "model.space.scale", constantly(0.0)),
    ("lookup", "model.space.scale", constantly(NAN)),
    ("lookup", "model.space.center", cut),
    ("lookup", "model.space.center", as_type(int)),
    ("lookup", "model.space.linear", constantly(np.ones((4, 3)))),
    ("medoids", "model.training.points", as_type(np.float64)),
    ("medoids", "model.training.points", lambda points: points[:, :3]),
    ("medoids", "model.training.points", lambda points: points[:0]),
    ("lookup", "model.training.pair_node", as_type(np.int32)),
    ("lookup", "model.training.pair_node", at(0, 1)),
    ("lookup", "model.training.pair_node", at(0, -1)),
    ("lookup", "model.training.pair_node", at(5, 0)),
    ("lookup", "model.training.pair_node", lambda nodes: nodes + (nodes > 5)),
    ("lookup", "model.training.pair_node", lambda n: np.minimum(n, n.max() - 1)),
    ("lookup", "model.training.pair_code", as_type(np.int32)),
    ("lookup", "model.training.pair_code", at(3, -1)),
    ("lookup", "model.training.pair_code", at(3, 3)),
    ("lookup", "model.training.pair_code", cut),
    ("lookup", "model.training.pair_weight", at(3, 0.0)),
    ("lookup", "model.training.pair_weight", at(3, -1.0)),
    ("lookup", "model.training.pair_weight", at(3, INF)),
    ("lookup", "model.training.pair_weight", at(3, NAN)),
    ("lookup", "model.training.pair_weight", as_type(np.float32)),
    ("lookup", "model.training.pair_weight", cut),
    ("lookup", "model.training.class_weight", constantly(np.ones(2))),
    ("lookup", "model.training.class_weight", constantly(np.array([1.0, 0.0, 1.0]))),
    ("lookup", "model.stored", constantly(None)),
    ("lookup", "model.stored.codes", as_type(np.int32)),
    ("lookup", "model.stored.codes", at(0, -1)),
    ("lookup", "model.stored.codes", at(0, 3)),
    ("lookup", "model.stored.codes", cut),
    ("lookup", "model.stored.shares", cut),
    ("lookup", "model.stored.shares", constantly(None)),
    ("cascade", "model.stored.shares", constantly(np.ones((2, 3)))),
    ("lookup", "model.problem", constantly(None)),
    ("lookup", "model.problem.sigma", constantly(-1e-300)),
    ("lookup", "model.problem.sigma", constantly(2.0**512)),
    ("lookup", "model.problem.nugget", constantly(NAN)),
    ("lookup", "model.problem.penalty", constantly("0.1")),
    ("lookup", "model.calibration", constantly(None)),
    ("lookup", "model.calibration.adaptive", constantly(0.0)),
    ("lookup", "model.calibration.adaptive", constantly(INF)),
    ("lookup", "model.calibration.adaptive", constantly(1)),
    ("adaptive", "model.reliability", constantly(0.5)),
    ("adaptive", "model.reliability.doubt", constantly(-0.1)),
    ("adaptive", "model.reliability.doubt", constantly(0)),
    ("adaptive", "model.reliability.nugget_factor", constantly(NAN)),
    ("adaptive", "model.reliability.own", as_type(np.float32)),
    ("adaptive", "model.reliability.own", cut),
    ("adaptive", "model.reliability.rival", as_type(np.int64)),
    ("adaptive", "model.reliability.rival", at(0, -1)),
    ("adaptive", "model.reliability.rival", at(0, 3)),
    ("cascade", "model.rule", constantly(None)),
    ("cascade", "model.rule.n_agree", constantly(0)),
    ("cascade", "model.rule.n_agree", constantly(2**31)),
    ("cascade", "model.rule.n_agree", constantly(4.0)),
    ("cascade", "model.rule.threshold", constantly(1)),
    ("cascade", "model.rule.sharpness", constantly(-0.1)),
    ("cascade", "model.rule.sharpness", constantly(INF)),
    ("cascade", "model.rule.sharpness", constantly(3)),
    ("adaptive", "model.novelty", constantly(1.0)),
    ("adaptive", "model.novelty.scales", at(0, 0.0)),
    ("adaptive", "model.novelty.scales", at(-1, INF)),
    ("adaptive", "model.novelty.scales", cut),
    ("adaptive", "model.novelty.scores", at(0, -1.0)),
    ("adaptive", "model.novelty.scores", at(0, INF)),
    ("adaptive", "model.novelty.scores", at(0, NAN)),
    ("adaptive", "model.novelty.weights", cut),
    ("adaptive", "model.novelty.codes", at(0, -2)),
    ("adaptive", "model.novelty.codes", at(0, 3)),
    ("adaptive", "model.novelty.codes", as_type(float)),
    ("adaptive", "model.sets", constantly(1)),
    ("adaptive", "model.sets.pairs", as_type(np.int32)),
    ("adaptive", "model.sets.pairs", at(1, 0)),
    ("adaptive", "model.sets.pairs", at(0, -1)),
    ("adaptive", "model.sets.pairs", at(-1, 10**6)),
    ("adaptive", "model.sets.keys", as_type(np.uint32)),
    ("adaptive", "model.sets.keys", cut),
    ("adaptive", "model.sets.n_drawn", constantly(-1)),
    ("adaptive", "model.sets.n_drawn", constantly(10**6)),
    ("medoids", "model.index.points", lambda points: points.copy()),
    ("medoids", "model.index.links", as_type(np.int64)),
    ("medoids", "model.index.links", cut),
    ("medoids", "model.index.links", at((0, 0), -2)),
    ("medoids", "model.index.links", lambda links: at((0, 0), len(links))(links)),
    ("medoids", "model.index.links", lambda links: links[:, :0]),
    ("medoids", "model.index.entries", as_type(np.int64)),
    ("medoids", "model.index.entries", at((0, 0), -1)),
    ("medoids", "model.index.entries", at((0, 1), -2)),
    ("medoids", "model.index.entries", at((0, 1), 10**6)),
    ("medoids", "model.index.entries", lambda entries: entries[:0]),
    ("medoids", "model.index.entries", lambda entries: entries[:, :0]),
    ("medoids", "model.index.unlinked", constantly(np.array([0], np.int64))),
    ("medoids", "model.index.unlinked", constantly(np.array([-1], np.int32))),
    ("medoids", "model.index.unlinked", constantly(np.array([10**6], np.int32))),
    (
        "medoids",
        "model.index.unlinked",
        constantly(np.zeros(MOST_UNLINKED + 1, np.int32)),
    ),
    ("medoids", "model.index.centers", as_type(np.float64)),
    ("medoids", "model.index.centers", lambda centers: centers[:, :-1]),
    ("medoids", "model.index.deleted", constantly(np.ones((1, 4), np.float32))),
    ("medoids", "model.index.deleted", as_type(np.float64)),
    ("trees", "model.space.trees", constantly(None)),
    ("lookup", "model.space.metric", constantly("trees")),
    ("trees", "model.space.trees.values", lambda values: values[:0]),
    ("trees", "model.space.trees.values", lambda values: values[:, :0]),
    ("trees", "model.space.trees.roots", lambda roots: roots[:0]),
    ("trees", "model.space.trees.roots", as_type(np.int64)),
    ("trees", "model.space.trees.scale", at(0, INF)),
    ("trees", "model.space.trees.scale", at(0, NAN)),
    ("trees", "model.space.trees.grown_from", lambda hashes: hashes[::-1].copy()),
    ("trees", "model.space.trees.grown_from", lambda hashes: hashes[:0]),
    ("trees", "model.space.trees.seed", constantly(-1)),
    ("trees", "model.space.trees.feature", lambda f: np.where(f < 0, f, 4)),
    ("trees", "model.space.trees.center", cut),
    ("gaps", "model.space.missing", constantly(0.0)),
    ("gaps", "model.space.missing.medians", cut),
    ("gaps", "model.space.missing.medians", at(0, INF)),
    ("gaps", "model.space.missing.columns", at(0, 3)),
    ("gaps", "model.space.missing.columns", at(0, -1)),
    ("gaps", "model.space.missing.sizes", cut),
    ("gaps", "model.space.missing.sizes", at(0, NAN)),
]  # fmt: skip
TAKEN = [
    ("lookup", "options.ef", constantly(1)),
    ("lookup", "options.n_threads", constantly(1)),
    ("lookup", "model.problem.n_neighbors", constantly(1)),
    ("lookup", "names", constantly(np.array(["a", "b", "c", "d"], dtype=object))),
    ("lookup", "description", constantly(None)),
    ("lookup", "row_names", constantly(None)),
    ("lookup", "row_names", as_type(str)),
    ("lookup", "model.space.scale", constantly(1e-300)),
    ("lookup", "model.space.center", constantly(None)),
    ("lookup", "model.space.linear", constantly(np.ones((4, 4)))),
    ("lookup", "model.training.pair_code", at(3, 0)),
    ("lookup", "model.training.pair_code", at(3, 2)),
    ("lookup", "model.training.pair_weight", at(3, 1e-9)),
    ("lookup", "model.training.class_weight", constantly(np.array([1e-9, 1.0, 9.0]))),
    ("lookup", "model.stored.codes", at(0, 0)),
    ("lookup", "model.stored.codes", at(0, 2)),
    ("lookup", "model.problem.sigma", constantly(0.0)),
    ("lookup", "model.problem.nugget", constantly(0)),
    ("lookup", "model.problem.penalty", constantly(2.0**511)),
    ("lookup", "model.calibration.adaptive", constantly(1e-9)),
    ("adaptive", "model.stored", constantly(None)),
    ("adaptive", "model.reliability", constantly(None)),
    ("adaptive", "model.reliability.doubt", constantly(0.0)),
    ("adaptive", "model.reliability.rival", at(0, 0)),
    ("adaptive", "model.reliability.rival", at(0, 2)),
    ("cascade", "model.rule.n_agree", constantly(1)),
    ("cascade", "model.rule.n_agree", constantly(2**31 - 1)),
    ("cascade", "model.rule.threshold", constantly(INF)),
    ("cascade", "model.rule.sharpness", constantly(0.0)),
    ("cascade", "model.rule.sharpness", constantly(0.5)),
    ("adaptive", "model.novelty", constantly(None)),
    ("adaptive", "model.novelty.scales", at(0, 1e-300)),
    ("adaptive", "model.novelty.scores", at(0, 0.0)),
    ("adaptive", "model.novelty.weights", at(0, 0.0)),
    ("adaptive", "model.novelty.codes", at(0, -1)),
    ("adaptive", "model.novelty.codes", at(0, 2)),
    ("adaptive", "model.sets", constantly(None)),
    ("adaptive", "model.sets.n_drawn", constantly(0)),
    ("medoids", "model.index.links", at((0, 0), -1)),
    ("medoids", "model.index.links", lambda links: at((0, 0), len(links) - 1)(links)),
    ("medoids", "model.index.entries", at((0, 1), -1)),
    ("medoids", "model.index.entries", at((0, 0), 0)),
    ("medoids", "model.index.unlinked", constantly(np.array([0], np.int32))),
    ("medoids", "model.index.unlinked", constantly(np.zeros(MOST_UNLINKED, np.int32))),
    ("trees", "model.space.trees.seed", constantly(0)),
    ("trees", "model.space.trees.grown_from", lambda hashes: hashes[:1]),
    ("trees", "model.space.trees.scale", at(0, 1e-300)),
    ("gaps", "model.space.missing.columns", at(0, 0)),
    ("gaps", "model.space.missing.sizes", at(0, 0.0)),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(REFUSED)))
def test_wrong_numbers_are_refused(number, states):
    kind, path, change = REFUSED[number]
    state = states[kind]
    changed = put(state, path, change(part(state, path)))
    with pytest.raises(SavedModelError, match="does not hold together"):
        checked_state(changed)


@pytest.mark.parametrize("number", range(len(TAKEN)))
def test_numbers_on_the_edge_are_taken(number, states):
    kind, path, change = TAKEN[number]
    state = states[kind]
    changed = put(state, path, change(part(state, path)))
    assert checked_state(changed) is changed


@pytest.mark.parametrize(
    "kind", ["lookup", "adaptive", "cascade", "trees", "gaps", "medoids"]
)
def test_what_a_predictor_holds_is_taken(kind, states):
    assert checked_state(states[kind]) is states[kind]


@pytest.mark.parametrize("value", [None, 3, "state", {}])
def test_what_is_no_state_is_refused(value, states):
    with pytest.raises(SavedModelError, match="it is no predictor"):
        checked_state(value)
    for name in "model", "options":
        with pytest.raises(SavedModelError, match=f"it has no {name}"):
            checked_state(replace(states["lookup"], **{name: value}))
