"""Stored labels of nodes: the consensus of their pairs, node by node."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from knngraph.graph.consensus import Consensus
from knngraph.graph.training_set import build_training_set
from knngraph.inference.stored import StoredAnswers
from knngraph.sparse_rows import as_dense


@pytest.mark.parametrize("is_sparse", [False, True])
@pytest.mark.parametrize("class_weight", [None, (1.0, 2.0, 0.5)])
def test_nodes_store_the_mean_of_their_pairs(class_weight, is_sparse, random):
    X = np.repeat(np.arange(40), random.integers(1, 5, 40)).astype(np.float32)[:, None]
    y, weight = random.integers(3, size=len(X)), random.integers(1, 4, len(X)) / 2.0
    training = build_training_set(X, y, 3, row_weight=weight)
    training = training.with_class_weight(class_weight)
    shares = random.dirichlet(np.ones(3), training.n_pairs)
    shares[::3] = [0.5, 0.5, 0.0]  # ties, which a rule of the pairs has decided
    codes = random.integers(3, size=training.n_pairs)
    held = sparse.csr_array(shares) if is_sparse else shares
    found = StoredAnswers.from_consensus(training, Consensus(held, codes, None))
    assert sparse.issparse(found.shares) == is_sparse
    factors = np.ones(3) if class_weight is None else training.class_weight
    for node, (code, mean) in enumerate(zip(found.codes, as_dense(found.shares))):
        pairs = np.flatnonzero(training.pair_node == node)
        plain = shares[pairs] / factors
        plain /= plain.sum(axis=1, keepdims=True)
        expected = training.pair_weight[pairs] @ plain * factors
        assert_allclose(mean, expected / expected.sum())
        assert code == (codes[pairs[0]] if len(pairs) == 1 else mean.argmax())
    assert 0 < (np.diff(training.node_starts()) == 1).sum() < training.n_nodes


def test_without_copies_pairs_are_nodes(random):
    X = random.normal(size=(20, 2)).astype(np.float32)
    training = build_training_set(X, random.integers(3, size=20), 3)
    shares, codes = random.dirichlet(np.ones(3), 20), random.integers(3, size=20)
    found = StoredAnswers.from_consensus(training, Consensus(shares, codes, None))
    assert_array_equal(found.codes, codes)
    assert_array_equal(found.shares, shares)
