"""Building the index and the lists, and the recall that is measured on the way."""

import os
import pickle
import subprocess
import sys
import threading
from contextlib import nullcontext

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from knngraph import progress
from knngraph.distances import squared_distances_to
from knngraph.index import build
from knngraph.index.build import (
    FEWEST_POINTS,
    MOST_LISTED,
    BuildSettings,
    build_graph,
    index_for_walk,
    makes_lists,
    walk_for,
)
from knngraph.index.exact import ExactIndex
from knngraph.index.hnsw import HNSWIndex
from knngraph.index.medoids import MedoidSearch
from knngraph.index.others import others_of
from knngraph.index.recall import EF_GRID, HELD_OUT
from tests.frozen import assert_frozen


def test_every_point_is_in_the_index(random):
    points = random.normal(size=(200, 3)).astype(np.float32)
    index = build_graph(points).index
    assert_array_equal(index.points(), points)


def test_held_out_points_are_searched_among_the_others(random):
    points = random.normal(size=(200, 3)).astype(np.float32)
    search_recall = build_graph(points).search_recall
    assert len(search_recall.nearest) == 40  # a fifth, up to HELD_OUT
    expected, _ = ExactIndex(points[:160]).nearest(points[160:], 1)
    assert_array_equal(search_recall.nearest, expected[:, 0])
    assert search_recall.reached.shape == (len(EF_GRID), 40)
    assert search_recall.reached.max() < 160
    # The largest `ef` holds all 160 points.
    assert_array_equal(search_recall.reached[-1], search_recall.nearest)


def test_no_more_are_held_out_than_it_takes(random):
    settings = BuildSettings(ef_construction=20)
    points = random.normal(size=(5 * HELD_OUT + 100, 2)).astype(np.float32)
    search_recall = build_graph(points, 0, settings).search_recall
    assert len(search_recall.nearest) == HELD_OUT


def test_too_few_points_to_hold_any_out():
    built = build_graph(np.eye(3, dtype=np.float32))
    search_recall = built.search_recall
    assert built.index.n_points == 3
    assert len(search_recall.nearest) == 0
    assert search_recall.agreement(np.arange(3), ef=1) == 1.0
    assert search_recall.smallest_ef(np.arange(3), share=0.99) == 1


@pytest.fixture
def few_are_many(monkeypatch):
    """Lists are made at once of some hundred points."""
    monkeypatch.setattr(build, "FEWEST_POINTS", 500)


@pytest.fixture(scope="module")
def clusters():
    random = np.random.default_rng(7)
    centers = 3.0 * random.normal(size=(20, 8))
    rows = centers[random.integers(20, size=3000)] + random.normal(size=(3000, 8))
    return rows.astype(np.float32)


def share_listed(built, points, k):
    """Share of the `k` nearest others that are listed."""
    exact, _ = others_of(ExactIndex(points), points, np.arange(len(points)), k)
    found = [len(np.intersect1d(*both)) for both in zip(built.ids[:, :k], exact)]
    return np.sum(found) / exact.size


def bytes_of(built):
    recall = built.search_recall
    arrays = [built.ids, built.squared, recall.reached, recall.nearest]
    parts = vars(built.index.parts())
    arrays += [part for part in parts.values() if isinstance(part, np.ndarray)]
    return [parts["settings"], *(array.tobytes() for array in arrays)]


def test_lists_are_in_the_numbers_of_the_points(clusters, few_are_many):
    built = build_graph(clusters, 12)
    assert built.ids.shape == built.squared.shape == (3000, 12)
    assert built.ids.dtype == np.int32
    assert built.squared.dtype == np.float32
    assert (built.ids != np.arange(3000)[:, None]).all()
    assert (np.diff(built.squared, axis=1) >= 0).all()
    measured = squared_distances_to(clusters, clusters, built.ids)
    assert_allclose(built.squared, measured, rtol=1e-4)
    assert share_listed(built, clusters, 12) > 0.98


def test_the_graph_finds_what_one_of_inserted_points_finds(clusters, monkeypatch):
    inserted = build_graph(clusters, 10)
    monkeypatch.setattr(build, "FEWEST_POINTS", 500)
    linked = build_graph(clusters, 10)
    assert_array_equal(linked.index.points(), clusters)
    exact, _ = ExactIndex(clusters).nearest(clusters, 10)
    for built in (inserted, linked):
        found, _ = built.index.nearest(clusters, 10, ef=32)
        assert (found == exact).mean() > 0.97
        assert share_listed(built, clusters, 10) > 0.99
    recalls = [built.search_recall.agreement(None, 2) for built in (inserted, linked)]
    assert recalls[1] > recalls[0] - 0.05


@pytest.mark.parametrize("measured", [True, False])
def test_the_last_points_are_inserted_after_the_others(
    measured, clusters, few_are_many
):
    built = build_graph(clusters, 0, measured=measured)
    assert_array_equal(np.sort(built.index.latest(HELD_OUT)), np.arange(2500, 3000))
    recall = built.search_recall
    assert len(recall.nearest) == (HELD_OUT if measured else 0)
    if measured:
        exact, _ = ExactIndex(clusters[:2500]).nearest(clusters[2500:], 1)
        assert_array_equal(recall.nearest, exact[:, 0])
        assert recall.reached.max() < 2500


@pytest.mark.parametrize("n_threads", [2, 3])
def test_threads_change_no_bit(n_threads, clusters, few_are_many):
    one = build_graph(clusters, 9)
    other = build_graph(clusters, 9, BuildSettings(n_threads=n_threads))
    assert bytes_of(one) == bytes_of(other)
    assert bytes_of(one) == bytes_of(pickle.loads(pickle.dumps(one)))


_IN_ANOTHER_PROCESS = """
import hashlib, pickle
import numpy as np
from knngraph.index import build
build.FEWEST_POINTS = 500
points = np.random.default_rng(3).normal(size=(2500, 24)).astype(np.float32)
built = build.build_graph(points, 9, build.BuildSettings(n_threads=2))
arrays = pickle.dumps((built.index, built.ids, built.squared))
print(hashlib.sha256(arrays).hexdigest())
"""


def test_threads_of_blas_change_no_bit():
    found = {
        subprocess.run(
            [sys.executable, "-c", _IN_ANOTHER_PROCESS],
            check=True,
            capture_output=True,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": n, "OPENBLAS_NUM_THREADS": n},
        ).stdout
        for n in ("1", "2")
    }
    assert len(found) == 1
    assert len(found.pop().strip()) == 64


def test_what_is_known_already_is_not_found_again(clusters, few_are_many, monkeypatch):
    settings = BuildSettings()
    plain = build_graph(clusters, 9)
    cells = build.group_points(clusters, settings)
    lists = build.list_points(clusters, settings.n_candidates, settings, cells)
    monkeypatch.delattr(build, "group_rows")
    assert bytes_of(build_graph(clusters, 9, found=cells)) == bytes_of(plain)
    monkeypatch.delattr(build, "list_near_rows")
    assert bytes_of(build_graph(clusters, 9, found=lists)) == bytes_of(plain)


def test_exact_lists_of_many_points(clusters, few_are_many):
    built = build_graph(clusters, 9, exact=True)
    assert isinstance(built.index, HNSWIndex)
    exact, _ = others_of(ExactIndex(clusters), clusters, np.arange(3000), 9)
    assert_array_equal(built.ids, exact)


def test_longer_lists_than_are_made_are_searched(clusters, few_are_many):
    points, k = clusters[:600], MOST_LISTED + 8
    built = build_graph(points, k)
    assert built.ids.shape == (600, k)
    assert share_listed(built, points, k) > 0.99


def test_more_links_than_lists_hold_are_inserted(clusters, few_are_many):
    # Points go in by their numbers.
    index = build_graph(clusters[:600], 3, BuildSettings(M=MOST_LISTED + 1)).index
    assert_array_equal(index.latest(600), np.arange(600))


def test_ef_construction_changes_the_graph_of_many_points(clusters, few_are_many):
    few, many = (
        build_graph(clusters, 9, BuildSettings(M=8, ef_construction=ef))
        for ef in (40, 400)
    )
    assert few.search_recall.agreement(None, 1) < many.search_recall.agreement(None, 1)


def test_double_precision_is_searched_exactly(clusters, few_are_many):
    points = clusters.astype(np.float64)
    built = build_graph(points, 4)
    assert isinstance(built.index, ExactIndex)
    assert built.squared.dtype == np.float64
    assert share_listed(built, points, 4) == 1.0
    assert len(built.search_recall.nearest) == 0


@pytest.mark.parametrize("many", [False, True])
def test_progress_counts_every_point(many, clusters, monkeypatch, capsys):
    monkeypatch.setattr(build, "FEWEST_POINTS", 500 if many else 10**6)
    monkeypatch.setattr(progress, "_make_bar", lambda *_: None)
    build_graph(clusters, 9, BuildSettings(verbose=1))
    lines = capsys.readouterr().err.splitlines()
    names = ["building index", "searching neighbors"]
    if many:
        names = ["grouping rows", "searching neighbors", "building index"]
    done = [line for line in lines if "done in" in line]
    assert [line.split("] ")[1].split(":")[0] for line in done] == names
    assert all("3000/3000" in line for line in done)


@pytest.mark.parametrize("n_listed", [0, -1])
def test_no_lists_are_searched_for_where_none_are_wanted(n_listed, clusters, capsys):
    built = build_graph(clusters[:100], n_listed, BuildSettings(verbose=1))
    assert built.ids.shape == built.squared.shape == (100, 0)
    assert built.ids.dtype == np.int32
    assert built.squared.dtype == np.float32
    assert "searching" not in capsys.readouterr().err


def test_one_point_has_no_neighbors():
    built = build_graph(np.ones((1, 3), dtype=np.float32), 5)
    assert built.index.n_points == 1
    assert built.ids.shape == (1, 0)


def test_which_points_get_lists_at_once():
    points = np.zeros((FEWEST_POINTS, 1), dtype=np.float32)
    assert makes_lists(points)
    assert makes_lists(points, MOST_LISTED)
    assert not makes_lists(points, MOST_LISTED + 1)
    assert not makes_lists(points[1:])
    assert not makes_lists(points.astype(np.float64))


def test_which_search_queries_use(clusters):
    assert walk_for("auto") == walk_for("auto", "lookup") == "hnsw"
    assert walk_for("auto", "adaptive") == walk_for("auto", "cascade") == "medoids"
    assert walk_for("medoids", "lookup") == "medoids"
    assert walk_for("hnsw", "adaptive") == "hnsw"
    points = clusters[:100]
    index, exact = build_graph(points).index, ExactIndex(points)
    assert index_for_walk("hnsw", index, points) is index
    assert index_for_walk("medoids", exact, points) is exact
    chosen = index_for_walk("medoids", index, points)
    assert isinstance(chosen, MedoidSearch)
    entries = points[:1], np.array([[5]], dtype=np.int32)
    index = build_graph(points).index
    given = index_for_walk("medoids", index, points, lambda: entries)
    assert given.entries.tolist() == [[5]]
    assert chosen.entries.shape == (1, 64)


def test_settings_that_none_names():
    settings = BuildSettings()
    assert (settings.M, settings.ef_construction, settings.seed) == (16, 200, 0)
    assert (settings.n_threads, settings.verbose, settings.n_candidates) == (1, 0, 48)
    assert BuildSettings(M=32, ef_construction=100).n_candidates == 48
    assert settings == BuildSettings()


def test_the_seed_is_that_of_the_layers(clusters, few_are_many):
    for points in (clusters[:400], clusters):
        one, again, other = (
            build_graph(points, 0, BuildSettings(seed=seed)).index.parts()
            for seed in (5, 5, 6)
        )
        assert (one.settings["seed"], other.settings["seed"]) == (5, 6)
        assert_array_equal(one.levels, again.levels)
        assert (one.levels != other.levels).any()


def test_no_stage_writes_to_a_result():
    assert_frozen("index")


@pytest.mark.parametrize("block", [1, 40, 99, 100, 10**6])
def test_others_of_some_points_in_blocks(block, clusters, monkeypatch):
    monkeypatch.setattr("knngraph.index.others._QUERIES_PER_CALL", block)
    points, asking, done = clusters[:300], np.arange(0, 300, 3), []
    index = ExactIndex(points)
    ids, squared = others_of(index, points, asking, 7, advance=done.append)
    exact, distances = index.nearest(points[asking], 8)
    assert_array_equal(exact[:, 0], asking)
    assert_array_equal(ids, exact[:, 1:])
    assert_allclose(squared, distances[:, 1:], rtol=1e-6)
    assert (ids.dtype, squared.dtype) == (np.int32, np.float32)
    assert done == [min(block, 100 - at) for at in range(0, 100, block)]
    assert others_of(index, points[:], asking, 500)[0].shape == (100, 299)


@pytest.mark.parametrize("stage", ["searching neighbors", "building index"])
def test_an_interrupt_leaves_no_threads(stage, clusters, few_are_many, monkeypatch):
    class Interrupted:
        def __init__(self, name):
            self.name = name

        def advance(self, n):
            if self.name == stage:
                raise KeyboardInterrupt

    monkeypatch.setattr(build, "stage", lambda name, *_: nullcontext(Interrupted(name)))
    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        build_graph(clusters, 9, BuildSettings(n_threads=2))
    assert threading.active_count() == before
