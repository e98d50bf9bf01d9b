"""Order statistics over blocks are those of all rows."""

import numpy as np
import pytest

from knngraph.distributed.order_statistics import advance, begin, count, merge


def find(blocks, ranks):
    quest, found, n_passes = begin(ranks), None, 0
    while found is None:
        quest, found = advance(quest, merge([count(b, quest) for b in blocks]))
        n_passes += 1
    return found, n_passes


@pytest.mark.parametrize(
    "make",
    [
        lambda random: random.normal(size=(9001, 3)),
        lambda random: random.normal(size=(9001, 3)).astype(np.float32),
        lambda random: random.integers(-3, 3, size=(9001, 3)),
        lambda random: np.exp(random.uniform(-700, 700, size=(9001, 3))),
        lambda random: np.zeros((9001, 3)) * [[1.0, -1.0, 1.0]],
        lambda random: random.choice([-0.0, 0.0, 5e-324, -1e308], size=(9001, 3)),
    ],
    ids=["float64", "float32", "integers", "wide", "zeros", "edges"],
)
@pytest.mark.parametrize("rank", [0, 4500, 9000])
def test_ranks_are_those_of_sorted_columns(make, rank, random):
    values = make(random)
    found, n_passes = find(np.array_split(values, 7), [rank] * 3)
    np.testing.assert_array_equal(found, np.sort(values, axis=0)[rank])
    assert n_passes <= 6


def test_blocks_may_be_empty_and_one_column_serves_all_ranks(random):
    values = random.normal(size=(100_000, 1))
    blocks = [values[:10], values[:0], values[10:]]
    found, _ = find(blocks, [10, 99_990])
    np.testing.assert_array_equal(found, np.sort(values[:, 0])[[10, 99_990]])


def test_the_last_digit_is_found_among_many_numbers_that_share_the_others():
    # More than are ever listed differ in their last digits only.
    values = (np.uint64(4607182418800017408) + np.arange(20_000, dtype=np.uint64)).view(
        np.float64
    )[:, None]
    found, _ = find(np.array_split(values, 3), [12_345])
    assert found == values[12_345]
