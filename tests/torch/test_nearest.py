"""The k smallest of every row: equal ones by position, whatever runs the search."""

import math

import pytest
import torch

from knngraph.torch.nearest import smallest

DTYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16]


def sorted_rows(scores, k):
    """Rows sorted by Python: numbers first, equal ones by position."""

    def key(number):
        return (math.isnan(number), 0.0 if math.isnan(number) else number)

    rows = scores.double().reshape(-1, scores.shape[-1]).tolist()
    found = [sorted(range(len(row)), key=lambda i: key(row[i]))[:k] for row in rows]
    return torch.tensor(found).reshape(*scores.shape[:-1], k)


def few_numbers(dtype, *shape):
    """Both zeros, both infinities, and not-a-number with either sign among a few."""
    nan = float("nan")
    numbers = torch.tensor([0.0, 1.0, 3e-5, float("inf"), nan], dtype=dtype)
    numbers = torch.cat([numbers, -numbers])
    generator = torch.Generator().manual_seed(1)
    return numbers[torch.randint(len(numbers), shape, generator=generator)]


@pytest.mark.parametrize("may_wait", [True, False])
@pytest.mark.parametrize("dtype", DTYPES)
def test_equal_numbers_come_by_position_and_no_numbers_last(dtype, may_wait):
    generator = torch.Generator().manual_seed(0)
    normal = torch.randn(6, 5, 40, generator=generator).to(dtype)
    for scores in (few_numbers(dtype, 30, 2, 12), normal, torch.zeros(2, 9).to(dtype)):
        for k in (1, 4, scores.shape[-1]):
            found = smallest(scores, k, may_wait=may_wait)
            assert torch.equal(found, sorted_rows(scores, k))
    # One row only, no row at all, and columns that lie apart in memory.
    assert smallest(few_numbers(dtype, 7), 3, may_wait=may_wait).shape == (3,)
    assert smallest(normal[:0], 3, may_wait=may_wait).shape == (0, 5, 3)
    turned = few_numbers(dtype, 12, 30).T
    found = smallest(turned, 5, may_wait=may_wait)
    assert torch.equal(found, sorted_rows(turned, 5))


def test_rows_tied_beyond_the_last_place_are_seen():
    # Many rows, some of them with one tie that the list just cuts.
    scores = torch.rand(200, 64, generator=torch.Generator().manual_seed(2))
    values = scores.sort(-1)[0]
    last = (scores == values[:, 8:9]).float().argmax(-1)
    scores[torch.arange(200), last] = values[:, 7]
    assert torch.equal(smallest(scores, 8), sorted_rows(scores, 8))


def test_no_gradient_passes():
    scores = torch.randn(3, 5, requires_grad=True)
    assert not smallest(scores, 2).requires_grad


def test_traced_graphs_give_the_same():
    class Smallest(torch.nn.Module):
        def forward(self, scores):
            return smallest(scores, 5)

    scores = few_numbers(torch.float32, 4, 30)
    expected = sorted_rows(scores, 5)
    compiled = torch.compile(
        Smallest(), fullgraph=True, dynamic=True, backend="aot_eager"
    )
    assert torch.equal(compiled(scores), expected)
    larger = few_numbers(torch.float32, 7, 41)
    assert torch.equal(compiled(larger), sorted_rows(larger, 5))

    sizes = {0: torch.export.Dim("rows"), 1: torch.export.Dim("columns", min=6)}
    exported = torch.export.export(
        Smallest(), (scores,), dynamic_shapes={"scores": sizes}
    ).module()
    assert torch.equal(exported(larger), sorted_rows(larger, 5))
    assert torch.equal(torch.vmap(Smallest())(scores), expected)
