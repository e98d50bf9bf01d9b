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
# Rounds in which a place that is cut off looks among its own links only.
_OWN_ROUNDS = 2


@compiled_part(fastmath=_REORDER)
def squared_distance(rows, a, points, b):
    """Squared Euclidean distance in single precision, from differences."""
    total = np.float32(0.0)
    for f in range(points.shape[1]):
        difference = rows[a, f] - points[b, f]
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
                others[free[other]] = place
            free[place] += 1
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
            squared = squared_distance(points, place, points, other)
            candidates[i, j] = np.int64(
                np.float32(squared).view(np.int32)
            ) << 32 | np.int64(other)
        for j in range(n_others, candidates.shape[1]):
            candidates[i, j] = _NONE


@compiled
def choose_links(points, candidates, slacks, n_all, chosen, links):
    """Choose links that lead to different sides (Malkov and Yashunin 2020, alg. 4).

    A candidate is chosen if it is nearer to the row than to every one that was chosen
    before, times a slack. Rounds with growing slack fill what is free.

    Parameters
    ----------
    points : ndarray of shape (n_points, n_features), float32
    candidates : ndarray of shape (n, n_candidates), int64
        Ascending; equal ones are one, negative ones none. Overwritten.
    slacks : ndarray of shape (n_rounds,), float32
        Factors of squared distances.
    n_all : int
        So few candidates are all chosen.
    chosen : ndarray of shape (most, n_features), float32
        Overwritten: copies of the chosen points, near one another in memory.
    links : ndarray of shape (n, 1 + most), int32
        Result; after the links anything.
    """
    most = links.shape[1] - 1
    n_candidates = candidates.shape[1]
    for i in range(candidates.shape[0]):
        n_there = 0
        last = np.int64(_NONE)
        for j in range(n_candidates):
            if candidates[i, j] == last or candidates[i, j] < 0:
                candidates[i, j] = _NONE
            elif candidates[i, j] != _NONE:
                last = candidates[i, j]
                n_there += 1
        n_chosen = 0
        for slack in slacks:
            for j in range(n_candidates):
                candidate = candidates[i, j]
                if candidate == _NONE:
                    continue
                if n_chosen == most:
                    break
                other = candidate & _PLACE
                is_kept = True
                if n_there > n_all:
                    squared = np.int32(candidate >> 32).view(np.float32)
                    for c in range(n_chosen):
                        between = squared_distance(chosen, c, points, other)
                        if slack * between < squared:
                            is_kept = False
                            break
                if is_kept:
                    for f in range(points.shape[1]):
                        chosen[n_chosen, f] = points[other, f]
                    n_chosen += 1
                    links[i, n_chosen] = other
                    candidates[i, j] = _NONE
        links[i, 0] = n_chosen


@compiled
def reach_all(links, via, queue):
    """Change links until a way leads from the first place of the queue to every one.

    A place that no way leads to gets a link from a place that it leads to, or else
    has one from and to another that is near in the order. Links by which places were
    reached stay, so that every change brings another one in.

    Parameters
    ----------
    links : ndarray of shape (n_points, 1 + most), int32
    via : ndarray of shape (n_points,), int32
        Place before on a way, -1 where there is no way yet; that of the first place
        is itself, others are -1.
    queue : ndarray of shape (n_points,), int32
        The first place, then room for all.

    Returns
    -------
    int
        Number of links that were changed.
    """
    n_points, most = links.shape[0], links.shape[1] - 1
    head, tail, lost, n_rounds, n_changed = 0, 1, 0, 0, 0
    while True:
        while head < tail:
            place = queue[head]
            head += 1
            for link in range(1, links[place, 0] + 1):
                other = links[place, link]
                if via[other] < 0:
                    via[other] = place
                    queue[tail] = other
                    tail += 1
        if tail == n_points:
            return n_changed
        if lost == n_points:
            lost = 0
            n_rounds += 1
        if via[lost] >= 0:
            lost += 1
            continue
        n_own = links[lost, 0]
        n_tried = n_own if n_rounds < _OWN_ROUNDS else n_own + 2 * n_points
        for tried in range(n_tried):
            if tried < n_own:
                place = links[lost, tried + 1]
            else:
                # One place before, one after, two before ...
                step = tried - n_own + 2
                place = lost + step // 2 * (2 * (step % 2) - 1)
                if place < 0 or place >= n_points:
                    continue
            if via[place] < 0:
                continue
            spot = links[place, 0]
            if spot < most:
                spot += 1
                links[place, 0] = spot
            else:
                while spot > 0 and via[links[place, spot]] == place:
                    spot -= 1
            if spot > 0:
                links[place, spot] = lost
                via[lost] = place
                queue[tail] = lost
                tail += 1
                n_changed += 1
                if tried >= n_own:
                    links[lost, 0] = min(n_own + 1, most)
                    links[lost, links[lost, 0]] = place
                break
        lost += 1
