"""Features of a layer: which, in what shape, and that the model stays as it was."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from knngraph.torch import embed


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(2, 5, 3), nn.BatchNorm2d(5), nn.ReLU())
        self.drop = nn.Dropout(0.5)
        self.spare = nn.Linear(3, 3)
        self.head = nn.Linear(5 * 4 * 4, 3)

    def forward(self, x):
        if (x == 7.0).any():
            raise RuntimeError("seven")
        return self.head(self.drop(self.body(x)).flatten(1))


@pytest.fixture
def net():
    torch.manual_seed(0)
    return Net().train()


@pytest.fixture
def images():
    return torch.randn(11, 2, 6, 6, generator=torch.Generator().manual_seed(1))


def hooks(model):
    return sum(
        len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules()
    )


def test_what_goes_into_the_head_is_the_default(net, images):
    rows = embed(net, images)
    net.eval()
    with torch.no_grad():
        expected = net.body(images).flatten(1).numpy()
        assert_array_equal(rows, expected)
        assert_array_equal(net.head(torch.from_numpy(rows)), net(images))
    assert rows.dtype == np.float32
    # Of a model without a linear layer its output.
    assert embed(net.body, images).shape == (11, 5 * 16)


def test_a_layer_by_name_or_itself_and_its_pooling(net, images):
    full = embed(net, images, layer="body.0")
    assert_array_equal(full, embed(net, images, layer=net.body[0]))
    maps = full.reshape(11, 5, 16)
    pooled = embed(net, images, layer="body.0", pooling="images")
    np.testing.assert_allclose(pooled, maps.mean(2), rtol=1e-5, atol=1e-6)
    tokens = nn.Sequential(nn.Flatten(2), nn.Linear(36, 4))
    found = embed(tokens, images, layer="1", pooling="tokens")
    np.testing.assert_allclose(
        found, tokens(images).mean(1).detach(), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("batch_size", [1, 4, 11, 100])
def test_batches_change_nothing(net, images, batch_size):
    # As far as products of other sizes are rounded alike.
    rows = embed(net, images, batch_size=batch_size)
    np.testing.assert_allclose(rows, embed(net, images), rtol=1e-5, atol=1e-6)


def test_sources_of_images(net, images):
    rows = embed(net, images)
    assert_array_equal(rows, embed(net, images.numpy().astype(np.float64)))
    labels = torch.zeros(11)
    for dataset in (images, TensorDataset(images, labels)):
        loader = DataLoader(dataset, batch_size=11)
        assert_array_equal(rows, embed(net, loader))
    assert embed(net, images[:0]).shape == (0, 80)
    assert embed(net.double(), images).dtype == np.float64
    assert embed(net.bfloat16(), images).dtype == np.float32


def test_the_model_stays_as_it_was(net, images):
    net.drop.eval()
    modes = [module.training for module in net.modules()]
    before = {name: value.clone() for name, value in net.state_dict().items()}
    embed(net, images, device="cpu")
    with pytest.raises(RuntimeError, match="seven"):
        embed(net, torch.full((2, 2, 6, 6), 7.0), layer="body")
    assert [module.training for module in net.modules()] == modes
    assert hooks(net) == 0
    assert torch.is_grad_enabled()
    for name, value in net.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_progress_is_shown_where_asked(net, images, capsys):
    embed(net, images, batch_size=4)
    assert capsys.readouterr().err == ""
    embed(net, images, batch_size=4, verbose=1)
    said = capsys.readouterr().err
    assert "embedding" in said
    assert "11" in said


@pytest.mark.parametrize(
    ("error", "changed", "says"),
    [
        (ValueError, {"layer": "neck"}, "layer='neck' .*body.0.*head"),
        (ValueError, {"layer": nn.ReLU()}, "no module of the model"),
        (ValueError, {"layer": "spare"}, "takes no part"),
        (ValueError, {"pooling": "max"}, "pooling must be one of .*'max'"),
        (ValueError, {"batch_size": 0}, "batch_size .*0"),
        (ValueError, {"batch_size": 2.5}, "batch_size .*2.5"),
        (TypeError, {"images": [1.0]}, "images .*list"),
    ],
)
def test_errors_name_the_argument_and_its_value(net, images, error, changed, says):
    with pytest.raises(error, match=says):
        embed(net, **({"images": images} | changed))
    assert hooks(net) == 0


def test_features_of_another_shape_are_refused(images):
    merged = nn.Sequential(nn.Flatten(0), nn.Unflatten(0, (-1, 4)))
    with pytest.raises(ValueError, match="first dimension is the batch"):
        embed(merged, images)

    class Pair(nn.Module):
        def forward(self, x):
            return x, x

    with pytest.raises(ValueError, match="gives tuple, not a tensor"):
        embed(Pair(), images)
