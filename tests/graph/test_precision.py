"""Where single precision is not enough, and nowhere else, rows are held in double."""

import numpy as np

from knngraph import KNNGraphClassifier


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
