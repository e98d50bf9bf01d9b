"""Convolutions of a model replaced by layers over chosen neighbors."""

import math
from collections.abc import Iterable
from typing import Any

from torch import nn

from knngraph.torch.branched import BranchedConvNN1d, BranchedConvNN2d
from knngraph.torch.convnn import ConvNN1d, ConvNN2d, check_size_is_kept

_REPLACED = {
    nn.Conv1d: (ConvNN1d, BranchedConvNN1d),
    nn.Conv2d: (ConvNN2d, BranchedConvNN2d),
}


def swap_convolutions(
    model: nn.Module,
    n_neighbors: int | None = None,
    *,
    ratio: float | None = None,
    names: Iterable[str] | None = None,
    **options: Any,
) -> nn.Module:
    """Replace convolutions of a model, in place, by layers over chosen neighbors.

    Channels, stride, dilation, groups, bias, device and precision stay; weights are
    drawn anew (`ConvNN2d.from_conv2d` takes them over).

    Parameters
    ----------
    model : torch.nn.Module
    n_neighbors : int or None, default=None
        None is as many as the kernel has cells.
    ratio : float or None, default=None
        Share of output channels over chosen neighbors, by `BranchedConvNN2d`; None is
        `ConvNN2d`.
    names : iterable of str or None, default=None
        Names of the modules to replace, as `model.named_modules()` gives them. None is
        every `torch.nn.Conv1d` and `torch.nn.Conv2d` but those with one cell.
    **options
        Of the layers, such as `compare` and `candidates`.

    Returns
    -------
    torch.nn.Module
        The model, or the new layer where the model is a convolution itself.

    Examples
    --------
    >>> from torch import nn
    >>> from knngraph.torch import swap_convolutions
    >>> net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU())
    >>> swap_convolutions(net, compare="hybrid")
    Sequential(
      (0): ConvNN2d(3, 8, 9, compare='hybrid')
      (1): ReLU()
    )
    """
    modules = dict(model.named_modules())
    if names is None:
        chosen = [
            name
            for name, module in modules.items()
            if type(module) in _REPLACED and math.prod(module.kernel_size) > 1
        ]
    else:
        chosen = list(names)
    new = {}
    for name in chosen:
        convolution = modules.get(name)
        if type(convolution) not in _REPLACED:
            raise ValueError(f"names: the model has no convolution {name!r}")
        try:
            new[name] = _replacement(convolution, n_neighbors, ratio, options)
        except ValueError as error:
            raise ValueError(f"module {name!r}: {error}") from error
    for name, layer in new.items():
        if not name:
            return layer
        parent, _, attribute = name.rpartition(".")
        setattr(model.get_submodule(parent), attribute, layer)
    return model


def _replacement(
    convolution: Any,
    n_neighbors: int | None,
    ratio: float | None,
    options: dict[str, Any],
) -> nn.Module:
    check_size_is_kept(convolution)
    layer, branched = _REPLACED[type(convolution)]
    kind: Any = layer
    if ratio is not None:
        kind = branched
        options = {"kernel_size": convolution.kernel_size[0], **options}
    new: nn.Module = kind(
        convolution.in_channels,
        convolution.out_channels,
        n_neighbors or math.prod(convolution.kernel_size),
        stride=convolution.stride,
        groups=convolution.groups,
        bias=convolution.bias is not None,
        device=convolution.weight.device,
        dtype=convolution.weight.dtype,
        **({"dilation": convolution.dilation} | options),
    )
    return new.train(convolution.training)
