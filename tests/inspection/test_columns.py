"""Which columns make a row near, against plain sums over rows."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.datasets import load_iris

from knngraph import KNNGraphClassifier
from knngraph.distances import squared_distances
from knngraph.inspection.columns import Columns, as_shares


def made_rows(n_rows=200, n_features=5, seed=0):
    """Rows of which the first two columns decide, in units far apart."""
    random = np.random.default_rng(seed)
    X = random.normal(size=(n_rows, n_features))
    y = (X[:, 0] + X[:, 1] > 0).astype(int)
    return X * np.array([1.0, 3.0] + [2.0] * (n_features - 2)) + 100.0, y


def split(model, query, row):
    """Terms of the squared distance, column by column, from the definition."""
    difference = query - row
    space = model._model.space
    M = np.eye(len(query)) if space.linear is None else space.linear @ space.linear.T
    return difference * (M @ difference)


@pytest.mark.parametrize("metric", ["euclidean", "learned"])
def test_shares_are_those_of_the_distance_that_the_vote_used(metric):
    X, y = made_rows()
    model = KNNGraphClassifier(inference="adaptive", metric=metric, random_state=0)
    model.fit(X, y)
    queries = made_rows(20, seed=1)[0]
    for query, explanation in zip(queries, model.explain(queries)):
        typical = np.mean([split(model, query, row) for row in X], axis=0)
        assert explanation.voters
        for voter in explanation.voters:
            between = split(model, query, X[voter.row])
            assert_allclose(between.sum(), voter.distance**2, rtol=1e-4, atol=1e-8)
            near = np.maximum(typical - between, 0.0)
            assert_allclose(voter.shares, near / near.sum(), atol=1e-5)
            assert_allclose(voter.shares.sum(), 1.0)
            assert_allclose(voter.values, X[voter.row], rtol=1e-6)
        # The columns that decide are those that make rows near under a learned map.
        if metric == "learned":
            assert explanation.shares[:2].sum() > 0.5
        assert_array_equal(explanation.values, query)


def test_shares_of_the_cosine_are_those_of_common_words():
    random = np.random.default_rng(0)
    counts = sparse.random_array(
        (80, 30), density=0.3, random_state=random, format="csr", dtype=np.float64
    )
    model = KNNGraphClassifier(inference="adaptive", metric="cosine", random_state=0)
    model.fit(counts, np.arange(80) % 2)
    X = counts.toarray()
    unit = X / np.maximum(np.linalg.norm(X, axis=1, keepdims=True), 1e-300)
    for place, explanation in enumerate(model.explain(counts[:10])):
        for voter in explanation.voters:
            near = unit[place] * (unit[voter.row] - unit.mean(axis=0))
            near = np.maximum(near, 0.0)
            assert_allclose(voter.shares, near / near.sum(), atol=1e-5)
            assert not voter.shares[X[place] == 0.0].any()
            assert_allclose(voter.values, unit[voter.row], atol=1e-6)


def test_on_the_stored_way_voters_are_near_to_the_row_reached():
    X, y = made_rows()
    model = KNNGraphClassifier(metric="euclidean", ef=16, random_state=0).fit(X, y)
    for explanation in model.explain(made_rows(10, seed=1)[0]):
        reached = X[explanation.row]
        typical = np.mean((reached - X) ** 2, axis=0)
        for voter in explanation.voters:
            near = np.maximum(typical - (reached - X[voter.row]) ** 2, 0.0)
            assert_allclose(voter.shares, near / near.sum(), atol=1e-5)
        assert_allclose(explanation.row_values, reached, rtol=1e-6)
        text = str(explanation)
        assert "            near by x" in text
        assert f"(row {explanation.row}, row)" in text


def test_names_and_values_are_those_of_the_frame():
    X, y = load_iris(return_X_y=True, as_frame=True)
    model = KNNGraphClassifier(inference="adaptive", random_state=0).fit(X, y)
    (explanation,) = model.explain(X.iloc[[100]])
    assert explanation.columns == tuple(X.columns)
    first = explanation.voters[0]
    assert_array_equal(first.values, X.iloc[first.row])
    largest = explanation.reasons(first)[0]
    assert largest.column == "petal length (cm)"
    assert (largest.about, largest.row) == (6.0, X.iloc[first.row, 2])
    assert f"petal length (cm) {largest.share:.0%} (6, " in str(explanation)
    assert len(explanation.reasons(first, n_columns=1)) == 1
    assert explanation.reasons(explanation.neighbors[-1]) == []  # without a vote
    numbers = KNNGraphClassifier(random_state=0).fit(X.to_numpy(), y)
    assert numbers.explain(X.to_numpy()[:1])[0].columns == ("x0", "x1", "x2", "x3")


def test_the_frame_holds_the_reasons_as_text():
    X, y = load_iris(return_X_y=True, as_frame=True)
    model = KNNGraphClassifier(inference="adaptive", random_state=0).fit(X, y)
    table = pd.concat([e.to_frame() for e in model.explain(X.iloc[:3])])
    assert table["reasons"][table["weight"] > 0.0].str.contains("petal").all()
    assert (table["reasons"][table["weight"] == 0.0] == "").all()


def test_long_names_leave_lines_short():
    X, y = load_iris(return_X_y=True, as_frame=True)
    X = X.set_axis([f"{name} of this flower, as measured" for name in X], axis=1)
    model = KNNGraphClassifier(inference="adaptive", random_state=0).fit(X, y)
    text = str(model.explain(X.iloc[[0]])[0])
    assert max(map(len, text.splitlines())) <= 88
    assert "petal length (cm) of ..." in text


@pytest.mark.parametrize("unit", [1e-300, 1e-12, 1.0, 1e12, 1e200])
def test_values_come_back_in_the_units_of_the_user(unit):
    X, y = made_rows()
    X = np.round(X, 3) * unit
    model = KNNGraphClassifier(inference="adaptive", metric="euclidean", random_state=0)
    (explanation,) = model.fit(X, y).explain(X[:1])
    for voter in explanation.voters:
        assert_allclose(voter.values, X[voter.row], rtol=1e-6)
        assert_allclose(voter.shares.sum(), 1.0)


def test_digits_far_from_the_origin_are_kept():
    X, y = made_rows()
    X = np.round(X, 2) + 1e8
    model = KNNGraphClassifier(inference="adaptive", random_state=0).fit(X, y)
    (explanation,) = model.explain(X[:1])
    for voter in explanation.voters:
        assert_allclose(voter.values - 1e8, X[voter.row] - 1e8, atol=1e-3)


@pytest.mark.parametrize("metric", ["euclidean", "cosine", "learned", "trees"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 3), (2, 1), (40, 1), (30, 1000)])
def test_shapes_at_the_edge(metric, shape):
    X = np.random.default_rng(0).normal(size=shape)
    model = KNNGraphClassifier(inference="adaptive", metric=metric, random_state=0)
    for explanation in model.fit(X, np.arange(len(X)) % 2).explain(X + 0.1):
        assert str(explanation)
        for voter in explanation.voters:
            assert voter.shares.shape == (shape[1],)
            assert_allclose(voter.shares.sum(), 1.0)
            assert (voter.shares >= 0.0).all()


def test_what_is_the_same_everywhere_makes_nothing_near():
    X, y = made_rows()
    X[:, 3] = 7.25
    model = KNNGraphClassifier(inference="adaptive", metric="euclidean", random_state=0)
    (explanation,) = model.fit(X, y).explain(X[:1])
    for voter in explanation.voters:
        assert voter.shares[3] == 0.0
        assert voter.values[3] == 7.25
    # Where nothing differs, no column says more than another.
    (explanation,) = model.fit(np.ones((9, 4)), np.arange(9) % 2).explain([[1.0] * 4])
    assert_array_equal(explanation.voters[0].shares, [0.25] * 4)


def test_one_row_is_as_near_by_every_column():
    model = KNNGraphClassifier(inference="adaptive", random_state=0)
    (explanation,) = model.fit([[1.0, 2.0]], ["a"]).explain([[5.0, 2.5]])
    assert_array_equal(explanation.voters[0].shares, [0.5, 0.5])


@pytest.mark.parametrize("metric", ["euclidean", "learned", "trees"])
@pytest.mark.parametrize("kind", ["plain", "missing", "sparse", "classes"])
def test_nearness_adds_up_to_the_distance(metric, kind):
    X, y = made_rows(300)
    if kind == "missing" and metric == "trees":
        X[::4, 1] = np.nan
    if kind == "sparse":
        X = sparse.csr_array(np.where(X > 100.0, X - 100.0, 0.0))
    if kind == "classes":
        y = np.arange(300) % 40
    model = KNNGraphClassifier(inference="adaptive", metric=metric, random_state=0)
    model = model.fit(X[:250], y[:250])._model
    columns, points = Columns(model.space, model.training), model.training.points
    queries = model.space.map_rows(X[250:])
    rows = points[model.training.node_of_row]
    typical = squared_distances(queries, rows).mean(axis=1)
    squared = ((queries.astype(np.float64) - points[:50]) ** 2).sum(axis=1)
    near = columns.near(columns.parts(queries), columns.parts(points[:50]))
    assert near.shape == (50, 5)
    assert_allclose(near.sum(axis=1), typical - squared, rtol=1e-5, atol=1e-6)
    # Of one row at a time it is the same.
    one = columns.near(columns.parts(queries[7:8]), columns.parts(points[7:8]))
    assert_allclose(one[0], near[7], rtol=1e-9, atol=1e-12)


def test_trees_and_their_linear_map_find_the_columns_that_decide():
    X, y = made_rows(400)
    model = KNNGraphClassifier(inference="adaptive", metric="trees", random_state=0)
    model.fit(X, y)
    shares = []
    for explanation in model.explain(made_rows(40, seed=1)[0]):
        for voter in explanation.voters:
            assert_allclose(voter.shares.sum(), 1.0)
            assert_allclose(voter.values, X[voter.row], rtol=1e-5)
            shares.append(voter.shares)
    assert set(np.argsort(-np.mean(shares, axis=0))[:2]) == {0, 1}
    assert np.mean(shares, axis=0)[:2].sum() > 0.7


def test_shares_of_amounts():
    amounts = np.array([[1.0, 3.0], [0.0, 0.0], [0.0, 1e-320], [1e308, 1e308]])
    expected = [[0.25, 0.75], [0.5, 0.5], [0.0, 1.0], [0.5, 0.5]]
    assert_allclose(as_shares(amounts), expected)


def test_missing_values_have_the_share_of_their_column():
    X, y = made_rows()
    X[::3, 0], X[5:20, 4] = np.nan, np.nan
    model = KNNGraphClassifier(inference="adaptive", metric="auto", random_state=0)
    model.fit(X, y)
    space = model._model.space
    filled = space.missing.filled(X)
    assert filled.shape[1] == 7
    for query, explanation in zip(X, model.explain(X[:12])):
        assert_array_equal(explanation.values, query)
        mapped = space.missing.filled(query[None])[0]
        typical = np.mean([split(model, mapped, row) for row in filled], axis=0)
        for voter in explanation.voters:
            assert_allclose(voter.values, X[voter.row], rtol=1e-5)
            near = typical - split(model, mapped, filled[voter.row])
            near[[0, 4]] += near[5:]  # the indicators
            near = np.maximum(near[:5], 0.0)
            assert_allclose(voter.shares, near / near.sum(), atol=1e-4)
    assert "missing" in str(explanation) or "missing" in str(model.explain(X[:1])[0])
    assert model.feature_relevance_.shape == (5,)
