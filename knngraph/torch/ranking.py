"""The exact search: the best candidates of every query, the same wherever it runs.

Vectors are rounded to integers below 2^26 times their length, so that every product
and every partial sum of a score is an integer below 2^53, which double precision holds
exactly. The order of summation then cannot matter: a query finds the same neighbors in
any batch, block and number of threads, on the CPU and on a GPU, and equal candidates
have equal scores. Among these the lowest position comes first.
"""

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

# A compared vector has length at most 2^25, or next to it: its scores stay below
# 2^52, and a component is as precise as in single precision.
_LENGTH = 2.0**25
# Added to the score of a candidate with a number that is not finite: below all others.
_NOT_FINITE = -(2.0**52)
# Scores are rounded to multiples of this, and the position takes the place below.
_PLACE = 2.0**20
# The sum of this and a score is a multiple of _PLACE.
_ROUND = 1.5 * 2.0**52 * _PLACE
# On the CPU candidates are searched in groups of this many.
_GROUP = 8
# Scores in memory at once.
_BLOCK_BYTES = {"cpu": 2**21, "cuda": 2**28}

MOST_CANDIDATES = int(_PLACE)


def nearest(
    queries: Tensor,
    candidates: Tensor | None,
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
    candidates : Tensor of shape (B, M, D), or None
        None is the queries.
    k : int
        At most the number M of candidates, less one where `own` is given.
    distance : {"cosine", "euclidean", "dot"}
        The largest cosine or dot product is best, or the smallest distance.
    own : Tensor of shape (Q,), int64, or None
        The candidate of every query that is the query itself and never chosen; M
        where it is not among the candidates.
    block_size : int or None
        Number of queries of an image that are compared at once; None follows from a
        bound on memory.

    Returns
    -------
    Tensor of shape (B, Q, k), int64
        Of a candidate with a number that is not finite only where there are too few
        others.
    """
    queries = queries.detach()
    candidates = None if candidates is None else candidates.detach()
    if is_exported():
        # A graph that leaves this process runs without this package.
        tables = _tables(queries, candidates, distance)
        return _best(*tables, k, own)
    if torch.compiler.is_compiling():
        index: Tensor = _nearest_op(queries, candidates, k, distance, own, block_size)
        return index
    return _search(queries, candidates, k, distance, own, block_size)


def is_exported() -> bool:
    """Whether the graph that is traced is to be exported."""
    is_exporting = getattr(torch.compiler, "is_exporting", None)
    return bool(is_exporting and is_exporting())


def _search(
    queries: Tensor,
    candidates: Tensor | None,
    k: int,
    distance: str,
    own: Tensor | None,
    block_size: int | None,
) -> Tensor:
    """Search in blocks: of several images, or of some queries of one."""
    device = queries.device
    if device.type == "mps":
        # It has no double precision.
        queries = queries.cpu()
        candidates = None if candidates is None else candidates.cpu()
        own = None if own is None else own.cpu()
    n_batch, n_queries, _ = queries.shape
    n_candidates = n_queries if candidates is None else candidates.shape[1]
    in_groups = queries.device.type == "cpu" and n_candidates >= 2 * _GROUP * k
    bound = _BLOCK_BYTES.get(queries.device.type, _BLOCK_BYTES["cuda"])
    n_rows = block_size or max(bound // (8 * max(n_candidates, 1)), 1)
    n_images = max(n_rows // max(n_queries, 1), 1)
    found = []
    for image in range(0, max(n_batch, 1), n_images):
        images = slice(image, image + n_images)
        table_q, table_c = _tables(
            queries[images],
            None if candidates is None else candidates[images],
            distance,
        )
        if in_groups:
            table_c = _grouped(table_c)
        blocks = []
        for row in range(0, max(n_queries, 1), n_rows):
            rows = slice(row, row + n_rows)
            mine = None if own is None else own[rows]
            best = _best_in_groups if in_groups else _best
            blocks.append(best(table_q[:, rows], table_c, k, mine))
        found.append(torch.cat(blocks, 1))
    return torch.cat(found, 0).to(device)


_nearest_op: Any = torch.library.custom_op(
    "knngraph::nearest",
    _search,
    mutates_args=(),
    schema="(Tensor queries, Tensor? candidates, int k, str distance, Tensor? own, "
    "int? block_size) -> Tensor",
)


@_nearest_op.register_fake
def _(
    queries: Tensor,
    candidates: Tensor | None,
    k: int,
    distance: str,
    own: Tensor | None,
    block_size: int | None,
) -> Tensor:
    return queries.new_empty(*queries.shape[:2], k, dtype=torch.int64)


def _best(queries: Tensor, candidates: Tensor, k: int, own: Tensor | None) -> Tensor:
    """Search one block by a key for every candidate."""
    scores = queries @ candidates.mT
    positions = torch.arange(candidates.shape[1], device=scores.device)
    keys = _keys(scores, positions)
    if own is not None:
        keys = keys.masked_fill(own.unsqueeze(1) == positions, -math.inf)
    return keys.topk(k, dim=-1).indices


def _best_in_groups(
    queries: Tensor, candidates: Tensor, k: int, own: Tensor | None
) -> Tensor:
    """The same from the k groups with the best candidates, which hold the k best.

    A maximum costs a tenth of a selection, and the selections see few numbers.
    """
    scores = queries @ candidates.mT
    n_groups = candidates.shape[1] // _GROUP
    if own is not None:
        column = own % _GROUP * n_groups + own // _GROUP
        column = column.unsqueeze(-1).expand(len(scores), -1, 1)
        scores = scores.scatter_(2, column, -math.inf)
    scores = scores.unflatten(2, (_GROUP, n_groups))
    groups = torch.arange(n_groups, device=scores.device)
    members = torch.arange(_GROUP, device=scores.device).unsqueeze(1)
    best = _keys(scores.amax(2), groups).topk(k, sorted=False).indices.unsqueeze(2)
    chosen = scores.gather(3, best.expand(-1, -1, _GROUP, -1))
    keys = _keys(chosen, best * _GROUP + members).flatten(2).topk(k).values
    return ((_PLACE - 1) - keys.remainder(_PLACE)).long()


def _grouped(candidates: Tensor) -> Tensor:
    """Candidates with the first of all groups first, then the second of all.

    One at least is added behind the last, with a score below all others.
    """
    n_candidates = candidates.shape[1]
    n_groups = n_candidates // _GROUP + 1
    padding = [0, 0, 0, n_groups * _GROUP - n_candidates]
    candidates = functional.pad(candidates, padding)
    candidates[:, n_candidates:, -1] = -math.inf
    return candidates.unflatten(1, (n_groups, _GROUP)).transpose(1, 2).flatten(1, 2)


def _keys(scores: Tensor, positions: Tensor) -> Tensor:
    """Scores and positions in one number: a larger score, then a lower position."""
    rounded = scores.add(_ROUND).sub_(_ROUND)
    return rounded.add_((_PLACE - 1) - positions.to(scores.dtype))


def _tables(
    queries: Tensor, candidates: Tensor | None, distance: str
) -> tuple[Tensor, Tensor]:
    """Integers in double precision whose products are the scores."""
    same = candidates is None
    q, q_finite = _finite(queries)
    c, c_finite = (q, q_finite) if candidates is None else _finite(candidates)
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
    """Integer vectors of length at most _LENGTH: no component is above `largest`.

    The factor is a power of 2, so that whole numbers keep equal distances.
    """
    mantissa, _ = largest.frexp()
    length = 2.0 ** math.ceil(math.log2(vectors.shape[-1]) / 2)
    return (vectors / (largest / mantissa) * (_LENGTH / length)).round()


def _unit(vectors: Tensor) -> Tensor:
    """Integer vectors of length _LENGTH and the same directions.

    Their lengths, too, come from sums of integers, which no order of summation changes.
    """
    n_dims = vectors.shape[-1]
    bits = (52 - (n_dims - 1).bit_length()) // 2
    whole = (vectors / _largest(vectors, (-1,)) * 2.0**bits).round()
    length = whole.square().sum(-1, keepdim=True).sqrt().clamp(min=1.0)
    return (whole / length * _LENGTH).round()
