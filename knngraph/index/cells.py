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

from knngraph.parallel import chunk_bounds, map_chunks, one_blas_thread

ROWS_PER_CELL = 64
# Smaller cells join others, and larger ones are cut.
FEWEST, _MOST = 12, 160
# Groups near a group in which a row moves to the nearest cell, groups in which the near
# cells of a cell are looked for, with so many cells at least, and how many are found.
_GROUPS_TO_MOVE, _NEAR_GROUPS, _FEWEST_AMONG, _NEAR = 8, 16, 2048, 512
# Rows that one group of cells is enough for, and so many times the mean is too large.
_ROWS_OF_ONE_GROUP, _LARGE_GROUP = 4096, 4
_SAMPLED_PER_GROUP = 128
_ROUNDS_OF_GROUPS, _ROUNDS_OF_CELLS = 5, 4
# How often a group that is still too large is parted.
_DEEPEST = 8
_ROWS_PER_CHUNK = 8192
# Of a product that is read again at once.
_CACHED_NUMBERS = 2**18
# Cells of one part that are in no order.
_SMALLEST_PART = 4
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
    >>> bool((first.var(axis=0) < 0.5 * points.var(axis=0)).all())
    True
    """
    if np.abs(points).max() > _LARGEST:
        points = points.clip(-_LARGEST, _LARGEST)
    # Not in chunks alone: a product over threads of BLAS may round differently.
    with one_blas_thread():
        return _grouped(points, n_threads)


def _grouped(points: np.ndarray, n_threads: int) -> Cells:
    groups = _Groups.of(points, n_threads)
    centers, of_group = _cut_groups(groups, n_threads)
    cells = np.empty(len(groups.rows), dtype=np.int32)  # every row moves
    every_cell = np.ones(len(centers), dtype=bool)
    cells = _moved(groups, cells, centers, of_group, every_cell, n_threads)
    centers = _means(groups.rows, cells, centers)
    cells, centers, of_group = _cut_large(groups.rows, cells, centers, of_group)
    sizes = np.bincount(cells, minlength=len(centers))
    stays = sizes >= min(FEWEST, sizes.max())
    if not stays.all():
        # Centers stay where they are: the rows that come may be from far away.
        cells = _moved(groups, cells, centers, of_group, stays, n_threads)
    in_line = np.flatnonzero(stays)
    in_line = in_line[_halved(centers[in_line])]
    number = np.empty(len(stays), dtype=np.int32)
    number[in_line] = np.arange(len(in_line))
    centers, of_group, cells = centers[in_line], of_group[in_line], number[cells]
    near = _near_cells(centers, of_group, groups, n_threads)
    starts = np.concatenate([[0], np.cumsum(np.bincount(cells))])
    order = groups.order[np.argsort(cells, kind="stable")]
    return Cells(order, starts.astype(np.int32), centers, near)


@dataclass(frozen=True, eq=False)
class _Groups:
    """Rows by groups, of which each is cut into cells.

    Parameters
    ----------
    order : ndarray of shape (n_rows,), int32
        The rows, group by group.
    rows : ndarray of shape (n_rows, n_features), float32
        In that order.
    starts : ndarray of shape (n_groups + 1,), intp
        Where every group starts.
    centers : ndarray of shape (n_groups, n_features), float32
    """

    order: np.ndarray
    rows: np.ndarray
    starts: np.ndarray
    centers: np.ndarray

    @classmethod
    def of(cls, points: np.ndarray, n_threads: int) -> "_Groups":
        """Groups of about as many cells as there are groups, none of them huge.

        Where some rows are far from all others, groups are found for these, and most
        rows come to lie in few groups: those are parted anew.
        """
        n_rows = len(points)
        size = n_rows
        if n_rows > _ROWS_OF_ONE_GROUP:
            size = n_rows // isqrt(n_rows // ROWS_PER_CELL)
        waiting = [(np.arange(n_rows, dtype=np.int32), points.mean(axis=0), 0)]
        done = []
        while waiting:
            part, center, depth = waiting.pop()
            if len(part) <= _LARGE_GROUP * size:
                done.append((part, center))
                continue
            labels, centers = _parted(points, part, -(-len(part) // size), n_threads)
            stops = np.cumsum(np.bincount(labels, minlength=len(centers)))
            found = np.split(part[np.argsort(labels, kind="stable")], stops[:-1])
            if depth == _DEEPEST:
                # Rows that k-means does not part.
                found = np.array_split(part, len(centers))
                centers = np.repeat(center[None], len(centers), axis=0)
            for some, its_center in zip(found, centers):
                if len(some):
                    waiting.append((some, its_center, depth + 1))
        order = np.concatenate([part for part, _ in done])
        starts = np.concatenate([[0], np.cumsum([len(part) for part, _ in done])])
        centers = np.array([center for _, center in done], dtype=np.float32)
        return cls(order, points[order], starts, centers)

    def near(self, group: int) -> np.ndarray:
        """All groups, the nearest first; the group itself is first of all."""
        away = _squares(self.centers - self.centers[group])
        away[group] = -1.0
        return away.argsort(kind="stable")


def _parted(
    points: np.ndarray, part: np.ndarray, n_centers: int, n_threads: int
) -> tuple[np.ndarray, np.ndarray]:
    """Number of the nearest center of some rows, and centers of a sample of them."""
    sample = points[part[:: len(part) // (_SAMPLED_PER_GROUP * n_centers)]]
    middle = sample.mean(axis=0)
    centers = _k_means(sample - middle, n_centers, _ROUNDS_OF_GROUPS)
    labels = np.empty(len(part), dtype=np.int32)

    def label(start: int, stop: int) -> None:
        labels[start:stop] = _nearest(points[part[start:stop]] - middle, centers)

    map_chunks(label, len(part), _ROWS_PER_CHUNK, n_threads)
    return labels, centers + middle


def _cut_groups(groups: _Groups, n_threads: int) -> tuple[np.ndarray, np.ndarray]:
    """Centers of the cells that groups are cut into.

    Returns
    -------
    centers : ndarray of shape (n_cells, n_features), float32
    of_group : ndarray of shape (n_cells,), intp
        Group that a cell was cut from.
    """
    n_cells = -(-np.diff(groups.starts) // ROWS_PER_CELL)

    def cut(group: int, _: int) -> np.ndarray:
        rows = groups.rows[groups.starts[group] : groups.starts[group + 1]]
        middle = rows.mean(axis=0)
        return _k_means(rows - middle, int(n_cells[group]), _ROUNDS_OF_CELLS) + middle

    centers = np.concatenate(map_chunks(cut, len(n_cells), 1, n_threads))
    return centers, np.repeat(np.arange(len(n_cells)), n_cells)


def _moved(
    groups: _Groups,
    cells: np.ndarray,
    centers: np.ndarray,
    of_group: np.ndarray,
    stays: np.ndarray,
    n_threads: int,
) -> np.ndarray:
    """Move rows to the nearest cells of near groups.

    Parameters
    ----------
    stays : ndarray of shape (n_cells,), bool
        Cells that rows move to. If these are not all, only rows of others move.
    """
    moved = cells.copy()
    of_groups = _by_group(of_group, len(groups.centers))

    def move(group: int, _: int) -> None:
        rows = np.arange(groups.starts[group], groups.starts[group + 1])
        if not stays.all():
            rows = rows[~stays[cells[rows]]]
        if not len(rows):
            return
        near = groups.near(group)
        among = np.concatenate([of_groups[g] for g in near[:_GROUPS_TO_MOVE]])
        among = among[stays[among]]
        if not len(among):
            among = np.flatnonzero(stays)
        middle = groups.centers[group]
        nearest = _nearest(groups.rows[rows] - middle, centers[among] - middle)
        moved[rows] = among[nearest]

    map_chunks(move, len(groups.centers), 1, n_threads)
    return moved


def _by_group(of_group: np.ndarray, n_groups: int) -> list[np.ndarray]:
    """The cells of every group."""
    stops = np.cumsum(np.bincount(of_group, minlength=n_groups))
    return np.split(np.argsort(of_group, kind="stable"), stops[:-1])


def _k_means(rows: np.ndarray, n_centers: int, n_rounds: int) -> np.ndarray:
    """Centers of k-means, from evenly picked rows."""
    picked = np.linspace(0, len(rows), n_centers, endpoint=False).astype(np.intp)
    centers = rows[picked]
    for _ in range(n_rounds if n_centers > 1 else 1):
        centers = _means(rows, _nearest(rows, centers), centers)
    return centers


def _nearest(rows: np.ndarray, centers: np.ndarray) -> np.ndarray:
    """Number of the nearest center of every row."""
    half_norms = 0.5 * _squares(centers)
    nearest = np.empty(len(rows), dtype=np.int32)
    for start, stop in chunk_bounds(len(rows), 64 + _CACHED_NUMBERS // len(centers)):
        near = rows[start:stop] @ centers.T
        near -= half_norms
        nearest[start:stop] = near.argmax(axis=1)
    return nearest


def _means(rows: np.ndarray, cells: np.ndarray, centers: np.ndarray) -> np.ndarray:
    """Means of the rows of cells; an empty one keeps its center."""
    from scipy.sparse import csc_array

    n_rows, n_cells = len(rows), len(centers)
    ones = np.ones(n_rows, dtype=np.float32)
    sums = csc_array((ones, cells, np.arange(n_rows + 1)), (n_cells, n_rows)) @ rows
    sizes = np.bincount(cells, minlength=n_cells)
    some = sizes > 0
    means = centers.copy()
    means[some] = sums[some] / sizes[some, None].astype(np.float32)
    return means


def _cut_large(
    rows: np.ndarray, cells: np.ndarray, centers: np.ndarray, of_group: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cut cells that have many rows; the others stay as they are."""
    sizes = np.bincount(cells, minlength=len(centers))
    large = np.flatnonzero(sizes > _MOST)
    if not len(large):
        return cells, centers, of_group
    members = np.flatnonzero((sizes > _MOST)[cells])
    members = members[np.argsort(cells[members], kind="stable")]
    parts, of_parts, n_cells = [centers], [of_group], len(centers)
    for cell, own in zip(large, np.split(members, np.cumsum(sizes[large])[:-1])):
        middle = rows[own].mean(axis=0)
        some, n_parts = rows[own] - middle, -(-len(own) // ROWS_PER_CELL)
        found = _k_means(some, n_parts, _ROUNDS_OF_CELLS)
        labels, found = _nearest(some, found), found + middle
        if np.bincount(labels).max() > _MOST:
            # Rows that k-means does not part, as they are nearly equal.
            labels = np.arange(len(own)) // ROWS_PER_CELL
            found = np.repeat(centers[[cell]], labels[-1] + 1, axis=0)
        cells[own] = n_cells + labels
        parts.append(found)
        of_parts.append(np.full(len(found), of_group[cell]))
        n_cells += len(found)
    return cells, np.concatenate(parts), np.concatenate(of_parts)


def _halved(centers: np.ndarray) -> np.ndarray:
    """An order of cells in which near ones are near: halves of halves."""
    parts, done = [np.arange(len(centers))], []
    while parts:
        part = parts.pop()
        if len(part) <= _SMALLEST_PART:
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
    centers: np.ndarray, of_group: np.ndarray, groups: _Groups, n_threads: int
) -> np.ndarray:
    """The nearest cells of every cell, nearest first, the cell itself before all."""
    n_cells = len(centers)
    near = np.full((n_cells, min(_NEAR, n_cells)), -1, dtype=np.int32)
    of_groups = _by_group(of_group, len(groups.centers))
    sizes = np.array([len(some) for some in of_groups])

    def find(group: int, _: int) -> None:
        own = of_groups[group]
        if not len(own):
            return
        near_groups = groups.near(group)
        enough = int(np.searchsorted(np.cumsum(sizes[near_groups]), _FEWEST_AMONG)) + 1
        near_groups = near_groups[: max(_NEAR_GROUPS, enough)]
        others = np.concatenate([of_groups[g] for g in near_groups])
        # In double precision: groups may lie far apart.
        some, mine = (
            (centers[cells] - groups.centers[group]).astype(np.float64)
            for cells in (others, own)
        )
        squared = _squares(some) - 2.0 * (mine @ some.T)
        squared[own[:, None] == others] = -np.inf
        n_kept = min(near.shape[1], len(others))
        kept = np.argpartition(squared, n_kept - 1, axis=1)[:, :n_kept]
        in_order = np.argsort(np.take_along_axis(squared, kept, axis=1), axis=1)
        near[own, :n_kept] = others[np.take_along_axis(kept, in_order, axis=1)]

    map_chunks(find, len(groups.centers), 1, n_threads)
    return near
