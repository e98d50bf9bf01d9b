"""The class shares of a forest as coordinates of a row.

A row x becomes the mean p(x) of the class shares in the leaves that it reaches. For a
row that has grown the forest only the trees count that have not drawn it: with the
others every training row would look certain. Which trees those are is a function of
the row itself: it is the same for copies, for a training row that comes back as a
query, in another process, and after a change of the rows.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from knngraph.graph.training_set import row_hashes
from knngraph.parallel import map_chunks

# Rows that pass a tree together; their coordinates stay in the cache of a core.
_ROWS_PER_CHUNK = 512
# Fewer rows go down all trees at a time, not one tree.
_FEW_ROWS = 16
# Columns in units of their spread are this large at most.
_LARGEST = 2.0**60
# Upper ends of the counts 0, 1, 2 ... of a Poisson variable of mean one, as shares
# of the range of a hash; larger counts than the last have a chance of 1e-9.
_LARGEST_COUNT = 11


def _poisson_ends() -> np.ndarray:
    chances = np.exp(-1.0) / np.cumprod(np.maximum(np.arange(_LARGEST_COUNT), 1.0))
    return np.cumsum(chances)


_POISSON_ENDS = _poisson_ends()


@dataclass(frozen=True)
class ForestMap:
    """Flat trees, and which of them have seen a row.

    Parameters
    ----------
    center, scale : ndarray of shape (n_features,)
        Trees see the columns less `center` and over `scale`, a power of two, in
        single precision. NaN stays NaN.
    feature, threshold, right, missing_left : ndarray of shape (n_nodes,)
    roots : ndarray of shape (n_trees,), int32
    values : ndarray of shape (n_values, n_targets), float32
        As in `add_leaf_values`.
    salts : ndarray of shape (n_trees,), uint64
        Mixed with the hash of a row, they give how often every tree has drawn it.
    seed : int
        Of the hash of a row.
    grown_from : ndarray of shape (n_rows,), uint64
        Hashes of the rows that the trees were drawn from, ascending.
    column_weight : float
        What the columns beside the shares are multiplied by.

    Notes
    -----
    The number of times that tree t has drawn row x is a Poisson variable of mean one,
    a function of the hash of (x, `seed`) and of t: the bootstrap for rows that are not
    counted beforehand. A row of a tree is drawn by 63 % of the trees.

    References
    ----------
    N. Oza and S. Russell (2001), "Online Bagging and Boosting", AISTATS: the Poisson
    bootstrap. L. Breiman (2001), "Random Forests", Machine Learning 45, 5-32:
    estimates out of bag.

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.metric.grow import ForestSettings, grow_forest
    >>> X = np.random.default_rng(0).normal(size=(200, 3))
    >>> y = (X[:, 0] > 0).astype(int)
    >>> forest = grow_forest(X, y, 2, ForestSettings(n_trees=50))
    >>> forest.shares(np.array([[-1.0, 0.0, 0.0], [1.0, 0.0, 0.0]])).round().tolist()
    [[0.0], [1.0]]

    Trees that have drawn a row are left out; for a new row beside it all count, and
    most of them know the label there:

    >>> left_out, beside = forest.shares(X), forest.shares(X + 1e-6)
    >>> bool(np.abs(beside[:, 0] - y).mean() < np.abs(left_out[:, 0] - y).mean())
    True
    """

    center: np.ndarray
    scale: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray
    right: np.ndarray
    missing_left: np.ndarray
    roots: np.ndarray
    values: np.ndarray
    salts: np.ndarray
    seed: int
    grown_from: np.ndarray
    column_weight: float = 1.0

    @property
    def nodes(self) -> tuple[np.ndarray, ...]:
        """The arrays that a path through the trees is found by, in their order."""
        trees = self.feature, self.threshold, self.right, self.missing_left
        return *trees, self.roots

    @property
    def n_targets(self) -> int:
        """Number of coordinates that the trees give."""
        return self.values.shape[1]

    def shares(self, X: np.ndarray, *, n_threads: int = 1) -> np.ndarray:
        """Mean share of the classes over the trees that have not drawn a row.

        Over all trees where each has drawn it, as may be with few of them.

        Parameters
        ----------
        X : ndarray of shape (n_rows, n_features)
            In the units of the user; may hold NaN.

        Returns
        -------
        ndarray of shape (n_rows, n_targets), float64
        """
        means = np.zeros((len(X), self.n_targets))
        work = partial(self._means_of_chunk, X, means)
        map_chunks(work, len(X), _ROWS_PER_CHUNK, n_threads, limit_blas=False)
        return means

    def as_seen(self, X: np.ndarray) -> np.ndarray:
        """Rows as the trees see them; see `columns_as_seen`."""
        return columns_as_seen(X, self.center, self.scale)

    def drawn(self, seen: np.ndarray) -> np.ndarray:
        """Whether a tree has drawn a row.

        Parameters
        ----------
        seen : ndarray of shape (n_rows, n_features)
            Rows as the trees see them.

        Returns
        -------
        ndarray of shape (n_rows, n_trees), bool
            Without rows where no tree has drawn any of them.
        """
        hashes = row_hashes(seen, self.seed)
        places = np.searchsorted(self.grown_from[:-1], hashes)
        known = np.flatnonzero(self.grown_from[places] == hashes)
        drawn = np.zeros((len(seen) if len(known) else 0, len(self.salts)), dtype=bool)
        if len(known):
            uniform = _uniform(hashes[known, None], self.salts)
            drawn[known] = uniform >= _POISSON_ENDS[0]
        return drawn

    def _means_of_chunk(
        self, X: np.ndarray, means: np.ndarray, start: int, stop: int
    ) -> None:
        # Loads the compiler, which a predictor without trees does without.
        from knngraph.metric import _forest

        seen, total = self.as_seen(X[start:stop]), means[start:stop]
        skipped = self.drawn(seen)
        n_trees = len(self.roots)
        n_added: Any = n_trees
        if len(skipped):
            skipped[skipped.all(axis=1)] = False
            n_added = n_trees - skipped.sum(axis=1, keepdims=True)
        few = len(seen) < _FEW_ROWS
        add = _forest.add_leaf_values_of_few if few else _forest.add_leaf_values
        room = np.empty((2, n_trees if few else len(seen)), dtype=np.uint32)
        add(
            seen,
            skipped,
            *self.nodes,
            self.values,
            *room,
            total,
        )
        total /= n_added


def columns_as_seen(X: np.ndarray, center: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Columns in units of their spread, where equal numbers have equal bytes.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features)
    center, scale : ndarray of shape (n_features,)

    Returns
    -------
    ndarray of shape (n_rows, n_features), float32, C-contiguous
    """
    with np.errstate(over="ignore", invalid="ignore"):
        rows = X - center
        rows *= 1.0 / scale
    np.clip(rows, -_LARGEST, _LARGEST, out=rows)  # NaN stays
    seen = np.ascontiguousarray(rows, dtype=np.float32)
    seen += np.float32(0.0)  # turns -0.0 into 0.0
    seen[np.isnan(seen)] = np.nan  # which has many patterns of bits
    return seen


def draw_counts(hashes: np.ndarray, salts: np.ndarray) -> np.ndarray:
    """How often rows are drawn by trees: Poisson numbers of mean one.

    Parameters
    ----------
    hashes, salts : ndarray of uint64
        Of rows and of trees; they are broadcast.

    Returns
    -------
    ndarray of intp
    """
    return np.searchsorted(_POISSON_ENDS, _uniform(hashes, salts), side="right")


def _uniform(hashes: np.ndarray, salts: np.ndarray) -> np.ndarray:
    """Numbers from 0 to 1 for rows and trees.

    References
    ----------
    The mixing of bits is that of splitmix64: G. Steele, D. Lea and C. Flood (2014),
    "Fast splittable pseudorandom number generators", OOPSLA.
    """
    mixed = hashes ^ salts
    mixed ^= mixed >> np.uint64(30)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(27)
    mixed *= np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    # 53 bits are a double, without rounding.
    return (mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53
