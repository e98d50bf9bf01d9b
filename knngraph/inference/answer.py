"""Answer queries block by block: by lookup, by the adaptive vote, or by a cascade.

One search a query serves all that is said of it: class, probabilities, prediction set,
how far the nearest training row is, and which rows voted.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from knngraph.inference.novelty import Novelty
from knngraph.inference.prediction_sets import SetLevel, set_level, sets_at
from knngraph.inference.probabilities import (
    favored_codes,
    found_votes,
    probabilities_of,
)
from knngraph.inference.query_model import (
    Found,
    PredictOptions,
    QueryModel,
    query_blocks,
    search,
)


@dataclass(frozen=True)
class Answered:
    """A block of queries with their answers.

    Parameters
    ----------
    block : slice
        Places of the queries.
    queries : ndarray of shape (n_queries, n_mapped)
        As they are mapped.
    found : Found
    votes : ndarray of shape (n_queries, n_classes)
        See `found_votes`.
    shares : ndarray of the shape of `found.ids`, or None
        Of the candidates in the votes at open queries; None where sets are not
        computed.
    codes : ndarray of shape (n_queries,)
        Classes.
    probabilities : ndarray of shape (n_queries, n_classes)
        The largest of a row is that of its class.
    sets : ndarray of shape (n_queries, n_classes), bool, or None
    """

    block: slice
    queries: np.ndarray
    found: Found
    votes: np.ndarray
    shares: np.ndarray | None
    codes: np.ndarray
    probabilities: np.ndarray
    sets: np.ndarray | None


def answered_blocks(
    model: QueryModel,
    options: PredictOptions,
    X: Any,
    level: SetLevel | None = None,
    *,
    with_shares: bool = False,
) -> Iterator[Answered]:
    """Answers and probabilities of all queries, and sets where there is a level.

    Parameters
    ----------
    X : ndarray or CSR of shape (n_queries, n_features)
    level : SetLevel or None, default=None
    with_shares : bool, default=False
        Whether shares of the candidates are found; they are for sets.
    """
    calibration = model.calibration
    assert calibration is not None
    # Voters of a query have a row of classes each.
    each = 1 if level is None else model.problem.n_neighbors
    for block, queries in query_blocks(model, X, options.n_threads, each):
        found = search(model, options, queries)
        shares = None
        if with_shares or level is not None:
            shares = np.zeros(found.ids.shape)
        votes = found_votes(model, options, found, shares)
        probabilities, codes = probabilities_of(
            votes,
            favored_codes(model, found),
            found.is_open,
            calibration,
            options.inference,
        )
        sets = None
        if level is not None and shares is not None:
            sets = sets_at(level, model, options, queries, found, shares, probabilities)
        yield Answered(block, queries, found, votes, shares, codes, probabilities, sets)


def answer_codes(model: QueryModel, options: PredictOptions, X: Any) -> np.ndarray:
    """Class of every query.

    Parameters
    ----------
    X : ndarray or CSR of shape (n_queries, n_features)

    Returns
    -------
    ndarray of shape (n_queries,), intp
    """
    codes = np.empty(X.shape[0], dtype=np.intp)
    for block, queries in query_blocks(model, X, options.n_threads):
        codes[block] = mapped_codes(model, options, queries)
    return codes


def mapped_codes(
    model: QueryModel, options: PredictOptions, queries: np.ndarray
) -> np.ndarray:
    """Class of every query of one block of mapped rows; see `answer_codes`."""
    found = search(model, options, queries)
    if options.inference == "adaptive":
        return found.votes(model, options.n_threads, slice(None)).argmax(axis=1)
    assert model.stored is not None
    codes = model.stored.codes[found.nodes]
    unresolved = np.flatnonzero(~found.resolved)
    if len(unresolved):
        votes = found.votes(model, options.n_threads, unresolved)
        codes[unresolved] = votes.argmax(axis=1)
    return codes


def answer_probabilities(
    model: QueryModel, options: PredictOptions, X: Any
) -> np.ndarray:
    """Probability of every class for every query.

    Parameters
    ----------
    X : ndarray or CSR of shape (n_queries, n_features)

    Returns
    -------
    ndarray of shape (n_queries, n_classes)
        The largest entry of a row is the class of `answer_codes`. Where the nearest
        nodes of a cascade agree, the shares are those of a vote of the nodes that its
        search has met; where they do not, of the candidates' vote, even if a margin
        resolves the query. Those of a lookup are stored on the node that it ends at.
    """
    probabilities = np.empty((X.shape[0], model.training.n_classes))
    for one in answered_blocks(model, options, X):
        probabilities[one.block] = one.probabilities
    return probabilities


def answer_sets(
    model: QueryModel,
    options: PredictOptions,
    X: Any,
    classes: np.ndarray,
    alpha: Any,
    per_class: Any,
) -> np.ndarray:
    """The set of classes of every query; see `set_level`.

    Parameters
    ----------
    X : ndarray or CSR of shape (n_queries, n_features)

    Returns
    -------
    ndarray of shape (n_queries, n_classes), bool
    """
    level = set_level(model, classes, alpha, per_class)
    sets = np.empty((X.shape[0], model.training.n_classes), dtype=bool)
    for one in answered_blocks(model, options, X, level):
        sets[one.block] = one.sets
    return sets


def resolved_by_lookup(
    model: QueryModel, options: PredictOptions, X: Any
) -> np.ndarray:
    """Whether the stored label of a node answers a query.

    Returns
    -------
    ndarray of shape (n_queries,), bool
    """
    resolved = np.empty(X.shape[0], dtype=bool)
    for block, queries in query_blocks(model, X, options.n_threads):
        resolved[block] = search(model, options, queries).resolved
    return resolved


def nearest_nodes(
    model: QueryModel, options: PredictOptions, X: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Nearest node of every query, as the search for its answer finds it.

    Returns
    -------
    nodes : ndarray of shape (n_queries,)
    squared : ndarray of shape (n_queries,)
        Squared distances, in mapped units.
    """
    nodes, squared = np.empty(X.shape[0], dtype=np.intp), np.empty(X.shape[0])
    for block, queries in query_blocks(model, X, options.n_threads):
        found = search(model, options, queries)
        nodes[block], squared[block] = found.nodes, found.squared[:, 0]
    return nodes, squared


def score_novelty(
    model: QueryModel, options: PredictOptions, X: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Class of the rows nearest to every query, -1 for several, and its score."""
    return score_at(model, *nearest_nodes(model, options, X))


def score_at(
    model: QueryModel, nodes: np.ndarray, squared: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The same of queries with known nearest nodes, at these squared distances."""
    codes = model.training.node_classes()[nodes]
    return codes, novelty_of(model).scored(codes, squared)


def novelty_of(model: QueryModel) -> Novelty:
    """What queries are compared with, or an error where that is not there."""
    if model.novelty is None:
        raise ValueError(
            "This predictor says nothing of novelty: an earlier release has made it. "
            "Make it again by to_predictor."
        )
    return model.novelty
