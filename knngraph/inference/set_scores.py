"""Scores of classes, and what scores of left-out rows say of the sets at queries.

The score of a class is the probability of the classes that are no likelier. How small
the score of the true class gets shows at left-out training rows.
"""

from dataclasses import dataclass, fields

import numpy as np

from knngraph.compact import CompactPickle
from knngraph.graph.training_set import TrainingSet, row_hashes
from knngraph.inference.left_out_ranks import Ranked

# Rows of a class, beside the sample, that sets of this class alone are found by.
ROWS_OF_CLASS = 100
# Seed of the hash that decides between equal scores: not that of the order of nodes.
_SEED_OF_TIES = 22


def class_scores(probabilities: np.ndarray, squared: np.ndarray) -> np.ndarray:
    """Score of every class: the probability of the classes that are no likelier.

    Parameters
    ----------
    probabilities : ndarray of shape (n, n_classes)
    squared : ndarray of shape (n, n_classes)
        Of equally probable classes those with the larger number are less likely:
        squared distances to the means of the classes.

    Returns
    -------
    ndarray of shape (n, n_classes), float32
        1 for the first of the likeliest classes, which counts for no other.

    Notes
    -----
    One minus the score is the probability of the classes that are likelier, which is
    the score of adaptive prediction sets [1]_ without its random part: the classes
    with at least some score are the likeliest ones until their probability reaches
    one minus that, and never none. Counted from below, small numbers stay apart in
    single precision.

    All classes without a vote are equally probable: by the distances to their means
    sets hold some of them, where they would hold all or none.

    References
    ----------
    .. [1] Y. Romano, M. Sesia, E. J. Candes, "Classification with valid and adaptive
       coverage", NeurIPS 2020.

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.inference.set_scores import class_scores
    >>> shares = np.array([[0.125, 0.5, 0.125, 0.25]])
    >>> class_scores(shares, np.array([[3.0, 1.0, 2.0, 9.0]])).tolist()
    [[0.125, 1.0, 0.25, 0.5]]
    >>> class_scores(shares, np.ones((1, 4))).tolist()
    [[0.25, 1.0, 0.25, 0.5]]
    """
    rows = np.arange(len(probabilities))
    first = probabilities.argmax(axis=1)
    rest = probabilities.copy()
    rest[rows, first] = 0.0
    order = np.lexsort((-squared, rest), axis=1)
    ascending = np.take_along_axis(rest, order, axis=1)
    nearer = np.take_along_axis(squared, order, axis=1)
    # The last of equal ones counts all of them.
    last = np.full(rest.shape, rest.shape[1] - 1)
    rises = ascending[:, 1:] > ascending[:, :-1]
    rises |= nearer[:, 1:] < nearer[:, :-1]
    last[:, :-1][rises] = np.nonzero(rises)[1]
    last = np.minimum.accumulate(last[:, ::-1], axis=1)[:, ::-1]
    sums = np.take_along_axis(ascending.cumsum(axis=1), last, axis=1)
    scores = np.empty(rest.shape, dtype=np.float32)
    np.put_along_axis(scores, order, sums.astype(np.float32), axis=1)
    scores[rows, first] = 1.0
    return scores


def class_score_of(
    probabilities: np.ndarray, squared: np.ndarray, codes: np.ndarray
) -> np.ndarray:
    """Score of one class a row: that of `class_scores` to the bit, without the others.

    Parameters
    ----------
    probabilities, squared : ndarray of shape (n, n_classes)
    codes : ndarray of shape (n,)
        The class of every row.

    Returns
    -------
    ndarray of shape (n,), float32

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.inference.set_scores import class_score_of
    >>> shares = np.array([[0.125, 0.5, 0.125, 0.25]])
    >>> class_score_of(shares, np.array([[3.0, 1.0, 2.0, 9.0]]), np.array([2])).tolist()
    [0.25]
    """
    rows = np.arange(len(probabilities))
    own, own_squared = probabilities[rows, codes, None], squared[rows, codes, None]
    first = probabilities.argmax(axis=1)
    counted = (probabilities == own) & (squared >= own_squared)
    counted |= probabilities < own
    counted[rows, first] = False
    # Added in the same order as there, after zeros.
    ascending = np.sort(np.where(counted, probabilities, 0.0), axis=1)
    scores = ascending.cumsum(axis=1)[:, -1].astype(np.float32)
    scores[first == codes] = 1.0
    return scores


def score_keys(scores: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Numbers in the order of scores, of which those of different rows differ.

    Parameters
    ----------
    scores : ndarray of shape (n,) or (n, n_classes), float32
        Not negative.
    points : ndarray of shape (n, n_features)
        Mapped rows: a hash of them decides between equal scores, as if at random.

    Returns
    -------
    ndarray of the shape of `scores`, uint64
    """
    # The bits of such floats have the order of the floats.
    high = scores.view(np.uint32).astype(np.uint64) << np.uint64(32)
    low = row_hashes(points, _SEED_OF_TIES) >> np.uint64(32)
    return high | (low if scores.ndim == 1 else low[:, None])


def pairs_for_sets(
    training: TrainingSet, honest: np.ndarray, n_drawn: int
) -> np.ndarray:
    """A random sample of the pairs, and 100 of every class where there are so many.

    Parameters
    ----------
    honest : ndarray of shape (n_honest,)
        Pairs that are answered, left out, as new rows are, ascending.
    n_drawn : int
        Size of the sample, the first of them.
    """
    codes = training.pair_code[honest]
    by_class = np.argsort(codes, kind="stable")
    starts = np.searchsorted(codes[by_class], np.arange(training.n_classes))
    place_in_class = np.empty(len(honest), dtype=np.intp)
    place_in_class[by_class] = np.arange(len(honest)) - starts[codes[by_class]]
    chosen = place_in_class < ROWS_OF_CLASS
    chosen[:n_drawn] = True
    return honest[chosen]


@dataclass(frozen=True)
class SetScores(CompactPickle):
    """Scores of the given classes of left-out rows.

    Parameters
    ----------
    pairs : ndarray of shape (n,), intp, ascending
        Each stands for as many rows as its weight says.
    keys : ndarray of shape (n,), uint64
        See `score_keys`.
    n_drawn : int
        So many of them, the first, are a random sample; the others belong to classes
        with few rows in it.
    means : ndarray of shape (n_classes, n_features)
        Mean of the mapped rows of every class: see `class_scores`.
    """

    pairs: np.ndarray
    keys: np.ndarray
    n_drawn: int
    means: np.ndarray


class SetRule:
    """How many left-out rows have larger scores, and how many exclude a class.

    Parameters
    ----------
    scores : SetScores
    training : TrainingSet
    per_class : bool
        Whether a class is compared with its own rows, and not with all.
    """

    def __init__(
        self, scores: SetScores, training: TrainingSet, *, per_class: bool
    ) -> None:
        some = slice(None if per_class else scores.n_drawn)
        self.means = scores.means
        self.pairs, self.keys = scores.pairs[some], scores.keys[some]
        self.weight = training.pair_weight[self.pairs]
        self.code = training.pair_code[self.pairs]
        self._training, self._per_class = training, per_class
        groups = [np.arange(len(self.pairs))]
        if per_class:
            by_class = np.argsort(self.code, kind="stable")
            classes = np.arange(1, training.n_classes)
            groups = np.split(by_class, np.searchsorted(self.code[by_class], classes))
        self._ranked = [Ranked.of(self.keys[g], self.weight[g]) for g in groups]

    @property
    def n_rows(self) -> np.ndarray:
        """Rows that every class is compared with, of shape (n_classes,)."""
        totals = np.array([ranked.total for ranked in self._ranked])
        return np.broadcast_to(totals, self._training.n_classes)

    def limits(self, alpha: float) -> np.ndarray:
        """(1 - alpha) (n + 1): so many of n rows with larger scores exclude a class.

        Returns
        -------
        ndarray of shape (n_classes,)
        """
        return (1.0 - alpha) * (self.n_rows + 1.0)

    def count(self, keys: np.ndarray) -> np.ndarray:
        """Rows with larger keys than those of shape (n_queries, n_classes)."""
        if not self._per_class:
            return self._ranked[0].above(keys)
        counts = np.empty(keys.shape)
        for code, ranked in enumerate(self._ranked):
            counts[:, code] = ranked.above(keys[:, code])
        return counts

    def voters(self, ids: np.ndarray, shares: np.ndarray) -> "Voters":
        """Left-out rows among those that vote at queries.

        Parameters
        ----------
        ids, shares : ndarray of shape (n_queries, m)
            Candidates, and their shares of the vote.
        """
        query, place = np.nonzero(shares > 0.0)
        nodes = ids[query, place]
        starts = self._training.node_starts()
        n_on_node = starts[nodes + 1] - starts[nodes]
        vote = np.repeat(np.arange(len(nodes)), n_on_node)
        first = np.repeat(np.cumsum(n_on_node) - n_on_node, n_on_node)
        pairs = starts[nodes][vote] + np.arange(len(vote)) - first
        row = np.searchsorted(self.pairs, pairs)
        known = np.append(self.pairs, -1)[row] == pairs
        vote, row = vote[known], row[known]
        weight = np.repeat(self.weight[row, None], self._training.n_classes, axis=1)
        if self._per_class:
            weight[self.code[row, None] != np.arange(self._training.n_classes)] = 0.0
        return Voters(query[vote], place[vote], pairs[known], self.keys[row], weight)


@dataclass(frozen=True)
class Voters:
    """Left-out rows that vote at queries, in the order of the queries.

    Parameters
    ----------
    query, place : ndarray of shape (n,)
        Query, and place among its candidates.
    pair : ndarray of shape (n,)
    key : ndarray of shape (n,), uint64
    weight : ndarray of shape (n, n_classes)
        Rows that each stands for, where a class is compared with them.
    """

    query: np.ndarray
    place: np.ndarray
    pair: np.ndarray
    key: np.ndarray
    weight: np.ndarray

    def at(self, queries: np.ndarray) -> "Voters":
        """Those at the queries that a mask of shape (n_queries,) names."""
        there = queries[self.query]
        return Voters(*(getattr(self, field.name)[there] for field in fields(self)))

    def sums(self, values: np.ndarray, n_queries: int) -> np.ndarray:
        """Sums of values of shape (n, n_classes) at every query."""
        sums = np.zeros((n_queries, values.shape[1]))
        if len(values):
            first = np.flatnonzero(np.diff(self.query, prepend=-1))
            sums[self.query[first]] = np.add.reduceat(values, first, axis=0)
        return sums
