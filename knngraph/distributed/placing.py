"""The space of all rows and the partitions in it, without moving rows twice."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from knngraph.distributed.blocks import given_labels, numeric_rows
from knngraph.distributed.order_statistics import advance, begin, count, merge
from knngraph.distributed.partition import Router, assemble, place_block
from knngraph.distributed.tasks import compute, items, persist, task, tree
from knngraph.graph.training_set import build_training_set
from knngraph.inference.adaptive import QueryProblem
from knngraph.metric.choose import MAX_ROWS, sample_pairs
from knngraph.metric.place import MAX_FEATURES, check_width, learned_space
from knngraph.space import Space, power_of_two_near, row_sizes

# Rows of the sample that centroids are found in, for every partition.
_ROWS_PER_CENTROID = 256
_MOST_SAMPLED = 50_000


def order_statistics(
    read: Callable[..., np.ndarray], blocks: list[Any], ranks: Any
) -> np.ndarray:
    """Numbers of given ranks, one a column, over all blocks.

    Parameters
    ----------
    read : callable
        Makes an array of shape (n, n_columns) of a block, or (n, 1) where all
        ranks are looked for in one column.
    blocks : list of Delayed
    ranks : array-like of shape (n_columns,)

    Returns
    -------
    ndarray of shape (n_columns,), float64
    """
    quest, found = begin(np.asarray(ranks)), None
    while found is None:
        counted = [
            task(partial(_count, read, quest), block, name="count") for block in blocks
        ]
        (tally,) = compute(tree(merge, counted, name="count-merge"))
        quest, found = advance(quest, tally)
    return found


def fit_space_on(blocks: list[Any], n_rows: int, n_features: int, metric: str) -> Space:
    """Center and scale as `knngraph.space.fit_space` finds them."""
    if metric == "cosine":
        return Space("cosine", None, 1.0)
    ranks = np.full(n_features, (n_rows - 1) // 2)
    center = order_statistics(numeric_rows, blocks, ranks)
    sizes = partial(_positive_sizes, center=center)
    counts = [task(partial(_n_rows, sizes), block, name="count") for block in blocks]
    n_positive = int(sum(compute(*counts)))
    if not n_positive:
        return Space("euclidean", center, 1.0)
    middle = order_statistics(sizes, blocks, [(n_positive - 1) // 2])
    return Space("euclidean", center, power_of_two_near(middle))


def learn_space_on(
    plain: Space,
    blocks: list[tuple[Any, Any]],
    classes: np.ndarray,
    metric: str,
    problem: QueryProblem,
    *,
    seed: int,
    n_threads: int,
) -> Space:
    """The space with a map learned from labels, where `metric` asks for one."""
    n_features = len(plain.center) if plain.center is not None else 0
    check_width(n_features, metric)
    if metric not in ("learned", "auto") or n_features > MAX_FEATURES:
        return plain
    if len(classes) < 2:
        return plain
    sample = _sample(plain, blocks, classes, seed, MAX_ROWS)
    learn = partial(
        _learned_space,
        plain=plain,
        n_classes=len(classes),
        metric=metric,
        problem=problem,
        seed=seed,
        n_threads=n_threads,
    )
    (space,) = compute(task(learn, sample, name="learn-metric"))
    return plain if space is None else space


def route_rows(
    space: Space,
    blocks: list[tuple[Any, Any]],
    classes: np.ndarray,
    routing: str,
    n_partitions: int,
    seed: int,
) -> Router:
    """Who gets which row: by hash, or by the centroids of a sample."""
    if routing == "all" or n_partitions == 1:
        return Router(n_partitions, seed)
    limit = min(_ROWS_PER_CENTROID * n_partitions, _MOST_SAMPLED)
    sample = _sample(space, blocks, classes, seed, limit)
    find = partial(_centroids, n_centroids=n_partitions, seed=seed)
    (centroids,) = compute(task(find, sample, name="centroids"))
    return Router(len(centroids), seed, centroids)


def place_rows(
    space: Space,
    blocks: list[tuple[Any, Any]],
    first_numbers: np.ndarray,
    classes: np.ndarray,
    router: Router,
    homes: list[Any],
) -> list[Any]:
    """Map all rows and bring them to their partitions."""
    pieces = []
    for (X, y), first in zip(blocks, first_numbers):
        place = partial(
            _place, first=int(first), space=space, classes=classes, router=router
        )
        placed = task(place, X, y, name="place")
        pieces.append(items(placed, router.n_partitions, name="piece"))
    put_together = partial(assemble, n_classes=len(classes), seed=router.seed)
    return persist(
        [
            task(put_together, list(parts), name="partition", home=home)
            for parts, home in zip(zip(*pieces), homes)
        ]
    )


def _sample(
    space: Space,
    blocks: list[tuple[Any, Any]],
    classes: np.ndarray,
    seed: int,
    limit: int,
) -> Any:
    """The first pairs in the order of the hash, over all blocks."""
    first = partial(_first_pairs, space=space, classes=classes, seed=seed, limit=limit)
    parts = [task(first, X, y, name="sample") for X, y in blocks]
    join = partial(_join_samples, n_classes=len(classes), seed=seed, limit=limit)
    return tree(join, [task(join, parts[:1], name="sample"), *parts[1:]], name="sample")


def _first_pairs(
    X: Any, y: Any, space: Space, classes: np.ndarray, seed: int, limit: int
) -> tuple[np.ndarray, np.ndarray]:
    rows = space.map_rows(numeric_rows(X))
    codes = np.searchsorted(classes, given_labels(y))
    if not len(rows):
        return rows, codes
    return sample_pairs(build_training_set(rows, codes, len(classes), seed), limit)


def _join_samples(
    parts: list[tuple[np.ndarray, np.ndarray]], n_classes: int, seed: int, limit: int
) -> tuple[np.ndarray, np.ndarray]:
    rows = np.concatenate([part for part, _ in parts])
    codes = np.concatenate([part for _, part in parts])
    if not len(rows):
        return rows, codes
    return sample_pairs(build_training_set(rows, codes, n_classes, seed), limit)


def _learned_space(
    sample: tuple[np.ndarray, np.ndarray], plain: Space, **settings: Any
) -> Space | None:
    space = learned_space(plain, *sample, **settings)
    return None if space is plain else space


def _centroids(
    sample: tuple[np.ndarray, np.ndarray], n_centroids: int, seed: int
) -> np.ndarray:
    from sklearn.cluster import KMeans

    rows = np.unique(sample[0], axis=0)
    means = KMeans(min(n_centroids, len(rows)), n_init=3, random_state=seed % 2**31)
    return means.fit(rows.astype(np.float64)).cluster_centers_.astype(np.float32)


def _count(read: Callable[..., np.ndarray], quest: Any, block: Any) -> Any:
    return count(read(block), quest)


def _n_rows(read: Callable[..., np.ndarray], block: Any) -> int:
    return len(read(block))


def _positive_sizes(X: Any, center: np.ndarray) -> np.ndarray:
    rows = numeric_rows(X)
    if not len(rows):
        return np.empty((0, 1))
    sizes = row_sizes(rows, center)
    return sizes[(sizes > 0) & np.isfinite(sizes)][:, None]


def _place(X: Any, y: Any, *, first: int, **how: Any) -> Any:
    return place_block(numeric_rows(X), given_labels(y), first_number=first, **how)
