"""Rows that are forgotten by the ids that they were given."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from sklearn import config_context
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from knngraph import KNNGraphClassifier, KNNGraphClassifierCV
from knngraph.inspection import explain_table
from tests.updating.fresh import WIDE, assert_same_answers, assert_same_attributes


def classifier(**parameters):
    settings = {"metric": "euclidean", "ef": WIDE, "random_state": 0}
    return KNNGraphClassifier(**settings | parameters)


@pytest.mark.parametrize("kind", ["integers", "strings", "both"])
def test_rows_go_by_id_as_they_go_by_number(blobs, kind):
    X, y = blobs
    numbers = np.random.default_rng(0).permutation(len(y)) * 7
    names = [f"C-{number}" for number in numbers]
    ids = {"integers": numbers, "strings": names}.get(kind)
    if ids is None:
        ids = [*numbers[:99].tolist(), *names[99:]]
    model = classifier().fit(X[:200], y[:200], ids=ids[:200])
    plain = classifier().fit(X[:200], y[:200])
    model.partial_fit(X[200:], y[200:], ids=ids[200:])
    plain.partial_fit(X[200:], y[200:])
    assert_array_equal(model.ids_, np.array(ids, dtype=object))
    gone = [3, 120, 239]
    model.forget(ids=[ids[row] for row in (239, 3, 120, 3)])
    plain.forget(gone)
    assert_array_equal(model.ids_, np.delete(np.array(ids, dtype=object), gone))
    assert_same_attributes(model, plain)
    assert_same_answers(model, plain, X)


OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["add", "add without", "ids", "numbers", "mask", "pickle"]),
        st.integers(1, 4),
    ),
    min_size=1,
    max_size=12,
)


@settings(
    max_examples=30,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(seed=st.integers(0, 2**32 - 1), start=st.booleans(), operations=OPERATIONS)
def test_ids_stay_with_their_rows(seed, start, operations, tried):
    random = np.random.default_rng(seed)
    pool = [*range(40), *(f"n{number}" for number in range(40)), 2**70, -(2**65)]
    pool = [pool[place] for place in random.permutation(len(pool))]

    def new_rows(size):
        return random.normal(size=(size, 2)), random.integers(0, 2, size)

    X, y = new_rows(9)
    held = [pool.pop() for _ in y] if start else [None] * len(y)
    model = classifier(max_neighbors=4)
    model.partial_fit(X, y, classes=[0, 1], ids=held if start else None)
    for operation, size in operations:
        rows = random.choice(len(held), min(size, len(held) - 1), replace=False)
        if operation.startswith("add"):
            added, labels = new_rows(size)
            ids = [pool.pop() for _ in range(size)] if operation == "add" else None
            model.partial_fit(added, labels, ids=ids)
            X, y = np.concatenate([X, added]), np.concatenate([y, labels])
            held += ids or [None] * size
            continue
        if operation == "pickle":
            model = pickle.loads(pickle.dumps(model))
            continue
        if operation == "ids":
            rows = np.array([row for row in rows if held[row] is not None], dtype=int)
            model.forget(ids=[held[row] for row in rows])
        else:
            mask = np.isin(np.arange(len(held)), rows)
            model.forget(mask if operation == "mask" else rows)
        X, y = np.delete(X, rows, axis=0), np.delete(y, rows)
        held = [name for row, name in enumerate(held) if row not in rows]
    if all(name is None for name in held):
        assert model.ids_ is None
    else:
        assert model.ids_.tolist() == held
        whole = all(isinstance(name, int) and abs(name) < 2**63 for name in held)
        assert model.ids_.dtype == (np.int64 if whole else object)
    _, nearest = model.kneighbors(X, 1)
    assert_array_equal(nearest.ravel(), np.arange(len(y)))
    tried["changes of rows with ids"] += len(operations)


@pytest.mark.parametrize(
    ("ids", "error", "message"),
    [
        ([8, 8], ValueError, "ids has 8 twice: an id names one row"),
        ([8, 7], ValueError, r"ids has 7, which row 1 .* forget\(ids=\[7\]\)"),
        ([8], ValueError, "ids has 1 values for 2 rows"),
        (8, ValueError, "ids has 1 values for 2 rows"),
        ("ab", ValueError, "ids has 1 values for 2 rows"),
        ([8, None], TypeError, "ids has None in row 1: an id is an integer or a str"),
        ([8, np.nan], TypeError, "ids has nan in row 1.* where some are missing"),
        (np.array([8.0, 9.0]), TypeError, r"ids has .*8\.0.* in row 0"),
        ([True, False], TypeError, "ids has True in row 0.* A mask of rows"),
        (np.array([True, False]), TypeError, "ids has .*True.* A mask of rows"),
        ([(1, 2), (3, 4)], TypeError, r"ids has \(1, 2\) in row 0"),
        ([b"a", b"b"], TypeError, "ids has b'a' in row 0"),
        (np.array([[1], [2]]), ValueError, r"one-dimensional.* shape \(2, 1\)"),
        (pd.Series([8, pd.NA], dtype="Int64"), TypeError, "ids has <NA> in row 1"),
        (np.array(["2020", "2021"], dtype="M8[Y]"), TypeError, "ids has"),
    ],
)
def test_ids_that_are_refused_change_nothing(blobs, ids, error, message, tried):
    X, y = blobs
    model = classifier().fit(X[:3], y[:3], ids=[5, 7, 9])
    before = dict(vars(model))
    with pytest.raises(error, match=message):
        model.partial_fit(X[:2], y[:2], ids=ids)
    assert all(vars(model)[name] is value for name, value in before.items())
    if "row 1 " not in message:  # no clash with ids that are there
        for first in (classifier(), KNNGraphClassifierCV()):
            with pytest.raises(error, match=message):
                first.fit(X[:2], y[:2], ids=ids)
            with pytest.raises(error, match=message):
                first.partial_fit(X[:2], y[:2], classes=range(4), ids=ids)
            assert not hasattr(first, "n_features_in_")
    tried["inputs refused with the reason"] += 1


@pytest.mark.parametrize(
    ("named", "error", "message"),
    [
        ({"ids": [6, 7, "x"]}, ValueError, "ids has 6, 'x', which no row has"),
        ({"ids": range(20, 40)}, ValueError, "20, 21, 22, 23, 24 and 15 more"),
        ({"ids": "7"}, ValueError, "ids has '7', which no row has"),
        ({"ids": [7.0]}, TypeError, r"ids has 7\.0 in row 0"),
        ({"ids": [5, 7, 9]}, ValueError, "These are all 3 rows"),
        ({"ids": [5], "indices": [0]}, ValueError, "either by their numbers"),
        ({}, ValueError, r"either by their numbers, forget\(indices\), or by their"),
    ],
    ids=str,
)
def test_what_cannot_be_forgotten_changes_nothing(blobs, named, error, message):
    model = classifier().fit(blobs[0][:3], blobs[1][:3], ids=[5, 7, 9])
    before = dict(vars(model))
    with pytest.raises(error, match=message):
        model.forget(**named)
    assert all(vars(model)[name] is value for name, value in before.items())


def test_a_model_without_ids(blobs):
    X, y = blobs
    model = classifier().fit(X, y)
    assert model.ids_ is None
    with pytest.raises(ValueError, match=r"ids has 3, which no row has.*indices"):
        model.forget(ids=3)
    assert model.forget(ids=[]).forget(0).partial_fit(X[:1], y[:1]).ids_ is None
    assert not hasattr(classifier(), "ids_")
    with pytest.raises(NotFittedError):
        classifier().forget(ids=3)


def test_ways_to_give_ids(blobs):
    X, y = blobs
    numbers = np.arange(7000, 7240, dtype=np.uint16)
    for ids in (
        numbers,
        numbers.astype(np.uint64),
        numbers.tolist(),
        range(7000, 7240),
        pd.Series(numbers, index=numbers[::-1]),
        pd.Series(numbers, dtype="Int64"),
        pd.Index(numbers),
        np.array(numbers, dtype=object),
    ):
        model = classifier().fit(X, y, ids=ids).forget(ids=7001)
        assert_array_equal(model.ids_, np.delete(numbers, 1))
        assert model.ids_.dtype == np.int64
        assert not model.ids_.flags.writeable
    names = numbers.astype(str)
    for ids in (names, names.tolist(), pd.Series(names), pd.Categorical(names)):
        model = classifier().fit(X, y, ids=ids).forget(ids=np.str_("7001"))
        assert model.ids_.tolist() == np.delete(names, 1).tolist()


def test_rows_of_weight_zero_leave_their_ids(blobs):
    X, y = blobs
    weights = np.array([1.0, 0.0, 2.0, 0.0, 1.0])
    # The id of a row that is left out may be that of another.
    ids = ["a", "b", "c", "a", "e"]
    for fit in (
        lambda model, **of: model.fit(X[:5], y[:5], **of),
        lambda model, **of: model.partial_fit(X[:5], y[:5], classes=range(4), **of),
        lambda model, **of: model.fit(X[5:99], y[5:99]).partial_fit(X[:5], y[:5], **of),
    ):
        model = fit(classifier(), sample_weight=weights, ids=ids)
        assert model.ids_[-3:].tolist() == ["a", "c", "e"]
        with pytest.raises(ValueError, match="ids has 'b'"):
            model.forget(ids="b")


def test_an_id_may_come_back_after_it_is_forgotten(blobs):
    X, y = blobs
    model = classifier().fit(X, y, ids=np.arange(len(y)))
    model.forget(ids=7).partial_fit(X[7:8] + 1.0, y[7:8], ids=[7])
    assert model.ids_.tolist() == [*np.delete(np.arange(len(y)), 7), 7]
    assert model.explain(X[7:8] + 1.0)[0].row_id == 7


def test_fit_starts_anew(blobs):
    X, y = blobs
    model = classifier().fit(X, y, ids=np.arange(len(y)))
    assert model.fit(X, y).ids_ is None


def test_what_was_made_before_keeps_its_ids(blobs):
    X, y = blobs
    model = KNNGraphClassifierCV(metric="euclidean", random_state=0)
    model.fit(X, y, ids=np.arange(len(y)))
    copies = copy.copy(model), copy.deepcopy(model), pickle.loads(pickle.dumps(model))
    predictor, answers = model.to_predictor(), model.predict(X)
    model.forget(ids=range(200))
    assert_array_equal(model.ids_, np.arange(200, 240))
    for one in copies:
        assert_array_equal(one.ids_, np.arange(240))
        assert_array_equal(one.predict(X), answers)
    assert_array_equal(predictor.predict(X), answers)


def test_explanations_name_rows_by_id(blobs):
    X, y = blobs
    ids = [f"C-{row}" for row in range(200)]
    model = classifier(inference="adaptive").fit(X[:200], y[:200], ids=ids)
    model.partial_fit(X[200:], y[200:])
    plain = classifier(inference="adaptive").fit(X[:200], y[:200])
    plain.partial_fit(X[200:], y[200:])
    for said, unnamed in zip(
        model.explain(X, n_others=2) + model.explain_left_out(range(240), n_others=2),
        plain.explain(X, n_others=2) + plain.explain_left_out(range(240), n_others=2),
    ):
        rows = [said.row, *(n.row for n in said.neighbors + said.others)]
        names = [said.row_id, *(n.id for n in said.neighbors + said.others)]
        assert names == [ids[row] if row < 200 else None for row in rows]
        assert rows == [
            unnamed.row,
            *(n.row for n in unnamed.neighbors + unnamed.others),
        ]
        assert [n.weight for n in said.neighbors] == [
            n.weight for n in unnamed.neighbors
        ]
    explained = model.explain(X[[3]])[0]
    assert "nearest training row C-3: given" in str(explained)
    assert explained.voters[0].id in str(explained).split()
    assert explained.to_frame()["id"][0] == explained.neighbors[0].id
    assert "id" not in plain.explain(X[[3]])[0].to_frame()
    table = explain_table(model, X[[3]])[0]
    assert table.reached.name == "C-3"
    assert table.to_frame().index[0] == table.voters[0].neighbor.id


def test_suspect_labels_name_rows_by_id(blobs):
    X, y = blobs
    ids = 1000 + np.arange(len(y))
    wrong = np.where(np.arange(len(y)) == 12, (y + 1) % 4, y)
    model = classifier(inference="adaptive").fit(X, wrong, ids=ids)
    suspects = model.suspect_labels(5)
    assert_array_equal(suspects.ids, ids[suspects.rows])
    assert f"{suspects.ids[0]}" in str(suspects)
    assert_array_equal(suspects.to_frame()["id"], suspects.ids)
    model.forget(ids=suspects.ids)
    assert_array_equal(model.ids_, np.delete(ids, suspects.rows))


def test_ids_pass_a_pipeline_and_cross_validation(blobs):
    X, y = blobs
    ids, seen = np.arange(len(y)) + 50, []

    class Watched(KNNGraphClassifier):
        def fit(self, X, y, sample_weight=None, *, ids=None):
            seen.append(ids)
            return super().fit(X, y, sample_weight, ids=ids)

    pipeline = make_pipeline(StandardScaler(), Watched(ef=WIDE, random_state=0))
    assert_array_equal(pipeline.fit(X, y, watched__ids=ids)[-1].ids_, ids)
    with config_context(enable_metadata_routing=True):
        model = Watched(ef=WIDE, random_state=0).set_fit_request(ids=True)
        cross_val_score(model, X, y, cv=3, params={"ids": ids})
    assert [len(given) for given in seen] == [240, 160, 160, 160]
