"""Parts of the columns in the shares of trees, against plain walks."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from knngraph.inspection.paths import TreePaths
from knngraph.metric.grow import ForestSettings, grow_forest


def made_rows(n_rows, n_classes, missing):
    random = np.random.default_rng(0)
    X = random.normal(size=(n_rows, 4))
    y = np.digitize(X[:, 0] + X[:, 2], np.linspace(-1, 1, n_classes + 1)[1:-1])
    if missing:
        X[random.random(X.shape) < 0.2] = np.nan
    return X, y


def walk(forest, tree, row):
    """Nodes from the root of a tree to the leaf of a row, and columns between."""
    nodes, columns = [int(forest.roots[tree])], []
    while forest.feature[nodes[-1]] >= 0:
        node = nodes[-1]
        column = int(forest.feature[node])
        if np.isnan(row[column]):
            left = forest.missing_left[node]
        else:
            left = row[column] <= forest.threshold[node]
        nodes.append(node + 1 if left else int(forest.right[node]))
        columns.append(column)
    return nodes, columns


def by_hand(forest, X, shares, queries):
    """Steps of the means of the nodes with five rows at least, column by column."""
    parts = np.zeros((len(queries), X.shape[1], shares.shape[1]))
    for tree in range(len(forest.roots)):
        passed = {}
        for row, share in zip(forest.as_seen(X), shares):
            for node in walk(forest, tree, row)[0]:
                passed.setdefault(node, []).append(share)
        values = {
            node: np.mean(listed, axis=0)
            for node, listed in passed.items()
            if len(listed) >= min(5, len(X))
        }
        for place, row in enumerate(forest.as_seen(queries)):
            nodes, columns = walk(forest, tree, row)
            for parent, child, column in zip(nodes, nodes[1:], columns):
                if child in values:
                    parts[place, column] += values[child] - values[parent]
    return parts / len(forest.roots)


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("n_classes", [2, 3, 20])
def test_against_plain_walks(n_classes, missing):
    X, y = made_rows(120, n_classes, missing)
    forest = grow_forest(X, y, n_classes, ForestSettings(n_trees=7))
    shares = forest.shares(X)
    queries = X[:15] + 0.1
    parts = TreePaths(forest, X, shares).parts(queries)
    assert_allclose(parts, by_hand(forest, X, shares, queries), atol=1e-12)


def test_parts_make_the_shares():
    X, y = made_rows(400, 3, missing=False)
    forest = grow_forest(X, y, 3, ForestSettings(n_trees=60))
    shares = forest.shares(X)
    queries = np.random.default_rng(1).normal(size=(100, 4))
    parts = TreePaths(forest, X, shares).parts(queries)
    expected = forest.shares(queries) - shares.mean(axis=0)
    left = parts.sum(axis=1) - expected
    assert (left**2).sum() < 0.2 * (expected**2).sum()


def test_where_paths_agree_the_parts_are_the_same():
    X, y = made_rows(300, 2, missing=False)
    forest = grow_forest(X, y, 2, ForestSettings(n_trees=20))
    paths = TreePaths(forest, X, forest.shares(X))
    query = np.zeros((1, 4))
    other = query + np.array([0.0, 0.0, 0.0, 1e-6])  # passes no threshold
    assert_allclose(paths.parts(query), paths.parts(other), atol=1e-15)
    beyond = query + np.array([0.0, 5.0, 0.0, 0.0])  # decides nothing
    changed = np.abs(paths.parts(query) - paths.parts(beyond)).sum(axis=(0, 2))
    nearer = query + np.array([5.0, 0.0, 0.0, 0.0])
    assert changed.sum() < np.abs(paths.parts(query) - paths.parts(nearer)).sum()


@pytest.mark.parametrize("n_rows", [2, 3, 6])
def test_few_rows(n_rows):
    X, y = np.arange(2.0 * n_rows).reshape(n_rows, 2), np.arange(n_rows) % 2
    forest = grow_forest(X, y, 2, ForestSettings(n_trees=3))
    parts = TreePaths(forest, X, forest.shares(X)).parts(X)
    assert np.isfinite(parts).all()
