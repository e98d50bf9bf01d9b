"""A model that learns from its rows when it is asked, and only what it is asked."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from threading import RLock
from typing import Any

from knngraph.graph.learn import LearnedGraph, learn_graph
from knngraph.inference.adaptive import LabelTrust, QueryProblem
from knngraph.inference.calibration import Calibration
from knngraph.inference.cascade import Decisions
from knngraph.inference.learn import (
    Heard,
    LearnedModel,
    label_beam,
    learn_model,
    leave_rows_out,
    node_beam,
)
from knngraph.inference.model import FittedModel
from knngraph.inference.stored import StoredAnswers
from knngraph.lens import Lens
from knngraph.metric.choose_lens import choose_lens
from knngraph.updating.recipe import Recipe
from knngraph.updating.solved import Solved, represent_again
from knngraph.updating.state import SearchedRows


class OnceFound:
    """Values that are found when first asked for, by one thread, and kept."""

    def __init__(self) -> None:
        self._lock = RLock()
        self._found: dict[str, Any] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._found

    def get(self, name: str, find: Callable[[], Any]) -> Any:
        """The value of a name; an error of `find` leaves it unfound."""
        if name not in self._found:
            with self._lock:
                if name not in self._found:
                    self._found[name] = find()
        return self._found[name]


class LearningModel(FittedModel):
    """The state that every inference reads, found on first use.

    Adaptive inference asks how far labels are believed, which left-out rows say; with
    `vote="labels"` it asks for nothing that is not there already. A lookup asks for
    the stored labels: problems that are not what they were are solved again, and the
    vote is taken. A cascade and probabilities ask for all. Any number of threads may
    ask at once.

    Parameters
    ----------
    rows : SearchedRows
    recipe : Recipe
    n_threads : int
    verbose : int, default=0
    """

    rows: SearchedRows
    recipe: Recipe
    _how: dict[str, int]
    _once: OnceFound

    def __init__(
        self, rows: SearchedRows, recipe: Recipe, n_threads: int, verbose: int = 0
    ) -> None:
        # Past the setter that the frozen base refuses everybody else.
        self.__dict__.update(
            rows=rows,
            recipe=recipe,
            space=rows.space,
            training=rows.training,
            index=rows.index,
            probe=rows.probe,
            _how={"n_threads": n_threads, "verbose": verbose},
            _once=OnceFound(),
        )

    def know(
        self, problem: QueryProblem, learned: LearnedGraph, answering: LearnedModel
    ) -> None:
        """Take what was learned of the rows elsewhere, if nothing was here."""
        self._once.get("problem", lambda: problem)
        self._once.get("learned", lambda: learned)
        self._once.get("answering", lambda: answering)
        self._once.get("stored", lambda: answering.model.stored)
        heard = Heard(answering.left_out, answering.model.trust)
        self._once.get("heard", lambda: heard)

    def walking_from_medoids(self) -> "LearningModel":
        """The same model, whose queries walk from the nearest of few medoids."""
        twin = LearningModel.__new__(LearningModel)
        # What one of the two finds, both have found.
        twin.__dict__.update(vars(self), index=self._medoid_walk())
        return twin

    @property
    def learned(self) -> LearnedGraph:
        """The graph over the rows."""
        return self._once.get("learned", self._learn_graph)

    @property
    def answering(self) -> LearnedModel:
        """What left-out rows say, and the model when all is found."""
        return self._once.get("answering", self._answer)

    @property
    def stored(self) -> StoredAnswers:
        return self._once.get("stored", self._store)

    @property
    def label_beam(self) -> int:
        return label_beam(self.probe, self.stored)

    @property
    def node_beam(self) -> int:
        return node_beam(self.probe, self.training, self.recipe.problem.n_neighbors)

    @property
    def heard(self) -> Heard:
        """What left-out rows say of the labels."""
        return self._once.get("heard", self._hear)

    @property
    def trust(self) -> LabelTrust | None:
        return self.heard.trust if self.recipe.vote == "trusted" else None

    @property
    def calibration(self) -> Calibration:
        return self.answering.model.calibration

    @property
    def decisions(self) -> Decisions:
        return self.answering.model.decisions

    @property
    def query_bandwidth(self) -> float | None:
        """Bandwidth at queries, in the units of the user."""
        sigma = self.query_problem.sigma
        return sigma * self.space.scale if sigma > 0.0 else None

    @property
    def lens(self) -> Lens | None:
        """What the labels say of how rows are to be compared at queries."""
        return self.query_problem.lens

    @property
    def query_problem(self) -> QueryProblem:
        """The problem at queries, with its bandwidth and its lens."""
        return self._once.get("problem", self._pose_problem)

    def learned_rows(self) -> SearchedRows:
        """The rows, with the problems that were solved last."""
        if "learned" not in self._once or self.rows.exact:
            return self.rows
        return replace(self.rows, solved=Solved.of(self.learned, self.training))

    def _learn_graph(self) -> LearnedGraph:
        rows = self.rows
        # Where every row is a candidate of every other, all problems have changed.
        again = None
        if rows.solved is not None:
            again = partial(represent_again, rows.solved)
        return learn_graph(
            rows.training,
            rows.neighbors,
            self.recipe.graph,
            exact=rows.exact,
            represent=again,
            seed=self.recipe.seed,
            **self._how,
        )

    def _pose_problem(self) -> QueryProblem:
        problem, rows = self.recipe.problem, self.rows
        if self.recipe.query_metric == "auto":
            problem = choose_lens(
                rows.training,
                problem,
                seed=self.recipe.seed,
                n_threads=self._how["n_threads"],
            )
        sigma = self.recipe.query_sigma(problem, rows.neighbors)
        return replace(problem, sigma=sigma)

    def _store(self) -> StoredAnswers:
        return StoredAnswers.from_consensus(self.training, self.learned.consensus)

    def _hear(self) -> Heard:
        rows = self.rows
        return leave_rows_out(
            rows.training,
            rows.neighbors,
            self.query_problem,
            vote=self.recipe.vote,
            **self._how,
        )

    def _answer(self) -> LearnedModel:
        rows = self.rows
        return learn_model(
            rows.space,
            rows.training,
            rows.index,
            rows.probe,
            rows.neighbors,
            self.learned,
            self.recipe.graph,
            self.query_problem,
            self.heard,
            self.recipe.tolerance,
            **self._how,
        )
