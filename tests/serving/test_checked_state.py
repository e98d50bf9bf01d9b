"""Numbers of a loaded model: the last that fits is taken, the next one refused."""

import re
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from knngraph import KNNGraphClassifier, SavedModelError, to_predictor
from knngraph.graph.training_set import build_training_set
from knngraph.index.exact import ExactIndex
from knngraph.index.medoids import MOST_UNLINKED
from knngraph.prepared.steps import Preparation, Step
from knngraph.serving.predictor_state import checked_state, row_names
from tests.frozen import assert_frozen
from tests.serving.models import fitted, hard_rows


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
        # Searches pass through points that are gone.
        "deleted": fitted("adaptive", walk="medoids")[0].forget(np.arange(90, 110)),
        "one row": KNNGraphClassifier().fit([[1.0, 2.0]], ["a"]),
    }
    steps = SimpleImputer(add_indicator=True), MinMaxScaler(clip=True), PCA(2)
    pipeline = make_pipeline(*steps, KNNGraphClassifier(metric="euclidean", ef=4))
    predictors = {name: model.to_predictor() for name, model in models.items()}
    predictors["steps"] = to_predictor(pipeline.fit(X, np.arange(40) % 2))
    return {name: predictor._state for name, predictor in predictors.items()}


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


def twice(array):
    """An array with its first entry in the place of the second, too."""
    return at(1, array[0])(array)


def first_where(condition, value):
    """An array with another number at the first place that is so."""
    return lambda array: at(np.flatnonzero(condition(array))[0], value)(array)


def with_right(place_of, value_of):
    """Trees with another right child, or value of a leaf, at a node."""

    def change(trees):
        place = place_of(trees)
        right = at(place, value_of(trees, place))(trees.right)
        return replace(trees, right=right)

    return change


def inner_node(trees):
    """A node that has children."""
    return np.flatnonzero(trees.feature >= 0)[3]


def inner_node_of_the_first_column(trees):
    """One that looks at the first column."""
    return np.flatnonzero(trees.feature == 0)[0]


def leaf_node(trees):
    """A node that has none."""
    return np.flatnonzero(trees.feature < 0)[3]


def without_nodes(trees):
    """Trees that begin nowhere."""
    names = "feature", "threshold", "right", "missing_left"
    return replace(trees, **{name: getattr(trees, name)[:0] for name in names})


def one_leaf(trees):
    """Trees that are the same leaf."""
    return replace(
        trees,
        feature=np.array([-1], np.int32),
        threshold=np.zeros(1, np.float32),
        right=np.zeros(1, np.int32),
        missing_left=np.zeros(1, bool),
        roots=np.zeros_like(trees.roots),
    )


def step(kind, change):
    """Steps with other values in the first one of a kind."""

    def changed(steps):
        place = [step.kind for step in steps].index(kind)
        one = replace(steps[place], values=change(steps[place].values))
        return (*steps[:place], one, *steps[place + 1 :])

    return changed


def constantly(value):
    """Any other value."""
    return lambda _: value


INF, NAN = np.inf, np.nan
# By kind of model and part: what is wrong with what is put there.
REFUSED = {
    "lookup options.inference": [("its inference is new", constantly("nearest"))],
    "lookup options.ef": [
        ("it has 0 as a count", constantly(0)),
        ("it has 2.0 as a count", constantly(2.0)),
        ("it has True as a count", constantly(True)),
        ("it has -1 as a count", constantly(-1)),
    ],
    "lookup options.n_threads": [
        ("it has 0 as a count", constantly(0)),
        ("it has True as a count", constantly(True)),
    ],
    "lookup model.problem.n_neighbors": [("it has 0 as a count", constantly(0))],
    "lookup n_features": [
        ("it has no number of features", constantly(4.0)),
        ("it has no number of features", constantly(True)),
    ],
    "lookup label_ef": [
        ("it has no ef for labels", constantly("4")),
        ("it has no ef for labels", constantly(4.0)),
    ],
    "lookup classes": [
        ("classes has shape", cut),
        ("classes is complex128", as_type(complex)),
        ("classes is no array", lambda classes: classes.tolist()),
    ],
    "lookup names": [
        ("names has shape", constantly(np.array(["a", "b"]))),
        ("names is int64", constantly(np.arange(4))),
    ],
    "lookup description": [("its description is unknown", constantly("a model"))],
    "lookup description.class_counts": [
        ("rows of classes has shape", cut),
        ("rows of classes is float64", as_type(float)),
    ],
    "lookup row_names": [
        ("names of rows has shape", cut),
        ("names of rows is float64", as_type(float)),
    ],
    "lookup model.space.metric": [
        ("its metric is new", constantly("manhattan")),
        ("its trees are not its metric", constantly("trees")),
    ],
    "lookup model.space.precision": [("its precision is new", constantly("half"))],
    "lookup model.space.scale": [
        ("it has no scale", constantly(1)),
        ("it has no scale", constantly(0.0)),
        ("it has no scale", constantly(NAN)),
    ],
    "lookup model.space.center": [
        ("center has shape", cut),
        ("center is int64", as_type(int)),
    ],
    "lookup model.space.linear": [
        ("map has shape", constantly(np.ones((4, 3)))),
        ("map is int64", constantly(np.ones((4, 4), int))),
    ],
    "medoids model.training.points": [
        ("its rows are not float32", as_type(np.float64)),
        ("rows has shape", lambda points: points[:, :3]),
        ("it has no rows", lambda points: points[:0]),
        ("rows has shape", lambda points: points[:, 1:]),
    ],
    "lookup model.training.pair_node": [
        ("pair_node is int32", as_type(np.int32)),
        ("its rows are out of order", at(0, 1)),
        ("its rows are out of order", at(0, -1)),
        ("its rows are out of order", at(5, 0)),
        ("its rows are out of order", lambda nodes: nodes + (nodes > 5)),
        ("its rows are out of order", lambda n: np.minimum(n, n.max() - 1)),
        # Of 149 nodes, in steps of one: only the first or the last is none of them.
        ("its rows are out of order", constantly(np.maximum(np.arange(-15, 149), -1))),
        ("its rows are out of order", constantly(np.r_[0:149, [148] * 14, 149])),
    ],
    "lookup model.training.pair_code": [
        ("pair_code is int32", as_type(np.int32)),
        ("a code is wild", at(3, -1)),
        ("a code is wild", at(3, 3)),
        ("pair_code has shape", cut),
        ("a code is wild", at(-1, 3)),
    ],
    "lookup model.training.pair_weight": [
        ("a weight is wild", at(3, 0.0)),
        ("a weight is wild", at(3, -1.0)),
        ("a weight is wild", at(3, INF)),
        ("a weight is wild", at(3, NAN)),
        ("its weights are float32", as_type(np.float32)),
        ("weights has shape", cut),
    ],
    "lookup model.training.class_weight": [
        ("weights has shape", constantly(np.ones(2))),
        ("a weight is wild", constantly(np.array([1.0, 0.0, 1.0]))),
        ("a weight is wild", constantly(np.array([1.0, NAN, 1.0]))),
    ],
    "lookup model.stored": [("it has no stored labels", constantly(None))],
    "lookup model.stored.codes": [
        ("its labels are int32", as_type(np.int32)),
        ("a code is wild", at(0, -1)),
        ("a code is wild", at(0, 3)),
        ("labels has shape", cut),
    ],
    "lookup model.stored.shares": [
        ("shares has shape", cut),
        ("shares is no array", constantly(None)),
        (
            "its shares are of another shape",
            lambda shares: sparse.csr_array(shares[1:]),
        ),
        ("shares is int64", as_type(int)),
    ],
    "cascade model.stored.shares": [
        ("a cascade reads no shares", constantly(np.ones((2, 3)))),
    ],
    "lookup model.problem": [("it has no problem for queries", constantly(None))],
    "lookup model.problem.sigma": [
        ("its problem for queries has -1e-300", constantly(-1e-300)),
        ("its problem for queries has 1.3407807929942597e+154", constantly(2.0**512)),
    ],
    "lookup model.problem.nugget": [
        ("its problem for queries has nan", constantly(NAN)),
    ],
    "lookup model.problem.penalty": [
        ("its problem for queries has 0.1", constantly("0.1")),
        ("its problem for queries has True", constantly(True)),
    ],
    "lookup model.calibration": [("it is not calibrated", constantly(None))],
    "lookup model.calibration.adaptive": [
        ("it is calibrated by 0.0", constantly(0.0)),
        ("it is calibrated by inf", constantly(INF)),
        ("it is calibrated by 1", constantly(1)),
    ],
    "adaptive model.reliability": [
        ("the reliability of its labels is unknown", constantly(0.5)),
    ],
    "adaptive model.reliability.doubt": [
        ("it has -0.1 as doubt or nugget factor", constantly(-0.1)),
        ("it has 0 as doubt or nugget factor", constantly(0)),
    ],
    "adaptive model.reliability.nugget_factor": [
        ("it has nan as doubt or nugget factor", constantly(NAN)),
    ],
    "adaptive model.reliability.own": [
        ("its reliabilities are float32", as_type(np.float32)),
        ("reliabilities has shape", cut),
    ],
    "adaptive model.reliability.rival": [
        ("its rivals are int64", as_type(np.int64)),
        ("a code is wild", at(0, -1)),
        ("a code is wild", at(0, 3)),
        ("rivals has shape", cut),
    ],
    "cascade model.rule": [("the rule of its cascade is unknown", constantly(None))],
    "cascade model.rule.n_agree": [
        ("0 nodes have to agree", constantly(0)),
        ("2147483648 nodes have to agree", constantly(2**31)),
        ("4.0 nodes have to agree", constantly(4.0)),
        ("True nodes have to agree", constantly(True)),
    ],
    "cascade model.rule.threshold": [("it has no threshold", constantly(1))],
    "cascade model.rule.sharpness": [
        ("votes of its margins fall by -0.1", constantly(-0.1)),
        ("votes of its margins fall by inf", constantly(INF)),
        ("votes of its margins fall by 3", constantly(3)),
        ("votes of its margins fall by nan", constantly(NAN)),
    ],
    "adaptive model.novelty": [
        ("the distances of its left-out rows are unknown", constantly(1.0)),
    ],
    "adaptive model.novelty.scales": [
        ("one of its scales is zero", at(0, 0.0)),
        ("one of its scales is wild", at(-1, INF)),
        ("scales has shape", cut),
        ("one of its scales is wild", at(0, NAN)),
    ],
    "adaptive model.novelty.scores": [
        ("one of its left-out distances is wild", at(0, -1.0)),
        ("one of its left-out distances is wild", at(0, INF)),
        ("one of its left-out distances is wild", at(0, NAN)),
    ],
    "adaptive model.novelty.weights": [
        ("left-out weights has shape", cut),
        ("one of its left-out weights is wild", at(0, -1.0)),
    ],
    "adaptive model.novelty.codes": [
        ("a code is wild", at(0, -2)),
        ("a code is wild", at(0, 3)),
        ("left-out classes is float64", as_type(float)),
        ("left-out classes has shape", cut),
    ],
    "adaptive model.sets": [
        ("its prediction sets are of a new kind", constantly(1)),
        (
            "the sample of its sets is wild",
            lambda s: replace(s, n_drawn=len(s.pairs) + 1),
        ),
    ],
    "adaptive model.sets.pairs": [
        ("pairs of its sets are of another type", as_type(np.int32)),
        ("pairs of its sets are out of order", at(1, 0)),
        ("a code is wild", at(0, -1)),
        ("a code is wild", at(-1, 10**6)),
        ("pairs of its sets are out of order", twice),
    ],
    "adaptive model.sets.keys": [
        ("scores of its sets are of another type", as_type(np.uint32)),
        ("scores of its sets has shape", cut),
    ],
    "adaptive model.sets.n_drawn": [
        ("the sample of its sets is wild", constantly(-1)),
        ("the sample of its sets is wild", constantly(10**6)),
    ],
    "medoids model.index.points": [
        ("its graph is over other rows", lambda points: points.copy()),
    ],
    "medoids model.index.links": [
        ("its links are not int32", as_type(np.int64)),
        ("links has shape", cut),
        ("a link is wild", at((0, 0), -2)),
        ("a link is wild", lambda links: at((0, 0), len(links))(links)),
        ("a link is wild", lambda links: links[:, :0]),
    ],
    "medoids model.index.entries": [
        ("its entries are not int32", as_type(np.int64)),
        ("an entry is wild", at((0, 0), -1)),
        ("an entry is wild", at((0, 1), -2)),
        ("an entry is wild", at((0, 1), 10**6)),
        ("it starts nowhere", lambda entries: entries[:0]),
        ("it starts nowhere", lambda entries: entries[:, :0]),
        ("an entry is wild", at((0, 1), 149)),
    ],
    "medoids model.index.unlinked": [
        ("its unlinked are not int32", constantly(np.array([0], np.int64))),
        ("an unlinked point is wild", constantly(np.array([-1], np.int32))),
        ("an unlinked point is wild", constantly(np.array([10**6], np.int32))),
        ("unlinked has shape", constantly(np.zeros(MOST_UNLINKED + 1, np.int32))),
        ("an unlinked point is wild", constantly(np.array([0, 149], np.int32))),
        ("an unlinked point is wild", constantly(np.array([0, -1], np.int32))),
    ],
    "medoids model.index.centers": [
        ("its centers are not float32", as_type(np.float64)),
        ("centers has shape", lambda centers: centers[:, :-1]),
    ],
    "medoids model.index.deleted": [
        ("links has shape", constantly(np.ones((1, 4), np.float32))),
        ("its deleted are not float32", as_type(np.float64)),
    ],
    "trees model.space.trees": [
        ("its trees are not its metric", constantly(None)),
        ("its trees are of a new kind", constantly(1)),
        ("it has no trees", lambda t: replace(t, roots=t.roots[:0], salts=t.salts[:0])),
        ("it has no trees", without_nodes),
        ("a root is wild", lambda t: replace(t, roots=at(0, len(t.feature))(t.roots))),
        ("a child is wild", with_right(inner_node, lambda _, place: place)),
        ("a child is wild", with_right(inner_node_of_the_first_column, lambda *_: 0)),
        ("a child is wild", with_right(inner_node, lambda t, _: len(t.feature))),
        (
            "a child is wild",
            lambda t: replace(
                t, feature=at(-1, 0)(t.feature), right=at(-1, len(t.feature))(t.right)
            ),
        ),
        ("a leaf is wild", with_right(leaf_node, lambda *_: -1)),
        ("a leaf is wild", with_right(leaf_node, lambda t, _: len(t.values))),
    ],
    "trees model.space.trees.values": [
        ("values of its trees is float64", as_type(np.float64)),
        ("a leaf is wild", lambda values: values[:0]),
        ("it has no trees", lambda values: values[:, :0]),
    ],
    "trees model.space.trees.roots": [
        ("roots of its trees is int64", as_type(np.int64)),
        ("salts of its trees has shape", lambda roots: roots[:0]),
        ("a root is wild", at(0, -1)),
    ],
    "trees model.space.trees.scale": [
        ("scale of its trees is float32", as_type(np.float32)),
        ("a scale of its trees is wild", at(0, INF)),
        ("a scale of its trees is wild", at(0, NAN)),
        ("a scale of its trees is wild", at(0, 0.0)),
        ("a scale of its trees is wild", at(0, -1.0)),
        ("scale of its trees has shape", cut),
    ],
    "trees model.space.trees.grown_from": [
        ("grown_from of its trees is uint32", as_type(np.uint32)),
        ("its hashes are wild", lambda h: np.append(h[:-2], h[:-3:-1])),
        ("its hashes are wild", lambda hashes: hashes[::-1].copy()),
        ("its hashes are wild", lambda hashes: hashes[:0]),
        ("its hashes are wild", twice),
    ],
    "trees model.space.trees.seed": [("its hashes are wild", constantly(-1))],
    "trees model.space.trees.feature": [
        ("feature of its trees is int64", as_type(np.int64)),
        ("a column is wild", lambda f: np.where(f < 0, f, 4)),
        ("a column is wild", first_where(lambda f: f < 0, -2)),
    ],
    "trees model.space.trees.center": [
        ("center of its trees is float32", as_type(np.float32)),
        ("center of its trees has shape", cut),
    ],
    "gaps model.space.missing": [("what it fills in is unknown", constantly(0.0))],
    "gaps model.space.missing.medians": [
        ("medians has shape", cut),
        ("what it fills in is not finite", at(0, INF)),
        ("medians is no array", constantly(None)),
        ("what it fills in is not finite", at(0, NAN)),
    ],
    "gaps model.space.missing.columns": [
        ("a code is wild", at(0, 3)),
        ("a code is wild", at(0, -1)),
        ("columns of indicators is float64", as_type(float)),
    ],
    "gaps model.space.missing.sizes": [
        ("sizes of indicators has shape", cut),
        ("what it fills in is not finite", at(0, NAN)),
    ],
    "lookup model": [("it has no model", constantly(None))],
    "lookup options": [("it has no options", constantly(None))],
    "lookup model.space.prepared": [("its steps are unknown", constantly(()))],
    "steps model.space.prepared.steps": [
        ("its steps are unknown", list),
        ("a step is unknown", constantly((1,))),
        ("a step is unknown", lambda steps: (Step("round", np.ones(3)), *steps)),
        ("columns of flag is float64", step("flag", as_type(float))),
        ("a code is wild", step("flag", at(0, 3))),
        ("a code is wild", step("flag", at(0, -1))),
        (
            "columns of select is float64",
            lambda steps: (*steps, Step("select", np.ones(2))),
        ),
        ("a code is wild", lambda steps: (*steps, Step("select", np.array([0, 2])))),
        (
            "a code is wild",
            lambda steps: (*steps, Step("select", np.zeros(0, np.intp))),
        ),
        (
            "center has shape",  # that of one column, by a matrix of one number
            lambda steps: (
                *steps,
                Step("select", np.array([0])),
                Step("project", np.ones((1, 1))),
            ),
        ),
        ("a matrix has shape", step("project", cut)),
        ("a matrix is wild", step("project", as_type(np.float32))),
        ("a matrix is wild", step("project", np.asfortranarray)),
        ("a matrix is wild", step("project", lambda matrix: matrix[:, :0].copy())),
        ("values to multiply has shape", step("multiply", cut)),
        ("values to multiply is int64", step("multiply", as_type(int))),
        ("a value of a step is no number", step("multiply", at(0, NAN))),
    ],
    "gaps model.space.center": [("center has shape", cut)],
    "lookup model.calibration.stored": [("it is calibrated by nan", constantly(NAN))],
    "adaptive model.sets.means": [
        ("means of its classes has shape", cut),
        ("a mean of its classes is wild", at((0, 0), INF)),
        ("a mean of its classes is wild", at((0, 0), NAN)),
    ],
    "lookup model.index": [
        (
            "its index holds other points",
            lambda index: index.renumbered(np.arange(149) - 1),
        ),
        (
            "its index holds other points",
            constantly(ExactIndex(np.ones((149, 4), np.float32))),
        ),
    ],
    "deleted model.index.links": [
        ("a link is wild", lambda links: at((0, 0), len(links))(links)),
    ],
    "deleted model.index.deleted": [
        ("links has shape", cut),
        ("deleted has shape", lambda rows: rows[:, 1:]),
    ],
    "trees model.space.trees.threshold": [
        ("threshold of its trees is float64", as_type(np.float64)),
        ("threshold of its trees has shape", cut),
    ],
    "trees model.space.trees.right": [
        ("right of its trees is int64", as_type(np.int64)),
        ("right of its trees has shape", cut),
    ],
    "trees model.space.trees.missing_left": [
        ("missing_left of its trees is int8", as_type(np.int8)),
        ("missing_left of its trees has shape", cut),
    ],
    "trees model.space.trees.salts": [
        ("salts of its trees is uint32", as_type(np.uint32)),
        ("salts of its trees has shape", cut),
    ],
}
# What is put there and right.
TAKEN = {
    "lookup options.ef": [constantly(1)],
    "lookup options.n_threads": [constantly(1)],
    "lookup model.problem.n_neighbors": [constantly(1)],
    "lookup names": [constantly(np.array(["a", "b", "c", "d"], dtype=object))],
    "lookup description": [constantly(None)],
    "lookup row_names": [
        constantly(None),
        as_type(str),
    ],
    "lookup model.space.scale": [constantly(1e-300)],
    "lookup model.space.center": [constantly(None)],
    "lookup model.space.linear": [constantly(np.ones((4, 4)))],
    "lookup model.training.pair_code": [
        at(3, 0),
        at(3, 2),
    ],
    "lookup model.training.pair_weight": [at(3, 1e-9)],
    "lookup model.training.class_weight": [constantly(np.array([1e-9, 1.0, 9.0]))],
    "lookup model.stored.codes": [
        at(0, 0),
        at(0, 2),
    ],
    "lookup model.problem.sigma": [constantly(0.0)],
    "lookup model.problem.nugget": [constantly(0)],
    "lookup model.problem.penalty": [constantly(2.0**511)],
    "lookup model.calibration.adaptive": [constantly(1e-9)],
    "adaptive model.stored": [constantly(None)],
    "adaptive model.reliability": [constantly(None)],
    "adaptive model.reliability.doubt": [constantly(0.0)],
    "adaptive model.reliability.rival": [
        at(0, 0),
        at(0, 2),
    ],
    "cascade model.rule.n_agree": [
        constantly(1),
        constantly(2**31 - 1),
    ],
    "cascade model.rule.threshold": [constantly(INF)],
    "cascade model.rule.sharpness": [
        constantly(0.0),
        constantly(0.5),
    ],
    "adaptive model.novelty": [constantly(None)],
    "adaptive model.novelty.scales": [at(0, 1e-300)],
    "adaptive model.novelty.scores": [at(0, 0.0)],
    "adaptive model.novelty.weights": [at(0, 0.0)],
    "adaptive model.novelty.codes": [
        at(0, -1),
        at(0, 2),
    ],
    "adaptive model.sets": [
        constantly(None),
        lambda s: replace(s, n_drawn=len(s.pairs)),
    ],
    "adaptive model.sets.n_drawn": [constantly(0)],
    "medoids model.index.links": [
        lambda links: links[:, :1],
        at((0, 0), -1),
        lambda links: at((0, 0), len(links) - 1)(links),
    ],
    "medoids model.index.entries": [
        lambda entries: entries[:, :1],
        at((0, 1), -1),
        at((0, 0), 0),
        at((0, 1), 148),
    ],
    "medoids model.index.unlinked": [
        constantly(np.array([0], np.int32)),
        constantly(np.zeros(MOST_UNLINKED, np.int32)),
        constantly(np.array([0, 148], np.int32)),
    ],
    "trees model.space.trees.seed": [constantly(0)],
    "trees model.space.trees.grown_from": [lambda hashes: hashes[:1]],
    "trees model.space.trees.scale": [at(0, 1e-300)],
    "gaps model.space.missing.columns": [at(0, 0)],
    "gaps model.space.missing.sizes": [at(0, 0.0)],
    "steps model.space.prepared.steps": [
        step("flag", at(0, 0)),
        lambda steps: (*steps, Step("select", np.array([1, 0]))),
        step("fill", at(0, NAN)),
    ],
    "lookup model.space.prepared": [constantly(Preparation(()))],
    "lookup model.stored.shares": [sparse.csr_array],
    "adaptive model.reliability.nugget_factor": [constantly(0.0)],
    "deleted model.index.links": [lambda links: at((0, 0), len(links) - 1)(links)],
    "trees model.space.trees.roots": [at(0, 0)],
    "trees model.space.trees": [
        lambda t: replace(t, roots=t.roots[:1], salts=t.salts[:1]),
        one_leaf,
        lambda t: replace(t, roots=at(0, len(t.feature) - 1)(t.roots)),
        with_right(leaf_node, lambda *_: 0),
        with_right(leaf_node, lambda t, _: len(t.values) - 1),
        with_right(inner_node, lambda _, place: place + 1),
    ],
    "trees model.space.trees.feature": [
        first_where(lambda f: f >= 0, 3),
        first_where(lambda f: f >= 0, 0),
    ],
}


@pytest.mark.parametrize(
    ("where", "problem", "change"),
    [(where, *wrong) for where, all_wrong in REFUSED.items() for wrong in all_wrong],
)
def test_wrong_numbers_are_refused(where, problem, change, states):
    kind, path = where.split()
    state = states[kind]
    changed = put(state, path, change(part(state, path)))
    message = f"does not hold together: {re.escape(problem)}"
    with pytest.raises(SavedModelError, match=message):
        checked_state(changed)


@pytest.mark.parametrize(
    ("where", "change"),
    [(where, change) for where, changes in TAKEN.items() for change in changes],
)
def test_numbers_on_the_edge_are_taken(where, change, states):
    kind, path = where.split()
    state = states[kind]
    changed = put(state, path, change(part(state, path)))
    assert checked_state(changed) is changed


def test_what_a_predictor_holds_is_taken(states):
    for state in states.values():
        assert checked_state(state) is state


@pytest.mark.parametrize("value", [None, 3, "state", {}])
def test_what_is_no_state_is_refused(value, states):
    with pytest.raises(SavedModelError, match="it is no predictor"):
        checked_state(value)


def test_rows_are_named_by_their_ids_or_their_numbers():
    X, y, _ = hard_rows()
    training = build_training_set(X, y, 3)
    first = [np.flatnonzero(training.pair_of_row == p)[0] for p in range(164)]
    assert_array_equal(row_names(training, None), first)
    numbers = 1000 - np.arange(len(X))
    assert_array_equal(row_names(training, numbers), numbers[first])
    texts = np.array([f"row {i}" for i in range(len(X))], dtype=object)
    assert row_names(training, texts).tolist() == texts[first].tolist()
    # Ids of two kinds, or of some rows alone, name none.
    for other in (7, None):
        mixed = at(first[5], other)(texts)
        assert_array_equal(row_names(training, mixed), first)


def test_parts_of_a_file_are_not_changed():
    assert_frozen("serving")
