"""Graphs made of neighbor lists: what searches find in them, and what never changes."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from knngraph.index import _links
from knngraph.index.cells import group_rows
from knngraph.index.exact import ExactIndex
from knngraph.index.hnsw import HNSWIndex
from knngraph.index.medoids import MedoidSearch
from knngraph.index.near_rows import list_near_rows
from knngraph.index.scales import (
    _make_reachable,
    _samples,
    count_candidates,
    link_rows,
)


def linked(parts):
    """Number of links on the lowest layer, and the places that they lead to."""
    numbers = parts.links.view(np.uint32)
    return (numbers[:, 0] & 0xFFFF).astype(np.uint16), numbers[:, 1:]


def clusters(n_rows, n_clusters, n_features, apart, seed=0):
    random = np.random.default_rng(seed)
    centers = apart * random.normal(size=(n_clusters, n_features))
    rows = centers[random.integers(n_clusters, size=n_rows)]
    return (rows + random.normal(size=rows.shape)).astype(np.float32)


def ordered_lists(points, k=48):
    """Rows in the order of their cells, and their lists."""
    cells = group_rows(points)
    ordered = points[cells.order]
    return ordered, *list_near_rows(ordered, cells, min(k, len(points) - 1))


def assert_same_parts(some, others):
    assert some.settings == others.settings
    for name in ("links", "labels", "levels", "upper", "vectors"):
        assert_array_equal(getattr(some, name), getattr(others, name))


@pytest.fixture(scope="module")
def rows_and_queries():
    rows = clusters(8500, 60, 16, apart=2.0)
    return rows[:8000], rows[8000:]


@pytest.fixture(scope="module")
def lists(rows_and_queries):
    return ordered_lists(rows_and_queries[0])


@pytest.fixture(scope="module")
def parts(lists):
    return link_rows(*lists)


def share_found(index, queries, stored, k, ef):
    _, exact = ExactIndex(stored).nearest(queries, k)
    _, squared = index.nearest(queries, k, ef=ef)
    return (squared <= exact[:, -1:] * (1.0 + 1e-5)).mean()


def reached_from_entry(parts):
    """Points that some way leads to on the lowest layer, one step after the other."""
    counts, places = linked(parts)
    there = np.arange(places.shape[1]) < counts[:, None]
    reached = np.zeros(parts.n_points, dtype=bool)
    front = np.array([parts.settings["enterpoint_node"]])
    while len(front):
        reached[front] = True
        front = np.unique(places[front][there[front]])
        front = front[~reached[front]]
    return reached


@pytest.mark.parametrize(("k", "ef"), [(1, 1), (1, 2), (1, 8), (32, 64)])
def test_searches_find_what_they_find_in_a_graph_of_hnswlib(
    k, ef, rows_and_queries, lists, parts
):
    rows, queries = rows_and_queries
    own = HNSWIndex(rows.shape[1], len(rows))
    own.add(rows)
    found = share_found(HNSWIndex.from_parts(parts), queries, lists[0], k, ef)
    assert found >= share_found(own, queries, rows, k, ef) - (0.01 if k == 1 else 0.005)


def test_the_same_for_any_number_of_threads_and_again(lists, parts):
    for n_threads in (1, 2, 3):
        assert_same_parts(link_rows(*lists, n_threads=n_threads), parts)


@pytest.mark.parametrize(
    "points",
    [
        clusters(4000, 400, 8, apart=1e3),
        clusters(3000, 3, 8, apart=1e6),
        np.random.default_rng(0).standard_t(2, size=(4000, 8)).astype(np.float32),
        # All rows as far from the others as from the one in the middle, or farther.
        np.concatenate([np.zeros((1, 600)), np.eye(600)]).astype(np.float32),
        np.array([[0.0], [1.0], [5.0]], dtype=np.float32),
        np.array([[-(2.0**50)], [0.0], [1.0], [2.0**50]], dtype=np.float32),
    ],
    ids=["clusters", "few clusters", "tails", "star", "three rows", "as far as can be"],
)
@pytest.mark.parametrize("M", [2, 16])
def test_a_way_leads_to_every_row(points, M):
    parts = link_rows(*ordered_lists(points), M=M)
    assert reached_from_entry(parts).all()
    index = HNSWIndex.from_parts(parts)
    assert index.n_points == len(points)
    some = np.arange(0, len(points), 100)
    ids, _ = index.nearest(points[some], 1, ef=len(points))
    assert_array_equal(parts.vectors[ids[:, 0]], points[some])


@pytest.mark.parametrize(
    ("M", "layers"),
    [
        # An eighth of 8000 rows, and a fourth of a layer on the next one.
        *((M, [7000, 750, 188, 62]) for M in (2, 5, 16)),
        # With more links an eighth.
        *((M, [7000, 875, 125]) for M in (40, 100)),
    ],
)
def test_the_number_of_links_and_layers_follows_M(M, layers, lists):
    done = []
    parts = link_rows(*lists, M=M, ef_construction=30, advance=done.append)
    counts, _ = linked(parts)
    assert sum(done) == 8000
    assert M < counts.max() <= 2 * M
    assert np.bincount(parts.levels).tolist() == layers
    entry = parts.settings["enterpoint_node"]
    assert parts.levels[entry] == len(layers) - 1
    assert parts.settings == {
        "ser_version": 1,
        "seed": 0,
        "max_elements": 8000,
        "max_level": len(layers) - 1,
        "enterpoint_node": entry,
        "M": M,
        "ef_construction": max(30, M),
        "has_deletions": False,
        "allow_replace_deleted": False,
    }
    HNSWIndex.from_parts(parts)


def test_samples_are_halves_of_halves():
    samples = list(_samples(np.arange(1000)))
    assert [(halvings, len(rows)) for halvings, rows in samples] == [(3, 125), (4, 62)]
    (_, eighth), (_, sixteenth) = samples
    assert_array_equal(eighth // 8, np.arange(125))
    pairs = eighth[:124].reshape(62, 2)
    assert (pairs == sixteenth[:, None]).sum(axis=1).tolist() == [1] * 62
    # Either of two, by chance.
    assert 20 < (pairs[:, 0] == sixteenth).sum() < 42
    assert len(np.unique(eighth % 8)) == 8
    assert [len(rows) for _, rows in _samples(np.arange(512))] == [64, 32]
    assert [len(rows) for _, rows in _samples(np.arange(256))] == [32]
    assert not list(_samples(np.arange(255)))


def test_candidates_follow_ef_construction(lists, parts):
    assert count_candidates(16, 100) == 24
    assert count_candidates(16, 400) == count_candidates(32, 200) == 96
    assert count_candidates(8, 200) == 48
    assert count_candidates(2, 1) == 2
    assert count_candidates(50, 10) == 50
    assert count_candidates(100, 2000) == 192
    assert (parts.settings["M"], parts.settings["ef_construction"]) == (16, 200)
    # More than are listed are not read.
    ordered, ids, squared = lists
    assert ids.shape[1] == 48
    worse = np.roll(ids, 1, axis=0), np.zeros_like(squared)
    longer = (np.concatenate(pair, axis=1) for pair in zip((ids, squared), worse))
    assert_same_parts(link_rows(ordered, *longer), parts)
    fewer = link_rows(*lists, ef_construction=50)
    assert linked(fewer)[0].mean() < linked(parts)[0].mean()


def test_rows_left_out_are_in_no_list_and_can_be_added(lists):
    ordered, left_out = lists[0], np.arange(5, len(lists[0]), 40)
    parts = link_rows(*lists, left_out=left_out)
    assert_array_equal(parts.labels, np.delete(np.arange(len(ordered)), left_out))
    assert_array_equal(parts.vectors, ordered[parts.labels])
    assert reached_from_entry(parts).all()
    index = HNSWIndex.from_parts(parts)
    assert not np.isin(index.nearest(ordered[left_out], 8)[0], left_out).any()
    index.add(ordered[left_out], left_out)
    assert (index.nearest(ordered[left_out], 1, ef=32)[0][:, 0] == left_out).all()


def test_searches_stay_good_while_hnswlib_adds_and_removes(rows_and_queries, lists):
    rows, queries = rows_and_queries
    index = HNSWIndex.from_parts(link_rows(*lists))
    new = clusters(9300, 60, 16, apart=2.0)[8500:]
    index.add(new)
    number = np.arange(len(rows) + len(new))
    gone = number % 10 == 3
    index = index.renumbered(np.where(gone, -1, np.cumsum(~gone) - 1))
    assert share_found(index, queries, index.points(), 32, 64) > 0.98


def test_our_own_search_reads_the_parts_alone(rows_and_queries, lists, parts):
    search = MedoidSearch.of_graph(parts, lists[0])
    assert share_found(search, rows_and_queries[1], lists[0], 1, 8) > 0.97


def chosen_plainly(points, row, candidates, slacks, most):
    """The rule of `choose_links`, one candidate after the other."""
    squared = ((points - points[row]) ** 2).sum(axis=1)
    chosen = []
    candidates = candidates[np.argsort(squared[candidates], kind="stable")]
    for slack in slacks:
        for candidate in candidates if slack > 0 else candidates[::-1]:
            between = ((points[chosen] - points[candidate]) ** 2).sum(axis=1)
            free = len(chosen) < most and candidate not in chosen
            if free and (abs(slack) * between >= squared[candidate]).all():
                chosen.append(candidate)
    return chosen


@pytest.mark.parametrize("slacks", [(1.0,), (1.0, -1.2, 1.5)])
def test_links_are_chosen_by_the_rule(slacks):
    random = np.random.default_rng(2)
    # Whole numbers, so that distances are exact.
    points = random.integers(-50, 50, size=(200, 6)).astype(np.float32)
    others = np.stack([random.choice(200, 40, replace=False) for _ in range(50)])
    squared = ((points[others] - points[:50, None]) ** 2).sum(axis=2)
    candidates = np.sort(squared.view(np.int32).astype(np.int64) << 32 | others)
    # Copies count once, and nothing is at a negative place.
    candidates = np.concatenate([candidates, candidates, -candidates], axis=1)
    candidates.sort(axis=1)
    links = np.empty((50, 9), dtype=np.int32)
    factors = np.array(slacks, dtype=np.float32)
    _links.choose_links(points, candidates, factors, 0, links)
    for row in range(50):
        wanted = chosen_plainly(points, row, np.sort(others[row]), slacks, 8)
        assert links[row, 1 : 1 + links[row, 0]].tolist() == wanted


@pytest.mark.parametrize(
    ("links", "wanted"),
    [
        # 2 leads to 1, and 3 to 2 alone.
        ([[1, 1, 9], [1, 0, 9], [1, 1, 9], [1, 2, 9]], [[1], [0, 2], [1, 3], [2]]),
        # Two parts, and every place has all of its links.
        (
            [[2, 1, 2], [2, 0, 2], [2, 0, 1], [2, 4, 5], [2, 3, 5], [2, 3, 4]],
            [[1, 2], [0, 2], [0, 3], [4, 2], [3, 5], [3, 4]],
        ),
        # Nothing is linked.
        ([[0, 9, 9]] * 4, [[1], [0, 2], [1, 3], [2]]),
    ],
)
def test_what_is_cut_off_gets_a_link(links, wanted):
    links = np.array(links, dtype=np.int32)
    _make_reachable(links, 0)
    assert [row[1 : 1 + row[0]].tolist() for row in links] == wanted


def test_much_that_is_cut_off_gets_links_soon():
    # A hundred thousand pairs.
    links = np.ones((200_000, 3), dtype=np.int32)
    links[:, 1] = np.arange(200_000) ^ 1
    _make_reachable(links, 77)
    counts, ends = links[:, 0], links[:, 1:]
    stops = np.concatenate([[0], np.cumsum(counts)])
    ends = ends[np.arange(2) < counts[:, None]]
    graph = csr_array((np.ones(len(ends)), ends, stops))
    assert connected_components(graph, connection="strong")[0] == 1
