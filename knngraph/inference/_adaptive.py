"""Compiled solver of the problem at a query: feature kernel, nugget, few candidates.

Coordinate descent finds in a sweep or two which candidates have a weight, about
twenty of 32 on real data; how much they have is a linear system, and its Cholesky
factor grows with them. A column of the kernel is only evaluated when its weight
first leaves zero.

Every function here is compiled; none calls a compiled function of another file
(see `knngraph.graph._fista`).
"""

import numpy as np

from knngraph.compiling import compiled, compiled_part
from knngraph.weights import LEAST_REST

_REORDER = {"reassoc", "contract", "nsz"}
# Largest change of a weight that one more sweep may make.
_TOLERANCE = 1e-6
_MAX_SWEEPS = 200
# Of a pivot: without a nugget, near copies make the kernel singular.
_SINGULAR = 1e-12
_INVERSE_LOG_2 = 1.4426950408889634
_LOG_2_HIGH, _LOG_2_LOW = 0.69314718036912381649, 1.90821492927058770002e-10
_ROUND = 6755399441055744.0  # 1.5 * 2^52: what is added to it becomes an integer


@compiled_part(fastmath=_REORDER)
def distances_between(n, points, nodes, squared):
    """Squared distances of all candidates to one another, in single precision.

    Differences come first, so nothing cancels; the relative error of a sum is
    about 1e-6, which is what the kernel value then has as well. Two rows are
    compared with four at a time: every number read serves two or four pairs.
    At the end of the candidates the last stands for those that are missing.
    """
    last = n - 1
    for a in range(0, n, 2):
        next_a = a + 1 if a < last else last
        i, k = nodes[a], nodes[next_a]
        squared[a, a] = 0.0
        for b in range(a + 1, n, 4):
            b1 = b + 1 if b + 1 < n else last
            b2 = b + 2 if b + 2 < n else last
            b3 = b + 3 if b + 3 < n else last
            j0, j1, j2, j3 = nodes[b], nodes[b1], nodes[b2], nodes[b3]
            s0 = s1 = s2 = s3 = np.float32(0.0)
            t0 = t1 = t2 = t3 = np.float32(0.0)
            for f in range(points.shape[1]):
                x, z = points[i, f], points[k, f]
                y0, y1 = points[j0, f], points[j1, f]
                y2, y3 = points[j2, f], points[j3, f]
                s0 += (x - y0) * (x - y0)
                s1 += (x - y1) * (x - y1)
                s2 += (x - y2) * (x - y2)
                s3 += (x - y3) * (x - y3)
                t0 += (z - y0) * (z - y0)
                t1 += (z - y1) * (z - y1)
                t2 += (z - y2) * (z - y2)
                t3 += (z - y3) * (z - y3)
            squared[a, b] = squared[b, a] = s0
            squared[a, b1] = squared[b1, a] = s1
            squared[a, b2] = squared[b2, a] = s2
            squared[a, b3] = squared[b3, a] = s3
            squared[next_a, b] = squared[b, next_a] = t0
            squared[next_a, b1] = squared[b1, next_a] = t1
            squared[next_a, b2] = squared[b2, next_a] = t2
            squared[next_a, b3] = squared[b3, next_a] = t3


@compiled_part(fastmath={"contract"})
def gaussian(n, gamma, squared, similarity):
    """exp(-gamma * squared), several at a time.

    exp(x) = 2^k exp(r), where k is the integer next to x / log 2 and r is at most
    log(2) / 2, for which eight terms of the series are exact to 1e-8: the distances
    have single precision. Adding _ROUND leaves k in the last bits of the sum, from
    where it moves to those of the exponent. Below -700 it is exp(-700).
    """
    for i in range(n):
        x = -gamma * squared[i]
        x = x if x > -700.0 else -700.0
        shifted = x * _INVERSE_LOG_2 + _ROUND
        k = shifted - _ROUND
        r = x - k * _LOG_2_HIGH - k * _LOG_2_LOW
        series = 1.0 / 5040.0
        series = series * r + 1.0 / 720.0
        series = series * r + 1.0 / 120.0
        series = series * r + 1.0 / 24.0
        series = series * r + 1.0 / 6.0
        series = series * r + 0.5
        series = series * r + 1.0
        exponent = (np.float64(shifted).view(np.int64) + 1023) << 52
        similarity[i] = (series * r + 1.0) * np.int64(exponent).view(np.float64)


@compiled_part(fastmath=_REORDER)
def factorize(first, size, columns, nuggets, slopes, active, factor, inverse, forward):
    """Extend a Cholesky factor, and the forward substitution, by some candidates.

    Parameters
    ----------
    first, size : int
        Rows `first` to `size` are found; those before them are there.
    columns : ndarray of shape (m, m)
        Kernel; the columns of the active candidates are known.
    nuggets, slopes : ndarray of shape (n,)
        Diagonal that is added to it, and right side of the linear system.
    active : ndarray of shape (m,), intp
        Candidate of every row.
    factor : ndarray of shape (m, m)
        Result: the factor, and above the diagonal its transpose.
    inverse, forward : ndarray of shape (m,)
        Result: the diagonal, inverted, and the right side divided by the factor.

    Returns
    -------
    bool
        False where the kernel is singular.
    """
    for i in range(first, size):
        a = active[i]
        row, column = factor[i], columns[a]
        pivot, moved = 1.0 + nuggets[a], slopes[a]
        for j in range(i):
            row[j] = column[active[j]]
        for j in range(i):
            value = row[j] * inverse[j]
            row[j] = factor[j, i] = value
            pivot -= value * value
            moved -= value * forward[j]
            for k in range(j + 1, i):
                row[k] -= value * factor[j, k]
        if pivot <= _SINGULAR:
            return False
        inverse[i] = 1.0 / np.sqrt(pivot)
        forward[i] = moved * inverse[i]
    return True


@compiled_part(fastmath=_REORDER)
def settle(
    size, columns, nuggets, slopes, active, listed, n_factored, factor, vectors, weights
):
    """Give the candidates that have a weight their best weights.

    Where one of them would turn negative on the way there it is let go, and the
    others go on: the objective never rises, and the end is a minimum.

    Parameters
    ----------
    size : int
        Number of active candidates.
    active, listed : ndarray of shape (m,), intp
        The active candidates, and for every candidate whether it is one. Those
        without a weight are taken out.
    n_factored : int
        Number of active candidates, the first ones, that have their rows of the factor
        already.

    Returns
    -------
    int
        Number of active candidates; -1 where the kernel is singular.
    """
    inverse, forward, target = vectors[0], vectors[1], vectors[2]
    while True:
        kept = 0
        for i in range(size):
            a = active[i]
            if weights[a] > 0.0:
                active[kept] = a
                kept += 1
            else:
                listed[a] = 0
                n_factored = n_factored if n_factored < kept else kept
        size = kept
        if not factorize(
            n_factored, size, columns, nuggets, slopes, active, factor, inverse, forward
        ):
            return -1
        n_factored = size
        for i in range(size):
            target[i] = forward[i]
        step, first = 1.0, -1
        for i in range(size - 1, -1, -1):
            row = factor[i]
            wanted = target[i] * inverse[i]
            target[i] = wanted
            for k in range(i):
                target[k] -= row[k] * wanted
            if wanted <= 0.0:
                weight = weights[active[i]]
                part = weight / (weight - wanted)
                if first < 0 or part < step:
                    step, first = part, active[i]
        for i in range(size):
            a = active[i]
            weight = weights[a]
            moved = weight + step * (target[i] - weight)
            weights[a] = moved if moved > 0.0 else 0.0
        if first < 0:
            return size
        weights[first] = 0.0


@compiled_part(fastmath=_REORDER)
def find_residual(n, columns, nuggets, slopes, weights, settled, residual):
    """Slopes at the weights, without the part of the nuggets.

    Returns
    -------
    bool
        Whether a candidate without a weight should get one.
    """
    for b in range(n):
        residual[b] = slopes[b]
    for a in range(n):
        weight = weights[a]
        if weight > 0.0:
            column = columns[a]
            for b in range(n):
                residual[b] -= weight * column[b]
    waiting = 0
    for b in range(n):
        weight, nugget = weights[b], nuggets[b]
        # But for the last digit, which would keep sweeps busy.
        value = nugget * weight if settled and weight > 0.0 else residual[b]
        residual[b] = value
        waiting += weight == 0.0 and value > _TOLERANCE * (1.0 + nugget)
    return waiting > 0


@compiled_part(fastmath=_REORDER)
def solve_query(
    n,
    n_listed,
    gamma,
    distances,
    similarity,
    nuggets,
    half_penalty,
    columns,
    factor,
    vectors,
    places,
    weights,
):
    """Non-negative weights of the candidates.

    Minimises -2 k'w + w'(K + diag(nuggets))w + 2 half_penalty sum(w). Columns of
    the kernel that are not known are evaluated when they are needed.

    Parameters
    ----------
    n, n_listed : int
        Number of candidates, and of those that have distances; all arrays have
        room for more.
    distances : ndarray of shape (m, m), float32
        Squared distances of the candidates to one another.
    similarity, nuggets : ndarray of shape (m,)
        Kernel between the query and the candidates, and what the diagonal of the
        kernel among them is raised by.
    columns, factor : ndarray of shape (m, m)
        Kernel among the candidates, and room for its Cholesky factor.
    vectors : ndarray of shape (5 or more, m)
        To work in.
    places : ndarray of shape (3, m), intp
        To work in; the last row says which columns of the kernel are known.
    weights : ndarray of shape (m,)
        Result.
    """
    slopes, residual = vectors[3], vectors[4]
    active, listed, known = places[0], places[1], places[2]
    for a in range(n):
        weights[a] = 0.0
        listed[a] = 0
        slopes[a] = residual[a] = similarity[a] - half_penalty
    size = settled = 0
    for _ in range(_MAX_SWEEPS):
        largest = 0.0
        for a in range(n):
            weight, nugget = weights[a], nuggets[a]
            slope = residual[a] - nugget * weight
            if weight == 0.0 and slope <= 0.0:
                continue
            moved = weight + slope / (1.0 + nugget)
            moved = moved if moved > 0.0 else 0.0
            change = moved - weight
            if change != 0.0:
                column = columns[a]
                if not known[a]:
                    gaussian(n_listed, gamma, distances[a], column)
                    known[a] = 1
                if settled >= 0 and not listed[a]:
                    listed[a] = 1
                    active[size] = a
                    size += 1
                weights[a] = moved
                for b in range(n):
                    residual[b] -= change * column[b]
                largest = abs(change) if abs(change) > largest else largest
        if largest <= _TOLERANCE:
            break
        if settled >= 0:
            size = settled = settle(
                size,
                columns,
                nuggets,
                slopes,
                active,
                listed,
                settled,
                factor,
                vectors,
                weights,
            )
            regular = settled >= 0
            waiting = find_residual(
                n, columns, nuggets, slopes, weights, regular, residual
            )
            if regular and not waiting:
                break


@compiled_part(fastmath=False)
def weight_of(pair, left_out, pair_weight):
    """Weight of a pair, without the row that is left out."""
    weight = pair_weight[pair]
    if pair == left_out:
        weight = weight - 1.0 if weight - 1.0 > LEAST_REST else 0.0
    return weight


@compiled_part(fastmath=False)
def weight_on_node(node, left_out, starts, pair_weight):
    """Weight of the training rows on a node, without the one that is left out."""
    weight = 0.0
    for pair in range(starts[node], starts[node + 1]):
        weight += weight_of(pair, left_out, pair_weight)
    return weight


@compiled_part(fastmath=False)
def divide_nugget(
    n, nugget, of_copies, squared, nodes, left_out, starts, pair_weight, nuggets
):
    """Nugget of every candidate, by the weight of its rows; see `solve_rows`.

    A candidate at no distance from the query has the nugget `of_copies`.
    """
    for_others = nugget
    for a in range(n):
        nugget = for_others if squared[a] > 0.0 else of_copies
        weight = weight_on_node(nodes[a], left_out, starts, pair_weight)
        if weight >= 1.0:
            nuggets[a] = nugget / weight
        else:
            weight = weight if weight > LEAST_REST else LEAST_REST
            nuggets[a] = (1.0 + nugget) / weight - 1.0


@compiled_part(fastmath=False)
def count_votes(
    n, nodes, weights, left_out, starts, pair_code, pair_weight, own, rival, votes
):
    """Share of the weights that every class has, zero everywhere without any.

    Where labels have a reliability, the rest of a vote goes to the rival class.
    Adds to `votes`; returns the sum of the weights.
    """
    total = 0.0
    for a in range(n):
        total += weights[a]
    if total == 0.0:
        return total
    for a in range(n):
        weight, node = weights[a], nodes[a]
        if weight > 0.0:
            on_node = weight_on_node(node, left_out, starts, pair_weight)
            for pair in range(starts[node], starts[node + 1]):
                of_pair = weight_of(pair, left_out, pair_weight)
                share = weight / total * (of_pair / on_node)
                if own.shape[0] > 0:
                    votes[rival[pair]] += share * (1.0 - own[pair])
                    share *= own[pair]
                votes[pair_code[pair]] += share
    return total


@compiled(fastmath=_REORDER)
def vote_queries(
    points,
    starts,
    pair_code,
    pair_weight,
    own,
    rival,
    ids,
    squared,
    left_out,
    settings,
    votes,
    shares,
    room,
):
    """Votes of the candidates of several queries, under one or many settings.

    Settings share the distances among the candidates of a query, and those next to
    each other with one bandwidth the columns of the kernel.

    Parameters
    ----------
    points : ndarray of shape (n_nodes, n_features), float32
    starts : ndarray of shape (n_nodes + 1,)
        First pair of every node.
    pair_code, pair_weight : ndarray of shape (n_pairs,)
    own, rival : ndarray of shape (n_pairs,) or (0,)
        Share of a vote that the class of a pair gets, and the class that gets the
        rest; empty where every label gets its whole vote.
    ids, squared : ndarray of shape (n_queries, m)
        Candidate nodes, nearest first, and their squared distances; -1 ends a
        row early.
    left_out : ndarray of shape (n_queries,)
        Pair that loses one row (leave-one-out), or -1.
    settings : ndarray of shape (n_settings, 5)
        Candidates, sigma, nugget, penalty, and nugget of candidates that lie on the
        query, of every setting. A sigma of 0 takes the distance of the farthest
        candidate; the penalty is a fraction of lambda*.
    votes : ndarray of shape (n_queries, n_settings, n_classes)
        Result: weight of every class, summing to one; zero before, and without
        candidates after.
    shares : ndarray of shape (n_queries, m) or (0, m)
        Result, where it has rows: weight of every candidate, summing to one.
    room : tuple of ndarray of shape (2, m, m), (m, m), float32, (8, m), (3, m), intp
        To work in.
    """
    m = ids.shape[1]
    squares, distances, vectors, places = room
    columns, factor = squares[0], squares[1]
    similarity, nuggets, weights = vectors[5], vectors[6], vectors[7]
    known = places[2]
    for q in range(ids.shape[0]):
        nodes = ids[q]
        n_listed = 0
        while n_listed < m and nodes[n_listed] >= 0:
            n_listed += 1
        if n_listed == 0:
            continue
        distances_between(n_listed, points, nodes, distances)
        nearest, last_gamma = squared[q, 0], -1.0
        for s in range(settings.shape[0]):
            n = np.int64(settings[s, 0])
            n = n if n < n_listed else n_listed
            squared_sigma = settings[s, 1] * settings[s, 1]
            if squared_sigma == 0.0:
                squared_sigma = squared[q, n - 1]
                if squared_sigma == 0.0:
                    squared_sigma = 1.0
            gamma = 0.5 / squared_sigma
            if gamma != last_gamma:
                last_gamma = gamma
                for a in range(n_listed):
                    known[a] = 0
            # The problem is homogeneous: relative to the nearest candidate a far
            # query is solved as well as a near one.
            for a in range(n):
                vectors[0, a] = squared[q, a] - nearest
            gaussian(n, gamma, vectors[0], similarity)
            divide_nugget(
                n,
                settings[s, 2],
                settings[s, 4],
                squared[q],
                nodes,
                left_out[q],
                starts,
                pair_weight,
                nuggets,
            )
            solve_query(
                n,
                n_listed,
                gamma,
                distances,
                similarity,
                nuggets,
                settings[s, 3],
                columns,
                factor,
                vectors,
                places,
                weights,
            )
            total = count_votes(
                n,
                nodes,
                weights,
                left_out[q],
                starts,
                pair_code,
                pair_weight,
                own,
                rival,
                votes[q, s],
            )
            if shares.shape[0] > 0:
                for a in range(n):
                    shares[q, a] = weights[a] / total if total > 0.0 else 0.0
