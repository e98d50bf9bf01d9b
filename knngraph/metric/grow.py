"""Grow a forest by scikit-learn's trees, and keep it as flat arrays."""

import warnings
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from sklearn.tree import DecisionTreeClassifier, ExtraTreeClassifier

from knngraph.graph.training_set import row_hashes
from knngraph.metric.forest import ForestMap, columns_as_seen, draw_counts
from knngraph.parallel import map_chunks
from knngraph.sparse_rows import as_dense, is_sparse

# Columns of class shares at most; more classes are mixed by random signs.
MAX_TARGETS = 16
# Rows that the center and the spread of a column are found from.
_SCALE_ROWS = 2000
_BLOCK_BYTES = 32 * 2**20


@dataclass(frozen=True)
class ForestSettings:
    """How a forest is grown.

    Parameters
    ----------
    n_trees : int, default=200
    max_rows : int, default=10000
        Rows that grow it, of more those with the smallest hashes.
    kind : {"both", "forest", "extra"}, default="both"
        "forest": every split is the best one of some columns, as in a random forest.
        "extra": the best of random ones, as in extremely randomized trees. "both":
        every second tree is of either kind.
    seed : int, default=0
    """

    n_trees: int = 200
    max_rows: int = 10_000
    kind: str = "both"
    seed: int = 0


@dataclass(frozen=True)
class _FlatTree:
    """Nodes of one tree, in preorder; `values` are those of mixed leaves alone."""

    feature: np.ndarray
    threshold: np.ndarray
    right: np.ndarray
    missing_left: np.ndarray
    values: np.ndarray


def grow_forest(
    X: Any,
    codes: np.ndarray,
    n_classes: int,
    settings: ForestSettings,
    *,
    places: np.ndarray | None = None,
    n_threads: int = 1,
) -> ForestMap:
    """Grow the trees of a `ForestMap`.

    Parameters
    ----------
    X : ndarray or CSR of shape (n_all_rows, n_features)
        A dense one may hold NaN.
    codes : ndarray of shape (n_rows,)
    n_classes : int
    settings : ForestSettings
    places : ndarray of shape (n_rows,) or None, default=None
        Rows of X that differ in features or class, in random order; None for all.

    Returns
    -------
    ForestMap
        Its targets are the shares of the classes; that of the second of two classes
        alone, and 16 sums of shares with random signs of more than 16 classes.

    Notes
    -----
    Every tree is grown to pure leaves by scikit-learn, with the root of the number of
    columns looked at in every split, from the rows that the Poisson bootstrap of
    `ForestMap` draws. Neither their order nor the number of threads changes a bit.
    """
    places = np.arange(X.shape[0]) if places is None else places
    center, scale = _column_scales(as_dense(X[places[:_SCALE_ROWS]]), not is_sparse(X))
    hashes = np.empty(len(places), dtype=np.uint64)
    step = max(1, _BLOCK_BYTES // (8 * X.shape[1]))
    for start in range(0, len(places), step):
        rows = as_dense(X[places[start : start + step]])
        seen = columns_as_seen(rows, center, scale)
        hashes[start : start + step] = row_hashes(seen, settings.seed)
    chosen = np.arange(len(hashes))
    if len(hashes) > settings.max_rows:
        last = np.partition(hashes, settings.max_rows - 1)[settings.max_rows - 1]
        chosen = np.flatnonzero(hashes <= last)  # with all that are equal to it
    chosen = chosen[np.lexsort((codes[chosen], hashes[chosen]))]
    hashes = hashes[chosen]
    random = np.random.default_rng(settings.seed)
    salts = random.integers(2**64, size=settings.n_trees, dtype=np.uint64)
    targets = class_targets(n_classes, settings.seed)
    grow = partial(
        _grow_tree,
        columns_as_seen(as_dense(X[places[chosen]]), center, scale),
        codes[chosen],
        targets,
        hashes=hashes,
        salts=salts,
        kind=settings.kind,
    )
    with warnings.catch_warnings():
        # Many classes among few rows are no mistake, and said once by validation.
        warnings.filterwarnings("ignore", message="The number of unique classes")
        trees = map_chunks(grow, settings.n_trees, 1, n_threads, limit_blas=False)
    n_nodes = np.array([len(tree.feature) for tree in trees])
    n_values = n_classes + np.cumsum([0] + [len(tree.values) for tree in trees])
    roots = np.concatenate([[0], np.cumsum(n_nodes)[:-1]])
    right = [
        _shifted(tree, root, first, n_classes)
        for tree, root, first in zip(trees, roots, n_values)
    ]
    return ForestMap(
        center,
        scale,
        np.concatenate([tree.feature for tree in trees]),
        np.concatenate([tree.threshold for tree in trees]),
        np.concatenate(right),
        np.concatenate([tree.missing_left for tree in trees]),
        roots.astype(np.int32),
        np.concatenate([targets, *(tree.values for tree in trees)]),
        salts,
        settings.seed,
        np.unique(hashes),
    )


def class_targets(n_classes: int, seed: int) -> np.ndarray:
    """What a leaf with rows of one class alone holds.

    Returns
    -------
    ndarray of shape (n_classes, n_targets), float32
    """
    if n_classes == 2:
        return np.array([[0.0], [1.0]], dtype=np.float32)
    if n_classes <= MAX_TARGETS:
        return np.eye(n_classes, dtype=np.float32)
    # Distances between vectors of shares are about what they were: Achlioptas (2003),
    # "Database-friendly random projections".
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], (n_classes, MAX_TARGETS))
    return (signs / np.sqrt(MAX_TARGETS)).astype(np.float32)


def _column_scales(rows: np.ndarray, centered: bool) -> tuple[np.ndarray, np.ndarray]:
    """Middle of every column, and the power of two near its middle distance from it.

    Trees of scikit-learn take numbers closer than 1e-7 for equal: so that is a share
    of the spread.
    """
    n_columns = rows.shape[1]
    columns = np.arange(n_columns)
    n_known = len(rows) - np.isnan(rows).sum(axis=0)
    center = np.zeros(n_columns)
    if centered:
        middle = np.sort(rows, axis=0)[np.maximum(n_known - 1, 0) // 2, columns]
        center[n_known > 0] = middle[n_known > 0]
    with np.errstate(over="ignore"):
        sizes = np.sort(np.abs(rows - center), axis=0)
    n_zeros = (sizes == 0.0).sum(axis=0)
    middle = sizes[np.maximum(n_zeros + n_known - 1, 0) // 2, columns]
    usable = (n_zeros < n_known) & np.isfinite(middle)
    exponent = np.frexp(np.where(usable, middle, 1.0))[1]
    return center, np.ldexp(1.0, np.clip(exponent, -1000, 1000))


def _grow_tree(
    seen: np.ndarray,
    codes: np.ndarray,
    targets: np.ndarray,
    start: int,
    stop: int,
    *,
    hashes: np.ndarray,
    salts: np.ndarray,
    kind: str,
) -> _FlatTree:
    """Tree number `start`, of rows in the order of their hashes."""
    counts = draw_counts(hashes, salts[start])
    if not counts.any():
        # As may be with few rows: the tree knows only how frequent classes are.
        shares = np.bincount(codes, minlength=len(targets)) / len(codes)
        leaf = np.array([len(targets)], dtype=np.int32)
        value = (shares @ targets)[None].astype(np.float32)
        nothing = np.zeros(1, dtype=np.float32)
        return _FlatTree(leaf * 0 - 1, nothing, leaf, nothing > 0, value)
    drawn = np.flatnonzero(counts)
    extra = kind == "extra" or (kind == "both" and start % 2 == 1)
    tree = (ExtraTreeClassifier if extra else DecisionTreeClassifier)(
        max_features="sqrt", random_state=int(salts[start] >> np.uint64(33))
    )
    tree.fit(seen[drawn], codes[drawn], sample_weight=counts[drawn])
    return flatten(tree, targets)


def flatten(tree: Any, targets: np.ndarray) -> _FlatTree:
    """Arrays of a tree; leaves of one class point at the row of `targets`.

    Parameters
    ----------
    tree : DecisionTreeClassifier
        Fitted, with codes of classes as labels. Its nodes are in preorder, the left
        child first, as its builder adds them without a limit on leaves.
    targets : ndarray of shape (n_classes, n_targets)

    Notes
    -----
    A float32 number is at most the threshold, a double, exactly where it is at most
    the largest float32 that is not above the threshold.
    """
    nodes = tree.tree_
    is_leaf = nodes.children_left < 0
    single = nodes.threshold.astype(np.float32)
    above = single > nodes.threshold
    single[above] = np.nextafter(single[above], np.float32(-np.inf))
    shares = nodes.value[is_leaf, 0]
    pure = shares.max(axis=1) == 1.0
    leaves = tree.classes_[shares.argmax(axis=1)].astype(np.int32)
    leaves[~pure] = len(targets) + np.arange((~pure).sum())
    right = nodes.children_right.astype(np.int32)
    right[is_leaf] = leaves
    single[is_leaf] = 0.0
    return _FlatTree(
        np.where(is_leaf, -1, nodes.feature).astype(np.int32),
        single,
        right,
        nodes.missing_go_to_left.astype(bool),
        (shares[~pure] @ targets[tree.classes_]).astype(np.float32),
    )


def _shifted(
    tree: _FlatTree, root: int, first_value: int, n_classes: int
) -> np.ndarray:
    """Right children and values by their numbers in the whole forest."""
    right = tree.right.copy()
    inner, mixed = tree.feature >= 0, (tree.feature < 0) & (tree.right >= n_classes)
    right[inner] += root
    right[mixed] += first_value - n_classes
    return right
