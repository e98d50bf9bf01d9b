"""Stages that work on some pairs, and lists over partitions."""

from dataclasses import replace

import dask
import numpy as np
import pytest

from knngraph import KNNGraphClassifier
from knngraph.distributed.learn import make_patch
from knngraph.distributed.partition import (
    Layout,
    Partition,
    Router,
    join_nodes,
    ranges,
    take_nodes,
    with_index,
)
from knngraph.distributed.search import Lists, SearchOptions, nearest_over
from knngraph.distributed.tasks import constant
from knngraph.graph.learn import learn_pairs
from knngraph.graph.training_set import build_training_set
from knngraph.index import build
from knngraph.index.build import BuildSettings
from knngraph.index.exact import ExactIndex
from knngraph.index.hnsw import HNSWIndex
from knngraph.inference.leave_one_out import leave_one_out
from tests.distributed.data import rows_with_copies, wrong_labels


@pytest.fixture(scope="module")
def model():
    X, y = rows_with_copies(300)
    classifier = KNNGraphClassifier(random_state=0, support="local", ef=16)
    return classifier.fit(X, wrong_labels(y))._model


@pytest.mark.parametrize("which", ["all", "some"])
def test_some_pairs_are_learned_as_among_all(model, which):
    training, graph = model.training, model.graph
    pairs = np.arange(training.n_pairs)
    if which == "some":
        pairs = np.random.default_rng(0).permutation(pairs)[:90]
    learned = learn_pairs(
        training,
        model.rows.neighbors,
        model.settings.graph,
        graph.problem,
        pairs,
        seed=model.settings.seed,
        n_threads=1,
    )
    weights = graph.representation.weights[pairs]
    assert (learned.representation.weights != weights).nnz == 0
    np.testing.assert_array_equal(
        learned.representation.gaps, graph.representation.gaps[pairs]
    )
    np.testing.assert_array_equal(learned.consensus.codes, graph.consensus.codes[pairs])
    np.testing.assert_array_equal(
        learned.consensus.distribution, graph.consensus.distribution[pairs]
    )


def test_some_pairs_are_left_out_as_among_all(model):
    training, neighbors = model.training, model.rows.neighbors
    expected = leave_one_out(training, neighbors, model.problem)
    every = leave_one_out(
        training, neighbors, model.problem, pairs=np.arange(training.n_pairs)
    )
    assert (every.exponent, every.score) == (expected.exponent, expected.score)
    pairs = np.random.default_rng(0).permutation(training.n_pairs)[:90]
    some = leave_one_out(training, neighbors, model.problem, pairs=pairs)
    for name in ("right", "own_share", "rival_code", "rival_share"):
        np.testing.assert_array_equal(
            getattr(some, name), getattr(expected, name)[pairs]
        )
    weights = training.pair_weight[pairs]
    assert some.score == np.average(some.right, weights=weights)


def partitions_of(points, codes, n_partitions, seed=0):
    """Rows cut by their hash, and where each is among the nodes of all."""
    router = Router(n_partitions, seed)
    where = router.partition_of(points)
    parts = []
    for number in range(n_partitions):
        rows = np.flatnonzero(where == number)
        training = build_training_set(points[rows], codes[rows], 10, seed)
        parts.append(with_index(Partition(training, rows), BuildSettings(seed=seed)))
    sizes = np.array([[p.training.n_nodes, p.training.n_rows] for p in parts]).T
    layout = Layout([None] * n_partitions, router, None, *[points.shape[1]] * 2, *sizes)
    return parts, layout


@pytest.mark.parametrize("exact", [True, False])
def test_lists_over_partitions_are_those_of_all_rows(exact):
    X, y = rows_with_copies(300)
    points = (
        X + np.random.default_rng(0).normal(size=X.shape) * (y[:, None] < 5)
    ).astype(np.float32)
    parts, layout = partitions_of(points, y, 3)
    every = np.concatenate([part.training.points for part in parts])
    Q = every[::7] + np.float32(0.25)
    found = nearest_over(
        [constant(part, name="part") for part in parts],
        constant(Q, name="queries"),
        20,
        layout,
        SearchOptions(400, exact),
    )
    (lists,) = dask.compute(found, scheduler="sync")
    ids, squared = ExactIndex(every).nearest(Q, 20)
    np.testing.assert_allclose(lists.squared, squared, rtol=1e-5)
    different = lists.ids != ids  # of nodes that are equally far
    np.testing.assert_allclose(lists.squared[different], squared[different], rtol=1e-5)
    counts = np.concatenate([part.training.node_weights() for part in parts])
    np.testing.assert_array_equal(lists.counts, counts[lists.ids])


def test_a_patch_holds_a_block_and_its_candidates():
    X, y = rows_with_copies(100)
    parts, layout = partitions_of(X.astype(np.float32), y, 2)
    first, n = int(layout.firsts[1]), 5
    ids = np.array([[0, first + 9, 3]] * n, dtype=np.int32)
    lists = Lists(ids, np.ones(ids.shape, dtype=np.float32), None)
    wanted = layout.split(np.unique(np.append(ids, first + np.arange(n))))
    nodes = join_nodes(
        [
            take_nodes(part, places, number, layout, points=True)
            for number, (part, places) in enumerate(zip(parts, wanted))
        ]
    )
    patch = make_patch(nodes, lists, first, 10)
    assert patch.training.n_nodes == 2 + n + 1
    block = patch.training.points[patch.nodes]
    np.testing.assert_array_equal(block, parts[1].training.points[:n])
    listed = patch.training.points[patch.neighbors.ids[patch.nodes][0]]
    expected = [parts[0].training.points[0], parts[1].training.points[9]]
    np.testing.assert_array_equal(listed[:2], expected)
    starts = parts[1].training.node_starts()
    codes = parts[1].training.pair_code[: starts[n]]
    np.testing.assert_array_equal(patch.training.pair_code[patch.pairs], codes)


def test_nodes_are_joined_once_and_taken_in_any_order():
    X, y = rows_with_copies(100)
    parts, layout = partitions_of(X.astype(np.float32), y, 2)
    some = take_nodes(parts[0], np.array([1, 4, 6]), 0, layout, points=True)
    others = take_nodes(parts[0], np.array([0, 4]), 0, layout, points=True)
    joined = join_nodes([some, others])
    assert joined.ids.tolist() == [0, 1, 4, 6]
    expected = parts[0].training.points[[0, 1, 4, 6]]
    np.testing.assert_array_equal(joined.points, expected)
    back = joined.take(np.array([2, 0]))
    starts = parts[0].training.node_starts()
    pairs = ranges(starts[[4, 0]], np.diff(starts)[[4, 0]])
    np.testing.assert_array_equal(back.pair_code, parts[0].training.pair_code[pairs])
    assert replace(back, own=None) == back or back.own is None


@pytest.mark.usefixtures("engine")
def test_the_index_of_a_partition_with_many_rows(monkeypatch):
    points = np.random.default_rng(0).normal(size=(900, 5)).astype(np.float32)
    training = build_training_set(points, np.arange(900) % 2, 2)
    partition = Partition(training, np.arange(900))
    inserted = with_index(partition, BuildSettings())
    monkeypatch.setattr(build, "FEWEST_POINTS", 500)
    monkeypatch.setattr("knngraph.graph.order.RANDOM_HEAD", 100)
    linked = with_index(partition, BuildSettings(n_threads=2))
    assert isinstance(linked.index, HNSWIndex)
    assert (linked.training.points != training.points).any()
    for part in (inserted, linked):
        np.testing.assert_array_equal(
            part.training.points[part.training.node_of_row], points
        )
        found, _ = part.index.nearest(points, 1, ef=32)
        assert (found[:, 0] == part.training.node_of_row).mean() > 0.99
