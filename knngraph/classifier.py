"""The adaptive kNN graph classifier."""

import warnings
from dataclasses import fields
from numbers import Integral
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, _fit_context
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils._param_validation import validate_parameter_constraints
from sklearn.utils.validation import check_is_fitted

from knngraph.exceptions import LookupAgreementWarning
from knngraph.fitting import all_or_nothing
from knngraph.graph.kernel import neighbors_bandwidth
from knngraph.graph.learn import GraphSettings
from knngraph.graph.neighbors import Neighbors, nearest_others
from knngraph.graph.precision import check_precision
from knngraph.graph.training_set import TrainingSet
from knngraph.index.build import LOOKUP_BEAMS, build_index, walk_for
from knngraph.index.exact import ExactIndex
from knngraph.index.protocol import SearchIndex, beam_for
from knngraph.inference.adaptive import QueryProblem, n_listed_for
from knngraph.inference.answer import (
    answer_codes,
    answer_probabilities,
    answered_by_lookup,
)
from knngraph.inference.model import FittedModel, Reading
from knngraph.inspection.explain import StoredVotes, explain_answers
from knngraph.inspection.explanation import Explanation
from knngraph.inspection.suspects import SuspectLabels, rank_suspects
from knngraph.lens import Lens
from knngraph.metric.place import place_training_rows
from knngraph.parallel import count_threads
from knngraph.parameters import (
    PARAMETER_CONSTRAINTS,
    check_penalties,
    checked_scales,
)
from knngraph.progress import stage
from knngraph.serving.checked_pickle import CheckedPickle
from knngraph.space import Space
from knngraph.updating.attributes import learned_attributes
from knngraph.updating.estimator import UpdatableMixin
from knngraph.updating.model import LearningModel
from knngraph.updating.recipe import Recipe, in_mapped_units
from knngraph.updating.state import SearchedRows
from knngraph.validation import check_labels, validated

if TYPE_CHECKING:
    from knngraph.condensing.classifier import CondensedClassifier
    from knngraph.serving.predictor import Predictor
    from knngraph.serving.served import Served

# `support="auto"` certifies the graph against all rows up to this many.
EXACT_SUPPORT_LIMIT = 5000
# Above so many distinct rows candidates are not searched for twice as far.
LENS_LIMIT = 50_000
# Agreement of walks with exact search below which a lookup warns.
_TOO_LITTLE_AGREEMENT = 0.95


class KNNGraphClassifier(CheckedPickle, UpdatableMixin, ClassifierMixin, BaseEstimator):
    """Classifier that learns the neighbors of its training rows at fit.

    Fit represents every training row sparsely by others, lets those vote on its
    label and stores the winner on the node of a navigable graph. A query walks
    to its nearest node and reads the label there.

    Parameters
    ----------
    inference : {"lookup", "adaptive", "cascade"}, default="lookup"
        How a query is answered. "lookup" returns the stored label of the node
        that the walk reaches. "adaptive" solves the problem of fit at the query,
        without labels, and lets the neighbors found vote. "cascade" returns the
        stored label where it is decided and the adaptive answer elsewhere. May
        be changed after `fit`.
    max_neighbors : int, default=32
        Number of nearest rows that are candidates for the neighbors of a row.
    support : {"auto", "exact", "local"}, default="auto"
        "exact" certifies the solution of every row against all rows, in time
        quadratic in their number; "local" trusts the nearest rows and the
        nearest of the same class from the index; "auto" is exact up to 5000
        rows.
    density_scales : sequence of int, default=(3, 7, 15)
        Numbers of neighbors at which the density around a row is measured.
    penalty_min, penalty_max : float, default=0.1 and 0.5
        Sparsity penalty in the densest and in the sparsest surroundings, as
        fractions of lambda*, the smallest penalty that leaves a row without
        neighbors.
    label_weight : float, default=0.3
        Share of the label term in the kernel.
    label_discount : float, default=0.1
        Label agreement of two rows of different classes.
    bandwidth : {"median", "neighbors"} or float, default="median"
        Bandwidth sigma of the feature kernel: median distance over all pairs of
        rows (over the pairs of 2000 of them where there are more), root of the
        median squared distance to the `max_neighbors`-th neighbor, or a number
        in the units of the data.
    nugget : float, default=0.0
        Added to the diagonal of the kernel.
    self_weight : float, default=2.0
        Weight of a row's own label in units of its largest neighbor weight.
    positive : bool, default=True
        Whether the weights of neighbors must not be negative. Negative weights
        do not vote.
    query_nugget : float, default=0.3
        Nugget of the problem solved at a query; with `vote="trusted"` the middle
        of the three that fit compares.
    query_penalty : float, default=0.02
        Penalty of the problem solved at a query, as a fraction of lambda*.
    query_bandwidth : {"neighbors", "local"} or float, default="neighbors"
        Bandwidth of the problem solved at a query: as for `bandwidth`, or the
        query's own distance to its farthest candidate.
    query_metric : {"auto", "same"}, default="auto"
        How candidates are compared in the problem solved at a query. "same"
        measures as the index does. "auto" learns directions in which the labels
        change and, where that answers held-out rows better, compares twice
        `max_neighbors` nearest rows along these too; the nearest are the
        candidates, and bandwidths are in the units of that comparison. Tried for up
        to 50,000 distinct rows of up to 1000 features, and with a `metric` that is
        not learned itself. Lookups do not change with it. See `query_metric_`.
    vote : {"trusted", "labels"}, default="trusted"
        Whose classes the neighbors of a query vote for. "labels" believes every
        given label and takes `query_nugget` as it is. "trusted" compares, on
        left-out training rows, four shares of wrong labels from 0 to 0.4 and the
        nuggets `query_nugget` times 1/3, 1 and 10/3, and keeps what answers best:
        on clean labels usually that all are right, with wrong ones that a label
        which its neighbors contradict passes a part of its vote to the class they
        prefer. See `label_noise_` and `query_nugget_`.
    metric : {"euclidean", "cosine", "learned", "auto"}, default="euclidean"
        "learned" maps the rows by a linear map that stretches the directions in
        which the labels change; bandwidths are then in the units of the mapped
        rows. "auto" learns the map too and keeps it only where it answers
        held-out rows better. Neither is offered for more than 1000 features.
    cascade_tolerance : float, default=0.002
        Loss of accuracy against "adaptive" that a cascade may cost, as fit
        expects it from left-out rows.
    walk : {"auto", "hnsw", "medoids"}, default="auto"
        Where the walk to a query starts. "hnsw" is the walk of hnswlib, down
        through the layers of the graph. "medoids" starts on the lowest layer, at
        the nearest of 64 rows in the middle of clusters: a beam of 2 takes about
        as long as 1 of "hnsw", and lookups agree with exact search more often; the
        walk of a cascade ends early where the nearest nodes settle the answer.
        "auto" is "medoids" for "cascade" and "hnsw" for the other two;
        at equal beams both find alike, so that beams which `fit` has measured for
        one are taken for the other where it is changed after `fit`. It holds the
        links once more (8 `M` bytes a row), from its first use on.
    ef : int, "auto" or None, default=None
        Width of the beam of the walk. A wider beam finds the nearest node more
        often and takes longer. For "lookup" None is the greedy walk of the
        publication, `ef=1` (2 with `walk="medoids"`), and "auto" the smallest beam
        whose labels agree with exact search on 99 % of held-out training rows; for
        "cascade" both mean the smallest beam, of half `max_neighbors` at least, that
        ends at the nearest node for 95 % of them. "adaptive" searches with a beam of
        twice the nodes that it asks for at least. May be changed after `fit`.
    M : int, default=16
        Links of a node in the graph of the index.
    ef_construction : int, default=200
        Width of the beam while the index is built.
    max_iter : int, default=200
        Largest number of iterations of the solver.
    tol : float, default=1e-4
        Largest violation of the optimality conditions, in units of lambda*.
    n_jobs : int or None, default=None
        Number of threads. None is one thread, -1 all cores.
    random_state : int, RandomState instance or None, default=None
        With a seed the index is built by one thread, and the same data gives
        the same bytes. With None it is built by `n_jobs` threads.
    verbose : int, default=0
        Whether to show progress.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    n_features_in_ : int
        Number of features seen during `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where X has names that are all strings.
    metric_ : {"euclidean", "cosine", "learned"}
        Metric that is used.
    graph_ : CSR array of shape (n_samples, n_samples)
        Row j holds the weights of the learned neighbors of row j, never itself.
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
    query_metric_ : {"learned", "same"}
        Whether candidates are compared along learned directions at queries.
    query_nugget_ : float
        Nugget that is used at queries.
    label_noise_ : float
        Share of wrong labels that the votes at queries reckon with.
    label_distribution_ : ndarray or CSR array of shape (n_samples, n_classes)
        Shares of the vote on every row; sparse above ten million numbers.
    labels_ : ndarray of shape (n_samples,)
        Stored label of every row.
    margin_ : ndarray of shape (n_samples,)
        Largest minus second largest share of the vote.
    relabeled_ : ndarray
        Rows whose stored label differs from the given one.
    optimality_gap_ : ndarray of shape (n_samples,)
        Violation of the optimality conditions in units of lambda*: over all
        rows where the support is exact, over the candidates where it is local.
    loo_score_ : float
        Accuracy of adaptive inference on the training rows, each left out; on at
        most 5000 of them where "trusted" chose other than the plain vote.
    decided_ : ndarray of shape (n_samples,), bool
        Whether a cascade would answer the row, left out, by a stored label.
    lookup_agreement_ : float
        Share of held-out training rows for which the walk of the present `ef`
        ends at the label that exact search finds. Measured by `fit`, with the
        `walk` that it had.
    ef_ : int
        Beam that the present parameters ask for.
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

    After `partial_fit` or `forget` every attribute is that of the rows there are,
    found when it is looked at.

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

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any) -> "KNNGraphClassifier":
        """Learn neighbors and stored labels of the training rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)

        Returns
        -------
        self : KNNGraphClassifier
            Where fit does not end, through an error or Ctrl-C, it keeps the state
            that it had before.
        """
        with all_or_nothing(self):
            return self._fit(X, y)

    def _fit(self, X: Any, y: Any) -> "KNNGraphClassifier":
        X, y = validated(self, X, y, accept_sparse="csr", dtype="numeric")
        check_labels(y)
        y = column_or_1d(y, warn=True)
        classes, codes = np.unique(y, return_inverse=True)
        return self._fit_codes(X, codes, classes)

    def _fit_codes(
        self, X: Any, codes: np.ndarray, classes: np.ndarray
    ) -> "KNNGraphClassifier":
        """Fit validated rows, whose labels are numbers of the given classes."""
        scales = checked_scales(self._setting("density_scales"))
        self._check_settings()
        self.classes_ = classes
        n_threads = count_threads(self.n_jobs)
        seed, build_threads = self._seed_and_build_threads(n_threads)

        with stage("placing rows", X.shape[0], self.verbose) as placing:
            space, training = place_training_rows(
                X,
                codes,
                len(self.classes_),
                self.metric,
                seed=seed,
            )
            placing.advance(X.shape[0])
        index, probe = build_index(
            training.points,
            M=self.M,
            ef_construction=self.ef_construction,
            seed=seed,
            walk=walk_for(self.walk),
            n_threads=build_threads,
            verbose=self.verbose,
        )
        exact = training.n_rows <= self._exact_up_to()
        n_listed = max(self._neighbors_needed(training.n_nodes), *scales)
        neighbors = self._search_neighbors(training, index, exact, n_listed, n_threads)
        check_precision(space, X, training, neighbors)
        self._select(training, neighbors, space, scales, seed, n_threads)
        recipe = self._recipe_of(scales, space, neighbors, n_listed, seed)
        rows = SearchedRows(
            space, training, None, index, probe, neighbors, exact, solved=None
        )
        self._keep_model(LearningModel(rows, recipe, n_threads, self.verbose))
        self._warn_of_lost_walks()
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Predict the class of every row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_queries, n_features)

        Returns
        -------
        ndarray of shape (n_queries,)
        """
        X = self._checked_queries(X)
        model = self._walked(self._present_model)
        return self.classes_[answer_codes(model, self._reading(), X)]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict the probability of every class.

        The shares of the vote, on the node reached or of the problem solved at
        the query, are sharpened or softened by the exponent that fits left-out
        training rows best.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_queries, n_features)

        Returns
        -------
        ndarray of shape (n_queries, n_classes)
            Columns follow `classes_`.
        """
        X = self._checked_queries(X)
        return answer_probabilities(
            self._walked(self._model), self._reading(), self.label_distribution_, X
        )

    def inference_report(self, X: Any) -> dict[str, Any]:
        """How the rows would be answered.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_queries, n_features)

        Returns
        -------
        dict
            "inference", "ef" (beam of the walk), "n_queries", "short_way" (bool
            a query: answered by the stored label of a node) and "short_share".
        """
        X = self._checked_queries(X)
        reading = self._reading()
        short = answered_by_lookup(self._walked(self._present_model), reading, X)
        return {
            "inference": self.inference,
            "ef": reading.ef,
            "n_queries": len(short),
            "short_way": short,
            "short_share": float(short.mean()),
        }

    def explain(self, X: Any) -> list[Explanation]:
        """Say which training rows decided the answers, and how.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_queries, n_features)

        Returns
        -------
        list of Explanation
            One a row: the training row reached, the neighbors that voted with
            their weights, labels and distances, class scores, margin, and which
            way a cascade took. Each prints, and has `to_frame`.

        Examples
        --------
        >>> from knngraph import KNNGraphClassifier
        >>> from sklearn.datasets import load_iris
        >>> X, y = load_iris(return_X_y=True)
        >>> classifier = KNNGraphClassifier(ef=16, random_state=0).fit(X, y)
        >>> explanation = classifier.explain(X[[100]])[0]
        >>> explanation.row, explanation.predicted, explanation.way
        (100, 2, 'stored')
        """
        X = self._checked_queries(X)
        votes = StoredVotes(self.graph_, self.label_distribution_, self._voted_with)
        model = self._walked(self._model)
        return explain_answers(model, self._reading(), votes, self.classes_, X)

    def suspect_labels(self, k: int | None = None) -> SuspectLabels:
        """Training rows whose label their neighbors contradict most.

        Every row, left out, has an adaptive answer since fit. First come the
        rows whose given class has the smallest share of that vote; where that is
        equal, those whose strongest other class has the largest; then the order
        of the rows. Nothing is changed: `relabeled_` stays what fit did.

        Parameters
        ----------
        k : int or None, default=None
            Number of rows; None gives all of them in order.

        Returns
        -------
        SuspectLabels
            "rows", "given", "suggested", "share" and "rival_share", each of
            shape (k,).

        Examples
        --------
        >>> from knngraph import KNNGraphClassifier
        >>> from sklearn.datasets import load_iris
        >>> X, y = load_iris(return_X_y=True)
        >>> y[[3, 60]] = 2, 0
        >>> classifier = KNNGraphClassifier(ef=16, random_state=0).fit(X, y)
        >>> sorted(classifier.suspect_labels(2).rows.tolist())
        [3, 60]
        """
        check_is_fitted(self)
        return rank_suspects(self._model.training, self._left_out, self.classes_, k=k)

    def kneighbors_graph(self) -> Any:
        """Learned neighbors of the training rows.

        Returns
        -------
        CSR array of shape (n_samples, n_samples)
            `graph_`: row j holds the weights of the neighbors of row j.
        """
        check_is_fitted(self)
        return self.graph_

    def to_predictor(self) -> "Predictor":
        """Make a small object that answers without scikit-learn.

        Returns
        -------
        Predictor
            Answers as this classifier does now, with its `inference` and `ef`,
            to the bit; can be saved to a file that holds no code.

        Examples
        --------
        >>> from knngraph import KNNGraphClassifier
        >>> from sklearn.datasets import load_iris
        >>> X, y = load_iris(return_X_y=True)
        >>> predictor = KNNGraphClassifier(random_state=0).fit(X, y).to_predictor()
        >>> predictor(X[0]).item()
        0
        """
        from knngraph.serving.predictor import Predictor

        return Predictor(self._served())

    def condense(
        self, tolerance: float = 0.01, *, outvoted: str = "auto"
    ) -> "CondensedClassifier":
        """Keep only stored rows that the stored decision needs.

        Parameters
        ----------
        tolerance : float, default=0.01
            Accuracy that lookups may lose: what left-out rows lose that the
            condensation has not seen, plus the standard error of that. Where no
            smaller set loses so little, every row is kept.
        outvoted : {"auto", "keep", "drop"}, default="auto"
            Rows of which more than half of the 8 nearest others have another
            stored label: "keep" gives every training row its stored label under
            exact search, "drop" every row but these, "auto" takes the one that
            keeps fewer rows.

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
        from knngraph.condensing.classifier import make_condensed

        served = self._served()
        return make_condensed(
            served,
            lambda nodes: self._model.stored.row_of_node[nodes],
            tolerance,
            outvoted,
            M=self.M,
            ef_construction=self.ef_construction,
            n_jobs=self.n_jobs,
        )

    def _served(self) -> "Served":
        from knngraph.serving.served import served_model

        check_is_fitted(self)
        return served_model(
            self._walked(self._model),
            self._reading(),
            self.label_distribution_,
            self.classes_,
            self.n_features_in_,
            getattr(self, "feature_names_in_", None),
        )

    @property
    def ef_(self) -> int:
        """Beam of the walk that the parameters ask for."""
        check_is_fitted(self)
        model = self._present_model
        if self.inference == "adaptive":
            problem = self._query_problem(sigma=0.0, lens=model.lens)
            least = beam_for(problem.n_searched)
            return max(least, self.ef) if isinstance(self.ef, Integral) else least
        if isinstance(self.ef, Integral):
            return int(self.ef)
        if self.inference == "cascade":
            return model.node_beam
        return model.label_beam if self.ef == "auto" else LOOKUP_BEAMS[self._walk_now]

    @property
    def label_noise_(self) -> float:
        """Share of wrong labels that the votes at queries reckon with."""
        check_is_fitted(self)
        trust = self._model.trust
        return 0.0 if trust is None else trust.noise

    @property
    def query_metric_(self) -> str:
        """Whether candidates are compared along learned directions at queries."""
        check_is_fitted(self)
        return "same" if self._present_model.lens is None else "learned"

    @property
    def query_nugget_(self) -> float:
        """Nugget that is used at queries."""
        check_is_fitted(self)
        trust = self._model.trust
        factor = 1.0 if trust is None else trust.nugget_factor
        return float(factor * self._setting("query_nugget"))

    @property
    def lookup_agreement_(self) -> float:
        """Share of held-out rows whose walk ends at the label of exact search."""
        model = self._present_model
        return model.probe.agreement(model.stored.codes, self.ef_)

    def _walked(self, model: FittedModel) -> FittedModel:
        """The model with the walk that the parameters ask for."""
        return model if self._walk_now == "hnsw" else model.walking_from_medoids()

    @property
    def _walk_now(self) -> str:
        return walk_for(self.walk, self.inference)

    def _setting(self, name: str) -> Any:
        """Value of a parameter; an estimator that tunes itself says otherwise."""
        return getattr(self, name)

    def _check_settings(self) -> None:
        """Refuse parameters that contradict each other."""
        check_penalties(self._setting("penalty_min"), self._setting("penalty_max"))

    def _neighbors_needed(self, n_nodes: int) -> int:
        """Number of neighbors that learning and answering ask for."""
        m = int(self._setting("max_neighbors"))
        return n_listed_for(m) if self._may_look_closer(n_nodes) else m

    def _may_look_closer(self, n_nodes: int) -> bool:
        """Whether it is tried to compare candidates along learned directions."""
        return (
            self._setting("query_metric") == "auto"
            and self.metric in ("euclidean", "cosine")
            and n_nodes <= LENS_LIMIT
        )

    def _select(
        self,
        training: TrainingSet,
        neighbors: Neighbors,
        space: Space,
        scales: list[int],
        seed: int,
        n_threads: int,
    ) -> None:
        """Choose settings from the neighbors; nothing to choose here."""

    def _checked_queries(self, X: Any) -> Any:
        check_is_fitted(self)
        return validated(self, X, reset=False, accept_sparse="csr", dtype="numeric")

    def _seed_and_build_threads(self, n_threads: int) -> tuple[int, int]:
        if self.random_state is None:
            return 0, n_threads
        return int(check_random_state(self.random_state).randint(2**31 - 1)), 1

    def _exact_up_to(self) -> float:
        """Number of rows up to which the graph is certified against all."""
        if self.support == "auto":
            return EXACT_SUPPORT_LIMIT
        return np.inf if self.support == "exact" else 0

    def _search_neighbors(
        self,
        training: TrainingSet,
        index: SearchIndex,
        exact: bool,
        n_listed: int,
        n_threads: int,
    ) -> Neighbors:
        with stage("searching neighbors", training.n_nodes, self.verbose) as searching:
            return nearest_others(
                ExactIndex(training.points) if exact else index,
                training.points,
                training.node_counts(),
                n_listed,
                n_threads=n_threads,
                advance=searching.advance,
            )

    def _graph_settings(
        self, scales: list[int], space: Space, **changed: Any
    ) -> GraphSettings:
        """Settings of the learning stages, in mapped units."""
        values = {
            field.name: self._setting(field.name) for field in fields(GraphSettings)
        }
        values |= {"density_scales": scales} | changed
        values["bandwidth"] = in_mapped_units(values["bandwidth"], space)
        return GraphSettings(**values)

    def _recipe_of(
        self,
        scales: list[int],
        space: Space,
        neighbors: Neighbors,
        n_listed: int,
        seed: int,
    ) -> Recipe:
        looks_closer = self._may_look_closer(len(neighbors.ids))
        return Recipe(
            graph=self._graph_settings(scales, space),
            problem=self._query_problem(sigma=0.0),
            query_bandwidth=in_mapped_units(self._setting("query_bandwidth"), space),
            tolerance=self.cascade_tolerance,
            vote=self.vote,
            query_metric="auto" if looks_closer else "same",
            walk=walk_for(self.walk),
            n_listed=n_listed,
            exact_up_to=self._exact_up_to(),
            M=self.M,
            ef_construction=self.ef_construction,
            seed=seed,
            seeded=self.random_state is not None,
            spacing=neighbors_bandwidth(neighbors, n_listed),
        )

    def _keep_model(self, model: LearningModel) -> None:
        """Hold what was learned, in the place of an earlier fit."""
        self.metric_ = model.space.metric
        self._recipe = model.recipe
        self.__dict__.update(learned_attributes(model, self.classes_))
        self.__dict__.pop("_change", None)  # of rows that came after an earlier fit
        self._voted_with = float(self._setting("self_weight"))
        self._fitted_with = self._parameters_of_learning()

    def _query_problem(self, sigma: float, lens: Lens | None = None) -> QueryProblem:
        return QueryProblem(
            self._setting("max_neighbors"),
            sigma,
            self._setting("query_nugget"),
            self._setting("query_penalty"),
            lens,
        )

    def _reading(self) -> Reading:
        # These may have been changed since fit looked at them.
        for name in ("inference", "walk", "ef"):
            validate_parameter_constraints(
                {name: PARAMETER_CONSTRAINTS[name]},
                {name: getattr(self, name)},
                caller_name=type(self).__name__,
            )
        if self.inference == "lookup":  # which asks for no problem
            problem = self._query_problem(sigma=0.0)
        else:
            model = self._present_model
            sigma = (self.query_bandwidth_ or 0.0) / model.space.scale
            problem = self._query_problem(sigma, model.lens)
        return Reading(self.inference, self.ef_, problem, count_threads(self.n_jobs))

    def _warn_of_lost_walks(self) -> None:
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
                stacklevel=6,  # past fit and the wrapper around it
            )
