"""How unlike all training rows a query is: its distance to the nearest, calibrated.

The search for an answer finds the nearest node anyway. What its distance means is
learned from left-out rows: how far it is, around rows of the same class, from a row to
the nearest other, and how often a row is as far as that from all others.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from knngraph.compact import CompactPickle
from knngraph.graph.neighbors import Neighbors
from knngraph.graph.training_set import TrainingSet, random_pairs
from knngraph.inference.adaptive import leave_one_out_candidates
from knngraph.inference.left_out_ranks import Ranked

# Left-out rows that queries are compared with.
CALIBRATION_PAIRS = 2000
# The typical distance around a class is as that of all rows, until it has rows of its
# own: so many rows of the typical distance are added to them.
_ADDED_ROWS = 5.0
# Rows nearer to each other than this share of the typical distance are as far as that:
# copies but for rounding say nothing of a class.
_NEAREST = 0.01


@dataclass(frozen=True)
class Novelty(CompactPickle):
    """Distances of left-out rows to the nearest other, which queries are compared with.

    Parameters
    ----------
    scales : ndarray of shape (n_classes + 1,)
        Typical distance, in mapped units, from a row to the nearest other, by the class
        of that; the last where rows of several classes lie on one node.
    scores : ndarray of shape (n,)
        Distances of left-out rows, each over the scale of the class without that row.
    codes : ndarray of shape (n,), intp
        Class of the nearest other; -1 for several.
    weights : ndarray of shape (n,)
        Rows that each stands for.

    Notes
    -----
    The scale of a class is the geometric mean of the distances in it, with five rows of
    the median distance of all added. The p-value of a score s is that of conformal
    prediction: the share of rows with a score of at least s, the query counted as one
    of them. Of rows that are exchangeable with the training rows it is at most alpha
    with a probability of at most alpha.

    References
    ----------
    V. Vovk, A. Gammerman, G. Shafer (2005), "Algorithmic Learning in a Random World",
    Springer; with classes each for themselves, its Mondrian predictors.

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.inference.novelty import Novelty
    >>> scores, codes = np.array([0.5, 1.0, 2.0]), np.array([0, 0, 1])
    >>> novelty = Novelty(np.ones(3), scores, codes, np.ones(3))
    >>> novelty.pvalues(np.array([0.1, 1.5, 9.0]), np.array([0, 0, 1])).tolist()
    [1.0, 0.5, 0.25]
    """

    scales: np.ndarray
    scores: np.ndarray
    codes: np.ndarray
    weights: np.ndarray

    def scored(self, codes: np.ndarray, squared: np.ndarray) -> np.ndarray:
        """Scores of queries: distances over the scales of the nearest rows' classes.

        Parameters
        ----------
        codes : ndarray of shape (n_queries,)
            Class of the rows on the nearest node, -1 for several.
        squared : ndarray of shape (n_queries,)
            Squared distance to it, in mapped units.
        """
        return np.sqrt(squared, dtype=np.float64) / self.scales[codes]

    def pvalues(
        self, scores: np.ndarray, codes: np.ndarray, *, per_class: bool = False
    ) -> np.ndarray:
        """Share of the rows that are as far from all others, a query one of them.

        Parameters
        ----------
        scores : ndarray of shape (n_queries,)
        codes : ndarray of shape (n_queries,)
            Class of the rows on the nearest node, -1 for several.
        per_class : bool, default=False
            Whether a query is compared only with rows near the same class.
        """
        if not per_class:
            return _pvalues(self._compared, scores)
        found = np.empty(len(scores))
        for code in np.unique(codes):
            some = codes == code
            found[some] = _pvalues(self._compared_in(code), scores[some])
        return found

    def least(self, codes: np.ndarray, *, per_class: bool = False) -> float:
        """The largest of the least p-values that some queries can have."""
        if not per_class:
            return _least(self._compared)
        return max(_least(self._compared_in(code)) for code in np.unique(codes))

    def stretched(self, stretch: np.ndarray) -> "Novelty":
        """For a search that does not always find the nearest node.

        Parameters
        ----------
        stretch : ndarray of shape (n_searches,)
            Distance of what such searches found over that of the nearest.
        """
        if not len(stretch) or stretch.max() <= 1.0:
            return self
        # Of one row and of another: neither order knows the other.
        return replace(self, scores=self.scores * np.resize(stretch, len(self.scores)))

    @cached_property
    def _compared(self) -> Ranked:
        return Ranked.of(self.scores, self.weights)

    def _compared_in(self, code: int) -> Ranked:
        ranked = self._by_class.get(int(code))
        if ranked is None:
            some = self.codes == code
            ranked = Ranked.of(self.scores[some], self.weights[some])
            self._by_class[int(code)] = ranked
        return ranked

    @cached_property
    def _by_class(self) -> dict[int, Ranked]:
        return {}


def _least(ranked: Ranked) -> float:
    """The p-value of a query that is farther than all rows."""
    return 1.0 / (1.0 + ranked.total)


def _pvalues(ranked: Ranked, scores: np.ndarray) -> Any:
    return (1.0 + ranked.from_on(scores)) / (1.0 + ranked.total)


def calibrate_novelty(training: TrainingSet, neighbors: Neighbors) -> Novelty:
    """Leave rows out, and see how far each is from the nearest other.

    Parameters
    ----------
    neighbors : Neighbors
        Under the map of the queries. Distances under the maps of folds have another
        size; that the map has seen a row hardly brings it nearer to the nearest row,
        whatever its class.

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.graph.neighbors import nearest_others
    >>> from knngraph.graph.training_set import build_training_set
    >>> from knngraph.index.exact import ExactIndex
    >>> from knngraph.inference.novelty import calibrate_novelty
    >>> rows = np.array([[0.0], [1.0], [2.0], [4.0]], dtype=np.float32)
    >>> training = build_training_set(rows, np.zeros(4, int), n_classes=1)
    >>> points, weights = training.points, training.node_weights()
    >>> listed = nearest_others(ExactIndex(points), points, weights, k=1)
    >>> sorted(calibrate_novelty(training, listed).scores.round(2).tolist())
    [0.92, 0.92, 0.92, 2.0]
    """
    pairs = random_pairs(np.arange(training.n_pairs), CALIBRATION_PAIRS)
    ids, squared = leave_one_out_candidates(training, neighbors, pairs, 1)
    if ids.shape[1]:
        there = ids[:, 0] >= 0
        pairs, ids, squared = pairs[there], ids[there, 0], squared[there, 0]
    else:  # there is one row
        pairs, ids, squared = pairs[:0], pairs[:0], np.empty(0)
    codes, weights = training.node_classes()[ids], training.pair_weight[pairs]
    return novelty_from_distances(codes, squared, weights, training.n_classes)


def novelty_from_distances(
    codes: np.ndarray, squared: np.ndarray, weights: np.ndarray, n_classes: int
) -> Novelty:
    """Find scales and scores of rows with known distances to the nearest other.

    Parameters
    ----------
    codes : ndarray of shape (n,)
        Class of the nearest other, -1 for several.
    squared : ndarray of shape (n,)
    weights : ndarray of shape (n,)
    """
    distances = np.sqrt(squared.astype(np.float64))
    apart = distances > 0.0
    typical = float(np.median(distances[apart])) if apart.any() else 1.0
    logs = np.zeros(len(distances))
    logs[apart] = np.log(np.maximum(distances[apart] / typical, _NEAREST))
    counted = np.where(apart & (codes >= 0), weights, 0.0)
    # Of several classes comes first, and has no rows of its own.
    total = np.bincount(codes + 1, counted * logs, n_classes + 1)
    rows = np.bincount(codes + 1, counted, n_classes + 1) + _ADDED_ROWS
    scales = typical * np.exp(total / rows)
    left = (total[codes + 1] - counted * logs) / (rows[codes + 1] - counted)
    scores = distances / (typical * np.exp(left))
    return Novelty(np.roll(scales, -1), scores, codes, weights)
