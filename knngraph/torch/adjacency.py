"""The graph of the k nearest neighbors as a sparse tensor, exact, on any device."""

import math
import warnings
from collections.abc import Iterator
from typing import Any

import torch
from torch.utils.checkpoint import checkpoint

METRICS = ("euclidean", "cosine")
MODES = ("connectivity", "distance")
LAYOUTS = ("coo", "csr", "edge_index")
# Bytes that the distances of a block of rows, and what finds the least, may take.
_BLOCK_BYTES = 128 * 2**20
_COPIES_OF_A_BLOCK = 4
# More than k, so that rounding of the product pushes few neighbors off a list.
_SPARE = 8


def knn_adjacency(
    x: torch.Tensor,
    n_neighbors: int,
    *,
    metric: str = "euclidean",
    mode: str = "connectivity",
    symmetric: bool = False,
    layout: str = "coo",
    block_size: int | None = None,
) -> Any:
    """Graph of the k nearest neighbors of every row, as a sparse tensor.

    The search is exact and without gradient; distances have one. Entry (i, j) says
    that row i lists row j. No row lists itself; copies of it are neighbors like any
    other. Of rows equally far the first is listed.

    Parameters
    ----------
    x : Tensor of shape (n_rows, n_features)
        Finite numbers of any type, on any device.
    n_neighbors : int
        Number of neighbors; fewer where there are fewer rows.
    metric : {"euclidean", "cosine"}, default="euclidean"
        With "cosine" the distance is one minus the cosine, and 1/2 between a row of
        zeros and any other.
    mode : {"connectivity", "distance"}, default="connectivity"
        Whether an entry is one, or the distance.
    symmetric : bool, default=False
        Whether an edge is there in both directions where either row lists the other.
    layout : {"coo", "csr", "edge_index"}, default="coo"
        A coalesced COO tensor, a CSR tensor, or the two tensors of PyTorch Geometric.
    block_size : int or None, default=None
        Rows that are searched at once. None takes as many as keep a block within
        128 MiB. It changes no answer.

    Returns
    -------
    Tensor of shape (n_rows, n_rows), sparse
        Columns ascend in every row. Values are of the type of `x`, or float32 where
        that is half precision, and of the default type where it is no float.
    (edge_index, edge_weight)
        With layout="edge_index": tensors of shape (2, n_edges), int64, and
        (n_edges,). As in `torch_geometric.nn.knn_graph` an edge points from the
        neighbor, `edge_index[0]`, to the row that lists it, `edge_index[1]`.

    See Also
    --------
    knngraph.knn_adjacency : The same for arrays, and approximate for many rows.

    Notes
    -----
    Squared distances are compared by one product of matrices a block,
    q·q - 2 q·c + c·c, of centered rows in double precision (single on Apple's
    devices, which have no double). The candidates are measured again from differences
    of coordinates; so is every row for which rounding of the product may have cost a
    neighbor. Time is that of n_rows² products, memory a copy of `x` in double
    precision, one block, and the edges.

    The gradient of the distance between copies is zero, where it has none.

    Examples
    --------
    >>> import torch
    >>> from knngraph.torch import knn_adjacency
    >>> x = torch.tensor([[0.0], [1.0], [5.0]])
    >>> knn_adjacency(x, 1, mode="distance").to_dense()
    tensor([[0., 1., 0.],
            [1., 0., 0.],
            [0., 4., 0.]])
    >>> edge_index, _ = knn_adjacency(x, 1, layout="edge_index")
    >>> edge_index
    tensor([[1, 0, 1],
            [0, 1, 2]])
    """
    _check(x, n_neighbors, metric, mode, layout, block_size)
    rows, unit = _prepared(x, metric)
    found = _nearest_others(rows.detach(), int(n_neighbors), block_size)
    row, column = _pairs(found, symmetric)
    value_type = _value_type(x)
    if mode == "connectivity":
        values = torch.ones(len(row), dtype=value_type, device=x.device)
    else:
        squared = _squared_distances(rows, row, column)
        values = 0.5 * squared if metric == "cosine" else unit * _root(squared)
        values = values.to(value_type)
    return _as_layout(row, column, values, len(x), layout)


def _check(
    x: torch.Tensor,
    n_neighbors: int,
    metric: str,
    mode: str,
    layout: str,
    block_size: int | None,
) -> None:
    if not isinstance(x, torch.Tensor) or x.layout != torch.strided:
        raise TypeError(f"x must be a dense tensor, not {type(x).__name__}")
    if x.ndim != 2 or x.is_complex():
        raise ValueError(
            f"x must hold real numbers in the shape (n_rows, n_features), not "
            f"{x.dtype} in the shape {tuple(x.shape)}"
        )
    options = {
        "metric": (metric, METRICS),
        "mode": (mode, MODES),
        "layout": (layout, LAYOUTS),
    }
    for name, (value, allowed) in options.items():
        if value not in allowed:
            raise ValueError(f"{name} must be one of {allowed}, not {value!r}")
    counts = {"n_neighbors": n_neighbors, "block_size": block_size}
    for name, count in counts.items():
        if name == "block_size" and count is None:
            continue
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise ValueError(f"{name} must be an integer from 1 on, not {count!r}")
    if not bool(torch.isfinite(x).all()):
        row = int((~torch.isfinite(x)).any(1).nonzero()[0])
        raise ValueError(
            f"x has numbers that are not finite, first in row {row}: fill them in or "
            "leave these rows out"
        )


def _value_type(x: torch.Tensor) -> torch.dtype:
    if not x.is_floating_point():
        return torch.get_default_dtype()
    return x.dtype if x.dtype in (torch.float32, torch.float64) else torch.float32


def _prepared(x: torch.Tensor, metric: str) -> tuple[torch.Tensor, float]:
    """Rows with Euclidean distances that, times a power of 2, are those of the metric.

    Multiplied by that power their squares stay in range. Only the gradient of the
    rows passes.
    """
    rows = x.to(torch.float32 if x.device.type == "mps" else torch.float64)
    if metric == "euclidean":
        largest = float(rows.detach().abs().max()) if rows.numel() else 0.0
        unit = 2.0 ** max(-1000, min(1000, math.frexp(largest)[1]))
        return rows / unit, unit
    largest = rows.detach().abs().amax(1, keepdim=True) if rows.numel() else rows
    rows = rows / torch.where(largest > 0, largest, 1.0)
    squared = rows.square().sum(1, keepdim=True)
    return rows / torch.where(squared > 0, squared, 1.0).sqrt(), 1.0


def _block_bounds(n: int, size: int) -> Iterator[tuple[int, int]]:
    for start in range(0, n, size):
        yield start, min(start + size, n)


def _block_of(n_numbers: int, rows: torch.Tensor, given: int | None = None) -> int:
    """Rows of a block in which every row needs so many numbers."""
    if given is not None:
        return given
    each = max(1, n_numbers) * rows.element_size() * _COPIES_OF_A_BLOCK
    return max(1, _BLOCK_BYTES // each)


@torch.no_grad()
def _nearest_others(rows: torch.Tensor, k: int, block_size: int | None) -> torch.Tensor:
    """The `k` nearest other rows of every row, nearest first; shape (n_rows, k)."""
    n_rows = len(rows)
    k = max(0, min(k, n_rows - 1))
    found = torch.empty((n_rows, k), dtype=torch.int64, device=rows.device)
    if k == 0:
        return found
    centered, rounding = _centered(rows)
    norms = centered.square().sum(1)
    n_seen = min(k + _SPARE, n_rows - 1)
    for start, stop in _block_bounds(n_rows, _block_of(n_rows, rows, block_size)):
        own = torch.arange(start, stop, device=rows.device)
        # Less the squared norm of the row, which leaves the order as it is.
        rough = torch.addmm(norms, centered[start:stop], centered.T, alpha=-2.0)
        rough[own - start, own] = math.inf
        seen = _smallest(rough, n_seen)
        found[start:stop], squared = _measured(rows, own, seen, k)
        if n_seen == n_rows - 1 or rounding == 0.0:
            continue
        # A row left out that is as near as the last one found is no farther from the
        # origin than this row and that distance.
        reach = (2.0 * norms[own].sqrt() + squared.sqrt()).square()
        least = rough.gather(1, seen[:, -1:]).squeeze(1) + norms[own]
        lost = own[least < squared + rounding * reach]
        for first, last in _block_bounds(len(lost), _block_of(n_rows, rows)):
            some = lost[first:last]
            found[some] = _by_differences(rows, some, n_seen, k)
    return found


def _centered(rows: torch.Tensor) -> tuple[torch.Tensor, float]:
    """Rows about their mean, and how far rounding may move a product of two."""
    center = rows.mean(0)
    # Products of few digits are exact, about a center of few digits too: then rows
    # equally far stay so. Whole numbers are such, after a power of two is taken out.
    step = 2.0 ** -(torch.finfo(rows.dtype).bits // 4)
    whole = bool((rows == (rows / step).round() * step).all())
    if whole:
        center = (center / step).round() * step
    centered = rows - center
    eps = torch.finfo(rows.dtype).eps
    rounding = (8.0 + rows.shape[1]) * eps
    exact = whole and rows.shape[1] / step**2 < 0.1 / eps
    return centered, 0.0 if exact else rounding


def _measured(
    rows: torch.Tensor, own: torch.Tensor, seen: torch.Tensor, k: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """The `k` nearest of the rows seen, and the squared distance to the last."""
    seen = seen.sort(1)[0]
    squared = torch.empty(seen.shape, dtype=rows.dtype, device=rows.device)
    size = _block_of(seen.shape[1] * rows.shape[1], rows)
    for start, stop in _block_bounds(len(own), size):
        difference = rows[seen[start:stop]] - rows[own[start:stop], None]
        squared[start:stop] = difference.square_().sum(2)
    order = _smallest(squared, k)
    return seen.gather(1, order), squared.gather(1, order[:, -1:]).squeeze(1)


def _smallest(numbers: torch.Tensor, k: int) -> torch.Tensor:
    """Columns of the `k` smallest numbers of every row, equal ones in their order.

    `torch.topk` keeps no order among equal numbers, and any of them at the end.
    """
    n = numbers.shape[1]
    least, columns = numbers.topk(min(k + 1, n), dim=1, largest=False)
    columns = columns[:, :k]
    tied = (least[:, 1:] == least[:, :-1]).any(1)
    if not bool(tied.any()):
        return columns
    numbers, last = numbers[tied], least[tied, k - 1 : k]
    place = torch.arange(n, device=numbers.device)
    ranks = torch.where(numbers < last, place, place + n)
    ranks = torch.where(numbers > last, 2 * n, ranks)
    chosen = (ranks.topk(k, dim=1, largest=False)[0] % n).sort(1)[0]
    order = numbers.gather(1, chosen).sort(dim=1, stable=True)[1]
    columns[tied] = chosen.gather(1, order)
    return columns


def _by_differences(
    rows: torch.Tensor, own: torch.Tensor, n_seen: int, k: int
) -> torch.Tensor:
    """The `k` nearest others of some rows, by no product of matrices."""
    away = torch.cdist(rows[own], rows, compute_mode="donot_use_mm_for_euclid_dist")
    away[torch.arange(len(own), device=rows.device), own] = math.inf
    return _measured(rows, own, _smallest(away, n_seen), k)[0]


def _pairs(found: torch.Tensor, symmetric: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows and columns of the entries, sorted by row and then by column."""
    n_rows, k = found.shape
    row = torch.arange(n_rows, device=found.device).repeat_interleave(k)
    column = found.sort(1)[0].flatten()
    if symmetric:
        keys = torch.cat([row * n_rows + column, column * n_rows + row]).unique()
        row, column = keys // n_rows, keys % n_rows
    return row, column


def _squared_distances(
    rows: torch.Tensor, row: torch.Tensor, column: torch.Tensor
) -> torch.Tensor:
    """Of pairs of rows, in blocks that the backward pass computes again."""

    def of_block(rows: torch.Tensor, start: int, stop: int) -> torch.Tensor:
        difference = rows[row[start:stop]] - rows[column[start:stop]]
        return difference.square().sum(1)

    parts = [
        checkpoint(of_block, rows, start, stop, use_reentrant=False)
        for start, stop in _block_bounds(len(row), _block_of(rows.shape[1], rows))
    ]
    return torch.cat(parts) if parts else rows.new_empty(0)


def _root(squared: torch.Tensor) -> torch.Tensor:
    """The square root, with the derivative zero at zero."""
    apart = squared > 0
    return torch.where(apart, torch.where(apart, squared, 1.0).sqrt(), 0.0)


def _as_layout(
    row: torch.Tensor,
    column: torch.Tensor,
    values: torch.Tensor,
    n_rows: int,
    layout: str,
) -> Any:
    if layout == "edge_index":
        return torch.stack([column, row]), values
    shape = (n_rows, n_rows)
    if layout == "coo":
        return torch.sparse_coo_tensor(
            torch.stack([row, column]),
            values,
            shape,
            is_coalesced=True,
            check_invariants=False,
        )
    ends = torch.searchsorted(row, torch.arange(n_rows + 1, device=row.device))
    with warnings.catch_warnings():
        # That the layout is in beta is said once in every process.
        warnings.filterwarnings("ignore", message=".*beta state")
        return torch.sparse_csr_tensor(
            ends, column, values, shape, check_invariants=False
        )
