"""Compiled scan of one block of the kernel for violated conditions."""

from knngraph.compiling import compiled
from knngraph.weights import LEAST_REST


@compiled
def count_or_list_violators(
    features,
    place,
    pairs,
    pair_node,
    pair_code,
    pair_weight,
    first_pair,
    n_block,
    indptr,
    indices,
    weights,
    bounds,
    label_weight,
    discount,
    positive,
    own_class,
    product,
    member,
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
    own_class : ndarray of shape (n_classes,)
        Room to work in; zeros, before and after.
    product, member : ndarray of shape (n_block,), float64 and bool
        Room to work in; of `member`, False before and after.
    owners, found, excess : ndarray of shape (capacity,)
        Results, filled as far as they reach.

    Returns
    -------
    int
        Number of violators; larger than the capacity where they did not fit.
    """
    n_found = 0
    for j in range(pairs.shape[0]):
        pair = pairs[j]
        code = pair_code[pair]
        largest, tolerated = bounds[j, 0], bounds[j, 1]
        similarity = features[place[pair_node[pair]]]
        for i in range(n_block):
            product[i] = 0.0
        total = 0.0
        for e in range(indptr[j], indptr[j + 1]):
            w, neighbor = weights[e], indices[e]
            row = features[place[pair_node[neighbor]]]
            for i in range(n_block):
                product[i] += w * row[i]
            if 0 <= neighbor - first_pair < n_block:
                member[neighbor - first_pair] = True
            total += w
            own_class[pair_code[neighbor]] += w
        for i in range(n_block):
            other = first_pair + i
            its_code = pair_code[other]
            label = 1.0 if its_code == code else discount
            mixed = discount * total + (1.0 - discount) * own_class[its_code]
            slope = 2.0 * (product[i] - similarity[i] + label_weight * (mixed - label))
            violation = (-slope if positive else abs(slope)) - largest
            if member[i] or (other == pair and pair_weight[pair] - 1.0 <= LEAST_REST):
                continue
            if violation > tolerated:
                if n_found < owners.shape[0]:
                    owners[n_found] = j
                    found[n_found] = other
                    excess[n_found] = violation
                n_found += 1
        for e in range(indptr[j], indptr[j + 1]):
            neighbor = indices[e]
            own_class[pair_code[neighbor]] = 0.0
            if 0 <= neighbor - first_pair < n_block:
                member[neighbor - first_pair] = False
    return n_found
