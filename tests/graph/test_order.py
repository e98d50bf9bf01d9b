"""The order of many nodes: random at both ends, local between them."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from knngraph.graph import order as of_nodes
from knngraph.graph.kernel import MEDIAN_SAMPLE
from knngraph.graph.order import RANDOM_HEAD, bring_together, by_cells, by_cells_still
from knngraph.graph.training_set import build_training_set, random_pairs
from knngraph.index import build
from knngraph.index.build import BuildSettings
from knngraph.index.cells import group_rows
from knngraph.inference.cascade_rule import RULE_ROWS
from knngraph.inference.leave_one_out import CALIBRATION_ROWS
from knngraph.metric import choose, gradient_map

N_ROWS = 4000


@pytest.fixture
def few_are_many(monkeypatch):
    """Some thousand nodes are ordered as a million is."""
    monkeypatch.setattr(build, "FEWEST_POINTS", 1000)
    monkeypatch.setattr(of_nodes, "RANDOM_HEAD", 300)
    monkeypatch.setattr(of_nodes, "HELD_OUT", 200)


def clusters(random, n_rows, n_features=6):
    centers = 3.0 * random.normal(size=(40, n_features))
    rows = centers[random.integers(40, size=n_rows)]
    return (rows + random.normal(size=rows.shape)).astype(np.float32)


def steps(points):
    """Mean distance from a row to the next."""
    return float(np.sqrt((np.diff(points, axis=0) ** 2).sum(axis=1)).mean())


@pytest.mark.parametrize("n_rows", [1, 299, 300, 301, 499, 501, 2000])
def test_every_node_comes_once_and_the_ends_stay(n_rows, random, few_are_many):
    rows = clusters(random, n_rows)
    order = by_cells(group_rows(rows))
    assert_array_equal(np.sort(order), np.arange(n_rows))
    assert_array_equal(order[:300], np.arange(min(n_rows, 300)))
    n_last = max(0, min(200, n_rows - 300))
    assert_array_equal(order[n_rows - n_last :], np.arange(n_rows - n_last, n_rows))


def test_near_nodes_are_near_in_the_order(random, few_are_many):
    rows = clusters(random, N_ROWS)
    order = by_cells(group_rows(rows))
    assert steps(rows[order[300:-200]]) < 0.6 * steps(rows)


@pytest.mark.usefixtures("few_are_many")
def test_many_nodes_do_not_depend_on_the_order_of_the_rows(random):
    rows = np.concatenate([clusters(random, N_ROWS), clusters(random, 500)])
    rows[-500:] = rows[:500]  # copies
    codes, weight = random.integers(3, size=len(rows)), random.random(len(rows))
    shuffled = random.permutation(len(rows))
    one, other = (
        bring_together(
            build_training_set(
                rows[some], codes[some], n_classes=3, row_weight=weight[some]
            ),
            BuildSettings(),
        )[0]
        for some in (np.arange(len(rows)), shuffled)
    )
    assert one.n_nodes == N_ROWS
    assert_array_equal(one.points, other.points)
    assert_array_equal(one.pair_of_row[shuffled], other.pair_of_row)
    assert_array_equal(one.points[one.node_of_row], rows)
    assert_array_equal(one.pair_code[one.pair_of_row], codes)
    np.testing.assert_allclose(
        one.pair_weight, np.bincount(one.pair_of_row, weight), rtol=1e-12
    )
    assert steps(one.points[300:-200]) < 0.7 * steps(one.points[:300])


@pytest.mark.usefixtures("few_are_many")
def test_cells_follow_the_nodes_to_their_new_numbers(random):
    rows = clusters(random, N_ROWS)
    training = build_training_set(rows, np.zeros(N_ROWS), n_classes=1)
    together, cells = bring_together(training, BuildSettings())
    plain = group_rows(training.points)
    assert_array_equal(together.points[cells.order], training.points[plain.order])
    assert_array_equal(cells.starts, plain.starts)


@pytest.mark.usefixtures("few_are_many")
def test_class_weights_stay(random):
    rows = clusters(random, N_ROWS)
    training = build_training_set(rows, np.arange(N_ROWS) % 3, n_classes=3)
    training = replace(training, class_weight=np.array([1.0, 0.5, 1.5]))
    together, _ = bring_together(training, BuildSettings())
    assert_array_equal(together.class_weight, training.class_weight)
    node_now, pair_now = together.renumbering(training)
    assert_array_equal(together.points[node_now], training.points)
    assert_array_equal(together.pair_code[pair_now], training.pair_code)


def test_few_nodes_stay_in_the_order_of_their_hashes(random):
    training = build_training_set(clusters(random, 500), np.zeros(500), n_classes=1)
    together, cells = bring_together(training, BuildSettings())
    assert together is training
    assert cells is None


def test_nodes_that_stay_keep_their_order_and_new_ones_are_random(random, few_are_many):
    # Entries from 900 on are new; nodes come in the order of their hashes.
    entries = random.permutation(1000)
    order = by_cells_still(entries, 900)
    assert_array_equal(np.sort(order), np.arange(1000))
    assert_array_equal(order[:300], np.arange(300))
    assert_array_equal(order[800:], np.arange(800, 1000))
    kept = entries[order[300:800]]
    n_old = int((kept < 900).sum())
    assert 300 < n_old < 500
    assert (np.diff(kept[:n_old]) > 0).all()
    assert (np.diff(order[300:800][n_old:]) > 0).all()


def test_samples_taken_from_the_front_lie_within_the_random_head():
    samples = [MEDIAN_SAMPLE, CALIBRATION_ROWS, RULE_ROWS]
    samples += [choose.MAX_ROWS, gradient_map.MAX_ROWS]
    assert max(samples) <= RANDOM_HEAD


def test_random_pairs_are_spread_over_all_of_them():
    pairs = np.arange(0, 50_000, 3)
    assert random_pairs(pairs, 10**6) is pairs
    sample = random_pairs(pairs, 10_000)
    assert_array_equal(sample, random_pairs(pairs, 10_000))
    assert_array_equal(sample, np.unique(sample))
    assert len(sample) == 10_000
    assert (sample % 3 == 0).all()
    # 0.5 within eight deviations of the mean of a uniform sample.
    assert abs(sample.mean() / pairs[-1] - 0.5) < 0.025
