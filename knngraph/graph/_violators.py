"""Compiled scan of one block of the kernel for violated conditions."""

import numpy as np

from knngraph.compiling import njit


@njit(cache=True, nogil=True)
def count_or_list_violators(
    features,
    place,
    pairs,
    pair_node,
    pair_code,
    pair_count,
    first_pair,
    n_block,
    indptr,
    indices,
    weights,
    bounds,
    label_weight,
    discount,
    positive,
    owners,
    found,
    excess,
):
    """List the pairs of a block that violate the conditions of other pairs.

    Pairs that represent the checked one are the solver's business: it knows
    their conditions with the nugget, and where all of the kernel underflows.

    Parameters
    ----------
    features : ndarray of shape (n_used, n_block)
        Weighted feature kernel between used nodes and the pairs of the block.
    place : ndarray of shape (n_nodes,)
        Row of `features` that a node has.
    pairs : ndarray of shape (n,)
        The pairs whose conditions are checked.
    first_pair : int
        The block holds pairs `first_pair` to `first_pair + n_block - 1`.
    indptr, indices, weights
        Solution of every checked pair, as the rows of a CSR array.
    bounds : ndarray of shape (n, 2)
        Penalty lambda and largest violation allowed.
    owners, found, excess : ndarray of shape (capacity,)
        Results, filled as far as they reach.

    Returns
    -------
    int
        Number of violators; larger than the capacity where they did not fit.
    """
    last_code = 0
    for code in pair_code:
        last_code = max(last_code, code)
    product, own_class = np.empty(n_block), np.empty(last_code + 1)
    for code in range(last_code + 1):
        own_class[code] = 0.0
    member = np.empty(n_block, dtype=np.bool_)
    for i in range(n_block):
        member[i] = False
    n_found = 0
    for j in range(pairs.shape[0]):
        pair = pairs[j]
        code = pair_code[pair]
        similarity = features[place[pair_node[pair]]]
        for i in range(n_block):
            product[i] = 0.0
        total = 0.0
        for e in range(indptr[j], indptr[j + 1]):
            w = weights[e]
            row = features[place[pair_node[indices[e]]]]
            for i in range(n_block):
                product[i] += w * row[i]
            if 0 <= indices[e] - first_pair < n_block:
                member[indices[e] - first_pair] = True
            total += w
            own_class[pair_code[indices[e]]] += w
        for i in range(n_block):
            other = first_pair + i
            label = 1.0 if pair_code[other] == code else discount
            mixed = discount * total + (1.0 - discount) * own_class[pair_code[other]]
            slope = 2.0 * (product[i] - similarity[i] + label_weight * (mixed - label))
            violation = (-slope if positive else abs(slope)) - bounds[j, 0]
            if member[i] or (other == pair and pair_count[pair] == 1):
                continue
            if violation > bounds[j, 1]:
                if n_found < owners.shape[0]:
                    owners[n_found] = j
                    found[n_found] = other
                    excess[n_found] = violation
                n_found += 1
        for e in range(indptr[j], indptr[j + 1]):
            own_class[pair_code[indices[e]]] = 0.0
            if 0 <= indices[e] - first_pair < n_block:
                member[indices[e] - first_pair] = False
    return n_found
