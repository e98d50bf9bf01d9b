"""Cells of near rows: a partition by k-means in two levels, then moves at the borders.

Rows near one another come to lie together, so that near rows are found by products
of few small matrices (`near_rows.py`).

References
----------
Lloyd (1982), "Least squares quantization in PCM", IEEE Transactions on Information
Theory 28, 129-137.
Jegou, Douze and Schmid (2011), "Product quantization for nearest neighbor search",
IEEE TPAMI 33, 117-128 (cells of a coarse quantizer, of which a search reads the
nearest).
"""

from dataclasses import dataclass
from math import isqrt

import numpy as np

from knngraph.parallel import map_chunks

ROWS_PER_CELL = 64
# Cells that are looked at for a row of a cell, itself among them, when it moves and
# when its neighbors are listed.
_NEAR_TO_MOVE, _NEAR = 32, 512
# Cells among which the near ones of a cell are looked for: of so many near groups.
_NEAR_GROUPS, _FEWEST_AMONG = 16, 2048
# Rows that one group of cells is enough for.
_ROWS_OF_ONE_GROUP = 4096
_SAMPLED_PER_GROUP = 128
_ROUNDS_OF_GROUPS, _ROUNDS_OF_CELLS, _ROUNDS_OF_MOVES = 5, 4, 1
_WIDE = 8
# Smaller cells join others, and larger ones are cut.
_FEWEST, _MOST = 12, 160
_ROWS_PER_CHUNK = 8192
_CELLS_IN_ANY_ORDER = 4
# Squares of larger numbers may not be finite.
_LARGEST = np.float32(2.0**56)


@dataclass(frozen=True, eq=False)
class Cells:
    """A partition of rows into cells of near rows.

    Parameters
    ----------
    order : ndarray of shape (n_rows,), int32
        The rows in the order of their cells.
    starts : ndarray of shape (n_cells + 1,), int32
        Where in that order every cell starts; none is empty.
    centers : ndarray of shape (n_cells, n_features), float32
        About the mean of the rows of every cell.
    near : ndarray of shape (n_cells, n_near), int32
        Cells with the nearest centers, the cell itself first; -1 where there are no
        more.
    """

    order: np.ndarray
    starts: np.ndarray
    centers: np.ndarray
    near: np.ndarray


def group_rows(points: np.ndarray, *, n_threads: int = 1) -> Cells:
    """Group rows into cells of about 64 near rows.

    Parameters
    ----------
    points : ndarray of shape (n_rows, n_features), float32
        At least one row.
    n_threads : int, default=1
        Changes no bit of the result.

    Returns
    -------
    Cells

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.index.cells import group_rows
    >>> points = np.random.default_rng(0).random((1000, 2), dtype=np.float32)
    >>> cells = group_rows(points)
    >>> bool((np.sort(cells.order) == np.arange(1000)).all())
    True
    >>> first = points[cells.order[: cells.starts[1]]]
    >>> bool(first.var() < 0.1 * points.var())
    True
    """
    from knngraph.index import _cells

    if np.abs(points).max() > _LARGEST:
        points = points.clip(-_LARGEST, _LARGEST)
    n_rows = len(points)
    groups, group_centers = _groups(points, n_threads)
    order = np.argsort(groups, kind="stable").astype(np.int32)
    stops = np.cumsum(np.bincount(groups, minlength=len(group_centers)))
    del groups
    rows = points[order]
    cells = np.empty(n_rows, dtype=np.int32)

    def cut(group: int, _: int) -> np.ndarray:
        start = stops[group - 1] if group else 0
        own = slice(start, stops[group])
        labels, centers = _cut(rows[own] - group_centers[group])
        cells[own] = labels
        return centers + group_centers[group]

    parts: list[np.ndarray] = map_chunks(cut, len(stops), 1, n_threads)
    sizes = np.array([len(part) for part in parts])
    of_group = np.repeat(np.arange(len(parts)), sizes)
    first = np.concatenate([[0], np.cumsum(sizes)])
    for group, stop in enumerate(stops):
        cells[stops[group - 1] if group else 0 : stop] += first[group]
    centers = np.concatenate(parts).astype(np.float32)

    def moved(among: np.ndarray) -> np.ndarray:
        found = np.empty_like(cells)

        def move(start: int, stop: int) -> None:
            _cells.move_to_nearest(
                rows[start:stop], cells[start:stop], centers, among, found[start:stop]
            )

        map_chunks(move, n_rows, _ROWS_PER_CHUNK, n_threads)
        return found

    def reassign(group: int, _: int) -> None:
        start = stops[group - 1] if group else 0
        own = slice(start, stops[group])
        away = group_centers - group_centers[group]
        away = np.einsum("ij,ij->i", away, away)
        groups = np.argsort(away, kind="stable")[:_WIDE]
        others = np.concatenate([np.arange(first[g], first[g + 1]) for g in groups])
        middle = group_centers[group]
        cells[own] = others[_nearest(rows[own] - middle, centers[others] - middle)]

    map_chunks(reassign, len(stops), 1, n_threads)
    centers, _ = _means(rows, cells, centers)
    for _ in range(_ROUNDS_OF_MOVES):
        near = _near_cells(centers, of_group, group_centers, n_threads, _NEAR_TO_MOVE)
        cells = moved(near)
        centers, _ = _means(rows, cells, centers)
    cells, centers, of_group = _cut_large(rows, cells, centers, of_group)
    sizes = np.bincount(cells, minlength=len(centers))
    small = sizes < min(_FEWEST, n_rows)
    if small.any() and not small.all():
        # Rows of small cells go to a near cell that stays; its center stays too.
        near = _near_cells(
            centers, of_group, group_centers, n_threads, _NEAR_TO_MOVE, ~small
        )
        leave = np.flatnonzero(small[cells])
        found = np.empty(len(leave), dtype=np.int32)
        target = near[:, 0].copy()
        at_target = target[cells[leave]]
        _cells.move_to_nearest(rows[leave], at_target, centers, near, found)
        cells[leave] = found
    stays = np.bincount(cells, minlength=len(centers)) > 0
    in_line = np.flatnonzero(stays)
    in_line = in_line[_halved(centers[in_line])]
    number = np.empty(len(stays), dtype=np.int32)
    number[in_line] = np.arange(len(in_line))
    centers, of_group = centers[in_line], of_group[in_line]
    cells = number[cells]
    in_cells = np.argsort(cells, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(cells))]).astype(np.int32)
    near = _near_cells(centers, of_group, group_centers, n_threads, _NEAR)
    return Cells(order[in_cells], starts, centers, near)


def _groups(points: np.ndarray, n_threads: int) -> tuple[np.ndarray, np.ndarray]:
    """The group of every row, by k-means of a sample, and the centers of groups."""
    n_rows = len(points)
    n_groups = isqrt(max(1, n_rows // ROWS_PER_CELL))
    if n_rows <= _ROWS_OF_ONE_GROUP:
        return np.zeros(n_rows, dtype=np.int32), points[:1] * np.float32(0.0)
    sample = points[:: max(1, n_rows // (_SAMPLED_PER_GROUP * n_groups))]
    middle = sample.mean(axis=0)
    centers = _k_means(sample - middle, n_groups, _ROUNDS_OF_GROUPS)
    groups = np.empty(n_rows, dtype=np.int32)

    def assign(start: int, stop: int) -> None:
        groups[start:stop] = _nearest(points[start:stop] - middle, centers)

    map_chunks(assign, n_rows, _ROWS_PER_CHUNK, n_threads)
    return groups, centers + middle


def _cut(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cells of a group: number of the cell of every row, and the centers."""
    if not len(rows):
        return np.empty(0, dtype=np.int32), rows
    middle = rows.mean(axis=0)
    rows = rows - middle
    centers = _k_means(rows, -(-len(rows) // ROWS_PER_CELL), _ROUNDS_OF_CELLS)
    return _nearest(rows, centers), centers + middle


def _k_means(rows: np.ndarray, n_centers: int, n_rounds: int) -> np.ndarray:
    """Centers of k-means, from evenly picked rows."""
    picked = np.linspace(0, len(rows), n_centers, endpoint=False).astype(np.intp)
    centers = rows[picked]
    for _ in range(n_rounds if n_centers > 1 else 1):
        centers, _ = _means(rows, _nearest(rows, centers), centers)
    return centers


def _nearest(rows: np.ndarray, centers: np.ndarray) -> np.ndarray:
    """Number of the nearest center of every row."""
    half_norms = 0.5 * np.einsum("ij,ij->i", centers, centers)
    return (half_norms - rows @ centers.T).argmin(axis=1).astype(np.int32)


def _means(
    rows: np.ndarray, cells: np.ndarray, centers: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Means of the rows of cells, and their numbers; an empty one keeps its center."""
    from scipy.sparse import csc_array

    n_rows, n_cells = len(rows), len(centers)
    ones = np.ones(n_rows, dtype=np.float32)
    sums = csc_array((ones, cells, np.arange(n_rows + 1)), (n_cells, n_rows)) @ rows
    sizes = np.bincount(cells, minlength=n_cells)
    some = sizes > 0
    means = centers.copy()
    means[some] = sums[some] / sizes[some, None].astype(np.float32)
    return means, sizes


def _cut_large(
    rows: np.ndarray, cells: np.ndarray, centers: np.ndarray, of_group: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cut cells that have many rows, by the place of these rows if by nothing else."""
    sizes = np.bincount(cells, minlength=len(centers))
    large = np.flatnonzero(sizes > _MOST)
    if not len(large):
        return cells, centers, of_group
    members = np.flatnonzero((sizes > _MOST)[cells])
    members = members[np.argsort(cells[members], kind="stable")]
    parts, groups, n_cells = [centers], [of_group], len(centers)
    stops = np.cumsum(sizes[large])
    for cell, start, stop in zip(large, stops - sizes[large], stops):
        own = members[start:stop]
        labels, found = _cut(rows[own] - centers[cell])
        if np.bincount(labels).max() > _MOST:
            # Rows that k-means does not part: equal but for rounding.
            labels = np.arange(len(own)) // ROWS_PER_CELL
            found = np.zeros((labels[-1] + 1, rows.shape[1]), dtype=np.float32)
        cells[own] = n_cells + labels
        parts.append(found + centers[cell])
        groups.append(np.full(len(found), of_group[cell]))
        n_cells += len(found)
    return cells, np.concatenate(parts), np.concatenate(groups)


def _halved(centers: np.ndarray) -> np.ndarray:
    """An order of cells in which near ones are near: halves of halves."""
    parts, done = [np.arange(len(centers))], []
    while parts:
        part = parts.pop()
        if len(part) <= _CELLS_IN_ANY_ORDER:
            done.append(part)
            continue
        some = centers[part]
        one = some[_squares(some - some[0]).argmax()]
        other = some[_squares(some - one).argmax()]
        middle = len(part) // 2
        along = np.argpartition(some @ (other - one), middle)
        parts += [part[along[middle:]], part[along[:middle]]]
    return np.concatenate(done)


def _squares(rows: np.ndarray) -> np.ndarray:
    return np.einsum("ij,ij->i", rows, rows)


def _near_cells(
    centers: np.ndarray,
    of_group: np.ndarray,
    group_centers: np.ndarray,
    n_threads: int,
    n_near: int,
    wanted: np.ndarray | None = None,
) -> np.ndarray:
    """The nearest cells of every cell, nearest first, the cell itself before all."""
    n_cells = len(centers)
    near = np.full((n_cells, min(n_near, n_cells)), -1, dtype=np.int32)
    by_group = np.argsort(of_group, kind="stable")
    sizes = np.bincount(of_group, minlength=len(group_centers))
    starts = np.concatenate([[0], np.cumsum(sizes)])

    def find(group: int, _: int) -> None:
        own = by_group[starts[group] : starts[group + 1]]
        if not len(own):
            return
        away = group_centers - group_centers[group]
        groups = np.einsum("ij,ij->i", away, away).argsort(kind="stable")
        enough = int(np.searchsorted(np.cumsum(sizes[groups]), _FEWEST_AMONG)) + 1
        others = np.concatenate(
            [
                by_group[starts[g] : starts[g + 1]]
                for g in groups[: max(_NEAR_GROUPS, enough)]
            ]
        )
        if wanted is not None:
            others = others[wanted[others]]
        # In double precision: groups may lie far apart.
        some = (centers[others] - group_centers[group]).astype(np.float64)
        mine = (centers[own] - group_centers[group]).astype(np.float64)
        squared = np.einsum("ij,ij->i", some, some) - 2.0 * (mine @ some.T)
        squared[own[:, None] == others] = -np.inf
        n_kept = min(near.shape[1], len(others))
        kept = np.argpartition(squared, n_kept - 1, axis=1)[:, :n_kept]
        first = np.argsort(np.take_along_axis(squared, kept, axis=1), axis=1)
        near[own, :n_kept] = others[np.take_along_axis(kept, first, axis=1)]

    map_chunks(find, len(group_centers), 1, n_threads)
    return near
