"""The graph classifier that chooses its own settings by leave-one-out."""

from collections.abc import Sequence
from itertools import product
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval

from knngraph.classifier import KNNGraphClassifier
from knngraph.fitted.rows import IndexedRows
from knngraph.graph.candidates import nearest_of_same_class
from knngraph.graph.kernel import neighbors_bandwidth
from knngraph.graph.learn import graph_problem, same_class_quota
from knngraph.graph.neighbors import Neighbors
from knngraph.graph.stored_left_out import stored_votes_left_out
from knngraph.indexing import GivenRows, IndexSettings, index_rows, place_rows
from knngraph.inference.adaptive import QueryProblem
from knngraph.inference.comparison import Comparison, rows_to_compare
from knngraph.inference.copies import copied_pairs, with_trust_in_copies
from knngraph.inference.leave_one_out import leave_one_out_grid
from knngraph.metric.choose import FEWEST_ROWS
from knngraph.metric.names import metric_named
from knngraph.parameters import PARAMETER_CONSTRAINTS
from knngraph.progress import stage

# Parameters that are taken over from the classifier as they are.
_KEPT = (
    "inference",
    "support",
    "vote",
    "class_weight",
    "metric",
    "metric_params",
    "cascade_tolerance",
    "walk",
    "ef",
    "M",
    "ef_construction",
    "n_jobs",
    "random_state",
    "verbose",
)
_DEFAULTS = KNNGraphClassifier().get_params()
_COUNT = Interval(Integral, 1, None, closed="left")
_AT_LEAST_ZERO = Interval(Real, 0, np.inf, closed="left")
_FRACTION = Interval(Real, 0, 1, closed="left")
# What the values of a grid may be.
_GRIDS = {
    "neighbor_counts": _COUNT,
    "query_nuggets": _AT_LEAST_ZERO,
    "query_penalties": _FRACTION,
    "bandwidth_factors": Interval(Real, 0, np.inf, closed="neither"),
    "label_weights": Interval(Real, 0, 1, closed="both"),
    "self_weights": _AT_LEAST_ZERO,
}


class KNNGraphClassifierCV(KNNGraphClassifier):
    """Graph classifier with settings chosen by exact leave-one-out.

    The problem at a training row, itself left out, is its leave-one-out
    prediction. Settings are compared on those, without refitting: one search
    for candidates and one set of distances serve them all.

    Parameters
    ----------
    inference : {"adaptive", "cascade", "lookup"}, default="adaptive"
        What the settings are chosen for. For "adaptive" and "cascade" these are
        `max_neighbors`, the bandwidth, nugget and penalty at the query; for
        "lookup" `label_weight`, `self_weight` and the range of penalties.
    neighbor_counts : sequence of int, default=(32, 64)
        Values of `max_neighbors`.
    query_nuggets : sequence of float, default=(0.1, 0.3, 1.0, 3.0)
        Values of `query_nugget`.
    query_penalties : sequence of float, default=(0.02,)
        Values of `query_penalty`.
    bandwidth_factors : sequence of float, default=(1.0,)
        Multiples of the bandwidth that `query_bandwidth="neighbors"` gives.
    label_weights : sequence of float, default=(0.0, 0.1, 0.3)
        Values of `label_weight`.
    self_weights : sequence of float, default=(0.5, 1.0, 2.0)
        Values of `self_weight`.
    penalty_ranges : sequence of (float, float), default=((0.1, 0.5), (0.02, 0.1))
        Values of `penalty_min` and `penalty_max`.
    max_rows : int, default=5000
        Rows that the settings are compared on; a random sample where there are
        more.
    metric : {"auto", "euclidean", "cosine", "learned", "trees"}, default="auto"
        As on `KNNGraphClassifier`, but "auto" compares two of them on the same
        left-out rows: what "auto" keeps there, and "trees", which must lead clearly.
        A left-out row is answered by maps that have not
        seen its label.
    metric_params : dict or None, default=None
        As on `KNNGraphClassifier`.
    vote, class_weight, support, cascade_tolerance, walk, ef, M, ef_construction, \
n_jobs, random_state, verbose
        As on `KNNGraphClassifier`. All other settings have its defaults.

    Attributes
    ----------
    best_params_ : dict
        The chosen settings, by the names they have on `KNNGraphClassifier`.
    best_score_ : float
        Their leave-one-out accuracy, by the weights of the rows and of their
        classes.
    metric_scores_ : dict
        Leave-one-out accuracy of every metric that was compared, with its own best
        settings, on the same rows.
    cv_results_ : dict of ndarray
        "params" (list of dict), "mean_test_score" and "rank_test_score", a value
        a setting.

    See Also
    --------
    KNNGraphClassifier : With the attributes that a fit leaves behind.

    Notes
    -----
    Equal accuracies are decided by the share of the vote for the right class,
    then by the order of the values. For "lookup" a left-out row reaches its
    nearest other row, whose neighbors are learned again without it.

    Examples
    --------
    >>> from knngraph import KNNGraphClassifierCV
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> classifier = KNNGraphClassifierCV(random_state=0).fit(X, y)
    >>> classifier.best_params_["max_neighbors"] in (32, 64)
    True
    >>> bool(classifier.best_score_ > 0.95)
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **{name: PARAMETER_CONSTRAINTS[name] for name in _KEPT},
        **{name: ["array-like"] for name in (*_GRIDS, "penalty_ranges")},
        "max_rows": [_COUNT],
    }

    def __init__(
        self,
        *,
        inference: str = "adaptive",
        neighbor_counts: Sequence[int] = (32, 64),
        query_nuggets: Sequence[float] = (0.1, 0.3, 1.0, 3.0),
        query_penalties: Sequence[float] = (0.02,),
        bandwidth_factors: Sequence[float] = (1.0,),
        label_weights: Sequence[float] = (0.0, 0.1, 0.3),
        self_weights: Sequence[float] = (0.5, 1.0, 2.0),
        penalty_ranges: Sequence[tuple[float, float]] = ((0.1, 0.5), (0.02, 0.1)),
        max_rows: int = 5000,
        vote: str = "reliability",
        class_weight: Any = None,
        metric: str = "auto",
        metric_params: dict[str, Any] | None = None,
        support: str = "auto",
        cascade_tolerance: float = 0.002,
        walk: str = "auto",
        ef: int | str | None = None,
        M: int = 16,
        ef_construction: int = 200,
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        BaseEstimator.__init__(self)
        self.inference = inference
        self.neighbor_counts = neighbor_counts
        self.query_nuggets = query_nuggets
        self.query_penalties = query_penalties
        self.bandwidth_factors = bandwidth_factors
        self.label_weights = label_weights
        self.self_weights = self_weights
        self.penalty_ranges = penalty_ranges
        self.max_rows = max_rows
        self.vote = vote
        self.class_weight = class_weight
        self.metric = metric
        self.metric_params = metric_params
        self.support = support
        self.cascade_tolerance = cascade_tolerance
        self.walk = walk
        self.ef = ef
        self.M = M
        self.ef_construction = ef_construction
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def _setting(self, name: str) -> Any:
        chosen = getattr(self, "best_params_", {})
        if name in chosen:
            return chosen[name]
        return getattr(self, name) if name in _KEPT else _DEFAULTS[name]

    def _check_settings(self) -> None:
        self.__dict__.pop("best_params_", None)  # of an earlier fit
        for name, allowed in _GRIDS.items():
            _check_values(getattr(self, name), name, allowed)
        _check_penalty_ranges(self.penalty_ranges)

    def _neighbors_needed(self) -> int:
        if self.inference == "lookup":
            return int(self._setting("max_neighbors"))
        return max(self.neighbor_counts)

    def _indexed_rows(self, given: GivenRows, settings: IndexSettings) -> IndexedRows:
        metrics = self._metrics(given)
        placed = [place_rows(given, metric, settings) for metric in metrics]
        sample = rows_to_compare(
            [(one.training, one.honest_pairs) for one in placed], self.max_rows
        )
        kept: tuple[IndexedRows, Comparison] | None = None
        self.metric_scores_ = {}
        for metric in metrics:
            # One after the other, so that no more than two indexes are held.
            rows = index_rows(given, placed.pop(0), metric, settings)
            found = self._compared(rows, sample, settings)
            self.metric_scores_[rows.space.metric] = found.best_score
            if kept is None or found.leads(kept[1]):
                kept = rows, found
        rows, found = kept  # type: ignore[misc]
        self.best_params_, self.best_score_ = found.best_params, found.best_score
        self.cv_results_ = found.results
        return rows

    def _metrics(self, given: GivenRows) -> tuple[str, ...]:
        """Metrics to compare, the one that is kept between equals first."""
        metric = metric_named(self.metric, self.metric_params)
        if metric == "auto" and len(given.codes) >= FEWEST_ROWS:
            return ("auto", "trees")
        return (metric,)

    def _compared(
        self, rows: IndexedRows, sample: np.ndarray, settings: IndexSettings
    ) -> Comparison:
        """Compare the settings on left-out rows, by what has not seen their labels."""
        training = rows.training
        pairs = training.pair_of_row[sample]
        left_out = rows.left_out_neighbors(settings.build.n_threads)
        if self.inference == "lookup":
            params, right = self._stored_grid(rows, left_out, pairs, settings)
            own_share = right.astype(np.float64)
        else:
            params, right, own_share = self._query_grid(
                rows, left_out, pairs, settings.build.n_threads
            )
        return Comparison(params, right, own_share, training.score_weights(pairs))

    def _query_grid(
        self,
        rows: IndexedRows,
        left_out: Neighbors,
        pairs: np.ndarray,
        n_threads: int,
    ) -> tuple[list[dict[str, Any]], np.ndarray, np.ndarray]:
        settings, problems = [], []
        for m, factor, nugget, penalty in product(
            self.neighbor_counts,
            self.bandwidth_factors,
            self.query_nuggets,
            self.query_penalties,
        ):
            sigma = factor * neighbors_bandwidth(rows.neighbors, int(m))
            problems.append(QueryProblem(int(m), sigma, nugget, penalty))
            settings.append(
                {
                    "max_neighbors": int(m),
                    "query_bandwidth": sigma * rows.space.scale,
                    "query_nugget": float(nugget),
                    "query_penalty": float(penalty),
                }
            )
        copies = copied_pairs(rows.training, rows.honest_pairs)
        problems = with_trust_in_copies(
            rows.training, left_out, problems, copies, n_threads=n_threads
        )
        with stage("comparing settings", len(pairs), self.verbose) as comparing:
            right, own_share = leave_one_out_grid(
                rows.training,
                left_out,
                problems,
                pairs,
                n_threads=n_threads,
                advance=comparing.advance,
            )
        return settings, right, own_share

    def _stored_grid(
        self,
        rows: IndexedRows,
        left_out: Neighbors,
        pairs: np.ndarray,
        settings: IndexSettings,
    ) -> tuple[list[dict[str, Any]], np.ndarray]:
        training, max_neighbors = rows.training, int(self._setting("max_neighbors"))
        same_class = nearest_of_same_class(
            training,
            rows.neighbors,
            max_neighbors,
            same_class_quota(max_neighbors),
            seed=settings.build.seed,
            n_threads=settings.build.n_threads,
        )
        graphs = list(product(self.label_weights, self.penalty_ranges))
        params, right = [], []
        with stage("comparing settings", len(graphs), self.verbose) as comparing:
            for label_weight, (penalty_min, penalty_max) in graphs:
                changed = {
                    "label_weight": float(label_weight),
                    "penalty_min": float(penalty_min),
                    "penalty_max": float(penalty_max),
                }
                problem, _ = graph_problem(
                    training,
                    rows.neighbors,
                    self._graph_settings(rows.space, **changed),
                )
                votes = stored_votes_left_out(
                    training,
                    left_out,
                    same_class,
                    problem,
                    max_neighbors,
                    self.self_weights,
                    pairs,
                    n_threads=settings.build.n_threads,
                )
                right += [v.codes == training.pair_code[pairs] for v in votes]
                params += [
                    changed | {"self_weight": float(weight)}
                    for weight in self.self_weights
                ]
                comparing.advance(1)
        return params, np.array(right)


def _check_values(values: Any, name: str, allowed: Interval) -> None:
    if not len(values):
        raise ValueError(f"{name} must hold one value at least, got {values!r}.")
    for value in values:
        if not allowed.is_satisfied_by(value):
            raise ValueError(f"Every value of {name} must be {allowed}, got {value!r}.")


def _check_penalty_ranges(ranges: Any) -> None:
    if not len(ranges):
        raise ValueError(f"penalty_ranges must hold one pair at least, got {ranges!r}.")
    for given in ranges:
        pair = list(given) if np.iterable(given) else [given]
        if len(pair) != 2:
            raise ValueError(
                "penalty_ranges must hold pairs of penalty_min and penalty_max, got "
                f"{given!r}."
            )
        _check_values(pair, "penalty_ranges", _FRACTION)
        if pair[0] > pair[1]:
            raise ValueError(
                f"penalty_ranges holds {given!r}, of which the first is larger than "
                "the second; swap them."
            )
