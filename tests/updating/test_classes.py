"""Classes that nothing was known of before."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from knngraph import KNNGraphClassifier, KNNGraphClassifierCV
from tests.updating.fresh import (
    INFERENCES,
    WIDE,
    assert_same_answers,
    assert_same_attributes,
)

NAMES = np.array(["a", "ab", "c", "d", "longer"])
WEIGHTS = dict(zip(NAMES.tolist(), (3.0, 1.0, 1.0, 0.5, 2.0)))


def classifier(**parameters):
    settings = {"metric": "euclidean", "ef": WIDE, "random_state": 0}
    return KNNGraphClassifier(**settings | parameters)


def draw_rows(random, n_rows, classes):
    codes = random.integers(0, len(classes), n_rows)
    return random.normal(size=(n_rows, 3)) + 2.0 * codes[:, None], classes[codes]


@settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(
    seed=st.integers(0, 2**32 - 1),
    support=st.sampled_from(["exact", "local"]),
    class_weight=st.sampled_from([None, "balanced", WEIGHTS]),
    looks=st.lists(st.sampled_from([*INFERENCES, "pickle", "nothing"]), max_size=3),
)
def test_answers_are_those_of_classes_known_from_the_start(
    seed, support, class_weight, looks, tried
):
    random = np.random.default_rng(seed)
    order = random.permutation(len(NAMES))
    known, late = NAMES[order[:2]], NAMES[order[2:]]
    parameters = {
        "support": support,
        "class_weight": class_weight,
        "max_neighbors": 8,
    }
    X, y = draw_rows(random, 40, known)
    grown = classifier(**parameters).partial_fit(X, y, classes=known)
    whole = classifier(**parameters).partial_fit(X, y, classes=NAMES)
    queries = draw_rows(random, 20, NAMES)[0]
    for look, name in zip([*looks, "nothing", "nothing"], late):
        if look in INFERENCES:
            for model in (grown, whole):
                model.set_params(inference=look).predict_proba(queries)
        elif look == "pickle":
            grown = pickle.loads(pickle.dumps(grown))
        X, y = draw_rows(random, 10, np.array([*known, name]))
        grown.partial_fit(X, y, classes=[name])
        whole.partial_fit(X, y)
        if random.random() < 0.5:
            gone = random.permutation(len(grown._model.start.pending.kept))[:3]
            grown.forget(gone)
            whole.forget(gone)
    # Named only: no row has come.
    grown.partial_fit(X[:1], y[:1], classes=late)
    whole.partial_fit(X[:1], y[:1])
    assert grown.classes_.tolist() == NAMES.tolist()
    assert_same_attributes(grown, whole)
    assert_same_answers(grown, whole, queries)
    tried["classes that came later"] += len(late)


@pytest.mark.parametrize("metric", ["learned", "trees"])
def test_a_map_stays_and_knows_nothing_of_a_new_class(blobs, metric):
    X, y = blobs
    first = y < 2
    model = KNNGraphClassifier(metric=metric, ef=WIDE, random_state=0)
    model.fit(X[first], y[first])
    space = model._model.space
    assert space.trees is None or space.trees.n_targets == 1
    for late in (3, 2):
        model.partial_fit(X[y == late], y[y == late], classes=[late])
    assert model._model.space is space
    assert_array_equal(model.classes_, range(4))
    for inference in INFERENCES:
        model.set_params(inference=inference)
        assert (model.predict(X) == y).mean() > 0.9
        assert model.predict_proba(X).shape == (240, 4)
    assert model.noise_matrix_.shape == (4, 4)
    # The trees, which have not seen the class, doubt none of its labels.
    suspects = model.suspect_labels()
    assert np.median(suspects.probability[suspects.given >= 2]) > 0.9


def test_a_label_must_be_named(blobs):
    X, y = blobs
    model = classifier().fit(X[y < 3], y[y < 3])
    before = dict(vars(model))
    for classes in (None, [0, 1, 2], [7]):
        with pytest.raises(
            ValueError,
            match=r"y holds 3, which is none of the classes 0, 1, 2.*=\[..., 3\]",
        ):
            model.partial_fit(X, y, classes=classes)
    for classes, message in (
        (
            ["3"],
            r"classes=\['3'\] are of another kind than the classes 0, 1, 2",
        ),
        ([], "classes is empty"),
        ([3, None], "is no list of classes"),
    ):
        with pytest.raises((TypeError, ValueError), match=message):
            model.partial_fit(X, y, classes=classes)
    assert all(vars(model)[name] is value for name, value in before.items())
    # Those that are known may be named again, in part or all.
    model.partial_fit(X[:9], np.zeros(9, dtype=int), classes=[0])
    assert model.classes_ is before["classes_"]
    assert_array_equal(model.partial_fit(X, y, classes=range(4)).classes_, range(4))


@pytest.mark.parametrize(
    ("known", "late", "expected"),
    [
        (np.array([1, 5]), [2.0], np.array([1, 2, 5])),
        (np.array([1.0, 5.0]), [2], np.array([1.0, 2.0, 5.0])),
        (np.array([1, 5], dtype=np.uint8), [300], np.array([1, 5, 300])),
        (np.array(["b", "d"]), ["carrot"], np.array(["b", "carrot", "d"])),
        (np.array(["b", "d"], dtype=object), ["c"], np.array(["b", "c", "d"])),
        (np.array([False, True]), [2], np.array([0, 1, 2])),
    ],
    ids=str,
)
def test_kinds_of_classes(known, late, expected):
    X = np.array([[0.0], [1.0], [2.0], [3.0]])
    model = classifier().fit(X[[0, 0, 3]], known[[0, 0, 1]])
    model.partial_fit(X[[2]], late, classes=late)
    assert_array_equal(model.classes_, expected)
    if known.dtype.kind in "ifO" and np.can_cast(late[0].__class__, known.dtype):
        assert model.classes_.dtype == known.dtype
    assert model.predict(X[[2]]) == late
    assert model.predict(X[[0]]) == known[0]


def test_one_class_may_become_two():
    X = np.arange(12.0)[:, None]
    model = classifier(metric="trees").fit(X[:6], ["n"] * 6)
    model.partial_fit(X[6:], ["b"] * 6, classes=["b"])
    assert_array_equal(model.predict(X), ["n"] * 6 + ["b"] * 6)
    assert_array_equal(model.suspect_labels().probability > 0.5, True)


def test_weights_of_classes_are_those_of_all(blobs):
    X, y = blobs
    first = y < 3
    weights = {0: 1.0, 1: 2.0, 2: 1.0, 9: 5.0}
    model = classifier(class_weight=weights).fit(X[first], y[first])
    # As at fit: a name that no class has is a mistake where a class is left out.
    with pytest.raises(ValueError, match="class_weight names 9"):
        classifier(class_weight=weights).fit(X, y)
    before = dict(vars(model))
    with pytest.raises(ValueError, match="class_weight names 9"):
        model.partial_fit(X[~first], y[~first], classes=[3])
    assert all(vars(model)[name] is value for name, value in before.items())


@pytest.mark.parametrize("inference", INFERENCES)
def test_what_was_made_before_keeps_its_classes(blobs, inference):
    X, y = blobs
    first = y < 3
    model = classifier(inference=inference).fit(X[first], y[first])
    shares = model.predict_proba(X)
    predictor, shallow = model.to_predictor(), copy.copy(model)
    deep, loaded = copy.deepcopy(model), pickle.loads(pickle.dumps(model))
    model.partial_fit(X[~first], y[~first], classes=[3])
    assert set(model.predict(X)) == {0, 1, 2, 3}
    for earlier in (predictor, shallow, deep, loaded):
        assert_array_equal(earlier.classes_, range(3))
        assert_array_equal(earlier.predict_proba(X), shares)
    later = model.to_predictor()
    assert_array_equal(later.classes_, range(4))
    assert_array_equal(later.predict_proba(X), model.predict_proba(X))


def test_a_model_that_tunes_itself_takes_new_classes(blobs):
    X, y = blobs
    first = y < 3
    model = KNNGraphClassifierCV(metric="euclidean", ef=WIDE, random_state=0)
    chosen = model.fit(X[first], y[first]).best_params_
    model.partial_fit(X[~first], y[~first], classes=[3])
    assert model.best_params_ is chosen
    rows = np.concatenate([X[first], X[~first]])
    codes = np.concatenate([y[first], y[~first]])
    plain = classifier(inference="adaptive", **chosen).fit(rows, codes)
    assert_array_equal(model.predict(X), plain.predict(X))
    assert_allclose(model.predict_proba(X), plain.predict_proba(X), atol=0.02)


def test_an_interrupt_leaves_the_classes(blobs, monkeypatch):
    X, y = blobs
    first = y < 3
    model = classifier().fit(X[first], y[first])
    before = dict(vars(model))

    def interrupt(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("knngraph.updating.estimator.LearnedAttributes", interrupt)
        with pytest.raises(KeyboardInterrupt):
            model.partial_fit(X[~first], y[~first], classes=[3])
    assert all(vars(model)[name] is value for name, value in before.items())
