"""The adaptive kNN graph classifier."""

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, _fit_context
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from knngraph.fitted.rows import IndexedRows
from knngraph.fitted.settings import FitSettings
from knngraph.fitting import all_or_nothing
from knngraph.graph.kernel import neighbors_bandwidth
from knngraph.graph.learn import GraphSettings
from knngraph.index.build import BuildSettings
from knngraph.indexing import GivenRows, IndexSettings, index_rows, place_rows
from knngraph.inference.adaptive import QueryProblem
from knngraph.inference.answer import answer_codes
from knngraph.inspection.reasons import ReasonsMixin
from knngraph.learned import LearnedAttributes
from knngraph.metric.names import allows_missing, metric_named
from knngraph.missing import columns_without_values
from knngraph.model import FittedModel
from knngraph.parallel import count_threads
from knngraph.parameters import (
    PARAMETER_CONSTRAINTS,
    CheckedParameters,
    check_penalties,
    checked_scales,
)
from knngraph.present import PresentAnswers
from knngraph.serving.checked_pickle import CheckedPickle
from knngraph.space import Space, in_mapped_units
from knngraph.updating.estimator import UpdatableMixin
from knngraph.updating.ids import join_ids
from knngraph.validation import refuse_empty_columns
from knngraph.weights import checked_class_weight, in_units, weight_unit

if TYPE_CHECKING:
    from knngraph.condensing.classifier import CondensedClassifier
    from knngraph.serving.predictor import Predictor

# `support="auto"` certifies the graph against all rows up to this many.
EXACT_SUPPORT_LIMIT = 5000


class KNNGraphClassifier(
    CheckedPickle,
    UpdatableMixin,
    PresentAnswers,
    ReasonsMixin,
    CheckedParameters,
    ClassifierMixin,
    BaseEstimator,
):
    """Classifier that learns the neighbors of its training rows at fit.

    Fit represents every training row sparsely by others, lets those vote on its
    label and stores the winner on the node of a navigable graph. A query searches
    its nearest node and reads the label there.

    Parameters
    ----------
    inference : {"lookup", "adaptive", "cascade"}, default="lookup"
        How a query is answered. "lookup" returns the stored label of the node
        that the search finds. "adaptive" solves the problem of fit at the query,
        without labels, and lets the neighbors found vote. "cascade" returns the
        stored label where it resolves the query and the adaptive answer elsewhere.
        May be changed after `fit`. Touch it first: "cascade" is the accurate choice.
    metric : {"auto", "euclidean", "cosine", "learned", "trees"}, default="auto"
        How rows are compared. "learned" maps them by a linear map that stretches
        the directions in which the labels change; bandwidths are then in the units
        of the mapped rows. "auto" learns the map and keeps it where it answers
        held-out rows clearly better; with more than 1000 features it is
        "euclidean", and "learned" is refused. "trees" puts the class shares of a
        forest of 200 trees before the columns, and then learns a linear map of these
        rows as "auto" does: often the most accurate on tables, with a fit that takes
        as long as the forest. Touch it for text ("cosine"), for tables ("trees"), or
        to save the time of learning a map ("euclidean"). "l2" and "minkowski" are
        other names of "euclidean".
    metric_params : dict or None, default=None
        `{"p": 2}` may stand beside metric="minkowski"; nothing else is offered.
    vote : {"reliability", "labels"}, default="reliability"
        What the neighbors of a query vote for. "labels" takes every given label and
        `query_nugget` as they are. "reliability" compares, on left-out training
        rows, four degrees of doubt from 0 to 0.4 and the nuggets `query_nugget` times
        1/3, 1 and 10/3, and keeps what answers best. With a doubt above 0 a label
        which its neighbors contradict passes a part of its vote to the class they
        prefer.
        See `label_doubt_` and `query_nugget_`. Touch it where labels are known to
        be right.
    class_weight : dict, "balanced" or None, default=None
        What the votes of a class are multiplied by, in every vote on a label, and
        what its rows weigh where fit chooses something. A class that the dict leaves
        out weighs one. "balanced" is the weight of all rows over the number of
        classes and the weight of the class. Neighbors are then chosen by features
        alone, as with `label_weight=0`. Set it to "balanced" where rare classes count
        as much as frequent ones.
    max_neighbors : int, default=32
        Number of nearest rows that are candidates for the neighbors of a row. Raise
        it where classes overlap and rows are many.
    query_nugget : float, default=0.3
        Nugget of the problem solved at a query; with `vote="reliability"` the middle
        of the three that fit compares. `KNNGraphClassifierCV` chooses it.
    query_penalty : float, default=0.02
        Penalty of the problem solved at a query, as a fraction of lambda*. Raise it
        for fewer, nearer voters.
    query_bandwidth : {"neighbors", "local"} or float, default="neighbors"
        Bandwidth of the problem solved at a query: as for `bandwidth`, or the
        query's own distance to its farthest candidate. "local" suits data whose
        density varies much.
    cascade_tolerance : float, default=0.002
        Loss of accuracy against "adaptive" that a cascade may cost, as fit
        expects it from left-out rows. Raise it for speed.
    n_jobs : int or None, default=None
        Number of threads. None is one thread, -1 all cores.
    random_state : int, RandomState instance or None, default=None
        Seed of whatever is drawn at random. The same data and seed give the same
        bytes, for any `n_jobs`; None is one fixed seed.
    verbose : int, default=0
        Whether to show progress.

    Other Parameters
    ----------------
    walk : {"auto", "hnsw", "medoids"}, default="auto"
        Index: where the graph search for a query starts. "hnsw" is the search of
        HNSW, down through the layers of the graph. "medoids" starts on the lowest
        layer, at a near one of rows in the middle of clusters: `ef=2` takes about
        as long as `ef=1` of "hnsw", and lookups agree with exact search more often;
        the search of a cascade ends early where the nearest nodes settle the answer.
        "auto" is "hnsw" for "lookup", as published, and "medoids" for the other two.
        It holds the links once more (8 `M` bytes a row), from its first use on. Touch
        it where `LookupAgreementWarning` appears.
    ef : int, "auto" or None, default=None
        Index: width of the search. A larger `ef` finds the nearest node more
        often and takes longer. For "lookup" None is the greedy search of the
        publication, `ef=1` (2 with `walk="medoids"`), and "auto" the smallest whose
        labels agree with exact search on 99 % of held-out training rows. "adaptive"
        and "cascade" search with twice `max_neighbors` at least; the search of a
        cascade ends early unless that was measured to miss the nearest node. May be
        changed after `fit`. Touch it to trade time for agreement of lookups.
    M : int, default=16
        Index: links of a node in the graph. Raise it for rows of many dimensions.
    ef_construction : int, default=200
        Index: `ef` while the graph is built, by insertion of few rows; of many, the
        number of nearest rows that links are chosen from, 48 at the default, follows
        it. Lower it to build quicker.
    support : {"auto", "exact", "local"}, default="auto"
        Graph: "exact" certifies the solution of every row against all rows, in time
        quadratic in their number; "local" takes the nearest rows and the
        nearest of the same class from the index; "auto" is exact up to 5000
        rows. Touch it to compare the two.
    density_scales : sequence of int, default=(3, 7, 15)
        Graph: numbers of neighbors at which the density around a row is measured.
        As published.
    penalty_min, penalty_max : float, default=0.1 and 0.5
        Graph: sparsity penalty in the densest and in the sparsest regions, as
        fractions of lambda*, the smallest penalty that leaves a row without
        neighbors. Lower both for more neighbors in `graph_`.
    label_weight : float, default=0.3
        Graph: share of the label term in the kernel. Lower it where labels are
        noisy and lookups are to correct them.
    label_discount : float, default=0.1
        Graph: label agreement of two rows of different classes. As published.
    bandwidth : {"median", "neighbors"} or float, default="median"
        Graph: bandwidth sigma of the feature kernel: median distance over all pairs
        of rows (over the pairs of 2000 of them where there are more), root of the
        median squared distance to the `max_neighbors`-th neighbor, or a number
        in the units of the data.
    nugget : float, default=0.0
        Graph: added to the diagonal of the kernel. As published.
    self_weight : float, default=2.0
        Graph: weight of a row's own label in units of its largest neighbor weight.
        Lower it where labels are noisy and lookups are to correct them.
    positive : bool, default=True
        Graph: whether the weights of neighbors must not be negative. Negative
        weights do not vote.
    max_iter : int, default=200
        Graph: largest number of iterations of the solver.
    tol : float, default=1e-4
        Graph: largest violation of the optimality conditions, in units of lambda*.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    n_samples_fit_ : int
        Number of training rows.
    ids_ : ndarray of shape (n_samples,) or None
        Ids that the rows were given, None for a row without; None where no row has
        one.
    n_features_in_ : int
        Number of features seen during `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where X has names that are all strings.
    metric_ : {"euclidean", "cosine", "learned", "trees", "trees, learned"}
        Metric that is used; the last where a linear map follows the trees.
    metric_scores_ : dict
        With "auto" and "trees", accuracy on held-out rows without a linear map and
        with the best one, by metric: the mean of that of the nearest row and of the
        vote of five. Empty where nothing was compared.
    effective_metric_ : str
        The same by scikit-learn's name: a linear map makes distances Mahalanobis
        distances. Trees have no such name: it is that of `metric_`.
    effective_metric_params_ : dict
        Their inverse covariance `VI` where the metric is "learned", else empty. Its
        last columns are those of indicators, where X has missing values.
    precision_ : {"single", "double"}
        Of the rows that are searched: "double", by an exact search, where single
        precision finds other nearest rows.
    graph_ : CSR array of shape (n_samples, n_samples)
        Row j holds the weights of the learned neighbors of row j. It is one of them
        only where it weighs more than one and has no copy: it then stands for the
        copies that its weight counts. `kneighbors_graph` gives the graph of the
        nearest rows.
    n_neighbors_ : ndarray of shape (n_samples,)
        Learned number of neighbors of every row.
    density_ : ndarray of shape (n_samples,)
        Density around every row, between 0 and 1.
    penalty_ : ndarray of shape (n_samples,)
        Penalty lambda of every row.
    lambda_max_ : ndarray of shape (n_samples,)
        lambda* of every row.
    bandwidth_ : float
        Bandwidth of the kernel of the graph, in the units of the data.
    query_bandwidth_ : float or None
        Bandwidth of the kernel at queries; None where it is the query's own.
    query_nugget_ : float
        Nugget that is used at queries.
    label_doubt_ : float
        How far votes at queries doubt labels that their neighbors contradict: 0 (not
        at all), 0.05, 0.2 or 0.4. A regularizer, chosen by what answers left-out rows
        best, and no estimate of the share of wrong labels: where classes overlap a
        large value may answer best though all labels are right.
        `suspect_labels` says which labels may be wrong.
    noise_matrix_ : ndarray of shape (n_classes, n_classes)
        Probability of a given label (column) in a likely class (row), as
        `suspect_labels` uses it; rows sum to one.
    label_distribution_ : ndarray or CSR array of shape (n_samples, n_classes)
        Shares of the vote on every row; sparse above ten million numbers.
    labels_ : ndarray of shape (n_samples,)
        Stored label of every row.
    margin_ : ndarray of shape (n_samples,)
        Largest minus second largest share of the vote.
    relabeled_ : ndarray
        Rows with a stored label that differs from the given one.
    optimality_gap_ : ndarray of shape (n_samples,)
        Violation of the optimality conditions in units of lambda*: over all
        rows where the support is exact, over the candidates where it is local.
    loo_score_ : float
        Accuracy of adaptive inference on the training rows, each left out; on at
        most 5000 of them where `vote="reliability"` chose other than the plain vote.
        Rows count by their weight and that of their class: with
        `class_weight="balanced"` it is the mean of the accuracies of the classes.
    resolved_ : ndarray of shape (n_samples,), bool
        Whether a cascade would answer the row, left out, by a stored label.
    feature_relevance_ : ndarray of shape (`n_features_in_`,)
        How much every column tells the classes apart, with the sum one: what it puts
        training rows farther from near rows of other classes than from near ones of
        their own. See `knngraph.inspection.feature_relevance`, which gives it for
        other rows.
    lookup_agreement_ : float
        Share of held-out training rows for which the search with the present `ef`
        finds the label that exact search finds. With the present `walk`, which
        is measured on first use.
    ef_ : int
        `ef` that the present parameters ask for.
    objective_path_ : ndarray
        Mean objective after every iteration, from the zero vector on; after a
        change of the rows, over those that were solved again.
    n_iter_ : int
        Largest number of iterations that a row took.

    See Also
    --------
    sklearn.neighbors.KNeighborsClassifier : Votes at the query instead of at fit.

    Notes
    -----
    For row j with kernel K (features and labels) the weights minimise::

        K_jj - 2 k_j'w + w'(K + nugget I)w + lambda_j |w|_1,  w >= 0,  w_j = 0,

    where lambda_j is small where the data is dense. Exact copies of a row share
    one node of the index, whose answer is the mean over the copies.

    With `metric="auto"` and `"trees"` X may hold missing values (NaN): each is the
    median of its column, and an indicator column of the size of the column's spread is
    appended for columns with missing values at fit.

    A row with a `sample_weight` of w stands for w copies. Where the weights have a
    mean below one, they are divided by it, at fit and in all later calls of
    `partial_fit`: a training set is no lighter than its rows.

    Fit computes what answers of the given `inference` read, and nothing else: of the
    other attributes, and of the probabilities, each is computed on first use and kept,
    in a pickle too. After `partial_fit` or `forget` every attribute is that of the rows
    there are, but for numbers that all rows share, as bandwidths and `label_doubt_`:
    they are kept until a twentieth of the rows has come or gone, or until `refresh`.

    References
    ----------
    The adaptive kNN graph model: J. Li, H. Xu and S. Zhang, code and data at
    https://github.com/Lijy207/kNN-Graph.

    Examples
    --------
    >>> from knngraph import KNNGraphClassifier
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> classifier = KNNGraphClassifier(random_state=0).fit(X, y)
    >>> classifier.predict(X[[0, 70, 140]])
    array([0, 1, 2])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = PARAMETER_CONSTRAINTS

    def __init__(
        self,
        *,
        inference: str = "lookup",
        metric: str = "auto",
        metric_params: dict[str, Any] | None = None,
        vote: str = "reliability",
        class_weight: Any = None,
        max_neighbors: int = 32,
        query_nugget: float = 0.3,
        query_penalty: float = 0.02,
        query_bandwidth: float | str = "neighbors",
        cascade_tolerance: float = 0.002,
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
        walk: str = "auto",
        ef: int | str | None = None,
        M: int = 16,
        ef_construction: int = 200,
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
        max_iter: int = 200,
        tol: float = 1e-4,
    ) -> None:
        self.inference = inference
        self.metric = metric
        self.metric_params = metric_params
        self.vote = vote
        self.class_weight = class_weight
        self.max_neighbors = max_neighbors
        self.query_nugget = query_nugget
        self.query_penalty = query_penalty
        self.query_bandwidth = query_bandwidth
        self.cascade_tolerance = cascade_tolerance
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose
        self.walk = walk
        self.ef = ef
        self.M = M
        self.ef_construction = ef_construction
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
        self.max_iter = max_iter
        self.tol = tol

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = allows_missing(self.metric)
        return tags

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, *, ids: Any = None
    ) -> "KNNGraphClassifier":
        """Learn neighbors and stored labels of the training rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), float or None, default=None
            A row of weight w stands for w copies of it, whole or not. Rows of weight
            0 are removed first, and a class without other rows with them: attributes
            count the rows that are left, as after `forget`.
        ids : array-like of shape (n_samples,), default=None
            Integers or strings, no two alike, by which `forget(ids=...)` finds rows.

        Returns
        -------
        self : KNNGraphClassifier
            Where fit does not end, through an error or Ctrl-C, it keeps the state
            that it had before.
        """
        with all_or_nothing(self):
            X, y, weights, ids = self._checked_samples(X, y, sample_weight, ids)
            classes, codes = np.unique(y, return_inverse=True)
            return self._fit_codes(X, codes, classes, weights, ids)

    def _fit_codes(
        self,
        X: Any,
        codes: np.ndarray,
        classes: np.ndarray,
        weights: np.ndarray | None,
        ids: np.ndarray | None,
    ) -> "KNNGraphClassifier":
        """Fit validated rows, whose labels are numbers of the given classes."""
        ids = join_ids(None, 0, ids, len(codes))
        names = getattr(self, "feature_names_in_", None)
        refuse_empty_columns(columns_without_values(X), names)
        class_weight = checked_class_weight(self.class_weight, classes)
        unit = weight_unit(weights)
        weights = in_units(weights, unit, len(codes))
        scales = checked_scales(self._setting("density_scales"))
        self._check_settings()
        self.classes_ = classes
        n_threads = count_threads(self.n_jobs)

        given = GivenRows(X, codes, len(classes), weights, class_weight)
        index_settings = IndexSettings(
            n_listed=max(2, self._neighbors_needed(), *scales),
            exact_up_to=self._exact_up_to(),
            build=BuildSettings(
                self.M, self.ef_construction, self._seed(), n_threads, self.verbose
            ),
        )
        rows = self._indexed_rows(given, index_settings)
        settings = replace(
            self._fit_settings(rows, index_settings),
            weight_unit=unit,
            class_weight=class_weight,
        )
        self._keep_model(FittedModel(rows, settings, n_threads, self.verbose), ids)
        self._warn_of_lost_searches()
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Predict the class of every row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_queries, n_features), or None
            None stands for the training rows, each left out: no row votes for itself.
            So `score(None, y)` is a leave-one-out accuracy.

        Returns
        -------
        ndarray of shape (n_queries,)
        """
        if X is None:
            check_is_fitted(self)
            self._options()  # which checks them
            codes = self._model.left_out_codes(self.inference)
            return self.classes_[codes[self._model.training.pair_of_row]]
        codes = answer_codes(*self._answering(X))
        return self.classes_[codes]

    def to_predictor(
        self, *, about: str = "", version: str = "", made: str = ""
    ) -> "Predictor":
        """Make a small object that answers without scikit-learn.

        Parameters
        ----------
        about, version, made : str, default=""
            For the description that it carries: what it is for, which one it is, and
            when it was made. No clock is read, so that the same fit gives the same
            bytes.

        Returns
        -------
        Predictor
            Answers as this classifier does now, with its `inference` and `ef`,
            to the bit; can be saved to a file that holds no code.

        See Also
        --------
        to_predictor : The same for a pipeline that ends in a classifier.

        Examples
        --------
        >>> from knngraph import KNNGraphClassifier
        >>> from sklearn.datasets import load_iris
        >>> X, y = load_iris(return_X_y=True)
        >>> predictor = KNNGraphClassifier(random_state=0).fit(X, y).to_predictor()
        >>> predictor(X[0]).item()
        0
        """
        from knngraph.serving.making import predictor_of

        check_is_fitted(self)
        options = self._options()
        return predictor_of(
            self,
            self._query_model(options, sets=True, novelty=True),
            options,
            self._model.label_ef(self._walk_now),
            {"about": about, "version": version, "made": made},
        )

    def condense(
        self, tolerance: float = 0.01, *, edited: str = "auto"
    ) -> "CondensedClassifier":
        """Keep only stored rows that the stored decision needs.

        Parameters
        ----------
        tolerance : float, default=0.01
            Accuracy that lookups may lose: what left-out rows lose that the
            condensation has not seen, plus the standard error of that. Where no
            smaller set loses so little, every row is kept.
        edited : {"auto", "keep", "drop"}, default="auto"
            Rows that Wilson editing removes: more than half of their 8 nearest
            others have another stored label. "keep" gives every training row its
            stored label under exact search, "drop" every row but these, "auto" takes
            the one that keeps fewer rows.

        Returns
        -------
        CondensedClassifier
            Answers by lookup alone. This classifier is not changed.

        Examples
        --------
        >>> from knngraph import KNNGraphClassifier
        >>> from sklearn.datasets import load_digits
        >>> X, y = load_digits(return_X_y=True)
        >>> classifier = KNNGraphClassifier(ef=16, random_state=0).fit(X, y)
        >>> small = classifier.condense(tolerance=0.02)
        >>> bool(small.report_.kept_share < 0.25)
        True
        """
        from knngraph.condensing.condense import condense

        return condense(
            self.to_predictor(),
            tolerance,
            edited=edited,
            row_of_node=self._model.training.row_of_node(),
            M=self.M,
            ef_construction=self.ef_construction,
            n_jobs=self.n_jobs,
        )

    def _setting(self, name: str) -> Any:
        """Value of a parameter; an estimator that tunes itself overrides it."""
        return getattr(self, name)

    def _check_settings(self) -> None:
        """Refuse parameters that contradict each other."""
        check_penalties(self._setting("penalty_min"), self._setting("penalty_max"))

    def _neighbors_needed(self) -> int:
        """Number of neighbors that learning and answering need."""
        return int(self._setting("max_neighbors"))

    def _indexed_rows(self, given: GivenRows, settings: IndexSettings) -> IndexedRows:
        """Rows under the metric; an estimator that tunes itself chooses here."""
        metric = metric_named(self.metric, self.metric_params)
        placed = place_rows(given, metric, settings)
        self.metric_scores_ = placed.scores
        return index_rows(given, placed, metric, settings)

    def _seed(self) -> int:
        if self.random_state is None:
            return 0
        return int(check_random_state(self.random_state).randint(2**31 - 1))

    def _exact_up_to(self) -> float:
        """Number of rows up to which the graph is certified against all."""
        if self.support == "auto":
            return EXACT_SUPPORT_LIMIT
        return np.inf if self.support == "exact" else 0

    def _graph_settings(self, space: Space, **changed: Any) -> GraphSettings:
        """Settings of the learning stages, in mapped units."""
        values = {
            field.name: self._setting(field.name) for field in fields(GraphSettings)
        }
        values |= changed
        values["density_scales"] = checked_scales(values["density_scales"])
        values["bandwidth"] = in_mapped_units(values["bandwidth"], space)
        return GraphSettings(**values)

    def _query_problem(self) -> QueryProblem:
        """The problem at a query; its bandwidth is found from the rows."""
        return QueryProblem(
            self._setting("max_neighbors"),
            0.0,
            self._setting("query_nugget"),
            self._setting("query_penalty"),
        )

    def _fit_settings(
        self, rows: IndexedRows, index_settings: IndexSettings
    ) -> FitSettings:
        bandwidth = self._setting("query_bandwidth")
        return FitSettings(
            graph=self._graph_settings(rows.space),
            problem=self._query_problem(),
            query_bandwidth=in_mapped_units(bandwidth, rows.space),
            tolerance=self.cascade_tolerance,
            vote=self.vote,
            n_listed=index_settings.n_listed,
            exact_up_to=index_settings.exact_up_to,
            M=index_settings.build.M,
            ef_construction=index_settings.build.ef_construction,
            seed=index_settings.build.seed,
            spacing=neighbors_bandwidth(rows.neighbors, index_settings.n_listed),
        )

    def _keep_model(self, model: FittedModel, ids: np.ndarray | None = None) -> None:
        """Hold a model in the place of an earlier one, with what answers read."""
        model.learn_for(self.inference, self._walk_now)
        self.metric_ = model.space.metric
        self.precision_ = model.space.precision
        self._learned = LearnedAttributes(model, self.classes_, ids)
        self._fitted_with = self._parameters_of_learning()
