"""The engines: which one is in use, and that both make and search the same graph."""

import pickle
import sys
from importlib.util import find_spec
from math import log

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from knngraph.index.compiled_graph import CompiledGraph, draw_levels
from knngraph.index.engines import VARIABLE, engine, engine_name
from knngraph.index.exact import ExactIndex
from knngraph.index.hnsw import HNSWIndex
from knngraph.index.hnswlib_graph import HnswlibGraph, has_hnswlib

needs_both = pytest.mark.skipif(
    find_spec("hnswlib") is None, reason="hnswlib is not installed"
)
SETTINGS = {"M": 6, "ef_construction": 40, "seed": 5}


@pytest.fixture
def without_hnswlib(monkeypatch):
    """A process in which hnswlib is not to be found."""
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setitem(sys.modules, "hnswlib", None)
    has_hnswlib.cache_clear()
    yield
    has_hnswlib.cache_clear()


@needs_both
def test_hnswlib_is_used_where_it_is_installed(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    assert has_hnswlib()
    assert engine_name() == "hnswlib"
    monkeypatch.setenv(VARIABLE, "hnswlib")
    assert engine_name() == "hnswlib"
    monkeypatch.setenv(VARIABLE, "")
    assert engine() is HnswlibGraph
    monkeypatch.setenv(VARIABLE, "knngraph")
    assert engine() is CompiledGraph


def test_our_own_is_used_elsewhere(without_hnswlib, random):
    assert engine_name() == "knngraph"
    assert engine() is CompiledGraph
    points = random.normal(size=(50, 3)).astype(np.float32)
    index = HNSWIndex(3, 50)
    index.add(points)
    assert_array_equal(index.nearest(points, 1, ef=50)[0][:, 0], np.arange(50))


def test_an_engine_that_is_not_there(without_hnswlib, monkeypatch):
    monkeypatch.setenv(VARIABLE, "hnswlib")
    with pytest.raises(ImportError, match=r"install knngraph\[hnswlib\].*or unset it"):
        HNSWIndex(3, 50)
    monkeypatch.setenv(VARIABLE, "faiss")
    with pytest.raises(ValueError, match=r"is 'faiss'; set it to one of hnswlib, knn"):
        HNSWIndex(3, 50)


def whole_rows(random, n_rows=900, n_features=7):
    """Distinct rows of small integers: all distances are exact, and few are equal."""
    rows = random.integers(-900, 900, size=(n_rows, n_features))
    return np.unique(rows, axis=0).astype(np.float32)[random.permutation(n_rows)]


def graphs(rows):
    """Both graphs of these rows, which came in two blocks, the second without room."""
    for kind in (HnswlibGraph, CompiledGraph):
        graph = kind(rows.shape[1], len(rows) // 2, **SETTINGS)
        for block in np.array_split(rows, [len(rows) // 2]):
            graph.add(block)
        yield graph


def lists_of(numbers):
    """Lists of links, without what lies behind them."""
    lists = numbers.view(np.int32)
    there = np.arange(lists.shape[1] - 1) < (lists[:, :1] & 0xFFFF)
    return np.column_stack([lists[:, 0], np.where(there, lists[:, 1:], -1)])


def assert_same_graph(one, other, but=frozenset()):
    one, other = one.parts(), other.parts()
    assert set(one.settings) == set(other.settings)
    for name in set(one.settings) - but:
        assert one.settings[name] == other.settings[name]
    M = one.settings["M"]
    for name in ("levels", "labels", "vectors"):
        assert_array_equal(getattr(one, name), getattr(other, name))
    assert_array_equal(lists_of(one.links), lists_of(other.links))
    upper, its_upper = (p.upper.reshape(-1, 4 * (1 + M)) for p in (one, other))
    assert len(upper)
    assert_array_equal(lists_of(upper), lists_of(its_upper))


@needs_both
@pytest.mark.skipif(sys.platform != "linux", reason="layers are drawn otherwise")
def test_both_build_the_same_graph_link_by_link(random):
    rows = whole_rows(random)
    theirs, ours = graphs(rows)
    assert_same_graph(theirs, ours)
    queries = random.integers(-900, 900, size=(200, 7)).astype(np.float32)
    for k, ef in ((1, 1), (1, 8), (10, 10), (5, 300)):
        for found, its_found in zip(
            *(g.search(queries, k, ef) for g in (theirs, ours))
        ):
            assert_array_equal(found, its_found)
    find, its_find = theirs.row_search(2), ours.row_search(2)
    assert [find(row) for row in queries] == [its_find(row) for row in queries]


@needs_both
@pytest.mark.parametrize("share", [0.1, 0.7])
def test_both_search_the_same_with_deleted_points(random, share):
    rows = whole_rows(random)
    theirs, ours = (
        graph.copy(np.flatnonzero(random.random(len(rows)) < share))
        for random, graph in zip(map(np.random.default_rng, (1, 1)), graphs(rows))
    )
    assert theirs.parts().removed.any()
    assert_array_equal(theirs.parts().removed, ours.parts().removed)
    for ef in (1, 2, 8, 64):
        found, its_found = (g.search(rows, 1, ef)[0][:, 0] for g in (theirs, ours))
        assert (found == its_found).mean() > 0.99
    more = whole_rows(random, 100)
    for graph in (theirs, ours):
        graph.add(more)
    find, its_find = (g.search(rows, 10, 100)[1] for g in (theirs, ours))
    assert (find == its_find).mean() > 0.99


def test_the_original_of_a_copy_stays_as_it_is(random):
    rows, more = np.split(random.normal(size=(400, 5)).astype(np.float32), 2)
    graph = CompiledGraph(5, 300, **SETTINGS)
    graph.add(rows)
    before, found = pickle.dumps(graph.parts()), graph.search(rows, 3, 10)
    twin = graph.copy(np.arange(0, 200, 2))
    twin.add(more)
    plain = graph.copy(np.arange(0))
    plain.add(more[::-1])
    graph.add(more)  # takes the room that all three could have taken
    assert_array_equal(graph.parts().vectors, np.concatenate([rows, more]))
    assert_array_equal(plain.parts().vectors, np.concatenate([rows, more[::-1]]))
    assert not graph.parts().removed.any()
    assert twin.parts().removed.sum() == 100
    again = CompiledGraph(5, 300, **SETTINGS)
    again.add(rows)
    assert pickle.dumps(again.parts()) == before
    assert_array_equal(again.search(rows, 3, 10), found)
    again.add(more)
    assert pickle.dumps(again.parts()) == pickle.dumps(graph.parts())


def test_a_graph_that_was_saved_grows_as_one_that_was_not(random):
    rows = random.normal(size=(300, 5)).astype(np.float32)
    graph = CompiledGraph(5, 200, **SETTINGS)
    graph.add(rows[:200])
    loaded = CompiledGraph.of_parts(pickle.loads(pickle.dumps(graph.parts())))
    for one in (graph, loaded):
        one.add(rows[200:250])
        one.add(rows[250:])
    parts, its_parts = graph.parts(), loaded.parts()
    assert_array_equal(parts.levels, its_parts.levels)
    assert_array_equal(parts.links, its_parts.links)
    assert_array_equal(parts.upper, its_parts.upper)


@pytest.mark.parametrize(
    "kind", [CompiledGraph, pytest.param(HnswlibGraph, marks=needs_both)]
)
def test_a_graph_grows_from_nothing(kind, random):
    rows = random.normal(size=(200, 5)).astype(np.float32)
    whole = kind(5, 200, **SETTINGS)
    assert whole.n_places == 0
    parts = whole.parts()
    assert parts.settings == {
        **SETTINGS,
        "ser_version": 1,
        "max_elements": 200,
        "max_level": -1,
        "enterpoint_node": 2**32 - 1,
        "has_deletions": False,
        "allow_replace_deleted": False,
    }
    assert parts.vectors.shape == (0, 5)
    loaded = kind.of_parts(kind(5, 1, **SETTINGS).parts())
    for graph in (whole, loaded):
        graph.add(rows[:1])
        assert graph.search(rows[:1], 1, 1)[0].tolist() == [[0]]
        graph.add(rows[1:120])
        graph.add(rows[120:])
        assert graph.n_places == 200
        assert_array_equal(graph.rows(np.array([150, 3])), rows[[150, 3]])
        assert graph.rows(np.empty(0, dtype=np.intp)).shape == (0, 5)
        assert_array_equal(graph.search(rows, 1, 200)[0][:, 0], np.arange(200))
    assert_same_graph(whole, loaded, but={"max_elements"})


def test_memory_is_that_of_points_and_links(random):
    rows = random.normal(size=(300, 5)).astype(np.float32)
    graph = CompiledGraph(5, 1000, **SETTINGS)
    assert graph.n_bytes == 0
    graph.add(rows)
    n_lists = 300 + int(graph.parts().levels.sum())
    # Coordinates, where the upper lists begin, and twice M links and their number.
    assert graph.n_bytes == 300 * (5 * 4 + 4) + n_lists * 4 * (1 + 2 * 6)
    assert CompiledGraph.of_parts(graph.parts()).n_bytes == graph.n_bytes


@pytest.mark.parametrize("M", [2, 16])
def test_layers_have_a_share_of_those_below(M):
    levels = draw_levels(0, 0, 20_000, M)
    for level in (1, 2):
        share = (levels >= level).mean()
        assert share == pytest.approx(M**-level, rel=0.1 if M == 2 else 0.5)
    assert levels.min() == 0
    assert levels.max() < 3 * log(20_000) / log(M)
    assert_array_equal(draw_levels(0, 700, 100, M), levels[700:800])
    # The generator takes a seed of 0 for 1, and has period 2**31 - 1.
    for seed in (1, 2**31 - 1, 2**31):
        assert_array_equal(draw_levels(seed, 0, 500, M), levels[:500])
    assert (draw_levels(2, 0, 500, M) != levels[:500]).any()


def test_growth_keeps_deleted_points_deleted(random):
    rows = random.normal(size=(400, 5)).astype(np.float32)
    graph = CompiledGraph(5, 100, **SETTINGS)
    graph.add(rows[:100])
    graph = graph.copy(np.arange(50))
    # Far beyond the room for more that a graph sets aside.
    graph.add(rows[100:110])
    graph.add(rows[110:])
    assert_array_equal(np.flatnonzero(graph.parts().removed), np.arange(50))
    assert_array_equal(graph.parts().vectors, rows)
    places, _ = graph.search(rows, 1, 350)
    assert_array_equal(places[50:, 0], np.arange(50, 400))
    assert places.min() == 50
    find = graph.row_search(350)
    assert [find(row)[0] for row in rows] == places[:, 0].tolist()


@needs_both
def test_either_loads_what_the_other_saved(monkeypatch, random):
    rows = random.normal(size=(500, 6)).astype(np.float32)
    queries = random.normal(size=(100, 6)).astype(np.float32)
    for builds, loads in (("hnswlib", "knngraph"), ("knngraph", "hnswlib")):
        monkeypatch.setenv(VARIABLE, builds)
        index = HNSWIndex(6, 500)
        index.add(rows[:450])
        index = index.renumbered(np.where(np.arange(450) % 9, np.arange(450), -1))
        index.add(rows[450:], np.arange(450, 500))
        found, squared = index.nearest(queries, 4, ef=20)
        saved = pickle.dumps(index)
        monkeypatch.setenv(VARIABLE, loads)
        loaded = pickle.loads(saved)
        assert type(loaded._graph) is not type(index._graph)
        assert_array_equal(loaded.points(), index.points())
        its_found, its_squared = loaded.nearest(queries, 4, ef=20)
        assert (its_found == found).mean() > 0.99
        assert_allclose(
            its_squared[its_found == found], squared[its_found == found], 1e-5
        )
        loaded.add(rows[:450:9], np.arange(0, 450, 9))
        assert_array_equal(loaded.points(), rows)
        exact, _ = ExactIndex(rows).nearest(queries, 4)
        assert_array_equal(loaded.nearest(queries, 4, ef=400)[0], exact)


def made_rows(kind, random, n_rows=3000):
    if kind == "clusters":
        centers = random.normal(scale=8.0, size=(30, 12))
        return centers[random.integers(30, size=n_rows)] + random.normal(
            size=(n_rows, 12)
        )
    if kind == "heavy tails":
        return random.standard_t(1.5, size=(n_rows, 6))
    if kind == "line":
        return np.sort(random.normal(size=(n_rows, 1)), axis=0)
    return random.random((n_rows, 20))


@needs_both
@pytest.mark.parametrize("kind", ["clusters", "heavy tails", "line", "noise"])
def test_recall_is_that_of_hnswlib(kind, random):
    points = made_rows(kind, random).astype(np.float32)
    rows, queries = points[:2500], points[2500:]
    _, exact = ExactIndex(rows).nearest(queries, 10)
    ours, theirs = (
        kind(rows.shape[1], 2500, **SETTINGS) for kind in (CompiledGraph, HnswlibGraph)
    )
    for graph in (ours, theirs):
        graph.add(rows)
    for k, ef in ((1, 1), (1, 4), (10, 10), (10, 40)):
        recall, wanted = (
            (graph.search(queries, k, ef)[1] <= exact[:, k - 1 : k] * 1.00001).mean()
            for graph in (ours, theirs)
        )
        assert recall > wanted - 0.01


def test_threads_and_batches_change_no_bit(random):
    rows = random.normal(size=(1500, 9)).astype(np.float32)
    graph = CompiledGraph(9, 1500, **SETTINGS)
    graph.add(rows)
    graph = graph.copy(np.arange(0, 1500, 5))
    queries = rows + np.float32(0.01)
    places, squared = graph.search(queries, 3, 12)
    for n_threads in (2, 3):
        for found, its_found in zip(
            (places, squared), graph.search(queries, 3, 12, n_threads)
        ):
            assert_array_equal(found, its_found)
    queries.flags.writeable = False
    assert_array_equal(graph.search(np.asfortranarray(queries), 3, 12)[0], places)
    assert_array_equal(graph.search(queries[::-3], 3, 12)[0], places[::-3])


def test_a_table_that_grows_keeps_what_it_holds(random):
    # So many links that a search meets more points than its table has room for.
    rows = random.random((4000, 24)).astype(np.float32)
    graph = CompiledGraph(24, 4000, M=40, ef_construction=40, seed=0)
    graph.add(rows)
    places, squared = graph.search(rows[:300], 20, 20)
    assert (np.sort(places, axis=1)[:, 1:] > np.sort(places, axis=1)[:, :-1]).all()
    exact = ((rows[:300, None] - rows[places]) ** 2).sum(axis=2)
    assert_allclose(squared, exact, rtol=1e-5)
    assert (places[:, 0] == np.arange(300)).mean() > 0.97


def test_a_saved_width_may_be_any_number(random):
    rows = random.normal(size=(60, 4)).astype(np.float32)
    graph = CompiledGraph(4, 60, **SETTINGS | {"ef_construction": 2**62})
    graph.add(rows[:30])
    graph = CompiledGraph.of_parts(graph.parts())
    graph.add(rows[30:])
    assert_array_equal(graph.search(rows, 1, 60)[0][:, 0], np.arange(60))


def test_points_go_into_a_graph_of_deleted_ones(random):
    rows = random.normal(size=(60, 4)).astype(np.float32)
    graph = CompiledGraph(4, 60, **SETTINGS)
    graph.add(rows[:30])
    graph = graph.copy(np.arange(30))
    graph.add(rows[30:])
    places, _ = graph.search(rows[30:], 1, 30)
    assert_array_equal(places[:, 0], np.arange(30, 60))
