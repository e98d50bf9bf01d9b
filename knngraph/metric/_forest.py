"""Compiled passage of rows through flat trees.

A tree is a range of nodes in preorder: the left child of node i is node i + 1, and
every child has a higher number than its parent, so that no path can turn back.
"""

from numba import int64, uint64

from knngraph.compiling import compiled


@compiled
def add_leaf_values(
    rows,
    skipped,
    feature,
    threshold,
    right,
    missing_left,
    roots,
    values,
    places,
    nodes,
    total,
):
    """Add the value of the leaf that a row reaches, over trees.

    All rows go down one tree together, level by level: its nodes stay in the cache,
    and the core steps with the next row while it waits for this one. The sum of a row
    is in the order of the trees whatever the other rows.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_features), float32
    skipped : ndarray of shape (n_rows, n_trees), bool
        Trees to leave out; without rows where none is.
    feature : ndarray of shape (n_nodes,), int32
        Column that a node compares, -1 for a leaf.
    threshold : ndarray of shape (n_nodes,), float32
        Rows with at most this go left.
    right : ndarray of shape (n_nodes,), int32
        Right child; row of `values` for a leaf.
    missing_left : ndarray of shape (n_nodes,), bool
        Whether NaN goes left.
    roots : ndarray of shape (n_trees,), int32
    values : ndarray of shape (n_values, n_targets), float32
    places, nodes : ndarray of shape (n_rows,), uint32
        Room for the rows on their way, and for where they are.
    total : ndarray of shape (n_rows, n_targets), float64
        Changed in place.
    """
    # Unsigned numbers need no check for places that count from the end.
    some_skipped = skipped.shape[0] > 0
    for tree in range(uint64(roots.shape[0])):
        n_left = uint64(0)
        for i in range(uint64(rows.shape[0])):
            if not (some_skipped and skipped[i, tree]):
                places[n_left] = i
                nodes[n_left] = roots[tree]
                n_left += uint64(1)
        while n_left > 0:
            n_moved = uint64(0)
            for j in range(n_left):
                i, node = uint64(places[j]), uint64(nodes[j])
                column, child = feature[node], right[node]
                if column < 0:
                    for target in range(uint64(values.shape[1])):
                        total[i, target] += values[uint64(child), target]
                    continue
                value = rows[i, uint64(column)]
                # Without a branch, which the core would guess wrong half the time.
                goes_left = (value <= threshold[node]) | (
                    (value != value) & missing_left[node]
                )
                places[n_moved] = i
                nodes[n_moved] = child + (int64(node) + 1 - child) * goes_left
                n_moved += uint64(1)
            n_left = n_moved
