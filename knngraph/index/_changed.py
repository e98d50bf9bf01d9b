"""Compiled steps for lists of points after points have come and gone.

Every function here is compiled; none calls a compiled function of another file
(see `knngraph.graph._fista`).
"""

import numpy as np

from knngraph.compiling import compiled, compiled_part


@compiled
def rename(lists, places, now, renamed):
    """Copy lists, with the points in them by other numbers.

    Parameters
    ----------
    lists : ndarray of shape (n_lists, k), int32
        Numbers of points, -1 for none.
    places : ndarray of shape (n,), intp
        Which lists; a negative one leaves a row as it is.
    now : ndarray of shape (n_points,), int32
        New number of every point, -1 where it is gone.
    renamed : ndarray of shape (n, k), int32
        Result.
    """
    for i in range(places.shape[0]):
        if places[i] < 0:
            continue
        for j in range(lists.shape[1]):
            number = lists[places[i], j]
            renamed[i, j] = now[number] if number >= 0 else -1


@compiled
def read_links(records, places, now, links):
    """Read links as hnswlib lays them out, with the points by other numbers.

    Parameters
    ----------
    records : ndarray of shape (n_places, 1 + most), int32
        How many links a place has, in the low half of a number, then the links.
    places, now
        As in `rename`.
    links : ndarray of shape (n, most), int32
        Result; -1 ends a row early.
    """
    for i in range(places.shape[0]):
        if places[i] < 0:
            continue
        record = records[places[i]]
        count = record[0] & 0xFFFF
        for j in range(links.shape[1]):
            links[i, j] = now[record[1 + j]] if j < count else -1


@compiled_part(fastmath={"reassoc", "contract", "nsz"})
def squared_distance(points, a, b):
    """Squared Euclidean distance in single precision, from differences."""
    total = np.float32(0.0)
    for f in range(points.shape[1]):
        difference = points[a, f] - points[b, f]
        total += difference * difference
    return total


@compiled
def refill(points, owners, ids, squared):
    """Close the gaps in lists, and fill their ends with neighbors of neighbors.

    Parameters
    ----------
    points : ndarray of shape (n_points, n_features), float32
    owners : ndarray of shape (n,), intp
        Points with gaps in their lists.
    ids : ndarray of shape (n_points, k), int32
        Lists, nearest first; -1 for a gap. Changed in place.
    squared : ndarray of shape (n_points, k), float32
        Squared distances. Changed in place.

    Returns
    -------
    int
        Number of lists, the first ones in `owners`, that could not be filled.
    """
    k = ids.shape[1]
    n_short = 0
    for place in range(owners.shape[0]):
        owner = owners[place]
        own, away = ids[owner], squared[owner]
        count = 0
        for i in range(k):
            if own[i] >= 0:
                own[count], away[count] = own[i], away[i]
                count += 1
        n_left = count
        while count < k:
            nearest, least = -1, np.float32(np.inf)
            for i in range(n_left):
                its_ids = ids[own[i]]
                for rank in range(k):
                    other = its_ids[rank]
                    if other < 0 or other == owner:
                        continue
                    number = squared_distance(points, owner, other)
                    if number > least or (number == least and other >= nearest):
                        continue
                    listed = False
                    for j in range(count):
                        listed |= own[j] == other
                    if not listed:
                        nearest, least = other, number
            if nearest < 0:
                break
            spot = count
            while spot > 0 and away[spot - 1] > least:
                own[spot], away[spot] = own[spot - 1], away[spot - 1]
                spot -= 1
            own[spot], away[spot] = nearest, least
            count += 1
        if count < k:
            owners[n_short] = owner
            n_short += 1
    return n_short
