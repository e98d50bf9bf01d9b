"""Compiled solver of the problem at a query: feature kernel, nugget, few candidates.

The nugget makes the problem well-conditioned, so coordinate descent needs a few
sweeps. A column of the kernel is only evaluated when its weight first leaves
zero: about a dozen of 32 candidates on real data.

Every function here is compiled; none calls a compiled function of another file
(see `knngraph.graph._fista`).
"""

import numpy as np
from numba import njit

_REORDER = {"reassoc", "contract", "nsz"}
_MAX_SWEEPS = 200


@njit(cache=True, nogil=True, fastmath=_REORDER)
def squared_distance(a, b):
    """Squared Euclidean distance in single precision.

    Differences come first, so nothing cancels; the relative error of the sum is
    about 1e-6, which is what the kernel value then has as well.
    """
    total = np.float32(0.0)
    for f in range(a.shape[0]):
        difference = a[f] - b[f]
        total += difference * difference
    return total


@njit(cache=True, nogil=True)
def squared_through_lens(points, seen, floor, a, b):
    """Squared distance of two nodes, through a lens where `seen` has columns."""
    squared = floor * squared_distance(points[a], points[b])
    if seen.shape[1] > 0:
        squared += squared_distance(seen[a], seen[b])
    return squared


@njit(cache=True, nogil=True)
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
            away = np.float32(
                floor * squared[q, a] + squared_distance(rows[node], seen[q])
            )
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


@njit(cache=True, nogil=True)
def fill_column(points, seen, floor, nodes, a, gamma, column):
    """Feature kernel between candidate `a` and all candidates."""
    for b in range(nodes.shape[0]):
        squared = squared_through_lens(points, seen, floor, nodes[b], nodes[a])
        column[b] = np.exp(-gamma * squared)


@njit(cache=True, nogil=True)
def solve_query(
    points,
    seen,
    floor,
    nodes,
    similarity,
    gamma,
    nuggets,
    half_penalty,
    tol,
    columns,
    known,
    weights,
):
    """Non-negative weights of the candidates by cyclic coordinate descent.

    Minimises -2 k'w + w'(K + diag(nuggets))w + 2 half_penalty sum(w). Columns of
    the kernel that are not known are evaluated when they are needed.
    """
    n = nodes.shape[0]
    residual = np.empty(n)  # k - Kw - half_penalty
    for a in range(n):
        weights[a] = 0.0
        residual[a] = similarity[a] - half_penalty
    for _ in range(_MAX_SWEEPS):
        largest = 0.0
        for a in range(n):
            slope = residual[a] - nuggets[a] * weights[a]
            if weights[a] == 0.0 and slope <= 0.0:
                continue
            moved = max(0.0, weights[a] + slope / (1.0 + nuggets[a]))
            change = moved - weights[a]
            if change != 0.0:
                if not known[a]:
                    known[a] = True
                    fill_column(points, seen, floor, nodes, a, gamma, columns[a])
                weights[a] = moved
                for b in range(n):
                    residual[b] -= change * columns[a, b]
                largest = max(largest, abs(change))
        if largest <= tol:
            break


@njit(cache=True, nogil=True)
def rows_on_node(node, left_out, starts, pair_count):
    """Number of training rows on a node, without the one that is left out."""
    count = 0
    for pair in range(starts[node], starts[node + 1]):
        count += pair_count[pair]
        if pair == left_out:
            count -= 1
    return count


@njit(cache=True, nogil=True)
def find_unanimous(starts, pair_code, pair_count, ids, left_out, codes, agree):
    """Whether all rows on the nodes of several queries have the class of the query.

    Parameters
    ----------
    starts, pair_code, pair_count, ids, left_out
        As in `vote_queries`.
    codes : ndarray of shape (n_queries,)
        Class of every query.
    agree : ndarray of shape (n_queries,), bool
        Result.
    """
    for q in range(ids.shape[0]):
        agree[q] = True
        for a in range(ids.shape[1]):
            node = ids[q, a]
            if node < 0 or not agree[q]:
                break
            for pair in range(starts[node], starts[node + 1]):
                count = pair_count[pair] - (1 if pair == left_out[q] else 0)
                if count > 0 and pair_code[pair] != codes[q]:
                    agree[q] = False


@njit(cache=True, nogil=True)
def count_votes(
    nodes, weights, left_out, starts, pair_code, pair_count, own, rival, votes
):
    """Share of the weights that every class has, zero everywhere without any.

    Where labels are not believed as they are, the rest of a vote is the rival's.
    """
    votes[:] = 0.0
    total = 0.0
    for a in range(nodes.shape[0]):
        total += weights[a]
    if total == 0.0:
        return
    for a in range(nodes.shape[0]):
        if weights[a] > 0.0:
            rows = rows_on_node(nodes[a], left_out, starts, pair_count)
            for pair in range(starts[nodes[a]], starts[nodes[a] + 1]):
                count = pair_count[pair] - (1 if pair == left_out else 0)
                share = weights[a] / total * (count / rows)
                if own.shape[0] > 0:
                    votes[rival[pair]] += share * (1.0 - own[pair])
                    share *= own[pair]
                votes[pair_code[pair]] += share


@njit(cache=True, nogil=True)
def vote_queries(
    points,
    seen,
    floor,
    starts,
    pair_code,
    pair_count,
    own,
    rival,
    ids,
    squared,
    left_out,
    sigma,
    nugget,
    penalty,
    tol,
    votes,
    shares,
):
    """Votes of the candidates of several queries.

    Parameters
    ----------
    points : ndarray of shape (n_nodes, n_features), float32
    seen : ndarray of shape (n_nodes, n_directions), float32
    floor : float
        Squared distances are `floor` times those of `points`, plus those of `seen`;
        without a lens `seen` has no columns and `floor` is 1.
    starts : ndarray of shape (n_nodes + 1,)
        First pair of every node.
    pair_code, pair_count : ndarray of shape (n_pairs,)
    own, rival : ndarray of shape (n_pairs,) or (0,)
        Share of a vote that the class of a pair gets, and who gets the rest;
        empty where labels are believed.
    ids, squared : ndarray of shape (n_queries, m)
        Candidate nodes, nearest first, and their squared distances; -1 ends a
        row early.
    left_out : ndarray of shape (n_queries,)
        Pair that loses one row (leave-one-out), or -1.
    sigma : float
        Bandwidth; 0 takes the distance of the farthest candidate.
    nugget, penalty : float
        The penalty is a fraction of lambda*.
    tol : float
        Largest change of a weight in the last sweep.
    votes : ndarray of shape (n_queries, n_classes)
        Result: weight of every class, summing to one.
    shares : ndarray of shape (n_queries, m) or (0, m)
        Result, where it has rows: weight of every candidate, summing to one.
    """
    m = ids.shape[1]
    columns = np.empty((m, m))
    known = np.empty(m, dtype=np.bool_)
    similarity = np.empty(m)
    nuggets = np.empty(m)
    weights = np.empty(m)
    for q in range(ids.shape[0]):
        n = 0
        while n < m and ids[q, n] >= 0:
            n += 1
        votes[q] = 0.0
        if n == 0:
            continue
        nodes = ids[q, :n]
        squared_sigma = sigma * sigma
        if sigma == 0.0:
            squared_sigma = np.float64(squared[q, n - 1])
            if squared_sigma == 0.0:
                squared_sigma = 1.0
        gamma = 0.5 / squared_sigma
        known[:] = False
        for a in range(n):
            # The problem is homogeneous: relative to the nearest candidate a
            # far query is solved as well as a near one.
            similarity[a] = np.exp(gamma * (squared[q, 0] - squared[q, a]))
            rows = rows_on_node(nodes[a], left_out[q], starts, pair_count)
            nuggets[a] = nugget / rows
        solve_query(
            points,
            seen,
            floor,
            nodes,
            similarity[:n],
            gamma,
            nuggets[:n],
            penalty,
            tol,
            columns,
            known[:n],
            weights[:n],
        )
        count_votes(
            nodes,
            weights[:n],
            left_out[q],
            starts,
            pair_code,
            pair_count,
            own,
            rival,
            votes[q],
        )
        if shares.shape[0] > 0:
            total = weights[:n].sum()
            for a in range(n):
                shares[q, a] = weights[a] / total if total > 0.0 else 0.0


@njit(cache=True, nogil=True)
def vote_grid(
    points,
    seen,
    floor,
    starts,
    pair_code,
    pair_count,
    n_classes,
    ids,
    squared,
    left_out,
    given,
    settings,
    tol,
    right,
    own_share,
):
    """Votes of several queries under many settings, with one set of distances.

    Parameters
    ----------
    points, seen, floor, starts, pair_code, pair_count, ids, squared, left_out, tol
        As in `vote_queries`.
    n_classes : int
    given : ndarray of shape (n_queries,)
        Class that is right.
    settings : ndarray of shape (n_settings, 4)
        Candidates, sigma, nugget and penalty of every setting.
    right : ndarray of shape (n_settings, n_queries), bool
        Result: whether the largest vote is right.
    own_share : ndarray of shape (n_settings, n_queries)
        Result: share of the vote of the right class.
    """
    m = ids.shape[1]
    distances = np.empty((m, m))
    columns = np.empty((m, m))
    known = np.ones(m, dtype=np.bool_)
    similarity = np.empty(m)
    nuggets = np.empty(m)
    weights = np.empty(m)
    votes = np.empty(n_classes)
    believed = np.empty(0)
    nobody = np.empty(0, dtype=np.int32)
    for q in range(ids.shape[0]):
        n_listed = 0
        while n_listed < m and ids[q, n_listed] >= 0:
            n_listed += 1
        for a in range(n_listed):
            for b in range(a + 1):
                distance = squared_through_lens(
                    points, seen, floor, ids[q, a], ids[q, b]
                )
                distances[a, b] = distance
                distances[b, a] = distance
        last_gamma = -1.0
        for s in range(settings.shape[0]):
            n = min(n_listed, int(settings[s, 0]))
            if n == 0:
                continue
            nodes = ids[q, :n]
            squared_sigma = settings[s, 1] * settings[s, 1]
            if squared_sigma == 0.0:
                squared_sigma = max(np.float64(squared[q, n - 1]), 1e-300)
            gamma = 0.5 / squared_sigma
            if gamma != last_gamma:
                for a in range(n_listed):
                    for b in range(n_listed):
                        columns[a, b] = np.exp(-gamma * distances[a, b])
                last_gamma = gamma
            for a in range(n):
                similarity[a] = np.exp(gamma * (squared[q, 0] - squared[q, a]))
                rows = rows_on_node(nodes[a], left_out[q], starts, pair_count)
                nuggets[a] = settings[s, 2] / rows
            solve_query(
                points,
                seen,
                floor,
                nodes,
                similarity[:n],
                gamma,
                nuggets[:n],
                settings[s, 3],
                tol,
                columns,
                known[:n],
                weights[:n],
            )
            count_votes(
                nodes,
                weights[:n],
                left_out[q],
                starts,
                pair_code,
                pair_count,
                believed,
                nobody,
                votes,
            )
            right[s, q] = np.argmax(votes) == given[q]
            own_share[s, q] = votes[given[q]]
