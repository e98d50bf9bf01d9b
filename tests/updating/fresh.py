"""A fit from scratch that a changed model is held against."""

from unittest import mock

import numpy as np
from numpy.testing import assert_array_equal
from sklearn.base import clone

from knngraph.metric.choose import Choice

INFERENCES = ("lookup", "adaptive", "cascade")
# Wide enough that a walk over a few hundred nodes passes all of them.
WIDE = 1000


def fit_anew(model, X, y):
    """The same parameters fitted on these rows, placed where the model has them.

    Center, scale and trees are those of the model: they are the one thing that a
    change keeps, and without them all the rest can be compared bit by bit.
    """
    space = model._model.space
    changed = {
        "fit_space": lambda *given, **also: space,
        "grow_on_pairs": lambda rows, training: space.trees,
        "place_by_forest": lambda rows, *plain: (space, rows.placed(space)),
        "choose_map": no_map,
    }
    with mock.patch.multiple("knngraph.metric.place", **changed):
        return clone(model).fit(X, y)


def no_map(*rows, **settings):
    """The choice of no linear map."""
    return Choice(0)


def assert_same_answers(model, fresh, queries):
    """Labels and probabilities of every inference, to the last bit."""
    for inference in INFERENCES:
        model.set_params(inference=inference)
        fresh.set_params(inference=inference)
        assert_array_equal(model.predict(queries), fresh.predict(queries))
        assert_array_equal(model.predict_proba(queries), fresh.predict_proba(queries))


def assert_same_attributes(model, fresh):
    """Everything that fit leaves behind on the rows, to the last bit."""
    for name in (
        "classes_",
        "n_neighbors_",
        "density_",
        "penalty_",
        "lambda_max_",
        "bandwidth_",
        "query_bandwidth_",
        "label_distribution_",
        "labels_",
        "margin_",
        "relabeled_",
        "optimality_gap_",
        "objective_path_",
        "n_iter_",
        "loo_score_",
        "resolved_",
        "noise_matrix_",
    ):
        expected = getattr(fresh, name)
        assert_array_equal(getattr(model, name), expected, err_msg=name)
    assert (model.graph_ != fresh.graph_).nnz == 0
    suspects, expected = model.suspect_labels(), fresh.suspect_labels()
    assert_array_equal(suspects.rows, expected.rows)
    assert_array_equal(suspects.given, expected.given)
    assert_array_equal(suspects.probability, expected.probability)


class Rows:
    """What the rows of a model should be, kept by plain numpy."""

    def __init__(self, X, y):
        self.X, self.y = X, y

    def add(self, X, y):
        self.X, self.y = np.concatenate([self.X, X]), np.concatenate([self.y, y])

    def forget(self, indices):
        self.X, self.y = np.delete(self.X, indices, axis=0), np.delete(self.y, indices)
