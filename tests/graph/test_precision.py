"""Where single precision is not enough, and nowhere else, rows are held in double."""

from types import SimpleNamespace

import numpy as np
import pytest

from knngraph import KNNGraphClassifier
from knngraph.graph import precision
from knngraph.graph.precision import loses_digits, place_precisely, search_precisely
from knngraph.graph.training_set import build_training_set
from knngraph.index.exact import FEW_COLUMNS
from knngraph.space import fit_space
from tests.graph.changing import exact_lists


def test_near_copies_with_other_labels_are_placed_apart():
    # Many rows have two next to each other as their nearest, a rounding apart.
    random = np.random.default_rng(0)
    rows = random.normal(size=(900, 20))
    rows[300:600] = rows[600:] * (1.0 + 3e-8 * random.normal(size=(300, 20)))
    labels = random.integers(3, size=900)
    model = KNNGraphClassifier(inference="adaptive", random_state=0).fit(rows, labels)
    assert model.predict(rows).shape == labels.shape


def test_places_that_rounding_moves():
    # A cluster a hundred million times as far from the others as it is wide.
    random = np.random.default_rng(0)
    tight = 1e8 + random.normal(size=(100, 2))
    X, y = np.concatenate([tight, -tight]), random.integers(2, size=200)
    model = KNNGraphClassifier(random_state=0, max_neighbors=1).fit(X, y)
    assert model.precision_ == "double"


def test_sentinels_of_one_column_are_no_blur():
    # The coordinate that is far from the center is the same in all of them.
    random = np.random.default_rng(0)
    X, y = random.normal(size=(600, 6)), random.integers(2, size=600)
    X[random.random(600) < 0.37, 2] = 1e9
    model = KNNGraphClassifier(random_state=0, metric="euclidean", ef=64).fit(X, y)
    assert model.precision_ == "single"


def test_ties_of_float32_are_ties():
    X = np.round(np.random.default_rng(0).normal(size=(300, 1)), 2) + 50.0
    y = np.arange(300) % 2
    for dtype in (np.float32, np.float64):
        model = KNNGraphClassifier(random_state=0, ef=64).fit(X.astype(dtype), y)
        assert model.precision_ == "single"


def placed(X, codes=None, space=None, k=8):
    """Mapped rows, their training set and exact lists."""
    X = np.asarray(X, dtype=np.float64)
    space = fit_space(X, "euclidean") if space is None else space
    codes = np.zeros(len(X), int) if codes is None else codes
    training = build_training_set(space.map_rows(X), codes, int(codes.max()) + 1)
    return space, X, training, exact_lists(training, k)


def loses(X, **settings):
    """Whether rows of some columns lose digits, with lists where there are many."""
    space, X, training, lists = placed(X, **settings)
    few = training.points.shape[1] <= FEW_COLUMNS
    return loses_digits(space, X, training, None if few else lists)


def columns(X, n):
    """The same rows with constant columns more."""
    return np.concatenate([X, np.zeros((len(X), n - X.shape[1]))], axis=1)


WIDE = FEW_COLUMNS + 1


@pytest.mark.parametrize("n_columns", [1, FEW_COLUMNS, WIDE])
def test_digits_are_lost_where_clusters_are_narrower_than_single_precision(
    n_columns, random
):
    spread = random.normal(size=(60, 1))
    for apart, lost in ((1e2, False), (1e9, True)):
        X = columns(spread + apart * (np.arange(60)[:, None] % 2), n_columns)
        assert loses(X) == lost, apart


def test_which_lists_are_looked_at(random):
    X = columns(random.normal(size=(60, 1)) + 1e9 * (np.arange(60)[:, None] % 2), 1)
    space, X, training, lists = placed(X)
    assert loses_digits(space, X, training)
    # Rows of few columns are looked at before there are lists, and only then.
    assert not loses_digits(space, X, training, lists)
    double = space.in_double()
    assert not loses_digits(double, *placed(X, space=double)[1:3])
    space, X, training, lists = placed(columns(X, WIDE))
    assert loses_digits(space, X, training, lists)
    assert not loses_digits(space, X, training)


@pytest.mark.parametrize(("n_copies", "lost"), [(1, False), (2, True)])
def test_one_row_in_a_thousand_may_lose_its_digits(n_copies, lost, random):
    # In single precision they are one node: two rows of as many as are looked at.
    X = random.normal(size=(precision.PRECISION_SAMPLE + n_copies, WIDE))
    X[:n_copies] = X[n_copies : 2 * n_copies] * (1.0 + 1e-12)
    assert loses(X) == lost
    # Rows that are the same are no such rows.
    X[:n_copies] = X[n_copies : 2 * n_copies]
    assert not loses(X)


def test_a_single_row_of_few_columns_may_not(random):
    X = random.normal(size=(900, 2))
    assert not loses(X)
    X[5] = X[6] * (1.0 + 1e-12)
    assert loses(X)


def test_order_that_rounding_changes_is_found_in_any_block(random, monkeypatch):
    # Row 1 is nearer to row 0 than row 2 is, by less than single precision holds.
    near = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0 + 1e-10]])
    far = 5.0 + random.normal(size=(40, 2)) * 0.3
    X = np.concatenate([near, far])
    expected = loses(X)
    assert expected
    monkeypatch.setattr(precision, "_NUMBERS_PER_BLOCK", 1)
    assert loses(X)
    X[2, 1] = 1.0
    assert not loses(X)  # a tie in all digits


def test_distances_and_their_rounding():
    X = np.array([[0.0, 3.0], [4.0, 3.0], [4.0, 7.0]])
    space = fit_space(X, "euclidean")
    one, two = np.array([0, 0, 1, 2]), np.array([1, 2, 2, 2])
    distance, rounding, moved = precision._distances(space, X, one, two, 1e-3)
    in_units = distance * space.scale
    np.testing.assert_allclose(in_units, [4.0, np.sqrt(32.0), 4.0, 0.0])
    double = space.in_double().map_rows(X)
    differs = double[one] != double[two]
    size = np.where(differs, np.abs(double[one]) + np.abs(double[two]), 0.0)
    np.testing.assert_allclose(rounding, 1e-3 * np.linalg.norm(size, axis=1))
    # Small whole numbers are not rounded at all.
    assert (moved == 0.0).all()


@pytest.mark.parametrize(
    ("dtype", "eps"), [(np.float32, 2.0**-23), (np.float64, 2.0**-52), (int, 2.0**-52)]
)
def test_numbers_are_rounded_as_their_type(dtype, eps):
    assert precision._rounding_of(np.zeros((1, 1), dtype=dtype)) == 2.0 * eps


def test_placing_again_where_digits_are_lost(random):
    tight = random.normal(size=(60, 1)) + 1e9 * (np.arange(60)[:, None] % 2)
    for n_columns in (1, WIDE):
        for X, lost in ((tight, True), (tight % 1.0, False)):
            X, asked, searched = columns(X, n_columns), [], []

            def place(precision_of, X=X, asked=asked):
                asked.append(precision_of)
                space = fit_space(X, "euclidean")
                space = space.in_double() if precision_of == "double" else space
                training = placed(X, space=space)[2]
                return SimpleNamespace(space=space, training=training, neighbors=None)

            def search(found, searched=searched):
                searched.append(found.space.precision)
                found.neighbors = exact_lists(found.training, 8)
                return found

            first = place_precisely(X, place)
            found = search_precisely(X, first, place, search)
            assert found.space.precision == ("double" if lost else "single")
            assert asked == (["single", "double"] if lost else ["single"])
            few = n_columns == 1
            wanted = ["double"] if few and lost else ["single"]
            wanted += ["double"] if lost and not few else []
            assert searched == wanted
