"""Whatever people pass: the same numbers give the same answers."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from knngraph import KNNGraphClassifier

# How well greedy searches do on these few rows is not the question here.
pytestmark = pytest.mark.filterwarnings(
    "ignore::knngraph.exceptions.LookupAgreementWarning"
)


@pytest.fixture(scope="module")
def whole_numbers(blobs):
    """Training rows and queries that every number type holds exactly."""
    X = np.round(blobs[0] * 200).astype(np.int16)
    return X[:180], blobs[1][:180], X[180:]


# A large `ef`: the order in which rows enter the index follows their centered
# bytes, which differ between sparse and dense data, and with it the graph.
def fitted(X, y, **settings):
    """A classifier whose walk finds the nearest row."""
    return KNNGraphClassifier(ef=180, random_state=0, **settings).fit(X, y)


@pytest.fixture(scope="module")
def expected(whole_numbers):
    """Answers to double-precision arrays."""
    X, y, queries = whole_numbers
    return fitted(X.astype(float), y).predict_proba(queries.astype(float))


def read_only(X):
    X = X.astype(float)
    X.setflags(write=False)
    return X


def frame_names(X):
    return [f"f{i}" for i in range(X.shape[1])]


CONTAINERS = {
    "float32": lambda X: X.astype(np.float32),
    "int16": lambda X: X,
    "int64": lambda X: X.astype(np.int64),
    "big endian": lambda X: X.astype(">f8"),
    "object": lambda X: X.astype(object),
    "Fortran order": lambda X: np.asfortranarray(X.astype(float)),
    "strided": lambda X: np.repeat(np.repeat(X, 2, axis=0), 3, axis=1)[::2, ::3],
    "reversed": lambda X: np.ascontiguousarray(X[::-1, ::-1])[::-1, ::-1],
    "read-only": read_only,
    "list": lambda X: X.tolist(),
    "pandas": lambda X: pd.DataFrame(X, columns=frame_names(X)),
    "pandas float32": lambda X: pd.DataFrame(X.astype(np.float32)),
    "polars": lambda X: pl.DataFrame(X.astype(float), schema=frame_names(X)),
    "CSR array": lambda X: sparse.csr_array(X.astype(float)),
    "CSR matrix": lambda X: sparse.csr_matrix(X.astype(np.float32)),
    "CSC array": lambda X: sparse.csc_array(X.astype(float)),
    "COO array": lambda X: sparse.coo_array(X.astype(float)),
}


@pytest.mark.parametrize("container", CONTAINERS)
def test_containers(container, whole_numbers, expected):
    X, y, queries = whole_numbers
    wrap = CONTAINERS[container]
    model = fitted(wrap(X), y)
    assert_allclose(model.predict_proba(wrap(queries)), expected, atol=1e-3)
    assert_array_equal(
        model.predict(wrap(queries)), model.classes_[expected.argmax(axis=1)]
    )


def test_memory_mapped_rows(whole_numbers, expected, tmp_path):
    X, y, queries = whole_numbers
    np.save(tmp_path / "X.npy", X.astype(float))
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    model = fitted(mapped, y)
    assert_array_equal(model.predict_proba(queries.astype(float)), expected)


def test_the_input_is_not_touched(whole_numbers):
    X, y, queries = (np.array(a) for a in whole_numbers)
    for dtype in (np.int16, np.float32, np.float64):
        for order in ("C", "F"):
            A = X.astype(dtype, order=order)
            b = queries.astype(dtype, order=order)
            fitted(A, y).predict(b)
            assert_array_equal(A, X)
            assert_array_equal(b, queries)


def test_names_of_columns_are_kept_and_checked(whole_numbers):
    X, y, queries = whole_numbers
    frame = pd.DataFrame(X, columns=list("abcde"))
    model = fitted(frame, y)
    assert model.feature_names_in_.tolist() == list("abcde")
    with pytest.raises(ValueError, match="same order"):
        model.predict(pd.DataFrame(queries, columns=list("edcba")))


LABELS = {
    "strings": lambda y: np.array(["ant", "bee", "cat", "dog"])[y],
    "objects": lambda y: np.array(["ant", "bee", "cat", "dog"], dtype=object)[y],
    "list of strings": lambda y: [["ant", "bee", "cat", "dog"][i] for i in y],
    "pandas": lambda y: pd.Series(np.array(["ant", "bee", "cat", "dog"])[y]),
    "categories": lambda y: pd.Series(list("abcd"))[y].astype("category"),
    "gaps": lambda y: y * 10 - 7,
    "floats": lambda y: y.astype(float),
    "column of int8": lambda y: y.astype(np.int8),
}


@pytest.mark.parametrize("kind", LABELS)
def test_labels(kind, whole_numbers, expected):
    X, y, queries = whole_numbers
    labels = LABELS[kind](y)
    model = fitted(X, labels)
    given = np.asarray(labels)
    assert_array_equal(model.classes_, np.unique(given))
    assert_array_equal(model.labels_, given)  # these data have no consensus change
    predicted = model.predict(queries)
    assert predicted.dtype == model.classes_.dtype
    assert_array_equal(predicted, np.unique(given)[expected.argmax(axis=1)])


def test_booleans(whole_numbers):
    X, y, queries = whole_numbers
    model = fitted(X, y == 2)
    assert model.classes_.tolist() == [False, True]
    assert model.predict(queries).dtype == bool
    assert model.labels_.dtype == bool
    as_numbers = fitted(X, (y == 2).astype(int)).predict(queries)
    assert_array_equal(model.predict(queries), as_numbers == 1)


def test_targets_that_are_no_classes(whole_numbers):
    X, y, _ = whole_numbers
    with pytest.raises(ValueError, match="Unknown label type"):
        fitted(X, y + 0.5)
    with pytest.raises(ValueError, match=r"2 columns.*MultiOutputClassifier"):
        fitted(X, np.column_stack([y, y]))


def test_a_batch_is_answered_row_by_row(whole_numbers):
    X, y, queries = whole_numbers
    model = KNNGraphClassifier(random_state=0).fit(X, y)
    alone = np.concatenate([model.predict_proba(q[None]) for q in queries])
    assert_array_equal(model.predict_proba(queries), alone)
    assert_array_equal(
        model.predict(queries), [model.predict(q[None])[0] for q in queries]
    )


@pytest.mark.parametrize("kind", [sparse.csr_array, np.asarray])
def test_cosine_ignores_the_length_of_rows(kind, whole_numbers, random):
    X, y, queries = (np.array(a, dtype=float) for a in whole_numbers)
    factors = np.exp2(random.integers(-20, 20, size=len(X)))[:, None]
    model = fitted(kind(X), y, metric="cosine")
    scaled = fitted(kind(X * factors), y, metric="cosine")
    assert_array_equal(scaled.graph_.toarray(), model.graph_.toarray())
    assert_array_equal(
        model.predict_proba(kind(queries * 3.7)), model.predict_proba(kind(queries))
    )


def test_a_row_of_zeros_has_no_direction_but_an_answer(whole_numbers):
    X, y, queries = (np.array(a, dtype=float) for a in whole_numbers)
    X[3] = 0.0
    queries[0] = 0.0
    model = fitted(X, y, metric="cosine")
    assert model.predict(queries)[0] == y[3]
    assert np.isfinite(model.graph_.data).all()
