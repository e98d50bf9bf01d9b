"""Compiled passage of rows through flat trees, node by node.

The trees are those of `knngraph.metric._forest`.
"""

from knngraph.compiling import compiled, compiled_part


@compiled_part
def _child(value, node, threshold, right, missing_left):
    """Child of a node for a row with this value in its column."""
    left = missing_left[node] if value != value else value <= threshold[node]
    return node + 1 if left else right[node]


@compiled
def count_rows(rows, feature, threshold, right, missing_left, roots, counts):
    """Count the rows that pass every node.

    Parameters
    ----------
    rows, feature, threshold, right, missing_left, roots
        As for `add_leaf_values`.
    counts : ndarray of shape (n_nodes,), int32
        Changed in place.
    """
    for tree in range(roots.shape[0]):
        for i in range(rows.shape[0]):
            node = roots[tree]
            counts[node] += 1
            while feature[node] >= 0:
                value = rows[i, feature[node]]
                node = _child(value, node, threshold, right, missing_left)
                counts[node] += 1


@compiled
def add_to_nodes(
    rows, amounts, feature, threshold, right, missing_left, roots, places, sums
):
    """Add the amounts of every row to the nodes that it passes.

    Parameters
    ----------
    amounts : ndarray of shape (n_rows, n_targets), float64
    places : ndarray of shape (n_nodes,), int32
        Row of `sums` of a node; -1 for one that is not kept, which ends a path.
    sums : ndarray of shape (n_kept, n_targets), float64
        Changed in place.
    """
    for tree in range(roots.shape[0]):
        for i in range(rows.shape[0]):
            node = roots[tree]
            while places[node] >= 0:
                for target in range(amounts.shape[1]):
                    sums[places[node], target] += amounts[i, target]
                if feature[node] < 0:
                    break
                value = rows[i, feature[node]]
                node = _child(value, node, threshold, right, missing_left)


@compiled
def add_steps(
    rows, feature, threshold, right, missing_left, roots, places, values, total
):
    """Add what every step of a path changes to the column that it looks at.

    Parameters
    ----------
    places : ndarray of shape (n_nodes,), int32
        As for `add_to_nodes`; rows of `values`.
    values : ndarray of shape (n_kept, n_targets), float64
    total : ndarray of shape (n_rows, n_features, n_targets), float64
        Changed in place.
    """
    for tree in range(roots.shape[0]):
        for i in range(rows.shape[0]):
            node = roots[tree]
            while feature[node] >= 0:
                column = feature[node]
                value = rows[i, column]
                child = _child(value, node, threshold, right, missing_left)
                if places[child] < 0:
                    break
                for target in range(values.shape[1]):
                    step = values[places[child], target] - values[places[node], target]
                    total[i, column, target] += step
                node = child
