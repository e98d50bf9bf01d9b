"""The exact search: the best candidates of every query, the same wherever it runs.

Vectors are rounded to integers below 2^26 times their length, so that every product
and every partial sum of a score is an integer below 2^53, which double precision holds
exactly. The order of summation then cannot matter: a query finds the same neighbors in
any batch, block and number of threads, on the CPU and on a GPU, and equal candidates
have equal scores. Among these the lowest position comes first.
"""

import math

import torch
from torch import Tensor

# A compared vector has length at most 2^25, or next to it: its scores stay below
# 2^52, and a component is as precise as in single precision.
_LENGTH = 2.0**25
# Added to the score of a candidate with a number that is not finite: below all others.
_NOT_FINITE = -(2.0**52)
# Scores are rounded to multiples of this, and the position takes the place below.
_PLACE = 2.0**20
# The sum of this and a score is a multiple of _PLACE.
_ROUND = 1.5 * 2.0**52 * _PLACE
# Candidates are searched in groups: the best of a group is found much faster than
# the best k of all, which can only lie in the k best groups.
_GROUP = 8
_BLOCK_BYTES = {"cpu": 2**22, "cuda": 2**28}

MOST_CANDIDATES = int(_PLACE)


def nearest(
    queries: Tensor,
    candidates: Tensor,
    k: int,
    *,
    distance: str,
    own: Tensor | None = None,
    block_size: int | None = None,
) -> Tensor:
    """Positions of the k best candidates of every query, best first.

    Parameters
    ----------
    queries : Tensor of shape (B, Q, D)
    candidates : Tensor of shape (B, M, D)
        The same object as `queries` where they are the same.
    k : int
        At most the number M of candidates, less one where `own` is given.
    distance : {"cosine", "euclidean", "dot"}
        The largest cosine or dot product is best, or the smallest distance.
    own : Tensor of shape (Q,), or None
        The candidate of every query that is the query itself and never chosen; M
        where it is not among the candidates.
    block_size : int or None
        Number of queries that are compared at once; None follows from a bound on
        memory.

    Returns
    -------
    Tensor of shape (B, Q, k), int64
    """
    return _search(queries, candidates, k, distance, own, block_size)


def _search(
    queries: Tensor,
    candidates: Tensor,
    k: int,
    distance: str,
    own: Tensor | None,
    block_size: int | None,
) -> Tensor:
    n_batch, n_queries, _ = queries.shape
    n_candidates = candidates.shape[1]
    n_bytes = _BLOCK_BYTES.get(queries.device.type, _BLOCK_BYTES["cuda"])
    row_bytes = 8 * max(n_candidates, 1)
    n_rows = block_size or max(n_bytes // row_bytes, 1)
    n_images = max(n_rows // max(n_queries, 1), 1)
    found = []
    for start in range(0, max(n_batch, 1), n_images):
        images = slice(start, start + n_images)
        q = queries[images]
        c = q if candidates is queries else candidates[images]
        table_q, table_c = _tables(q, c, distance)
        blocks = [
            _best(
                table_q[:, first : first + n_rows],
                table_c,
                k,
                None if own is None else own[first : first + n_rows],
            )
            for first in range(0, max(n_queries, 1), n_rows)
        ]
        found.append(torch.cat(blocks, 1))
    return torch.cat(found, 0)


def _best(queries: Tensor, candidates: Tensor, k: int, own: Tensor | None) -> Tensor:
    """Search one block by its full matrix of scores."""
    scores = queries @ candidates.mT
    n_candidates = candidates.shape[1]
    positions = torch.arange(n_candidates, device=scores.device)
    keys = (scores + _ROUND) - _ROUND + (_PLACE - 1 - positions.to(scores.dtype))
    if own is not None:
        keys = keys.masked_fill(own.unsqueeze(1) == positions, -math.inf)
    return keys.topk(k, dim=-1).indices


def _tables(
    queries: Tensor, candidates: Tensor, distance: str
) -> tuple[Tensor, Tensor]:
    """Integers in double precision whose products are the scores."""
    same = candidates is queries
    q, q_finite = _finite(queries)
    c, c_finite = (q, q_finite) if same else _finite(candidates)
    one = torch.ones_like(q[..., :1])
    base = torch.where(c_finite, 0.0, _NOT_FINITE).unsqueeze(-1)
    if distance == "cosine":
        q = _unit(q)
        c = q if same else _unit(c)
    elif distance == "dot":
        # A positive factor of a query, or of all candidates, changes no order.
        q = _scaled(q, _largest(q, (-1,)))
        c = _scaled(c, _largest(c, (-2, -1)))
    else:
        both = c if same else torch.cat([q, c], 1)
        center = both.amin(1, keepdim=True) / 2 + both.amax(1, keepdim=True) / 2
        largest = _largest(both - center, (-2, -1))
        q = _scaled(q - center, largest)
        c = q if same else _scaled(c - center, largest)
        base = base - c.square().sum(-1, keepdim=True)
        q = 2 * q
    return torch.cat([q, one], -1), torch.cat([c, base], -1)


def _finite(vectors: Tensor) -> tuple[Tensor, Tensor]:
    """Vectors in double precision, zero where any number is not finite."""
    finite = vectors.isfinite().all(-1)
    return vectors.double().masked_fill(~finite.unsqueeze(-1), 0.0), finite


def _largest(vectors: Tensor, dims: tuple[int, ...]) -> Tensor:
    largest = vectors.abs().amax(dims, keepdim=True)
    return torch.where(largest == 0, 1.0, largest)


def _scaled(vectors: Tensor, largest: Tensor) -> Tensor:
    """Integer vectors of length at most _LENGTH: no component is above `largest`."""
    return (vectors / largest * (_LENGTH / math.sqrt(vectors.shape[-1]))).round()


def _unit(vectors: Tensor) -> Tensor:
    """Integer vectors of length _LENGTH and the same directions.

    Their lengths, too, come from sums of integers, which no order of summation changes.
    """
    n_dims = vectors.shape[-1]
    bits = (52 - (n_dims - 1).bit_length()) // 2
    whole = (vectors / _largest(vectors, (-1,)) * 2.0**bits).round()
    length = whole.square().sum(-1, keepdim=True).sqrt().clamp(min=1.0)
    return (whole / length * _LENGTH).round()
