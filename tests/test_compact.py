"""Pickles hold every number once, in few bytes, and load to the same bits."""

import pickle
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
    "rows": (np.arange(70_000)[::-1], 4),
    "pairs without copies": (np.arange(70_000), 8),
    "rows and none": (np.arange(-1, 70_000), 4),
    "large": (np.array([0, 2**40]), 8),
    "hashes": (np.array([2**64 - 1], dtype=np.uint64), 8),
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
    assert getattr(narrow, "numbers", array).itemsize == n_bytes
    back = unpacked(pickle.loads(pickle.dumps(narrow)))
    assert back.dtype == array.dtype
    assert back.shape == array.shape
    assert back.tobytes() == array.tobytes()


def test_an_array_that_counts_takes_no_room():
    assert len(pickle.dumps(packed(np.arange(70_000)))) < 200


def test_sparse_rows_come_back_to_the_bit(random):
    rows = sparse.random_array((50, 300), density=0.1, format="csr", rng=random)
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
    assert len(pickle.dumps(model)) < 3.7 * theirs


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
