"""Compiled votes of the nearest nodes: whether they agree, shares and margin."""

import numpy as np

from knngraph.compiling import compiled, compiled_part
from knngraph.weights import LEAST_REST


@compiled_part
def weight_of(pair, left_out, pair_weight):
    """Weight of a pair, without the row that is left out."""
    weight = pair_weight[pair]
    if pair == left_out:
        weight = weight - 1.0 if weight - 1.0 > LEAST_REST else 0.0
    return weight


@compiled
def find_agreeing(starts, pair_code, pair_weight, ids, left_out, codes, agree):
    """Whether all rows on the nodes of several queries have the class of the query.

    Parameters
    ----------
    starts, pair_code, pair_weight, ids, left_out
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
                weight = weight_of(pair, absent, pair_weight)
                if weight > 0.0 and pair_code[pair] != code:
                    all_agree = False
        agree[q] = all_agree


@compiled_part
def count_near(
    starts,
    pair_code,
    pair_weight,
    nodes,
    n_around,
    squared,
    absent,
    sharpness,
    class_weight,
    votes,
):
    """Add the votes of the nodes around one query; returns their sum.

    The parameters are those of `find_margins`, of one query, and how many of the
    nodes are there.
    """
    nearest = np.sqrt(squared[0])
    farthest = np.sqrt(squared[n_around - 1])
    fall = sharpness / farthest if farthest > 0.0 else 0.0
    total = 0.0
    for a in range(n_around):
        first, end = starts[nodes[a]], starts[nodes[a] + 1]
        on_node = counted = 0.0
        for pair in range(first, end):
            weight = weight_of(pair, absent, pair_weight)
            on_node += weight
            counted += weight * class_weight[pair_code[pair]]
        if on_node == 0.0:
            continue
        vote = np.exp(fall * (nearest - np.sqrt(squared[a])))
        total += vote * (counted / on_node)
        for pair in range(first, end):
            weight = weight_of(pair, absent, pair_weight)
            code = pair_code[pair]
            votes[code] += vote * weight / on_node * class_weight[code]
    return total


@compiled_part
def count_listed(nodes):
    """Number of nodes in a row that -1 may end."""
    n_listed = 0
    while n_listed < nodes.shape[0] and nodes[n_listed] >= 0:
        n_listed += 1
    return n_listed


@compiled
def find_votes(
    starts,
    pair_code,
    pair_weight,
    ids,
    left_out,
    squared,
    sharpness,
    class_weight,
    votes,
):
    """Shares of the classes in the vote of the nodes around several queries.

    Parameters
    ----------
    starts, pair_code, pair_weight, ids, left_out, squared, sharpness, class_weight
        As in `find_margins`.
    votes : ndarray of shape (n_queries, n_classes)
        Zeros; result, which stays zero where no row votes.
    """
    for q in range(ids.shape[0]):
        n_around = count_listed(ids[q])
        if n_around == 0:
            continue
        total = count_near(
            starts,
            pair_code,
            pair_weight,
            ids[q],
            n_around,
            squared[q],
            left_out[q],
            sharpness,
            class_weight,
            votes[q],
        )
        if total > 0.0:
            for code in range(votes.shape[1]):
                votes[q, code] /= total


@compiled
def find_margins(
    starts,
    pair_code,
    pair_weight,
    ids,
    left_out,
    codes,
    squared,
    sharpness,
    class_weight,
    votes,
    margin,
):
    """How far the nodes around several queries prefer its class to every other.

    Parameters
    ----------
    starts, pair_code, pair_weight, ids, left_out
        As in `knngraph.inference._adaptive.vote_queries`.
    codes : ndarray of shape (n_queries,)
        Class of every query.
    squared : ndarray of shape (n_queries, k)
        Squared distances to the nodes, the nearest first.
    sharpness : float
        How fast votes fall with distance.
    class_weight : ndarray of shape (n_classes,)
        What the votes of every class are multiplied by.
    votes : ndarray of shape (n_classes,)
        Zeros, before and after.
    margin : ndarray of shape (n_queries,)
        Result: the share of the class in the vote minus the largest other share; 0
        where no row votes.
    """
    for q in range(ids.shape[0]):
        n_around = count_listed(ids[q])
        margin[q] = 0.0
        if n_around == 0:
            continue
        total = count_near(
            starts,
            pair_code,
            pair_weight,
            ids[q],
            n_around,
            squared[q],
            left_out[q],
            sharpness,
            class_weight,
            votes,
        )
        code = codes[q]
        own, rival = votes[code], 0.0
        votes[code] = 0.0
        for a in range(n_around):
            node = ids[q, a]
            for pair in range(starts[node], starts[node + 1]):
                code = pair_code[pair]
                rival = votes[code] if votes[code] > rival else rival
                votes[code] = 0.0
        if total > 0.0:
            # Shares of one class alone may add up to less than 1 in the last digit.
            alone = rival == 0.0 and own > 0.0
            margin[q] = 1.0 if alone else (own - rival) / total
