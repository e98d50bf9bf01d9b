"""The search from medoids: its answers, deleted points, and what must not matter."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from knngraph.index import medoids
from knngraph.index.exact import ExactIndex
from knngraph.index.hnsw import HNSWIndex
from knngraph.index.medoids import (
    N_ENTRIES,
    MedoidSearch,
    choose_entries,
    early_steps,
    places_of,
    renumbered_entries,
)


def graph_of(points, M=16):
    index = HNSWIndex(points.shape[1], len(points), M=M)
    index.add(points)
    return index


@pytest.fixture(scope="module")
def points():
    """Points without copies, near a sheet: a search has to go around."""
    random = np.random.default_rng(3)
    sheet = np.tanh(random.normal(size=(3000, 4)) @ random.normal(size=(4, 12)))
    return (sheet + 0.05 * random.normal(size=sheet.shape)).astype(np.float32)


@pytest.fixture(scope="module")
def queries(points):
    noise = np.random.default_rng(4).normal(scale=0.1, size=(700, points.shape[1]))
    return (points[:700] + noise).astype(np.float32)


@pytest.fixture(scope="module")
def graph(points):
    return graph_of(points)


@pytest.mark.parametrize("k", [1, 40])
def test_a_large_ef_finds_what_brute_force_finds(k, graph, points, queries):
    # So wide that the table of the points met has to grow many times.
    ids, squared = graph.from_medoids(points).nearest(queries[:50], k, ef=len(points))
    exact_ids, exact_squared = ExactIndex(points).nearest(queries[:50], k)
    assert_array_equal(ids, exact_ids)
    assert_allclose(squared, exact_squared, rtol=1e-5)


def test_an_ef_of_two_finds_more_than_the_greedy_search(graph, points, queries):
    exact, _ = ExactIndex(points).nearest(queries, 1)
    greedy, _ = graph.nearest(queries, 1, ef=1)
    found, _ = graph.from_medoids(points).nearest(queries, 1, ef=2)
    assert 0 < (found != exact).mean() < 0.5 * (greedy != exact).mean()


@pytest.mark.parametrize("ef", [1, 2, 8, 64])
def test_neither_batch_nor_threads_nor_a_read_only_array_matters(
    ef, graph, points, queries
):
    frozen = points.copy()
    frozen.flags.writeable = False
    search, another = graph.from_medoids(points), graph_of(points).from_medoids(frozen)
    together = search.nearest(queries, 3, ef=ef)
    assert_array_equal(search.nearest(queries, 3, ef=ef, n_threads=2), together)
    assert_array_equal(another.nearest(queries, 3, ef=ef), together)
    alone = [search.nearest(query[None], 3, ef=ef) for query in queries[:60]]
    assert_array_equal(np.concatenate([ids for ids, _ in alone]), together[0][:60])
    step = search.row_searcher(ef)
    wide = search.nearest(queries, 1, ef=ef)
    assert_array_equal([step(query)[0] for query in queries], wide[0][:, 0])
    assert_array_equal([step(query)[1] for query in queries], wide[1][:, 0])


@pytest.mark.parametrize(("ef", "end"), [(1, 1), (2, 3)])
def test_a_search_on_a_line_stops_where_it_goes_up_again(ef, end):
    points = np.array([[0.0], [1.0], [3.0], [2.6]], dtype=np.float32)
    links = np.array([[1, -1], [0, 2], [1, 3], [2, -1]], dtype=np.int32)
    entries = np.array([[0]], dtype=np.int32)
    search = MedoidSearch(points, points[:0], links, points[:1], entries)
    # From 0 over 1: row 2 is farther than row 1, so that an `ef` of 1 does not meet 3.
    ids, _ = search.nearest(np.array([[1.9]], dtype=np.float32), 1, ef=ef)
    assert ids.item() == end


def test_equal_distances_are_ordered_by_number():
    corners = np.array(np.meshgrid(*[[-1, 1]] * 6)).reshape(6, -1).T.astype(np.float32)
    search = graph_of(corners).from_medoids(corners)
    ids, _ = search.nearest(np.zeros((1, 6), np.float32), 64, ef=64)
    assert_array_equal(ids[0], np.arange(64))


def test_removed_points_are_walked_through_and_never_found(graph, points, queries):
    gone = np.arange(len(points)) % 4 == 0
    number_now = np.where(gone, -1, np.cumsum(~gone) - 1)
    left = points[~gone]
    search = graph.renumbered(number_now).from_medoids(left)
    assert search.n_points == len(left)
    assert_array_equal(search.deleted, points[gone])
    exact, _ = ExactIndex(left).nearest(queries, 5)
    assert_array_equal(search.nearest(queries, 5, ef=500)[0], exact)
    # With so small an `ef` the deleted have to hold the search together.
    found, _ = search.nearest(queries, 1, ef=8)
    assert (found[:, 0] == exact[:, 0]).mean() > 0.95


def test_points_are_named_by_place_whatever_their_numbers(points, queries):
    index = HNSWIndex(points.shape[1], 400)
    numbers = 7 + 3 * np.arange(400)
    order = np.random.default_rng(0).permutation(400)
    index.add(points[:400][order], numbers[order])
    ids, _ = index.from_medoids(points[:400]).nearest(queries, 1, ef=100)
    assert_array_equal(ids, ExactIndex(points[:400]).nearest(queries, 1)[0])


def test_what_cannot_be_reached_is_found_by_brute_force(graph, points, queries):
    whole = graph.from_medoids(points)
    torn = replace(whole, links=np.full_like(whole.links, -1))
    exact, _ = ExactIndex(points).nearest(queries, 3)
    assert_array_equal(torn.nearest(queries, 3)[0], exact)
    assert torn.row_searcher(2)(queries[0])[0] == exact[0, 0]


def test_many_links_and_few_points(points, queries):
    search = graph_of(points[:5], M=700).from_medoids(points[:5])
    ids, _ = search.nearest(queries, 9, ef=50)
    assert_array_equal(ids, ExactIndex(points[:5]).nearest(queries, 9)[0])
    one = graph_of(points[:1]).from_medoids(points[:1])
    assert one.nearest(queries[:2], 3)[0].tolist() == [[0], [0]]


def test_it_is_made_once_and_anew_after_a_change(points):
    first = points[:200]
    index = graph_of(first)
    search = index.from_medoids(first)
    assert index.from_medoids(first) is search
    assert search.points is first
    # Of the same points in another array only the array is another.
    same = first.copy()
    again = index.from_medoids(same)
    assert again.points is same
    assert again.links is search.links
    index.add(points[200:201])
    ids, _ = index.from_medoids(points[:201]).nearest(points[200:201], 1, ef=50)
    assert ids.item() == 200


def test_entries_are_in_the_middle_of_clusters(points):
    centers, entries = choose_entries(points)
    assert entries.shape[0] == 1
    assert entries.shape[1] <= N_ENTRIES
    assert centers.shape == (1, points.shape[1])
    assert_array_equal(entries, choose_entries(points.copy())[1])
    to_entry, _ = ExactIndex(points[entries[0]]).nearest(points, 1)[::-1]
    first, _ = ExactIndex(points[: entries.shape[1]]).nearest(points, 1)[::-1]
    assert to_entry.mean() < 0.8 * first.mean()
    _, few = choose_entries(points[:10])
    assert set(few[0].tolist()) <= set(range(10))


def test_many_points_have_entries_in_groups(random):
    points = random.normal(size=(20_000, 3)).astype(np.float32)
    points[:9000] = points[0] + 1e-3 * points[:9000]  # a group that needs no more
    centers, entries = choose_entries(points)
    assert len(centers) == len(entries) == 25
    assert entries.shape == (25, 25)
    assert (entries[:, 0] >= 0).all()
    there = entries >= 0
    assert (entries[there] % 4 == 0).all()  # of 8 sampled points for an entry
    # -1 only ends a group, and no point is an entry twice.
    assert (there[:, 1:] <= there[:, :-1]).all()
    assert len(np.unique(entries[there])) == there.sum() > 500
    # The entries of a group are near its center.
    group = np.broadcast_to(np.arange(25)[:, None], entries.shape)[there]
    nearest, _ = ExactIndex(centers).nearest(points[entries[there]], 1)
    assert (nearest[:, 0] == group).mean() > 0.99
    for again, first in zip(choose_entries(points.copy()), (centers, entries)):
        assert_array_equal(again, first)
    # Rows of many columns keep one group: sampling them would take long.
    assert len(choose_entries(np.zeros((8192, 8200), np.float32))[0]) == 1


def test_at_most_64_groups_of_64_entries():
    centers, entries = choose_entries(np.arange(140_000, dtype=np.float32)[:, None])
    assert centers.shape == (64, 1)
    assert entries.shape == (64, 64)
    assert early_steps(10**9, 32) == 6
    # Of as many columns as leave 16 groups eight points for each entry.
    assert [early_steps(10**6, d) for d in (8192, 8193)] == [6, 2]


@pytest.mark.parametrize(
    ("n_points", "n_features", "step"),
    [(4096, 2, 1), (4097, 2, 2), (8191, 2, 2), (257, 16_400, 2)],
)
def test_entries_are_of_every_so_many_th_point(n_points, n_features, step):
    line = np.arange(n_points, dtype=np.float32)[:, None]
    _, entries = choose_entries(np.broadcast_to(line, (n_points, n_features)))
    assert (entries % step == 0).all()
    assert (entries // step % 2 == 1).any()
    # In the middle of parts of the line that are about as long.
    assert len(entries[0]) == N_ENTRIES
    assert np.diff(entries[0]).max() < 2 * n_points / N_ENTRIES


def means_plainly(rows, count):
    """Lloyd's algorithm in five rounds, row after row, from evenly picked rows."""
    count = min(count, len(rows))
    centers = [rows[number * len(rows) // count] for number in range(count)]
    for _ in range(5):
        members = [[] for _ in centers]
        for row in rows:
            members[np.argmin([((row - c) ** 2).sum() for c in centers])].append(row)
        pairs = zip(members, centers)
        centers = [np.mean(own, axis=0) if own else center for own, center in pairs]
    return centers


@pytest.mark.parametrize(("n_rows", "count"), [(60, 20), (40, 3), (9, 9), (3, 5)])
def test_means_of_clusters(n_rows, count, random):
    rows = random.normal(size=(n_rows, 2))
    # The first two centers are equal: nothing is nearest to the second one.
    rows[n_rows // count] = rows[0]
    means = medoids._means(rows.astype(np.float32), count)
    assert means.dtype == np.float64
    assert_allclose(means, means_plainly(rows.astype(np.float32), count), rtol=1e-5)


def test_places_of_a_search_go_by_number_the_deleted_last():
    # Numbers without gaps are places already.
    numbers, unlinked = np.array([2, -1, 0, 3, -1]), np.array([1])
    places, waiting = places_of(numbers, unlinked)
    assert places.tolist() == [2, 4, 0, 3, 5]
    assert waiting.tolist() == [1]
    assert places.dtype == waiting.dtype == np.int32
    places, waiting = places_of(np.array([9, 5, -1, 30]), np.array([7, 4]))
    assert places.tolist() == [3, 1, 5, 4]
    assert waiting.tolist() == [2, 0]
    places, waiting = places_of(np.array([1, 2]), np.array([], dtype=np.intp))
    assert places.tolist() == [0, 1]
    places, waiting = places_of(np.array([-1, -1]), np.array([], dtype=np.intp))
    assert places.tolist() == [0, 1]
    assert not len(waiting)


def test_entries_get_the_numbers_of_their_points():
    centers = np.array([[1.0], [2.0], [3.0]], dtype=np.float32)
    entries = np.array([[0, 2, 4], [1, 3, -1], [5, -1, -1]], dtype=np.int32)
    number_now = np.array([7, -1, 0, 3, -1, -1])
    left, now = renumbered_entries(centers, entries, number_now)
    assert left.tolist() == [[1.0], [2.0]]
    assert now.tolist() == [[0, 7, -1], [3, -1, -1]]
    assert now.dtype == np.int32
    assert renumbered_entries(centers, entries, np.full(6, -1)) is None


def test_links_to_some_points_can_be_cut():
    points = np.arange(4, dtype=np.float32)[:, None]
    links = [[1, 2, 3], [0, 2, -1], [3, 1, 0], [-1, -1, -1]]
    links = np.array(links, dtype=np.int32)
    entries = np.array([[0]], dtype=np.int32)
    search = MedoidSearch(points, points[:0], links, points[:1], entries)
    cut = search.without(np.array([2, 3]))
    assert cut.links.tolist() == [[1, -1, -1], [0, -1, -1], [1, 0, -1], [-1, -1, -1]]
    assert search.links.tolist() == links.tolist()
    assert cut.nearest(points[3:], 2, ef=2)[0].tolist() == [[1, 0]]


def line_of(n_points, n_groups=1):
    """A search over points on a line, each linked to the next, from the first one."""
    points = np.arange(n_points, dtype=np.float32)[:, None]
    links = np.arange(1, n_points + 1, dtype=np.int32)[:, None]
    links[-1] = -1
    entries = np.zeros((n_groups, 1), dtype=np.int32)
    return MedoidSearch(points, points[:0], links, points[:n_groups], entries)


@pytest.mark.parametrize(
    ("n_groups", "k", "early_ef", "n_found"),
    [
        # The first two agree once four are expanded; so many are kept until then.
        (1, 10, 1, 4),
        (1, 10, 4, 4),
        # Where more are kept, the one that the fourth leads to is listed too.
        (1, 10, 5, 5),
        (1, 10, 9, 5),
        # Not more are expanded than are to be found.
        (1, 3, 1, 3),
        # With groups of entries it takes six times as many.
        (2, 20, 1, 12),
        (2, 20, 20, 13),
    ],
)
def test_where_a_search_ends_early(n_groups, k, early_ef, n_found):
    search, query = line_of(30, n_groups), np.zeros((1, 1), dtype=np.float32)
    settings = {"n_agree": 2, "early_ef": early_ef, "ef": 20}
    classes = np.array([1, 1, *[0] * 28])
    ids, squared, agreed = search.nearest_unless_agreed(
        query, k, stored=classes, node_classes=classes, **settings
    )
    assert agreed.tolist() == [True]
    missing = k - n_found
    assert ids.tolist() == [[*range(n_found), *[-1] * missing]]
    assert squared.tolist() == [[*np.arange(n_found) ** 2.0, *[0.0] * missing]]
    # They do not agree: the search goes on to the end.
    classes = np.array([1, *[0] * 29])
    ids, _, agreed = search.nearest_unless_agreed(
        query, k, stored=classes, node_classes=classes, **settings
    )
    assert agreed.tolist() == [False]
    assert ids.tolist() == [list(range(k))]


def test_entries_that_wait_outside_of_the_graph_are_none(points):
    index = graph_of(points[:40])
    index.add(points[40:43], may_wait=True)
    chosen = index.from_medoids(points[:43]).entries
    assert chosen.tolist() == [[*range(40), -1, -1, -1]]
    given = points[:1], np.array([[41, 42]], dtype=np.int32)
    again = graph_of(points[:40])
    again.add(points[40:43], may_wait=True)
    search = again.from_medoids(points[:43], given)
    # Nothing is left of them: any point of the graph is as good.
    assert search.entries.tolist() == [[0]]
    assert search.centers.shape == (1, points.shape[1])
    # No link leads to points that wait, or from them.
    assert_array_equal(search.links[40:], -1)
    assert search.links.max() < 40
    assert search.nearest(points[40:43], 1)[0].tolist() == [[40], [41], [42]]


def test_a_search_starts_in_the_two_nearest_groups():
    points = np.array([[0], [9], [2], [-3], [20], [8]], dtype=np.float32)
    nowhere = np.full((6, 1), -1, dtype=np.int32)
    centers = np.array([[4], [-3], [20]], dtype=np.float32)
    entries = np.array([[0, 1], [2, 3], [4, -1]], dtype=np.int32)
    search = MedoidSearch(points, points[:0], nowhere, centers, entries)
    queries = np.array([[1.8], [8.2], [-2.9], [30.0]], dtype=np.float32)
    # Without links a search ends where it starts: 2 is in the second nearest group
    # of the first query, and no group holds 8.
    assert search.nearest(queries, 1, ef=1)[0].tolist() == [[2], [1], [3], [4]]


def test_searches_among_many_clusters_start_in_the_right_one():
    # With 64 starts they missed 39.6 % and 2.7 %: many began in another cluster.
    random = np.random.default_rng(0)
    centers = 10.0 * random.normal(size=(400, 32))
    rows = np.repeat(centers, 53, axis=0)
    rows = random.permutation((rows + random.normal(size=rows.shape)).astype("f4"))
    points, queries = rows[:20_000], rows[20_000:21_000]
    index = HNSWIndex(32, len(points), M=6, ef_construction=100)
    index.add(points)
    exact, _ = ExactIndex(points).nearest(queries, 1)
    for ef, share in ((2, 0.3), (16, 0.005)):
        found, _ = index.from_medoids(points).nearest(queries, 1, ef=ef)
        assert (found != exact).mean() < share


@pytest.mark.parametrize("early_ef", [1, 8, 12, 16])
def test_a_search_that_may_end_early_finds_as_much(early_ef, random):
    points = random.normal(size=(600, 6)).astype(np.float32)
    queries = random.normal(size=(300, 6)).astype(np.float32)
    search = graph_of(points).from_medoids(points)
    node_classes = (points[:, 0] > 0).astype(np.intp)
    node_classes[::7] = -1
    stored = np.where(node_classes < 0, 0, node_classes)
    settings = {
        "n_agree": 4,
        "stored": stored,
        "node_classes": node_classes,
        "early_ef": early_ef,
    }
    ids, squared, agreed = search.nearest_unless_agreed(queries, 16, **settings)
    whole, distances = search.nearest(queries, 16)
    assert 0.2 < agreed.mean() < 0.8
    if early_ef == 16:
        # As wide before the early end as after it: the same steps.
        assert_array_equal(ids[~agreed], whole[~agreed])
        assert_array_equal(squared[~agreed], distances[~agreed])
    # A search that goes on has found at least as much as one that was wide all along.
    exact, exactly = ExactIndex(points).nearest(queries, 16)
    as_far = exactly[:, -1:] * (1.0 + 1e-5)
    recall = (squared <= as_far)[~agreed].mean()
    assert recall > (distances <= as_far)[~agreed].mean() - 0.01
    # The nearest are found all but always, and it is they that agree.
    assert (ids[agreed, 0] == exact[agreed, 0]).mean() > 0.97
    found = ids[agreed, :4]
    assert (node_classes[found] == stored[found[:, :1]]).all()
    # An early end need not have met all points.
    assert (ids[agreed] != whole[agreed]).any()
    alone = [
        search.nearest_unless_agreed(query[None], 16, **settings)
        for query in queries[:50]
    ]
    assert_array_equal(np.concatenate([a[2] for a in alone]), agreed[:50])
    assert_array_equal(np.concatenate([a[0] for a in alone]), ids[:50])
    threads = search.nearest_unless_agreed(queries, 16, n_threads=2, **settings)
    assert_array_equal(threads[0], ids)


def test_stations_have_no_class(random):
    points = random.normal(size=(400, 3)).astype(np.float32)
    queries = random.normal(size=(100, 3)).astype(np.float32)
    number_now = np.arange(400)
    number_now[::2] = -1
    number_now[1::2] = np.arange(200)
    search = graph_of(points).renumbered(number_now).from_medoids(points[1::2])
    assert len(search.deleted) == 200
    one_class = np.zeros(200, dtype=np.intp)
    ids, _, agreed = search.nearest_unless_agreed(
        queries, 16, n_agree=4, stored=one_class, node_classes=one_class
    )
    assert agreed.mean() > 0.5
    assert (ids[:, :4] < 200).all()
    mixed = np.full(200, -1, dtype=np.intp)
    *_, agreed = search.nearest_unless_agreed(
        queries, 16, n_agree=4, stored=one_class, node_classes=mixed
    )
    assert not agreed.any()
