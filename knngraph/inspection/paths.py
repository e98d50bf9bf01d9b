"""Which columns the trees of a map look at on the way of a row."""

import numpy as np

from knngraph.metric.forest import ForestMap

# Nodes with fewer rows are left out: their means would be chance.
_FEWEST_ROWS = 5
_CACHED_NUMBERS = 65536


class TreePaths:
    """Class shares of trees as sums over columns.

    Parameters
    ----------
    forest : ForestMap
    X : ndarray of shape (n_rows, n_features)
        Training rows in the units of the user; NaN where a value is missing.
    shares : ndarray of shape (n_rows, n_targets)
        Their coordinates by the trees that have not seen them.

    Notes
    -----
    The value of a node is the mean of the shares of the training rows that pass it.
    On the way of a row x from the root to its leaf every step changes the value by
    v(child) - v(node). The part c_j(x) of column j is the sum of the steps at the
    splits that look at it, the mean over all trees: then sum_j c_j(x), and the value of
    the root, is about p(x). Where the paths of two rows agree, they take the same
    steps: what is between their shares,

        p(q) - p(v) = sum_j c_j(q) - c_j(v),

    comes from the splits at which the paths part, and from those after them. Nodes with
    fewer than five of the training rows are left out. The shares of training rows are
    those of trees that have not seen them, so that splits which fit noise change the
    values little.

    References
    ----------
    A. Palczewska, J. Palczewski, R. Marchese Robinson and D. Neagu (2014),
    "Interpreting random forest classification models using a feature contribution
    method", Integration of Reusable Systems, Springer, 193-218. Values there are shares
    of the labels that the tree was grown on.

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.inspection.paths import TreePaths
    >>> from knngraph.metric.grow import ForestSettings, grow_forest
    >>> X = np.random.default_rng(0).normal(size=(200, 3))
    >>> y = (X[:, 1] > 0).astype(int)
    >>> forest = grow_forest(X, y, 2, ForestSettings(n_trees=50))
    >>> paths = TreePaths(forest, X, forest.shares(X))
    >>> parts = paths.parts(np.array([[0.0, 2.0, 0.0]]))
    >>> parts.shape
    (1, 3, 1)
    >>> np.abs(parts[0, :, 0]).argmax().item()
    1
    """

    def __init__(self, forest: ForestMap, X: np.ndarray, shares: np.ndarray) -> None:
        from knngraph.inspection import _paths

        self.forest = forest
        seen = forest.as_seen(X)
        counts = np.zeros(len(forest.feature), dtype=np.int32)
        _paths.count_rows(seen, *forest.nodes, counts)
        kept = counts >= min(_FEWEST_ROWS, len(X))
        self._places = np.where(kept, np.cumsum(kept) - 1, -1).astype(np.int32)
        values = np.zeros((int(kept.sum()), forest.n_targets))
        amounts = np.ascontiguousarray(shares, dtype=np.float64)
        _paths.add_to_nodes(seen, amounts, *forest.nodes, self._places, values)
        self._values = values / counts[kept, None]

    def parts(self, X: np.ndarray) -> np.ndarray:
        """Parts c_j of the columns in the shares of rows.

        Parameters
        ----------
        X : ndarray of shape (n_rows, n_features)
            In the units of the user.

        Returns
        -------
        ndarray of shape (n_rows, n_features, n_targets)
        """
        from knngraph.inspection import _paths

        total = np.zeros((*X.shape, self.forest.n_targets))
        seen = self.forest.as_seen(X)
        # Few rows at a time, so that their parts stay in the cache of a core.
        n_rows = max(1, _CACHED_NUMBERS // max(1, total[:1].size))
        for start in range(0, len(X), n_rows):
            block = slice(start, start + n_rows)
            _paths.add_steps(
                seen[block],
                *self.forest.nodes,
                self._places,
                self._values,
                total[block],
            )
        total /= len(self.forest.roots)
        return total
