"""Approximate against exact neighborhoods: measures by hand, and their grid."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from knngraph.inspection import NeighborhoodFidelity, neighborhood_fidelity
from knngraph.inspection.fidelity import (
    NeighborLists,
    barycenter_shift,
    distance_ratio,
    found_share,
    intrinsic_dimension,
    measured_lists,
    overlap,
)

MEASURES = ("found", "overlap", "distance_ratio", "barycenter_shift", "lid")


def lists_on_a_line(query, ids):
    """Lists of one query among the points 0, 1, 2, ... 9 of a line."""
    points = np.arange(10.0)[:, None].astype(np.float32)
    return measured_lists(np.array([[query]], dtype=np.float32), points, ids), points


def test_measures_worked_by_hand():
    exact, points = lists_on_a_line(0.5, np.array([[0, 1]]))
    other, _ = lists_on_a_line(0.5, np.array([[1, 2]]))
    assert found_share(other) == 1.0
    assert overlap(other, exact) == 0.5
    # Mean distances 1.0 and 0.5; centers 1.5 and 0.5.
    assert distance_ratio(other, exact) == 2.0
    assert barycenter_shift(other, exact, points) == 2.0


def test_short_lists_are_measured_by_what_they_hold():
    exact, points = lists_on_a_line(0.5, np.array([[0, 1]]))
    short, _ = lists_on_a_line(0.5, np.array([[1, -1]]))
    assert found_share(short) == 0.5
    assert overlap(short, exact) == 0.5
    assert distance_ratio(short, exact) == 1.0
    assert barycenter_shift(short, exact, points) == 1.0
    empty, _ = lists_on_a_line(0.5, np.array([[-1, -1]]))
    assert overlap(empty, exact) == 0.0
    assert np.isnan(intrinsic_dimension(empty))


def test_dimension_of_known_growth():
    # In d dimensions the number of points within r grows like r^d.
    k = 2000
    for d in (1, 3, 8):
        distances = (np.arange(1, k + 1) / k) ** (1 / d)
        lists = NeighborLists(np.arange(k)[None, :], distances[None, :])
        assert_allclose(intrinsic_dimension(lists), d, rtol=0.01)


def grid_result(kept):
    """A result whose measures are perfect where `kept`, and fail elsewhere."""
    kept = np.array(kept)
    n_ef, n_k = kept.shape
    ones = np.ones(kept.shape)
    return NeighborhoodFidelity(
        k=np.array([10, 20, 40])[:n_k],
        ef=np.array([10, 20, 80])[:n_ef],
        found=ones,
        overlap=np.where(kept, 1.0, 0.5),
        distance_ratio=ones,
        barycenter_shift=0.0 * ones,
        lid=ones,
        lid_exact=np.ones(n_k),
        tolerance=0.05,
        backend="hnswlib",
        n_points=100,
        n_queries=10,
    )


def test_capacity_stops_at_the_first_failure():
    result = grid_result([[0, 0, 0], [1, 0, 1], [1, 1, 1]])
    assert result.capacity.tolist() == [0, 10, 40]


def test_the_ratio_from_which_on_all_is_kept():
    # ef / k fails at 10/10, 10/20, 10/40, 20/20, and holds at 20/10 and 80/40.
    assert grid_result([[0, 0, 0], [1, 0, 1], [1, 1, 1]]).ef_per_neighbor == 2.0
    assert grid_result([[1, 1, 1]]).ef_per_neighbor == 0.25
    assert grid_result([[0, 1, 1]]).ef_per_neighbor == np.inf


@pytest.mark.parametrize(
    "changed",
    [
        {"overlap": 0.9},
        {"distance_ratio": 1.1},
        {"distance_ratio": 0.9},
        {"barycenter_shift": 0.1},
        {"lid": 1.1},
        {"lid": np.nan},
    ],
)
def test_every_measure_can_break_the_tolerance(changed):
    values = {
        "found": 1.0,
        "overlap": 1.0,
        "distance_ratio": 1.0,
        "barycenter_shift": 0.0,
        "lid": 1.0,
    }
    arrays = {name: np.full((1, 1), v) for name, v in (values | changed).items()}
    result = NeighborhoodFidelity(
        k=np.array([5]),
        ef=np.array([5]),
        lid_exact=np.ones(1),
        tolerance=0.05,
        backend="hnswlib",
        n_points=10,
        n_queries=1,
        **arrays,
    )
    assert not result.kept.any()


def test_one_neighbor_has_no_dimension_and_fails_by_the_others_only(digits):
    result = neighborhood_fidelity(digits[0], k=1, ef=200, n_queries=50)
    assert np.isnan(result.lid_exact).all()
    assert result.capacity.tolist() == [1]


def test_an_ef_of_all_points_is_exact(blobs):
    result = neighborhood_fidelity(blobs[0], k=[3, 8], ef=[192], n_queries=48)
    assert (result.n_points, result.n_queries) == (192, 48)
    assert_array_equal(result.overlap, 1.0)
    assert_allclose(result.distance_ratio, 1.0)
    assert_allclose(result.barycenter_shift, 0.0, atol=1e-12)
    assert_allclose(result.lid, result.lid_exact[None, :])
    assert result.ef_per_neighbor == 24.0


def test_larger_ef_keeps_more(random):
    # Noise of 32 dimensions is hard for a graph of few links.
    X = random.normal(size=(3000, 32))
    result = neighborhood_fidelity(
        X, k=[10], ef=[10, 40, 160], M=4, ef_construction=20, n_queries=200
    )
    assert (np.diff(result.overlap[:, 0]) > 0.05).all()
    assert (np.diff(result.distance_ratio[:, 0]) < 0).all()
    assert result.capacity[0] == 0


def test_shapes_and_reading(digits):
    result = neighborhood_fidelity(digits[0], k=[20, 5], ef=30, n_queries=60)
    assert result.k.tolist() == [5, 20]
    for name in MEASURES:
        assert getattr(result, name).shape == (1, 2)
    assert result.lid_exact.shape == (2,)
    assert "60 queries in 1737 rows" in str(result)
    with pytest.raises(AttributeError):
        result.k = 3


def test_same_seed_same_figures_for_any_number_of_threads(digits):
    results = [
        neighborhood_fidelity(
            digits[0], k=[10], ef=[10], n_queries=100, random_state=seed, n_jobs=n_jobs
        )
        for seed, n_jobs in ((0, 1), (0, 2), (1, 1))
    ]
    for name in MEASURES:
        assert_array_equal(getattr(results[0], name), getattr(results[1], name))
    assert (results[0].lid != results[2].lid).all()


def test_copies_count_once(blobs):
    X = blobs[0]
    alone = neighborhood_fidelity(X, k=[5], ef=[10], n_queries=40)
    doubled = neighborhood_fidelity(
        np.repeat(X, 2, axis=0), k=[5], ef=[10], n_queries=40
    )
    for name in MEASURES:
        assert_array_equal(getattr(alone, name), getattr(doubled, name))


def test_cosine_looks_at_directions_only(blobs, random):
    X = blobs[0]
    stretched = X * 2.0 ** random.integers(-3, 4, size=(len(X), 1))
    one, other = (
        neighborhood_fidelity(rows, k=[5], ef=[10], metric="cosine", n_queries=40)
        for rows in (X, stretched)
    )
    assert_allclose(one.lid, other.lid)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"k": 0}, "'k' parameter"),
        ({"k": [0, 5]}, "k must be a positive integer"),
        ({"k": [2.5]}, "k must be a positive integer"),
        ({"ef": []}, "ef must be a positive integer"),
        ({"k": 193}, r"k=193 neighbors .* 240\s+distinct rows"),
        ({"backend": "annoy"}, "'backend' parameter"),
        ({"n_queries": 0}, "'n_queries' parameter"),
        ({"tolerance": -1.0}, "'tolerance' parameter"),
    ],
)
def test_bad_settings_are_named(setting, message, blobs):
    with pytest.raises(ValueError, match=message):
        neighborhood_fidelity(blobs[0], **({"n_queries": 48} | setting))


def test_rows_that_are_all_equal_are_refused():
    with pytest.raises(ValueError, match="1 distinct rows"):
        neighborhood_fidelity(np.ones((30, 2)))


def test_faiss_with_a_small_ef_loses_neighbors(digits):
    pytest.importorskip("faiss")
    settings = {"k": [10, 160], "ef": [10, 400], "n_queries": 100}
    narrow = neighborhood_fidelity(digits[0], backend="faiss", **settings)
    # Measured: 0.98 and 0.44 with the small one, 1.0 with the large one.
    assert narrow.overlap[0, 0] > 0.9
    assert narrow.overlap[0, 1] < 0.6
    assert narrow.found[0, 1] < 0.9
    assert (narrow.overlap[1] > 0.98).all()
    assert narrow.capacity.tolist() == [10, 160]
    # hnswlib raises `ef` to k.
    wide = neighborhood_fidelity(digits[0], backend="hnswlib", **settings)
    assert wide.overlap[0, 1] > 0.95


def test_without_faiss_the_way_out_is_named(monkeypatch, blobs):
    import sys

    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(ImportError, match='use backend="hnswlib"'):
        neighborhood_fidelity(blobs[0], backend="faiss", k=5, n_queries=40)
