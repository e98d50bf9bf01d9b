"""Judged labels: what a plain loop over the rows makes of the votes without them."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import knngraph.inference.adaptive as adaptive
import knngraph.inference.label_quality as label_quality
from knngraph.graph.neighbors import nearest_others
from knngraph.graph.training_set import build_training_set
from knngraph.index.exact import ExactIndex
from knngraph.inference.adaptive import (
    QueryProblem,
    candidate_votes,
    leave_one_out_candidates,
)
from knngraph.inference.calibration import fit_exponent, sharpen
from knngraph.inference.label_quality import judge_labels
from knngraph.inference.noise_matrix import estimate_noise_matrix

N_CLASSES = 4


@pytest.fixture(scope="module")
def judged():
    """Overlapping classes, with copies, and weights of rows and of classes."""
    random = np.random.default_rng(0)
    X = random.normal(size=(80, 2)).astype(np.float32)
    X[70:] = X[:10]
    y = np.digitize(X[:, 0], [-1.0, 0.0, 1.0])
    y = np.where(random.random(80) < 0.15, random.integers(0, 4, 80), y)
    weight = random.integers(1, 3, 80) / 2.0
    training = build_training_set(X, y, N_CLASSES, row_weight=weight)
    index, nodes = ExactIndex(training.points), training.points
    return training, nearest_others(index, nodes, training.node_weights(), 9)


def by_loop(training, neighbors, problem, honest, shares=None):
    """The same, row by row: probabilities, and the likeliest other class."""
    pairs = np.arange(training.n_pairs)
    given, weights = training.pair_code, training.pair_weight
    votes = candidate_votes(
        replace(training, class_weight=None),
        *leave_one_out_candidates(training, neighbors, pairs, problem.n_neighbors),
        problem,
        left_out=pairs,
    )
    if shares is not None:
        votes = np.array(
            [(v + shares[node]) / 2 for v, node in zip(votes, training.pair_node)]
        )
    exponent = fit_exponent(votes[honest], given[honest], weights[honest])
    likely = sharpen(votes, exponent)
    matrix = estimate_noise_matrix(likely[honest], given[honest], weights[honest])
    of_given, codes, of_rival = [], [], []
    for vote, p, code in zip(votes, likely, given):
        right = p**2 * matrix[:, code]
        right /= right.sum()
        others = [c for c in range(N_CLASSES) if c != code and vote[c] > 0.0]
        rival = max(others, key=right.__getitem__) if others else code
        of_given.append(right[code])
        codes.append(rival)
        of_rival.append(right[rival])
    return of_given, codes, of_rival, matrix


def check(quality, expected):
    of_given, codes, of_rival, matrix = expected
    assert_allclose(quality.given, of_given, rtol=1e-9)
    assert_array_equal(quality.rival_code, codes)
    assert quality.rival_code.dtype == np.int32
    assert_allclose(quality.rival, of_rival, rtol=1e-9)
    assert_allclose(quality.noise_matrix, matrix)


@pytest.mark.parametrize("nugget", [0.3, 2.5])
@pytest.mark.parametrize("of_trees", [False, True])
def test_labels_are_judged_as_row_by_row(nugget, of_trees, judged, random):
    training, neighbors = judged
    shares = None
    if of_trees:
        shares = random.dirichlet(np.full(N_CLASSES, 0.3), training.n_nodes)
    problem = QueryProblem(6, 1.0, nugget, 0.02, trust_copies=True)
    honest = np.arange(0, training.n_pairs, 2)
    # Copies do not decide alone, and a small nugget is raised to one.
    plain = replace(problem, nugget=max(1.0, nugget), trust_copies=False)
    expected = by_loop(training, neighbors, plain, honest, shares)
    weighed = training.with_class_weight((1.0, 9.0, 1.0, 0.2))
    for rows in training, weighed:  # what errors cost says nothing of the labels
        check(judge_labels(rows, neighbors, problem, honest, shares=shares), expected)
    if not of_trees:  # some labels have no rival
        assert 0 < (expected[1] == training.pair_code).sum() < training.n_pairs


@pytest.mark.parametrize(
    ("module", "name", "limit"),
    [
        (label_quality, "_PAIRS_PER_BLOCK", 17),
        (adaptive, "_VOTES_PER_BLOCK", 17 * N_CLASSES),
    ],
)
def test_blocks_and_threads_change_nothing(module, name, limit, judged, monkeypatch):
    training, neighbors = judged
    problem, honest = QueryProblem(6, 1.0, 1.0, 0.02), np.arange(17)
    whole = judge_labels(training, neighbors, problem, honest)
    monkeypatch.setattr(module, name, limit)
    done = []
    pieces = judge_labels(
        training, neighbors, problem, honest, n_threads=2, advance=done.append
    )
    check(pieces, (whole.given, whole.rival_code, whole.rival, whole.noise_matrix))
    assert done[:-1] == [17] * (training.n_pairs // 17)
    assert sum(done) == training.n_pairs
