"""The map to the rows that the index holds."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

import knngraph.space as space_module
from knngraph import KNNGraphClassifier
from knngraph.space import LARGEST_COORDINATE, LARGEST_IN_DOUBLE, fit_space


def distances(rows):
    """Distances between all rows in double precision."""
    difference = rows[:, None].astype(float) - rows[None].astype(float)
    return np.sqrt((difference**2).sum(axis=2))


def test_center_is_a_value_of_the_column():
    X = np.array([[1.0, 10.0], [3.0, 20.0], [5.0, 90.0], [7.0, 30.0]])
    assert fit_space(X, "euclidean").center.tolist() == [3.0, 20.0]


def test_columns_that_are_too_many_take_no_memory():
    X = sparse.csr_array((np.ones(24), np.arange(24), np.arange(25)), (24, 10**8))
    classifier = KNNGraphClassifier()
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"\(24, 100000000\).*TruncatedSVD"):
        classifier.fit(X, np.arange(24) % 2)
    assert tracemalloc.get_traced_memory()[1] < 2**26
    tracemalloc.stop()


@pytest.mark.parametrize("offset", [0.0, 1e8, -1e12])
def test_distances_survive_an_offset(offset, random):
    # Multiples of 1/1024 are exact beside 1e12 in double precision.
    X = np.round(random.normal(size=(20, 3)) * 1024) / 1024
    space = fit_space(X + offset, "euclidean")
    assert_allclose(distances(space.map_rows(X + offset)), distances(X), rtol=1e-5)


@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1e-5, 1.0, 1e5, 1e30, 1e300])
def test_distances_survive_a_scale(scale, random):
    X = random.normal(size=(20, 3))
    space = fit_space(X * scale, "euclidean")
    rows = space.map_rows(X * scale)
    assert_allclose(
        distances(rows) * (space.scale / scale), distances(X), rtol=1e-5, atol=1e-6
    )
    assert np.frexp(space.scale)[0] == 0.5  # a power of two costs no digit


def test_common_scales_are_left_alone(random):
    assert fit_space(random.normal(size=(20, 3)) * 1e4, "euclidean").scale == 1.0


@pytest.mark.parametrize("offset", [0, 1000])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16, np.uint8])
def test_small_integers_map_alike_in_any_dtype(dtype, offset, random):
    X = random.integers(0, 100, size=(30, 4)) + (offset if dtype != np.uint8 else 0)
    expected = (X - fit_space(X, "euclidean").center).astype(np.float32)
    rows = fit_space(X.astype(dtype), "euclidean").map_rows(X.astype(dtype))
    assert rows.dtype == np.float32
    assert_array_equal(rows, expected)


def test_blocks_change_nothing(monkeypatch, random):
    X = random.normal(size=(50, 7))
    space = fit_space(X, "euclidean")
    whole = space.map_rows(X)
    monkeypatch.setattr(space_module, "_BLOCK_BYTES", 8 * 7 * 4)
    monkeypatch.setattr(space_module, "_CACHED_NUMBERS", 7 * 3)
    assert len(space.blocks(X)) == 13
    assert_array_equal(space.map_rows(X), whole)
    assert_array_equal(fit_space(X, "euclidean").center, space.center)


@pytest.mark.parametrize("as_sparse", [False, True])
def test_cosine_brings_rows_to_unit_length(as_sparse):
    X = np.array([[3.0, 4.0], [3e-300, 4e-300], [3e300, 4e300], [0.0, 0.0]])
    X = sparse.csr_array(X) if as_sparse else X
    rows = fit_space(X, "cosine").map_rows(X)
    assert_allclose(rows, [[0.6, 0.8]] * 3 + [[0.0, 0.0]], rtol=1e-6)


def test_sparse_rows_keep_their_zeros(random):
    X = sparse.csr_array(random.random((20, 6)) * (random.random((20, 6)) < 0.3))
    space = fit_space(X, "euclidean")
    assert space.center is None
    assert_allclose(space.map_rows(X), X.toarray(), rtol=1e-6)


def test_too_large_a_sparse_set_names_the_way_out(monkeypatch):
    X = sparse.csr_array((1000, 500))
    monkeypatch.setattr(space_module, "DENSE_BYTES_LIMIT", 2**20)
    with pytest.raises(ValueError, match=r"\(1000, 500\).*TruncatedSVD"):
        fit_space(X, "cosine")


@pytest.mark.parametrize("value", [-1e30, 1e300])
def test_a_query_out_of_range_keeps_its_side(value, random):
    space = fit_space(random.normal(size=(20, 3)), "euclidean")
    space = replace(space, linear=np.eye(3)) if value > 0 else space
    row = space.map_rows(np.array([[0.0, value, 0.0]]))[0]
    assert row[1] == np.sign(value) * LARGEST_COORDINATE
    assert np.isfinite(np.square(row).sum())


@pytest.mark.parametrize("value", [2.0**60, 1e300, -1.7e308])
def test_rows_out_of_range_of_single_precision_are_held_in_double(value, random):
    X = random.normal(size=(20, 3))
    X[7, 1] = value
    space = fit_space(X, "euclidean")
    assert space.precision == "double"
    rows = space.map_rows(X)
    assert_array_equal(rows, np.clip(X, -LARGEST_IN_DOUBLE, LARGEST_IN_DOUBLE))
    assert np.isfinite(np.square(rows).sum())


@pytest.mark.parametrize("scale", [1.0, 1e-300, 1e300])
def test_double_precision_keeps_all_digits(scale):
    X = scale * np.array([[1e-20, 0.5], [3e-20, 0.25], [0.75, 0.125]])
    space = fit_space(X, "euclidean", "double")
    assert_array_equal(space.map_rows(X) * space.scale, X)
    assert_array_equal(fit_space(X, "euclidean").in_double().map_rows(X)[0] > 0.0, True)


def test_an_all_zero_set_has_scale_one():
    for X in (np.zeros((3, 2)), sparse.csr_array((3, 2))):
        assert fit_space(X, "euclidean").scale == 1.0
