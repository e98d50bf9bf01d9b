"""The fitted model: indexed rows and what is learned from them."""

from dataclasses import dataclass, replace
from threading import RLock
from typing import Any

import numpy as np

from knngraph.fitted.found_once import found_once
from knngraph.fitted.kept import NAMES as KEPT
from knngraph.fitted.kept import StoredRule
from knngraph.fitted.rows import IndexedRows
from knngraph.fitted.searched import SearchedModel
from knngraph.graph.learn import LearnedGraph, learn_graph
from knngraph.graph.neighbors import Neighbors
from knngraph.graph.solved import Solved, learn_again
from knngraph.graph.stored_left_out import StoredVotes, stored_votes_left_out
from knngraph.inference.adaptive import (
    LabelReliability,
    QueryProblem,
    queries_per_block,
)
from knngraph.inference.calibration import Calibration
from knngraph.inference.cascade import CascadeRule, n_margin_nodes
from knngraph.inference.cascade_rule import apply_rule, learn_rule
from knngraph.inference.class_means import class_means, squared_left_out
from knngraph.inference.copies import copied_pairs, with_trust_in_copies
from knngraph.inference.label_quality import LabelQuality, judge_labels
from knngraph.inference.leave_one_out import (
    LeaveOneOut,
    VoteWeights,
    calibrate_stored,
    calibration_sample,
    leave_one_out,
)
from knngraph.inference.left_out_votes import LeftOutRows
from knngraph.inference.node_votes import node_votes
from knngraph.inference.novelty import Novelty, calibrate_novelty
from knngraph.inference.probabilities import probabilities_of
from knngraph.inference.query_model import PredictOptions, QueryModel
from knngraph.inference.reliability import (
    answer_open_pairs,
    estimate_reliability,
    voting_pairs,
)
from knngraph.inference.set_scores import (
    SetScores,
    class_score_of,
    pairs_for_sets,
    score_keys,
)
from knngraph.inference.stored import StoredAnswers
from knngraph.parallel import chunk_bounds, one_blas_thread
from knngraph.progress import stage

# Agreement with exact search that ef="auto" reaches.
ENOUGH_SAME_LABELS = 0.99
# A cascade looks at several nodes: missing the nearest now and then does no harm.
ENOUGH_SAME_NODES = 0.95


@dataclass(frozen=True, eq=False)
class FittedModel(SearchedModel):
    """Indexed rows and what is learned from them, each part found on first use.

    A lookup needs the stored labels, which need the graph. Adaptive inference needs
    the leave-one-out estimates but no graph. A cascade and the probabilities of
    stored labels need all. So fit, and an answer after a change of the rows, learn no
    more than `inference` reads. Any number of threads may use it at once, and which
    of them finds a part changes no bit of it.
    """

    def __getstate__(self) -> dict[str, Any]:
        # In one order, whichever part was found first.
        found = {name: vars(self)[name] for name in IN_FILES if name in vars(self)}
        rows = self.rows
        rows = replace(rows, kept=rows.kept.without(found.keys()))
        return {"start": rows, "settings": self.settings, **found}

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Neither a lock nor the number of threads belongs into a file.
        vars(self).update(state, n_threads=1, verbose=0, lock=RLock())

    @found_once
    def graph(self) -> LearnedGraph:
        """The learned graph and its consensus."""
        rows = self.rows
        given = rows.training, rows.neighbors, self.settings.graph
        if rows.kept.graph is not None:
            return learn_again(
                rows.kept.graph,
                *given,
                seed=self.settings.seed,
                n_threads=self.n_threads,
            )
        return learn_graph(
            *given,
            exact=rows.exact,
            seed=self.settings.seed,
            n_threads=self.n_threads,
            verbose=self.verbose,
        )

    @found_once
    def stored(self) -> StoredAnswers:
        """Stored labels of the nodes."""
        return StoredAnswers.from_consensus(self.training, self.graph.consensus)

    @found_once
    def problem(self) -> QueryProblem:
        """The problem at a query, with its bandwidth, and whether copies decide."""
        if self.rows.kept.problem is not None:
            return self.rows.kept.problem
        sigma = self.settings.query_sigma(self.rows.neighbors)
        problem = replace(self.settings.problem, sigma=sigma)
        pairs = copied_pairs(self.training, self.honest_pairs)
        if len(pairs):
            (problem,) = with_trust_in_copies(
                self.training,
                self.left_out_neighbors,
                [problem],
                pairs,
                n_threads=self.n_threads,
            )
        return problem

    @found_once
    def left_out_neighbors(self) -> Neighbors:
        """Neighbor lists of left-out rows, under maps that have not seen them."""
        return self.rows.left_out_neighbors(self.n_threads)

    @found_once
    def left_out(self) -> LeaveOneOut:
        """Leave-one-out answers, and the reliability of the labels."""
        training, before = self.training, self.rows.kept.left_out
        if before is not None:
            return answer_open_pairs(
                before,
                training,
                self.rows.left_out_neighbors(self.n_threads, before.open_pairs),
                self.problem,
                n_threads=self.n_threads,
            )
        neighbors = self.left_out_neighbors
        honest = self.honest_pairs
        sample = calibration_sample(training, honest)
        weights = None
        if self.settings.vote == "reliability":
            pairs = voting_pairs(training, neighbors, self.problem, sample)
            weights = VoteWeights(pairs, self.problem.n_neighbors)
        with stage("leaving rows out", training.n_pairs, self.verbose) as leaving:
            answers = leave_one_out(
                training,
                neighbors,
                self.problem,
                honest=honest,
                weights=weights,
                n_threads=self.n_threads,
                advance=leaving.advance,
            )
        if weights is None:
            return answers
        return estimate_reliability(
            training,
            neighbors,
            self.problem,
            answers,
            weights,
            sample,
            n_threads=self.n_threads,
        )

    @found_once
    def label_quality(self) -> LabelQuality:
        """How probable every given label is, and the noise matrix."""
        with one_blas_thread():
            shares = self.space.class_shares(
                self.training.points, self.training.n_classes
            )
        with stage("evaluating labels", self.training.n_pairs, self.verbose) as steps:
            return judge_labels(
                self.training,
                self.left_out_neighbors,
                self.problem,
                self.honest_pairs,
                shares=shares,
                n_threads=self.n_threads,
                advance=steps.advance,
            )

    @property
    def reliability(self) -> LabelReliability | None:
        """How far labels count when they vote at a query; None in full."""
        if self.settings.vote == "labels":
            return None
        return self.left_out.reliability

    @found_once
    def stored_rule(self) -> StoredRule:
        """The rule of a cascade and the calibration, from left-out rows."""
        if self.rows.kept.stored_rule is not None:
            return self.rows.kept.stored_rule
        training, left_out = self.training, self.left_out
        sample = calibration_sample(training, self.honest_pairs)
        votes = self._stored_left_out(sample)
        rule = learn_rule(
            training,
            self.left_out_neighbors,
            self.problem,
            left_out,
            votes,
            sample,
            self.settings.tolerance,
        )
        _, agreed = self._apply_rule(rule, sample)
        rows = self._left_out_rows
        calibration = calibrate_stored(
            training,
            rows.near_votes(sample, "lookup"),
            rows.near_votes(sample, "cascade"),
            sample,
            agreed,
            left_out.exponent,
        )
        return StoredRule(rule, calibration)

    @found_once
    def novelty(self) -> Novelty:
        """Distances of left-out rows to the nearest other, which queries have too."""
        if self.rows.kept.novelty is not None:
            return self.rows.kept.novelty
        return calibrate_novelty(self.training, self.rows.neighbors)

    @found_once
    def node_votes(self) -> Any:
        """Votes around every node, which probabilities of lookups are read from."""
        k = n_margin_nodes(self.settings.problem.n_neighbors)
        return node_votes(
            self.training, self.rows.neighbors, k, n_threads=self.n_threads
        )

    @found_once
    def resolved(self) -> np.ndarray:
        """Whether a cascade answers the pairs, left out, by a stored label."""
        all_pairs = np.arange(self.training.n_pairs)
        return self._apply_rule(self.stored_rule.rule, all_pairs)[0]

    def _apply_rule(
        self, rule: CascadeRule, pairs: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        neighbors = self.left_out_neighbors
        codes = self.stored.codes
        return apply_rule(rule, self.training, neighbors, self.problem, codes, pairs)

    def _stored_left_out(self, pairs: np.ndarray) -> StoredVotes:
        (votes,) = stored_votes_left_out(
            self.training,
            self.left_out_neighbors,
            self.graph.same_class,
            self.graph.problem,
            self.settings.graph.max_neighbors,
            [self.settings.graph.self_weight],
            pairs,
            n_threads=self.n_threads,
        )
        return votes

    @found_once
    def adaptive_set_scores(self) -> SetScores:
        """Scores for prediction sets of adaptive answers."""
        return self._set_scores("adaptive")

    @found_once
    def cascade_set_scores(self) -> SetScores:
        """Scores for prediction sets of a cascade."""
        return self._set_scores("cascade")

    @found_once
    def lookup_set_scores(self) -> SetScores:
        """Scores for prediction sets of lookups."""
        return self._set_scores("lookup")

    def _set_scores(self, inference: str) -> SetScores:
        training, honest = self.training, self.honest_pairs
        n_drawn = len(calibration_sample(training, honest))
        pairs = pairs_for_sets(training, honest, n_drawn)
        keys = np.empty(len(pairs), dtype=np.uint64)
        means = class_means(training)
        largest = queries_per_block(training.n_classes)
        for start, stop in chunk_bounds(len(pairs), largest):
            some = pairs[start:stop]
            probabilities = self._left_out_probabilities(inference, some)
            squared = squared_left_out(training, some, means, self.rows.out_of_fold)
            given = class_score_of(probabilities, squared, training.pair_code[some])
            points = training.points[training.pair_node[some]]
            keys[start:stop] = score_keys(given, points)
        return SetScores(pairs, keys, n_drawn, means)

    def _left_out_probabilities(self, inference: str, pairs: np.ndarray) -> np.ndarray:
        """Probabilities that pairs get when a row of each is left out."""
        codes = np.full(len(pairs), -1)
        of_candidates = np.full(len(pairs), inference == "adaptive")
        if inference != "adaptive":
            codes = self._stored_left_out(pairs).codes
        if inference == "cascade":
            resolved, agreed = self._apply_rule(self.stored_rule.rule, pairs)
            of_candidates, codes = ~agreed, np.where(resolved, codes, -1)
        votes = self._left_out_rows.votes(pairs, of_candidates, inference)
        calibration = self.calibration(inference)
        return probabilities_of(votes, codes, of_candidates, calibration, inference)[0]

    @property
    def _left_out_rows(self) -> LeftOutRows:
        return LeftOutRows(
            self.training,
            self.left_out_neighbors,
            self.rows.neighbors,
            self.problem,
            self.left_out,
            self.n_threads,
        )

    def left_out_codes(self, inference: str) -> np.ndarray:
        """Class that every pair gets when a row of it is left out.

        Returns
        -------
        ndarray of shape (n_pairs,)
            Its own where there is no other row.
        """
        given, stored = self.training.pair_code, np.ones(self.training.n_pairs, bool)
        codes = given.copy()
        if inference != "lookup":
            codes = np.where(self.left_out.right, given, self.left_out.rival_code)
            stored[:] = self.resolved if inference == "cascade" else False
        pairs = np.flatnonzero(stored)
        votes = self._stored_left_out(pairs).codes if len(pairs) else codes[:0]
        codes[pairs] = np.where(votes < 0, given[pairs], votes)
        return codes

    def left_out_accuracy(self, inference: str) -> float:
        """Share of the rows that are answered right when they are left out."""
        training = self.training
        right = self.left_out_codes(inference) == training.pair_code
        return float(np.average(right, weights=training.pair_weight))

    def calibration(self, inference: str) -> Calibration:
        """How votes become probabilities; adaptive ones need no stored votes."""
        if inference == "adaptive":
            return Calibration(self.left_out.exponent, 1.0, 1.0)
        return self.stored_rule.calibration

    def set_scores(self, inference: str) -> SetScores:
        """Scores of left-out rows, which prediction sets are found by."""
        scores: SetScores = getattr(self, f"{inference}_set_scores")
        return scores

    @property
    def query_bandwidth(self) -> float | None:
        """Bandwidth at queries in the units of the user; None where it is local."""
        sigma = self.problem.sigma
        return sigma * self.space.scale if sigma > 0.0 else None

    def label_ef(self, walk: str) -> int:
        """Smallest `ef` whose labels agree with exact search often enough."""
        recall = self.search_recall(walk)
        return recall.smallest_ef(self.stored.codes, ENOUGH_SAME_LABELS)

    def node_ef(self, walk: str) -> int:
        """Smallest `ef` that finds the nearest node often enough."""
        ef = self.search_recall(walk).smallest_ef(None, ENOUGH_SAME_NODES)
        return max(ef, n_margin_nodes(self.settings.problem.n_neighbors))

    def learn_for(self, inference: str, walk: str) -> None:
        """Find the parts that answers of an inference read, and its `ef`."""
        with self.lock:
            _ = self.search_index(walk)
            if inference != "adaptive":
                _ = self.stored, self.search_recall(walk)
            if inference != "lookup":
                _ = self.problem, self.reliability
            if inference == "cascade":
                _ = self.stored_rule

    def query_model(
        self,
        options: PredictOptions,
        walk: str,
        *,
        probabilities: bool = False,
        novelty: bool = False,
        sets: bool = False,
    ) -> QueryModel:
        """The part that some answers are read from; no more than it is found.

        Parameters
        ----------
        walk : {"hnsw", "medoids"}
        probabilities : bool, default=False
            Whether probabilities are computed, not only classes.
        novelty : bool, default=False
            Whether it says how unlike the training rows queries are.
        sets : bool, default=False
            Whether prediction sets are computed, which probabilities are read for.
        """
        self.use_threads(options.n_threads)
        lookup = options.inference == "lookup"
        calibration = stored = None
        probabilities = probabilities or sets
        if probabilities:
            calibration = self.calibration(options.inference)
        compared = self.novelty if novelty else None
        if compared is not None and lookup:
            # A wider search as good as always finds the nearest node.
            stretch = self.search_recall(walk).stretch(options.ef)
            compared = compared.stretched(stretch)
        if options.inference != "adaptive":
            shares = self.node_votes if lookup and probabilities else None
            stored = replace(self.stored, shares=shares)
        return QueryModel(
            space=self.space,
            training=self.training,
            index=self.search_index(walk),
            problem=self.settings.problem if lookup else self.problem,
            stored=stored,
            reliability=None if lookup else self.reliability,
            rule=self.stored_rule.rule if options.inference == "cascade" else None,
            calibration=calibration,
            novelty=compared,
            sets=self.set_scores(options.inference) if sets else None,
        )

    def learned_rows(self) -> IndexedRows:
        """The rows, with all that was learned which a change may keep."""
        rows = self.rows
        found = {name: vars(self)[name] for name in KEPT if name in vars(self)}
        graph = found.pop("graph", None)
        if graph is not None and not rows.exact:
            # Where every row is a candidate of every other, no problem stays.
            found["graph"] = Solved.of(graph, rows.training)
        return replace(rows, kept=replace(rows.kept, **found))


# The parts that are found on first use, by the names they have in a model.
PARTS = tuple(
    name
    for kind in (FittedModel, SearchedModel)
    for name, value in vars(kind).items()
    if isinstance(value, found_once)
)
# Those that a file holds. The others follow from these: stored labels, votes around
# nodes and the exact search at once, lists of left-out rows by a search that few calls
# need.
_FOLLOW = "stored", "node_votes", "certified_index", "left_out_neighbors"
IN_FILES = tuple(name for name in PARTS if name not in _FOLLOW)
