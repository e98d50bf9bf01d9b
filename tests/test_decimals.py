"""Tables of decimals: nearest rows, and so answers, are those of exact search.

Most of them were once refused as beyond single precision. A tie is what the digits of
the input cannot decide: two distances from a row are tied where they differ by no more
than their roundings, and a distance between x and z is rounded by 2^-51 times the
length of the vector of |x_f| + |z_f| over the columns in which they differ. For rows
that were scaled, sizes are those before scaling, in units of after.
"""

import warnings

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.decomposition import PCA
from sklearn.feature_selection import SequentialFeatureSelector
from sklearn.model_selection import cross_val_score
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from knngraph import (
    HNSWKNNClassifier,
    KNNGraphClassifier,
    KNNGraphClassifierCV,
    KNNGraphTransformer,
    knn_adjacency,
)
from knngraph.exceptions import KNNGraphWarning
from tests.hostile import PREDICT_OPTIONS

_COMPARED = "nearest rows of decimals, compared with extended precision"
# Ties between decimals alone are no reason for double precision.
PRECISION_OF = dict.fromkeys(("decimals", "time", "grid"), "single")
PRECISION_OF |= dict.fromkeys(
    ("standardized grid", "grid between 0 and 1", "p-values"), "double"
)


def grid(n, step=0.01):
    """Latitudes and longitudes."""
    along = np.round(np.arange(n) * step, 4)
    return np.array([(52.4 + i, 13.2 + j) for i in along for j in along])


def decimals(random, n_columns):
    """One to four digits, around centers of several sizes."""
    center, digits = 10.0 ** random.integers(0, 4), random.integers(1, 5)
    spread = 10.0 ** random.integers(-1, 2)
    return np.round(center + spread * random.normal(size=(80, n_columns)), digits)


def with_sentinels(random, n_columns):
    rows = decimals(random, n_columns)
    rows[random.random(rows.shape) < 0.37] = 1e9
    return rows


def scaled(scaler, rows):
    """Scaled rows, and what one unit in the last place of the rows has become."""
    return scaler.fit_transform(rows), np.abs(rows).max(axis=0) / (
        scaler.scale_ if isinstance(scaler, StandardScaler) else 1.0 / scaler.scale_
    )


def first_component(random):
    age, income = random.integers(18, 90, 80), random.lognormal(10.0, 1.0, 80)
    return PCA(1).fit_transform(np.column_stack([age, np.round(income, 2)]))


KINDS = {
    "decimals": decimals,
    "standardized": lambda r, n: scaled(StandardScaler(), decimals(r, n)),
    "between 0 and 1": lambda r, n: scaled(MinMaxScaler(), decimals(r, n)),
    "time": lambda r, n: 2000.0 + 0.1 * np.arange(r.integers(30, 300))[:, None],
    "grid": lambda r, n: grid(9, r.choice([0.1, 0.01, 0.001])),
    "standardized grid": lambda r, n: scaled(StandardScaler(), grid(9)),
    "grid between 0 and 1": lambda r, n: scaled(MinMaxScaler(), grid(9)),
    "sentinels": with_sentinels,
    "age and income": lambda r, n: first_component(r),
    "p-values": lambda r, n: 10.0 ** (-40.0 * r.random((80, 1))),
    "probabilities": lambda r, n: 1.0 / (1.0 + np.exp(9.0 * r.normal(size=(80, n)))),
}


def may_be_nearest(queries, X, unscaled=0.0, leave_out=False):
    """Rows that are nearest to a query, or tied with the nearest."""
    exact = np.longdouble
    difference = np.abs(queries[:, None].astype(exact) - X.astype(exact))
    size = np.abs(queries)[:, None] + np.abs(X) + 2.0 * unscaled
    size = np.where(difference == 0.0, 0.0, size)
    distance = np.sqrt((difference**2).sum(axis=2))
    rounding = 2.0**-51 * np.sqrt((size**2).sum(axis=2))
    if leave_out:
        np.fill_diagonal(distance, np.inf)
    rows, first = np.arange(len(queries)), distance.argmin(axis=1)
    least, its_rounding = distance[rows, first], rounding[rows, first]
    return distance - least[:, None] <= rounding + its_rounding[:, None]


def check_nearest(X, y, queries, unscaled, tried):
    """Compare what everything that searches finds; the precision that it took."""
    right = may_be_nearest(queries, X, unscaled)
    with warnings.catch_warnings():
        # Of few rows with random labels.
        warnings.simplefilter("ignore", KNNGraphWarning)
        model = KNNGraphClassifier(
            metric="euclidean", support="local", ef=len(X), random_state=0
        ).fit(X, y)
    plain = HNSWKNNClassifier(n_neighbors=1, ef=len(X), random_state=0).fit(X, y)
    transformer = KNNGraphTransformer(method="knn", n_neighbors=3).fit(X)
    rows = np.arange(len(queries))
    for searched in (model, transformer):
        nearest = searched.kneighbors(queries, 1, return_distance=False)[:, 0]
        assert right[rows, nearest].all(), model.precision_
    for answers, labels in (
        (model.predict(queries), model.labels_),
        (model.to_predictor().predict(queries), model.labels_),
        (plain.predict(queries), y),
    ):
        of_nearest = (labels == answers[:, None]) & right
        assert of_nearest.any(axis=1).all(), model.precision_
    others = may_be_nearest(X, X, unscaled, leave_out=True)
    assert others[np.arange(len(X)), knn_adjacency(X, 1).indices].all()
    tried[_COMPARED] += 5 * len(queries) + len(X)
    return model.precision_


@pytest.mark.parametrize("kind", KINDS)
def test_simulated_tables(kind, tried):
    for seed in range(20):
        random = np.random.default_rng([seed, len(kind)])
        made = KINDS[kind](random, 1 + seed % 3)
        X, unscaled = made if isinstance(made, tuple) else (made, 0.0)
        X = random.permutation(X)
        labels = (X[:, 0] > np.median(X[:, 0])).astype(int)
        labels ^= random.random(len(X)) < 0.1
        # Some of every row from one training row, the rest from another.
        queries = np.where(random.random(X.shape) < 0.5, X, X[::-1])
        precision = check_nearest(X, labels, queries, unscaled, tried)
        assert precision == PRECISION_OF.get(kind, precision)


@pytest.mark.parametrize(
    "load", [load_iris, load_wine, load_breast_cancer, load_digits]
)
def test_single_columns(load, tried):
    X, y = (part[:400] for part in load(return_X_y=True))
    random = np.random.default_rng(0)
    for column in X.T:
        digits = 0 if (column == np.round(column)).all() else 3
        middle = np.round((column + random.permutation(column)) / 2.0, digits)
        check_nearest(column[:, None], y, middle[:100, None], 0.0, tried)


@pytest.mark.parametrize("inference", ["lookup", "adaptive", "cascade"])
@pytest.mark.parametrize("fitted", [KNNGraphClassifier, KNNGraphClassifierCV])
def test_four_decimals(fitted, inference):
    X, y = [[50.44], [50.1], [50.54], [50.49]], [0, 1, 1, 1]
    settings = {}
    if fitted is KNNGraphClassifierCV:
        settings = {"neighbor_counts": [2, 3]}
    model = fitted(inference=inference, random_state=0, **settings).fit(X, y)
    assert model.predict([[50.1], [50.54]]).tolist() == [1, 1]


def test_every_fold_of_a_column_of_wine_is_answered():
    X, y = load_wine(return_X_y=True)
    scores = cross_val_score(KNNGraphClassifier(random_state=0, ef=16), X[:, [0]], y)
    assert scores.min() > 0.4
    X, y = X[::2, :4], y[::2]
    model = KNNGraphClassifier(random_state=0, ef=16, metric="euclidean")
    selector = SequentialFeatureSelector(model, n_features_to_select=2, cv=3)
    assert selector.fit(X, y).get_support().sum() == 2


@pytest.mark.parametrize("scaler", [None, StandardScaler(), MinMaxScaler()])
def test_a_grid_of_places(scaler):
    X = grid(30)
    y = (np.arange(900) // 30 + np.arange(900) % 30) // 15
    X = X if scaler is None else scaler.fit_transform(X)
    model = KNNGraphClassifier(random_state=0).fit(X, y)
    for settings in PREDICT_OPTIONS.values():
        assert model.set_params(**settings).score(X, y) > 0.98


def test_the_solver_ends_on_a_single_column():
    # Rows close together in a wide kernel: the equations of a support are singular.
    X, y = load_breast_cancer(return_X_y=True)
    for column in (8, 21, 24):
        for support in ("exact", "local"):
            model = KNNGraphClassifier(
                metric="euclidean", support=support, random_state=0, ef=64
            ).fit(X[:, [column]], y)
            assert model.optimality_gap_.max() <= model.tol
            assert model.n_iter_ < 100
