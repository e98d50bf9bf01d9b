"""The k smallest numbers of every row of a tensor, the first of equal ones first."""

import torch

# Bits of a float32 as an integer: those of 0 with a minus, and those of infinity.
_MINUS_ZERO = -(2**31)
_INFINITY = 0x7F800000
_POSITION_BITS = 31


def smallest(
    scores: torch.Tensor, k: int, *, may_wait: bool | None = None
) -> torch.Tensor:
    """Positions of the k smallest numbers along the last dimension, in order.

    `torch.topk` promises no order among equal numbers. Here the lower position comes
    first, and not-a-number comes last.

    Parameters
    ----------
    scores : Tensor of shape (..., n), floating
    k : int
        At most n.
    may_wait : bool or None, default=None
        Whether the host may wait for the device, and search only those rows a second
        time that have equal numbers. It is the same answer, sooner. None waits on the
        CPU where a branch is possible: not in a graph that is traced.

    Returns
    -------
    Tensor of shape (..., k), int64

    Examples
    --------
    >>> import torch
    >>> from knngraph.torch.nearest import smallest
    >>> smallest(torch.tensor([[2.0, 1.0, float("nan"), 1.0]]), 3)
    tensor([[1, 3, 0]])
    """
    scores = scores.detach()
    if may_wait is None:
        may_wait = scores.device.type == "cpu" and not _is_traced(scores)
    if not may_wait:
        return _by_keys(scores, k)
    n_seen = min(k + 1, scores.shape[-1])
    seen, positions = scores.topk(n_seen, dim=-1, largest=False)
    positions = positions[..., :k]
    tied = (seen[..., 1:] == seen[..., :-1]).any(-1) | seen[..., -1:].isnan().any(-1)
    if bool(tied.any()):
        positions[tied] = _by_keys(scores[tied], k)
    return positions


def _is_traced(scores: torch.Tensor) -> bool:
    """Whether operations are recorded or batched, so that no number is known."""
    if torch.compiler.is_compiling():
        return True
    return bool(torch._C._functorch.is_functorch_wrapped_tensor(scores))


def _by_keys(scores: torch.Tensor, k: int) -> torch.Tensor:
    """The same by integers that hold a number and its position: none are equal."""
    if scores.dtype == torch.float64:
        return scores.sort(dim=-1, stable=True)[1][..., :k]
    bits = scores.float().view(torch.int32)
    # The bits of negative numbers, as integers, run backwards.
    keys = torch.where(bits < 0, _MINUS_ZERO - bits, bits).to(torch.int64)
    keys += _INFINITY
    # Not-a-number with a minus is below all: it goes to the top, level with the rest.
    keys &= 2**32 - 1
    keys = keys.clamp(max=2 * _INFINITY + 1)
    keys <<= _POSITION_BITS
    keys |= torch.arange(scores.shape[-1], device=scores.device)
    keys = keys.topk(k, dim=-1, largest=False)[0]
    return keys & (2**_POSITION_BITS - 1)
