"""Compiled work on the candidates of queries that needs no problem solved."""

import numpy as np

from knngraph.compiling import compiled

_REORDER = {"reassoc", "contract", "nsz"}


@compiled(fastmath=_REORDER)
def order_through_lens(rows, seen, floor, ids, squared, nearest, distances):
    """Candidates of several queries in the order that a lens gives them.

    Parameters
    ----------
    rows : ndarray of shape (n_nodes, n_directions), float32
    seen : ndarray of shape (n_queries, n_directions), float32
        The queries along the directions.
    floor : float
    ids, squared : ndarray of shape (n_queries, k)
        Candidates and squared distances without the lens; -1 ends a row.
    nearest, distances : ndarray of shape (n_queries, m)
        Result, of the m nearest; filled with -1 and 0 before.
    """
    m = nearest.shape[1]
    for q in range(ids.shape[0]):
        kept = 0
        for a in range(ids.shape[1]):
            node = ids[q, a]
            if node < 0:
                break
            through = np.float32(0.0)
            for f in range(rows.shape[1]):
                difference = rows[node, f] - seen[q, f]
                through += difference * difference
            away = np.float32(floor * squared[q, a] + through)
            if kept == m and away >= distances[q, m - 1]:
                continue
            place = kept if kept < m else m - 1
            while place > 0 and distances[q, place - 1] > away:
                nearest[q, place] = nearest[q, place - 1]
                distances[q, place] = distances[q, place - 1]
                place -= 1
            nearest[q, place] = node
            distances[q, place] = away
            kept = min(kept + 1, m)


@compiled
def find_unanimous(starts, pair_code, pair_count, ids, left_out, codes, agree):
    """Whether all rows on the nodes of several queries have the class of the query.

    Parameters
    ----------
    starts, pair_code, pair_count, ids, left_out
        As in `knngraph.inference._adaptive.vote_queries`.
    codes : ndarray of shape (n_queries,)
        Class of every query.
    agree : ndarray of shape (n_queries,), bool
        Result.
    """
    for q in range(ids.shape[0]):
        code, absent = codes[q], left_out[q]
        all_agree = True
        for a in range(ids.shape[1]):
            node = ids[q, a]
            if node < 0 or not all_agree:
                break
            for pair in range(starts[node], starts[node + 1]):
                count = pair_count[pair] - (1 if pair == absent else 0)
                if count > 0 and pair_code[pair] != code:
                    all_agree = False
        agree[q] = all_agree


@compiled
def find_margins(
    starts,
    pair_code,
    pair_count,
    ids,
    left_out,
    codes,
    squared,
    sharpness,
    votes,
    margin,
):
    """How far the nodes around several queries prefer its class to every other.

    Parameters
    ----------
    starts, pair_code, pair_count, ids, left_out
        As in `knngraph.inference._adaptive.vote_queries`.
    codes : ndarray of shape (n_queries,)
        Class of every query.
    squared : ndarray of shape (n_queries, k)
        Squared distances to the nodes, the nearest first.
    sharpness : float
        How fast votes fall with distance.
    votes : ndarray of shape (n_classes,)
        Zeros, before and after.
    margin : ndarray of shape (n_queries,)
        Result: the share of the class in the vote minus the largest other share; 0
        where nobody votes.
    """
    for q in range(ids.shape[0]):
        n_around = 0
        while n_around < ids.shape[1] and ids[q, n_around] >= 0:
            n_around += 1
        margin[q] = 0.0
        if n_around == 0:
            continue
        nearest = np.sqrt(squared[q, 0])
        farthest = np.sqrt(squared[q, n_around - 1])
        fall = sharpness / farthest if farthest > 0.0 else 0.0
        total = 0.0
        absent = left_out[q]
        for a in range(n_around):
            node = ids[q, a]
            first, end = starts[node], starts[node + 1]
            n_rows = 0
            for pair in range(first, end):
                n_rows += pair_count[pair] - (1 if pair == absent else 0)
            if n_rows == 0:
                continue
            vote = np.exp(fall * (nearest - np.sqrt(squared[q, a])))
            total += vote
            for pair in range(first, end):
                count = pair_count[pair] - (1 if pair == absent else 0)
                votes[pair_code[pair]] += vote * count / n_rows
        code = codes[q]
        own, rival = votes[code], 0.0
        votes[code] = 0.0
        for a in range(n_around):
            node = ids[q, a]
            for pair in range(starts[node], starts[node + 1]):
                code = pair_code[pair]
                rival = max(rival, votes[code])
                votes[code] = 0.0
        if total > 0.0:
            # Shares of one class alone may add up to less than 1 in the last digit.
            alone = rival == 0.0 and own > 0.0
            margin[q] = 1.0 if alone else (own - rival) / total
