"""The stages of a fit in their order: what each of them is given."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from knngraph.graph.density import local_density, penalty_fractions
from knngraph.graph.kernel import median_bandwidth, neighbors_bandwidth
from knngraph.graph.learn import (
    GraphSettings,
    graph_bandwidth,
    graph_over_rows,
    graph_problem,
    learn_graph,
    learn_pairs,
    same_class_quota,
)
from tests.graph.changing import Changing, exact_lists

SETTINGS = GraphSettings(
    6, (1, 4), 0.05, 0.3, 0.3, 0.1, "median", 0.25, 0.5, True, 300, 1e-8
)


@pytest.fixture(scope="module")
def learned():
    """Rows with copies, their lists, and the graph of both."""
    training = Changing(0, 90, 0, 0).before
    lists = exact_lists(training, 6)
    return training, lists, learn_graph(training, lists, SETTINGS, exact=False)


def test_the_bandwidth_is_measured_or_given(learned):
    training, lists, _ = learned
    expected = {
        "median": median_bandwidth(training.points),
        "neighbors": neighbors_bandwidth(lists, 6),
        0.75: 0.75,
    }
    assert len(set(expected.values())) == 3
    for bandwidth, sigma in expected.items():
        settings = replace(SETTINGS, bandwidth=bandwidth)
        assert graph_bandwidth(training, lists, settings) == sigma
        problem, _ = graph_problem(training, lists, settings)
        assert problem.kernel.sigma == sigma


@pytest.mark.parametrize("class_weight", [None, "balanced"])
def test_the_problem_is_that_of_the_settings(class_weight, learned):
    training, lists, _ = learned
    weighed = training.with_class_weight(class_weight)
    problem, (low, high) = graph_problem(weighed, lists, SETTINGS)
    density = local_density(lists, SETTINGS.density_scales)
    assert_array_equal(problem.density, density[training.pair_node])
    fractions = penalty_fractions(density, 0.05, 0.3)
    assert_array_equal(problem.fractions, fractions[training.pair_node])
    assert (low < high).all()
    # Labels take no part in the choice of neighbors where classes are weighed.
    assert problem.kernel.label_weight == (0.3 if class_weight is None else 0.0)
    assert problem.kernel.label_discount == 0.1
    rest = problem.nugget, problem.positive, problem.max_iter, problem.tol
    assert rest == (0.25, True, 300, 1e-8)


@pytest.mark.parametrize("class_weight", [None, "balanced"])
def test_some_pairs_are_learned_as_all_are(class_weight, learned):
    training, lists, _ = learned
    training = training.with_class_weight(class_weight)
    graph = learn_graph(training, lists, SETTINGS, exact=False)
    pairs = np.arange(training.n_pairs)[::-3]
    some = learn_pairs(
        training, lists, SETTINGS, graph.problem, pairs, seed=0, n_threads=2
    )
    found, whole = some.representation, graph.representation
    assert_array_equal(found.weights.toarray(), whole.weights[pairs].toarray())
    for name in ("gaps", "lambda_max", "n_iter"):
        assert_array_equal(getattr(found, name), getattr(whole, name)[pairs])
    for name in ("distribution", "codes", "margin"):
        part = getattr(graph.consensus, name)[pairs]
        assert_array_equal(getattr(some.consensus, name), part)


def test_an_exact_graph_is_certified_over_all_rows(learned):
    training, lists, local = learned
    exact = learn_graph(training, lists, SETTINGS, exact=True)
    assert (exact.representation.gaps <= 1e-8).all()
    ends = [g.representation.objective_path[-1] for g in (exact, local)]
    assert ends[0] < ends[1] - 1e-6
    again = learn_graph(training, lists, SETTINGS, exact=True, n_threads=2)
    assert_array_equal(
        again.representation.weights.toarray(), exact.representation.weights.toarray()
    )


def test_half_of_the_candidates_are_of_the_class():
    assert [same_class_quota(m) for m in (1, 2, 3, 32)] == [1, 1, 1, 16]


def test_weights_of_rows_are_those_of_their_pairs(learned):
    training, _, graph = learned
    weights = graph.representation.weights
    rows = graph_over_rows(training, weights).toarray()
    of_pair = np.array(
        [np.bincount(training.pair_of_row, row, training.n_pairs) for row in rows]
    )
    assert_allclose(of_pair, weights.toarray()[training.pair_of_row])
    assert_array_equal(rows.diagonal(), 0.0)
    # The first row of a pair stands for it, except for itself.
    first, second = training.rows_of_pairs()
    for row, entries in enumerate(rows):
        for other in np.flatnonzero(entries):
            pair = training.pair_of_row[other]
            assert other == (second if first[pair] == row else first)[pair]
