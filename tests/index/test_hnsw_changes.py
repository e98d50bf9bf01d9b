"""Points that come to and go from a graph that is already built."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from knngraph.compact import unpacked
from knngraph.index.exact import ExactIndex
from knngraph.index.hnsw import HNSWIndex
from knngraph.index.medoids import MOST_UNLINKED, renumbered_entries

pytestmark = pytest.mark.usefixtures("engine")


@pytest.fixture
def points(random):
    return random.normal(size=(200, 4)).astype(np.float32)


def built(points, **settings):
    index = HNSWIndex(points.shape[1], len(points), **settings)
    index.add(points)
    return index


def drop(index, gone):
    """The index without some points, the others numbered on."""
    stays = np.ones(index.n_points, dtype=bool)
    stays[gone] = False
    return index.renumbered(np.where(stays, np.cumsum(stays) - 1, -1)), stays


def test_new_numbers(points):
    index = built(points)
    number_now = np.random.default_rng(1).permutation(len(points))
    changed = index.renumbered(number_now)
    ids, squared = index.nearest(points, 5, ef=50)
    found, distances = changed.nearest(points, 5, ef=50)
    assert_array_equal(found, number_now[ids])
    assert_array_equal(distances, squared)
    assert_array_equal(changed.points()[number_now], points)


def test_removed_points_are_never_found(points):
    changed, stays = drop(built(points), np.arange(0, 200, 3))
    assert changed.n_points == stays.sum()
    assert changed.n_places == 200
    assert_array_equal(changed.points(), points[stays])
    expected, _ = ExactIndex(points[stays]).nearest(points, 7)
    assert_array_equal(changed.nearest(points, 7, ef=200)[0], expected)
    for ef in (1, 2, 8):
        assert changed.nearest(points, 1, ef=ef)[0].max() < stays.sum()
    all_points, _ = changed.nearest(points[:3], 200)
    assert_array_equal(np.sort(all_points, axis=1), [np.arange(stays.sum())] * 3)


def test_the_original_stays_as_it_is(points):
    index = built(points)
    before = index.nearest(points, 3, ef=10)[0]
    changed, _ = drop(index, np.arange(100))
    changed.add(points[:50] + 10)
    assert changed.n_points == 150
    assert index.n_points == 200
    assert_array_equal(index.nearest(points, 3, ef=10)[0], before)


def test_points_may_come_between_the_others(points, random):
    stays = np.arange(200) % 4 > 0
    # Every fourth number is free for a new point.
    changed = built(points).renumbered(np.where(stays, np.arange(200), -1))
    new = random.normal(size=(50, 4)).astype(np.float32)
    changed.add(new, np.flatnonzero(~stays))
    rows = points.copy()
    rows[~stays] = new
    assert_array_equal(changed.points(), rows)
    expected, _ = ExactIndex(rows).nearest(points, 4)
    assert_array_equal(changed.nearest(points, 4, ef=250)[0], expected)


def test_brute_force_where_the_graph_falls_short(points):
    changed, stays = drop(built(points), np.arange(50))
    parts = changed.parts()
    parts.links[:, :2] = 0  # no links
    torn = HNSWIndex.from_parts(parts)
    expected, _ = ExactIndex(points[stays]).nearest(points, 4)
    assert_array_equal(torn.nearest(points, 4)[0], expected)


def test_more_changes_after_a_round_trip(points, random):
    changed, stays = drop(built(points), np.arange(60))
    loaded = pickle.loads(pickle.dumps(changed))
    assert loaded.n_points == 140
    assert loaded.n_places == 200
    assert_array_equal(
        loaded.nearest(points, 3, ef=10)[0], changed.nearest(points, 3, ef=10)[0]
    )
    twice, stays_twice = drop(loaded, np.arange(40))
    twice.add(random.normal(size=(300, 4)).astype(np.float32))
    assert twice.n_points == 400
    assert_array_equal(twice.points()[:100], points[stays][stays_twice])


def test_a_point_that_is_left_alone(points):
    changed = built(points[:3]).renumbered(np.array([-1, 0, -1]))
    for index in (changed, pickle.loads(pickle.dumps(changed))):
        again = index.renumbered(np.array([0]))
        assert again.points().tolist() == points[1:2].tolist()
        assert again.nearest(points, 3)[0].tolist() == [[0]] * 200


@pytest.mark.parametrize("changes", ["original", "renumbered"])
def test_either_of_two_that_share_a_graph_may_add(changes, points):
    index = built(points)
    one, other = index, index.renumbered(np.arange(200)[::-1])
    if changes == "renumbered":
        one, other = other, one
    before = other.nearest(points, 3, ef=20)
    one.add(points[:10] + 1)
    assert (one.n_points, one.n_places) == (210, 210)
    assert (other.n_points, other.n_places) == (200, 200)
    assert_array_equal(other.nearest(points, 3, ef=20), before)
    # Now neither shares: no copy is made any more.
    held = one._graph
    one.add(points[:10] + 2)
    assert one._graph is held


def test_saved_beside_its_points(points):
    changed, stays = drop(built(points), np.arange(0, 200, 3))
    state = changed.state_beside(points[stays])
    # Only rows that are gone are in it.
    assert unpacked(state["parts"]["vectors"]).shape == (67, 4)
    whole = pickle.dumps(changed)
    assert len(pickle.dumps(state)) < len(whole) - 100 * 4 * 4
    loaded = HNSWIndex.from_state_beside(state, points[stays])
    assert pickle.dumps(loaded) == whole
    # Beside other points, as of another precision, it holds all of its own.
    for others in (points[stays].astype(np.float64), points[stays] + np.float32(1)):
        state = changed.state_beside(others)
        assert unpacked(state["parts"]["vectors"]).shape == (200, 4)
        loaded = HNSWIndex.from_state_beside(state, others)
        assert pickle.dumps(loaded) == whole
        assert_array_equal(loaded.points(), points[stays])


def test_as_many_wait_as_may(points):
    index = built(points[:100])
    index.add(points[100:101], may_wait=True)
    index.add(points[101:100], may_wait=True)
    index.add(points[101 : 100 + MOST_UNLINKED], may_wait=True)
    assert index.n_linked == 100
    assert index.n_points == 100 + MOST_UNLINKED
    numbers, rows = index.unlinked
    assert_array_equal(numbers, np.arange(100, 100 + MOST_UNLINKED))
    assert_array_equal(rows, points[100 : 100 + MOST_UNLINKED])
    index.add(points[100 + MOST_UNLINKED :][:1], may_wait=True)
    assert index.n_linked == index.n_points == 101 + MOST_UNLINKED
    assert len(index.unlinked[0]) == len(index.unlinked[1]) == 0
    index.add(points[190:191], may_wait=True)
    # Those that wait go in with others that may not.
    index.add(points[191:192])
    assert index.n_linked == index.n_points == 103 + MOST_UNLINKED


def test_all_points_may_wait(points):
    index = HNSWIndex(4, 10)
    index.add(points[:10], may_wait=True)
    assert (index.n_linked, index.n_points) == (0, 10)
    exact, squared = ExactIndex(points[:10]).nearest(points, 12)
    ids, its_squared = index.nearest(points, 12)
    assert_array_equal(ids, exact)
    assert_allclose(its_squared, squared, rtol=1e-5)
    assert index.row_searcher(1)(points[50])[0] == exact[50, 0]


def test_points_that_wait_are_checked_when_they_are_loaded(points):
    index = built(points[:100])
    index.add(points[100:103], may_wait=True)
    parts, (numbers, rows) = index.parts(), index.unlinked
    assert HNSWIndex.from_parts(parts, numbers, rows).n_points == 103
    for damaged in (
        (numbers.astype(float), rows),
        (numbers, rows.astype(np.float64)),
        (numbers[:2], rows),
        (numbers, rows[:, :3]),
    ):
        with pytest.raises(ValueError, match="outside of the HNSW index are damaged"):
            HNSWIndex.from_parts(parts, *damaged)


def test_a_search_from_medoids_follows_points_that_wait_come_and_go(points, random):
    index = built(points)
    search = index.from_medoids(points)
    index.add(random.normal(size=(3, 4)).astype(np.float32), may_wait=True)
    assert index.from_medoids(index.points()).n_points == 203
    index.from_medoids(index.points())
    number_now = np.arange(203)
    number_now[[5, 201]] = -1
    number_now[number_now >= 0] = random.permutation(201)
    changed = index.renumbered(number_now)
    rows = changed.points()
    entries = renumbered_entries(search.centers, search.entries, number_now)
    patched = changed.from_medoids(rows, entries)
    fresh = pickle.loads(pickle.dumps(changed)).from_medoids(rows, entries)
    for name in ("points", "deleted", "links", "centers", "entries", "unlinked"):
        assert_array_equal(getattr(patched, name), getattr(fresh, name), err_msg=name)
    assert_array_equal(patched.deleted, points[[5]])
    assert_array_equal(np.sort(patched.unlinked), np.sort(number_now[[200, 202]]))
    assert_array_equal(patched.links[patched.unlinked], -1)
    exact, _ = ExactIndex(rows).nearest(points, 5)
    assert_array_equal(patched.nearest(points, 5, ef=250)[0], exact)


@pytest.fixture
def waiting(points, random):
    """An index with some points outside of its graph, and its rows."""
    index, stays = drop(built(points), np.arange(0, 200, 7))
    new = random.normal(size=(MOST_UNLINKED, 4)).astype(np.float32)
    index.add(new, np.arange(index.n_points, index.n_points + 32), may_wait=True)
    rows = np.concatenate([points[stays], new])
    left = np.ones(len(rows), dtype=bool)
    left[[0, 50, -1]] = False
    index = index.renumbered(np.where(left, np.cumsum(left) - 1, -1))
    assert index.n_linked == index.n_points - 31
    return index, rows[left]


def test_points_that_wait_are_found(waiting, random):
    index, rows = waiting
    queries = random.normal(size=(300, 4)).astype(np.float32)
    exact, _ = ExactIndex(rows).nearest(queries, 5)
    assert_array_equal(index.points(), rows)
    assert_array_equal(index.numbers, np.arange(len(rows)))
    for search in (index, index.from_medoids(rows), pickle.loads(pickle.dumps(index))):
        ids, _ = search.nearest(queries, 5, ef=250)
        assert_array_equal(ids, exact)
        assert_array_equal(search.row_searcher(250)(queries[0])[0], exact[0, 0])
        few, _ = search.nearest(rows[-31:], 1)
        assert_array_equal(few[:, 0], np.arange(len(rows) - 31, len(rows)))


def test_an_early_end_takes_points_that_wait_into_account(waiting):
    index, rows = waiting
    stored = np.zeros(len(rows), dtype=np.intp)
    stored[-31:] = 1
    ids, _, agreed = index.from_medoids(rows).nearest_unless_agreed(
        rows, 5, n_agree=1, stored=stored, node_classes=stored, ef=250, early_ef=4
    )
    assert_array_equal(ids[-31:, 0], np.arange(len(rows) - 31, len(rows)))
    exact, _ = ExactIndex(rows).nearest(rows[~agreed], 5)
    assert_array_equal(ids[~agreed], exact)


def test_too_many_that_wait_go_into_the_graph(waiting, points):
    index, rows = waiting
    index.add(rows[:2] + 9, np.arange(len(rows), len(rows) + 2), may_wait=True)
    assert index.n_linked == index.n_points
    assert_array_equal(index.points()[: len(rows)], rows)


def test_a_graph_is_shared_until_one_of_two_has_to_change_it(points):
    index = built(points)
    search = index.from_medoids(points)
    changed, stays = drop(index, [3, 70])
    assert changed._graph is index._graph
    # What is gone is known to the search from medoids without a look at the graph.
    patched = changed.from_medoids(points[stays], (search.centers, search.entries * 0))
    assert changed._graph is index._graph
    fresh = pickle.loads(pickle.dumps(changed)).from_medoids(points[stays])
    assert_array_equal(patched.links, fresh.links)
    assert_array_equal(patched.deleted, fresh.deleted)
    changed.nearest(points, 1)
    assert changed._graph is not index._graph
    own = changed._graph
    changed.nearest(points, 1)
    assert changed._graph is own
    again, _ = drop(changed, [0])
    again.add(points[3:4] + 9)
    assert again.n_places == changed.n_places + 1
