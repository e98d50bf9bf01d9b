"""A predictor says what its classifier says, to the bit."""

import copy
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.datasets import load_iris

from knngraph import KNNGraphClassifier, KNNGraphClassifierCV, load_predictor
from knngraph.index.exact import ExactIndex
from knngraph.learned import LearnedAttributes
from tests.serving.models import INFERENCES, fitted

LABELS = {
    "text": np.array(["setosa", "versicolor", "a longer name"]),
    "objects": np.array(["setosa", "versicolor", "ü"], dtype=object),
    "integers": np.array([-5, 7, 2**40]),
    "flags": np.array([True, False, True]),
    "numbers": np.array([0.0, 1.0, 2.0], dtype=np.float32),
}


def check_same(classifier, predictor, queries):
    """Batches, single rows and probabilities, and the type of the labels."""
    expected = classifier.predict(queries)
    answers = predictor.predict(queries)
    assert_array_equal(answers, expected, strict=True)
    assert_array_equal(
        predictor.predict_proba(queries),
        classifier.predict_proba(queries),
        strict=True,
    )
    one_by_one = [predictor(row) for row in queries]
    assert one_by_one == expected.tolist()
    assert type(one_by_one[0]) is type(expected[0])
    alone = [predictor.predict(row[None])[0] for row in queries[:10]]
    assert alone == expected[:10].tolist()
    assert_array_equal(predictor.classes_, classifier.classes_, strict=True)
    return len(queries)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("metric", ["euclidean", "cosine", "learned", "trees"])
@pytest.mark.parametrize("inference", INFERENCES)
def test_same_answers(inference, metric, dtype, tmp_path):
    classifier, queries = fitted(inference, metric, dtype=dtype)
    predictor = classifier.to_predictor()
    check_same(classifier, predictor, queries)
    predictor.save(tmp_path / "model")
    for mmap in (True, False):
        loaded = load_predictor(tmp_path / "model", mmap=mmap)
        check_same(classifier, loaded, queries)
    check_same(classifier, pickle.loads(pickle.dumps(predictor)), queries)


@pytest.mark.parametrize("kind", LABELS)
def test_labels_keep_their_type(kind, tmp_path):
    classifier, queries = fitted("lookup", labels=LABELS[kind])
    classifier.to_predictor().save(tmp_path / "model")
    check_same(classifier, load_predictor(tmp_path / "model"), queries)


@pytest.mark.parametrize("inference", INFERENCES)
def test_same_answers_on_an_exact_index(inference, tmp_path):
    classifier, queries = fitted(inference)
    model = classifier._model
    classifier.set_params(walk="hnsw")  # medoids are of a graph
    index = ExactIndex(model.training.points)
    exact = replace(model, start=replace(model.rows, index=index))
    classifier._learned = LearnedAttributes(exact, classifier.classes_)
    check_same(classifier, classifier.to_predictor(), queries)
    classifier.to_predictor().save(tmp_path / "model")
    check_same(classifier, load_predictor(tmp_path / "model"), queries)


@pytest.mark.parametrize(
    ("shift", "scale", "dtype"),
    [(1e8, 1.0, np.float64), (0.1, 1.0, np.float32), (0, 1e-20, np.float32),
     (3e5, 1e30, np.float64), (0, 1e3, np.int64), (5, 1, np.uint8)],
)  # fmt: skip
def test_same_answers_wherever_the_data_are(shift, scale, dtype):
    X, y = load_iris(return_X_y=True)
    X = (X * scale + shift).astype(dtype)
    classifier = KNNGraphClassifier(ef=4, random_state=0).fit(X, y)
    check_same(classifier, classifier.to_predictor(), X)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_column_beyond_single_precision(dtype):
    X, y = load_iris(return_X_y=True)
    X = np.column_stack([X, np.full(len(X), 1e300)])
    classifier = KNNGraphClassifier(ef=4, random_state=0).fit(X, y)
    predictor = classifier.to_predictor()
    check_same(classifier, predictor, X)
    rows = np.column_stack([X[:, :4], np.zeros(len(X))]).astype(dtype)
    check_same(classifier, predictor, rows)


def test_rows_of_another_dtype_and_layout():
    classifier, queries = fitted("lookup", dtype=np.float64)
    predictor = classifier.to_predictor()
    rows = np.round(queries * 4)
    for dtype in (np.float16, np.float32, np.int8, np.int64, np.bool_, object):
        given = rows.astype(dtype)
        assert_array_equal(predictor.predict(given), classifier.predict(given))
        assert [predictor(r) for r in given] == classifier.predict(given).tolist()
    lists = rows.tolist()
    assert_array_equal(predictor.predict(lists), classifier.predict(lists))
    assert predictor(lists[3]) == classifier.predict(lists)[3]
    for given in (np.asfortranarray(rows), rows[::-2], sparse.csr_matrix(rows)):
        assert_array_equal(predictor.predict(given), classifier.predict(given))
    strided = np.repeat(rows.astype(np.float32), 2, axis=1)[:, ::2]
    strided.setflags(write=False)
    expected = classifier.predict(rows.astype(np.float32))
    assert [predictor(row) for row in strided] == expected.tolist()


def test_fitted_on_sparse_rows(tmp_path):
    X, y = load_iris(return_X_y=True)
    rows = sparse.csr_matrix(np.where(X > 2, X, 0))
    for inference in INFERENCES:
        classifier = KNNGraphClassifier(inference=inference, random_state=0)
        classifier.fit(rows, y)
        check_same(classifier, classifier.to_predictor(), rows.toarray())
        found = classifier.to_predictor().predict_proba(rows)
        assert_array_equal(found, classifier.predict_proba(rows))


def test_sparse_shares_of_many_classes(tmp_path, monkeypatch):
    monkeypatch.setattr("knngraph.graph.consensus.DENSE_DISTRIBUTION_LIMIT", 1)
    for inference in ("lookup", "cascade"):
        classifier, queries = fitted(inference)
        assert sparse.issparse(classifier.label_distribution_)
        classifier.to_predictor().save(tmp_path / "model")
        check_same(classifier, load_predictor(tmp_path / "model"), queries)


def test_one_row_and_one_class(tmp_path):
    for inference in INFERENCES:
        classifier = KNNGraphClassifier(inference=inference, random_state=0)
        classifier.fit([[1.0, 2.0]], ["only"])
        classifier.to_predictor().save(tmp_path / "model")
        check_same(classifier, load_predictor(tmp_path / "model"), np.eye(2))


def test_the_self_tuning_classifier():
    X, y = load_iris(return_X_y=True)
    classifier = KNNGraphClassifierCV(random_state=0).fit(X, y)
    check_same(classifier, classifier.to_predictor(), X[::3])


def test_it_stays_what_it_was_made_as():
    classifier, queries = fitted("adaptive")
    predictor = classifier.to_predictor()
    expected = classifier.predict_proba(queries)
    classifier.set_params(inference="lookup").fit(queries, queries[:, 0] > 5)
    assert_array_equal(predictor.predict_proba(queries), expected)
    assert predictor.inference == "adaptive"
    assert copy.deepcopy(predictor) is copy.copy(predictor) is predictor
    with pytest.raises(AttributeError, match="does not change"):
        predictor.inference = "lookup"
    with pytest.raises(AttributeError, match="does not change"):
        del predictor._state
    predictor.classes_[:] = 9
    assert 9 not in predictor.classes_


def test_names_of_columns(tmp_path):
    X, y = load_iris(return_X_y=True, as_frame=True)
    classifier = KNNGraphClassifier(metric="euclidean", random_state=0).fit(X, y)
    classifier.to_predictor().save(tmp_path / "model")
    predictor = load_predictor(tmp_path / "model")
    assert_array_equal(predictor.feature_names_in_, X.columns)
    assert_array_equal(predictor.predict(X), classifier.predict(X))
    with pytest.raises(ValueError, match=r"Column 1 .* 'sepal width \(cm\)'"):
        predictor.predict(X[X.columns[[0, 2, 1, 3]]])
    broken = X.copy()
    broken.iloc[4, 2] = np.nan
    with pytest.raises(ValueError, match=r"row 4, column 2 \('petal length"):
        predictor.predict(broken)
    mixed = X.astype({X.columns[0]: object})
    mixed.iloc[3, 0] = "tall"
    with pytest.raises(ValueError, match=r"'tall' in row 3, column 0 \('sepal"):
        predictor.predict(mixed)


@pytest.mark.parametrize("inference", INFERENCES)
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ([1.0, 2.0, 3.0], r"3 columns, .* fitted on 4"),
        (np.zeros(5, np.float32), r"5 columns, .* fitted on 4"),
        (np.zeros((1, 4)), r"shape \(1, 4\).*predict\(X\)"),
        (np.float32(3), r"shape \(\)"),
        ([1.0, np.nan, 3.0, 4.0], r"nan in .*column 1; .*finite"),
        (np.array([1, 2, np.inf, 4], np.float32), r"inf in .*column 2"),
        (np.array([1, 2, np.nan, 4], np.float32), r"nan in .*column 2"),
        (["a", "b", "c", "d"], r"dtype <U1"),
        ([1.0, 2.0, 3.0, 4j], r"dtype complex"),
    ],
)
def test_wrong_rows_are_refused(inference, wrong, message):
    predictor = fitted(inference)[0].to_predictor()
    with pytest.raises(ValueError, match=message):
        predictor(wrong)
    if np.ndim(wrong) == 1:
        for method in (predictor.predict, predictor.predict_proba):
            with pytest.raises(ValueError, match=message):
                method([wrong])


def test_wrong_batches_are_refused():
    classifier, queries = fitted("lookup")
    predictor = classifier.to_predictor()
    with pytest.raises(ValueError, match=r"shape \(4,\).*reshape\(1, -1\)"):
        predictor.predict(queries[0])
    with pytest.raises(ValueError, match=r"3 columns"):
        predictor.predict(sparse.csr_matrix(queries[:, :3]))
    holed = queries.copy()
    holed[7, 3] = np.inf
    for given in (holed, sparse.csr_matrix(holed), pd.DataFrame(holed)):
        with pytest.raises(ValueError, match=r"inf in row 7, column 3"):
            predictor.predict(given)
    assert predictor.predict(queries[:0]).shape == (0,)
    assert predictor.predict_proba(queries[:0]).shape == (0, 3)


@pytest.mark.parametrize("inference", INFERENCES)
def test_far_rows_are_answered_as_the_classifier_does(inference):
    classifier, _ = fitted(inference)
    predictor = classifier.to_predictor()
    limit = 2.0**50
    for size in (limit / 8, limit / 1.01, limit * 1.01, 1e20, 3e38):
        row = np.array([0, 0, -size, 0], dtype=np.float32)
        assert predictor(row) == classifier.predict(row[None])[0]
        assert predictor(row) == predictor(row.astype(np.float64))
    far = [1.0, 1e300, 3.0, 4.0]
    assert predictor(far) == classifier.predict([far])[0]


def test_a_row_out_of_range_beside_rows_at_the_end_of_it(random):
    # What is farther than distances can hold is moved to the largest coordinate, and
    # is nearer to another row there.
    limit = 2.0**50
    y = np.repeat([0, 1, 2], [80, 10, 10])
    spread = np.where(y > 0, 1e-3 * limit, 1.0)[:, None]
    middles = np.array([[0, 0], [-0.95, -0.1], [0, -0.9]]) * limit
    X = (middles[y] + spread * random.normal(size=(100, 2))).astype(np.float32)
    classifier = KNNGraphClassifier(metric="euclidean", ef=32, random_state=0).fit(X, y)
    assert classifier._model.space.scale == 1.0
    predictor = classifier.to_predictor()
    row = (limit * np.array([-1.0, -1.2])).astype(np.float32)
    assert ((row - middles) ** 2).sum(axis=1).argmin() == 2
    assert predictor(row) == classifier.predict(row[None])[0] == 1
    check_same(classifier, predictor, X[::7])


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("inference", INFERENCES)
def test_threads_share_one_predictor(inference):
    classifier, queries = fitted(inference)
    predictor = classifier.to_predictor()
    expected = classifier.predict(queries)
    shares = classifier.predict_proba(queries)

    def ask(seed):
        order = np.random.default_rng(seed).permutation(len(queries))
        rows = np.array([predictor(queries[i]) for i in order])
        batch = predictor.predict_proba(queries, n_jobs=1 + seed % 3)
        return (rows == expected[order]).all() and (batch == shares).all()

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(24)))


PROGRAM = """
import sys
import numpy as np
import knngraph
rows = np.load(sys.argv[2])
if sys.argv[1].endswith(".pickle"):
    import pickle
    with open(sys.argv[1], "rb") as file:
        predictor = pickle.load(file)
else:
    predictor = knngraph.load_predictor(sys.argv[1])
labels = [predictor(row) for row in rows]
assert labels == predictor.predict(rows, n_jobs=int(sys.argv[3])).tolist()
shares = predictor.predict_proba(rows, n_jobs=int(sys.argv[3]))
np.savez(sys.argv[4], labels=labels, shares=shares)
loaded = {name.split(".")[0] for name in sys.modules}
assert "sklearn" not in loaded, "scikit-learn was loaded"
if predictor.inference == "lookup" and "hnswlib" in loaded:
    assert not {"scipy", "numba"} & loaded, loaded
"""


@pytest.mark.parametrize("inference", INFERENCES)
def test_a_fresh_process_without_scikit_learn(inference, tmp_path):
    classifier, queries = fitted(inference)
    predictor = classifier.to_predictor()
    predictor.save(tmp_path / "model")
    (tmp_path / "model.pickle").write_bytes(pickle.dumps(predictor))
    np.save(tmp_path / "rows.npy", queries)
    for name, n_jobs in (("model", "2"), ("model.pickle", "3")):
        subprocess.run(
            [sys.executable, "-c", PROGRAM, str(tmp_path / name),
             str(tmp_path / "rows.npy"), n_jobs, str(tmp_path / "said.npz")],
            check=True,
        )  # fmt: skip
        said = np.load(tmp_path / "said.npz")
        assert_array_equal(said["labels"], classifier.predict(queries))
        assert_array_equal(said["shares"], classifier.predict_proba(queries))
