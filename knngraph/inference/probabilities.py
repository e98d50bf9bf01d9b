"""From the votes on queries, or on left-out rows, to probabilities.

Votes are counted in one of two ways: among the candidates of the problem at a row, or,
where a stored label is the answer, among the nearest nodes. The two are calibrated
each for itself, by one rule for new rows and for left-out ones.
"""

import numpy as np

from knngraph.inference.calibration import Calibration, sharpen
from knngraph.inference.cascade import n_margin_nodes
from knngraph.inference.near_votes import near_votes
from knngraph.inference.query_model import Found, PredictOptions, QueryModel
from knngraph.sparse_rows import as_dense


def found_votes(
    model: QueryModel,
    options: PredictOptions,
    found: Found,
    shares: np.ndarray | None = None,
) -> np.ndarray:
    """Votes at the queries of one search.

    Parameters
    ----------
    shares : ndarray of the shape of `found.ids`, or None
        Zeros, into which shares of the vote of candidates are written.

    Returns
    -------
    ndarray of shape (n_queries, n_classes)
        Of the candidates at open queries. At the others, where the nearest nodes of a
        cascade agree, of the nodes that its search has met; those of a lookup are
        stored on the node that it ends at.
    """
    n_open, n_queries = len(found.open), len(found.nodes)
    if not n_open:
        return _votes_at(model, options, found, slice(None))
    if n_open == n_queries:
        return found.votes(model, options.n_threads, slice(None), shares)
    votes = np.empty((n_queries, model.training.n_classes))
    some = found.open
    of_some = None if shares is None else np.zeros((n_open, shares.shape[1]))
    votes[some] = found.votes(model, options.n_threads, some, of_some)
    if shares is not None:
        shares[some] = of_some
    some = np.flatnonzero(~found.is_open)
    votes[some] = _votes_at(model, options, found, some)
    return votes


def _votes_at(
    model: QueryModel,
    options: PredictOptions,
    found: Found,
    some: slice | np.ndarray,
) -> np.ndarray:
    """Votes of the nodes around some queries, or around the nodes that they reach."""
    if options.inference == "cascade":
        k = n_margin_nodes(model.problem.n_neighbors)
        return near_votes(
            model.training,
            found.ids[some, :k],
            found.squared[some, :k],
            n_threads=options.n_threads,
        )
    assert model.stored is not None
    return as_dense(model.stored.shares[found.nodes[some]])


def favored_codes(model: QueryModel, found: Found) -> np.ndarray:
    """Stored labels where these are the answers; -1 where the votes say it."""
    if model.stored is None:
        return np.full(len(found.nodes), -1)
    codes = model.stored.codes[found.nodes]
    return codes if found.resolved.all() else np.where(found.resolved, codes, -1)


def probabilities_of(
    votes: np.ndarray,
    codes: np.ndarray,
    of_candidates: np.ndarray,
    calibration: Calibration,
    inference: str,
) -> tuple[np.ndarray, np.ndarray]:
    """Calibrate votes, each by the way that it was counted.

    Parameters
    ----------
    votes : ndarray of shape (n, n_classes)
    codes : ndarray of shape (n,)
        The answer where a stored label gives it; -1 where it is the largest vote.
    of_candidates : ndarray of shape (n,), bool
        Whether the votes are those of the problem at a row; else of nearest nodes.
    calibration : Calibration
    inference : {"lookup", "adaptive", "cascade"}

    Returns
    -------
    probabilities : ndarray of shape (n, n_classes)
        The largest of a row is that of its answer.
    codes : ndarray of shape (n,)
        The answers.
    """
    # Votes that differ in the last digit may do so no longer: hence before.
    by_vote = codes < 0
    if by_vote.any():
        codes = np.where(by_vote, votes.argmax(axis=1), codes)
    near = (
        (calibration.agreed, calibration.agreed_floor)
        if inference == "cascade"
        else (calibration.stored, calibration.stored_floor)
    )
    if of_candidates.all():
        probabilities = sharpen(votes, calibration.adaptive)
    elif not of_candidates.any():
        probabilities = sharpen(votes, *near)
    else:
        probabilities = np.empty_like(votes)
        probabilities[of_candidates] = sharpen(
            votes[of_candidates], calibration.adaptive
        )
        probabilities[~of_candidates] = sharpen(votes[~of_candidates], *near)
    return favor(probabilities, codes), codes


def favor(shares: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Let a class that is behind win by the last digit.

    Parameters
    ----------
    shares : ndarray of shape (n, n_classes)
        Changed in place.
    codes : ndarray of shape (n,)
        The class that has to have the largest share of a row: it is raised to the
        largest, and all are divided by their sum.

    Returns
    -------
    ndarray of shape (n, n_classes)
    """
    behind = np.flatnonzero(shares.argmax(axis=1) != codes)
    if len(behind):
        raised, own = shares[behind], (np.arange(len(behind)), codes[behind])
        raised[own] = raised.max(axis=1)
        raised /= raised.sum(axis=1, keepdims=True)
        raised[own] = np.nextafter(raised.max(axis=1), 2.0)
        shares[behind] = raised
    return shares
