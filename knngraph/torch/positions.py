"""Positions of an image or a sequence: coordinates, queries, candidates, kernels."""

from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

# A prime below 2^31, so that products with small factors stay within int64.
_PRIME = 2**31 - 1
_FACTORS = (48271, 69621, 40692)


@dataclass(frozen=True)
class Grid:
    """Positions in row-major order, with cells of padding around them.

    Parameters
    ----------
    size : tuple of int
        Length, or height and width, without padding.
    padding : tuple of int
        Cells on either side, for every dimension.
    device : torch.device
    """

    size: tuple[int, ...]
    padding: tuple[int, ...]
    device: torch.device

    @property
    def padded(self) -> "Grid":
        """The grid of all cells, those of the padding too."""
        size = tuple(n + 2 * p for n, p in zip(self.size, self.padding))
        return Grid(size, (0,) * len(size), self.device)

    @property
    def n_positions(self) -> int:
        n_positions = 1
        for n in self.size:
            n_positions = n_positions * n
        return n_positions

    def steps(self) -> Tensor:
        """Steps from the middle, as (N, d) in double precision: x, then y."""
        axes = [
            torch.arange(n, device=self.device, dtype=torch.float32) - (n - 1) / 2
            for n in self.size
        ]
        meshed = torch.meshgrid(*axes, indexing="ij")
        return torch.stack([axis.flatten() for axis in reversed(meshed)], -1)

    def half_length(self) -> float:
        """Steps from the middle to the end of the longest side, with padding."""
        longest = self.padded.size[0]
        for n in self.padded.size[1:]:
            longest = torch.sym_max(longest, n)
        return torch.sym_max(longest - 1, 1) / 2

    def coordinates(self) -> Tensor:
        """Coordinates as (N, d): x, then y.

        The longest side runs from -1 to 1, with its padding; cells are square.
        """
        return self.steps() / self.half_length()

    def strided(self, stride: tuple[int, ...]) -> Tensor:
        """Positions of every stride-th cell, the first one included."""
        positions = torch.zeros(1, device=self.device, dtype=torch.int64)
        for n, step in zip(self.size, stride):
            axis = torch.arange(0, n, step, device=self.device)
            positions = (positions[:, None] * n + axis).flatten()
        return positions

    def in_padded(self, positions: Tensor) -> Tensor:
        """The same cells as positions of the padded grid."""
        moved = torch.zeros_like(positions)
        factor = 1
        for n, p in zip(reversed(self.size), reversed(self.padding)):
            moved = moved + (positions % n + p) * factor
            positions = positions // n
            factor = factor * (n + 2 * p)
        return moved


def candidate_positions(
    grid: Grid, kind: str, number: int, seed: int, draw: Tensor | int = 0
) -> Tensor:
    """Positions in ascending order that may be chosen as neighbors.

    Parameters
    ----------
    grid : Grid
    kind : {"all", "random", "grid"}
    number : int
        At least this many where the grid has them: random positions, or those of an
        even grid in all.
    seed : int
    draw : Tensor of shape () or int, default=0
        Number of the draw: the same seed and number give the same positions, on any
        device.

    Returns
    -------
    Tensor of shape (M,), int64
    """
    if kind == "grid":
        side = round(number ** (1 / len(grid.size)))
        positions = torch.zeros(1, device=grid.device, dtype=torch.int64)
        for n in grid.size:
            n_cells = torch.sym_min(side, n)
            axis = torch.arange(n_cells, device=grid.device)
            # The middle of each of equal parts.
            axis = ((2 * axis + 1) * n) // (2 * n_cells)
            positions = (positions[:, None] * n + axis).flatten()
        return positions
    positions = torch.arange(grid.n_positions, device=grid.device)
    if kind == "all":
        return positions
    mixed = positions
    for factor in _FACTORS:
        mixed = (mixed * factor + draw + seed) % _PRIME
        mixed = mixed ^ (mixed >> 13)
    # No two of these are equal.
    keys = mixed * 2**31 + positions
    first = keys.topk(torch.sym_min(number, grid.n_positions), largest=False).indices
    return first.sort().values


def nearest_offsets(n_neighbors: int, n_dims: int) -> tuple[tuple[int, ...], ...]:
    """Steps to the nearest cells in ascending order of position, (dy, dx) each.

    Of cells at one distance those at the lowest positions come first, so that the
    steps are the same from every cell.
    """
    reach = 0
    while (reach + 1) ** n_dims < 4 * n_neighbors:
        reach += 1
    steps = product(range(-reach, reach + 1), repeat=n_dims)
    by_distance = sorted(steps, key=lambda step: (sum(s * s for s in step), step))
    return tuple(sorted(by_distance[:n_neighbors]))
