"""Pickles hold every number once, in few bytes, and load to the same bits."""

import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.neighbors import KNeighborsClassifier

from knngraph import KNNGraphClassifier
from knngraph.compact import CompactPickle, packed, unpacked
from knngraph.index.hnsw import HNSWIndex
from tests.updating.fresh import assert_same_answers, assert_same_attributes

ARRAYS = {
    "classes": (np.array([0, 4, 2]), 1),
    "missing": (np.array([-1, 300]), 2),
    "rows": (np.arange(70_000)[::-1], 3),
    "pairs without copies": (np.arange(70_000), 8),
    "rows and none": (np.arange(-1, 70_000), 3),
    "rows of a block": (np.arange(2**40, 2**40 + 70_000).reshape(7, -1), 3),
    "many rows": (np.array([2**24, 0]), 4),
    "all that three bytes hold": (np.array([-5, 2**24 - 6], dtype=np.int32), 3),
    "one more": (np.array([-5, 2**24 - 5], dtype=np.int32), 4),
    "lists in pieces": (np.arange(3 * 2**20)[::-1].reshape(-1, 3), 3),
    "large": (np.array([0, 2**40]), 8),
    "hashes": (np.array([2**64 - 1, 0], dtype=np.uint64), 8),
    "copies": (np.array([1.0, 3.0]), 1),
    "weights": (np.array([1.0, 0.5]), 8),
    "negative zero": (np.array([1.0, -0.0]), 8),
    "not numbers": (np.array([1.0, np.nan, np.inf]), 8),
    "flags": (np.array([True]), 1),
    "nothing": (np.empty(0, dtype=np.intp), 8),
    "lists": (np.array([[1, 2], [3, -1]]), 1),
    "single": (np.array([1.0], dtype=np.float32), 4),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_come_back_to_the_bit(name):
    array, n_bytes = ARRAYS[name]
    narrow = packed(array)
    assert getattr(narrow, "numbers", array).nbytes == n_bytes * array.size
    back = unpacked(pickle.loads(pickle.dumps(narrow)))
    assert back.dtype == array.dtype
    assert back.shape == array.shape
    assert back.tobytes() == array.tobytes()


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int32, np.uint8])
def test_zeros_take_a_bit_each(dtype, random):
    shares = np.zeros((70, 10), dtype=dtype)
    shares[:, 3] = random.integers(1, 200, 70)
    shares[5, 7] = -0.0
    held = packed(shares)
    n_held = 70 + (shares.dtype.kind == "f")  # a negative zero is not zero
    values = unpacked(held.values)
    assert len(values) == n_held
    assert len(pickle.dumps(held)) < 700 / 8 + values.nbytes + 400
    back = unpacked(pickle.loads(pickle.dumps(held)))
    assert back.dtype == dtype
    assert back.shape == shares.shape
    assert back.tobytes() == shares.tobytes()


def test_an_array_that_counts_takes_no_room():
    assert len(pickle.dumps(packed(np.arange(70_000)))) < 200


def test_sparse_rows_come_back_to_the_bit(random):
    rows = sparse.random_array(
        (50, 300), density=0.1, format="csr", random_state=random
    )
    rows.indices, rows.indptr = rows.indices.astype(np.int64), rows.indptr
    back = unpacked(pickle.loads(pickle.dumps(packed(rows))))
    for name in ("data", "indices", "indptr"):
        one, other = getattr(back, name), getattr(rows, name)
        assert one.dtype == other.dtype
        assert_array_equal(one, other)
    assert back.shape == rows.shape


@dataclass(frozen=True)
class Pair(CompactPickle):
    codes: np.ndarray

    @cached_property
    def total(self):
        return self.codes.sum()


def test_what_is_found_on_first_use_is_not_pickled():
    pair = Pair(np.array([1, 2]))
    before = pickle.dumps(pair)
    assert pair.total == 3
    assert pickle.dumps(pair) == before
    assert pickle.loads(before).total == 3


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_index_beside_its_points(dtype, random):
    points = random.normal(size=(60, 3)).astype(np.float32)
    index = HNSWIndex(3, 60)
    index.add(points)
    number_now = np.concatenate([np.full(10, -1), np.arange(50)])
    changed = index.renumbered(number_now)
    state = changed.state_beside(points[10:].astype(dtype))
    kept = 10 if dtype == np.float32 else 60  # those that are removed, or all
    assert len(state["parts"]["vectors"]) == kept
    loaded = HNSWIndex.from_state_beside(
        pickle.loads(pickle.dumps(state)), points[10:].astype(dtype)
    )
    assert pickle.dumps(loaded) == pickle.dumps(changed)


@pytest.fixture
def rows(random):
    centers = random.normal(scale=3.0, size=(5, 20))
    y = random.integers(5, size=6000)
    return centers[y] + random.normal(size=(6000, 20)), y


def test_a_pickle_takes_at_most_four_times_that_of_its_neighbors_alone(rows):
    X, y = rows
    model = KNNGraphClassifier(metric="euclidean", random_state=0).fit(X, y)
    model.predict(X[:10])
    theirs = len(pickle.dumps(KNeighborsClassifier().fit(X, y)))
    assert len(pickle.dumps(model)) < 2.6 * theirs


@pytest.mark.parametrize("support", ["local", "exact"])
@pytest.mark.parametrize("metric", ["euclidean", "learned"])
def test_distances_of_neighbors_are_measured_when_they_are_read(support, metric, rows):
    X, y = (part[:700] for part in rows)
    model = KNNGraphClassifier(metric=metric, ef=40, support=support, random_state=0)
    for changed in (
        model.fit(X[:500], y[:500]),
        model.partial_fit(X[500:], y[500:]).forget([3, 100, 600]),
    ):
        for inference in ("cascade", "adaptive", "lookup"):
            expected = changed.set_params(inference=inference).predict_proba(X)
            loaded = pickle.loads(pickle.dumps(changed))
            assert_array_equal(loaded.predict_proba(X), expected)
            lists, now = loaded._model.rows.neighbors, changed._model.rows.neighbors
            if now.squared.dtype == np.float32:  # else the search was exact
                # Only the votes around the nodes read them.
                assert ("squared" in vars(lists)) == (inference == "lookup")
            assert_array_equal(lists.ids, now.ids)
            assert lists.squared.tobytes() == now.squared.tobytes()
            assert "_to_measure" not in vars(lists)
        for name in ("stored", "left_out_neighbors"):
            assert_same_part(getattr(loaded._model, name), getattr(model._model, name))


def assert_same_part(one, other):
    for name in ("codes", "shares", "ids", "squared"):
        assert_array_equal(getattr(one, name, None), getattr(other, name, None))


def test_threads_that_measure_at_once_find_the_same(rows):
    X, y = (part[:3000] for part in rows)
    model = KNNGraphClassifier(metric="euclidean", support="local", random_state=0)
    expected = model.fit(X, y)._model.rows.neighbors.squared
    payload = pickle.dumps(model)
    with ThreadPoolExecutor(8) as pool:
        for _ in range(10):
            lists = pickle.loads(payload)._model.rows.neighbors
            for found in pool.map(lambda _, lists=lists: lists.squared, range(16)):
                assert_array_equal(found, expected)


@pytest.mark.parametrize("support", ["local", "exact"])
def test_a_loaded_model_changes_as_the_one_that_was_saved(support, rows):
    X, y = (part[:700] for part in rows)
    model = KNNGraphClassifier(ef=40, support=support, random_state=0)
    model.fit(X[:500], y[:500]).forget(np.arange(20))
    model.predict(X)
    loaded = pickle.loads(pickle.dumps(model))
    assert_same_answers(loaded, model, X)
    for one in (loaded, model):
        one.set_params(inference="lookup").partial_fit(X[500:], y[500:])
        one.forget([3, 100, 600])
    assert_same_answers(loaded, model, X)
    assert_same_attributes(loaded, model)
