"""Rows of the sample, left out and answered again where their surroundings went."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from scipy import sparse

from knngraph.distributed.learning import Globals, Patch, build_patch
from knngraph.distributed.lists import Lists
from knngraph.distributed.partition import Nodes
from knngraph.distributed.shared_lens import SharedLens, left_out_problem
from knngraph.distributed.sizes import Weighed
from knngraph.distributed.surroundings import pairs_in_patch
from knngraph.distributed.testimony import in_numbers_of_patch
from knngraph.graph.learn import problem_with
from knngraph.graph.stored_left_out import stored_votes_left_out
from knngraph.inference.adaptive import QueryProblem
from knngraph.inference.ballots import Ballots
from knngraph.inference.candidates import others_around
from knngraph.inference.deciding import Tried, try_stored
from knngraph.inference.leave_one_out import left_out_votes
from knngraph.inference.trust import ballots_of_nuggets


@dataclass(frozen=True)
class Judged(Weighed):
    """What left-out pairs of the sample say.

    Parameters
    ----------
    codes, counts : ndarray of shape (n,)
        Given classes, and rows of the pairs.
    votes : ndarray of shape (n, n_classes)
        Adaptive votes.
    stored : ndarray of shape (n,)
        Class stored on the node that they reach.
    shares : CSR array of shape (n, n_classes)
        Shares of the vote there.
    tried : Tried
        How sure that class is, found without the pair; that of `shown` where nobody
        needs it.
    shown : Tried
        How sure the class is that a query would read there.
    """

    codes: np.ndarray
    counts: np.ndarray
    votes: np.ndarray
    stored: np.ndarray
    shares: Any
    tried: Tried
    shown: Tried


def judge(
    lists: Lists,
    fetched: list[Nodes],
    lens: SharedLens | None,
    *,
    start: int,
    stop: int,
    number: int,
    everything: Globals,
    decides: bool,
) -> tuple[Judged, dict[float, Ballots]]:
    """Leave the pairs from `start` to `stop` of a partition out.

    What is stored without a pair is tried where it `decides`.

    Returns
    -------
    judged : Judged
    ballots : dict
        See `knngraph.inference.trust.ballots_of_nuggets`; empty where every label
        is believed.
    """
    settings = everything.settings
    patch = build_patch(
        fetched,
        lists.nodes,
        lists.ids,
        lists.squared,
        lists.short,
        lists.own_class,
        everything.n_classes,
    )
    training, neighbors = patch.training, patch.neighbors
    place = np.searchsorted(patch.nodes.ids, lists.nodes)
    density = np.zeros(training.n_nodes)
    stored_codes = np.zeros(training.n_nodes, dtype=np.intp)
    density[place], stored_codes[place] = lists.density, lists.stored
    pairs = pairs_in_patch(
        patch.nodes, everything.offsets.pairs[number] + np.arange(start, stop)
    )
    (stored,) = stored_votes_left_out(
        training,
        neighbors,
        patch.same_class,
        problem_with(training, density, everything.sigma, settings),
        settings.max_neighbors,
        [settings.self_weight],
        pairs,
        n_threads=everything.n_threads,
    )
    problem = left_out_problem(everything.query, lens, patch.nodes)
    votes = left_out_votes(
        training, neighbors, problem, pairs, n_threads=everything.n_threads
    )
    around, _ = others_around(training, neighbors, pairs, 1)
    # One node with one row, left out, has nobody around: no class is tried there.
    now = training.pair_code[pairs]
    if around.shape[1]:
        now = stored_codes[around[:, 0]]
    ask = partial(try_stored, training, neighbors, problem)
    tried = shown = ask(pairs, now)
    without = np.where(stored.codes < 0, now, stored.codes)
    if decides and (without != now).any():
        other = np.flatnonzero(without != now)
        tried = _replaced(shown, other, ask(pairs[other], without[other]))
    judged = Judged(
        training.pair_code[pairs],
        training.pair_count[pairs],
        votes,
        stored.codes,
        stored.shares,
        tried,
        shown,
    )
    return judged, _ballots(patch, lists, pairs, problem, everything.n_threads)


def _replaced(tried: Tried, places: np.ndarray, other: Tried) -> Tried:
    settled, margin = tried.settled.copy(), tried.margin.copy()
    settled[places], margin[places] = other.settled, other.margin
    return Tried(settled, margin)


def _ballots(
    patch: Patch,
    lists: Lists,
    pairs: np.ndarray,
    problem: QueryProblem,
    n_threads: int,
) -> dict[float, Ballots]:
    if lists.testimony is None:
        return {}
    nodes, training = patch.nodes, patch.training
    left_out, witnesses = in_numbers_of_patch(
        lists.testimony, training, nodes.pair_numbers(), nodes.ids
    )
    return ballots_of_nuggets(
        training,
        patch.neighbors,
        problem,
        left_out,
        witnesses,
        pairs,
        n_threads=n_threads,
    )


def join_judged(parts: list[Judged]) -> Judged:
    """The whole sample."""
    names = ("codes", "counts", "votes", "stored")
    joined = {n: np.concatenate([getattr(part, n) for part in parts]) for n in names}
    shares = sparse.csr_array(sparse.vstack([part.shares for part in parts]))
    tried = _join_tried([part.tried for part in parts])
    shown = _join_tried([part.shown for part in parts])
    return Judged(**joined, shares=shares, tried=tried, shown=shown)


def _join_tried(parts: list[Tried]) -> Tried:
    return Tried(
        np.concatenate([part.settled for part in parts]),
        np.concatenate([part.margin for part in parts]),
    )
