"""What the layers are equal to, by formula."""

import pytest
import torch
from torch.nn import functional

from knngraph.torch import ConvNN2d


@pytest.mark.parametrize("size", [(7, 7), (8, 16), (3, 5), (1, 1), (1, 6), (32, 32)])
def test_by_location_it_is_a_convolution(size):
    x = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
    layer = ConvNN2d(3, 5, 9, compare="location", padding=1)
    kernel = layer.weight.view(5, 3, 3, 3)
    assert torch.equal(layer(x), functional.conv2d(x, kernel, layer.bias, padding=1))
