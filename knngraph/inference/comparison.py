"""Compare settings, and maps of the rows, by leave-one-out answers of the same rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from knngraph.graph.training_set import TrainingSet, random_pairs

# Standard errors of chance, and share of the wrong answers besides, by which a map
# must lead the simpler one. The trees of a left-out row's neighbors have drawn that
# row: they bring rows of its label a little nearer, most where labels are wrong.
_LEAD = 0.5
_SAVED = 0.05


@dataclass(frozen=True)
class Comparison:
    """Leave-one-out answers under every setting.

    Parameters
    ----------
    params : list of dict
        A setting each.
    right : ndarray of shape (n_settings, n_rows), bool
        Whether the answer is the given class.
    own_share : ndarray of shape (n_settings, n_rows)
        Share of the vote that the given class gets; decides between equals.
    weights : ndarray of shape (n_rows,)

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.inference.comparison import Comparison
    >>> right = np.array([[True, False, False], [True, True, False]])
    >>> found = Comparison([{"k": 1}, {"k": 2}], right, right * 0.9, np.ones(3))
    >>> found.best_params, found.results["rank_test_score"].tolist()
    ({'k': 2}, [2, 1])
    """

    params: list[dict[str, Any]]
    right: np.ndarray
    own_share: np.ndarray
    weights: np.ndarray

    @cached_property
    def scores(self) -> np.ndarray:
        """Accuracy of every setting."""
        return np.average(self.right, axis=1, weights=self.weights)

    @cached_property
    def _order(self) -> np.ndarray:
        shares = np.average(self.own_share, axis=1, weights=self.weights)
        return np.lexsort((-shares, -self.scores))

    @property
    def best_params(self) -> dict[str, Any]:
        """The best setting."""
        return self.params[self._order[0]]

    @property
    def best_score(self) -> float:
        """Its accuracy."""
        return float(self.scores[self._order[0]])

    @property
    def results(self) -> dict[str, Any]:
        """Settings, scores and ranks, by the names of scikit-learn's searches."""
        ranks = np.empty(len(self._order), dtype=np.intp)
        ranks[self._order] = np.arange(1, len(ranks) + 1)
        return {
            "params": self.params,
            "mean_test_score": self.scores,
            "rank_test_score": ranks,
        }

    def leads(self, simpler: "Comparison") -> bool:
        """Whether the best setting is clearly better than the best of another map.

        Parameters
        ----------
        simpler : Comparison
            On the same rows in the same order.

        Notes
        -----
        Let g be what a row gains, between -1 and 1. By chance alone the sum of all g
        would have a standard error of the root of the sum of all g^2. The lead must
        be larger than half of that and a twentieth of the wrong answers.
        """
        gained = self.right[self._order[0]].astype(np.float64)
        gained -= simpler.right[simpler._order[0]]
        rows = simpler.weights / simpler.weights.mean()
        needed = _LEAD * np.sqrt(np.abs(gained) @ rows)
        needed += _SAVED * (1.0 - simpler.best_score) * len(rows)
        return bool(gained @ rows > needed)


def rows_to_compare(
    candidates: Sequence[tuple[TrainingSet, np.ndarray]], limit: int
) -> np.ndarray:
    """Rows that no candidate has seen the labels of: one a pair, at most `limit`.

    Parameters
    ----------
    candidates : sequence of (TrainingSet, ndarray)
        The same rows under every map, and the pairs that are answered, left out,
        as new rows are.

    Returns
    -------
    ndarray of shape (n,)
        In the order of the pairs of the first candidate; its own pairs where the
        candidates have none in common.
    """
    common = np.ones(candidates[0][0].n_rows, dtype=bool)
    for training, honest in candidates:
        of_pair = np.zeros(training.n_pairs, dtype=bool)
        of_pair[honest] = True
        common &= of_pair[training.pair_of_row]
    training, honest = candidates[0]
    row_of_pair, _ = training.rows_of_pairs()
    pairs = np.flatnonzero(common[row_of_pair])
    if not len(pairs):
        pairs = honest
    return row_of_pair[random_pairs(pairs, limit)]
