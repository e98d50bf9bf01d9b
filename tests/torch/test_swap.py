"""Convolutions that become layers over chosen neighbors, and back."""

import pytest
import torch
from torch import nn

from knngraph.torch import BranchedConvNN2d, ConvNN1d, ConvNN2d, swap_convolutions


def test_convolutions_become_layers_and_back(numbers, device):
    x = numbers(2, 4, 9, 9)
    kinds = (
        {"padding": 1},
        {"padding": "same", "bias": False},
        {"padding": 1, "stride": 2, "groups": 2},
        {"padding": 2, "dilation": 2},
    )
    for options in kinds:
        convolution = nn.Conv2d(4, 6, 3, **options, device=device).eval()
        layer = ConvNN2d.from_conv2d(convolution, compare="location")
        assert not layer.training
        assert torch.equal(layer.weight.unflatten(2, (3, 3)), convolution.weight)
        torch.testing.assert_close(layer(x), convolution(x))
        again = layer.to_conv2d()
        assert torch.equal(again.weight, convolution.weight)
    # By rank, the weights of the middle are those of the position itself.
    convolution = nn.Conv2d(4, 6, 3, padding=1, device=device)
    layer = ConvNN2d.from_conv2d(
        convolution,
        compare="hybrid",
        location_weight=1.0,
        distance="euclidean",
        gather_location=True,
    )
    inside = (..., slice(1, -1), slice(1, -1))
    torch.testing.assert_close(layer(x)[inside], convolution(x)[inside])
    line = nn.Conv1d(4, 6, 5, padding=2, device=device)
    layer = ConvNN1d.from_conv1d(line, compare="location")
    torch.testing.assert_close(layer(x[:, :, 0]), line(x[:, :, 0]))
    assert torch.equal(layer.to_conv1d().weight, line.weight)
    with pytest.raises(ValueError, match=r"kernel_size=\(7, 7\): its cells"):
        ConvNN2d.from_conv2d(nn.Conv2d(4, 6, 7, padding=3), compare="location")
    with pytest.raises(ValueError, match=r"padding=\(0, 0\).*keep the size"):
        ConvNN2d.from_conv2d(nn.Conv2d(4, 6, 3))
    with pytest.raises(ValueError, match="only compare='location'"):
        ConvNN2d(4, 6, 9).to_conv2d()


def test_convolutions_of_a_model_are_swapped(numbers, device):
    def model():
        inner = nn.Sequential(nn.Conv2d(8, 8, 3, stride=2, padding=1), nn.ReLU())
        return nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1, bias=False), inner, nn.Conv2d(8, 4, 1)
        ).to(device)

    x = numbers(2, 3, 8, 8)
    shape = model()(x).shape
    swapped = swap_convolutions(model(), compare="hybrid")
    assert [type(m) for m in (swapped[0], swapped[1][0])] == [ConvNN2d, ConvNN2d]
    assert type(swapped[2]) is nn.Conv2d
    assert swapped[0].bias is None
    assert swapped[1][0].options.compare == "hybrid"
    branched = swap_convolutions(model().eval(), 4, ratio=0.5, names=["1.0"])
    assert type(branched[1][0]) is BranchedConvNN2d
    assert not branched[1][0].nearest.training
    assert branched[1][0].nearest.options.n_neighbors == 4
    assert type(branched[0]) is nn.Conv2d
    for net in (swapped, branched):
        y = net(x)
        assert y.shape == shape
        y.sum().backward()
    assert type(swap_convolutions(nn.Conv1d(3, 8, 3, padding=1))) is ConvNN1d
    with pytest.raises(ValueError, match="no convolution '1'"):
        swap_convolutions(model(), names=["1"])
    with pytest.raises(ValueError, match="module '0': kernel_size="):
        swap_convolutions(nn.Sequential(nn.Conv2d(3, 8, 3)))
