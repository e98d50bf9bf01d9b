"""Kinds of layers, and what several files compute with them."""

import torch

KINDS = [
    {"compare": "features"},
    {"compare": "hybrid", "distance": "euclidean", "gather_location": True},
    {"compare": "hybrid", "weights": "softmax"},
    {"compare": "features", "weights": "softmax", "distance": "euclidean"},
    {"compare": "location", "weights": "softmax", "padding": 1},
    {"compare": "location"},
]
SAMPLES = [
    {"candidates": "random", "n_candidates": 9},
    {"candidates": "grid", "n_candidates": 9},
]


def gradients(layer, x):
    """The output, and the gradients of input and parameters."""
    x = x.detach().requires_grad_()
    y = layer(x)
    weights = torch.linspace(-1, 1, y.numel(), device=y.device, dtype=y.dtype)
    of = [x, *layer.parameters()]
    return y, torch.autograd.grad((y.flatten() * weights).sum(), of)
