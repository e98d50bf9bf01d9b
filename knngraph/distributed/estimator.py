"""The estimator for training rows on a Dask cluster."""

import copy
import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from numbers import Integral
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, _fit_context, clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import get_tags
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    StrOptions,
)
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import (
    _check_feature_names,
    check_array,
    check_is_fitted,
)

from knngraph.answering import Answers
from knngraph.classifier import KNNGraphClassifier
from knngraph.distributed.answer import PartitionedModel, answers_of, count_right
from knngraph.distributed.collections import (
    Described,
    answer_blocks,
    describe_blocks,
    is_dask,
    is_frame,
    joint_classes,
    joint_empty_columns,
    training_blocks,
)
from knngraph.distributed.files import load_parts, save_parts
from knngraph.distributed.learn import (
    learn_partitions,
    list_neighbors,
    measure_routing,
    with_bandwidths,
)
from knngraph.distributed.local import local_classifier
from knngraph.distributed.methods import collect_answers, computed
from knngraph.distributed.partition import (
    Layout,
    Router,
    assemble,
    place_block,
    sizes_of,
    with_index,
)
from knngraph.distributed.pilot import Shared, fit_pilot
from knngraph.distributed.tasks import (
    compute,
    constant,
    count_workers,
    finish,
    homes_of,
    is_lost,
    is_on_cluster,
    items,
    own_threads,
    persist,
    task,
)
from knngraph.distributed.whole import (
    answer_block,
    fit_whole,
    free_parameters,
    shown_attributes,
)
from knngraph.exceptions import warn_once
from knngraph.fitting import all_or_nothing
from knngraph.index.build import BuildSettings, walk_for
from knngraph.inference.left_out_ranks import OF_SETS, OF_USUAL_ROWS, check_alpha
from knngraph.inference.novelty import novelty_from_distances
from knngraph.inference.query_model import PredictOptions
from knngraph.parallel import count_threads
from knngraph.parameters import PARAMETER_CONSTRAINTS, check_parameters
from knngraph.progress import stage
from knngraph.selection import KNNGraphClassifierCV
from knngraph.validation import refuse_empty_columns

# Bytes of X up to which one worker fits all rows.
LOCAL_BYTES = 2 * 2**30
_CHUNK_OF_QUERIES = 4096


def _offers(method: str) -> Callable[[Any], bool]:
    """Whether an estimator has a method: an AttributeError says why it has not."""

    def check(classifier: Any) -> bool:
        if method == "predict_set" and getattr(classifier, "_layout", None) is not None:
            raise AttributeError(
                "Partitions have no prediction sets: what calibrates them are votes on "
                "left-out rows, and no partition has those. Take the sets of "
                "to_local(), or fit up to `local_rows` rows, which one worker does in "
                "one piece."
            )
        if not hasattr(classifier._present, method):
            kind = type(classifier._present).__name__
            raise AttributeError(f"estimator={kind}() has no {method}.")
        return True

    return check


class DaskKNNGraphClassifier(ClassifierMixin, BaseEstimator):
    """Fits a classifier on rows of a Dask cluster, in one piece or in partitions.

    Up to `local_rows` rows (and 2 GiB of them) one worker fits `estimator` on all
    rows: the answers are those of one machine. Above, the rows stay in partitions on
    the workers. A pilot, one fit on a sample of up to 50,000 rows, gives what they
    share: space, learned map, measured `ef`, calibration, label noise and the rule of a
    cascade. The neighbors of every row are learned from all partitions.

    Parameters
    ----------
    estimator : KNNGraphClassifier or None, default=None
        None is ``KNNGraphClassifier()``. Up to `local_rows` rows any classifier will
        do. Of a `KNNGraphClassifier` `inference`, `walk`, `ef` and `n_jobs` may be
        changed after `fit`; `n_jobs` are the threads of one task.
    n_partitions : int or None, default=None
        Partitions of the training rows, each with an index of its own. None is one
        a worker.
    routing : {"all", "centroids"}, default="all"
        "all" searches every partition for every row. "centroids" puts rows near each
        other into one partition and searches those of the nearest centroids: less
        work and traffic, at the recall that `routing_recall_` says.
    n_probes : int, default=4
        Partitions that are searched for a row with ``routing="centroids"``.
    local_rows : int, default=50_000
        Number of rows up to which one worker fits all of them.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    n_features_in_ : int
        Number of features seen during `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns of a data frame, where all are strings.
    partition_sizes_ : ndarray of shape (n_partitions,)
        Rows of every partition; a single one where one worker fitted all rows.
    routing_recall_ : float
        Share of the candidates of sampled rows that the searched partitions hold.
    metric_, metric_scores_, precision_, bandwidth_, query_bandwidth_, query_nugget_
    label_doubt_, n_iter_
        As for `KNNGraphClassifier`.
    loo_score_, lookup_agreement_ : float
        As for `KNNGraphClassifier`; of the pilot where there are partitions.
    n_relabeled_ : int
        Training rows whose stored label differs from the given one.
    optimality_gap_ : float
        Largest violation of the optimality conditions in units of lambda*.

    See Also
    --------
    knngraph.KNNGraphClassifier : The classifier on one machine.
    knngraph.distributed.predict : A local classifier over Dask collections.

    Examples
    --------
    >>> import dask.array as da
    >>> from knngraph import KNNGraphClassifier
    >>> from knngraph.distributed import DaskKNNGraphClassifier
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> X, y = da.from_array(X, chunks=(50, 4)), da.from_array(y, chunks=50)
    >>> classifier = DaskKNNGraphClassifier(KNNGraphClassifier(random_state=0))
    >>> classifier.fit(X, y).predict(X)[[0, 70, 140]].compute()
    array([0, 1, 2])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "estimator": [HasMethods(["fit", "predict", "predict_proba"]), None],
        "n_partitions": [Interval(Integral, 1, None, closed="left"), None],
        "routing": [StrOptions({"all", "centroids"})],
        "n_probes": [Interval(Integral, 1, None, closed="left")],
        "local_rows": [Interval(Integral, 0, None, closed="left")],
    }

    def __init__(
        self,
        estimator: Any = None,
        *,
        n_partitions: int | None = None,
        routing: str = "all",
        n_probes: int = 4,
        local_rows: int = 50_000,
    ) -> None:
        self.estimator = estimator
        self.n_partitions = n_partitions
        self.routing = routing
        self.n_probes = n_probes
        self.local_rows = local_rows

    def set_params(self, **params: Any) -> "DaskKNNGraphClassifier":
        """Set parameters; `estimator__...` makes an estimator where there is none."""
        nested = any(name.startswith("estimator__") for name in params)
        if nested and self.estimator is None and "estimator" not in params:
            self.estimator = KNNGraphClassifier()
        super().set_params(**params)
        return self

    # `estimator` is checked by its own fit.
    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any) -> "DaskKNNGraphClassifier":
        """Learn neighbors and stored labels of rows on the cluster.

        Parameters
        ----------
        X : dask Array of shape (n_samples, n_features) or dask DataFrame
            Chunk sizes may be unknown. Its blocks are read three times: persist
            what is costly to make.
        y : dask Array of shape (n_samples,) or dask Series

        Returns
        -------
        self : DaskKNNGraphClassifier
            Where fit does not end, through an error or Ctrl-C, it keeps the state
            that it had before.
        """
        with all_or_nothing(self):
            self.__dict__ = {n: v for n, v in vars(self).items() if not _is_fitted(n)}
            X_blocks, y_blocks = training_blocks(X, y)
            described = describe_blocks(X_blocks, y_blocks, self._allow_nan())
            self.classes_ = joint_classes(described)
            self._check_columns(X, reset=True)
            names = getattr(self, "feature_names_in_", None)
            refuse_empty_columns(joint_empty_columns(described), names)
            self.n_features_in_ = max(block.n_features for block in described)
            blocks = list(zip(X_blocks, y_blocks))
            n_rows = sum(block.n_rows for block in described)
            n_bytes = sum(block.n_bytes for block in described)
            if n_rows <= self.local_rows and n_bytes <= LOCAL_BYTES:
                self._fit_whole(blocks, n_rows)
            else:
                self._fit_partitions(blocks, described)
        return self

    def _fit_whole(self, blocks: list[tuple[Any, Any]], n_rows: int) -> None:
        fitted, warned = fit_whole(blocks, self._present)
        shown, messages = compute(task(shown_attributes, fitted, name="shown"), warned)
        self.__dict__.update(shown, partition_sizes_=np.array([n_rows]))
        self.routing_recall_ = 1.0
        self._parts: list[Any] = [fitted]
        self._layout: Layout | None = None
        self._shared: Shared | None = None
        _warn_again(messages)

    def _fit_partitions(
        self, blocks: list[tuple[Any, Any]], described: Sequence[Described]
    ) -> None:
        estimator = self._checked_for_partitions()
        n_threads, verbose = self._n_threads(), estimator.verbose
        sizes = np.array([block.n_rows for block in described])
        n_rows, n_bytes = int(sizes.sum()), sum(block.n_bytes for block in described)
        wanted = self.n_partitions or count_workers()
        centroids = wanted if self.routing == "centroids" and wanted > 1 else None
        with stage("fitting the pilot", n_rows, verbose) as pilot:
            shared, shown, messages = fit_pilot(
                blocks,
                estimator,
                n_rows,
                n_bytes,
                centroids,
                getattr(self, "feature_names_in_", None),
            )
            pilot.advance(n_rows)
        with stage("placing rows", n_rows, verbose) as placing:
            router = Router(wanted, shared.seed)
            if shared.centroids is not None:
                found = shared.centroids
                router = Router(len(found), shared.seed, found)
            placed = self._place(blocks, sizes, shared, router, n_threads)
            partitions, layout, class_sizes = placed
            placing.advance(n_rows)
        with stage("searching neighbors", n_rows, verbose) as searching:
            lists = list_neighbors(partitions, layout, shared, n_threads)
            shared = with_bandwidths(partitions, lists, layout, shared)
            searching.advance(n_rows)
        with stage("learning neighbors", n_rows, verbose) as learning:
            parts, summaries = learn_partitions(
                partitions, lists, layout, shared, class_sizes, n_threads
            )
            said = compute(*summaries)
            finish(parts)
            learning.advance(n_rows)
        recall = measure_routing(
            partitions, layout, shared.settings.max_neighbors, n_threads
        )
        self.__dict__.update(shown)
        self.bandwidth_ = shared.sigma * shared.space.scale
        sigma = shared.problem.sigma
        self.query_bandwidth_ = sigma * shared.space.scale if sigma > 0.0 else None
        self.partition_sizes_, self.routing_recall_ = layout.n_rows, recall
        self.n_relabeled_ = sum(part.n_relabeled for part in said)
        self.n_iter_ = max(1, *(part.n_iter for part in said))
        self.optimality_gap_ = float(max(part.gaps[0] for part in said))
        codes, squared, weights = np.concatenate([part.far for part in said]).T
        novelty = novelty_from_distances(
            codes.astype(np.intp), squared, weights, len(self.classes_)
        )
        self._parts, self._layout = parts, layout
        self._shared = replace(shared, novelty=novelty)
        _warn_again(messages)
        n_unsolved = sum(len(part.gaps) - 1 for part in said)
        _warn_of_unsolved(n_unsolved, self.optimality_gap_)

    def predict(self, X: Any) -> Any:
        """Predict the class of every row.

        Parameters
        ----------
        X : dask Array or DataFrame, or array-like, of shape (n_queries, n_features)

        Returns
        -------
        dask Array or Series of a collection, lazily; ndarray of anything else
        """
        return self._answer(X, "predict")

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
        return self._answer(X, "predict_proba")

    @available_if(_offers("predict_set"))
    def predict_set(
        self, X: Any, alpha: float = 0.1, *, per_class: bool = False
    ) -> Any:
        """Predict the classes that a row may have.

        Parameters
        ----------
        X : dask Array or DataFrame, or array-like, of shape (n_queries, n_features)
        alpha : float, default=0.1
        per_class : bool, default=False
            As for `KNNGraphClassifier`.

        Returns
        -------
        dask Array or DataFrame of a collection, lazily; ndarray of anything else
            Booleans; columns follow `classes_`.

        Notes
        -----
        Only where one worker fitted all rows: partitions hold no votes on left-out
        rows that could calibrate sets. `to_local` gives a classifier that has sets.
        """
        check_alpha(alpha, OF_SETS)
        return self._answer(X, "predict_set", alpha=alpha, per_class=per_class)

    @available_if(_offers("answer"))
    def answer(
        self, X: Any, alpha: float | None = None, *, per_class: bool = False
    ) -> Answers:
        """Predict classes and probabilities, and say how sure they are.

        Parameters
        ----------
        X : dask Array or DataFrame, or array-like, of shape (n_queries, n_features)
        alpha : float or None, default=None
            As for `predict_set`; None leaves sets out.
        per_class : bool, default=False
            As for `predict_set`.

        Returns
        -------
        Answers
            Of collections of one graph, lazily: compute them together, as by
            `dask.compute(found.labels, found.novelty_pvalue)`, and every row is
            searched once. Of ndarrays for anything but a collection.
        """
        if alpha is not None:
            _offers("predict_set")(self)
            check_alpha(alpha, OF_SETS)
        return self._answer(X, "answer", alpha=alpha, per_class=per_class)

    @available_if(_offers("novelty_score"))
    def novelty_score(self, X: Any) -> Any:
        """How far every row is from the nearest training row.

        Parameters
        ----------
        X : dask Array or DataFrame, or array-like, of shape (n_queries, n_features)

        Returns
        -------
        dask Array or Series of a collection, lazily; ndarray of anything else
            As for `KNNGraphClassifier`; over all partitions.
        """
        return self._answer(X, "novelty_score")

    @available_if(_offers("novelty_pvalue"))
    def novelty_pvalue(self, X: Any, *, per_class: bool = False) -> Any:
        """How often a training row is as unlike all others, when it is left out.

        Parameters
        ----------
        X : dask Array or DataFrame, or array-like, of shape (n_queries, n_features)
        per_class : bool, default=False
            As for `KNNGraphClassifier`.

        Returns
        -------
        dask Array or Series of a collection, lazily; ndarray of anything else
        """
        return self._answer(X, "novelty_pvalue", per_class=per_class)

    @available_if(_offers("is_novel"))
    def is_novel(self, X: Any, alpha: float = 0.05, *, per_class: bool = False) -> Any:
        """Which rows are unlike all training rows.

        Parameters
        ----------
        X : dask Array or DataFrame, or array-like, of shape (n_queries, n_features)
        alpha : float, default=0.05
        per_class : bool, default=False
            As for `KNNGraphClassifier`.

        Returns
        -------
        dask Array or Series of a collection, lazily; ndarray of anything else
        """
        check_alpha(alpha, OF_USUAL_ROWS)
        return self._answer(X, "is_novel", alpha=alpha, per_class=per_class)

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
        answer = self._answer_of("predict", {})
        self._check_columns(X, reset=False)
        right = compute(
            *(
                task(count_right, answer(rows), given, name="score")
                for rows, given in zip(*training_blocks(X, y))
            )
        )
        n_right, n_rows = np.sum(right, axis=0)
        return float(n_right / n_rows)

    def to_local(self, max_bytes: int = 2 * 2**30) -> Any:
        """The model as a classifier of this process.

        Parameters
        ----------
        max_bytes : int, default=2 GiB
            Largest estimate of its memory that is accepted, where there are
            partitions.

        Returns
        -------
        estimator
            What one worker fitted, as it is. Partitions are gathered, and learned
            here in the space of the pilot: that takes the time of a fit.
        """
        self._check_there()
        estimator = clone(self._present)
        if self._layout is None or self._shared is None:
            (local,) = compute(*self._parts)
            # Without workers it is the very object that answers here.
            return copy.copy(local).set_params(**free_parameters(estimator))
        local = local_classifier(
            estimator, self._parts, self._layout, self._shared, self.classes_, max_bytes
        )
        if hasattr(self, "feature_names_in_"):
            local.feature_names_in_ = self.feature_names_in_
        return local

    def save(self, folder: Any) -> None:
        """Write the model to a folder, every partition from its worker.

        Parameters
        ----------
        folder : path-like
            On a file system that the client and all workers share. A model that it
            holds already is replaced once the new one is complete.

        See Also
        --------
        load : Read the folder on this or another cluster.
        """
        self._check_there()
        state = {name: v for name, v in vars(self).items() if name != "_parts"}
        homes = [None] if self._layout is None else self._layout.homes
        path = Path(os.path.abspath(os.fspath(folder)))
        save_parts(path, self._parts, homes, state)

    @classmethod
    def load(cls, folder: Any) -> "DaskKNNGraphClassifier":
        """Read a model that `save` wrote, on the cluster of now.

        Every byte is verified, which finds damage, not malice: the shared file can
        hold code that runs when it is loaded. Load folders of people you trust.

        Parameters
        ----------
        folder : path-like
            On a file system that the client and all workers share.

        Returns
        -------
        DaskKNNGraphClassifier
            Answers as the one that was saved, to the bit, on any number of workers.
        """
        path = Path(os.path.abspath(os.fspath(folder)))
        state, parts, homes = load_parts(path)
        loaded = cls.__new__(cls)
        loaded.__dict__.update(state, _parts=parts)
        if loaded._layout is not None:
            loaded._layout = replace(loaded._layout, homes=homes)
        return loaded

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_parts")

    def __getstate__(self) -> dict[str, Any]:
        if any(is_on_cluster(part) for part in getattr(self, "_parts", ())):
            raise TypeError(
                "A fitted DaskKNNGraphClassifier lies on its cluster and cannot be "
                "pickled; save(folder) keeps it, and to_local() gives a classifier "
                "that can be pickled."
            )
        state: dict[str, Any] = super().__getstate__()
        return state

    @property
    def _present(self) -> Any:
        """The estimator, with its parameters of now."""
        return KNNGraphClassifier() if self.estimator is None else self.estimator

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self._allow_nan()
        return tags

    def _allow_nan(self) -> bool:
        return bool(get_tags(self._present).input_tags.allow_nan)

    def _n_threads(self) -> int:
        with own_threads():
            return count_threads(self._present.n_jobs)

    def _checked_for_partitions(self) -> KNNGraphClassifier:
        estimator = self._present
        if not isinstance(estimator, KNNGraphClassifier) or isinstance(
            estimator, KNNGraphClassifierCV
        ):
            raise TypeError(
                f"Above local_rows={self.local_rows} rows, or {LOCAL_BYTES / 2**30:g} "
                "GiB, the estimator must be a KNNGraphClassifier, got "
                f"{type(estimator).__name__}. Raise local_rows, or take the parameters "
                "that it finds on a sample."
            )
        if estimator.support == "exact":
            raise ValueError(
                'support="exact" compares every row with all others, on one machine: '
                f"it is offered up to local_rows={self.local_rows} rows. Raise that, "
                'or use support="local".'
            )
        if estimator.class_weight is not None:
            raise ValueError(
                "class_weight is offered up to "
                f"local_rows={self.local_rows} rows, which one machine fits. Raise "
                "that, or leave class_weight=None."
            )
        return estimator

    def _place(
        self,
        blocks: list[tuple[Any, Any]],
        sizes: np.ndarray,
        shared: Shared,
        router: Router,
        n_threads: int,
    ) -> tuple[list[Any], Layout, np.ndarray]:
        """Partitions with their indices, their layout, and the sizes of the classes."""
        homes, space = (
            homes_of(router.n_partitions),
            constant(shared.space, name="space"),
        )
        pieces = []
        for (X, y), first in zip(blocks, np.cumsum(sizes) - sizes):
            place = partial(_place_block, first=int(first), classes=self.classes_)
            placed = task(partial(place, router=router), X, y, space, name="place")
            pieces.append(items(placed, router.n_partitions, name="piece"))
        gather = partial(assemble, n_classes=len(self.classes_), seed=shared.seed)
        settings = BuildSettings(
            shared.M, shared.ef_construction, shared.seed, n_threads
        )
        build = partial(with_index, settings=settings)
        partitions = []
        for parts, home in zip(zip(*pieces), homes):
            placed = task(gather, list(parts), name="partition", home=home)
            partitions.append(task(build, placed, name="index", home=home))
        partitions = persist(partitions)
        found = compute(*(task(sizes_of, part, name="sizes") for part in partitions))
        n_nodes, n_rows, class_sizes = (np.array(column) for column in zip(*found))
        n_probes = None if router.centroids is None else self.n_probes
        n_features = self.n_features_in_
        n_mapped = shared.space.n_mapped(n_features)
        layout = Layout(homes, router, n_probes, n_features, n_mapped, n_nodes, n_rows)
        return partitions, layout, class_sizes.sum(axis=0)

    def _check_columns(self, X: Any, reset: bool) -> None:
        _check_feature_names(self, X._meta if is_frame(X) else X, reset=reset)

    def _check_there(self) -> None:
        check_is_fitted(self)
        if any(is_lost(part) for part in self._parts):
            raise RuntimeError(
                "The fitted partitions are gone: they lie on the cluster as long as "
                "the client that fitted or loaded them is connected. Load the folder "
                "that save(folder) wrote, or fit again."
            )

    def _answer(self, X: Any, method: str, **given: Any) -> Any:
        answer = self._answer_of(method, given)
        n_fetched = 0
        if self._shared is not None:
            n_mapped = self._shared.space.n_mapped(self.n_features_in_)
            n_fetched = self._shared.problem.n_neighbors * (4 * n_mapped + 40)
        self._check_columns(X, reset=False)
        rows = X
        if not is_dask(X):
            import dask.array as da

            # The tasks check the numbers.
            rows = check_array(X, dtype="numeric", ensure_all_finite=False)
            rows = da.from_array(rows, chunks=(_CHUNK_OF_QUERIES, -1))
        rows, blocks = answer_blocks(rows, answer, n_fetched)
        found = collect_answers(rows, blocks, method, self.classes_, given)
        return found if is_dask(X) else computed(found)

    def _answer_of(self, method: str, given: dict[str, Any]) -> Any:
        """From a block of rows to the task that answers it."""
        self._check_there()
        present = self._present
        if self._layout is None or self._shared is None:
            call = partial(
                answer_block,
                method=method,
                classes=self.classes_,
                free=free_parameters(present),
                given=given,
            )
            (fitted,) = self._parts
            return lambda block: task(call, fitted, block, name=method)
        for name in ("inference", "walk", "ef"):
            check_parameters(
                {name: PARAMETER_CONSTRAINTS[name]},
                {name: getattr(present, name)},
                type(present).__name__,
            )
        walk = walk_for(present.walk, present.inference)
        ef = self._shared.ef(present.inference, present.ef, walk)
        options = PredictOptions(present.inference, ef, self._n_threads())
        model = PartitionedModel(
            self._parts, self._layout, self._shared, self.classes_, walk
        )
        return answers_of(model, options, method, given)


def _is_fitted(name: str) -> bool:
    return name.endswith("_") or name in ("_parts", "_layout", "_shared")


def _place_block(X: Any, y: Any, space: Any, *, first: int, **how: Any) -> Any:
    return place_block(X, y, first, space=space, **how)


def _warn_again(messages: list[Any]) -> None:
    """Warnings of the tasks that fit, from the call of fit."""
    for message in messages:
        warn_once(str(message), type(message))


def _warn_of_unsolved(n_unsolved: int, gap: float) -> None:
    if n_unsolved:
        warnings.warn(
            f"{n_unsolved} rows did not reach `tol` within `max_iter` iterations; the "
            f"largest optimality gap is {gap:.1e}. Raise max_iter or tol.",
            ConvergenceWarning,
            stacklevel=5,
        )
