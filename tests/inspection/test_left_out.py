"""Explanations of training rows without their own votes, and rows of other classes."""

import numpy as np
import pytest
from sklearn.datasets import load_iris, load_wine

from knngraph import KNNGraphClassifier, KNNGraphClassifierCV


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


def by_label(explanation):
    """Votes of the classes, added up over the voters."""
    votes = dict.fromkeys(explanation.classes.tolist(), 0.0)
    for voter in explanation.voters:
        votes[voter.label] += voter.weight * voter.reliability
        if voter.rival is not None:
            votes[voter.rival] += voter.weight * (1.0 - voter.reliability)
    return np.array(list(votes.values()))


@pytest.mark.parametrize(
    "classifier",
    [
        KNNGraphClassifier(random_state=0),
        KNNGraphClassifier(metric="cosine", vote="labels", random_state=0),
        KNNGraphClassifier(class_weight={0: 1.0, 1: 2.0, 2: 0.5}, random_state=0),
        KNNGraphClassifierCV(random_state=0),
        KNNGraphClassifier(metric="trees", random_state=0),
    ],
    ids=["auto", "cosine", "class_weight", "cv", "trees"],
)
def test_the_votes_are_those_of_the_leave_one_out_answers(iris, classifier):
    X, y = iris
    y = y.copy()
    y[[3, 60, 110]] = 2, 0, 1
    classifier.fit(X, y)
    left_out = classifier._model.left_out
    pairs = classifier._model.training.pair_of_row
    rows = [3, 60, 110, 0, 149]
    for row, said in zip(rows, classifier.explain_left_out(rows)):
        np.testing.assert_allclose(by_label(said), said.scores, atol=1e-12)
        assert said.query == row
        assert row not in [n.row for n in said.neighbors]
        assert said.scores[y[row]] == pytest.approx(left_out.own_share[pairs[row]])
        assert said.probabilities.argmax() == said.scores.argmax()
        assert said.probabilities.sum() == pytest.approx(1.0)
        values = X[row]
        if classifier.metric_ == "cosine":
            values = values / np.linalg.norm(values)
        np.testing.assert_allclose(said.values, values, rtol=1e-4)


def test_a_fit_without_the_row_answers_alike(iris):
    # Without a learned map and with given settings nothing depends on the row.
    X, y = iris
    settings = {
        "metric": "euclidean",
        "vote": "labels",
        "inference": "adaptive",
        "query_bandwidth": 1.0,
        "random_state": 0,
    }
    whole = KNNGraphClassifier(**settings).fit(X, y)
    for row in (20, 77, 133):
        kept = np.delete(np.arange(len(X)), row)
        other = KNNGraphClassifier(**settings).fit(X[kept], y[kept])
        new = other.explain(X[[row]])[0]
        old = whole.explain_left_out([row])[0]
        np.testing.assert_allclose(new.scores, old.scores, atol=1e-5)
        votes = {kept[v.row]: v.weight for v in new.voters}
        assert votes.keys() == {v.row for v in old.voters}
        for voter in old.voters:
            assert votes[voter.row] == pytest.approx(voter.weight, abs=1e-5)
            assert voter.shares.sum() == pytest.approx(1.0)


def test_copies_vote_under_the_names_of_the_other_rows():
    X = np.array([[0.0], [0.0], [0.0], [1.0], [5.0], [6.0], [6.0], [7.0]])
    y = np.array([0, 0, 1, 0, 1, 1, 1, 0])
    classifier = KNNGraphClassifier(metric="euclidean", random_state=0).fit(X, y)
    first, second, third = classifier.explain_left_out([0, 1, 2])
    for said, row, copies in ((first, 0, {1, 2}), (second, 1, {0, 2}), (third, 2, {0})):
        at_the_place = {n.row for n in said.neighbors if n.distance == 0.0}
        assert at_the_place == copies
        assert row not in at_the_place
        np.testing.assert_allclose(by_label(said), said.scores, atol=1e-12)


def test_others_are_the_nearest_rows_of_the_second_class(iris):
    X, y = iris
    classifier = KNNGraphClassifier(
        metric="euclidean", inference="adaptive", random_state=0
    ).fit(X[::2], y[::2])
    for said in classifier.explain(X[51:130:13], n_others=4):
        second = np.argsort(-said.probabilities, kind="stable")[1]
        of_class = np.flatnonzero(y[::2] == second)
        away = np.linalg.norm(X[::2][of_class] - X[51:130:13][said.query], axis=1)
        assert {o.label for o in said.others} == {second}
        np.testing.assert_allclose(
            [o.distance for o in said.others], np.sort(away)[:4], rtol=1e-5
        )
        assert all(o.shares.sum() == pytest.approx(1.0) for o in said.others)
        assert all(o.weight == 0.0 for o in said.others)
    assert classifier.explain(X[:1], n_others=0)[0].others == ()
    assert len(classifier.explain(X[:1])[0].others) == 3


def test_others_of_a_left_out_row_are_not_the_row():
    X = np.array([[0.0], [0.1], [0.2], [0.15], [5.0], [5.1]])
    y = np.array([0, 0, 0, 1, 1, 1])
    classifier = KNNGraphClassifier(metric="euclidean", random_state=0).fit(X, y)
    (said,) = classifier.explain_left_out([3], n_others=5)
    assert said.predicted == 0
    assert [o.row for o in said.others] == [4, 5]


@pytest.mark.parametrize("rows", [[150], [-1], [0.5], [[1]], "a", [True]])
def test_rows_that_are_none_are_refused(iris, rows):
    classifier = KNNGraphClassifier(random_state=0).fit(*iris)
    with pytest.raises(ValueError, match="rows must be"):
        classifier.explain_left_out(rows)
    assert classifier.explain_left_out([]) == []


def test_a_row_needs_another_to_vote(iris):
    classifier = KNNGraphClassifier(random_state=0).fit(iris[0][:1], iris[1][:1])
    with pytest.raises(ValueError, match="There is one training row"):
        classifier.explain_left_out([0])
    classifier.partial_fit(iris[0][:1], iris[1][:1])  # a copy is another
    assert classifier.explain_left_out([0])[0].row == 0


def test_distances_are_those_of_the_vote():
    # Maps that have not seen a row find its neighbors, not the map of all rows.
    X, y = load_wine(return_X_y=True)
    model = KNNGraphClassifier(metric="learned", random_state=0).fit(X, y)
    training, neighbors = model._model.training, model._model.left_out_neighbors
    scale, n_listed = model._model.rows.space.scale, 0
    for said in model.explain_left_out(range(0, len(X), 20)):
        nodes = training.node_of_row[[n.row for n in said.neighbors]]
        own = training.node_of_row[said.query]
        found = dict(zip(neighbors.ids[own], neighbors.squared[own]))
        expected = scale * np.sqrt([found[node] for node in nodes])
        distances = [n.distance for n in said.neighbors]
        np.testing.assert_allclose(distances, expected, rtol=1e-6)
        assert said.distance == min(distances)
        for other in said.others:
            node = training.node_of_row[other.row]
            if node in found:
                n_listed += 1
                away = scale * np.sqrt(found[node])
                assert other.distance == pytest.approx(away, rel=1e-5)
    assert n_listed > 5
