"""The approximate index: its answers, its fallback, its saved state."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from knngraph.exceptions import SavedModelError
from knngraph.index.exact import ExactIndex
from knngraph.index.hnsw import HNSWIndex

pytestmark = pytest.mark.usefixtures("engine")


def build(points, seed=0):
    """An index of all points, built by one thread."""
    index = HNSWIndex(points.shape[1], len(points), seed=seed)
    index.add(points)
    return index


def without_links(index):
    """An index in which a search gets no farther than where it enters."""
    parts = index.parts()
    parts.links[:, :2] = 0
    return HNSWIndex.from_parts(parts)


@pytest.fixture
def points(random):
    """Points without copies."""
    return random.normal(size=(300, 4)).astype(np.float32)


@pytest.fixture
def queries(random):
    """Queries that are not points."""
    return random.normal(size=(50, 4)).astype(np.float32)


def test_a_large_ef_finds_what_brute_force_finds(points, queries):
    index = build(points)
    ids, squared = index.nearest(queries, 5, ef=300)
    exact_ids, exact_squared = ExactIndex(points).nearest(queries, 5)
    assert_array_equal(ids, exact_ids)
    assert_allclose(squared, exact_squared, rtol=1e-5)


def test_a_large_ef_changes_no_later_call(points, queries):
    index = build(points)
    before = index.nearest(queries, 1)
    index.nearest(queries, 10, ef=200)
    assert_array_equal(before, index.nearest(queries, 1))


def test_threads_change_nothing(points, queries):
    index = build(points)
    one = index.nearest(queries, 3, ef=8, n_threads=1)
    assert_array_equal(one, index.nearest(queries, 3, ef=8, n_threads=2))


def test_one_seed_builds_one_graph(points):
    states = [pickle.dumps(build(points, seed=seed)) for seed in (1, 1, 2)]
    assert states[0] == states[1] != states[2]


def test_points_are_numbered_on(points):
    index = HNSWIndex(4, 300)
    index.add(points[:100])
    index.add(points[100:])
    assert index.n_points == 300
    assert index.n_bytes > points.nbytes
    assert_array_equal(index.points(), points)


def test_no_more_than_there_are(points):
    ids, _ = build(points[:3]).nearest(points[:1], 10, ef=50)
    assert sorted(ids[0].tolist()) == [0, 1, 2]


def test_a_torn_graph_is_answered_by_brute_force(points, queries):
    index = without_links(build(points))
    ids, _ = index.nearest(queries, 2)
    assert_array_equal(ids, ExactIndex(points).nearest(queries, 2)[0])
    find = index.row_searcher(2)
    assert_array_equal([find(row)[0] for row in queries], ids[:, 0])


def test_what_the_graph_answers_does_not_depend_on_the_batch(points):
    parts = build(points).parts()
    # A search that comes down to one of these finds no link that leads on.
    lone = np.flatnonzero(parts.levels)[::2]
    parts.links.view(np.int32)[lone, 0] = 0
    index = HNSWIndex.from_parts(parts)
    ids, squared = index.nearest(points, 4)
    exact, _ = ExactIndex(points).nearest(points, 4)
    assert_array_equal(ids[lone], exact[lone])
    lost = index._graph.search(points, 4, 4)[0][:, 0] < 0
    assert lost[lone].all()
    assert not lost.all()
    for place in range(0, len(points), 7):
        alone = index.nearest(points[place : place + 1], 4)
        assert_array_equal(alone[0][0], ids[place])
        assert_array_equal(alone[1][0], squared[place])


def test_saved_and_loaded(points, queries):
    index = build(points)
    loaded = pickle.loads(pickle.dumps(index))
    assert_array_equal(loaded.nearest(queries, 2), index.nearest(queries, 2))


@pytest.mark.parametrize("version", [1, 3, 999, None])
def test_a_state_of_another_release_is_refused(version, points):
    state = build(points).__getstate__()
    assert state["version"] == 2
    index = HNSWIndex.__new__(HNSWIndex)
    message = (
        f"saved in format {version}; this release of knngraph reads format 2. Load"
    )
    with pytest.raises(SavedModelError, match=message):
        index.__setstate__({**state, "version": version})


def test_an_index_without_points_is_saved_and_filled(points):
    empty = HNSWIndex(4, 300)
    assert empty.n_points == empty.n_places == 0
    empty.add(points[:0])
    assert empty.n_points == 0
    loaded = pickle.loads(pickle.dumps(empty))
    assert loaded.n_points == len(loaded.points()) == len(loaded.numbers) == 0
    for index in (empty, loaded):
        index.add(points)
        assert_array_equal(index.points(), points)
        ids, _ = index.nearest(points, 1, ef=50)
        assert_array_equal(ids[:, 0], np.arange(300))


def test_the_latest_points_by_their_places(points):
    index = HNSWIndex(4, 300)
    index.add(points[:4], np.array([7, 3, 9, 1]))
    assert index.numbers.tolist() == [1, 3, 7, 9]
    assert index.latest(2).tolist() == [3, 0]
    assert index.latest(0).tolist() == []
    assert index.latest(4).tolist() == index.latest(9).tolist() == [2, 1, 3, 0]
    # Of those that are left: 9 is gone, and the others have new numbers.
    index = index.renumbered(np.array([-1, 5, -1, 2, -1, -1, -1, 8, -1, -1]))
    assert index.latest(2).tolist() == [0, 1]


def test_the_square_distance_of_one_row(points, queries):
    index = build(points)
    find = index.row_searcher(20)
    ids, squared = index.nearest(queries, 1, ef=20)
    assert [find(row) for row in queries] == list(
        zip(ids[:, 0].tolist(), squared[:, 0].tolist())
    )
