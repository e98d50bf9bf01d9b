"""Compiled search over the links of the lowest layer of a navigable graph.

The search keeps the `ef` nearest points that it has met and expands the nearest of
them that is not expanded yet, until there is none.
Distances are measured for all new neighbors of a point at once: the processor then
waits for their coordinates together, not one after the other.

Every function here is compiled; none calls a compiled function of another file
(see `knngraph.graph._fista`).
"""

import numpy as np

from knngraph.compiling import compiled, compiled_part

_REORDER = {"reassoc", "contract", "nsz"}
# Spreads the points over the table of those that were met.
_SPREAD = np.uint32(2654435761)
# A point in the list is one number: the bits of its squared distance, which order
# as the distance does, then its place, then whether it is expanded. So
# equal distances are ordered by place.
_PLACE = 0x7FFFFFFF
_SMALLEST_TABLE = 1024


@compiled_part(fastmath=_REORDER)
def squared_distance(points, place, query):
    """Squared Euclidean distance in single precision, from differences."""
    total = np.float32(0.0)
    for f in range(query.shape[0]):
        difference = points[place, f] - query[f]
        total += difference * difference
    return total


@compiled_part
def spot_of(met, marks, mark, place):
    """Where in the table of those met a point is, or where it is missing."""
    last = np.uint32(met.shape[0] - 1)
    spot = ((np.uint32(place) * _SPREAD) >> np.uint32(7)) & last
    while marks[spot] == mark and met[spot] != place:
        spot = (spot + np.uint32(1)) & last
    return spot


@compiled_part
def is_new(met, marks, mark, place):
    """Whether a point had not been met; now it has."""
    spot = spot_of(met, marks, mark, place)
    if marks[spot] == mark:
        return False
    met[spot], marks[spot] = place, mark
    return True


@compiled_part(allocates=True)
def empty_table(n_spots):
    """A table of those met that has no mark yet."""
    met, marks = np.empty(n_spots, dtype=np.int32), np.empty(n_spots, dtype=np.int32)
    for spot in range(n_spots):
        marks[spot] = -1
    return met, marks


@compiled_part
def copy_met(met, marks, mark, larger, its_marks):
    """Take over those met into another table."""
    for old in range(met.shape[0]):
        if marks[old] == mark:
            spot = spot_of(larger, its_marks, mark, met[old])
            larger[spot], its_marks[spot] = met[old], mark


@compiled_part
def key_of(place, squared):
    """The number that stands for a point in the list."""
    return np.int64(np.float32(squared).view(np.int32)) << 32 | np.int64(place) << 1


@compiled_part
def put_in(nearest, size, key):
    """Put a point into the sorted list; returns where it is."""
    spot = size
    while spot > 0 and nearest[spot - 1] > key:
        nearest[spot] = nearest[spot - 1]
        spot -= 1
    nearest[spot] = key
    return spot


@compiled_part
def nearest_entry(centers, entries, entry_points, query):
    """Where among the entries the nearest is of the two nearest groups."""
    n_groups, most = entries.shape
    first, second = 0, 0
    if n_groups > 1:
        least, next_least = np.float32(np.inf), np.float32(np.inf)
        for group in range(n_groups):
            squared = squared_distance(centers, group, query)
            if squared < least:
                second, next_least = first, least
                first, least = group, squared
            elif squared < next_least:
                second, next_least = group, squared
    start = first * most
    least = squared_distance(entry_points, start, query)
    for group in (first, second):
        for place in range(most):
            if entries[group, place] < 0:
                break
            squared = squared_distance(entry_points, group * most + place, query)
            if squared < least:
                start, least = group * most + place, squared
        if n_groups == 1:
            break
    return start, least


@compiled_part
def put_unlinked(points, unlinked, query, width, nearest, size, n_found, *table):
    """Put points that no link leads to into the list, as if they were expanded.

    Returns
    -------
    size, n_found
        How many places are listed now, and how many that are not deleted.
    """
    for i in range(unlinked.shape[0]):
        place = np.int64(unlinked[i])
        if not is_new(*table, place):
            continue
        key = key_of(place, squared_distance(points, place, query)) | 1
        if n_found == width and key > nearest[size - 1]:
            continue
        put_in(nearest, size, key)
        size += 1
        n_found += 1
        if n_found > width:
            n_found -= 1
            size -= 1
        if n_found == width:
            while (nearest[size - 1] >> 1) & _PLACE >= points.shape[0]:
                size -= 1
    return size, n_found


@compiled_part
def agree(nearest, size, n_agree, stored, node_classes):
    """Whether the first points of a list have the class stored on the nearest."""
    n_agreed = 0
    code = -1
    for i in range(size):
        place = (nearest[i] >> 1) & _PLACE
        if place >= stored.shape[0]:
            continue
        if n_agreed == 0:
            code = stored[place]
        if node_classes[place] != code:
            return False
        n_agreed += 1
        if n_agreed == n_agree:
            return True
    return False


@compiled(allocates=True)
def search_queries(
    points,
    links,
    centers,
    entries,
    entry_points,
    deleted,
    unlinked,
    queries,
    ef,
    spare,
    early_ef,
    early,
    n_agree,
    stored,
    node_classes,
    ids,
    squared,
    agreed,
):
    """Search for every query from the nearest entry of the two nearest groups.

    Parameters
    ----------
    points : ndarray of shape (n_points, n_features), float32
    links : ndarray of shape (n_points + n_deleted, most), int32
        Places that every place leads to; -1 ends a row early.
    centers : ndarray of shape (n_groups, n_features), float32
        Means of the groups of entries; not read where there is one.
    entries : ndarray of shape (n_groups, most), int32
        Places where a search may start; -1 ends a group early.
    entry_points : ndarray of shape (n_groups * most, n_features), float32
        In the order of the entries; not read where there is none.
    deleted : ndarray of shape (n_deleted, n_features), float32
        Deleted points, at the places after the others: expanded, and never found.
    unlinked : ndarray of shape (n_unlinked,), int32
        Points that no link leads to: every search measures them.
    queries : ndarray of shape (n_queries, n_features), float32
    ef : int
        Number of points that are kept.
    spare : int
        Number of deleted points that are kept beside them.
    early_ef : int
        `ef` up to the early end. A search that does not end there goes on with `ef`,
        again from all points that it keeps.
    early : int
        The search may end once so many of the nearest places are expanded.
    n_agree : int
        It ends there if so many of the nearest points agree; 0 never ends it early.
    stored : ndarray of shape (n_points,), intp
        Class that is stored on a point; not read where `n_agree` is 0.
    node_classes : ndarray of shape (n_points,), intp
        Class of all rows on a point, -1 where they differ. Points agree with the
        nearest where this is the class that is stored on it.
    ids : ndarray of shape (n_queries, k), intp
        Result: the nearest points met, nearest first; -1 in the first place where
        the search has met fewer than `ef`.
    squared : ndarray of shape (n_queries, k), float32
        Result: their squared distances.
    agreed : ndarray of shape (n_queries,), bool
        Result: whether the search ended early. The nearest point counts then; the
        others need not be the nearest, and may be fewer than k.
    """
    n_points = points.shape[0]
    nearest = np.empty(ef + spare + 1, dtype=np.int64)
    n_spots = _SMALLEST_TABLE
    while n_spots < max(32 * ef, 4 * links.shape[1] + 8):
        n_spots *= 2
    met, marks = empty_table(n_spots)
    ahead = np.empty(links.shape[1], dtype=np.int64)
    distances = np.empty(links.shape[1], dtype=np.float32)
    for q in range(queries.shape[0]):
        query = queries[q]
        start, least = nearest_entry(centers, entries, entry_points, query)
        entry = entries[start // entries.shape[1], start % entries.shape[1]]
        start = np.int64(entry)
        nearest[0] = key_of(start, least)
        size, n_found, next_up, n_met = 1, 1, 0, 1 + unlinked.shape[0]
        mark = 2 * q
        is_new(met, marks, mark, start)
        agreed[q] = False
        may_end = n_agree > 0
        width = min(early_ef, ef) if may_end else ef
        size, n_found = put_unlinked(
            points, unlinked, query, width, nearest, size, n_found, met, marks, mark
        )
        while True:
            if may_end and next_up >= min(size, early):
                n_listed = min(size, early)
                agreed[q] = agree(nearest, n_listed, n_agree, stored, node_classes)
                if agreed[q]:
                    break
                may_end = False
                if width < ef:
                    # Points that the smaller `ef` dropped are to be met again.
                    width, next_up, n_met = ef, 0, size + unlinked.shape[0]
                    mark += 1
                    for i in range(size):
                        nearest[i] &= ~1
                        is_new(met, marks, mark, (nearest[i] >> 1) & _PLACE)
                    size, n_found = put_unlinked(
                        points,
                        unlinked,
                        query,
                        width,
                        nearest,
                        size,
                        n_found,
                        met,
                        marks,
                        mark,
                    )
            if next_up >= size:
                break
            if nearest[next_up] & 1:
                next_up += 1
                continue
            nearest[next_up] |= 1
            place = (nearest[next_up] >> 1) & _PLACE
            n_ahead = 0
            for link in range(links.shape[1]):
                other = np.int64(links[place, link])
                if other < 0:
                    break
                if is_new(met, marks, mark, other):
                    ahead[n_ahead] = other
                    n_ahead += 1
            n_met += n_ahead
            # Room for all that the next point can lead to.
            while 2 * (n_met + links.shape[1]) > met.shape[0]:
                larger, its_marks = empty_table(2 * met.shape[0])
                copy_met(met, marks, mark, larger, its_marks)
                met, marks = larger, its_marks
            for i in range(n_ahead):
                if ahead[i] < n_points:
                    distances[i] = squared_distance(points, ahead[i], query)
                else:
                    gone = ahead[i] - n_points
                    distances[i] = squared_distance(deleted, gone, query)
            for i in range(n_ahead):
                key = key_of(ahead[i], distances[i])
                if n_found == width and key > nearest[size - 1]:
                    continue
                if ahead[i] < n_points:
                    next_up = min(next_up, put_in(nearest, size, key))
                    size += 1
                    n_found += 1
                    if n_found > width:
                        n_found -= 1
                        size -= 1
                    if n_found == width:
                        # The list ends with a point that is not deleted.
                        while (nearest[size - 1] >> 1) & _PLACE >= n_points:
                            size -= 1
                elif size - n_found < spare:
                    next_up = min(next_up, put_in(nearest, size, key))
                    size += 1
        ids[q, 0] = -1
        if n_found < ef and not agreed[q]:
            continue
        found = 0
        for i in range(size):
            place = (nearest[i] >> 1) & _PLACE
            if place < n_points and found < ids.shape[1]:
                ids[q, found] = place
                squared[q, found] = np.int32(nearest[i] >> 32).view(np.float32)
                found += 1
        for i in range(found, ids.shape[1]):  # of a search that ended early
            ids[q, i], squared[q, i] = -1, 0.0
