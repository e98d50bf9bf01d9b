"""Compiled passage of rows through flat trees.

A tree is a range of nodes in preorder: the left child of node i is node i + 1, and
every child has a higher number than its parent, so that no path can turn back.

A step down waits for the memory that the one before has named. So many ways are gone
at a time: those of many rows through one tree, the nodes of which stay in the cache,
or those of one row through all trees. Both add in the order of the trees, so that a
row has the same sum to the bit.
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

    All rows go down one tree together, level by level.

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


@compiled
def add_leaf_values_of_few(
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
    """The same for few rows: one goes down all trees together.

    Parameters
    ----------
    rows, skipped, feature, threshold, right, missing_left, roots, values, total
        As in `add_leaf_values`.
    places, nodes : ndarray of shape (n_trees,), uint32
        Room for the trees that the row is still on its way through, and for where
        it is there.
    """
    some_skipped = skipped.shape[0] > 0
    for i in range(uint64(rows.shape[0])):
        n_trees = uint64(0)
        for tree in range(uint64(roots.shape[0])):
            if not (some_skipped and skipped[i, tree]):
                places[n_trees] = n_trees
                nodes[n_trees] = roots[tree]
                n_trees += uint64(1)
        n_left = n_trees
        while n_left > 0:
            n_moved = uint64(0)
            for j in range(n_left):
                place = uint64(places[j])
                node = uint64(nodes[place])
                column, child = feature[node], right[node]
                if column < 0:
                    nodes[place] = child
                    continue
                value = rows[i, uint64(column)]
                goes_left = (value <= threshold[node]) | (
                    (value != value) & missing_left[node]
                )
                nodes[place] = child + (int64(node) + 1 - child) * goes_left
                places[n_moved] = place
                n_moved += uint64(1)
            n_left = n_moved
        for place in range(n_trees):
            for target in range(uint64(values.shape[1])):
                total[i, target] += values[uint64(nodes[place]), target]
