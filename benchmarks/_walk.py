"""Compiled walks over the lowest layer of a graph, as the walk benchmark tries them.

Every function here is compiled; none calls a compiled function of another file.
"""

import numpy as np
from numba import njit

_REORDER = {"reassoc", "contract", "nsz"}


@njit(cache=True, nogil=True, fastmath=_REORDER)
def squared_distance(points, node, query):
    """Squared Euclidean distance in single precision."""
    total = np.float32(0.0)
    for f in range(query.shape[0]):
        difference = points[node, f] - query[f]
        total += difference * difference
    return total


@njit(cache=True, nogil=True)
def put_in(node, distance, nodes, distances, expanded, size, room):
    """Put a node into a list sorted by distance; returns the new size."""
    if size == room and distance >= distances[size - 1]:
        return size
    at = size if size < room else size - 1
    while at > 0 and distances[at - 1] > distance:
        if at < room:
            distances[at] = distances[at - 1]
            nodes[at] = nodes[at - 1]
            expanded[at] = expanded[at - 1]
        at -= 1
    nodes[at], distances[at], expanded[at] = node, distance, False
    return min(size + 1, room)


@njit(cache=True, nogil=True)
def majority(nodes, codes, k):
    """Most frequent class of the first k nodes; of equals that of the nearer."""
    best, most = codes[nodes[0]], 0
    for i in range(k):
        count = 0
        for j in range(k):
            count += codes[nodes[j]] == codes[nodes[i]]
        if count > most:
            most, best = count, codes[nodes[i]]
    return best, most


@njit(cache=True, nogil=True)
def walk(
    points, links, codes, entries, entry_points, queries, narrow, wide, k, ask, answers
):
    """Class of every query by a walk from the nearest of several entry points.

    The walk has a beam of `narrow`. Of all nodes it has measured, the `k` nearest
    vote. Where fewer than `ask` of them agree, it goes on with a beam of `wide`.

    Returns
    -------
    int
        Distances measured in all.
    """
    room = max(wide, k, 1)
    nodes = np.empty(room, dtype=np.int64)
    distances = np.empty(room, dtype=np.float32)
    expanded = np.empty(room, dtype=np.bool_)
    seen = np.full(points.shape[0], -1, dtype=np.int32)
    measured = 0
    for q in range(queries.shape[0]):
        query = queries[q]
        best = 0
        smallest = np.float32(np.inf)
        for e in range(entries.shape[0]):
            distance = squared_distance(entry_points, e, query)
            if distance < smallest:
                smallest, best = distance, e
        measured += entries.shape[0]
        nodes[0], distances[0], expanded[0] = entries[best], smallest, False
        seen[entries[best]] = q
        size, beam = 1, narrow
        while True:
            at = 0
            while at < min(size, beam) and expanded[at]:
                at += 1
            if at == min(size, beam):
                n_voters = min(k, size)
                answer, agreeing = majority(nodes, codes, n_voters)
                if beam == wide or agreeing >= min(ask, n_voters):
                    answers[q] = answer
                    break
                beam = wide
                continue
            expanded[at] = True
            node = nodes[at]
            for place in range(links.shape[1]):
                other = links[node, place]
                if other < 0:
                    break
                if seen[other] != q:
                    seen[other] = q
                    distance = squared_distance(points, other, query)
                    measured += 1
                    size = put_in(
                        other, distance, nodes, distances, expanded, size, room
                    )
    return measured
