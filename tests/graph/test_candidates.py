"""Candidates of a pair, worked by hand."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import knngraph.graph.candidates as candidates_module
from knngraph.graph.candidates import (
    SameClass,
    nearest_of_same_class,
    nearest_pairs,
    pack,
    union,
)
from knngraph.graph.neighbors import nearest_others
from knngraph.graph.representation import candidates_of
from knngraph.graph.training_set import build_training_set
from knngraph.index.exact import ExactIndex


def train(values, codes, k):
    """Training set of points on a line and its neighbors."""
    rows = np.array(values, dtype=np.float32)[:, None]
    training = build_training_set(rows, np.array(codes), max(codes) + 1)
    found = nearest_others(
        ExactIndex(training.points), training.points, training.node_weights(), k
    )
    return training, found


def described(training, pairs):
    """Pairs as (place on the line, class)."""
    pairs = pairs[pairs >= 0]
    places = training.points[training.pair_node[pairs], 0]
    return list(zip(places.tolist(), training.pair_code[pairs].tolist()))


def test_pack_pads_and_cuts():
    owner, pair = np.array([0, 0, 0, 2]), np.array([5, 6, 7, 8])
    assert pack(owner, pair, 3).tolist() == [[5, 6, 7], [-1, -1, -1], [8, -1, -1]]
    assert pack(owner, pair, 3, limit=2).tolist() == [[5, 6], [-1, -1], [8, -1]]


def test_union_keeps_every_pair_once():
    one = np.array([[3, 1, -1], [2, -1, -1]])
    other = np.array([[1, 4], [-1, -1]])
    merged = union(one, other)
    assert [sorted(row[row >= 0].tolist()) for row in merged] == [[1, 3, 4], [2]]
    # Packed to the left: the solver stops at the first -1.
    assert merged[1].tolist() == [2, -1, -1]


def test_nearest_pairs_without_copies_are_the_neighbors():
    training, found = train([0, 1, 3, 7], [0, 1, 0, 1], k=3)
    row = int(training.pair_of_row[0])
    nearest = nearest_pairs(training, found, np.array([row]), limit=2)
    assert described(training, nearest[0]) == [(1.0, 1), (3.0, 0)]


def test_copies_come_first_and_the_own_pair_stands_for_its_other_copies():
    # Two rows of class 0 and one of class 1 at the place 0.
    training, found = train([0, 0, 0, 1], [0, 0, 1, 1], k=3)
    pairs = training.pair_of_row[[0, 2, 3]]
    nearest = nearest_pairs(training, found, pairs, limit=5)
    assert described(training, nearest[0]) == [(0.0, 0), (0.0, 1), (1.0, 1)]
    # A pair of one row is no candidate of itself.
    assert described(training, nearest[1]) == [(0.0, 0), (1.0, 1)]
    assert described(training, nearest[2]) == [(0.0, 0), (0.0, 1)]


def test_the_limit_counts_pairs():
    training, found = train([0, 0, 0, 1], [0, 0, 1, 1], k=3)
    nearest = nearest_pairs(training, found, training.pair_of_row, limit=2)
    assert nearest.shape == (4, 2)


def test_the_own_class_is_sought_where_the_nearest_lack_it():
    # The row at 0 is alone among class 1; its class sits at 8 and 9.
    training, found = train([0, 1, 2, 3, 8, 9], [0, 1, 1, 1, 0, 0], k=2)
    same = nearest_of_same_class(training, found, limit=2, quota=2)
    pair = training.pair_of_row
    assert same.place[pair[0]] >= 0
    ids = same.ids[same.place[pair[0]]]
    assert described(training, ids) == [(8.0, 0), (9.0, 0)]
    # Rows 1, 2 and 3 of class 1: row 2 has both others nearest, no search.
    assert same.place[pair[2]] == -1


def test_a_class_of_one_finds_no_row():
    training, found = train([0, 1, 2], [0, 1, 1], k=2)
    same = nearest_of_same_class(training, found, limit=2, quota=2)
    place = same.place[training.pair_of_row[0]]
    assert place == -1 or (same.ids[place] == -1).all()


@pytest.mark.parametrize("limit", [0.0, 1e18])
def test_both_searches_within_a_class_agree(limit, monkeypatch, random):
    rows = random.normal(size=(80, 2)).astype(np.float32)
    codes = random.integers(4, size=80)
    training = build_training_set(rows, codes, 4)
    found = nearest_others(
        ExactIndex(training.points), training.points, training.node_weights(), 2
    )
    monkeypatch.setattr(candidates_module, "_BRUTE_FORCE_LIMIT", limit)
    same = nearest_of_same_class(training, found, limit=2, quota=3)
    distance = ((training.points[:, None] - training.points[None]) ** 2).sum(axis=2)
    distance[training.pair_code[:, None] != training.pair_code] = np.inf
    np.fill_diagonal(distance, np.inf)
    listed = np.flatnonzero(same.place >= 0)
    assert len(listed) > 40  # a quarter of two neighbors is never three
    expected = np.argsort(distance[listed], axis=1)[:, :3]
    assert_array_equal(same.ids[same.place[listed]], expected)


@pytest.mark.parametrize("limit", [0.0, 1e18])
def test_double_precision_is_kept_within_a_class(limit, monkeypatch, random):
    # Steps that single precision does not hold.
    points = 1.0 + 1e-9 * random.permutation(60)[:, None].astype(float)
    monkeypatch.setattr(candidates_module, "_BRUTE_FORCE_LIMIT", limit)
    found = candidates_module.search_within(points, points[:20], 4, 0, 1)
    away = np.abs(points[:20] - points.T)
    assert_array_equal(np.sort(away, axis=1)[:, :4], np.take_along_axis(away, found, 1))


def test_of_a_large_class_a_sample_is_searched(monkeypatch, random):
    # Every row of one class in the midst of the other: all ask for their own.
    values = random.permutation(4000)[:400].astype(float)
    training, found = train(values, np.arange(400) % 2, k=3)
    full = nearest_of_same_class(training, found, limit=1, quota=2)
    monkeypatch.setattr(candidates_module, "LARGEST_SAMPLE_OF_CLASS", 200)
    same = nearest_of_same_class(training, found, limit=1, quota=2)
    assert_array_equal(same.ids, full.ids)  # the sample is the class
    monkeypatch.setattr(candidates_module, "LARGEST_SAMPLE_OF_CLASS", 50)
    some = nearest_of_same_class(training, found, limit=1, quota=2)
    asking = np.flatnonzero(some.place >= 0)
    listed = some.ids[some.place[asking]]
    assert (listed >= 0).all()
    assert (listed != asking[:, None]).all()
    assert (training.pair_code[listed] == training.pair_code[asking][:, None]).all()
    assert all(
        len(np.unique(listed[training.pair_code[asking] == code])) <= 50
        for code in (0, 1)
    )
    place = training.points[training.pair_node, 0]
    gaps = np.abs(place[listed] - place[asking][:, None])
    assert (np.diff(gaps, axis=1) >= 0).all()
    again = nearest_of_same_class(training, found, limit=1, quota=2, n_threads=2)
    assert_array_equal(again.ids, some.ids)


def test_candidates_are_the_nearest_and_those_of_the_same_class():
    # Two rows at 0 are candidates of one another: their list is the longest.
    training, found = train([0, 0, 1, 3, 7], [0, 0, 1, 1, 0], k=4)
    pairs = np.arange(training.n_pairs)
    place = np.full(len(pairs), -1)
    short = training.pair_of_row[[2, 4]]
    place[short] = [0, 1]
    ids = training.pair_of_row[[[3, 4], [0, 3]]]
    ids[1, 1] = -1
    for limit in (1, 2, 4):
        nearest = nearest_pairs(training, found, pairs, limit)
        lists = candidates_of(training, found, SameClass(place, ids), pairs, limit)
        for pair, listed in enumerate(lists):
            expected = set(nearest[pair].tolist())
            if place[pair] >= 0:
                expected |= set(ids[place[pair]].tolist())
            n_listed = (listed >= 0).sum()
            assert sorted(listed[:n_listed]) == sorted(expected - {-1})
            assert (listed[n_listed:] == -1).all()
    no_same_class = SameClass(np.full(len(pairs), -1), ids[:0])
    assert_array_equal(candidates_of(training, found, no_same_class, pairs, 4), nearest)
