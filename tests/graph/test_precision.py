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
