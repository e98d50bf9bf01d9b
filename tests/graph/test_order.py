"""The order of many rows: random enough for the graph, local enough for caches."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from knngraph.graph.kernel import MEDIAN_SAMPLE
from knngraph.graph.neighbors import nearest_others
from knngraph.graph.order import RANDOM_HEAD, in_rounds
from knngraph.graph.training_set import build_training_set, random_pairs
from knngraph.index.build import build_index
from knngraph.index.exact import ExactIndex
from knngraph.index.recall import HELD_OUT
from knngraph.inference.cascade_rule import RULE_ROWS
from knngraph.inference.leave_one_out import CALIBRATION_ROWS
from knngraph.metric import choose, gradient_map

N_ROWS = 2 * RANDOM_HEAD + HELD_OUT


def clusters(random, n_rows, n_features=6):
    centers = 3.0 * random.normal(size=(40, n_features))
    rows = centers[random.integers(40, size=n_rows)]
    return (rows + random.normal(size=rows.shape)).astype(np.float32)


def steps(points):
    """Mean distance from a row to the next."""
    return float(np.sqrt((np.diff(points, axis=0) ** 2).sum(axis=1)).mean())


@pytest.mark.parametrize("n_rows", [0, 1, 39, 40, 41, 1000])
def test_every_row_comes_once_and_the_ends_stay(n_rows, random):
    rows = clusters(random, 1000)
    ids = random.permutation(1000)[:n_rows]
    order = in_rounds(rows, ids, head=10, tail=20)
    assert_array_equal(np.sort(order), np.sort(ids))
    assert_array_equal(order[:10], ids[:10])
    assert_array_equal(order[max(0, n_rows - 20) :], ids[max(0, n_rows - 20) :])


def test_near_rows_are_near_in_the_order(random):
    rows = clusters(random, 4000)
    order = in_rounds(rows, np.arange(4000), head=1000)
    last_round = rows[order[2000:]]
    assert steps(last_round) < 0.6 * steps(rows[2000:])


def test_every_round_doubles_what_came_before(random):
    rows = clusters(random, 4000)
    order = in_rounds(rows, np.arange(4000), head=1000)
    for start, stop in [(0, 1000), (1000, 2000), (2000, 4000)]:
        assert_array_equal(np.sort(order[start:stop]), np.arange(start, stop))


@pytest.mark.parametrize("value", [0.0, 1e-30, 2.0**49])
def test_rows_that_cannot_be_told_apart_are_ordered(value):
    rows = np.full((200, 3), value, dtype=np.float32)
    order = in_rounds(rows, np.arange(200), head=10)
    assert_array_equal(np.sort(order), np.arange(200))


def test_many_nodes_do_not_depend_on_the_order_of_the_rows(random):
    rows = np.concatenate([clusters(random, N_ROWS), clusters(random, 500)])
    rows[-500:] = rows[:500]  # copies
    codes = random.integers(3, size=len(rows))
    shuffled = random.permutation(len(rows))
    one = build_training_set(rows, codes, n_classes=3)
    other = build_training_set(rows[shuffled], codes[shuffled], n_classes=3)
    assert one.n_nodes == N_ROWS
    assert_array_equal(one.points, other.points)
    assert_array_equal(one.pair_of_row[shuffled], other.pair_of_row)
    assert_array_equal(one.points[one.node_of_row], rows)
    assert_array_equal(one.pair_code[one.pair_of_row], codes)
    # Rounds there are: the second half is in an order of its own.
    assert steps(one.points[RANDOM_HEAD:-HELD_OUT]) < 0.7 * steps(one.points[:4000])


def test_samples_taken_from_the_front_lie_within_the_random_head():
    samples = [MEDIAN_SAMPLE, CALIBRATION_ROWS, RULE_ROWS]
    samples += [choose.MAX_ROWS, gradient_map.MAX_ROWS]
    assert max(samples) <= RANDOM_HEAD


def test_random_pairs_are_spread_over_all_of_them():
    pairs = np.arange(0, 3 * N_ROWS, 3)
    assert random_pairs(pairs, 10**6) is pairs
    sample = random_pairs(pairs, 10_000)
    assert_array_equal(sample, random_pairs(pairs, 10_000))
    assert_array_equal(sample, np.unique(sample))
    assert len(sample) == 10_000
    assert (sample % 3 == 0).all()
    # 0.5 within eight deviations of the mean of a uniform sample.
    assert abs(sample.mean() / pairs[-1] - 0.5) < 0.025


def test_graph_built_in_rounds_finds_as_much_as_one_in_random_order(random):
    rows = clusters(random, N_ROWS)
    in_order = build_training_set(rows, np.zeros(N_ROWS), n_classes=1).points
    checked = random.choice(N_ROWS, 500, replace=False)
    recalls = {}
    for name, points in [("random", rows), ("rounds", in_order)]:
        index, _ = build_index(points, M=8, ef_construction=40)
        exact, _ = ExactIndex(points).nearest(points[checked], 17)
        found = nearest_others(index, points, np.ones(N_ROWS, dtype=int), 16)
        recalls[name] = np.mean(
            [
                len(np.intersect1d(found.ids[i], ids[ids != i])) / 16
                for i, ids in zip(checked, exact)
            ]
        )
    assert recalls["rounds"] > recalls["random"] - 0.005
    assert recalls["rounds"] > 0.95
