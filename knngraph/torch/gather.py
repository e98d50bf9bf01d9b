"""Sums over neighbors: every slot of the neighbors has a matrix of its own.

The sum over slots j of W_j v_I(i, j) is linear in the rows v and in the weights W. Each
of its gradients is such a sum again, or its transpose, so that the operators below
differentiate one another, to any order. Neighbors are gathered block by block: nothing
with as many rows as there are neighbors is made, and only v, I and W are kept for the
gradients.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from knngraph.torch.ranking import is_exported, is_transformed

# Gathered rows in memory at once: within the cache, on the CPU.
_BLOCK_BYTES = {"cpu": 2**20, "cuda": 2**26}


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
    rows = images.reshape(n_batch * n_rows, n_channels)
    flat = _flat(index, n_rows).flatten()
    return rows.index_select(0, flat).unflatten(0, index.shape)


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
    if shares is None and not _in_plain_operations(images, weight):
        y: Tensor = _sum_op(images, index.to(torch.int32), weight)
        return y
    rows = rows_of(images.flatten(0, 1), index.flatten(0, 1))
    if shares is not None:
        rows = rows * shares.flatten(0, 1).unsqueeze(-1)
    rows = rows.flatten(2).unflatten(0, index.shape[:2]).flatten(1, 2)
    return torch.bmm(rows, weight.permute(0, 3, 2, 1).flatten(1, 2)).unflatten(
        1, index.shape[1:3]
    )


def _in_plain_operations(*tensors: Tensor) -> bool:
    """Whether a graph is exported, or a function is transformed (vmap, grad, jvp).

    An exported graph runs without this package, and transforms know no rule for our
    operators.
    """
    if torch.compiler.is_compiling():
        return is_exported()
    return is_transformed(*tensors)


def _flat(index: Tensor, n_rows: int) -> Tensor:
    """Positions in images as rows of all images in turn; (B, Q, K)."""
    first = torch.arange(index.shape[0], device=index.device) * n_rows
    return index + first[:, None, None]


def _wide(dtype: torch.dtype) -> torch.dtype:
    """The precision in which sums over many rows are kept."""
    return torch.promote_types(dtype, torch.float32)


def _n_in_block(n_numbers: int, like: Tensor) -> int:
    """How many items of so many numbers each are in memory at once."""
    bound = _BLOCK_BYTES.get(like.device.type, _BLOCK_BYTES["cuda"])
    return max(bound // max(n_numbers * like.element_size(), 1), 1)


def _projects_first(weight: Tensor) -> bool:
    """Whether rows are multiplied by all matrices first, and the products gathered.

    These have as many numbers as there are output channels; rows have those of the
    input.
    """
    return 2 * weight.shape[1] <= weight.shape[2]


def _sum(images: Tensor, index: Tensor, weight: Tensor) -> Tensor:
    """Sum over slots j of W_j v_I(i, j)."""
    first = _projects_first(weight)
    sums = _sum_of_projected if first else _sum_of_gathered
    return _stacked([sums(*group) for group in zip(images, index, weight)])


def _stacked(groups: list[Tensor]) -> Tensor:
    """A dimension for groups in front, without a copy where there is one."""
    return groups[0].unsqueeze(0) if len(groups) == 1 else torch.stack(groups)


def _sum_of_gathered(images: Tensor, index: Tensor, weight: Tensor) -> Tensor:
    n_batch, n_rows, n_channels = images.shape
    n_queries, n_slots = index.shape[1:]
    matrix = weight.permute(2, 1, 0).flatten(0, 1)
    rows = images.reshape(-1, n_channels)
    flat = _flat(index, n_rows).view(-1, n_slots)
    y = images.new_empty(n_batch * n_queries, matrix.shape[1])
    step = _n_in_block(n_slots * n_channels, images)
    for start in range(0, y.shape[0], step):
        block = slice(start, start + step)
        gathered = rows.index_select(0, flat[block].flatten())
        torch.mm(gathered.view(-1, n_slots * n_channels), matrix, out=y[block])
    return y.view(n_batch, n_queries, matrix.shape[1])


def _sum_of_projected(images: Tensor, index: Tensor, weight: Tensor) -> Tensor:
    n_batch, n_rows, n_channels = images.shape
    n_queries, n_slots = index.shape[1:]
    n_out = weight.shape[0]
    matrix = weight.permute(1, 2, 0).flatten(1)
    slots = torch.arange(n_slots, device=index.device)
    y = images.new_empty(n_batch, n_queries, n_out)
    step = _n_in_block(n_rows * n_slots * n_out, images)
    for start in range(0, n_batch, step):
        block = slice(start, start + step)
        projected = (images[block].reshape(-1, n_channels) @ matrix).view(-1, n_out)
        bags = (_flat(index[block], n_rows) * n_slots + slots).view(-1, n_slots)
        sums = functional.embedding_bag(bags, projected, mode="sum")
        y[block] = sums.view(-1, n_queries, n_out)
    return y


def _gradients(
    grad: Tensor,
    images: Tensor,
    index: Tensor,
    weight: Tensor,
    for_images: bool,
    for_weight: bool,
) -> tuple[Tensor, Tensor]:
    """Gradients of rows and weights for that of the sum; empty where not needed."""
    first = _projects_first(weight)
    gradients = _gradients_of_projected if first else _gradients_of_gathered
    both = [
        gradients(*group, for_images, for_weight)
        for group in zip(grad, images, index, weight)
    ]
    of_images, of_weight = (_stacked(list(parts)) for parts in zip(*both))
    return of_images, of_weight


def _gradients_of_gathered(
    grad: Tensor,
    images: Tensor,
    index: Tensor,
    weight: Tensor,
    for_images: bool,
    for_weight: bool,
) -> tuple[Tensor, Tensor]:
    n_rows, n_channels = images.shape[1:]
    n_out, _, n_slots = weight.shape
    matrix = weight.permute(0, 2, 1).flatten(1)
    rows, grad = images.reshape(-1, n_channels), grad.reshape(-1, n_out)
    flat = _flat(index, n_rows).view(-1, n_slots)
    wide = _wide(grad.dtype)
    of_rows = rows.new_zeros(rows.shape if for_images else 0, dtype=wide)
    of_matrix = rows.new_zeros(matrix.shape if for_weight else 0, dtype=wide)
    step = _n_in_block(n_slots * n_channels, images)
    for start in range(0, grad.shape[0], step):
        part, block = grad[start : start + step], flat[start : start + step].flatten()
        if for_images:
            spread = (part @ matrix).view(-1, n_channels)
            of_rows.index_add_(0, block, spread.to(wide))
        if for_weight:
            gathered = rows.index_select(0, block).view(-1, n_slots * n_channels)
            of_matrix += part.mT @ gathered
    if for_images:
        of_rows = of_rows.view(images.shape)
    if for_weight:
        of_matrix = of_matrix.view(n_out, n_slots, n_channels).transpose(1, 2)
    return of_rows.to(images.dtype), of_matrix.to(weight.dtype).contiguous()


def _gradients_of_projected(
    grad: Tensor,
    images: Tensor,
    index: Tensor,
    weight: Tensor,
    for_images: bool,
    for_weight: bool,
) -> tuple[Tensor, Tensor]:
    n_batch, n_rows, n_channels = images.shape
    n_out, _, n_slots = weight.shape
    matrix = weight.permute(1, 2, 0).flatten(1)
    slots = torch.arange(n_slots, device=index.device)
    wide = _wide(grad.dtype)
    of_images = images.new_empty(images.shape if for_images else 0)
    of_matrix = images.new_zeros(matrix.shape if for_weight else 0, dtype=wide)
    step = _n_in_block(n_rows * n_slots * n_out, images)
    for start in range(0, n_batch, step):
        block = slice(start, start + step)
        part = images[block]
        bags = (_flat(index[block], n_rows) * n_slots + slots).flatten()
        spread = grad[block].reshape(-1, n_out).repeat_interleave(n_slots, 0)
        sums = grad.new_zeros(len(part) * n_rows * n_slots, n_out, dtype=wide)
        sums.index_add_(0, bags, spread.to(wide))
        of_projected = sums.to(grad.dtype).view(-1, n_slots * n_out)
        if for_images:
            of_images[block] = (of_projected @ matrix.mT).view(part.shape)
        if for_weight:
            of_matrix += part.reshape(-1, n_channels).mT @ of_projected
    if for_weight:
        of_matrix = of_matrix.view(n_channels, n_slots, n_out).permute(2, 0, 1)
    return of_images, of_matrix.to(weight.dtype).contiguous()


_sum_op: Any = torch.library.custom_op(
    "knngraph::neighbor_sum",
    _sum,
    mutates_args=(),
    schema="(Tensor images, Tensor index, Tensor weight) -> Tensor",
)
_gradients_op: Any = torch.library.custom_op(
    "knngraph::neighbor_sum_gradients",
    _gradients,
    mutates_args=(),
    schema="(Tensor grad, Tensor images, Tensor index, Tensor weight, "
    "bool for_images, bool for_weight) -> (Tensor, Tensor)",
)


@_sum_op.register_fake
def _(images: Tensor, index: Tensor, weight: Tensor) -> Tensor:
    return images.new_empty(*index.shape[:3], weight.shape[1])


@_gradients_op.register_fake
def _(
    grad: Tensor,
    images: Tensor,
    index: Tensor,
    weight: Tensor,
    for_images: bool,
    for_weight: bool,
) -> tuple[Tensor, Tensor]:
    n_groups = images.shape[0]
    return (
        images.new_empty(images.shape if for_images else (n_groups, 0)),
        weight.new_empty(weight.shape if for_weight else (n_groups, 0)),
    )


def _keep_inputs(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    ctx.save_for_backward(*(value for value in inputs if isinstance(value, Tensor)))
    ctx.given = inputs[4:]


def _differentiate_sum(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    for_images, _, for_weight = ctx.needs_input_grad
    of_images, of_weight = _gradients_op(
        grad, *ctx.saved_tensors, for_images, for_weight
    )
    return of_images if for_images else None, None, of_weight if for_weight else None


def _differentiate_gradients(
    ctx: Any, by_images: Tensor, by_weight: Tensor
) -> tuple[Tensor | None, ...]:
    grad, images, index, weight = ctx.saved_tensors
    had_images, had_weight = ctx.given
    of_grad = of_images = of_weight = None
    if ctx.needs_input_grad[0]:
        parts = []
        if had_images:
            parts.append(_sum_op(by_images, index, weight))
        if had_weight:
            parts.append(_sum_op(images, index, by_weight))
        of_grad = sum(parts) if parts else None
    if ctx.needs_input_grad[1] and had_weight:
        of_images = _gradients_op(grad, images, index, by_weight, True, False)[0]
    if ctx.needs_input_grad[3] and had_images:
        of_weight = _gradients_op(grad, by_images, index, weight, False, True)[1]
    return of_grad, of_images, None, of_weight, None, None


_sum_op.register_autograd(_differentiate_sum, setup_context=_keep_inputs)
_gradients_op.register_autograd(_differentiate_gradients, setup_context=_keep_inputs)
