"""Answer queries block by block in any of the three ways."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from knngraph.inference.adaptive import candidate_votes
from knngraph.inference.blocks import queries_per_block
from knngraph.inference.calibration import sharpen
from knngraph.inference.candidates import search_candidates
from knngraph.inference.cascade import walk_and_decide
from knngraph.inference.lookup import reached_nodes
from knngraph.inference.model import FittedModel, Reading
from knngraph.inference.stored import favor


def answer_codes(model: FittedModel, reading: Reading, X: Any) -> np.ndarray:
    """Class of every query.

    Parameters
    ----------
    model : FittedModel
    reading : Reading
    X : ndarray or CSR of shape (n_queries, n_features)

    Returns
    -------
    ndarray of shape (n_queries,), intp
    """
    codes = np.empty(X.shape[0], dtype=np.intp)
    for block, queries in query_blocks(model, X):
        codes[block] = mapped_codes(model, reading, queries)
    return codes


def mapped_codes(
    model: FittedModel, reading: Reading, queries: np.ndarray
) -> np.ndarray:
    """Class of every query of one block of mapped rows; see `answer_codes`."""
    if reading.inference == "adaptive":
        # No short way to look for: the queries are not copied to be picked from.
        return _votes(model, reading, queries).argmax(axis=1)
    nodes, slow = walk(model, reading, queries)
    if slow.all():  # and what is stored need not be learned yet
        return _votes(model, reading, queries).argmax(axis=1)
    answers = model.stored.codes[nodes]
    if slow.any():
        answers[slow] = _votes(model, reading, queries[slow]).argmax(axis=1)
    return answers


def answer_probabilities(
    model: FittedModel, reading: Reading, distribution: Any, X: Any
) -> np.ndarray:
    """Probability of every class for every query.

    Parameters
    ----------
    model : FittedModel
    reading : Reading
    distribution : ndarray or CSR array of shape (n_rows, n_classes)
        Shares of the vote on the training rows.
    X : ndarray or CSR of shape (n_queries, n_features)

    Returns
    -------
    ndarray of shape (n_queries, n_classes)
        The largest entry of a row is the class of `answer_codes`.
    """
    probabilities = np.empty((X.shape[0], model.training.n_classes))
    calibration = model.calibration
    cascade = reading.inference == "cascade"
    exponent = calibration.decided if cascade else calibration.stored
    for block, queries in query_blocks(model, X):
        nodes, slow = walk(model, reading, queries)
        answers = probabilities[block]
        if slow.any():
            votes = _votes(model, reading, queries[slow])
            # Votes that differ in the last digit may do so no longer.
            shares = sharpen(votes, calibration.adaptive)
            answers[slow] = favor(shares, votes.argmax(axis=1))
        if not slow.all():
            reached = nodes[~slow]
            shares = model.stored.distribution(distribution, reached)
            shares = sharpen(shares, exponent)
            answers[~slow] = favor(shares, model.stored.codes[reached])
    return probabilities


def answered_by_lookup(model: FittedModel, reading: Reading, X: Any) -> np.ndarray:
    """Whether every query took the short way.

    Returns
    -------
    ndarray of shape (n_queries,), bool
    """
    short = np.empty(X.shape[0], dtype=bool)
    for block, queries in query_blocks(model, X):
        short[block] = ~walk(model, reading, queries)[1]
    return short


def query_blocks(model: FittedModel, X: Any) -> Iterator[tuple[slice, np.ndarray]]:
    largest = queries_per_block(model.training.n_classes)
    for start, stop in model.space.blocks(X, largest):
        yield slice(start, stop), model.space.map_block(X[start:stop])


def walk(
    model: FittedModel, reading: Reading, queries: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Node of every query, and which queries need the adaptive answer."""
    if reading.inference == "adaptive":
        everyone = np.ones(len(queries), dtype=bool)
        return np.zeros(len(queries), dtype=np.intp), everyone
    if reading.inference == "lookup":
        nodes = reached_nodes(
            model.index, queries, ef=reading.ef, n_threads=reading.n_threads
        )
        return nodes[:, 0], np.zeros(len(queries), dtype=bool)
    nodes, decided = walk_and_decide(
        model.index,
        model.training,
        model.stored,
        model.decisions,
        queries,
        reading.problem,
        ef=reading.ef,
        n_threads=reading.n_threads,
    )
    return nodes, ~decided


def _votes(model: FittedModel, reading: Reading, queries: np.ndarray) -> np.ndarray:
    ids, squared = search_candidates(
        model.index,
        queries,
        reading.problem,
        ef=reading.ef,
        n_threads=reading.n_threads,
    )
    return candidate_votes(
        model.training,
        ids,
        squared,
        reading.problem,
        trust=model.trust,
        n_threads=reading.n_threads,
    )
