"""Votes on left-out rows: from whom they come, and that every row has its own."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from knngraph.graph.neighbors import nearest_others
from knngraph.graph.training_set import build_training_set
from knngraph.index.exact import ExactIndex
from knngraph.inference.adaptive import LabelReliability, QueryProblem
from knngraph.inference.leave_one_out import leave_one_out
from knngraph.inference.left_out_votes import LeftOutRows
from knngraph.inference.node_votes import near_votes_left_out, node_votes_left_out
from knngraph.inference.reliability import reliable_votes

PROBLEM = QueryProblem(6, 1.5, 0.3, 0.02)


def left_out_rows(X, y, stretch):
    """Rows with lists under two maps, of which one has wider columns."""
    training = build_training_set(np.float32(X), y, 3)
    points, weights = training.points, training.node_weights()
    lists, around = (
        nearest_others(ExactIndex(places), places, weights, 6)
        for places in (np.float32(points * stretch), points)
    )
    answers = leave_one_out(training, lists, PROBLEM)
    own = np.full(training.n_pairs, 0.8)
    doubted = LabelReliability(own, answers.rival_code, 0.2, 1.0)
    answers = replace(answers, reliability=doubted)
    return LeftOutRows(training, lists, around, PROBLEM, answers, n_threads=2)


@pytest.mark.parametrize("inference", ["lookup", "cascade"])
def test_candidates_vote_or_nodes_around(inference, random):
    X = random.normal(size=(60, 2))
    X[50:] = X[:10]
    rows = left_out_rows(X, random.integers(3, size=60), np.array([1.0, 3.0]))
    training, pairs = rows.training, np.arange(5, rows.training.n_pairs)[::-1]
    alone = training.left_weights(pairs) == 0.0
    nodes = training.pair_node[pairs]
    reached = np.where(alone, rows.neighbors.ids[nodes, 0], nodes)
    assert (reached != np.where(alone, rows.around.ids[nodes, 0], nodes)).any()
    of_candidates = reliable_votes(
        training, rows.neighbors, PROBLEM, rows.answers, pairs
    )
    if (
        inference == "lookup"
    ):  # around the node that is reached, under the map of queries
        near = node_votes_left_out(training, rows.around, reached, pairs, 3)
    else:
        near = near_votes_left_out(training, rows.neighbors, pairs, 3)
    assert_array_equal(rows.near_votes(pairs, inference), near)
    for share in (0.0, 0.4, 1.0):
        chosen = random.random(len(pairs)) < share
        expected = np.where(chosen[:, None], of_candidates, near)
        assert_array_equal(rows.votes(pairs, chosen, inference), expected)


@pytest.mark.parametrize("inference", ["lookup", "cascade"])
def test_a_single_row_gets_no_vote(inference):
    rows = left_out_rows(np.zeros((1, 2)), np.zeros(1, dtype=int), 1.0)
    votes = rows.votes(np.arange(1), np.zeros(1, dtype=bool), inference)
    assert votes.tolist() == [[0.0, 0.0, 0.0]]
