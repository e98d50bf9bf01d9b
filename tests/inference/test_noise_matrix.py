"""The noise matrix, and the labels that it makes doubtful."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from knngraph.inference.noise_matrix import (
    estimate_noise_matrix,
    right_label_probability,
)

# Class 0 is often named 1, class 1 is never wrong, class 2 sometimes named 0.
MATRIX = np.array([[0.7, 0.3, 0.0], [0.0, 1.0, 0.0], [0.1, 0.0, 0.9]])


def draw(random, n_rows, sharpness):
    """Rows with classes of some certainty: classes, shares, classes drawn, labels."""
    of_class = random.dirichlet(np.full(3, 1.0 / sharpness), size=n_rows)
    pick = random.random((n_rows, 1))
    code = np.minimum((of_class.cumsum(axis=1) < pick).sum(axis=1), 2)
    label = (MATRIX[code].cumsum(axis=1) < random.random((n_rows, 1))).sum(axis=1)
    return of_class, code, np.minimum(label, 2)


def test_the_matrix_that_made_the_labels_is_found(random):
    of_class, _, given = draw(random, 6000, sharpness=5.0)
    shares = of_class @ MATRIX  # what votes over such labels would be
    found = estimate_noise_matrix(shares, given, np.ones(6000))
    assert_allclose(found.sum(axis=1), 1.0)
    assert_allclose(found, MATRIX, atol=0.05)


def test_overlap_counts_less_than_noise(random):
    of_class, code, _ = draw(random, 6000, sharpness=1.0)
    contradicted = np.mean(of_class.argmax(axis=1) != code)
    found = estimate_noise_matrix(of_class, code, np.ones(6000))
    # Over all rows it would be as much as is contradicted.
    assert 1.0 - np.diag(found).mean() < 0.6 * contradicted


def test_a_weight_is_so_many_rows(random):
    of_class, _, given = draw(random, 300, sharpness=2.0)
    weights = random.integers(1, 4, 300)
    copies = np.repeat(np.arange(300), weights)
    assert_allclose(
        estimate_noise_matrix(of_class, given, weights.astype(float)),
        estimate_noise_matrix(of_class[copies], given[copies], np.ones(len(copies))),
    )


def test_the_order_of_the_rows_does_not_count(random):
    of_class, _, given = draw(random, 300, sharpness=2.0)
    of_class = of_class.round(1)  # many ties
    order = random.permutation(300)
    assert_allclose(
        estimate_noise_matrix(of_class[order], given[order], np.ones(300)),
        estimate_noise_matrix(of_class, given, np.ones(300)),
    )


@pytest.mark.parametrize("n_classes", [1, 2, 30])
def test_one_row_says_next_to_nothing(n_classes):
    shares = np.full((1, n_classes), 1.0 / n_classes)
    matrix = estimate_noise_matrix(shares, np.array([n_classes - 1]), np.ones(1))
    assert_allclose(matrix.sum(axis=1), 1.0)
    right = right_label_probability(shares, np.array([n_classes - 1]), matrix)
    assert_allclose(right.sum(axis=1), 1.0)
    assert (right > 0.0).all()


def test_probabilities_are_those_of_the_classes(random):
    of_class, code, given = draw(random, 40000, sharpness=5.0)
    shares, rows = of_class @ MATRIX, np.arange(40000)

    def error(right):
        return np.mean((right[rows, given] - (code == given)) ** 2)

    right = right_label_probability(shares, given, MATRIX)
    # Measured: 0.048; by the votes alone 0.157, by Bayes' rule alone 0.062.
    assert error(right) < 0.052
    assert error(shares) > 0.1
    joint = shares * MATRIX[:, given].T
    assert error(joint / joint.sum(axis=1, keepdims=True)) > 0.055
    of_given = right[rows, given]
    sure = of_given > 0.75
    assert abs(of_given[sure].mean() - np.mean(code == given, where=sure)) < 0.02


def test_without_noise_the_votes_stay(random):
    of_class, _, given = draw(random, 50, sharpness=2.0)
    assert_allclose(
        right_label_probability(of_class + 1e-9, given, np.eye(3)).argmax(axis=1), given
    )


def test_noise_that_is_alike_everywhere_keeps_the_order(random):
    of_class, _, _ = draw(random, 200, sharpness=2.0)
    given = np.zeros(200, dtype=int)
    matrix = np.full((3, 3), 0.1) + 0.7 * np.eye(3)
    # Two classes share what the given one does not have, half and half.
    of_class[:, 1:] = (0.5 - 0.5 * of_class[:, :1]).clip(1e-6)
    right = right_label_probability(of_class, given, matrix)[:, 0]
    assert (np.diff(right[np.argsort(of_class[:, 0], kind="stable")]) >= -1e-12).all()


def matrix_by_loop(probability, given, weights):
    """Counts where a class is in its surest quarter, and some rows more."""
    n_classes = probability.shape[1]
    counts = np.zeros((n_classes, n_classes))
    for code in range(n_classes):
        rows = [i for i, p in enumerate(probability) if p.argmax() == code]
        rows.sort(key=lambda i: -probability[i].max())
        of_class, reached = sum(weights[i] for i in rows), 0.0
        for i in rows:
            if reached < 0.25 * of_class:
                least = probability[i].max()  # with all as sure as the last
                reached += weights[i]
        for i in rows:
            if probability[i].max() >= least - 1e-7:
                counts[code, given[i]] += weights[i]
    wrong = 1.0 - np.diag(counts).sum() / counts.sum()
    wrong = min(wrong, 1.0 - 1.0 / n_classes)
    matrix = np.empty_like(counts)
    for c in range(n_classes):
        for g in range(n_classes):
            share = 1.0 - wrong if c == g else wrong / (n_classes - 1)
            matrix[c, g] = counts[c, g] + 5.0 * n_classes * share
        matrix[c] /= counts[c].sum() + 5.0 * n_classes
    return matrix


@pytest.mark.parametrize("n_classes", [2, 5])
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_matrix_by_loop(share, n_classes, random):
    probability = random.dirichlet(np.full(n_classes, 0.5), 200).round(2) + 1e-3
    if n_classes == 5:
        probability[:, 3] = 0.0  # the likely class of no row
    given = probability.argmax(axis=1)
    other = (given + random.integers(1, n_classes, 200)) % n_classes
    given = np.where(random.random(200) < share, other, given)
    weights = random.integers(1, 5, 200) / 2.0
    expected = matrix_by_loop(probability, given, weights)
    assert_allclose(estimate_noise_matrix(probability, given, weights), expected)


def test_rounding_makes_no_row_surer():
    # The first of four is a quarter of them, and the others are as sure, or less.
    given, weights = np.array([0, 1, 1, 0]), np.ones(4)
    for behind, n_wrong in ((1e-9, 2), (2e-6, 0)):
        first = np.array([0.9, 0.9 - behind, 0.9 - behind, 0.8])
        found = estimate_noise_matrix(
            np.column_stack([first, 1 - first]), given, weights
        )
        wrong = min(0.5, n_wrong / (n_wrong + 1))
        assert_allclose(found[0, 1], (n_wrong + 10 * wrong) / (n_wrong + 1 + 10))


def test_right_labels_by_bayes_rule(random):
    shares, matrix = random.dirichlet(np.ones(4), (2, 30))
    matrix, given = matrix[:4], random.integers(4, size=30)
    right = right_label_probability(shares, given, matrix)
    for row, p, g in zip(right, shares, given):
        joint = [p[c] ** 2 * matrix[c, g] for c in range(4)]
        assert_allclose(row, np.array(joint) / sum(joint))
