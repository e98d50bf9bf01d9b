"""k*Tree: a kTree whose leaves keep the rows that a query has to be compared with."""

import numpy as np

from knngraph.baselines._search import nearest, nearest_others
from knngraph.baselines._voting import vote_shares
from knngraph.baselines.k_tree import KTreeClassifier


class KStarTreeClassifier(KTreeClassifier):
    """k nearest neighbors within the rows stored in the query's leaf.

    Parameters
    ----------
    rho1 : float, "auto" or "cv", default="auto"
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
        What a split of the tree improves.
    min_samples_leaf : int, default=1
        The fewest training rows in a leaf. The search is as good as the leaf is
        large; see Notes.
    max_iter : int, default=1000
        The most steps towards the mix of one row; each lets one row in.
    tol : float, default=1e-6
        A mix is settled when the slope of no row that is out exceeds this share
        of the norms of the two rows.
    cv : int, "loo", splitter, iterable of splits or None, default=5
        Folds of the inner cross-validation, if a parameter asks for it. A
        number means shuffled folds, stratified where every class has that many
        rows. None means 5.
    n_jobs : int or None, default=None
        Number of threads.
    random_state : int, RandomState instance or None, default=None
        Shuffles the rows over the folds and breaks ties between splits.

    Attributes
    ----------
    leaf_candidates_ : dict
        From the number of a leaf, as `tree_.apply` gives it, to the positions
        of the training rows stored there, ascending.
    rho1_, rho2_ : float
        Weights in use.
    k_train_ : ndarray of shape (n_samples,)
        Number of neighbors learned for each training row.
    reconstruction_ : csc_array of shape (n_samples, n_samples)
        Column i mixes the other rows into row i.
    n_iter_ : int
        Steps of the slowest mix.
    tree_ : sklearn.tree.DecisionTreeClassifier
        Tree from features to the number of neighbors.
    leaf_k_ : dict
        From the number of a leaf to its number of neighbors.
    classes_ : ndarray of shape (n_classes,)
        Class labels in order.
    n_samples_fit_ : int
        Number of training rows.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where `fit` was given any.

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
    Zhang, Li, Zong, Zhu and Wang (2018), "Efficient kNN classification with
    different numbers of nearest neighbors", IEEE Transactions on Neural Networks
    and Learning Systems 29, 1774-1785.

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
