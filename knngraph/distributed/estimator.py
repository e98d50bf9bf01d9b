"""The graph classifier whose training rows lie on a Dask cluster."""

import warnings
from dataclasses import replace
from functools import partial
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, _fit_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils._param_validation import (
    Interval,
    StrOptions,
    validate_parameter_constraints,
)
from sklearn.utils.validation import (
    _check_feature_names,
    check_array,
    check_is_fitted,
)

from knngraph.classifier import KNNGraphClassifier
from knngraph.distributed.blocks import (
    describe_blocks,
    is_dask,
    is_frame,
    joint_classes,
    training_blocks,
)
from knngraph.distributed.certifying import certify_all
from knngraph.distributed.collections import answer_rows
from knngraph.distributed.fitting import (
    ask_around_sample,
    fit_partitions,
    learn_all,
    learn_thresholds_on,
)
from knngraph.distributed.gathering import LocalParts, check_size, local_model
from knngraph.distributed.global_values import (
    density_extremes,
    median_bandwidth_on,
    neighbors_bandwidth_on,
)
from knngraph.distributed.layout import Layout, build_indices, lay_out
from knngraph.distributed.learning import Globals
from knngraph.distributed.looking_closer import learn_lens_on, lens_bandwidth_on
from knngraph.distributed.neighborhoods import (
    look_around_all,
    measure_routing,
    search_own_classes,
)
from knngraph.distributed.placing import (
    fit_space_on,
    learn_space_on,
    place_rows,
    route_rows,
)
from knngraph.distributed.precise import check_precision_on
from knngraph.distributed.predicting import (
    DistributedModel,
    count_right,
    labels_of_block,
    probabilities_of_block,
)
from knngraph.distributed.summary import summarize
from knngraph.distributed.tasks import (
    compute,
    finish,
    is_lost,
    task,
    threads_of_task,
    worker_addresses,
)
from knngraph.exceptions import LookupAgreementWarning
from knngraph.fitting import all_or_nothing
from knngraph.graph.learn import GraphSettings
from knngraph.index.build import LOOKUP_EF, walk_for
from knngraph.index.protocol import ef_for
from knngraph.inference.adaptive import n_listed_for
from knngraph.inference.cascade import n_nodes_around
from knngraph.inference.learn import ENOUGH_SAME_LABELS, ENOUGH_SAME_NODES
from knngraph.inference.model import Reading
from knngraph.parameters import PARAMETER_CONSTRAINTS, checked_scales
from knngraph.space import Space
from knngraph.updating.recipe import in_mapped_units

_TOO_LITTLE_AGREEMENT = 0.95
_OWN_PARAMETERS = ("n_partitions", "routing", "n_probes")


class DaskKNNGraphClassifier(ClassifierMixin, BaseEstimator):
    """`KNNGraphClassifier` for training rows on a Dask cluster.

    Fits Dask arrays and data frames without bringing their rows to one place, and
    answers Dask collections lazily. With ``routing="all"`` it learns what
    `KNNGraphClassifier` learns of the same rows, whatever their chunks: to
    rounding where the search is exact, and to the recall of the indices where it
    is not.

    Parameters
    ----------
    inference, max_neighbors, support, density_scales, penalty_min, penalty_max, \
    label_weight, label_discount, bandwidth, nugget, self_weight, positive, \
    query_nugget, query_penalty, query_bandwidth, query_metric, vote, metric, \
    cascade_tolerance, walk, ef, M, ef_construction, max_iter, tol, random_state, \
    verbose
        As for `KNNGraphClassifier`. Walks are those over the index of each
        partition.
    n_jobs : int or None, default=None
        Threads of one task. None is one, -1 all cores of a worker's machine.
    n_partitions : int or None, default=None
        Partitions of the training rows, each with an index of its own. None is one
        a worker.
    routing : {"all", "centroids"}, default="all"
        "all" has every row ask every partition. "centroids" puts rows near each
        other into one partition, and a row asks those of the nearest centroids:
        less work and traffic, at the recall that `routing_recall_` says.
    n_probes : int, default=4
        Partitions that a row asks with ``routing="centroids"``.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    n_features_in_ : int
        Number of features seen during `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns of a data frame, where all are strings.
    metric_ : {"euclidean", "cosine", "learned"}
        Metric that is used.
    bandwidth_, query_bandwidth_ : float or None
        As for `KNNGraphClassifier`.
    query_metric_ : {"learned", "same"}
        Whether candidates are compared along learned directions at queries.
    query_nugget_ : float
        Nugget that is used at queries.
    label_noise_ : float
        Share of wrong labels that the votes at queries reckon with.
    loo_score_ : float
        Accuracy of adaptive inference on the training rows, each left out; on at
        most 5000 of them where "trusted" chose other than the plain vote.
    lookup_agreement_ : float
        Share of held-out training rows for which the walk in their partition ends
        at the label that exact search finds there.
    ef_ : int
        Beam that the present parameters ask for, in every partition.
    n_iter_ : int
        Largest number of iterations that a row took.
    optimality_gap_ : float
        Largest violation of the optimality conditions in units of lambda*.
    n_relabeled_ : int
        Training rows whose stored label differs from the given one.
    partition_sizes_ : ndarray of shape (n_partitions,)
        Rows of every partition.
    routing_recall_ : float
        Share of the candidates of sampled training rows that the partitions they
        ask hold; 1.0 where all are asked.

    See Also
    --------
    knngraph.KNNGraphClassifier : The same on one machine, with the learned graph.
    knngraph.distributed.predict : A local classifier over Dask collections.

    Examples
    --------
    >>> import dask.array as da
    >>> from knngraph.distributed import DaskKNNGraphClassifier
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> X, y = da.from_array(X, chunks=(50, 4)), da.from_array(y, chunks=50)
    >>> classifier = DaskKNNGraphClassifier(n_partitions=2, random_state=0).fit(X, y)
    >>> classifier.predict(X)[[0, 70, 140]].compute()
    array([0, 1, 2])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **PARAMETER_CONSTRAINTS,
        "n_partitions": [Interval(Integral, 1, None, closed="left"), None],
        "routing": [StrOptions({"all", "centroids"})],
        "n_probes": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        *,
        inference: str = "lookup",
        max_neighbors: int = 32,
        support: str = "auto",
        density_scales: Any = (3, 7, 15),
        penalty_min: float = 0.1,
        penalty_max: float = 0.5,
        label_weight: float = 0.3,
        label_discount: float = 0.1,
        bandwidth: float | str = "median",
        nugget: float = 0.0,
        self_weight: float = 2.0,
        positive: bool = True,
        query_nugget: float = 0.3,
        query_penalty: float = 0.02,
        query_bandwidth: float | str = "neighbors",
        query_metric: str = "auto",
        vote: str = "trusted",
        metric: str = "euclidean",
        cascade_tolerance: float = 0.002,
        walk: str = "auto",
        ef: int | str | None = None,
        M: int = 16,
        ef_construction: int = 200,
        max_iter: int = 200,
        tol: float = 1e-4,
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
        n_partitions: int | None = None,
        routing: str = "all",
        n_probes: int = 4,
    ) -> None:
        self.inference = inference
        self.max_neighbors = max_neighbors
        self.support = support
        self.density_scales = density_scales
        self.penalty_min = penalty_min
        self.penalty_max = penalty_max
        self.label_weight = label_weight
        self.label_discount = label_discount
        self.bandwidth = bandwidth
        self.nugget = nugget
        self.self_weight = self_weight
        self.positive = positive
        self.query_nugget = query_nugget
        self.query_penalty = query_penalty
        self.query_bandwidth = query_bandwidth
        self.query_metric = query_metric
        self.vote = vote
        self.metric = metric
        self.cascade_tolerance = cascade_tolerance
        self.walk = walk
        self.ef = ef
        self.M = M
        self.ef_construction = ef_construction
        self.max_iter = max_iter
        self.tol = tol
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose
        self.n_partitions = n_partitions
        self.routing = routing
        self.n_probes = n_probes

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any) -> "DaskKNNGraphClassifier":
        """Learn neighbors and stored labels of rows on the cluster.

        Parameters
        ----------
        X : dask Array of shape (n_samples, n_features) or dask DataFrame
            Chunk sizes may be unknown. Its blocks are read about ten times:
            persist what is costly to make.
        y : dask Array of shape (n_samples,) or dask Series

        Returns
        -------
        self : DaskKNNGraphClassifier
            Where fit does not end, through an error or Ctrl-C, it keeps the state
            that it had before.
        """
        with all_or_nothing(self):
            return self._fit(X, y)

    def _fit(self, X: Any, y: Any) -> "DaskKNNGraphClassifier":
        local = self._local()
        scales = checked_scales(self.density_scales)
        local._check_settings()
        X_blocks, y_blocks = training_blocks(X, y)
        described = describe_blocks(X_blocks, y_blocks)
        self.classes_ = joint_classes(described)
        self._check_columns(X, reset=True)
        n_rows = np.array([block.n_rows for block in described])
        self.n_features_in_ = max(block.n_features for block in described)
        n_threads = threads_of_task(self.n_jobs)
        seed, _ = local._seed_and_build_threads(1)

        blocks = list(zip(X_blocks, y_blocks))
        space = self._fit_space(blocks, int(n_rows.sum()), seed, n_threads)
        partitions, layout = self._place(blocks, n_rows, space, seed)
        built = build_indices(
            partitions,
            layout.homes,
            M=self.M,
            ef_construction=self.ef_construction,
            seed=seed,
            walk=walk_for(self.walk),
            n_threads=n_threads if self.random_state is None else 1,
        )
        settings = local._graph_settings(scales, space)
        exact = int(n_rows.sum()) <= local._exact_up_to()
        n_nodes = int(layout.n_nodes.sum())
        around = look_around_all(
            partitions,
            built,
            layout,
            settings,
            n_listed=max(local._neighbors_needed(n_nodes), *scales),
            exact=exact,
            n_threads=n_threads,
        )
        check_precision_on(
            space, X_blocks, np.cumsum(n_rows) - n_rows, partitions, around, layout
        )
        del blocks, X_blocks, y_blocks
        own_class = search_own_classes(
            partitions, around, layout, settings, seed=seed, n_threads=n_threads
        )
        lens = None
        if local._may_look_closer(n_nodes):
            lens = learn_lens_on(
                partitions,
                layout,
                local._query_problem(sigma=0.0),
                seed=seed,
                n_threads=n_threads,
            )
        everything = self._globals(
            partitions, around, lens, layout, settings, space, n_threads
        )
        trusted = self.vote == "trusted"
        asked: list[Any] = [()] * len(partitions)
        if trusted:
            asked = ask_around_sample(partitions, around, layout, everything)
        learned, witnessed = learn_all(
            partitions,
            around,
            own_class,
            layout,
            everything,
            asked,
            lens,
            strictly=exact,
        )
        if exact:
            learned = certify_all(partitions, learned, layout, everything)
        thresholds = learn_thresholds_on(
            partitions,
            around,
            own_class,
            learned,
            witnessed if trusted else None,
            lens,
            layout,
            everything,
            self.cascade_tolerance,
        )
        del witnessed
        self._summary = summarize(partitions, built, learned, layout, self.tol)
        fitted = fit_partitions(
            partitions, built, learned, lens, layout, thresholds.chosen
        )
        finish(fitted)
        self._model = DistributedModel(
            space, fitted, lens, layout, thresholds, self.classes_, self._walk_now
        )
        self._parts = LocalParts(
            partitions,
            around,
            learned,
            everything,
            exact,
            seed,
            lens,
        )
        self.routing_recall_ = measure_routing(
            partitions, built, layout, self.max_neighbors, n_threads
        )
        self._keep(space, everything, layout)
        self._warn()
        return self

    def predict(self, X: Any) -> Any:
        """Predict the class of every row.

        Parameters
        ----------
        X : dask Array or DataFrame, or array-like, of shape (n_queries, n_features)

        Returns
        -------
        dask Array or Series of a collection, lazily; ndarray of anything else
        """
        answer = partial(labels_of_block, self._fitted_model(), self._reading())
        return self._answer(X, answer, self.classes_.dtype, None)

    def predict_proba(self, X: Any) -> Any:
        """Predict the probability of every class.

        Parameters
        ----------
        X : dask Array or DataFrame, or array-like, of shape (n_queries, n_features)

        Returns
        -------
        dask Array or DataFrame of a collection, lazily; ndarray of anything else
            Columns follow `classes_`.
        """
        answer = partial(probabilities_of_block, self._fitted_model(), self._reading())
        return self._answer(X, answer, np.float64, self.classes_)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Accuracy on rows of known class.

        Parameters
        ----------
        X : dask Array or DataFrame, or array-like, of shape (n_queries, n_features)
        y : of the same kind, of shape (n_queries,)
        sample_weight : array-like of shape (n_queries,) or None
            For rows in memory only.

        Returns
        -------
        float
        """
        if not is_dask(X):
            return float(super().score(X, y, sample_weight))
        if sample_weight is not None:
            raise ValueError("sample_weight is not offered for Dask collections.")
        self._check_columns(X, reset=False)
        answer = partial(labels_of_block, self._fitted_model(), self._reading())
        right = compute(
            *(
                task(count_right, answer(rows), given, name="score")
                for rows, given in zip(*training_blocks(X, y))
            )
        )
        n_right, n_rows = np.sum(right, axis=0)
        return float(n_right / n_rows)

    def to_local(self, max_bytes: int = 2 * 2**30) -> KNNGraphClassifier:
        """The fitted model as a plain classifier, in this process.

        Parameters
        ----------
        max_bytes : int, default=2 GiB
            Largest estimate of its memory that is accepted.

        Returns
        -------
        KNNGraphClassifier
        """
        model = self._fitted_model()
        check_size(model, self._parts, max_bytes)
        local = self._local()
        found = local_model(
            local,
            model,
            self._parts,
            self.loo_score_,
            n_threads=threads_of_task(self.n_jobs),
        )
        local.classes_, local.n_features_in_ = self.classes_, self.n_features_in_
        if hasattr(self, "feature_names_in_"):
            local.feature_names_in_ = self.feature_names_in_
        local._keep_model(found)
        return local

    @property
    def ef_(self) -> int:
        """Beam of the walk, in every partition, that the parameters ask for."""
        check_is_fitted(self)
        summary = self._summary
        if self.inference == "adaptive":
            least = ef_for(self._n_searched(self._model.lens))
            return max(least, self.ef) if isinstance(self.ef, Integral) else least
        if isinstance(self.ef, Integral):
            return int(self.ef)
        if self.inference == "cascade":
            beam = summary.smallest_beam(summary.same_node, ENOUGH_SAME_NODES)
            return max(beam, n_nodes_around(self.max_neighbors))
        if self.ef == "auto":
            return summary.smallest_beam(summary.same_label, ENOUGH_SAME_LABELS)
        return LOOKUP_EF[self._walk_now]

    @property
    def label_noise_(self) -> float:
        """Share of wrong labels that the votes at queries reckon with."""
        check_is_fitted(self)
        chosen = self._model.thresholds.chosen
        return 0.0 if chosen is None else chosen.noise

    @property
    def query_metric_(self) -> str:
        """Whether candidates are compared along learned directions at queries."""
        check_is_fitted(self)
        return "same" if self._model.lens is None else "learned"

    @property
    def query_nugget_(self) -> float:
        """Nugget that is used at queries."""
        check_is_fitted(self)
        chosen = self._model.thresholds.chosen
        factor = 1.0 if chosen is None else chosen.nugget_factor
        return float(factor * self.query_nugget)

    @property
    def lookup_agreement_(self) -> float:
        """Share of held-out rows whose walk ends at the label of exact search."""
        return self._summary.agreement(self.ef_)

    def __getstate__(self) -> dict[str, Any]:
        if hasattr(self, "_model") and worker_addresses():
            raise TypeError(
                "A fitted DaskKNNGraphClassifier lies on its cluster and cannot be "
                "pickled; to_local() gives a classifier that can."
            )
        state: dict[str, Any] = super().__getstate__()
        return state

    def _local(self) -> KNNGraphClassifier:
        """A plain classifier with the parameters that both have."""
        shared = self.get_params(deep=False)
        for name in _OWN_PARAMETERS:
            del shared[name]
        return KNNGraphClassifier(**shared)

    def _fit_space(
        self, blocks: list[Any], n_rows: int, seed: int, n_threads: int
    ) -> Space:
        plain = fit_space_on(
            [X for X, _ in blocks], n_rows, self.n_features_in_, self.metric
        )
        return learn_space_on(
            plain,
            blocks,
            self.classes_,
            self.metric,
            self._local()._query_problem(sigma=0.0),
            seed=seed,
            n_threads=n_threads,
        )

    def _place(
        self, blocks: list[Any], n_rows: np.ndarray, space: Space, seed: int
    ) -> tuple[list[Any], Layout]:
        workers = worker_addresses()
        wanted = self.n_partitions or max(1, len(workers))
        router = route_rows(space, blocks, self.classes_, self.routing, wanted, seed)
        homes = [
            workers[number % len(workers)] if workers else None
            for number in range(router.n_partitions)
        ]
        first_numbers = np.cumsum(n_rows) - n_rows
        partitions = place_rows(
            space, blocks, first_numbers, self.classes_, router, homes
        )
        n_probes = self.n_probes if router.centroids is not None else None
        return partitions, lay_out(
            partitions, homes, router, n_probes, self.n_features_in_
        )

    def _globals(
        self,
        partitions: list[Any],
        around: list[Any],
        lens: Any,
        layout: Layout,
        settings: GraphSettings,
        space: Space,
        n_threads: int,
    ) -> Globals:
        low, high = density_extremes(around)
        to_neighbors = partial(neighbors_bandwidth_on, around, int(layout.n_rows.sum()))
        sigma = settings.bandwidth
        if sigma == "median":
            sigma = median_bandwidth_on(partitions, layout)
        elif sigma == "neighbors":
            sigma = to_neighbors()
        query = self._local()._query_problem(sigma=0.0)
        n_searched = self._n_searched(lens)
        query_sigma = in_mapped_units(self.query_bandwidth, space)
        if query_sigma == "local":
            query_sigma = 0.0
        elif query_sigma == "neighbors" and lens is not None:
            query_sigma = lens_bandwidth_on(
                partitions, around, lens, layout, query, n_searched
            )
        elif query_sigma == "neighbors":
            query_sigma = to_neighbors()
        return Globals(
            offsets=layout.offsets,
            class_sizes=layout.class_sizes,
            settings=settings,
            low=low,
            high=high,
            sigma=float(sigma),
            query=replace(query, sigma=float(query_sigma)),
            n_searched=n_searched,
            n_threads=n_threads,
        )

    def _n_searched(self, lens: Any) -> int:
        m = int(self.max_neighbors)
        return m if lens is None else n_listed_for(m)

    def _keep(self, space: Space, everything: Globals, layout: Layout) -> None:
        self.metric_ = space.metric
        self.bandwidth_ = everything.sigma * space.scale
        self.query_bandwidth_ = None
        if self.query_bandwidth != "local":
            self.query_bandwidth_ = everything.query.sigma * space.scale
        self.partition_sizes_ = layout.n_rows
        chosen = self._model.thresholds.chosen
        self.loo_score_ = self._summary.n_right / int(layout.n_rows.sum())
        if chosen is not None:
            self.loo_score_ = chosen.score
        self.n_relabeled_ = self._summary.n_relabeled
        self.n_iter_ = self._summary.n_iter
        self.optimality_gap_ = self._summary.gap

    def _check_columns(self, X: Any, reset: bool) -> None:
        _check_feature_names(self, X._meta if is_frame(X) else X, reset=reset)

    def _answer(self, X: Any, answer: Any, dtype: Any, columns: Any) -> Any:
        m = self.max_neighbors
        if is_dask(X):
            self._check_columns(X, reset=False)
            return answer_rows(X, answer, m, dtype, columns)
        import dask.array as da

        self._check_columns(X, reset=False)
        rows = check_array(X, dtype="numeric")
        lazily = da.from_array(rows, chunks=(4096, -1))
        return answer_rows(lazily, answer, m, dtype, columns).compute()

    @property
    def _walk_now(self) -> str:
        return walk_for(self.walk, self.inference)

    def _fitted_model(self) -> DistributedModel:
        check_is_fitted(self)
        if any(is_lost(part) for part in self._model.fitted):
            raise RuntimeError(
                "The fitted partitions are gone: they lie on the cluster as long as "
                "the client that fitted them is connected. Fit again, or take "
                "to_local() while the client is there."
            )
        # Queries may walk otherwise than fit did.
        return replace(self._model, walk=self._walk_now)

    def _reading(self) -> Reading:
        for name in ("inference", "walk", "ef"):
            validate_parameter_constraints(
                {name: PARAMETER_CONSTRAINTS[name]},
                {name: getattr(self, name)},
                caller_name=type(self).__name__,
            )
        sigma = (self.query_bandwidth_ or 0.0) / self._model.space.scale
        return Reading(
            self.inference,
            self.ef_,
            self._local()._query_problem(sigma),
            threads_of_task(self.n_jobs),
        )

    def _warn(self) -> None:
        summary = self._summary
        if len(summary.gaps):
            warnings.warn(
                f"{len(summary.gaps)} rows did not reach tol={self.tol} within "
                f"max_iter={self.max_iter} iterations; the largest optimality gap is "
                f"{summary.gap:.1e}. Raise max_iter or tol.",
                ConvergenceWarning,
                stacklevel=5,
            )
        if (
            self.inference == "lookup"
            and self.lookup_agreement_ < _TOO_LITTLE_AGREEMENT
        ):
            better_start = 'walk="medoids" finds more in about the same time; '
            warnings.warn(
                f"A walk with ef={self.ef_} ends at the label that exact search finds "
                f"for {self.lookup_agreement_:.0%} of held-out training rows. "
                f"{better_start if self._walk_now == 'hnsw' else ''}"
                'ef="auto" widens the beam until 99% do; inference="cascade" answers '
                "unsure queries by a vote of their neighbors.",
                LookupAgreementWarning,
                stacklevel=5,
            )
