"""Compiled search in a hierarchical navigable small world graph, and insertion.

A list of links is a row of numbers: how many there are, then the places that they
lead to; hnswlib has the same layout. A point in a search is one number: the bits of its
squared distance, which order as the distance does, then its place, then whether it is
expanded. So equal distances are ordered by place.

Every function here is compiled; none calls a compiled function of another file
(see `knngraph.graph._fista`).

References
----------
Malkov and Yashunin (2020), "Efficient and robust approximate nearest neighbor search
using hierarchical navigable small world graphs", IEEE TPAMI 42, 824-836.
"""

import numpy as np

from knngraph.compiling import compiled, compiled_part

_REORDER = {"reassoc", "contract", "nsz"}
# Spreads the points over the table of those that were met.
_SPREAD = np.uint32(2654435761)
_PLACE = 0x7FFFFFFF
_SMALLEST_TABLE = 1024


@compiled_part(fastmath=_REORDER)
def squared_distance(rows, a, others, b):
    """Squared Euclidean distance in single precision, from differences."""
    total = np.float32(0.0)
    for f in range(rows.shape[1]):
        difference = rows[a, f] - others[b, f]
        total += difference * difference
    return total


@compiled_part
def key_of(place, squared):
    """The number that stands for a point that is not expanded."""
    return np.int64(np.float32(squared).view(np.int32)) << 32 | np.int64(place) << 1


@compiled_part
def put_in(keys, size, key):
    """Put a point into a sorted list; returns where it is."""
    spot = size
    while spot > 0 and keys[spot - 1] > key:
        keys[spot] = keys[spot - 1]
        spot -= 1
    keys[spot] = key
    return spot


@compiled_part
def is_new(met, mark, place):
    """Whether a point had not been met under this mark; now it has."""
    last = np.uint32(met.shape[0] - 1)
    spot = ((np.uint32(place) * _SPREAD) >> np.uint32(7)) & last
    entry = np.int64(mark) << 32 | np.int64(place)
    while met[spot] >> 32 == mark:
        if met[spot] == entry:
            return False
        spot = (spot + np.uint32(1)) & last
    met[spot] = entry
    return True


@compiled_part(allocates=True)
def empty_table(n_spots):
    """A table of the points that were met, and their marks: none yet."""
    met = np.empty(n_spots, dtype=np.int64)
    for spot in range(n_spots):
        met[spot] = -1
    return met


@compiled_part
def link_to(vectors, keys, n_keys, room, links, where):
    """Link to points that lie on different sides, the farthest first (algorithm 4).

    A point is chosen if it is nearer to the row that links to it than to every point
    chosen before. Where there are fewer than there is room for, all are.

    Parameters
    ----------
    keys : ndarray of int64
        The first `n_keys` are the candidates, nearest first.
    room : int
        Most links.
    links : ndarray of shape (n_lists, 1 + most), int32
    where : int
        The list that is written.
    """
    n_chosen = 0
    for i in range(n_keys):
        if n_chosen == room:
            break
        place = (keys[i] >> 1) & _PLACE
        squared = np.int32(keys[i] >> 32).view(np.float32)
        link = 1 if n_keys >= room else n_chosen + 1
        while link <= n_chosen:
            other = np.int64(links[where, link])
            if squared_distance(vectors, other, vectors, place) < squared:
                break
            link += 1
        if link > n_chosen:
            links[where, link] = place
            n_chosen += 1
    links[where, 0] = n_chosen
    for i in range(n_chosen // 2):
        first, last = 1 + i, n_chosen - i
        kept = links[where, first]
        links[where, first] = links[where, last]
        links[where, last] = kept


@compiled(allocates=True)
def search_or_insert(
    vectors,
    links,
    first_upper,
    deleted,
    entry,
    top,
    queries,
    first_new,
    ef,
    spare,
    ids,
    squared,
):
    """Find the nearest points of every query, or link every query as a new point.

    A search goes down through the upper layers, from point to point as long as one is
    nearer, and keeps the `ef` nearest points on the lowest. A new point does so on all
    layers that it is on, and is linked there to those of them that lie on different
    sides, and these to it (algorithms 1, 2 and 5).

    Parameters
    ----------
    vectors : ndarray of shape (capacity, n_features), float32
    links : ndarray of shape (capacity + n_upper, 1 + 2 * M), int32
        Lists of links on the lowest layer, in the order of the points, then those on
        the upper layers, of one point after the other, from below. These have at most
        `M` links.
    first_upper : ndarray of shape (capacity + 1,), int32
        Where the upper lists of a point begin, of which it has one a layer. They end
        where those of the next point begin.
    deleted : ndarray of shape (capacity,), bool
        Points that are expanded and never found; without any of shape (0,).
    entry, top : int
        Where a search enters, and on which layer; -1 where there is no point.
    queries : ndarray of shape (n_queries, n_features), float32
    first_new : int
        Place of the first new point, which lie in `vectors` already; -1 to search.
    ef : int
        Number of points that are kept.
    spare : int
        Number of deleted points that are kept beside them.
    ids : ndarray of shape (n_queries, k), intp
        Result of a search: places of the nearest points met, nearest first; -1 in the
        first column where the search has met fewer than `ef`.
    squared : ndarray of shape (n_queries, k), float32
        Result: their squared distances.

    Returns
    -------
    int
        Where a search enters now, on the highest layer of this point.
    """
    inserts = first_new >= 0
    n_lowest, most = vectors.shape[0], links.shape[1] - 1
    n_spots = _SMALLEST_TABLE
    while n_spots < max(32 * ef, 4 * most + 8):
        n_spots *= 2
    met, mark = empty_table(n_spots), 0
    nearest = np.empty(ef + spare + 1, dtype=np.int64)
    ahead = np.empty(most, dtype=np.int64)
    keys = np.empty(most + 1, dtype=np.int64)
    for q in range(queries.shape[0]):
        new, level = first_new + q, 0
        if inserts:
            level = np.int64(first_upper[new + 1] - first_upper[new])
        if entry < 0:
            entry, top = new, level
            continue
        place = entry
        least = squared_distance(vectors, place, queries, q)
        layer = top
        while layer > level:
            before = place
            where = n_lowest + first_upper[before] + layer - 1
            for link in range(1, links[where, 0] + 1):
                other = np.int64(links[where, link])
                distance = squared_distance(vectors, other, queries, q)
                if distance < least:
                    place, least = other, distance
            if place == before:
                layer -= 1
        nearest[0] = key_of(place, least)
        layer = min(level, top)
        while layer >= 0:
            # The nearest point on the layer above is where this one is entered.
            nearest[0] &= ~1
            place = (nearest[0] >> 1) & _PLACE
            is_found = deleted.shape[0] == 0 or not deleted[place]
            size, n_found = 1, np.int64(is_found)
            next_up, n_met = 0, 1
            mark += 1
            is_new(met, mark, place)
            while next_up < size:
                if nearest[next_up] & 1:
                    next_up += 1
                    continue
                nearest[next_up] |= 1
                where = (nearest[next_up] >> 1) & _PLACE
                if layer > 0:
                    where = n_lowest + first_upper[where] + layer - 1
                n_ahead = 0
                for link in range(1, links[where, 0] + 1):
                    other = np.int64(links[where, link])
                    if is_new(met, mark, other):
                        ahead[n_ahead] = other
                        n_ahead += 1
                n_met += n_ahead
                # Room for all that the next point can lead to.
                while 2 * (n_met + most) > met.shape[0]:
                    larger = empty_table(2 * met.shape[0])
                    for spot in range(met.shape[0]):
                        if met[spot] >> 32 == mark:
                            is_new(larger, mark, met[spot] & _PLACE)
                    met = larger
                # All at once: the processor waits for their coordinates together.
                for i in range(n_ahead):
                    distance = squared_distance(vectors, ahead[i], queries, q)
                    ahead[i] = key_of(ahead[i], distance)
                for i in range(n_ahead):
                    key = ahead[i]
                    if n_found == ef and key > nearest[size - 1]:
                        continue
                    is_found = deleted.shape[0] == 0 or not deleted[key >> 1 & _PLACE]
                    if not is_found and size - n_found >= spare:
                        continue
                    next_up = min(next_up, put_in(nearest, size, key))
                    size += 1
                    n_found += np.int64(is_found)
                    if n_found > ef:
                        n_found -= 1
                        size -= 1
                    if n_found == ef and deleted.shape[0] > 0:
                        # The list ends with a point that is not deleted.
                        while deleted[(nearest[size - 1] >> 1) & _PLACE]:
                            size -= 1
            if n_found < size and n_found > 0:
                n_kept, size = size, 0
                for i in range(n_kept):
                    if not deleted[(nearest[i] >> 1) & _PLACE]:
                        nearest[size] = nearest[i]
                        size += 1
            if not inserts:
                ids[q, 0] = -1
                if n_found >= ef:
                    for i in range(ids.shape[1]):
                        ids[q, i] = (nearest[i] >> 1) & _PLACE
                        squared[q, i] = np.int32(nearest[i] >> 32).view(np.float32)
                break
            where, room = new, most
            if layer > 0:
                where = n_lowest + first_upper[new] + layer - 1
                room = most // 2
            link_to(vectors, nearest, size, most // 2, links, where)
            for link in range(1, links[where, 0] + 1):
                other = np.int64(links[where, link])
                there = other
                if layer > 0:
                    there = n_lowest + first_upper[other] + layer - 1
                count = np.int64(links[there, 0])
                if count < room:
                    links[there, 0] = count + 1
                    links[there, 1 + count] = new
                    continue
                distance = squared_distance(vectors, new, vectors, other)
                keys[0] = key_of(new, distance)
                for i in range(count):
                    third = np.int64(links[there, 1 + i])
                    distance = squared_distance(vectors, third, vectors, other)
                    put_in(keys, 1 + i, key_of(third, distance))
                link_to(vectors, keys, count + 1, room, links, there)
            layer -= 1
        if level > top:
            entry, top = new, level
    return entry
