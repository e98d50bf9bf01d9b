"""kTree and k*Tree: the number of neighbors of a query, read off a decision tree."""

import warnings
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from scipy.sparse import csc_array, hstack
from scipy.spatial.distance import cdist
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils._param_validation import Interval, StrOptions

from knngraph.baselines._base import TUNED, BaselineClassifier, tune
from knngraph.baselines._neighbors import nearest, nearest_others, vote_shares
from knngraph.exceptions import KNNGraphWarning
from knngraph.parallel import map_chunks

# As shares of the penalty that leaves no row a neighbor; the first is "auto".
_SHARES = (0.1, 0.01, 0.03, 0.3)
_RHO2_GRID = (0.0, 0.001, 0.01, 0.1)
_COLUMNS_PER_CHUNK = 64
# Entries of both docstrings below.
_ENTRIES = {
    "problem": """rho1 : float, "auto" or "cv", default="auto"
        Weight of the l1 norm; larger means fewer neighbors. It carries the
        square of the unit of the data. "auto" is a tenth of the value at which
        no row has a neighbor. "cv" compares 0.01, 0.03, 0.1 and 0.3 of that
        value.
    rho2 : float or "cv", default=0.0
        Weight of the feature graph. "cv" compares 0, 0.001, 0.01 and 0.1.
    n_feature_neighbors : int, default=5
        Features that each feature is joined to, if `rho2` is above zero.
    sigma : float, default=1.0
        Width of the Gaussian that weighs those joints.
    exclude_self : bool, default=True
        A row may not represent itself.
    criterion : {"entropy", "gini", "log_loss"}, default="entropy"
        What a split of the tree improves.""",
    "solver": """max_iter : int, default=1000
        The most steps towards the mix of one row; each lets one row in.
    tol : float, default=1e-6
        A mix is settled when the slope of no row that is out exceeds this share
        of the norms of the two rows.
    %(cv)s
    %(n_jobs)s
    random_state : int, RandomState instance or None, default=None
        Shuffles the rows over the folds and breaks ties between splits.""",
    "learned": """rho1_, rho2_ : float
        Weights in use.
    k_train_ : ndarray of shape (n_samples,)
        Number of neighbors learned for each training row.
    reconstruction_ : csc_array of shape (n_samples, n_samples)
        Column i mixes the other rows into row i.
    n_iter_ : int
        Steps of the slowest mix.
    tree_ : sklearn.tree.DecisionTreeClassifier
        Tree from features to the number of neighbors.""",
    "source": """Zhang, Li, Zong, Zhu and Wang (2018), "Efficient kNN
    classification with different numbers of nearest neighbors", IEEE Transactions
    on Neural Networks and Learning Systems 29, 1774-1785.""",
}


@dataclass(kw_only=True, eq=False, repr=False)
class KTreeClassifier(BaselineClassifier):
    """k nearest neighbors with the k of the query's leaf in a decision tree.

    Parameters
    ----------
    %(problem)s
    min_samples_leaf : int, default=1
        The fewest training rows in a leaf.
    %(solver)s

    Attributes
    ----------
    %(learned)s
    leaf_k_ : dict
        From the number of a leaf, as `tree_.apply` gives it, to its number of
        neighbors.
    %(fitted)s

    Warns
    -----
    KNNGraphWarning
        If a mix has not settled after `max_iter` steps.

    See Also
    --------
    KStarTreeClassifier : Searches the rows stored in the leaf only.

    Notes
    -----
    With the rows as columns of Z and L the Laplacian of a graph of features::

        min over W >= 0, W_ii = 0:  ||Z - Z W||_F^2 + rho1 ||W||_1
                                    + rho2 tr(W' Z' L Z W),
        k_i = |{j : W_ji > 0}|, at least 1,
        tree: x_i -> k_i,   k(q) = most frequent k_i in the leaf of q,
        p_c(q) = share of class c among the k(q) nearest of all training rows.

    Given in the source: the objective, and a tree in the manner of ID3 whose
    leaves hold k instead of a class. Not known: the weights, the diagonal of W,
    how the tree is grown, and k where a leaf holds several. Chosen here: "auto";
    W_ii = 0, since a row otherwise represents itself alone; a binary tree on
    the features split by entropy down to pure leaves; the most frequent k, the
    smaller of equals. Features are joined if either is among the nearest of the
    other.

    Fitting costs O(n^2 d) time and 8 n^2 bytes for the inner products (16 n^2
    with a feature graph: 3.2 or 6.4 GB at 20000 rows), and for s neighbors a row
    about s steps of O(n s + s^3) a row: O(n^2 s^2) in all. It is not a method
    for large data. Predicting costs O(depth + n d) a query.

    References
    ----------
    %(source)s

    Examples
    --------
    >>> from knngraph import KTreeClassifier
    >>> X = [[4, 2], [1, 1], [3, 1], [4, 0], [2, 0]]
    >>> y = [0, 1, 0, 0, 1]
    >>> model = KTreeClassifier(rho1=0.2).fit(X, y)
    >>> model.k_train_
    array([2, 1, 2, 2, 1])
    >>> model.predict([[2.4, 0.9]])
    array([0])
    """

    _entries = _ENTRIES
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaselineClassifier._parameter_constraints,
        "rho1": [Interval(Real, 0, None, closed="left"), StrOptions({"auto", "cv"})],
        "rho2": [Interval(Real, 0, None, closed="left"), StrOptions({"cv"})],
        "n_feature_neighbors": [Interval(Integral, 1, None, closed="left")],
        "sigma": [Interval(Real, 0, None, closed="neither")],
        "exclude_self": ["boolean"],
        "criterion": [StrOptions({"entropy", "gini", "log_loss"})],
        "min_samples_leaf": [Interval(Integral, 1, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        **TUNED,
    }

    # The tree holds single precision.
    _largest_number: ClassVar[float] = float(np.finfo(np.float32).max)

    rho1: Any = "auto"
    rho2: Any = 0.0
    n_feature_neighbors: int = 5
    sigma: float = 1.0
    exclude_self: bool = True
    criterion: str = "entropy"
    min_samples_leaf: int = 1
    max_iter: int = 1000
    tol: float = 1e-6
    cv: Any = 5
    n_jobs: int | None = None
    random_state: Any = None

    def predict_k(self, X: Any) -> np.ndarray:
        """Number of neighbors that the tree gives each row.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features)

        Returns
        -------
        ndarray of shape (n_queries,)
        """
        return self._map_queries(self.tree_.predict, X)

    def _learn(self, X: np.ndarray, codes: np.ndarray) -> None:
        self._rows = X
        penalties = [share * largest_penalty(X) for share in _SHARES]
        settings = tune(self, {"rho1": penalties, "rho2": _RHO2_GRID}, X, codes)
        given = settings["rho1"]
        self.rho1_ = penalties[0] if given == "auto" else float(given)
        self.rho2_ = float(settings["rho2"])
        self.k_train_ = self._learn_k(X)
        self.tree_ = self._grow_tree(X)
        leaves, first = np.unique(self.tree_.apply(X), return_index=True)
        values = self.tree_.predict(X[first])
        self.leaf_k_ = dict(zip(leaves.tolist(), values.tolist()))

    def _learn_k(self, X: np.ndarray) -> np.ndarray:
        laplacian = None
        if self.rho2_ > 0.0:
            laplacian = feature_laplacian(X, self.n_feature_neighbors, self.sigma)
        self.reconstruction_, n_steps = reconstruct(
            X,
            self.rho1_,
            self.rho2_,
            laplacian,
            exclude_self=self.exclude_self,
            max_iter=self.max_iter,
            tol=self.tol,
            n_threads=self._n_threads,
        )
        unsettled = np.count_nonzero(n_steps > self.max_iter)
        if unsettled:
            warnings.warn(
                f"The mixes of {unsettled} of {n_steps.size} rows have not settled "
                f"after max_iter={self.max_iter} steps; raise max_iter, tol or rho1.",
                KNNGraphWarning,
                stacklevel=5,
            )
        self.n_iter_ = int(min(n_steps.max(), self.max_iter))
        lengths = np.diff(self.reconstruction_.indptr).astype(np.intp)
        return np.clip(lengths, 1, max(1, X.shape[0] - 1))

    def _grow_tree(self, X: np.ndarray) -> DecisionTreeClassifier:
        tree = DecisionTreeClassifier(
            criterion=self.criterion,
            min_samples_leaf=self.min_samples_leaf,
            random_state=self.random_state,
        )
        with warnings.catch_warnings():
            # Many different k among few rows are no mistake of the user's.
            warnings.filterwarnings("ignore", message="The number of unique classes")
            return tree.fit(X, self.k_train_)

    def _class_scores(self, queries: np.ndarray) -> np.ndarray:
        k = self.tree_.predict(queries)
        ids, gaps = nearest(queries, self._rows, int(k.max()))
        votes = (np.arange(gaps.shape[1]) < k[:, None]).astype(np.float64)
        return vote_shares(self._codes[ids], votes, self._n_classes)


class KStarTreeClassifier(KTreeClassifier):
    """k nearest neighbors within the rows stored in the query's leaf.

    Parameters
    ----------
    %(problem)s
    min_samples_leaf : int, default=1
        The fewest training rows in a leaf. The search is as good as the leaf is
        large; see Notes.
    %(solver)s

    Attributes
    ----------
    leaf_candidates_ : dict
        From the number of a leaf, as `tree_.apply` gives it, to the positions
        of the training rows stored there, ascending.
    %(learned)s
    leaf_k_ : dict
        From the number of a leaf to its number of neighbors.
    %(fitted)s

    Warns
    -----
    KNNGraphWarning
        If a mix has not settled after `max_iter` steps.

    See Also
    --------
    KTreeClassifier : Searches all training rows; what is learned is the same.

    Notes
    -----
    With T the training rows of a leaf and N_k(x_i) the k nearest other rows::

        stored = T, and N_{k_i}(x_i) for i in T, and the nearest other row of
                 each of those neighbors,
        p_c(q) = share of class c among the min(k, |stored|) nearest rows stored
                 in the leaf of q, with the k of the leaf.

    The contents of the leaves are those of the source. The tree is not: with
    pure leaves, which hold few rows, the nearest row of a query is often stored
    elsewhere, and accuracy falls far below that of searching all rows. A larger
    `min_samples_leaf` brings it back; figures that were published for this
    method are nearer to the search over all rows, `KTreeClassifier`.

    Fitting costs what it does for `KTreeClassifier`, O(n^2 d) time and 8 to 16
    n^2 bytes, too much for large data. Predicting costs O(depth + s d) a query,
    s being the rows stored in the leaf.

    References
    ----------
    %(source)s

    Examples
    --------
    >>> from knngraph import KStarTreeClassifier
    >>> X = [[4, 2], [1, 1], [3, 1], [4, 0], [2, 0]]
    >>> y = [0, 1, 0, 0, 1]
    >>> model = KStarTreeClassifier(rho1=0.2).fit(X, y)
    >>> [rows.tolist() for rows in model.leaf_candidates_.values()]
    [[1, 4], [0, 2, 3]]
    >>> model.predict([[2.4, 0.9]])
    array([1])
    """

    def _learn(self, X: np.ndarray, codes: np.ndarray) -> None:
        super()._learn(X, codes)
        neighbors, _ = nearest_others(
            X, int(self.k_train_.max()), n_threads=self._n_threads
        )
        leaves = self.tree_.apply(X)
        self.leaf_candidates_ = {
            leaf: self._stored(np.flatnonzero(leaves == leaf), neighbors)
            for leaf in self.leaf_k_
        }

    def _stored(self, members: np.ndarray, neighbors: np.ndarray) -> np.ndarray:
        if neighbors.shape[1] == 0:
            return members
        used = np.arange(neighbors.shape[1]) < self.k_train_[members, None]
        around = np.unique(neighbors[members][used])
        return np.unique(np.concatenate([members, around, neighbors[around, 0]]))

    def _class_scores(self, queries: np.ndarray) -> np.ndarray:
        scores = np.empty((queries.shape[0], self._n_classes))
        leaves = self.tree_.apply(queries)
        for leaf in np.unique(leaves):
            rows = np.flatnonzero(leaves == leaf)
            stored = self.leaf_candidates_[leaf]
            ids, gaps = nearest(queries[rows], self._rows[stored], self.leaf_k_[leaf])
            scores[rows] = vote_shares(
                self._codes[stored][ids], np.ones_like(gaps), self._n_classes
            )
        return scores


def feature_laplacian(X: np.ndarray, n_neighbors: int, sigma: float) -> np.ndarray:
    """Laplacian of the graph that joins each feature to the nearest ones.

    The weight of a joint is a Gaussian, `sigma` wide, of the distance of two columns.
    """
    squared = cdist(X.T, X.T, metric="sqeuclidean")
    ranks = squared.copy()
    np.fill_diagonal(ranks, np.inf)
    k = min(n_neighbors, X.shape[1] - 1)
    near = np.zeros(squared.shape, dtype=bool)
    order = np.argsort(ranks, axis=1, kind="stable")[:, :k]
    np.put_along_axis(near, order, True, axis=1)
    similarity = np.where(near | near.T, np.exp(-squared / (2.0 * sigma**2)), 0.0)
    return np.diag(similarity.sum(axis=1)) - similarity


def largest_penalty(X: np.ndarray) -> float:
    """The l1 penalty from which on every mix of other rows is empty."""
    inner = X @ X.T
    np.fill_diagonal(inner, -np.inf)
    return max(0.0, 2.0 * float(inner.max()))


def reconstruct(
    X: np.ndarray,
    rho1: float,
    rho2: float,
    laplacian: np.ndarray | None,
    *,
    exclude_self: bool,
    max_iter: int,
    tol: float,
    n_threads: int,
) -> tuple[csc_array, np.ndarray]:
    """Minimize ||Z - ZW||^2 + rho1 ||W||_1 + rho2 tr(W'Z'LZW), W >= 0, Z = X'.

    The parameters are those of `KTreeClassifier`.

    Returns
    -------
    mixes : csc_array of shape (n_samples, n_samples)
        Column i mixes the other rows into row i.
    n_steps : ndarray of shape (n_samples,)
        Steps done; `max_iter + 1` for a column that did not settle.
    """
    # Imported here: only a fit needs numba.
    from knngraph.baselines._reconstruction_kernel import solve_mixes

    inner = X @ X.T
    curved = inner
    if rho2 > 0.0 and laplacian is not None:
        curved = inner + rho2 * (X @ laplacian @ X.T)
        curved = 0.5 * (curved + curved.T)
    n_samples = X.shape[0]
    n_steps = np.empty(n_samples, dtype=np.intp)

    def solve(start: int, stop: int) -> csc_array:
        mixes = np.zeros((stop - start, n_samples))
        solve_mixes(
            inner,
            curved,
            start,
            rho1,
            exclude_self,
            max_iter,
            tol,
            mixes,
            n_steps[start:stop],
        )
        return csc_array(mixes.T)

    columns = map_chunks(solve, n_samples, _COLUMNS_PER_CHUNK, n_threads)
    return hstack(columns, format="csc"), n_steps
