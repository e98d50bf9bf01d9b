"""Which positions of an image are neighbors of which: the choice under every layer."""

from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional

from knngraph.torch.positions import Grid, candidate_positions, nearest_offsets
from knngraph.torch.ranking import MOST_CANDIDATES, nearest

COMPARED = ("features", "location", "hybrid")
DISTANCES = ("cosine", "euclidean")
CANDIDATES = ("all", "random", "grid")


@dataclass(frozen=True)
class NeighborOptions:
    """How neighbors are chosen; see `neighbor_indices` for every option."""

    n_neighbors: int
    n_dims: int
    compare: str = "features"
    distance: str = "cosine"
    location_weight: float = 0.5
    candidates: str = "all"
    n_candidates: int | None = None
    seed: int = 0
    stride: tuple[int, ...] = (1, 1)
    padding: tuple[int, ...] = (0, 0)
    dilation: tuple[int, ...] = (1, 1)
    block_size: int | None = None
    # Steps to the neighbors by location, without dilation.
    offsets: tuple[tuple[int, ...], ...] = field(init=False, default=())

    def __post_init__(self) -> None:
        """Check the options against one another."""
        for name, allowed in (
            ("compare", COMPARED),
            ("distance", DISTANCES),
            ("candidates", CANDIDATES),
        ):
            if getattr(self, name) not in allowed:
                raise ValueError(
                    f"{name}={getattr(self, name)!r} is not one of {allowed}"
                )
        check_count("n_neighbors", self.n_neighbors)
        if self.block_size is not None:
            check_count("block_size", self.block_size)
        if (self.candidates == "all") != (self.n_candidates is None):
            raise ValueError(
                f"n_candidates={self.n_candidates} with candidates="
                f"{self.candidates!r}: a number belongs to 'random' and 'grid'"
            )
        if self.n_candidates is not None:
            self._check_candidates(self.n_candidates)
        if not self.located and len(set(self.dilation)) > 1:
            raise ValueError(
                f"dilation={self.dilation} must be one number unless "
                "compare='location': every dilation-th neighbor by rank is taken"
            )
        if self.located:
            offsets = nearest_offsets(self.n_neighbors, self.n_dims)
            object.__setattr__(self, "offsets", offsets)
        if self.located and max(self.dilation) > 1 and not self.is_convolution:
            raise ValueError(
                f"dilation={self.dilation} with compare='location' needs "
                f"candidates='all' and a padding of at least {self.reach}, "
                f"got padding={self.padding}"
            )

    def _check_candidates(self, n_candidates: int) -> None:
        check_count("n_candidates", n_candidates)
        if n_candidates < self.n_ranked:
            raise ValueError(
                f"n_candidates={n_candidates} is less than the {self.n_ranked} that "
                f"n_neighbors={self.n_neighbors} needs"
            )
        side = round(n_candidates ** (1 / self.n_dims))
        if self.candidates == "grid" and side**self.n_dims != n_candidates:
            raise ValueError(
                f"n_candidates={n_candidates} is no square number: candidates='grid' "
                f"takes as many rows as columns, try {side**self.n_dims}"
            )

    @property
    def located(self) -> bool:
        return self.compare == "location"

    @property
    def n_ranked(self) -> int:
        """Number of candidates that are ranked, the position itself included."""
        return (self.n_neighbors - 1) * self.n_skipped + 1

    @property
    def n_skipped(self) -> int:
        """Every so many-th neighbor by rank is taken."""
        return 1 if self.located else self.dilation[0]

    @property
    def reach(self) -> tuple[int, ...]:
        """Steps to the farthest neighbor by location, in every dimension."""
        return tuple(
            d * max(abs(step) for step in axis)
            for d, axis in zip(self.dilation, zip(*self.offsets))
        )

    @property
    def is_convolution(self) -> bool:
        """Whether every position has the same neighbors, seen from it."""
        return (
            self.located
            and self.candidates == "all"
            and all(p >= r for p, r in zip(self.padding, self.reach))
        )

    @property
    def searched_padding(self) -> tuple[int, ...]:
        """Cells around the image that can be neighbors: none but for locations."""
        return self.padding if self.located else (0,) * self.n_dims


def check_count(name: str, value: int) -> None:
    """Raise unless a number is a positive integer."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{name}={value!r} must be an integer of at least 1")


def neighbor_indices(
    x: Tensor,
    n_neighbors: int,
    *,
    compare: str = "features",
    distance: str = "cosine",
    candidates: str = "all",
    n_candidates: int | None = None,
    location_weight: float = 0.5,
    seed: int = 0,
    block_size: int | None = None,
) -> Tensor:
    """Choose the nearest neighbors of every position of images or sequences.

    No gradient passes through the choice. It is exact, and the same in any batch, in
    blocks of any size, on the CPU and on a GPU: scores are computed in double
    precision, whatever the precision of `x`, from vectors rounded to about single
    precision. Among equal scores the lowest position comes first.

    Parameters
    ----------
    x : Tensor of shape (B, C, N) or (B, C, H, W)
    n_neighbors : int
        Number K of neighbors, the position itself among them.
    compare : {"features", "location", "hybrid"}, default="features"
        What is compared: the channels x_i of a position; its coordinates p_i, from -1
        to 1 along the longest side; or both, as
        [(1 - w) x_i / (sd + 1e-6) ; w p_i], where sd is the standard deviation of all
        numbers of the image and w is `location_weight`.
    distance : {"cosine", "euclidean"}, default="cosine"
        Locations alone are compared by their Euclidean distance always.
    candidates : {"all", "random", "grid"}, default="all"
        Positions that can be neighbors; the position itself always is one.
    n_candidates : int or None, default=None
        Number of random positions, or of those of an even grid in all, which is a
        square number for images. Fewer where the image has fewer.
    location_weight : float, default=0.5
    seed : int, default=0
        Of the random positions.
    block_size : int or None, default=None
        Number of positions that are compared with all candidates at once; None
        follows from a bound on memory. It changes no result.

    Returns
    -------
    Tensor of shape (B, N, K) or (B, H * W, K), int64
        Positions in row-major order: the position itself, then by rank. Neighbors by
        location come in ascending order of their positions.

    Notes
    -----
    A position with a number that is not finite is chosen last, and its own neighbors
    are itself and the candidates at the lowest positions.

    Examples
    --------
    >>> import torch
    >>> from knngraph.torch import neighbor_indices
    >>> x = torch.tensor([[[0.0, 5.0, 1.0, 6.0]]])
    >>> neighbor_indices(x, 2, distance="euclidean")
    tensor([[[0, 2],
             [1, 3],
             [2, 0],
             [3, 1]]])
    """
    n_dims = x.ndim - 2
    if n_dims not in (1, 2):
        raise ValueError(
            f"x has {x.ndim} dimensions; it must be (B, C, N) or (B, C, H, W)"
        )
    options = NeighborOptions(
        n_neighbors=n_neighbors,
        n_dims=n_dims,
        compare=compare,
        distance=distance,
        location_weight=location_weight,
        candidates=candidates,
        n_candidates=n_candidates,
        seed=seed,
        stride=(1,) * n_dims,
        padding=(0,) * n_dims,
        dilation=(1,) * n_dims,
        block_size=block_size,
    )
    grid = Grid(tuple(x.shape[2:]), options.padding, x.device)
    return choose(x.flatten(2).mT, grid, options)


def choose(
    rows: Tensor,
    grid: Grid,
    options: NeighborOptions,
    *,
    location_weight: Tensor | float | None = None,
    draw: Tensor | int = 0,
) -> Tensor:
    """Positions of the neighbors of every strided position.

    Parameters
    ----------
    rows : Tensor of shape (B, N, C)
        Features of all positions.
    grid : Grid
        Of the N positions, without padding.
    options : NeighborOptions
    location_weight : Tensor of shape () or float or None, default=None
        In place of the one of the options.
    draw : Tensor of shape () or int, default=0
        Number of the draw of random candidates.

    Returns
    -------
    Tensor of shape (B, Q, K), int64
        Positions of `grid`; for locations, of the padded grid.
    """
    _check_sizes(grid, options)
    queries = grid.strided(options.stride)
    if options.located:
        index = _nearest_by_location(grid, queries, options, draw)
        return index.expand(rows.shape[0], -1, -1)
    if options.n_neighbors == 1:
        return queries.unsqueeze(-1).expand(rows.shape[0], -1, 1)
    compared = rows.detach()
    if options.compare == "hybrid":
        weight = options.location_weight if location_weight is None else location_weight
        compared = _hybrid_for_search(compared, grid, weight)
    return _nearest_by_rank(compared, grid, queries, options, draw)


def compared_features(
    rows: Tensor, grid: Grid, options: NeighborOptions, location_weight: Tensor | float
) -> Tensor:
    """The vectors that are compared, with gradients, as (B, N, D)."""
    rows = rows.to(torch.promote_types(rows.dtype, torch.float32))
    if options.compare == "features":
        return rows
    coordinates = grid.coordinates().to(rows.dtype).expand(rows.shape[0], -1, -1)
    features = (1 - location_weight) * rows / (_deviation(rows) + 1e-6)
    return torch.cat([features, location_weight * coordinates], -1)


def _hybrid_for_search(rows: Tensor, grid: Grid, weight: Tensor | float) -> Tensor:
    """Features and locations in one vector, in units of a step of the grid.

    The unit keeps steps whole, so that equal distances of locations stay equal.
    """
    if isinstance(weight, Tensor):
        weight = weight.detach()
    wide = torch.promote_types(rows.dtype, torch.float32)
    double = wide if rows.device.type == "mps" else torch.float64
    # Rounded, so that the order of the sums leaves no trace.
    sd = _deviation(rows.to(double)).to(torch.float32)
    steps = grid.steps().to(wide).expand(rows.shape[0], -1, -1)
    features = (1 - weight) * grid.half_length() * (rows.to(wide) / (sd + 1e-6))
    return torch.cat([features, weight * steps], -1)


def _deviation(rows: Tensor) -> Tensor:
    """Standard deviation of all numbers of an image, as (B, 1, 1).

    Positions with a number that is not finite do not count. It has a gradient of zero
    where it is zero.
    """
    finite = rows.isfinite().all(-1, keepdim=True)
    n_numbers = finite.sum(1, keepdim=True).to(rows.dtype) * rows.shape[2]
    known = torch.where(finite, rows, 0.0)
    mean = known.sum((1, 2), keepdim=True) / n_numbers.clamp(min=1)
    apart = torch.where(finite, known - mean, 0.0)
    length = torch.linalg.vector_norm(apart, dim=(1, 2), keepdim=True)
    return length / (n_numbers - 1).clamp(min=1).sqrt()


def _nearest_by_rank(
    compared: Tensor,
    grid: Grid,
    queries: Tensor,
    options: NeighborOptions,
    draw: Tensor | int,
) -> Tensor:
    """The position itself, then the nearest others by rank; (B, Q, K)."""
    every = options.candidates == "all"
    strided = options.located or max(options.stride) > 1
    asked = compared[:, queries] if strided else compared
    offered: Tensor | None
    if every:
        offered, own = compared if strided else None, queries
    else:
        positions = candidate_positions(
            grid, options.candidates, options.n_candidates or 0, options.seed, draw
        )
        offered, own = compared[:, positions], column_of(positions, queries)
    others = nearest(
        asked,
        offered,
        options.n_ranked - 1,
        distance="euclidean" if options.located else options.distance,
        own=own,
        block_size=options.block_size,
    )
    skip = options.n_skipped
    others = others[..., skip - 1 :: skip]
    if not every:
        others = positions[others]
    first = queries[:, None].expand(compared.shape[0], -1, 1)
    return torch.cat([first, others], -1)


def _nearest_by_location(
    grid: Grid, queries: Tensor, options: NeighborOptions, draw: Tensor | int
) -> Tensor:
    """Neighbors of one image by location, in ascending order; (1, Q, K)."""
    cells = grid.padded
    queries = grid.in_padded(queries)
    if options.is_convolution:
        slots = []
        for step in options.offsets:
            flat = 0
            for n, s, d in zip(cells.size, step, options.dilation):
                flat = flat * n + s * d
            slots.append(queries + flat)
        return torch.stack(slots, -1).unsqueeze(0)
    index = _nearest_by_rank(cells.steps()[None], cells, queries, options, draw)
    return index.sort(-1).values


def column_of(positions: Tensor, queries: Tensor) -> Tensor:
    """Where queries are in ascending positions; their number where they are not."""
    n_positions = positions.shape[0]
    place = torch.searchsorted(positions, queries)
    there = positions[place.clamp(max=n_positions - 1)] == queries
    return torch.where(there, place, n_positions)


def _check_sizes(grid: Grid, options: NeighborOptions) -> None:
    searched = Grid(grid.size, options.searched_padding, grid.device).padded
    n_positions = searched.n_positions
    if n_positions < options.n_ranked:
        size = " x ".join(str(n) for n in searched.size)
        raise ValueError(
            f"n_neighbors={options.n_neighbors} needs {options.n_ranked} positions, "
            f"but {size} has {n_positions}: take fewer neighbors or a larger input"
        )
    if options.candidates == "all" and n_positions > MOST_CANDIDATES:
        raise ValueError(
            f"an input of {n_positions} positions has more than {MOST_CANDIDATES} "
            "candidates: take candidates='random' or 'grid'"
        )


def pad_cells(x: Tensor, padding: tuple[int, ...]) -> Tensor:
    """Zero cells around images or sequences."""
    if not any(padding):
        return x
    return functional.pad(x, [p for n in reversed(padding) for p in (n, n)])
