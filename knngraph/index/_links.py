"""Compiled steps from neighbor lists to the links of a navigable graph.

A list of links is a row of numbers: how many there are, then the places that they
lead to; hnswlib has the same layout. A candidate is one number: the bits of its squared
distance, which order as the distance does, then its place.

Every function here is compiled; none calls a compiled function of another file
(see `knngraph.graph._fista`).
"""

import numpy as np

from knngraph.compiling import compiled, compiled_part

_REORDER = {"reassoc", "contract", "nsz"}
# A candidate that is none, or taken; after all others.
_NONE = 2**63 - 1
_PLACE = 0x7FFFFFFF


@compiled_part(fastmath=_REORDER)
def squared_distance(points, a, b):
    """Squared Euclidean distance in single precision, from differences."""
    total = np.float32(0.0)
    for f in range(points.shape[1]):
        difference = points[a, f] - points[b, f]
        total += difference * difference
    return total


@compiled
def put_ends(places, links, free, others):
    """Count the links at both ends of every link, or write the other ends down.

    Parameters
    ----------
    places : ndarray of shape (n,), int32
        Where the links of every row begin.
    links : ndarray of shape (n, 1 + most), int32
    free : ndarray of shape (n_points,), int64
        Where in `others` the next number of a place goes; every number moves it on.
    others : ndarray of int32
        Result: the other ends, one place after the other; empty to count alone.
    """
    writes = others.shape[0] > 0
    for i in range(places.shape[0]):
        place = places[i]
        for link in range(1, links[i, 0] + 1):
            other = links[i, link]
            if writes:
                others[free[place]] = other
            free[place] += 1
            if writes:
                others[free[other]] = place
            free[other] += 1


@compiled
def measure(points, places, stops, others, candidates):
    """Candidates for the links of some places, in no order.

    Parameters
    ----------
    points : ndarray of shape (n_points, n_features), float32
    places : ndarray of shape (n,), int32
    stops : ndarray of shape (n_points,), int64
        Where in `others` the numbers of a place end, and those of the next begin.
    others : ndarray of int32
    candidates : ndarray of shape (n, most), int64
    """
    for i in range(places.shape[0]):
        place = places[i]
        start = stops[place - 1] if place > 0 else 0
        n_others = stops[place] - start
        for j in range(n_others):
            other = others[start + j]
            squared = squared_distance(points, place, other)
            candidates[i, j] = np.int64(
                np.float32(squared).view(np.int32)
            ) << 32 | np.int64(other)
        for j in range(n_others, candidates.shape[1]):
            candidates[i, j] = _NONE


@compiled
def choose_links(points, candidates, slacks, n_least, links):
    """Choose links that lead to different sides (Malkov and Yashunin 2020, alg. 4).

    A candidate is chosen if it is nearer to the row than to every one that was chosen
    before, times a slack. More rounds fill what is free.

    Parameters
    ----------
    points : ndarray of shape (n_points, n_features), float32
    candidates : ndarray of shape (n, n_candidates), int64
        Ascending; equal ones are one, negative ones none. Overwritten.
    slacks : ndarray of shape (n_rounds,), float32
        Factors of squared distances, one a round; negative in a round that goes from
        the farthest candidate to the nearest; infinite in one that fills up to
        `n_least`.
    n_least : int
        So few candidates are all chosen.
    links : ndarray of shape (n, 1 + most), int32
        Result; after the links anything.
    """
    most = links.shape[1] - 1
    n_candidates = candidates.shape[1]
    for i in range(candidates.shape[0]):
        n_there = 0
        last = np.int64(_NONE)
        for j in range(n_candidates):
            candidate = candidates[i, j]
            if candidate == last or candidate < 0:
                candidates[i, j] = _NONE
            elif candidate != _NONE:
                last = candidate
                n_there += 1
        n_chosen = 0
        for slack in slacks:
            for step in range(n_candidates):
                j = step if slack > 0 else n_candidates - 1 - step
                candidate = candidates[i, j]
                if candidate == _NONE:
                    continue
                if n_chosen == most or (slack == np.inf and n_chosen >= n_least):
                    break
                other = candidate & _PLACE
                squared = np.int32(candidate >> 32).view(np.float32)
                n_against = n_chosen if n_there > n_least else 0
                link = 1
                while link <= n_against:
                    between = squared_distance(points, links[i, link], other)
                    if abs(slack) * between < squared:
                        break
                    link += 1
                if link > n_against:
                    n_chosen += 1
                    links[i, n_chosen] = other
                    candidates[i, j] = _NONE
        links[i, 0] = n_chosen


@compiled
def follow_links(links, via, queue, head, tail):
    """Follow links from places in a queue to all that are not reached yet.

    Parameters
    ----------
    links : ndarray of shape (n_points, 1 + most), int32
    via : ndarray of shape (n_points,), int32
        Place before on the way to a place, -1 where none leads there yet; updated.
    queue : ndarray of shape (n_points,), int32
        The places reached, in their order; updated.
    head, tail : int
        Where in the queue those begin that were not followed, and where it ends.

    Returns
    -------
    int
        Where it ends now.
    """
    while head < tail:
        place = queue[head]
        head += 1
        for link in range(1, links[place, 0] + 1):
            other = links[place, link]
            if via[other] < 0:
                via[other] = place
                queue[tail] = other
                tail += 1
    return tail
