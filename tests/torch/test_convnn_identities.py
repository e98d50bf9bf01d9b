"""What layers over chosen neighbors are equal to, by formula."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from knngraph.torch import (
    BranchedConvNN1d,
    BranchedConvNN2d,
    ConvNN1d,
    ConvNN2d,
    neighbor_indices,
)
from knngraph.torch.gather import aggregate

KINDS = [
    {"compare": "features"},
    {"compare": "features", "distance": "euclidean"},
    {"compare": "hybrid", "location_weight": 0.3},
    {"compare": "hybrid", "distance": "euclidean"},
    {"compare": "location"},
]


def close(found, expected):
    """Equal but for the order of sums."""
    atol = 1e-6 if found.device.type == "cpu" else 1e-5
    torch.testing.assert_close(found, expected, rtol=0, atol=atol)


def as_a_search(layer, x):
    """The output by neighbors that are gathered, where a convolution would do."""
    return layer._aggregate(x)


@pytest.mark.parametrize(
    "size",
    [(7, 7), (8, 9), (6, 10), (8, 12), (8, 16), (3, 5), (1, 1), (1, 6), (64, 64)],
    ids=str,
)
def test_by_location_it_is_a_convolution(numbers, device, size):
    x = numbers(2, 3, *size)
    layer = ConvNN2d(3, 5, 9, compare="location", padding=1, device=device)
    kernel = layer.weight.view(5, 3, 3, 3)
    expected = functional.conv2d(x, kernel, layer.bias, padding=1)
    assert torch.equal(layer(x), expected)
    # And the neighbors that are named are the cells of the kernel.
    close(as_a_search(layer, x), expected)


@pytest.mark.parametrize(
    "options",
    [
        {"n_neighbors": 1},
        {"n_neighbors": 4, "padding": 1},
        {"n_neighbors": 5, "padding": 1},
        {"n_neighbors": 25, "padding": 2},
        {"n_neighbors": 9, "padding": 3},
        {"n_neighbors": 9, "padding": (2, 1), "dilation": (2, 1)},
        {"n_neighbors": 9, "padding": 1, "stride": (2, 3)},
        {"n_neighbors": 9, "padding": 1, "groups": 2},
        {"n_neighbors": 5, "padding": 2, "gather_location": True, "groups": 2},
    ],
    ids=str,
)
def test_other_convolutions_by_location(numbers, device, options):
    x = numbers(2, 4, 7, 6)
    layer = ConvNN2d(4, 6, **options, compare="location", device=device)
    close(layer(x), as_a_search(layer, x))
    if not options.get("gather_location"):
        assert torch.equal(layer.to_conv2d()(x), layer(x))


def test_without_padding_borders_take_their_nearest_inside(numbers, device):
    x = numbers(2, 3, 7, 8)
    layer = ConvNN2d(3, 5, 9, compare="location", device=device)
    kernel = layer.weight.view(5, 3, 3, 3)
    inside = functional.conv2d(x, kernel, layer.bias)
    y = layer(x)
    assert y.shape == (2, 5, 7, 8)
    close(y[..., 1:-1, 1:-1], inside)
    # The corner: the 3 x 3 block at it. Beside it: two columns and the next cells.
    index = layer.neighbors(x)[0]
    assert index[0].tolist() == [0, 1, 2, 8, 9, 10, 16, 17, 18]
    assert index[24].tolist() == [8, 16, 17, 24, 25, 26, 32, 33, 40]


def test_sequences_by_location_are_a_convolution(numbers, device):
    x = numbers(2, 3, 11)
    layer = ConvNN1d(3, 5, 5, compare="location", padding=2, device=device)
    expected = functional.conv1d(x, layer.weight, layer.bias, padding=2)
    assert torch.equal(layer(x), expected)
    close(as_a_search(layer, x), expected)


@pytest.mark.parametrize("size", [(6, 6), (4, 9)], ids=str)
def test_gathered_locations_are_two_more_channels(numbers, device, size):
    x = numbers(2, 3, *size)
    layer = ConvNN2d(
        3, 5, 9, compare="location", padding=1, gather_location=True, device=device
    )
    rows, columns = (n + 2 for n in size)
    longest = max(rows, columns) - 1
    across = (2 * torch.arange(columns) - (columns - 1)) / longest
    down = (2 * torch.arange(rows) - (rows - 1)) / longest
    places = torch.stack(torch.meshgrid(across, down, indexing="xy")).to(device)
    if rows == columns:
        line = torch.linspace(-1, 1, columns, device=device)
        torch.testing.assert_close(places[0, 0], line)
    padded = functional.pad(x, (1, 1, 1, 1))
    padded = torch.cat([padded, places.expand(2, -1, -1, -1)], 1)
    expected = functional.conv2d(padded, layer.weight.view(5, 5, 3, 3), layer.bias)
    close(layer(x), expected)


@pytest.mark.parametrize("options", KINDS, ids=str)
def test_one_neighbor_is_a_convolution_of_one_cell(numbers, device, options):
    x = numbers(2, 3, 5, 4)
    layer = ConvNN2d(3, 5, 1, **options, device=device)
    expected = functional.conv2d(x, layer.weight.unsqueeze(-1), layer.bias)
    close(layer(x), expected)


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_hybrid_without_locations_compares_features(numbers, distance):
    x = numbers(3, 4, 6, 7)
    hybrid = neighbor_indices(
        x, 9, compare="hybrid", location_weight=0.0, distance=distance
    )
    assert torch.equal(hybrid, neighbor_indices(x, 9, distance=distance))


@pytest.mark.parametrize("size", [(9, 9), (5, 12), (3, 5), (1, 20)], ids=str)
def test_hybrid_without_features_compares_locations(numbers, size):
    # Also where a tie of distances is cut: the lowest positions are taken.
    x = numbers(2, 4, *size)
    for k in (2, 6, 9, 12):
        hybrid = neighbor_indices(
            x, k, compare="hybrid", location_weight=1.0, distance="euclidean"
        )
        location = neighbor_indices(x, k, compare="location")
        assert torch.equal(hybrid.sort(-1).values, location)


@pytest.mark.parametrize("options", KINDS, ids=str)
def test_a_sample_of_all_positions_is_all_positions(numbers, options):
    x = numbers(3, 4, 6, 6)
    every = neighbor_indices(x, 9, **options)
    for kind in ("random", "grid"):
        sampled = neighbor_indices(x, 9, candidates=kind, n_candidates=36, **options)
        assert torch.equal(sampled, every)
        # More than there are: all of them.
        sampled = neighbor_indices(x, 9, candidates=kind, n_candidates=100, **options)
        assert torch.equal(sampled, every)


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_permuted_positions_permute_the_output(numbers, device, distance):
    x = numbers(2, 4, 60)
    order = torch.randperm(60).to(device)
    layer = ConvNN1d(4, 5, 9, distance=distance, device=device)
    close(layer(x[..., order]), layer(x)[..., order])


def test_invariances_of_the_distances(numbers):
    x = numbers(2, 6, 50)
    factors = numbers(2, 1, 50).abs() + 0.1
    cosine = neighbor_indices(x, 7)
    assert torch.equal(neighbor_indices(x * factors, 7), cosine)
    assert torch.equal(neighbor_indices(x * factors * 1e30, 7), cosine)
    # Numbers that a shift by 1000 leaves as they are.
    x = (x * 2**8).round() / 2**8
    euclidean = neighbor_indices(x, 7, distance="euclidean")
    assert torch.equal(neighbor_indices(x + 1000, 7, distance="euclidean"), euclidean)


@pytest.mark.parametrize("weights", ["slots", "softmax"])
@pytest.mark.parametrize("options", KINDS, ids=str)
def test_an_image_of_a_batch_is_the_image_alone(numbers, device, options, weights):
    x = numbers(5, 4, 11, 13)
    layer = ConvNN2d(4, 6, 9, **options, weights=weights, device=device)
    y = layer(x)
    for image, expected in zip(x, y):
        close(layer(image), expected)
        assert torch.equal(layer.neighbors(image), layer.neighbors(image[None])[0])


@pytest.mark.parametrize("options", KINDS, ids=str)
@pytest.mark.parametrize("block_size", [1, 7, 1000])
def test_blocks_change_nothing(numbers, options, block_size):
    x = numbers(3, 4, 12, 13)
    chosen = neighbor_indices(x, 9, **options, block_size=block_size)
    assert torch.equal(chosen, neighbor_indices(x, 9, **options))


def test_groups_are_layers_side_by_side(numbers, device):
    x = numbers(2, 6, 5, 7)
    options = {"compare": "hybrid", "gather_location": True, "device": device}
    layer = ConvNN2d(6, 4, 5, groups=2, **options)
    y = []
    for group in range(2):
        part = ConvNN2d(3, 2, 5, **options)
        part.weight.data = layer.weight.data[2 * group : 2 * group + 2]
        part.bias.data = layer.bias.data[2 * group : 2 * group + 2]
        y.append(part(x[:, 3 * group : 3 * group + 3]))
        named = part.neighbors(x[:, 3 * group : 3 * group + 3])
        assert torch.equal(layer.neighbors(x)[:, group], named)
    close(layer(x), torch.cat(y, 1))


@pytest.mark.parametrize(("n_in", "n_out"), [(3, 5), (8, 4), (8, 1)])
def test_products_come_first_or_last(numbers, device, n_in, n_out):
    # Rows are gathered, or their products: the choice depends on the channels.
    rows, weight = numbers(2, 3, 50, n_in), numbers(2, n_out, n_in, 4)
    index = torch.randint(50, (2, 3, 20, 4), device=device)
    rows.requires_grad_()
    weight.requires_grad_()
    y = aggregate(rows, index, weight)
    picked = rows.unsqueeze(3).expand(-1, -1, -1, 4, -1)
    picked = picked.gather(2, index.unsqueeze(-1).expand(-1, -1, -1, -1, n_in))
    expected = torch.einsum("gbqkc,gock->gbqo", picked, weight)
    torch.testing.assert_close(y, expected, rtol=0, atol=5e-6)
    cotangent = torch.randn_like(y)
    found = torch.autograd.grad(y, [rows, weight], cotangent)
    wanted = torch.autograd.grad(expected, [rows, weight], cotangent)
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize(
    ("branched", "ordinary", "shape"),
    [
        (BranchedConvNN1d, nn.Conv1d, (2, 4, 12)),
        (BranchedConvNN2d, nn.Conv2d, (2, 4, 5, 6)),
    ],
)
def test_ratios_from_none_to_all(numbers, device, branched, ordinary, shape):
    x = numbers(*shape)
    plain = branched(4, 8, 5, ratio=0, device=device)
    assert plain.nearest is None
    assert type(plain.convolution) is ordinary
    assert torch.equal(plain(x), plain.mix(plain.convolution(x)))
    chosen = branched(4, 8, 5, ratio=1, device=device, mix=False)
    assert chosen.convolution is None
    assert torch.equal(chosen(x), chosen.nearest(x))
    both = branched(4, 8, 5, ratio=0.375, device=device)
    assert both.nearest.out_channels == 3
    parts = [both.nearest(x), both.convolution(x)]
    assert torch.equal(both(x), both.mix(torch.cat(parts, 1)))
    assert both(x[0]).shape == both(x)[0].shape
    # The product of 0.29 and 100 is just below 29.
    assert branched(4, 100, 5, ratio=0.29).nearest.out_channels == 29


def brute_force(x, k, distance):
    """Ranks in double precision: the position itself, equal scores by position."""
    rows = x.flatten(2).mT.double().cpu()
    if distance == "cosine":
        unit = functional.normalize(rows, dim=-1)
        # Rounding must not part what is equal.
        scores = (unit @ unit.mT * 2**30).round()
    else:
        scores = -(rows.unsqueeze(1) - rows.unsqueeze(2)).square().sum(-1)
    scores.diagonal(dim1=1, dim2=2).fill_(float("inf"))
    return scores.sort(dim=-1, descending=True, stable=True).indices[..., :k]


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
@pytest.mark.parametrize("n", [9, 40, 143, 144, 333])
def test_the_choice_is_that_of_a_full_matrix(numbers, device, distance, n):
    # Multiples of 2^-8, with exact distances.
    x = (numbers(3, 5, n) * 2**8).round() / 2**8
    assert torch.equal(
        neighbor_indices(x, 9, distance=distance).cpu(), brute_force(x, 9, distance)
    )
    # Few different columns, many copies.
    x = x[..., torch.randint(6, (n,))]
    assert torch.equal(
        neighbor_indices(x, 9, distance=distance).cpu(), brute_force(x, 9, distance)
    )
    # A GPU finds what the CPU finds.
    here, there = neighbor_indices(x, 7), neighbor_indices(x.cpu(), 7)
    assert torch.equal(here.cpu(), there)


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
@pytest.mark.parametrize("value", [0.0, 0.1, -3e-30, 1e30])
def test_constant_images_take_the_lowest_positions(device, distance, value):
    for size in ((3, 5), (20, 20)):
        x = torch.full((2, 3, *size), value, device=device)
        index = neighbor_indices(x, 4, distance=distance)
        assert index[1, 0].tolist() == [0, 1, 2, 3]
        assert index[1, 2].tolist() == [2, 0, 1, 3]
        assert index[1, 14].tolist() == [14, 0, 1, 2]
