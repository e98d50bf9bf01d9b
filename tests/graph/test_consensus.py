"""The vote and its tie rules, worked by hand."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

import knngraph.graph.consensus as consensus_module
from knngraph.graph.consensus import vote


def vote_on_first_row(weights, codes, self_weight, n_classes=3):
    """Let rows 1, 2, ... vote on row 0; the others have no neighbors."""
    n = len(codes)
    graph = np.zeros((n, n))
    graph[0, 1:] = weights
    return vote(sparse.csr_array(graph), np.array(codes), n_classes, self_weight)


def test_shares_margin_and_winner():
    # Own vote 2 * 0.4 for class 0; 0.4 + 0.2 for class 1; 0.2 for class 2.
    agreed = vote_on_first_row([0.4, 0.2, 0.2], [0, 1, 1, 2], self_weight=2.0)
    assert_allclose(agreed.distribution[0], [0.5, 0.375, 0.125])
    assert_allclose(agreed.margin[0], 0.125)
    assert agreed.codes[0] == 0


def test_neighbors_outvote_a_light_self():
    agreed = vote_on_first_row([0.4, 0.2, 0.2], [0, 1, 1, 2], self_weight=0.5)
    assert_allclose(agreed.distribution[0], [0.2, 0.6, 0.2])
    assert agreed.codes[0] == 1


def test_tie_goes_to_the_own_label_first():
    # Class 2 is the largest code, and the heaviest neighbor is of class 0.
    agreed = vote_on_first_row([0.5], [2, 0], self_weight=1.0)
    assert agreed.distribution[0].tolist() == [0.5, 0.0, 0.5]
    assert agreed.codes[0] == 2
    assert agreed.margin[0] == 0.0


def test_tie_goes_to_the_class_of_the_heaviest_neighbor_next():
    agreed = vote_on_first_row([0.25, 0.25, 0.5], [2, 0, 0, 1], self_weight=0.0)
    assert agreed.distribution[0].tolist() == [0.5, 0.5, 0.0]
    assert agreed.codes[0] == 1


@pytest.mark.parametrize("codes", [[2, 0, 1], [2, 1, 0]])
def test_tie_of_equally_heavy_neighbors_goes_to_the_smaller_code(codes):
    assert vote_on_first_row([0.5, 0.5], codes, self_weight=0.0).codes[0] == 0


def test_the_heaviest_neighbor_only_breaks_ties():
    # Class 0 leads although the heaviest neighbor is of class 1.
    agreed = vote_on_first_row([0.3, 0.3, 0.5], [2, 0, 0, 1], self_weight=0.0)
    assert agreed.codes[0] == 0


def test_a_row_without_neighbors_keeps_its_label():
    agreed = vote_on_first_row([0.5, 0.0], [0, 1, 2], self_weight=2.0)
    assert agreed.codes[1:].tolist() == [1, 2]
    assert agreed.distribution[1:].tolist() == [[0, 1, 0], [0, 0, 1]]
    assert agreed.margin[1:].tolist() == [1, 1]


def test_no_row_has_neighbors():
    agreed = vote(sparse.csr_array((2, 2)), np.array([1, 0]), 2, self_weight=0.0)
    assert agreed.codes.tolist() == [1, 0]
    assert agreed.distribution.tolist() == [[0, 1], [1, 0]]


def test_negative_weights_do_not_vote():
    agreed = vote_on_first_row([-0.9, 0.2], [0, 1, 2], self_weight=0.5)
    assert_allclose(agreed.distribution[0], [1 / 3, 0.0, 2 / 3])
    agreed = vote_on_first_row([-0.9, -0.2], [0, 1, 2], self_weight=0.5)
    assert agreed.distribution[0].tolist() == [1.0, 0.0, 0.0]


def test_many_classes_stay_sparse_and_mean_the_same(monkeypatch, random):
    graph = sparse.csr_array(random.random((30, 30)) * (random.random((30, 30)) < 0.2))
    codes = random.integers(5, size=30)
    dense = vote(graph, codes, 5, self_weight=0.5)
    monkeypatch.setattr(consensus_module, "DENSE_DISTRIBUTION_LIMIT", 0)
    thin = vote(graph, codes, 5, self_weight=0.5)
    assert sparse.issparse(thin.distribution)
    assert not sparse.issparse(dense.distribution)
    assert_array_equal(thin.distribution.toarray(), dense.distribution)
    assert_array_equal(thin.codes, dense.codes)
    assert_allclose(dense.distribution.sum(axis=1), 1.0)


@pytest.mark.parametrize("dense_limit", [0, 10_000])
def test_size_of_the_blocks_changes_no_bit(dense_limit, monkeypatch, random):
    weights = sparse.random_array((50, 50), density=0.1, random_state=1, format="csr")
    codes = random.integers(4, size=50)
    monkeypatch.setattr(consensus_module, "DENSE_DISTRIBUTION_LIMIT", dense_limit)
    whole = vote(weights, codes, 4, 1.0)
    monkeypatch.setattr(consensus_module, "_ROWS_PER_BLOCK", 7)
    blocks = vote(weights, codes, 4, 1.0)
    assert sparse.issparse(blocks.distribution) == (dense_limit == 0)
    if dense_limit == 0:
        whole_shares, shares = (
            whole.distribution.toarray(),
            blocks.distribution.toarray(),
        )
    else:
        whole_shares, shares = whole.distribution, blocks.distribution
    assert_array_equal(shares, whole_shares)
    assert_array_equal(blocks.codes, whole.codes)
    assert_array_equal(blocks.margin, whole.margin)


def test_without_votes_the_class_that_weighs_most_wins():
    # No neighbor, and a self weight of nothing: the own label has one vote.
    weights = sparse.csr_array(([0.5], [1], [0, 1, 1]), shape=(2, 2))
    codes = np.array([0, 0])
    light = vote(weights, codes, 3, 0.0, class_weight=np.array([1.0, 1.0, 1e3]))
    assert light.codes.tolist() == [0, 0]
    heavy = vote(weights, codes, 3, 0.0, class_weight=np.array([1e-9, 1.0, 1e3]))
    assert heavy.codes.tolist() == [2, 2]
    assert (heavy.distribution >= 0.0).all()
