"""Features of a layer of a network, as rows for a classifier."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from knngraph.progress import stage

POOLING = ("flatten", "images", "tokens")


def embed(
    model: nn.Module,
    images: Any,
    *,
    layer: str | nn.Module | None = None,
    pooling: str = "flatten",
    batch_size: int = 256,
    device: torch.device | str | None = None,
    verbose: int = 0,
) -> np.ndarray:
    """Features that a network has of images, one row an image.

    The network runs in evaluation mode and without gradients. Afterwards every module
    is in the mode and on the device where it was, with no hook left, also after an
    error.

    Parameters
    ----------
    model : torch.nn.Module
    images : Tensor, ndarray or torch.utils.data.DataLoader
        All images, as the model takes a batch of them. Of a loader the first part of
        every batch, and `batch_size` is not used.
    layer : str, torch.nn.Module or None, default=None
        A module of the model, or its name in `model.named_modules()`: its output. None
        is what goes into the last `torch.nn.Linear`, mostly the head; of a model
        without one its output.
    pooling : {"flatten", "images", "tokens"}, default="flatten"
        What is made of features with several dimensions: all numbers in a row, or the
        mean over positions, of (B, C, ...) with "images" and of (B, ..., C) with
        "tokens".
    batch_size : int, default=256
    device : torch.device or str, default=None
        Where the model runs. None leaves it where it is.
    verbose : int, default=0
        Whether to show progress.

    Returns
    -------
    ndarray of shape (n_images, n_features)
        float32, or float64 where the features are.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from knngraph.torch import embed
    >>> model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(144, 10))
    >>> images = torch.zeros(7, 1, 8, 8)
    >>> embed(model, images).shape
    (7, 144)
    >>> embed(model, images, layer="0", pooling="images").shape
    (7, 4)
    """
    if pooling not in POOLING:
        raise ValueError(f"pooling must be one of {POOLING}, not {pooling!r}")
    n_images, batches = _batches(images, batch_size)
    module, is_input = _chosen(model, layer)
    rows: list[np.ndarray] = []
    with (
        _as_it_was(model, device),
        stage("embedding", n_images, verbose, "image") as embedding,
    ):
        weight = next(model.parameters(), torch.empty(0))
        for batch in batches:
            if batch.is_floating_point():
                batch = batch.to(weight.dtype)
            features = _features(model, module, is_input, batch.to(weight.device))
            rows.append(_as_rows(features, len(batch), pooling))
            embedding.advance(len(batch))
    return np.concatenate(rows)


def _batches(images: Any, batch_size: int) -> tuple[int, Iterator[Tensor]]:
    """Number of the images, and the batches of them."""
    if isinstance(images, DataLoader):
        firsts = (b if isinstance(b, Tensor) else b[0] for b in images)
        return len(images.dataset), firsts
    if isinstance(batch_size, bool) or not isinstance(batch_size, int):
        raise ValueError(f"batch_size must be an integer, not {batch_size!r}")
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, not {batch_size}")
    if not isinstance(images, Tensor | np.ndarray):
        raise TypeError(
            "images must be a tensor, an array or a DataLoader, not "
            f"{type(images).__name__}"
        )
    # Of no images one batch, too: it tells how many features there are.
    starts = range(0, max(len(images), 1), batch_size)
    return len(images), (
        torch.as_tensor(images[start : start + batch_size]) for start in starts
    )


def _chosen(model: nn.Module, layer: str | nn.Module | None) -> tuple[nn.Module, bool]:
    """The module that features are taken of, and whether these are its input."""
    if layer is None:
        linear = [m for m in model.modules() if isinstance(m, nn.Linear)]
        return (linear[-1], True) if linear else (model, False)
    modules = dict(model.named_modules())
    if isinstance(layer, nn.Module):
        if not any(layer is module for module in modules.values()):
            raise ValueError(f"layer is no module of the model: {layer!r}")
        return layer, False
    if layer not in modules:
        names = ", ".join(name for name in modules if name)
        raise ValueError(
            f"layer={layer!r} is no module of the model, which has: {names}"
        )
    return modules[layer], False


@contextmanager
def _as_it_was(model: nn.Module, device: torch.device | str | None) -> Iterator[None]:
    """Evaluate without gradients on a device, and leave no trace."""
    modes = [(module, module.training) for module in model.modules()]
    home = next(model.parameters(), torch.empty(0)).device
    try:
        model.eval()
        if device is not None:
            model.to(device)
        with torch.no_grad():
            yield
    finally:
        if device is not None:
            model.to(home)
        for module, mode in modes:
            module.training = mode


def _features(
    model: nn.Module, module: nn.Module, is_input: bool, batch: Tensor
) -> Any:
    """What goes into a module, or comes out of it, when the model sees a batch."""
    seen: list[Any] = []
    keep: Callable[..., None]
    if is_input:

        def keep(module: nn.Module, inputs: tuple[Any, ...]) -> None:
            seen.append(inputs[0])

        hook = module.register_forward_pre_hook(keep)
    else:

        def keep(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            seen.append(output)

        hook = module.register_forward_hook(keep)
    try:
        model(batch)
    finally:
        hook.remove()
    if not seen:
        raise ValueError(f"layer {module!r} takes no part when the model is called")
    return seen[-1]


def _as_rows(features: Any, n_images: int, pooling: str) -> np.ndarray:
    if not isinstance(features, Tensor):
        raise ValueError(
            f"layer gives {type(features).__name__}, not a tensor: name a module within"
        )
    if features.ndim == 0 or len(features) != n_images:
        raise ValueError(
            f"layer gives features of shape {tuple(features.shape)} for a batch of "
            f"{n_images} images: name one whose first dimension is the batch"
        )
    if features.dtype != torch.float64:
        features = features.float()
    if pooling == "images" and features.ndim > 2:
        features = features.flatten(2).mean(2)
    elif pooling == "tokens" and features.ndim > 2:
        features = features.flatten(1, -2).mean(1)
    n_features = features[0].numel() if n_images else features.shape[1:].numel()
    return features.reshape(n_images, n_features).cpu().numpy()
