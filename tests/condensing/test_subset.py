"""The rounds that keep rows: by hand, and what they promise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

import knngraph.condensing.subset as subset_module
from knngraph.condensing.editing import N_VOTERS, find_edited, find_voters
from knngraph.condensing.subset import SubsetSearch
from knngraph.index.exact import ExactIndex
from tests.frozen import assert_frozen


def on_a_line(values):
    return np.array(values, dtype=np.float32)[:, None]


def check_promise(points, codes, kept, margin, excused=None):
    """Every row has a kept row of the same class nearer than any other."""
    squared = ((points[:, None].astype(float) - points[kept].astype(float)) ** 2).sum(2)
    same = codes[:, None] == codes[kept]
    own = np.sqrt(np.where(same, squared, np.inf).min(axis=1))
    other = np.sqrt(np.where(same, np.inf, squared).min(axis=1))
    kept_promise = (own == 0) | (other > (1 + margin) * own)
    if excused is not None:
        kept_promise |= excused
    assert kept_promise.all()


def test_a_row_of_every_class_where_they_are_apart():
    points = on_a_line([0, 1, 2, 10, 11, 12, 20])
    codes = np.array([0, 0, 0, 1, 1, 1, 2])
    subset = SubsetSearch(points, codes).grow(0.0)
    assert subset.kept.tolist() == [1, 4, 6]
    assert not subset.changed.any()


def test_the_row_that_is_misled_is_kept():
    # The middle of class 0 is 1, that of class 1 is 6. Row 4 is nearer to 6.
    points = on_a_line([0, 1, 4, 5.5, 6, 6.5])
    codes = np.array([0, 0, 0, 1, 1, 1])
    assert SubsetSearch(points, codes).grow(0.0).kept.tolist() == [1, 2, 4]


def test_as_near_is_not_nearer():
    points = on_a_line([0, 1, 2, 3])
    # 1 is as far from 0 as from 2.
    subset = SubsetSearch(points, np.array([0, 0, 1, 1])).grow(0.0)
    check_promise(points, np.array([0, 0, 1, 1]), subset.kept, 0.0)


def test_given_up_rows_are_not_kept_and_may_change():
    points = on_a_line([0, 1, 2, 3, 10, 11])
    codes = np.array([0, 0, 1, 0, 1, 1])
    given_up = np.array([0, 0, 1, 0, 0, 0], dtype=bool)
    subset = SubsetSearch(points, codes, given_up).grow(0.0)
    assert_array_equal(subset.kept, [1, 4])
    assert_array_equal(subset.changed, given_up)
    # A class that has nothing else keeps a row of it.
    codes = np.array([0, 0, 2, 0, 1, 1])
    assert 2 in SubsetSearch(points, codes, given_up).grow(0.0).kept


@pytest.mark.parametrize(
    ("other", "margin", "kept"),
    [
        # The row at 0 is one from the kept row of its class, at -1.
        (1.5, 0.4, [1, 3]),
        (1.5, 0.5, [1, 2, 3]),
        # Single precision could tell these two apart in the wrong order.
        (1.0 + 3e-6, 0.0, [1, 2, 3]),
        (1.0 + 1e-5, 0.0, [1, 3]),
    ],
)
def test_how_far_another_class_has_to_be(other, margin, kept):
    points, codes = on_a_line([-2, -1, 0, other]), np.array([0, 0, 0, 1])
    found = SubsetSearch(points, codes).grow(margin)
    assert found.kept.tolist() == kept
    assert not found.changed.any()


@pytest.mark.parametrize(("other", "changed"), [(1.0, True), (1.01, False)])
def test_a_dropped_row_changes_where_another_class_is_as_near(other, changed):
    points = on_a_line([-1.25, -1, -0.75, 0, other])
    dropped = np.array([0, 0, 0, 1, 0], dtype=bool)
    for margin in (0.0, 0.02):
        search = SubsetSearch(points, np.array([0, 0, 0, 0, 1]), dropped)
        found = search.grow(margin)
        assert found.kept.tolist() == [1, 4]
        assert found.changed.tolist() == [False, False, False, changed, False]


def test_the_first_row_of_a_class_is_the_middle_of_those_that_may_be_kept():
    points = on_a_line([-90, 0, 1, 2, 100, 101, 109])
    codes = np.array([5, 5, 5, 5, 8, 8, 8])
    dropped = np.array([1, 0, 0, 0, 1, 1, 1], dtype=bool)
    found = SubsetSearch(points, codes, dropped).grow(0.0)
    assert found.kept.tolist() == [2, 5]


def test_blocks_change_nothing(monkeypatch):
    random = np.random.default_rng(3)
    points = np.unique(random.normal(size=(90, 2)).round(1), axis=0).astype(np.float32)
    codes = random.integers(3, size=len(points))
    dropped = random.random(len(points)) < 0.1
    whole = SubsetSearch(points, codes, dropped).grow(0.2)
    monkeypatch.setattr(subset_module, "_BLOCK_NUMBERS", 8)
    for largest in (1, 3, 1024):
        monkeypatch.setattr(subset_module, "_LARGEST_BLOCK", largest)
        for n_threads in (1, 2):
            search = SubsetSearch(points, codes, dropped, n_threads=n_threads)
            blocks = search.grow(0.2)
            assert_array_equal(blocks.kept, whole.kept)
            assert_array_equal(blocks.changed, whole.changed)


def test_one_class_is_one_row():
    points = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    for margin in (0.0, 1.0):
        subset = SubsetSearch(points, np.full(40, 7)).grow(margin)
        assert len(subset.kept) == 1
        assert not subset.changed.any()
    assert SubsetSearch(points[:1], np.array([0])).grow(0.0).kept.tolist() == [0]


@settings(deadline=None, max_examples=60)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(2, 60),
    st.integers(1, 3),
    st.integers(1, 5),
    st.sampled_from([0.0, 0.3, 1.0]),
    st.booleans(),
)
def test_the_promise_holds(seed, n_rows, n_features, n_classes, margin, rounded):
    random = np.random.default_rng(seed)
    points = random.normal(size=(n_rows, n_features)) * 3
    if rounded:  # many distances that are equal
        points = np.round(points)
    points = np.unique(points, axis=0).astype(np.float32)
    codes = random.integers(n_classes, size=len(points))
    excused = random.random(len(points)) < 0.1
    subset = SubsetSearch(points, codes, excused).grow(margin)
    check_promise(points, codes, subset.kept, margin, excused)
    nearest, _ = ExactIndex(points[subset.kept]).nearest(points, 1)
    answers = codes[subset.kept][nearest[:, 0]]
    assert not (answers != codes)[~subset.changed].any()
    assert not subset.changed[~excused].any()
    assert set(codes[subset.kept]) == set(codes)


def test_far_from_the_origin():
    random = np.random.default_rng(0)
    points = (random.normal(size=(300, 2)) + 4000).astype(np.float32)
    points = np.unique(points, axis=0)
    codes = (points[:, 0] > 4000).astype(int) + (points[:, 1] > 4000)
    subset = SubsetSearch(points, codes).grow(0.0)
    check_promise(points, codes, subset.kept, 0.0)
    assert len(subset.kept) < 100


def test_order_and_threads_do_not_matter():
    random = np.random.default_rng(0)
    points = random.normal(size=(3000, 4)).astype(np.float32)
    codes = (points[:, 0] * points[:, 1] > 0).astype(int)
    kept = SubsetSearch(points, codes).grow(0.1).kept
    assert len(kept) < 1500
    order = random.permutation(len(points))
    again = SubsetSearch(points[order], codes[order], n_threads=2).grow(0.1).kept
    assert_array_equal(np.sort(order[again]), kept)


def test_a_wider_margin_goes_on():
    random = np.random.default_rng(1)
    points = random.normal(size=(500, 2)).astype(np.float32)
    codes = random.integers(3, size=500)
    search = SubsetSearch(points, codes)
    narrow, wide = search.grow(0.0).kept, search.grow(0.5).kept
    assert set(narrow) < set(wide)
    check_promise(points, codes, wide, 0.5)


def test_edited_by_hand():
    points = on_a_line([0, 1, 2, 3, 4, 5])
    codes = np.array([0, 0, 1, 0, 0, 0])
    neighbors = find_voters(ExactIndex(points), points)
    assert neighbors.shape == (6, 6)
    assert neighbors[2, 0] == -1
    all_rows = np.ones(6, dtype=bool)
    expected = [False, False, True, False, False, False]
    assert find_edited(neighbors, codes, all_rows).tolist() == expected
    # Half is not more than half; and where no row votes, none is edited.
    pair = find_voters(ExactIndex(points[:3]), points[:3])
    codes = np.array([0, 0, 1])
    assert not find_edited(pair, codes, np.ones(3, bool))[:2].any()
    assert not find_edited(pair, codes, np.zeros(3, bool)).any()


def test_edited_row_by_row(random):
    # Copies of a row vote before all others, the nearest others after them: of the
    # first eight of these rows fewer than half are of its class.
    points = random.normal(size=(80, 2)).astype(np.float32)
    codes, copies = random.integers(3, size=80), random.integers(5, size=80)
    copies[:3] = [9, 10, 1]
    neighbors = find_voters(ExactIndex(points), points, n_threads=2)
    assert neighbors.shape == (80, 25)
    for i, listed in enumerate(neighbors):
        near = np.argsort(((points - points[i]) ** 2).sum(axis=1), kind="stable")
        assert_array_equal(listed, np.where(near == i, -1, near)[:25])
    found = find_edited(neighbors, codes, copies)
    for i, listed in enumerate(neighbors):
        others = [i] * max(0, copies[i] - 1)
        for j in listed[listed >= 0]:
            others += [j] * copies[j]
        votes = codes[others[:N_VOTERS]] == codes[i]
        assert found[i] == (2 * votes.sum() < len(votes))
    assert 20 < found.sum() < 60
    # Weights that are no whole numbers: a share of the last vote is counted.
    codes, line = np.array([0, 0, 1, 1]), np.array([[-1, 1, 2, 3]] * 4)
    for weight, edited in ((3.9, True), (4.0, False), (4.1, False)):
        weights = np.array([1.0, weight, 3.0, 3.0])
        assert find_edited(line, codes, weights)[0] == edited


def test_what_is_found_is_not_changed():
    assert_frozen("condensing")


@pytest.mark.parametrize("n_points", [1, 2])
def test_hardly_any_rows(n_points):
    points = on_a_line(range(n_points))
    neighbors = find_voters(ExactIndex(points), points)
    codes = np.arange(n_points)
    edited = find_edited(neighbors, codes, np.ones(n_points, bool))
    assert edited.tolist() == [n_points > 1] * n_points
