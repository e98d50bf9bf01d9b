"""Layers over chosen neighbors: gradients, precisions, sizes, states, errors."""

import copy
import io
import math

import pytest
import torch
from torch import nn

from knngraph.torch import BranchedConvNN2d, ConvNN1d, ConvNN2d, neighbor_indices
from tests.torch.helpers import KINDS, gradients


@pytest.mark.parametrize("options", KINDS, ids=str)
def test_gradients_are_those_of_finite_differences(numbers, device, options):
    if device == "mps":
        pytest.skip("no double precision")
    x = numbers(2, 4, 3, 4, dtype=torch.float64).requires_grad_()
    for n_out, groups in ((3, 1), (2, 2)):
        layer = ConvNN2d(
            4, n_out, 5, **options, groups=groups, dtype=torch.float64, device=device
        )
        parameters = dict(layer.named_parameters())

        def forward(x, *values, layer=layer, names=tuple(parameters)):
            return torch.func.functional_call(layer, dict(zip(names, values)), (x,))

        inputs = (x, *parameters.values())
        # All numbers where that is quick, else along random directions.
        quick = options == KINDS[0]
        assert torch.autograd.gradcheck(
            forward, inputs, fast_mode=not quick, nondet_tol=1e-10
        )


@pytest.mark.parametrize("n_out", [3, 1])
def test_gradients_of_gradients(numbers, device, n_out):
    if device == "mps":
        pytest.skip("no double precision")
    x = numbers(1, 4, 3, 3, dtype=torch.float64).requires_grad_()
    layer = ConvNN2d(4, n_out, 3, dtype=torch.float64, device=device)

    def forward(x, weight, bias):
        values = {"weight": weight, "bias": bias}
        return torch.func.functional_call(layer, values, (x,))

    inputs = x, layer.weight, layer.bias
    assert torch.autograd.gradgradcheck(forward, inputs, nondet_tol=1e-10)


def test_a_learned_location_weight_has_a_gradient(numbers, device):
    layer = ConvNN2d(
        3,
        4,
        5,
        compare="hybrid",
        weights="softmax",
        learn_location_weight=True,
        location_weight=0.3,
        device=device,
    )
    assert math.isclose(layer.location_weight.item(), 0.3, rel_tol=1e-6)
    layer(numbers(2, 3, 4, 5)).square().sum().backward()
    assert layer.location_weight.grad.abs() > 0
    x = numbers(2, 3, 9, 9)
    before = layer.neighbors(x)
    layer.location_weight.data.fill_(1.0)
    assert not torch.equal(layer.neighbors(x), before)
    fixed = ConvNN2d(
        3, 4, 5, compare="hybrid", location_weight=1.0, weights="softmax", device=device
    )
    assert torch.equal(layer.neighbors(x), fixed.neighbors(x))


def test_steps_lower_the_loss(numbers, device):
    x, target = numbers(8, 3, 6, 6), numbers(8, 4, 6, 6)
    layer = BranchedConvNN2d(3, 4, 9, ratio=0.5, compare="hybrid", device=device)
    optimizer = torch.optim.SGD(layer.parameters(), 0.1)
    losses = []
    for _ in range(5):
        loss = (layer(x) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses == sorted(losses, reverse=True)


@pytest.mark.parametrize("options", KINDS, ids=str)
def test_autocast_chooses_the_same_neighbors(numbers, device, options):
    layer = ConvNN2d(4, 3, 5, **options, device=device)
    x = numbers(2, 4, 9, 9)
    y, chosen = layer(x), layer.neighbors(x)
    with torch.autocast(device, torch.bfloat16):
        assert torch.equal(layer.neighbors(x), chosen)
        low = layer(x)
        low.float().sum().backward()
    assert low.dtype == torch.bfloat16
    torch.testing.assert_close(low.float(), y, rtol=0.03, atol=0.03)
    assert layer.weight.grad.dtype == torch.float32


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("options", KINDS, ids=str)
def test_other_precisions(numbers, device, options, dtype):
    if device == "mps" and dtype == torch.float64:
        pytest.skip("no double precision")
    x = numbers(2, 4, 6, 6).to(dtype)
    for n_out in (3, 2):
        layer = ConvNN2d(4, n_out, 5, **options, device=device)
        layer = layer.to(dtype)
        wide = copy.deepcopy(layer).float()
        assert torch.equal(layer.neighbors(x), wide.neighbors(x.float()))
        found, expected = gradients(layer, x), gradients(wide, x.float())
        assert found[0].dtype == found[1][0].dtype == dtype
        bound = 1e-5 if dtype == torch.float64 else 0.05
        for part, right in zip((found[0], *found[1]), (expected[0], *expected[1])):
            scale = max(right.abs().max().item(), 1.0)
            torch.testing.assert_close(part.float(), right, rtol=0, atol=bound * scale)


def test_deterministic_algorithms(numbers, device):
    layer = ConvNN2d(4, 6, 9, device=device)
    x = numbers(2, 4, 8, 8)
    torch.use_deterministic_algorithms(True)
    try:
        first, again = gradients(layer, x), gradients(layer, x)
    finally:
        torch.use_deterministic_algorithms(False)
    assert all(map(torch.equal, (first[0], *first[1]), (again[0], *again[1])))


def test_random_candidates_change_in_training_alone(numbers, device):
    x = numbers(2, 4, 12, 12)
    options = {"candidates": "random", "n_candidates": 12, "device": device}
    layer = ConvNN2d(4, 6, 9, **options)
    drawn = [layer.neighbors(x) for _ in range(3)]
    assert not torch.equal(drawn[0], drawn[1])
    # One draw for the batch: the position itself and twelve others.
    assert len(drawn[0][:, :, 1:].unique()) <= 12
    layer.eval()
    assert torch.equal(layer(x), layer(x))
    assert torch.equal(layer.neighbors(x), layer.neighbors(x))
    fixed = neighbor_indices(x, 9, candidates="random", n_candidates=12)
    assert torch.equal(layer.neighbors(x), fixed)
    other = ConvNN2d(4, 6, 9, **options, seed=1).eval()
    assert not torch.equal(other.neighbors(x), fixed)


def test_random_candidates_are_spread_evenly():
    x = torch.randn(1, 1, 40, generator=torch.Generator().manual_seed(0))
    counts = torch.zeros(40)
    for seed in range(400):
        index = neighbor_indices(x, 10, candidates="random", n_candidates=10, seed=seed)
        # Together the positions see every candidate.
        counts[index[0, :, 1:].unique()] += 1
    assert counts.sum() == 4000
    # 100 expected, with a standard deviation of 8.7.
    assert counts.min() > 65
    assert counts.max() < 135


def test_grid_candidates_are_in_the_image():
    x = torch.randn(1, 3, 8, 12, generator=torch.Generator().manual_seed(0))
    index = neighbor_indices(x, 4, candidates="grid", n_candidates=4)
    others = index[0, :, 1:].unique().tolist()
    assert others == [2 * 12 + 3, 2 * 12 + 9, 6 * 12 + 3, 6 * 12 + 9]


def test_a_number_that_is_none_stays_where_it_is(numbers, device):
    for options in KINDS:
        layer = ConvNN2d(4, 3, 5, **options, device=device)
        x = numbers(2, 4, 12, 12)
        for wrong in (float("nan"), float("inf")):
            x[0, 1, 3, 4] = wrong
            y = layer(x)
            bad = ~y[0].isfinite().all(0)
            assert bad[3, 4]
            # Its own output, and those of its neighbors by location.
            assert bad.sum() <= (9 if layer.options.located else 1)
            assert y[1].isfinite().all()
    # Nothing but bad candidates: the lowest positions.
    x = torch.full((1, 1, 30), float("nan"), device=device)
    assert neighbor_indices(x, 3)[0, 5].tolist() == [5, 0, 1]


@pytest.mark.parametrize("options", KINDS, ids=str)
@pytest.mark.parametrize("size", [(3, 5), (1, 1), (1, 7), (20, 2)], ids=str)
def test_images_of_any_size(numbers, device, options, size):
    k = min(5, math.prod(size))
    for channels in (1, 3):
        layer = ConvNN2d(channels, 2, k, **options, device=device)
        x = numbers(2, channels, *size)
        assert layer(x).shape == (2, 2, *size)
        assert layer(x).isfinite().all()
        empty, (grad, *_) = gradients(layer, x[:0])
        assert empty.shape == (0, 2, *size)
        assert grad.shape == (0, channels, *size)
        torch.testing.assert_close(layer(x[1]), layer(x)[1])


@pytest.mark.parametrize("stride", [2, 3, (1, 2)], ids=str)
@pytest.mark.parametrize("options", KINDS, ids=str)
def test_strides_skip_outputs(numbers, device, options, stride):
    x = numbers(2, 4, 7, 8)
    layer = ConvNN2d(4, 3, 5, **options, device=device)
    strided = ConvNN2d(4, 3, 5, **options, stride=stride, device=device)
    strided.load_state_dict(layer.state_dict())
    down, across = strided.options.stride
    expected = layer(x)[..., ::down, ::across]
    torch.testing.assert_close(strided(x), expected, rtol=0, atol=1e-5)


def test_dilation_takes_every_second_rank(numbers, device):
    x = numbers(2, 4, 40)
    layer = ConvNN1d(4, 3, 4, dilation=2, device=device)
    ranked = neighbor_indices(x, 7)
    assert torch.equal(layer.neighbors(x), ranked[..., ::2])


def test_channels_last_and_other_strides(numbers, device):
    layer = ConvNN2d(4, 6, 5, device=device)
    x = numbers(2, 4, 6, 7)
    y = layer(x)
    assert y.is_contiguous()
    last = layer(x.to(memory_format=torch.channels_last))
    assert last.is_contiguous(memory_format=torch.channels_last)
    apart = layer(numbers(2, 4, 7, 6).copy_(x.mT).mT)
    for other in (last, apart):
        torch.testing.assert_close(other, y)


def test_states_and_copies(numbers, device):
    x = numbers(2, 4, 6, 7)
    layer = ConvNN2d(4, 6, 5, candidates="random", n_candidates=9, device=device).eval()
    y = layer(x)
    assert list(layer.state_dict()) == ["weight", "bias"]
    held = io.BytesIO()
    torch.save(layer, held)
    held.seek(0)
    again = torch.load(held, weights_only=False)
    other = ConvNN2d(4, 6, 5, candidates="random", n_candidates=9, device="meta").eval()
    assert other(x.to("meta")).shape == y.shape
    other = other.to_empty(device=device)
    other.load_state_dict(layer.state_dict())
    with torch.inference_mode():
        assert torch.equal(layer(x), y)
    for same in (again, other, copy.deepcopy(layer)):
        assert torch.equal(same(x), y)
    torch.manual_seed(4)
    layer.reset_parameters()
    torch.manual_seed(4)
    usual = nn.Conv1d(4, 6, 5, device=device)
    assert torch.equal(layer.weight, usual.weight)
    assert torch.equal(layer.bias, usual.bias)


def test_what_is_shown():
    assert repr(ConvNN2d(4, 6, 9)) == "ConvNN2d(4, 6, 9)"
    layer = ConvNN2d(
        4, 6, 9, compare="location", padding=1, bias=False, candidates="all"
    )
    assert repr(layer) == (
        "ConvNN2d(4, 6, 9, padding=(1, 1), bias=False, compare='location')"
    )
    assert "ratio=0.25" in repr(BranchedConvNN2d(4, 8, 9, ratio=0.25))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_neighbors": 0}, "n_neighbors=0 must be"),
        ({"compare": "color"}, "compare='color' is not one of"),
        ({"distance": "dot"}, "distance='dot' is not one of"),
        ({"candidates": "some"}, "candidates='some' is not one of"),
        ({"weights": "sum"}, "weights='sum' is not one of"),
        ({"candidates": "random"}, "n_candidates=None with candidates='random'"),
        ({"n_candidates": 9}, "n_candidates=9 with candidates='all'"),
        (
            {"candidates": "random", "n_candidates": 8},
            "n_candidates=8 is less than the 9",
        ),
        ({"candidates": "grid", "n_candidates": 11}, "no square number.* try 9"),
        ({"groups": 3}, "in_channels=4 is not divisible by groups=3"),
        ({"stride": 0}, "stride=0 must be an integer of at least 1"),
        ({"padding": (1, 2, 3)}, r"padding=\(1, 2, 3\) must be"),
        ({"padding": "same"}, "padding='same' must be"),
        ({"dilation": (1, 2)}, r"dilation=\(1, 2\) must be one number"),
        ({"compare": "location", "dilation": 2}, r"padding of at least \(2, 2\)"),
        ({"learn_location_weight": True}, "gradient only by weights='softmax'"),
        ({"block_size": 0}, "block_size=0 must be"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        ConvNN2d(4, 6, **({"n_neighbors": 9} | arguments))


def test_wrong_inputs():
    layer = ConvNN2d(4, 6, 9)
    with pytest.raises(ValueError, match=r"n_neighbors=9 needs 9 .* 2 x 2 has 4"):
        layer(torch.zeros(1, 4, 2, 2))
    with pytest.raises(ValueError, match="x has 3 channels, in_channels=4"):
        layer(torch.zeros(1, 3, 5, 5))
    with pytest.raises(ValueError, match="x has 2 dimensions"):
        layer(torch.zeros(4, 5))
    with pytest.raises(ValueError, match="x has 5 dimensions"):
        neighbor_indices(torch.zeros(1, 1, 2, 2, 2), 1)
    with pytest.raises(ValueError, match=r"ratio=0.05 of out_channels=8 is no channel"):
        BranchedConvNN2d(4, 8, 9, ratio=0.05)
    with pytest.raises(ValueError, match=r"ratio=1.5 must be"):
        BranchedConvNN2d(4, 8, 9, ratio=1.5)
    with pytest.raises(ValueError, match="kernel_size=2 must be odd"):
        BranchedConvNN2d(4, 8, 9, kernel_size=2)
