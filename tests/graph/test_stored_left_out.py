"""Stored answers for left-out rows, against learning again without the row."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import knngraph.graph.stored_left_out as stored_left_out
from knngraph.graph.candidates import nearest_of_same_class
from knngraph.graph.kernel import CompositeKernel
from knngraph.graph.neighbors import nearest_others
from knngraph.graph.representation import Problem
from knngraph.graph.stored_left_out import stored_votes_left_out
from knngraph.graph.training_set import build_training_set
from knngraph.index.exact import ExactIndex
from tests.reference import composite_kernel, solve_by_nnls

SELF_WEIGHTS = (0.0, 0.5, 2.0)
FRACTION = 0.15
SIGMA = 1.5


def left_out_votes(X, y, label_weight, n_threads=1):
    """What the library says of the pairs, with all rows as candidates."""
    training = build_training_set(X, y, int(y.max()) + 1)
    all_pairs = training.n_pairs
    neighbors = nearest_others(
        ExactIndex(training.points), training.points, training.node_weights(), all_pairs
    )
    problem = Problem(
        CompositeKernel(SIGMA, label_weight, 0.1),
        np.ones(all_pairs),
        np.full(all_pairs, FRACTION),
        0.0,
        True,
        2000,
        1e-9,
    )
    votes = stored_votes_left_out(
        training,
        neighbors,
        nearest_of_same_class(training, neighbors, all_pairs, all_pairs),
        problem,
        all_pairs,
        SELF_WEIGHTS,
        np.arange(all_pairs),
        n_threads=n_threads,
    )
    return training, votes


def left_out_answers(X, y, label_weight, n_threads=1):
    """Whether the answers to the rows are right."""
    training, votes = left_out_votes(X, y, label_weight, n_threads)
    right = np.array([v.codes == training.pair_code for v in votes])
    return right[:, training.pair_of_row]


def shares_on_node(X, y, reached, self_weight, label_weight):
    """Mean share of the vote over the rows on a node, learned from X and y."""
    # Copies enter the problem of a row once.
    pairs = np.unique(np.column_stack([X, y]), axis=0)
    shares = np.zeros((len(reached), int(y.max()) + 1))
    for share, row in zip(shares, reached):
        same = (X[row] == X).all(axis=1) & (y == y[row])
        own = (pairs == np.append(X[row], y[row])).all(axis=1)
        others = pairs[~own] if same.sum() == 1 else pairs
        rows = np.concatenate([others[:, :-1], X[row : row + 1]])
        labels = np.append(others[:, -1], y[row]).astype(int)
        kernel = composite_kernel(rows, labels, SIGMA, label_weight)
        similarity = kernel[-1, :-1]
        penalty = FRACTION * 2.0 * similarity.max()
        weights = solve_by_nnls(kernel[:-1, :-1], similarity, penalty)
        np.add.at(share, labels[:-1], weights)
        share[y[row]] += self_weight * weights.max()
        share /= share.sum()
    return shares.mean(axis=0)


def brute_force(X, y, label_weight):
    """Shares of every left-out row under every self weight."""
    expected = []
    for row in range(len(X)):
        rest = np.arange(len(X)) != row
        squared = ((X[rest] - X[row]) ** 2).sum(axis=1)
        reached = np.flatnonzero(squared == squared.min())
        expected.append(
            [
                shares_on_node(X[rest], y[rest], reached, self_weight, label_weight)
                for self_weight in SELF_WEIGHTS
            ]
        )
    return np.array(expected).transpose(1, 0, 2)


@pytest.fixture(scope="module")
def rows():
    """Noisy labels, so that neighbors do outvote a row."""
    random = np.random.default_rng(5)
    X = random.normal(size=(40, 2)).astype(np.float32)
    return X, random.integers(3, size=40)


def check_against_brute_force(X, y, label_weight):
    right = left_out_answers(X, y, label_weight)
    shares = brute_force(X, y, label_weight)
    top = np.sort(shares, axis=2)
    clear = top[:, :, -1] - top[:, :, -2] > 1e-6  # ties have rules of their own
    assert clear.mean() > 0.8
    expected = shares.argmax(axis=2) == y
    assert 0.1 < expected.mean() < 0.9
    assert_array_equal(right[clear], expected[clear])


@pytest.mark.parametrize("label_weight", [0.0, 0.3])
@pytest.mark.parametrize("n_copies", [0, 12])
def test_against_learning_again(n_copies, label_weight, rows):
    X, y = rows
    X = np.concatenate([X, X[:n_copies], X[: n_copies // 3]])
    y = np.concatenate([y, y[:n_copies], y[: n_copies // 3]])
    check_against_brute_force(X, y, label_weight)


@pytest.mark.parametrize("first", range(0, 16, 2))
def test_copies_with_other_labels(first, rows):
    # More than two such copies would leave the weights undetermined.
    X, y = rows[0], rows[1].copy()
    y[first : first + 2] = [0, 1]
    X = np.concatenate([X, X[first : first + 2], X[first : first + 1]])
    check_against_brute_force(X, np.append(y, [1, 2, 0]), label_weight=0.3)


def test_no_row_votes_for_itself():
    # The middle row is alone in its class, and the heaviest neighbor of the
    # row it reaches: with its own vote it would read its own label there.
    X = np.array([[0.0], [0.1], [2.0]], dtype=np.float32)
    y = np.array([0, 1, 0])
    right = left_out_answers(X, y, label_weight=0.0)
    assert not right[:, 1].any()


def test_no_row_votes_for_itself_through_its_copy():
    # One of the two copies left out, the other loses the vote to its neighbors.
    X = np.array([[0.0], [0.0], [0.1], [-0.11]], dtype=np.float32)
    y = np.array([0, 0, 1, 1])
    right = left_out_answers(X, y, label_weight=0.0)
    assert not right[:2, :2].any()
    # Unless its own vote counts for more than both.
    assert right[2, :2].all()


def test_a_single_row_reaches_nothing():
    X = np.zeros((1, 1), dtype=np.float32)
    for code in (0, 1):
        for votes in left_out_votes(X, np.array([code]), 0.0)[1]:
            assert votes.codes.tolist() == [-1]
            assert votes.shares.toarray().tolist() == [[0.0] * (code + 1)]


def test_threads_and_chunks_change_nothing(rows, monkeypatch):
    X, y = rows
    whole = left_out_answers(X, y, 0.3)
    monkeypatch.setattr(stored_left_out, "_ROWS_PER_CHUNK", 7)
    assert_array_equal(left_out_answers(X, y, 0.3, n_threads=3), whole)
