"""One fit on a sample of all rows: what the partitions share."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from numbers import Integral
from typing import Any

import numpy as np

from knngraph.distributed.collections import given_labels, numeric_rows
from knngraph.distributed.tasks import Held, compute, homes_of, own_threads, task
from knngraph.graph.learn import GraphSettings
from knngraph.graph.training_set import row_hashes
from knngraph.index.build import LOOKUP_EF, walk_for
from knngraph.index.protocol import ef_for
from knngraph.inference.adaptive import QueryProblem
from knngraph.inference.calibration import Calibration
from knngraph.inference.cascade import CascadeRule
from knngraph.inference.novelty import Novelty
from knngraph.missing import columns_without_values
from knngraph.space import Space

# Rows of the sample: so many at most. Of fewer than 800,000 rows a part, so that the
# pilot stays well below a partition, but never less than the first of the two numbers.
PILOT_ROWS = 50_000
_FEWEST_ROWS, _PART = 10_000, 16
PILOT_BYTES = 2**30
# Rows that centroids are found in, for every partition.
_ROWS_PER_CENTROID = 256
# Fitted attributes of the pilot that the estimator shows as they are.
_SHOWN = (
    "metric_",
    "metric_scores_",
    "precision_",
    "query_nugget_",
    "label_doubt_",
    "loo_score_",
    "lookup_agreement_",
)


@dataclass(frozen=True)
class Shared(Held):
    """What is one for all partitions.

    Parameters
    ----------
    space : Space
    settings : GraphSettings
        In mapped units.
    problem : QueryProblem
        Its sigma is that of the pilot until the lists of all partitions are there.
    sigma : float
        Bandwidth of the graph, in mapped units.
    query_bandwidth : "neighbors", "local" or float
        In mapped units.
    low, high : ndarray of shape (n_scales,)
        Extremes of `knngraph.graph.density.inverse_distances`.
    noise, nugget_factor : float
        Share of wrong labels, and the multiple of the nugget that goes with it.
    exponent : float
        Calibrates the votes that labels are judged by; read where `noise` > 0.
    calibration : Calibration
    rule : CascadeRule
    label_ef, node_ef : int
        `ef` of a lookup with ef="auto" and of a cascade.
    n_listed : int
        Neighbors that are listed for every node.
    exact_up_to : float
        Rows up to which lists are searched exactly.
    M, ef_construction, seed : int
        Of the indices.
    centroids : ndarray of shape (n_partitions, n_features) or None
    novelty : Novelty or None
        Of all partitions; None until they are learned.
    """

    space: Space
    settings: GraphSettings
    problem: QueryProblem
    sigma: float
    query_bandwidth: float | str
    low: np.ndarray
    high: np.ndarray
    noise: float
    nugget_factor: float
    exponent: float
    calibration: Calibration
    rule: CascadeRule
    label_ef: int
    node_ef: int
    n_listed: int
    exact_up_to: float
    M: int
    ef_construction: int
    seed: int
    centroids: np.ndarray | None = None
    novelty: Novelty | None = None

    def ef(self, inference: str, ef: int | str | None, walk: str) -> int:
        """`ef` of the search that the parameters ask for."""
        if inference == "adaptive":
            least = ef_for(self.problem.n_neighbors)
            return max(least, int(ef)) if isinstance(ef, Integral) else least
        if isinstance(ef, Integral):
            return int(ef)
        if inference == "cascade":
            return self.node_ef
        return self.label_ef if ef == "auto" else LOOKUP_EF[walk]


@dataclass(frozen=True)
class Sample(Held):
    """Rows of one block that are in the sample."""

    hashes: np.ndarray
    rows: np.ndarray
    labels: np.ndarray


def fit_pilot(
    blocks: Sequence[tuple[Any, Any]],
    estimator: Any,
    n_rows: int,
    n_bytes: int,
    n_centroids: int | None,
    names: Any = None,
) -> tuple[Shared, dict[str, Any], list[Any]]:
    """Fit a sample of the rows in one task.

    The sample is chosen by a hash of the rows, whatever their order and their blocks.

    Parameters
    ----------
    blocks : sequence of (Delayed, Delayed)
        Of X and y.
    estimator : KNNGraphClassifier
    n_rows, n_bytes : int
        Of all blocks.
    n_centroids : int or None
        Centroids to find in the sample; None for none.
    names : array-like of str or None
        Of the columns.

    Returns
    -------
    shared : Shared
    shown : dict
        Fitted attributes of the estimator.
    warned : list of Warning
    """
    limit = min(PILOT_ROWS, max(_FEWEST_ROWS, n_rows // _PART))
    limit = min(limit, max(1, int(PILOT_BYTES * (n_rows / max(1, n_bytes)))))
    # A few more than are taken: how many hashes are small is a matter of chance.
    share = min(1.0, (limit + 5.0 * np.sqrt(limit)) / n_rows)
    sample = partial(_sample, share=share, limit=limit)
    parts = [task(sample, X, y, name="sample") for X, y in blocks]
    fit = partial(
        _fit, estimator=estimator, limit=limit, n_centroids=n_centroids, names=names
    )
    # Always on the same worker: what it loads for this, others do not.
    pilot = task(fit, parts, name="pilot", home=homes_of(1)[0])
    ((shared, shown, warned),) = compute(pilot)
    return shared, shown, warned


def _sample(X: Any, y: Any, share: float, limit: int) -> Sample:
    rows, labels = numeric_rows(X), given_labels(y)
    with np.errstate(over="ignore"):  # what is huge is refused later
        hashes = row_hashes(np.ascontiguousarray(rows, dtype=np.float32), 0)
    some = np.flatnonzero(hashes <= np.uint64(share * (2.0**64 - 2.0**12)))
    if share == 1.0:
        some = np.arange(len(rows))
    some = some[np.argsort(hashes[some], kind="stable")[:limit]]
    return Sample(hashes[some], rows[some], labels[some])


def _fit(
    parts: list[Sample],
    estimator: Any,
    limit: int,
    n_centroids: int | None,
    names: Any,
) -> tuple[Shared, dict[str, Any], list[Any]]:
    from sklearn.base import clone

    from knngraph.validation import refuse_empty_columns

    parts = [part for part in parts if len(part.rows)]
    hashes = np.concatenate([part.hashes for part in parts])
    labels = np.concatenate([part.labels for part in parts])
    # By label among copies, so that the order of the blocks is of no matter.
    order = np.lexsort((np.unique(labels, return_inverse=True)[1], hashes))[:limit]
    rows = np.concatenate([part.rows for part in parts])[order]
    # A column may have few values, none of them in a row of the sample.
    where = f"A sample of {len(rows)} rows of X, which the map is learned from,"
    refuse_empty_columns(columns_without_values(rows), names, where)
    with warnings.catch_warnings(record=True) as warned, own_threads():
        warnings.simplefilter("always")
        fitted = clone(estimator).fit(rows, labels[order])
        shared = read_pilot(fitted)
        shown = {name: getattr(fitted, name) for name in _SHOWN}
    if n_centroids is not None:
        shared = replace(shared, centroids=_centroids(fitted, n_centroids, shared.seed))
    return shared, shown, [warning.message for warning in warned]


def read_pilot(fitted: Any) -> Shared:
    """All that the partitions need of a fitted classifier; nothing else looks in it."""
    model = fitted._model
    settings, rule = model.settings, model.stored_rule
    reliability = model.reliability
    return Shared(
        space=model.space,
        settings=settings.graph,
        problem=model.problem,
        sigma=model.graph.problem.kernel.sigma,
        query_bandwidth=settings.query_bandwidth,
        low=np.empty(0),
        high=np.empty(0),
        noise=0.0 if reliability is None else reliability.doubt,
        nugget_factor=1.0 if reliability is None else reliability.nugget_factor,
        exponent=model.left_out.label_exponent,
        calibration=rule.calibration,
        rule=rule.rule,
        label_ef=model.label_ef(walk_for(fitted.walk)),
        node_ef=model.node_ef(walk_for(fitted.walk, "cascade")),
        n_listed=settings.n_listed,
        exact_up_to=settings.exact_up_to,
        M=settings.M,
        ef_construction=settings.ef_construction,
        seed=settings.seed,
    )


def _centroids(fitted: Any, n_centroids: int, seed: int) -> np.ndarray:
    from sklearn.cluster import KMeans

    rows = fitted._model.training.points[: _ROWS_PER_CENTROID * n_centroids]
    means = KMeans(min(n_centroids, len(rows)), n_init=3, random_state=seed % 2**31)
    return means.fit(rows.astype(np.float64)).cluster_centers_.astype(np.float32)
