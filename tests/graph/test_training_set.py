"""Distinct rows and pairs, worked by hand and as properties."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import knngraph.graph.training_set as training_set_module
from knngraph.graph.training_set import build_training_set, row_hashes


def copies(random):
    """Thirty rows that are copies of eight, with two labels."""
    rows = random.normal(size=(8, 3)).astype(np.float32)[random.integers(8, size=30)]
    return rows, random.integers(2, size=30)


def check_the_way_back(training, rows, codes):
    """What must hold for any training set."""
    assert_array_equal(training.points[training.node_of_row], rows)
    assert_array_equal(training.pair_node[training.pair_of_row], training.node_of_row)
    assert_array_equal(training.pair_code[training.pair_of_row], codes)
    assert_array_equal(training.pair_weight, np.bincount(training.pair_of_row))
    assert_array_equal(training.node_weights(), np.bincount(training.node_of_row))
    assert len(np.unique(training.points, axis=0)) == training.n_nodes


def test_three_copies_with_two_labels_are_one_node_and_two_pairs():
    rows = np.array([[0.0], [1.0], [0.0], [0.0]], dtype=np.float32)
    codes = np.array([0, 1, 0, 1])
    training = build_training_set(rows, codes, n_classes=2)
    check_the_way_back(training, rows, codes)
    assert (training.n_rows, training.n_pairs, training.n_nodes) == (4, 3, 2)
    first, second = training.rows_of_pairs()
    assert first[training.pair_of_row].tolist() == [0, 1, 0, 3]
    assert second[training.pair_of_row].tolist() == [2, -1, 2, -1]
    starts = training.node_starts()
    assert np.diff(starts)[training.node_of_row].tolist() == [2, 1, 2, 2]


def test_zero_and_minus_zero_are_one_number():
    rows = np.array([[0.0, 1.0], [-0.0, 1.0]], dtype=np.float32)
    assert build_training_set(rows, np.zeros(2), n_classes=1).n_nodes == 1


def test_rows_with_one_hash_stay_apart(monkeypatch, random):
    rows, codes = copies(random)
    monkeypatch.setattr(
        training_set_module,
        "row_hashes",
        lambda rows, seed: np.zeros(len(rows), dtype=np.uint64),
    )
    training = build_training_set(rows, codes, n_classes=2)
    check_the_way_back(training, rows, codes)
    assert training.n_nodes == len(np.unique(rows, axis=0))


@pytest.mark.parametrize("seed", [0, 7])
def test_node_order_does_not_depend_on_row_order(seed, random):
    rows, codes = copies(random)
    order = random.permutation(30)
    one = build_training_set(rows, codes, n_classes=2, seed=seed)
    other = build_training_set(rows[order], codes[order], n_classes=2, seed=seed)
    check_the_way_back(one, rows, codes)
    assert_array_equal(one.points, other.points)
    assert_array_equal(one.pair_of_row[order], other.pair_of_row)


def test_sorted_rows_are_shuffled():
    rows = np.arange(1000, dtype=np.float32)[:, None]
    points = build_training_set(rows, np.zeros(1000), n_classes=1).points.ravel()
    # A random order rises in half of its steps; 40 to 60 % is six deviations wide.
    assert 400 < (np.diff(points) > 0).sum() < 600


def test_nodes_know_the_class_of_their_rows_and_where_it_differs(random):
    rows, codes = copies(random)
    training = build_training_set(rows, codes, n_classes=2)
    expected = []
    for point in training.points:
        there = set(codes[(rows == point).all(axis=1)].tolist())
        expected.append(there.pop() if len(there) == 1 else -1)
    assert -1 in expected
    assert {0, 1} & set(expected)
    assert training.node_classes().tolist() == expected


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_hashes_stay_those_that_files_hold(dtype):
    # Files of models with trees hold hashes of rows, and their order is that of nodes.
    rows = np.array([[0.0, 1.5], [-2.25, 3.0]], dtype=dtype)
    assert [hex(number) for number in row_hashes(rows, 7).tolist()] == {
        np.float32: ["0x86ea7c72ce851e65", "0x875bb9fa623bd3de"],
        np.float64: ["0x8dfc0b5772fc9ef3", "0x9b031e7fd63e5d6e"],
    }[dtype]


@pytest.mark.parametrize("weight", [0.1, 0.3, 1e-6, 1.000001])
def test_the_weight_of_rows_is_their_sum_without_rounding(weight):
    rows = np.arange(3, dtype=np.float32)[:, None]
    codes, weights = np.zeros(3, int), np.full(3, weight)
    training = build_training_set(rows, codes, 1, row_weight=weights)
    assert training.weight == round(3 * weight, 6)
