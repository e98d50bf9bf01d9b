"""What a fitted estimator shows of its model, each attribute found on first use."""

from typing import Any

import numpy as np

from knngraph.compact import packed, unpacked
from knngraph.fitted.found_once import found_once
from knngraph.graph.consensus import Consensus
from knngraph.graph.learn import graph_over_rows
from knngraph.graph.representation import Representation
from knngraph.inspection.relevance import relevance_of_training_rows
from knngraph.model import FittedModel
from knngraph.parallel import count_threads


class LearnedAttributes:
    """Attributes of an estimator by the names that they have there.

    Parameters
    ----------
    model : FittedModel
    classes : ndarray of shape (n_classes,)
    ids : ndarray of shape (n_rows,) or None, default=None
        Ids that the user gave to rows, None at those without; None where no row has
        one.
    """

    def __init__(
        self, model: FittedModel, classes: np.ndarray, ids: np.ndarray | None = None
    ) -> None:
        self.model, self.classes, self.ids = model, classes, ids
        self.lock = model.lock

    def __getstate__(self) -> dict[str, Any]:
        # Without what follows from the model.
        return {"model": self.model, "classes": self.classes, "ids": packed(self.ids)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        lock, ids = state["model"].lock, unpacked(state["ids"])
        vars(self).update(state, lock=lock, ids=ids)

    @property
    def _pair(self) -> np.ndarray:
        return self.model.training.pair_of_row

    @property
    def _representation(self) -> Representation:
        return self.model.graph.representation

    @property
    def _consensus(self) -> Consensus:
        return self.model.graph.consensus

    @found_once
    def graph_(self) -> Any:
        """Weights of the learned neighbors."""
        return graph_over_rows(self.model.training, self._representation.weights)

    @found_once
    def n_neighbors_(self) -> np.ndarray:
        """Learned number of neighbors of every row."""
        return np.diff(self._representation.weights.indptr)[self._pair]

    @found_once
    def density_(self) -> np.ndarray:
        """Density around every row."""
        return self.model.graph.problem.density[self._pair]

    @found_once
    def lambda_max_(self) -> np.ndarray:
        """lambda* of every row."""
        return self._representation.lambda_max[self._pair]

    @found_once
    def penalty_(self) -> np.ndarray:
        """Penalty of every row."""
        return self.model.graph.problem.fractions[self._pair] * self.lambda_max_

    @found_once
    def bandwidth_(self) -> float:
        """Bandwidth of the kernel of the graph."""
        return self.model.graph.problem.kernel.sigma * self.model.space.scale

    @found_once
    def query_bandwidth_(self) -> float | None:
        """Bandwidth of the kernel at queries."""
        return self.model.query_bandwidth

    @found_once
    def query_nugget_(self) -> float:
        """Nugget that is used at queries."""
        reliability = self.model.reliability
        factor = 1.0 if reliability is None else reliability.nugget_factor
        return float(factor * self.model.settings.problem.nugget)

    @found_once
    def label_doubt_(self) -> float:
        """How far votes at queries doubt labels that their neighbors contradict."""
        reliability = self.model.reliability
        return 0.0 if reliability is None else reliability.doubt

    @found_once
    def noise_matrix_(self) -> np.ndarray:
        """Probability of every given label in every likely class."""
        return self.model.label_quality.noise_matrix

    @found_once
    def label_distribution_(self) -> Any:
        """Shares of the vote on every row."""
        return self._consensus.distribution[self._pair]

    @found_once
    def labels_(self) -> np.ndarray:
        """Stored label of every row."""
        return self.classes[self._consensus.codes[self._pair]]

    @found_once
    def margin_(self) -> np.ndarray:
        """Largest minus second largest share of the vote."""
        return self._consensus.margin[self._pair]

    @found_once
    def relabeled_(self) -> np.ndarray:
        """Rows whose stored label differs from the given one."""
        given = self.model.training.codes
        return np.flatnonzero(self._consensus.codes[self._pair] != given)

    @found_once
    def optimality_gap_(self) -> np.ndarray:
        """Violation of the optimality conditions."""
        return self._representation.gaps[self._pair]

    @found_once
    def objective_path_(self) -> np.ndarray:
        """Mean objective after every iteration."""
        return self._representation.objective_path

    @found_once
    def n_iter_(self) -> int:
        """Largest number of iterations that a row took."""
        return max(1, int(self._representation.n_iter.max()))

    @found_once
    def loo_score_(self) -> float:
        """Accuracy of adaptive inference on left-out rows."""
        return self.model.left_out.score

    @found_once
    def resolved_(self) -> np.ndarray:
        """Whether a cascade would answer the row, left out, by a stored label."""
        return self.model.resolved[self._pair]

    @found_once
    def feature_relevance_(self) -> np.ndarray:
        """How much every column tells the classes apart."""
        return relevance_of_training_rows(self.model.space, self.model.training)

    def lookup_agreement(self, walk: str, ef: int) -> float:
        """Share of held-out rows whose search finds the label of exact search."""
        recall = self.model.search_recall(walk)
        return recall.agreement(self.model.stored.codes, ef)


LEARNED = frozenset(
    name
    for name, value in vars(LearnedAttributes).items()
    if isinstance(value, found_once)
)
# Parts of the model that attributes are read from.
_PARTS = dict.fromkeys(LEARNED, "graph") | {
    "lookup_agreement_": "graph",
    "query_bandwidth_": "problem",
    "query_nugget_": "left_out",
    "label_doubt_": "left_out",
    "noise_matrix_": "label_quality",
    "loo_score_": "left_out",
    "resolved_": "resolved",
    "feature_relevance_": None,  # of the rows alone
}


class ShowsLearned:
    """An estimator that keeps `LearnedAttributes` as `_learned`, once it is fitted."""

    _learned: LearnedAttributes
    ef_: Any
    _walk_now: Any

    def __getattr__(self, name: str) -> Any:
        learned = vars(self).get("_learned")
        if name in _PARTS and learned is not None:
            learned.model.use_threads(count_threads(vars(self)["n_jobs"]))
            if name == "lookup_agreement_":  # not kept: it follows `ef`
                return learned.lookup_agreement(self._walk_now, self.ef_)
            return getattr(learned, name)
        raise AttributeError(
            f"{type(self).__name__!r} object has no attribute {name!r}"
        )

    def __dir__(self) -> list[str]:
        # What shows every attribute, as a notebook does, must not compute any.
        learned = vars(self).get("_learned")
        parts = {} if learned is None else vars(learned.model)
        found = () if learned is None else vars(learned)
        there = [n for n, part in _PARTS.items() if part in parts or n in found]
        return sorted({*super().__dir__(), *there})

    @property
    def _model(self) -> FittedModel:
        """The model of the rows there are; its parts are found on first use."""
        return self._learned.model
