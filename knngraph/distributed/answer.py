"""Answers of one block of queries: one search, one fetch, then as on one machine."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from knngraph.answering import Answers
from knngraph.distributed.collections import given_labels, numeric_rows
from knngraph.distributed.learn import fetch_patch
from knngraph.distributed.partition import Layout, Nodes, join_nodes
from knngraph.distributed.pilot import Shared
from knngraph.distributed.search import Lists, SearchOptions, nearest_over
from knngraph.distributed.tasks import constant, task
from knngraph.graph.training_set import TrainingSet
from knngraph.index.protocol import ef_for
from knngraph.inference.adaptive import LabelReliability
from knngraph.inference.answer import answer_codes, answer_probabilities
from knngraph.inference.query_model import PredictOptions, QueryModel
from knngraph.inference.stored import StoredAnswers
from knngraph.space import Space

_AS_THEY_ARE = Space("euclidean", None, 1.0)
# Methods that answer, and those of them that say nothing of novelty.
_PLAIN = ("predict", "predict_proba")
_ANSWERS = (*_PLAIN, "answer")


@dataclass(frozen=True)
class PartitionedModel:
    """A fitted model whose partitions lie on the cluster.

    Parameters
    ----------
    partitions : list of Delayed
        Persisted `Partition`.
    layout : Layout
    shared : Shared
    classes : ndarray of shape (n_classes,)
    walk : {"hnsw", "medoids"}
        Of the queries, in every partition.
    """

    partitions: list[Any]
    layout: Layout
    shared: Shared
    classes: np.ndarray
    walk: str


@dataclass(frozen=True)
class FoundLists:
    """Lists that were found already, as an index of which a query is a row number.

    Parameters
    ----------
    ids, squared : ndarray of shape (n_queries, k)
    """

    ids: np.ndarray
    squared: np.ndarray

    @property
    def n_points(self) -> int:
        """Length of the lists."""
        return self.ids.shape[1]

    def nearest(
        self, queries: np.ndarray, k: int, *, ef: int = 1, n_threads: int = 1
    ) -> tuple[np.ndarray, np.ndarray]:
        """The first `k` of the lists; see `SearchIndex.nearest`."""
        rows = queries[:, 0].astype(np.intp)
        return self.ids[rows, :k], self.squared[rows, :k]


def answers_of(
    model: PartitionedModel,
    options: PredictOptions,
    method: str,
    given: dict[str, Any],
) -> Callable[[Any], Any]:
    """From a block of the user's rows to the task that answers it.

    Parameters
    ----------
    model : PartitionedModel
    options : PredictOptions
    method : str
        Of the estimator.
    given : dict
        Its arguments.

    Returns
    -------
    callable

    Notes
    -----
    How far the nearest row is, is found by the search for candidates: that of a lookup
    may miss it, and the left-out rows that it is compared with had the wider one.
    """
    lookup = options.inference == "lookup"
    answers, says_how_far = method in _ANSWERS, method not in _PLAIN
    m = model.shared.problem.n_neighbors
    wide = SearchOptions(
        max(options.ef, ef_for(m)), walk=model.walk, n_threads=options.n_threads
    )
    narrow = replace(wide, ef=options.ef)
    space = constant(model.shared.space, name="space")
    to_queries = partial(_map_queries, n_features=model.layout.n_features)
    wanted_by = partial(_wanted, model.layout)
    # Every task carries this.
    lean = replace(
        model, partitions=[], shared=replace(model.shared, space=_AS_THEY_ARE)
    )
    finish = partial(_answers, lean, options, method, given)

    def nearest(queries: Any, k: int, search: SearchOptions) -> Any:
        return nearest_over(model.partitions, queries, k, model.layout, search)

    def answer(block: Any) -> Any:
        queries = task(to_queries, space, block, name="queries")
        found = near = None
        if answers:
            found = nearest(queries, 1 if lookup else m, narrow if lookup else wide)
        if says_how_far:
            near = nearest(queries, 1, wide) if lookup or not answers else found
        fetched = fetch_patch(
            model.partitions,
            task(wanted_by, found, near, name="wanted"),
            model.layout,
            points=answers and not lookup,
            reliability=answers and not lookup,
            stored=answers and options.inference != "adaptive",
        )
        return task(finish, found, near, fetched, name="answer")

    return answer


def count_right(answers: np.ndarray, given: Any) -> tuple[int, int]:
    """Right answers of a block, and all."""
    return int((answers == given_labels(given)).sum()), len(answers)


def _map_queries(space: Space, block: Any, n_features: int) -> np.ndarray:
    rows = numeric_rows(block, space.missing is not None)
    if rows.shape[1] != n_features:
        raise ValueError(
            f"X has {rows.shape[1]} features, but DaskKNNGraphClassifier is expecting "
            f"{n_features} features as input."
        )
    return space.map_rows(rows)


def _wanted(
    layout: Layout, found: Lists | None, near: Lists | None
) -> list[np.ndarray]:
    lists = [some.ids.ravel() for some in (found, near) if some is not None]
    return layout.split(np.unique(np.concatenate(lists)))


def _answers(
    model: PartitionedModel,
    options: PredictOptions,
    method: str,
    given: dict[str, Any],
    found: Lists | None,
    near: Lists | None,
    fetched: list[Nodes],
) -> Any:
    """Answer a block by the inference of one machine, on the nodes that it found."""
    nodes = join_nodes(fetched)
    training = nodes.training_set(len(model.classes))
    patch, numbers = None, np.empty((0, 1), dtype=np.float32)
    if found is not None:
        patch = _patch(model.shared, nodes, training, found)
        numbers = np.arange(len(found.ids), dtype=np.float32)[:, None]
    if method == "predict":
        assert patch is not None
        labels: np.ndarray = model.classes[answer_codes(patch, options, numbers)]
        return labels
    shares = None
    if patch is not None:
        shares = answer_probabilities(patch, options, numbers)
    if near is None:
        return shares
    novelty = model.shared.novelty
    assert novelty is not None
    codes = training.node_classes()[np.searchsorted(nodes.ids, near.ids[:, 0])]
    scores = novelty.scored(codes, near.squared[:, 0])
    if method == "novelty_score":
        return scores
    pvalues = novelty.pvalues(scores, codes, per_class=given.get("per_class", False))
    if method == "novelty_pvalue":
        return pvalues
    if method == "is_novel":
        return pvalues <= given["alpha"]
    assert shares is not None
    return Answers(model.classes[shares.argmax(axis=1)], shares, scores, pvalues)


def _patch(
    shared: Shared, nodes: Nodes, training: TrainingSet, found: Lists
) -> QueryModel:
    """What one machine would answer from, as far as some queries need it."""
    return QueryModel(
        space=shared.space,
        training=training,
        index=FoundLists(np.searchsorted(nodes.ids, found.ids), found.squared),
        problem=shared.problem,
        stored=None
        if nodes.codes is None
        else StoredAnswers(nodes.codes, nodes.shares),
        reliability=_reliability(nodes, shared),
        rule=shared.rule,
        calibration=shared.calibration,
    )


def _reliability(nodes: Nodes, shared: Shared) -> LabelReliability | None:
    if shared.noise == 0.0 and shared.nugget_factor == 1.0:
        return None
    own, rival = nodes.own, nodes.rival
    if own is None or rival is None:  # all labels count in full
        own, rival = np.empty(0), np.empty(0, dtype=np.int32)
    return LabelReliability(own, rival, shared.noise, shared.nugget_factor)
