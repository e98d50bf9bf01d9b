"""The neighbor interface: the same lists as scikit-learn's, from every estimator."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn import config_context
from sklearn.exceptions import NotFittedError
from sklearn.neighbors import NearestNeighbors

from knngraph import KNNGraphClassifier, KNNGraphClassifierCV, KNNGraphTransformer

# Neighbors are what is looked at here, not lookups.
pytestmark = pytest.mark.filterwarnings(
    "ignore::knngraph.exceptions.LookupAgreementWarning"
)

METRICS = ("euclidean", "cosine", "learned")


def theirs(model, X):
    """scikit-learn's search with the metric that a model names."""
    return NearestNeighbors(
        algorithm="brute",
        metric=model.effective_metric_,
        metric_params=model.effective_metric_params_,
    ).fit(X)


def fitted(kind, X, y):
    make = {
        "classifier": KNNGraphClassifier(metric="euclidean", random_state=0),
        "cosine": KNNGraphClassifier(metric="cosine", random_state=0),
        "learned": KNNGraphClassifier(metric="learned", random_state=0),
        "local": KNNGraphClassifier(
            metric="euclidean", support="local", ef=96, random_state=0
        ),
        "cv": KNNGraphClassifierCV(neighbor_counts=[8], random_state=0),
        "transformer": KNNGraphTransformer(n_neighbors=8),
        "transformer of cosines": KNNGraphTransformer(metric="cosine", n_neighbors=8),
        "transformer by index": KNNGraphTransformer(algorithm="hnsw", random_state=0),
    }[kind]
    return make.fit(X, y)


KINDS = (
    "classifier",
    "cosine",
    "learned",
    "local",
    "cv",
    "transformer",
    "transformer of cosines",
    "transformer by index",
)


@pytest.fixture(scope="module", params=KINDS)
def model(request, blobs):
    return fitted(request.param, *blobs)


@pytest.mark.parametrize("k", [1, 5, 40, 239])
@pytest.mark.parametrize("queries", ["left out", "training rows", "new rows"])
def test_lists_are_scikit_learns(model, blobs, random, k, queries):
    X = blobs[0]
    asked = {
        "left out": None,
        "training rows": X[:50],
        "new rows": X[:50] + random.normal(size=(50, X.shape[1])),
    }[queries]
    distances, rows = model.kneighbors(asked, k)
    expected, expected_rows = theirs(model, X).kneighbors(asked, k)
    assert rows.shape == expected_rows.shape
    assert rows.dtype == np.intp
    assert (np.diff(distances, axis=1) >= 0).all()
    # Single precision may swap two that are next to equal.
    assert (rows == expected_rows).mean() > 0.999
    assert_allclose(distances, expected, rtol=1e-5, atol=1e-6)
    assert_array_equal(model.kneighbors(asked, k, return_distance=False), rows)


@pytest.mark.parametrize("mode", ["connectivity", "distance"])
def test_graphs_are_scikit_learns(model, blobs, mode):
    X = blobs[0]
    for asked in (None, X[:30] + 0.01):
        mine = model.kneighbors_graph(asked, 6, mode=mode)
        other = theirs(model, X).kneighbors_graph(asked, 6, mode=mode)
        assert type(mine) is type(other)
        assert mine.shape == other.shape
        assert mine.dtype == np.float64
        assert_array_equal(mine.indices, other.indices)
        assert_allclose(mine.data, other.data, rtol=1e-5, atol=1e-6)


def test_the_number_is_that_of_the_estimator(blobs):
    X, y = blobs
    assert KNNGraphClassifier(max_neighbors=9).fit(X, y).kneighbors(X)[1].shape[1] == 9
    chosen = KNNGraphClassifierCV(neighbor_counts=[11]).fit(X, y)
    assert chosen.kneighbors()[1].shape[1] == 11
    transformer = KNNGraphTransformer(n_neighbors=4).fit(X)
    assert transformer.kneighbors_graph(X).nnz == 4 * len(X)
    # All there are, where there are fewer, unless the call names a number.
    few = KNNGraphClassifier().fit(X[:6], y[:6])
    assert few.kneighbors()[1].shape == (6, 5)
    assert few.kneighbors(X)[1].shape == (240, 6)


def test_fitted_attributes(blobs):
    X, y = blobs
    for metric in METRICS:
        model = KNNGraphClassifier(metric=metric).fit(X, y)
        assert model.n_samples_fit_ == 240
        learned = metric == "learned"
        assert model.effective_metric_ == ("mahalanobis" if learned else metric)
        assert (model.effective_metric_params_ == {}) != learned
    assert KNNGraphTransformer().fit(X).n_samples_fit_ == 240
    for name in ("n_samples_fit_", "effective_metric_", "effective_metric_params_"):
        assert not hasattr(KNNGraphClassifier(), name)
        assert not hasattr(KNNGraphTransformer(), name)


def test_copies_are_listed_one_by_one(random):
    X = random.normal(size=(60, 3))
    X = np.concatenate([X, X[:20], X[:20]])
    y = random.integers(2, size=100)
    for model in (KNNGraphClassifier(metric="euclidean"), KNNGraphTransformer()):
        distances, rows = model.fit(X, y).kneighbors(n_neighbors=5)
        expected, _ = NearestNeighbors(algorithm="brute").fit(X).kneighbors(None, 5)
        assert_allclose(distances, expected, rtol=1e-5, atol=1e-6)
        assert not (rows == np.arange(100)[:, None]).any()
        for row in range(20):
            assert rows[row, :2].tolist() == [row + 60, row + 80]
            assert rows[row + 60, :2].tolist() == [row, row + 80]
            assert rows[row + 80, :2].tolist() == [row, row + 60]
        # A query meets all of them, the first in front.
        together = [[row, row + 60, row + 80] for row in range(20)]
        assert_array_equal(model.kneighbors(X[80:], 3)[1], together)


def test_more_copies_than_neighbors():
    X = np.ones((4, 2))
    distances, rows = KNNGraphTransformer().fit(X).kneighbors(n_neighbors=1)
    assert_array_equal(distances, np.zeros((4, 1)))
    assert_array_equal(rows.ravel(), [1, 0, 1, 1])


def test_of_rows_equally_far_the_first_come_first(random):
    # A cross around the query, in every order of its rows.
    cross = np.array([[1.0, 0], [0, 1], [-1, 0], [0, -1], [5, 5], [6, 6]])
    for _ in range(10):
        order = random.permutation(6)
        model = KNNGraphTransformer().fit(cross[order])
        near = np.flatnonzero(order < 4)
        for k in range(1, 5):
            rows = model.kneighbors([[0.0, 0.0]], k, return_distance=False)
            assert_array_equal(rows[0], near[:k])


def test_rows_that_came_later_are_found(blobs):
    X, y = blobs
    model = KNNGraphClassifier(metric="euclidean", random_state=0)
    model.fit(X[:200], y[:200]).partial_fit(X[200:], y[200:]).forget(np.arange(20))
    assert model.n_samples_fit_ == 220
    expected = NearestNeighbors().fit(X[20:]).kneighbors(None, 7)
    distances, rows = model.kneighbors(n_neighbors=7)
    assert_array_equal(rows, expected[1])
    assert_allclose(distances, expected[0], rtol=1e-5)


def test_a_condensed_classifier_finds_what_it_keeps(digits):
    X, y = digits[0][:900], digits[1][:900]
    classifier = KNNGraphClassifier(metric="euclidean", ef=32, random_state=0)
    small = classifier.fit(X, y).condense(0.05)
    n_kept = small.report_.n_kept
    assert small.n_samples_fit_ == len(small.kept_) == n_kept < 600
    assert small.effective_metric_ == "euclidean"
    kept = NearestNeighbors(algorithm="brute").fit(X[small.kept_])
    for asked in (None, X[:100]):
        distances, places = small.kneighbors(asked, 5)
        expected, _ = kept.kneighbors(asked, 5)
        # An approximate search; measured: all equal.
        assert np.isclose(distances, expected, rtol=1e-5, atol=1e-4).mean() > 0.99
    assert_allclose(
        distances[:, 0], np.linalg.norm(X[:100] - X[small.kept_[places[:, 0]]], axis=1)
    )
    assert small.kneighbors_graph(X[:3]).shape == (3, n_kept)


def test_the_index_finds_nearly_all(digits):
    X, y = digits
    model = KNNGraphClassifier(metric="euclidean", support="local", random_state=0)
    rows = model.fit(X, y).kneighbors(X, 1, return_distance=False)
    # Measured: 1.0; a search with ef=2 finds 0.72.
    assert (rows.ravel() == np.arange(len(X))).mean() > 0.99
    exact = NearestNeighbors().fit(X).kneighbors(None, 50)[0]
    found = model.kneighbors(n_neighbors=50)[0]
    assert np.isclose(found, exact).mean() > 0.97


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_batches_and_threads_change_nothing(digits, n_jobs):
    X, y = digits
    model = KNNGraphClassifier(
        metric="euclidean", support="local", random_state=0, n_jobs=n_jobs
    ).fit(X, y)
    distances, rows = model.kneighbors(X + 0.25, 9)
    for row in (0, 700, 1796):
        alone = model.kneighbors(X[[row]] + 0.25, 9)
        assert alone[0].tobytes() == distances[row].tobytes()
        assert_array_equal(alone[1][0], rows[row])


def test_sparse_queries(blobs):
    X = blobs[0]
    model = KNNGraphTransformer().fit(sparse.csr_array(X))
    assert_array_equal(
        model.kneighbors(sparse.coo_matrix(X[:9]))[1], model.kneighbors(X[:9])[1]
    )


def test_arrays_where_scikit_learn_is_set_to_return_arrays(blobs):
    X = blobs[0]
    model = KNNGraphTransformer(method="knn").fit(X)
    try:
        with config_context(sparse_interface="sparray"):
            graphs = model.kneighbors_graph(X[:5]), model.transform(X[:5])
    except TypeError:
        pytest.skip("this release of scikit-learn has no such setting")
    assert all(isinstance(graph, sparse.csr_array) for graph in graphs)
    assert isinstance(model.transform(X[:5]), sparse.csr_matrix)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"n_neighbors": 0}, ValueError, r"Expected n_neighbors > 0. Got 0"),
        ({"n_neighbors": -3}, ValueError, r"Expected n_neighbors > 0. Got -3"),
        ({"n_neighbors": 2.0}, TypeError, r"an integer, not a float: 2.0"),
        ({"n_neighbors": "5"}, TypeError, r"an integer, not a str: '5'"),
        (
            {"n_neighbors": 240},
            ValueError,
            r"Expected n_neighbors < n_samples_fit, but n_neighbors = 240, "
            r"n_samples_fit = 240",
        ),
        (
            {"X": [[0.0] * 5], "n_neighbors": 241},
            ValueError,
            r"Expected n_neighbors <= n_samples_fit, but n_neighbors = 241",
        ),
        ({"X": [[np.inf] * 5]}, ValueError, r"X has inf in row 0, column 0"),
        ({"X": [[0.0]]}, ValueError, r"X has 1 features"),
    ],
)
def test_wrong_arguments_are_named(blobs, arguments, error, message):
    for model in (KNNGraphClassifier(), KNNGraphTransformer()):
        with pytest.raises(error, match=message):
            model.fit(*blobs).kneighbors(**arguments)
        with pytest.raises(error, match=message):
            model.kneighbors_graph(**arguments)


def test_a_mode_that_is_none(blobs):
    with pytest.raises(ValueError, match=r"Unsupported mode.*'weights'.*graph_"):
        KNNGraphClassifier().fit(*blobs).kneighbors_graph(mode="weights")


@pytest.mark.parametrize("method", ["kneighbors", "kneighbors_graph"])
@pytest.mark.parametrize("estimator", [KNNGraphClassifier(), KNNGraphTransformer()])
def test_unfitted(estimator, method):
    with pytest.raises(NotFittedError):
        getattr(estimator, method)()
    with pytest.raises(NotFittedError):
        getattr(estimator, method)([[0.0]])
