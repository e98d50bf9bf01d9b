"""Compiled solver of the problem at a query: feature kernel, nugget, few candidates.

Coordinate descent finds in a sweep or two which candidates have a weight, about
twenty of 32 on real data; how much they have is a linear system. A column of the
kernel is only evaluated when its weight first leaves zero.

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
def distances_to(n, points, nodes, a, skipped, squared):
    """Squared distances of all candidates to candidate `a`; zero where skipped.

    Differences come first, so nothing cancels; the relative error of a sum is
    about 1e-6, which is what the kernel value then has as well. Slices of the rows
    would take as long again.
    """
    node = nodes[a]
    for b in range(n):
        if skipped[b]:
            squared[b] = 0.0
            continue
        other, total = nodes[b], np.float32(0.0)
        for f in range(points.shape[1]):
            difference = points[node, f] - points[other, f]
            total += difference * difference
        squared[b] = total


@compiled(inline="always")
def distances_between(n, points, nodes, known, squared):
    """Squared distances of all candidates to one another; then all are known."""
    for a in range(n):
        distances_to(n, points, nodes, a, known, squared[a])
        for b in range(a):
            squared[a, b] = squared[b, a]
        known[a] = True


@compiled_part(fastmath={"contract"})
def gaussian(n, gamma, squared, similarity):
    """exp(-gamma * squared), several at a time.

    exp(x) = 2^k exp(r), where k is the integer next to x / log 2 and r is at most
    log(2) / 2, for which twelve terms of the series are exact to 1e-14. Adding
    _ROUND leaves k in the last bits of the sum, from where it moves to those of
    the exponent. Below -700 it is exp(-700).
    """
    for i in range(n):
        x = -gamma * squared[i]
        x = x if x > -700.0 else -700.0
        shifted = x * _INVERSE_LOG_2 + _ROUND
        k = shifted - _ROUND
        r = x - k * _LOG_2_HIGH - k * _LOG_2_LOW
        series = 1.0 / 39916800.0
        series = series * r + 1.0 / 3628800.0
        series = series * r + 1.0 / 362880.0
        series = series * r + 1.0 / 40320.0
        series = series * r + 1.0 / 5040.0
        series = series * r + 1.0 / 720.0
        series = series * r + 1.0 / 120.0
        series = series * r + 1.0 / 24.0
        series = series * r + 1.0 / 6.0
        series = series * r + 0.5
        series = series * r + 1.0
        exponent = (np.float64(shifted).view(np.int64) + 1023) << 52
        similarity[i] = (series * r + 1.0) * np.int64(exponent).view(np.float64)


@compiled(inline="always")
def fill_column(n, points, nodes, a, gamma, squared, known, columns):
    """Feature kernel between candidate `a` and all candidates."""
    column = columns[a]
    distances_to(n, points, nodes, a, known, squared)
    gaussian(n, gamma, squared, column)
    for b in range(n):
        if known[b]:
            column[b] = columns[b, a]
    known[a] = True


@compiled(inline="always")
def fill_columns(n, gamma, squared, columns):
    """Feature kernel between all candidates, from their squared distances."""
    for a in range(n):
        gaussian(n, gamma, squared[a], columns[a])


@compiled_part(fastmath=_REORDER)
def minimum_over(size, active, columns, nuggets, slopes, factor, target):
    """Weights that minimise the objective if all candidates but some have none.

    Parameters
    ----------
    active : ndarray of shape (m,), intp
        The candidates that may have any, `size` of them; their columns are known.
    columns : ndarray of shape (m, m)
        Kernel.
    nuggets, slopes : ndarray of shape (n,)
        Diagonal that is added to it, and right side of the linear system.
    factor : ndarray of shape (m, m)
        Work space, of the Cholesky factor.
    target : ndarray of shape (m,)
        Result, in the order of `active`.

    Returns
    -------
    bool
        False where the kernel is singular.
    """
    for i in range(size):
        column, row = columns[active[i]], factor[i]
        for j in range(i):
            total, other = column[active[j]], factor[j]
            for k in range(j):
                total -= row[k] * other[k]
            row[j] = total * other[j]
        pivot = 1.0 + nuggets[active[i]]
        moved = slopes[active[i]]
        for k in range(i):
            pivot -= row[k] * row[k]
            moved -= row[k] * target[k]
        if pivot <= _SINGULAR:
            return False
        row[i] = 1.0 / np.sqrt(pivot)  # the diagonal is kept inverted
        target[i] = moved * row[i]
    for i in range(size - 1, -1, -1):
        target[i] *= factor[i, i]
        for k in range(i):
            target[k] -= factor[i, k] * target[i]
    return True


@compiled_part
def settle(n, columns, nuggets, slopes, active, factor, target, weights):
    """Give the candidates that have a weight their best weights.

    Where one of them would turn negative on the way there it is let go, and the
    others go on: the objective never rises, and the end is a minimum.

    Returns
    -------
    bool
        False where the kernel is singular.
    """
    while True:
        size = 0
        for a in range(n):
            if weights[a] > 0.0:
                active[size] = a
                size += 1
        if not minimum_over(size, active, columns, nuggets, slopes, factor, target):
            return False
        step, first = 1.0, -1
        for i in range(size):
            wanted = target[i]
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
            return True
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
            for b in range(n):
                residual[b] -= weight * columns[a, b]
    waiting = False
    for b in range(n):
        weight, nugget = weights[b], nuggets[b]
        if weight == 0.0:
            waiting |= residual[b] > _TOLERANCE * (1.0 + nugget)
        elif settled:  # but for the last digit, which would keep sweeps busy
            residual[b] = nugget * weight
    return waiting


@compiled(fastmath=_REORDER, inline="always")
def solve_query(
    n,
    points,
    nodes,
    similarity,
    gamma,
    nuggets,
    half_penalty,
    work,
    factor,
    active,
    columns,
    known,
    weights,
):
    """Non-negative weights of the candidates.

    The rows of `work` are squared distances of a column, slopes, residual and
    target; `factor`, `active` and `columns` are room for the rest. All have room for
    `n` candidates or more.
    Minimises -2 k'w + w'(K + diag(nuggets))w + 2 half_penalty sum(w). Columns of
    the kernel that are not known are evaluated when they are needed.
    """
    squared, slopes, residual, target = work[0], work[1], work[2], work[3]
    for a in range(n):
        weights[a] = 0.0
        slopes[a] = residual[a] = similarity[a] - half_penalty
    regular = True
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
                if not known[a]:
                    fill_column(
                        n,
                        points,
                        nodes,
                        a,
                        gamma,
                        squared,
                        known,
                        columns,
                    )
                weights[a] = moved
                for b in range(n):
                    residual[b] -= change * columns[a, b]
                largest = abs(change) if abs(change) > largest else largest
        if largest <= _TOLERANCE:
            break
        if regular:
            regular = settle(
                n, columns, nuggets, slopes, active, factor, target, weights
            )
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
def divide_nugget(n, nugget, nodes, left_out, starts, pair_weight, nuggets):
    """Nugget of every candidate, by the weight of its rows; see `solve_rows`."""
    for a in range(n):
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

    Many settings share the distances among the candidates of a query, and those
    next to each other with one bandwidth the kernel; one setting evaluates no
    more of them than it needs.

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
    settings : ndarray of shape (n_settings, 4)
        Candidates, sigma, nugget and penalty of every setting. A sigma of 0 takes
        the distance of the farthest candidate; the penalty is a fraction of lambda*.
    votes : ndarray of shape (n_queries, n_settings, n_classes)
        Result: weight of every class, summing to one; zero before, and without
        candidates after.
    shares : ndarray of shape (n_queries, m) or (0, m)
        Result, where it has rows: weight of every candidate, summing to one.
    room : tuple of ndarray of shape (3, m, m), (7, m) and (2, m), intp
        To work in.
    """
    m = ids.shape[1]
    many = settings.shape[0] > 1
    squares, work, places = room
    columns, factor, distances = squares[0], squares[1], squares[2]
    similarity, nuggets, weights = work[4], work[5], work[6]
    active, known = places[0], places[1]
    for q in range(ids.shape[0]):
        nodes = ids[q]
        n_listed = 0
        while n_listed < m and nodes[n_listed] >= 0:
            known[n_listed] = False
            n_listed += 1
        if many:
            distances_between(n_listed, points, nodes, known, distances)
        last_gamma = -1.0
        for s in range(settings.shape[0]):
            n = np.int64(settings[s, 0])
            n = n if n < n_listed else n_listed
            if n == 0:
                continue
            squared_sigma = settings[s, 1] * settings[s, 1]
            if squared_sigma == 0.0:
                squared_sigma = squared[q, n - 1]
                if squared_sigma == 0.0:
                    squared_sigma = 1.0
            gamma = 0.5 / squared_sigma
            if many and gamma != last_gamma:
                fill_columns(n_listed, gamma, distances, columns)
                last_gamma = gamma
            for a in range(n):
                # The problem is homogeneous: relative to the nearest candidate a
                # far query is solved as well as a near one.
                similarity[a] = np.exp(gamma * (squared[q, 0] - squared[q, a]))
            divide_nugget(
                n, settings[s, 2], nodes, left_out[q], starts, pair_weight, nuggets
            )
            solve_query(
                n,
                points,
                nodes,
                similarity,
                gamma,
                nuggets,
                settings[s, 3],
                work,
                factor,
                active,
                columns,
                known,
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
