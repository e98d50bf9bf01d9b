"""Answers of one block of queries: one search, one fetch, then as on one machine."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from knngraph.distributed.collections import given_labels, numeric_rows
from knngraph.distributed.learn import fetch_patch
from knngraph.distributed.partition import Layout, Nodes, join_nodes
from knngraph.distributed.pilot import Shared
from knngraph.distributed.search import Lists, SearchOptions, nearest_over
from knngraph.distributed.tasks import constant, task
from knngraph.index.protocol import ef_for
from knngraph.inference.adaptive import LabelReliability
from knngraph.inference.answer import answer_codes, answer_probabilities
from knngraph.inference.query_model import PredictOptions, QueryModel
from knngraph.inference.stored import StoredAnswers
from knngraph.space import Space

_AS_THEY_ARE = Space("euclidean", None, 1.0)


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
    model: PartitionedModel, options: PredictOptions, *, probabilities: bool
) -> Callable[[Any], Any]:
    """From a block of the user's rows to the task that answers it.

    Parameters
    ----------
    model : PartitionedModel
    options : PredictOptions
    probabilities : bool
        Whether to answer with probabilities instead of labels.

    Returns
    -------
    callable
    """
    lookup = options.inference == "lookup"
    k = 1 if lookup else model.shared.problem.n_neighbors
    ef = options.ef if lookup else max(options.ef, ef_for(k))
    search = SearchOptions(ef, walk=model.walk, n_threads=options.n_threads)
    space = constant(model.shared.space, name="space")
    to_queries = partial(_map_queries, n_features=model.layout.n_features)
    wanted_by = partial(_wanted, model.layout)
    # Every task carries this.
    lean = replace(
        model, partitions=[], shared=replace(model.shared, space=_AS_THEY_ARE)
    )
    finish = partial(_answers, lean, options, probabilities)

    def answer(block: Any) -> Any:
        queries = task(to_queries, space, block, name="queries")
        found = nearest_over(model.partitions, queries, k, model.layout, search)
        fetched = fetch_patch(
            model.partitions,
            task(wanted_by, found, name="wanted"),
            model.layout,
            points=not lookup,
            reliability=not lookup,
            stored=options.inference != "adaptive",
        )
        return task(finish, found, fetched, name="answer")

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


def _wanted(layout: Layout, found: Lists) -> list[np.ndarray]:
    return layout.split(np.unique(found.ids))


def _answers(
    model: PartitionedModel,
    options: PredictOptions,
    probabilities: bool,
    found: Lists,
    fetched: list[Nodes],
) -> np.ndarray:
    """Answer a block by the inference of one machine, on the nodes that it found."""
    nodes, shared = join_nodes(fetched), model.shared
    lists = FoundLists(np.searchsorted(nodes.ids, found.ids), found.squared)
    patch = QueryModel(
        space=shared.space,
        training=nodes.training_set(len(model.classes)),
        index=lists,
        problem=shared.problem,
        stored=None
        if nodes.codes is None
        else StoredAnswers(nodes.codes, nodes.shares),
        reliability=_reliability(nodes, shared),
        rule=shared.rule,
        calibration=shared.calibration,
    )
    numbers = np.arange(len(found.ids), dtype=np.float32)[:, None]
    if probabilities:
        return answer_probabilities(patch, options, numbers)
    labels: np.ndarray = model.classes[answer_codes(patch, options, numbers)]
    return labels


def _reliability(nodes: Nodes, shared: Shared) -> LabelReliability | None:
    if shared.noise == 0.0 and shared.nugget_factor == 1.0:
        return None
    own, rival = nodes.own, nodes.rival
    if own is None or rival is None:  # all labels count in full
        own, rival = np.empty(0), np.empty(0, dtype=np.int32)
    return LabelReliability(own, rival, shared.noise, shared.nugget_factor)
