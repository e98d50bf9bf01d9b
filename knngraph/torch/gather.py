"""Sums over neighbors: each slot of the neighbors has a matrix of its own."""

import torch
from torch import Tensor


def rows_of(images: Tensor, index: Tensor) -> Tensor:
    """Rows of every image by position.

    Parameters
    ----------
    images : Tensor of shape (B, N, C)
    index : Tensor of shape (B, Q, K), int64

    Returns
    -------
    Tensor of shape (B, Q, K, C)
    """
    n_batch, n_rows, n_channels = images.shape
    first = torch.arange(n_batch, device=index.device) * n_rows
    flat = (index + first[:, None, None]).flatten()
    rows = images.reshape(n_batch * n_rows, n_channels).index_select(0, flat)
    return rows.view(*index.shape, n_channels)


def aggregate(
    images: Tensor, index: Tensor, weight: Tensor, shares: Tensor | None = None
) -> Tensor:
    """Sum over slots j of `weight[:, :, j] @ (shares[j] * row index[j])`.

    Parameters
    ----------
    images : Tensor of shape (G, B, N, C)
        Rows of G groups of channels.
    index : Tensor of shape (G, B, Q, K), int64
        Positions of neighbors.
    weight : Tensor of shape (G, O, C, K)
    shares : Tensor of shape (G, B, Q, K), or None
        A factor of every neighbor; None is 1.

    Returns
    -------
    Tensor of shape (G, B, Q, O)
    """
    n_groups, n_batch, n_queries, n_slots = index.shape
    n_channels = images.shape[-1]
    rows = rows_of(images.flatten(0, 1), index.flatten(0, 1))
    if shares is not None:
        rows = rows * shares.flatten(0, 1).unsqueeze(-1)
    rows = rows.reshape(n_groups, n_batch * n_queries, n_slots * n_channels)
    matrix = weight.permute(0, 3, 2, 1).flatten(1, 2)
    return torch.bmm(rows, matrix).view(n_groups, n_batch, n_queries, -1)
