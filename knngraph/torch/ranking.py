"""The exact search: the best candidates of every query, the same wherever it runs.

Vectors are rounded to integers below 2^26 times their length, so that every product
and every partial sum of a score is an integer below 2^53, which double precision holds
exactly. The order of summation then cannot matter: a query finds the same neighbors in
any batch, block and number of threads, on the CPU and on a GPU, and equal candidates
have equal scores. Among these the lowest position comes first.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

# The longest compared vector is about as long: scores stay below 2^52, and a component
# is as precise as that vector is in single precision.
_LENGTH = 2.0**25
# Added to the score of a candidate with a number that is not finite: below all others.
_NOT_FINITE = -(2.0**52)
# Scores are rounded to multiples of this, and the position takes the place below.
_PLACE = 2.0**20
# The sum of this and a score is a multiple of _PLACE.
_ROUND = 1.5 * 2.0**52 * _PLACE
# On the CPU candidates are searched in groups of this many.
_GROUP = 8
# A selection comes before the sort of more numbers.
_MOST_SORTED = 256
# Scores in memory at once.
_BLOCK_BYTES = {"cpu": 2**22, "cuda": 2**28}

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
        return _best(_tables(queries, candidates, distance), k, own)
    if torch.compiler.is_compiling():
        index: Tensor = _nearest_op(queries, candidates, k, distance, own, block_size)
        return index
    return _search(queries, candidates, k, distance, own, block_size)


def is_exported() -> bool:
    """Whether the graph that is traced is to be exported."""
    is_exporting = getattr(torch.compiler, "is_exporting", None)
    return bool(is_exporting and is_exporting())


def is_transformed(*tensors: Tensor | None) -> bool:
    """Whether vmap, grad or jvp of torch.func follow any of the tensors."""
    wrapped = torch._C._functorch.is_functorch_wrapped_tensor
    return any(tensor is not None and wrapped(tensor) for tensor in tensors)


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
    in_groups = n_candidates >= 2 * _GROUP * k and _sorts(queries, candidates)
    bound = _BLOCK_BYTES.get(queries.device.type, _BLOCK_BYTES["cuda"])
    n_rows = block_size or max(bound // (8 * max(n_candidates, 1)), 1)
    n_images = max(n_rows // max(n_queries, 1), 1)
    # Written anew by every block: memory fresh from the system costs more than a block.
    buffer: Tensor | None = None
    found = []
    for image in range(0, max(n_batch, 1), n_images):
        images = slice(image, image + n_images)
        tables = _tables(
            queries[images],
            None if candidates is None else candidates[images],
            distance,
        )
        if in_groups:
            tables = _grouped(tables)
            if buffer is None:
                n_scores = min(n_rows, n_queries) * tables.candidates.shape[1]
                buffer = tables.base.new_empty(min(n_images, n_batch) * n_scores)
        blocks = []
        for row in range(0, max(n_queries, 1), n_rows):
            rows = slice(row, row + n_rows)
            part = replace(tables, queries=tables.queries[:, rows])
            mine = None if own is None else own[rows]
            if buffer is None:
                blocks.append(_best(part, k, mine))
            else:
                blocks.append(_best_in_groups(part, k, mine, buffer))
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


@dataclass(frozen=True)
class _Tables:
    """Integers in double precision from which scores follow exactly.

    The score of query q and candidate c is `factor` q.c + base of c.

    Parameters
    ----------
    queries : Tensor of shape (B, Q, D)
    candidates : Tensor of shape (B, M, D)
    base : Tensor of shape (B, M)
    factor : int
    """

    queries: Tensor
    candidates: Tensor
    base: Tensor
    factor: int


def _best(tables: _Tables, k: int, own: Tensor | None) -> Tensor:
    """Search one block by a key for every candidate."""
    scores = torch.baddbmm(
        tables.base.unsqueeze(1),
        tables.queries,
        tables.candidates.mT,
        alpha=tables.factor,
    )
    positions = torch.arange(scores.shape[2], device=scores.device)
    keys = _keys(scores, positions)
    if own is not None:
        keys = keys.masked_fill(own.unsqueeze(1) == positions, -math.inf)
    if _sorts(keys):
        return _positions(_largest(keys, k))
    return keys.topk(k, dim=-1).indices


def _best_in_groups(
    tables: _Tables, k: int, own: Tensor | None, buffer: Tensor
) -> Tensor:
    """The same from the k groups with the best candidates, which hold the k best.

    A maximum over groups costs a tenth of a selection, and the selections see few
    numbers.
    """
    shape = (*tables.queries.shape[:2], tables.candidates.shape[1])
    scores = buffer[: math.prod(shape)].view(shape)
    torch.baddbmm(
        tables.base.unsqueeze(1),
        tables.queries,
        tables.candidates.mT,
        alpha=tables.factor,
        out=scores,
    )
    n_groups = scores.shape[2] // _GROUP
    if own is not None:
        column = own % _GROUP * n_groups + own // _GROUP
        column = column.unsqueeze(1).expand(len(scores), -1, 1)
        scores.scatter_(2, column, -math.inf)
    scores = scores.unflatten(2, (_GROUP, n_groups))
    groups = torch.arange(n_groups, device=scores.device)
    members = torch.arange(_GROUP, device=scores.device).unsqueeze(1)
    best = _positions(_largest(_keys(scores.amax(2), groups), k)).unsqueeze(2)
    chosen = scores.gather(3, best.expand(-1, -1, _GROUP, -1))
    keys = _keys(chosen, best * _GROUP + members).flatten(2)
    return _positions(_largest(keys, k))


def _sorts(*tensors: Tensor | None) -> bool:
    """Whether numpy can sort, which has vector instructions for it.

    It sorts several times faster than torch selects.
    """
    on_cpu = all(t is None or t.device.type == "cpu" for t in tensors)
    return on_cpu and not torch.compiler.is_compiling() and not is_transformed(*tensors)


def _largest(keys: Tensor, k: int) -> Tensor:
    """The k largest along the last dimension, in order; `keys` are sorted in place."""
    n = keys.shape[-1]
    if n > _MOST_SORTED:
        keys.numpy().partition(n - k, axis=-1)
        keys = keys[..., n - k :].contiguous()
    keys.numpy().sort(axis=-1)
    return keys[..., -k:].flip(-1)


def _grouped(tables: _Tables) -> _Tables:
    """Candidates with the first of all groups first, then the second of all.

    One at least is added behind the last, with a score below all others.
    """
    n_candidates = tables.candidates.shape[1]
    n_groups = n_candidates // _GROUP + 1
    n_added = n_groups * _GROUP - n_candidates
    candidates = functional.pad(tables.candidates, [0, 0, 0, n_added])
    base = functional.pad(tables.base, [0, n_added], value=-math.inf)
    candidates = candidates.unflatten(1, (n_groups, _GROUP)).transpose(1, 2)
    base = base.unflatten(1, (n_groups, _GROUP)).transpose(1, 2)
    return replace(tables, candidates=candidates.flatten(1, 2), base=base.flatten(1, 2))


def _keys(scores: Tensor, positions: Tensor) -> Tensor:
    """Scores and positions in one number: a larger score, then a lower position."""
    rounded = scores.add(_ROUND).sub_(_ROUND)
    return rounded.add_((_PLACE - 1) - positions.to(scores.dtype))


def _positions(keys: Tensor) -> Tensor:
    return ((_PLACE - 1) - keys.remainder(_PLACE)).long()


def _tables(queries: Tensor, candidates: Tensor | None, distance: str) -> _Tables:
    both = [queries] if candidates is None else [queries, candidates]
    largest = [vectors.abs().amax(-1, keepdim=True) for vectors in both]
    finite = [most.isfinite() for most in largest]
    base = torch.where(finite[-1], 0.0, _NOT_FINITE).squeeze(-1).double()
    both = [torch.where(*pair, 0.0).double() for pair in zip(finite, both)]
    if distance == "cosine":
        largest = [torch.where(*pair, 0.0).double() for pair in zip(finite, largest)]
        both = [_unit(*pair) for pair in zip(both, largest)]
    elif distance == "dot":
        # A positive factor of a query, or of all candidates, changes no order.
        q = _whole(both[0], _length(both[0]))
        both = [q, _whole(both[-1], _length(both[-1]).amax(1, keepdim=True))]
    else:
        lowest = torch.stack([v.amin(1, keepdim=True) for v in both]).amin(0)
        highest = torch.stack([v.amax(1, keepdim=True) for v in both]).amax(0)
        center = lowest / 2 + highest / 2
        both = [vectors - center for vectors in both]
        lengths = torch.cat([_length(vectors) for vectors in both], 1)
        longest = lengths.amax(1, keepdim=True)
        both = [_whole(vectors, longest) for vectors in both]
        base = base - both[-1].square().sum(-1)
        return _Tables(both[0], both[-1], base, 2)
    return _Tables(both[0], both[-1], base, 1)


def _length(vectors: Tensor) -> Tensor:
    return torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)


def _whole(vectors: Tensor, longest: Tensor) -> Tensor:
    """Integer vectors, of which the longest has a length near _LENGTH.

    The factor is a power of 2: whole numbers keep equal distances, and the order of the
    sum that is a length leaves no trace.
    """
    longest = torch.where(longest > 0, longest, 1.0)
    power = longest / longest.frexp().mantissa
    return (vectors * (_LENGTH / power)).round_()


def _unit(vectors: Tensor, largest: Tensor) -> Tensor:
    """Integer vectors of length _LENGTH; the largest component is that of `largest`.

    Their lengths, too, come from sums of integers, which no order of summation changes.
    """
    n_dims = vectors.shape[-1]
    bits = (52 - (n_dims - 1).bit_length()) // 2
    factor = 2.0**bits / torch.where(largest > 0, largest, 1.0)
    whole = (vectors * factor).round_()
    return (whole * (_LENGTH / _length(whole).clamp(min=1.0))).round_()
