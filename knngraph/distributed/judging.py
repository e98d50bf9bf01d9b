"""Rows of the sample, left out and answered again where their surroundings went."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from knngraph.distributed.learning import Globals, Patch, build_patch
from knngraph.distributed.lists import Lists
from knngraph.distributed.partition import Nodes
from knngraph.distributed.sizes import Weighed
from knngraph.distributed.surroundings import pairs_in_patch
from knngraph.distributed.testimony import in_numbers_of_patch
from knngraph.graph.learn import problem_with
from knngraph.graph.stored_left_out import stored_votes_left_out
from knngraph.inference.adaptive import others_around
from knngraph.inference.ballots import Ballots
from knngraph.inference.cascade import SURROUNDINGS, left_out_trust, query_trust
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
    trust : ndarray of shape (n,)
        Trust in that class, found without the pair; ones where nobody needs it.
    shown_trust : ndarray of shape (n,)
        Trust as a query would see it.
    """

    codes: np.ndarray
    counts: np.ndarray
    votes: np.ndarray
    stored: np.ndarray
    shares: Any
    trust: np.ndarray
    shown_trust: np.ndarray


def judge(
    lists: Lists,
    fetched: list[Nodes],
    *,
    start: int,
    stop: int,
    number: int,
    everything: Globals,
    decides: bool,
) -> tuple[Judged, dict[float, Ballots]]:
    """Leave the pairs from `start` to `stop` of a partition out.

    Trust without a pair, the costly part, is found where it `decides`.

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
    density, support = np.zeros(training.n_nodes), np.zeros(training.n_nodes)
    stored_codes = np.zeros(training.n_nodes, dtype=np.intp)
    density[place] = lists.density
    support[place], stored_codes[place] = lists.support, lists.stored
    support = support.astype(np.float32)
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
    votes = left_out_votes(
        training, neighbors, everything.query, pairs, n_threads=everything.n_threads
    )
    around, _ = others_around(training, neighbors, pairs, SURROUNDINGS)
    trust = shown = np.ones(len(pairs))
    if around.shape[1]:
        shown = query_trust(support, stored_codes, around)
    if around.shape[1] and decides:
        trust = left_out_trust(
            training,
            neighbors,
            everything.query,
            support,
            stored_codes,
            stored.codes,
            pairs,
            around,
            n_threads=everything.n_threads,
        )
    judged = Judged(
        training.pair_code[pairs],
        training.pair_count[pairs],
        votes,
        stored.codes,
        stored.shares,
        trust,
        shown,
    )
    return judged, _ballots(patch, lists, pairs, everything)


def _ballots(
    patch: Patch, lists: Lists, pairs: np.ndarray, everything: Globals
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
        everything.query,
        left_out,
        witnesses,
        pairs,
        n_threads=everything.n_threads,
    )


def join_judged(parts: list[Judged]) -> Judged:
    """The whole sample."""
    names = ("codes", "counts", "votes", "stored", "trust", "shown_trust")
    joined = {n: np.concatenate([getattr(part, n) for part in parts]) for n in names}
    shares = sparse.csr_array(sparse.vstack([part.shares for part in parts]))
    return Judged(**joined, shares=shares)
