"""Answers and searches by the parameters that an estimator has at present."""

from numbers import Integral
from typing import Any

from sklearn.utils.validation import check_is_fitted

from knngraph.answering import AnsweringMixin
from knngraph.exceptions import LookupAgreementWarning, warn_once
from knngraph.index.build import LOOKUP_EF, walk_for
from knngraph.index.protocol import SearchIndex, ef_for
from knngraph.index.recall import WideSearch
from knngraph.inference.answer import resolved_by_lookup
from knngraph.inference.query_model import PredictOptions, QueryModel
from knngraph.kneighbors import KNeighborsInterface, SearchedRows
from knngraph.novelty import NoveltyMixin
from knngraph.parallel import count_threads
from knngraph.parameters import PARAMETER_CONSTRAINTS, check_parameters
from knngraph.space import Space

# Agreement of searches with exact search below which a lookup warns.
_TOO_LITTLE_AGREEMENT = 0.95


class PresentAnswers(KNeighborsInterface, AnsweringMixin, NoveltyMixin):
    """An estimator that keeps a `FittedModel`, answered from as `inference` says now.

    `inference`, `walk` and `ef` may have been changed since fit.
    """

    inference: str
    walk: str
    ef: Any
    n_jobs: int | None
    lookup_agreement_: Any
    _checked_rows: Any
    _model: Any

    @property
    def ef_(self) -> int:
        """`ef` of the search that the parameters ask for."""
        check_is_fitted(self)
        model = self._model
        if self.inference == "adaptive":
            least = ef_for(model.settings.problem.n_neighbors)
            return max(least, int(self.ef)) if isinstance(self.ef, Integral) else least
        if isinstance(self.ef, Integral):
            return int(self.ef)
        if self.inference == "cascade":
            return model.node_ef(self._walk_now)
        if self.ef == "auto":
            return model.label_ef(self._walk_now)
        return LOOKUP_EF[self._walk_now]

    @property
    def _walk_now(self) -> str:
        return walk_for(self.walk, self.inference)

    def inference_report(self, X: Any) -> dict[str, Any]:
        """How the rows would be answered.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_queries, n_features)

        Returns
        -------
        dict
            "inference", "ef" (of the search), "n_queries", "resolved" (bool
            a query: answered by the stored label of a node) and "resolved_share".
        """
        model, options, X = self._answering(X)
        resolved = resolved_by_lookup(model, options, X)
        return {
            "inference": self.inference,
            "ef": options.ef,
            "n_queries": len(resolved),
            "resolved": resolved,
            "resolved_share": float(resolved.mean()),
        }

    def _searched_rows(self) -> SearchedRows:
        check_is_fitted(self)
        rows = self._model.rows
        index: SearchIndex = self._model.certified_index if rows.exact else rows.index
        if not rows.exact:
            ef = ef_for(self._default_count())
            if isinstance(self.ef, Integral):
                ef = max(ef, int(self.ef))
            index = WideSearch(rows.index, ef)
        return SearchedRows(rows.space, rows.training, index, rows.neighbors)

    def _space_and_count(self) -> tuple[Space, int]:
        check_is_fitted(self)
        start = self._model.start  # without a search for pending changes
        return start.space, start.n_rows

    def _default_count(self) -> int:
        return self._model.settings.problem.n_neighbors

    def _checked_queries(self, X: Any) -> Any:
        check_is_fitted(self)
        return self._checked_rows(X, reset=False)

    def _options(self) -> PredictOptions:
        # These may have been changed since fit checked them.
        for name in ("inference", "walk", "ef"):
            check_parameters(
                {name: PARAMETER_CONSTRAINTS[name]},
                {name: getattr(self, name)},
                type(self).__name__,
            )
        return PredictOptions(self.inference, self.ef_, count_threads(self.n_jobs))

    def _query_model(self, options: PredictOptions, **parts: bool) -> QueryModel:
        return self._model.query_model(options, self._walk_now, **parts)

    def _answering(
        self, X: Any, **parts: bool
    ) -> tuple[QueryModel, PredictOptions, Any]:
        X = self._checked_queries(X)
        options = self._options()
        return self._query_model(options, **parts), options, X

    def _warn_of_lost_searches(self) -> None:
        if (
            self.inference == "lookup"
            and self.lookup_agreement_ < _TOO_LITTLE_AGREEMENT
        ):
            better_start = 'walk="medoids" finds more in about the same time; '
            warn_once(
                f"A search with ef={self.ef_} finds the label that exact search finds "
                f"for {self.lookup_agreement_:.0%} of held-out training rows. "
                f"{better_start if self._walk_now == 'hnsw' else ''}"
                'ef="auto" widens the search until 99% do; inference="cascade" answers '
                "unresolved queries by a vote of their neighbors.",
                LookupAgreementWarning,
            )
