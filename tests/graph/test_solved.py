"""Graphs learned again after changes are those of the present rows, learned at once."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

import knngraph.graph.consensus as consensus_module
import knngraph.graph.solved as solved_module
from knngraph.graph.candidates import nearest_of_same_class
from knngraph.graph.changed_lists import change_neighbors
from knngraph.graph.consensus import vote
from knngraph.graph.density import inverse_distances, normalized_density
from knngraph.graph.learn import (
    GraphSettings,
    learn_graph,
    problem_with,
    same_class_quota,
)
from knngraph.graph.representation import represent_locally
from knngraph.graph.solved import Solved, learn_again
from knngraph.index.exact import ExactIndex
from tests.graph.changing import Changing, exact_lists

M, SCALES = 6, (1, 4)
SETTINGS = GraphSettings(
    M, SCALES, 0.05, 0.3, 0.3, 0.1, "median", 0.0, 0.5, True, 500, 1e-8
)


def learned_at_once(before, training, neighbors):
    """All pairs, with the bandwidth and the extremes of the graph before."""
    inverse = inverse_distances(neighbors, SCALES)
    density = normalized_density(inverse, *before.extremes).clip(0.0, 1.0)
    problem = problem_with(training, density, before.problem.kernel.sigma, SETTINGS)
    same_class = nearest_of_same_class(training, neighbors, M, same_class_quota(M))
    representation = represent_locally(training, neighbors, same_class, problem, M)
    consensus = vote(
        representation.weights,
        training.pair_code,
        training.n_classes,
        SETTINGS.self_weight,
        class_weight=training.class_weight,
    )
    return problem, representation, consensus


def check(again, problem, representation, consensus):
    """What was learned again is what is learned at once."""
    assert_allclose(again.problem.density, problem.density, rtol=1e-5)
    assert_allclose(again.problem.fractions, problem.fractions, rtol=1e-5)
    assert_allclose(
        again.representation.weights.toarray(),
        representation.weights.toarray(),
        atol=1e-4,
    )
    found = again.representation
    assert_allclose(found.lambda_max, representation.lambda_max, rtol=1e-4)
    assert found.gaps.shape == found.n_iter.shape == representation.gaps.shape
    assert (found.gaps <= 2e-8).all()
    assert_allclose(again.consensus.distribution, consensus.distribution, atol=1e-4)
    assert_allclose(again.consensus.margin, consensus.margin, atol=1e-4)
    clear = consensus.margin > 1e-3
    assert_array_equal(again.consensus.codes[clear], consensus.codes[clear])


@pytest.mark.parametrize(("n_gone", "n_new"), [(0, 0), (3, 0), (0, 4), (6, 6), (50, 1)])
def test_as_learned_at_once(n_gone, n_new):
    changed = Changing(n_gone + n_new, 150, n_gone, n_new)
    before, change = changed.before, changed.change
    training = change.training
    lists = exact_lists(before, M)
    learned = learn_graph(before, lists, SETTINGS, exact=False)
    neighbors, moved = change_neighbors(lists, change, ExactIndex(training.points), M)
    solved = Solved.of(learned, before).after(change, moved)
    # Pairs that nothing has touched keep their solution: they are not solved again.
    source = solved.source(training, neighbors)
    kept = source >= 0
    assert_array_equal(solved.pair_now[source[kept]], np.flatnonzero(kept))
    assert kept.all() == (n_gone + n_new == 0)
    if n_gone + n_new < 10:
        assert kept.mean() > 0.3
    again = learn_again(solved, training, neighbors, SETTINGS)
    check(again, *learned_at_once(learned, training, neighbors))
    gaps, now = learned.representation.gaps, again.representation.gaps
    assert (gaps[source[kept]] != now[kept]).sum() <= 0.1 * kept.sum()
    # The lists of the same class, which a later change begins with.
    expected = nearest_of_same_class(training, neighbors, M, same_class_quota(M))
    listed = expected.place >= 0
    assert_array_equal(again.same_class.place >= 0, listed)
    assert_array_equal(
        again.same_class.ids[again.same_class.place[listed]],
        expected.ids[expected.place[listed]],
    )


def test_a_node_with_other_rows_is_news_to_all_that_list_it():
    changed = Changing(0, 80, 0, 0)
    training, lists = changed.before, exact_lists(changed.before, M)
    learned = learn_graph(training, lists, SETTINGS, exact=False)
    solved = Solved.of(learned, training)
    for name, reaches in ("touched", True), ("moved", False):
        nodes = np.zeros(training.n_nodes, dtype=bool)
        nodes[7] = True
        source = replace(solved, **{name: nodes}).source(training, lists)
        news = np.unique(training.pair_node[source < 0])
        listing = np.flatnonzero((lists.ids == 7).any(axis=1))
        assert_array_equal(news, np.union1d([7], listing if reaches else []))


@pytest.mark.parametrize("part", ["settings", "classes", "weights of classes"])
def test_what_all_pairs_share_is_learned_for_all(part):
    changed = Changing(3, 120, 4, 4)
    before, training = changed.before, changed.change.training
    change, lists = changed.change, exact_lists(before, M)
    settings = SETTINGS
    if part == "settings":
        settings = replace(SETTINGS, tol=1e-9)
    else:
        training = training.with_class_weight("balanced")
    if part == "weights of classes":  # others than before, as there are other rows
        before = before.with_class_weight("balanced")
    learned = learn_graph(before, lists, SETTINGS, exact=False)
    neighbors, moved = change_neighbors(lists, change, ExactIndex(training.points), M)
    solved = Solved.of(learned, before).after(change, moved)
    again = learn_again(solved, training, neighbors, settings)
    check(again, *learned_at_once(learned, training, neighbors))
    if part == "settings":
        assert (again.representation.gaps <= 2e-9).all()


def test_pairs_are_solved_again_where_a_candidate_of_their_class_has_changed(
    monkeypatch,
):
    changed = Changing(0, 60, 0, 0)
    training, lists = changed.before, exact_lists(changed.before, M)
    learned = learn_graph(training, lists, SETTINGS, exact=False)
    same_class, solved_pairs = learned.same_class, []

    def recorded(*given, **more):
        solved_pairs.append(given[5])
        return represent_locally(*given, **more)

    monkeypatch.setattr(solved_module, "represent_locally", recorded)
    for node in range(training.n_nodes):
        touched = np.zeros(training.n_nodes, dtype=bool)
        touched[node] = True
        solved = replace(Solved.of(learned, training), touched=touched)
        learn_again(solved, training, lists, SETTINGS)
        near = touched | touched[lists.ids].any(axis=1)
        expected = near[training.pair_node]
        listing = touched[training.pair_node[same_class.ids]] & (same_class.ids >= 0)
        listed = same_class.place >= 0
        expected[listed] |= listing.any(axis=1)[same_class.place[listed]]
        assert_array_equal(solved_pairs[-1], np.flatnonzero(expected))


def test_a_pair_that_is_gone_is_the_source_of_none():
    changed = Changing(0, 40, 0, 0)
    training, lists = changed.before, exact_lists(changed.before, M)
    learned = learn_graph(training, lists, SETTINGS, exact=False)
    numbers = np.arange(training.n_pairs)
    solved = replace(Solved.of(learned, training), pair_now=np.append(numbers, -1))
    assert_array_equal(solved.source(training, lists), numbers)


def test_sparse_votes_stay_sparse(monkeypatch):
    changed = Changing(5, 120, 2, 3)
    before, change = changed.before, changed.change
    training, lists = change.training, exact_lists(before, M)
    neighbors, moved = change_neighbors(lists, change, ExactIndex(training.points), M)

    def learned_again():
        learned = learn_graph(before, lists, SETTINGS, exact=False)
        solved = Solved.of(learned, before).after(change, moved)
        return learn_again(solved, training, neighbors, SETTINGS).consensus

    dense = learned_again()
    monkeypatch.setattr(consensus_module, "DENSE_DISTRIBUTION_LIMIT", 0)
    thin = learned_again()
    assert sparse.issparse(thin.distribution)
    assert_array_equal(thin.distribution.toarray(), dense.distribution)
    assert_array_equal(thin.codes, dense.codes)
    assert_array_equal(thin.margin, dense.margin)


def test_numbers_of_columns_are_narrow():
    changed = Changing(5, 120, 2, 3)
    before, change = changed.before, changed.change
    training, lists = change.training, exact_lists(before, M)
    learned = learn_graph(before, lists, SETTINGS, exact=False)
    neighbors, moved = change_neighbors(lists, change, ExactIndex(training.points), M)
    solved = Solved.of(learned, before).after(change, moved)
    again = learn_again(solved, training, neighbors, SETTINGS)
    for graph in learned, again:
        weights = graph.representation.weights
        assert weights.indices.dtype == weights.indptr.dtype == np.int32
