"""The plain neighbor graph: its contract, and agreement with scikit-learn."""

import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.cluster import DBSCAN
from sklearn.neighbors import kneighbors_graph

from knngraph import knn_adjacency
from knngraph.edges import symmetrized
from knngraph.exceptions import KNNGraphWarning

MODES = ("connectivity", "distance")


@pytest.fixture
def rows(random):
    """Rows without ties."""
    return random.normal(size=(600, 6))


def same_bytes(one, other):
    return all(
        getattr(one, part).tobytes() == getattr(other, part).tobytes()
        for part in ("data", "indices", "indptr")
    )


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("include_self", [False, True])
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("k", [1, 10])
def test_agrees_with_scikit_learn(rows, mode, include_self, metric, k):
    mine = knn_adjacency(rows, k, mode=mode, include_self=include_self, metric=metric)
    other = kneighbors_graph(
        rows, k, mode=mode, include_self=include_self, metric=metric
    )
    if mode == "connectivity":
        assert_array_equal(mine.toarray(), other.toarray())
    else:
        # Both nearest first, and zeros stay entries.
        assert_array_equal(mine.indices, other.indices)
        assert_allclose(mine.data, other.data, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("offset", [1e6, -3.0])
@pytest.mark.parametrize("factor", [1e-30, 1e25])
def test_far_and_huge_rows_keep_their_distances(rows, offset, factor):
    X = np.round(rows, 2) * factor + offset * factor
    mine = knn_adjacency(X, 5, mode="distance")
    other = knn_adjacency(np.round(rows, 2), 5, mode="distance")
    assert_allclose(mine.data, other.data * factor, rtol=1e-4)


@pytest.mark.parametrize("mode", MODES)
def test_layout(rows, mode):
    graph = knn_adjacency(rows, 7, mode=mode)
    assert isinstance(graph, sparse.csr_matrix)
    assert graph.shape == (600, 600)
    assert graph.dtype == np.float64
    assert graph.indices.dtype == np.int32
    assert (np.diff(graph.indptr) == 7).all()
    lists = graph.indices.reshape(-1, 7)
    assert (np.diff(np.sort(lists, axis=1), axis=1) > 0).all()
    assert not (lists == np.arange(600)[:, None]).any()
    if mode == "connectivity":
        assert (np.diff(lists, axis=1) > 0).all()
        assert graph.has_sorted_indices
        assert (graph.data == 1.0).all()
    else:
        assert (np.diff(graph.data.reshape(-1, 7), axis=1) >= 0).all()


@pytest.mark.parametrize("mode", MODES)
def test_own_entries_are_explicit(rows, mode):
    graph = knn_adjacency(rows, 4, mode=mode, include_self=True)
    assert (np.diff(graph.indptr) == 4).all()
    own = (graph.indices.reshape(-1, 4) == np.arange(600)[:, None]).sum(axis=1)
    assert (own == 1).all()
    assert_array_equal(graph.diagonal(), 1.0 if mode == "connectivity" else 0.0)


def test_one_neighbor_that_is_oneself(rows):
    graph = knn_adjacency(rows[:5], 1, include_self=True)
    assert_array_equal(graph.toarray(), np.eye(5))


@pytest.mark.parametrize("algorithm", ["exact", "hnsw"])
@pytest.mark.parametrize("include_self", [False, True])
def test_copies_are_neighbors_at_distance_zero(rows, algorithm, include_self):
    X = np.concatenate([rows[:100], rows[:40], rows[:40]])
    graph = knn_adjacency(
        X,
        3,
        mode="distance",
        include_self=include_self,
        algorithm=algorithm,
        random_state=0,
    )
    assert (np.diff(graph.indptr) == 3).all()
    lists = graph.indices.reshape(-1, 3)
    copies = [{i, i + 100, i + 140} for i in range(40)]
    for i, expected in enumerate(copies):
        zero = graph.data[3 * i : 3 * i + 3] == 0
        others = expected if include_self else expected - {i}
        assert set(lists[i][zero].tolist()) == others
    assert all(len(set(row)) == 3 for row in lists.tolist())


@pytest.mark.parametrize("include_self", [False, True])
def test_rows_that_are_all_equal(include_self):
    graph = knn_adjacency(
        np.ones((30, 2)), 4, mode="distance", include_self=include_self
    )
    assert (np.diff(graph.indptr) == 4).all()
    assert (graph.data == 0.0).all()
    lists = graph.indices.reshape(-1, 4)
    own = (lists == np.arange(30)[:, None]).any(axis=1)
    assert (own == include_self).all()
    assert all(len(set(row)) == 4 for row in lists.tolist())


@pytest.mark.parametrize("algorithm", ["exact", "hnsw"])
def test_fewer_rows_than_neighbors(rows, algorithm):
    graph = knn_adjacency(rows[:4], 10, algorithm=algorithm)
    assert_array_equal(graph.toarray(), 1.0 - np.eye(4))
    with_self = knn_adjacency(rows[:4], 10, include_self=True, algorithm=algorithm)
    assert_array_equal(with_self.toarray(), np.ones((4, 4)))
    assert knn_adjacency(rows[:1], 3).nnz == 0


def test_symmetrize_worked_by_hand():
    # 0 and 1 list each other, 2 lists 1.
    X = [[0.0], [1.0], [5.0]]
    graphs = {
        how: knn_adjacency(X, 1, symmetrize=how).toarray().tolist()
        for how in ("union", "mutual", "mean")
    }
    assert graphs["union"] == [[0, 1, 0], [1, 0, 1], [0, 1, 0]]
    assert graphs["mutual"] == [[0, 1, 0], [1, 0, 0], [0, 0, 0]]
    assert graphs["mean"] == [[0, 1, 0], [1, 0, 0.5], [0, 0.5, 0]]
    far = knn_adjacency(X, 1, mode="distance", symmetrize="mean")
    assert far.toarray().tolist() == [[0, 1, 0], [1, 0, 4], [0, 4, 0]]


@pytest.mark.parametrize("how", ["union", "mutual", "mean"])
@pytest.mark.parametrize("mode", MODES)
def test_symmetrize_agrees_with_dense_algebra(rows, how, mode):
    directed = knn_adjacency(rows, 6, mode=mode).toarray()
    expected = {
        "union": np.maximum(directed, directed.T),
        "mutual": np.minimum(directed, directed.T),
        "mean": np.maximum(directed, directed.T)
        if mode == "distance"
        else (directed + directed.T) / 2,
    }[how]
    graph = knn_adjacency(rows, 6, mode=mode, symmetrize=how)
    assert_allclose(graph.toarray(), expected)
    assert graph.nnz == np.count_nonzero(expected)


def test_zeros_between_copies_survive_symmetrizing():
    graph = knn_adjacency([[0.0], [0.0], [1.0]], 1, mode="distance", symmetrize="union")
    assert graph.nnz == 4
    assert symmetrized(sparse.csr_array((3, 3)), "mean").nnz == 0


def test_the_exact_route_never_holds_all_pairs(random):
    n = 4000
    X = random.normal(size=(n, 4))
    knn_adjacency(X[:100], 5)  # what loads on first use is not counted
    tracemalloc.start()
    try:
        knn_adjacency(X, 5, mode="distance", algorithm="exact")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Measured: 17 MB; the distances of all pairs would take 128.
    assert peak < 8 * n * n / 3


def test_the_navigable_route_finds_nearly_all(digits):
    X = digits[0]
    graph = knn_adjacency(X, 10, algorithm="hnsw", random_state=0)
    exact = knn_adjacency(X, 10)
    # Measured: 0.998.
    assert graph.multiply(exact).sum() / exact.nnz > 0.95


def test_a_search_that_misses_too_much_says_so(random):
    # The neighbors of noise in many dimensions are next to arbitrary.
    X = random.normal(size=(6000, 200))
    with pytest.warns(KNNGraphWarning, match=r'algorithm="exact" finds all'):
        knn_adjacency(X, 1, algorithm="hnsw", random_state=0)


@pytest.mark.parametrize("algorithm", ["exact", "hnsw"])
def test_same_bytes_for_any_number_of_threads(rows, algorithm):
    one, two = (
        knn_adjacency(
            rows, 5, mode="distance", algorithm=algorithm, random_state=3, n_jobs=n
        )
        for n in (1, 2)
    )
    assert same_bytes(one, two)


def test_permuting_rows_permutes_the_graph(rows, random):
    order = random.permutation(len(rows))
    graph = knn_adjacency(rows, 5, mode="distance").toarray()
    permuted = knn_adjacency(rows[order], 5, mode="distance").toarray()
    assert_allclose(permuted, graph[np.ix_(order, order)])


def test_sparse_and_single_precision_rows(rows):
    X = np.where(rows > 0.5, np.round(rows, 1), 0.0).astype(np.float32)
    X += np.linspace(0.0, 0.01, len(X), dtype=np.float32)[:, None] * (X > 0)
    X = np.unique(X[X.any(axis=1)], axis=0)
    dense = knn_adjacency(X, 5, mode="distance")
    from_sparse = knn_adjacency(sparse.csr_array(X), 5, mode="distance")
    assert_allclose(from_sparse.data, dense.data, rtol=1e-4, atol=1e-6)


def test_dbscan_takes_the_distances(blobs):
    X = blobs[0]
    graph = knn_adjacency(X, 60, mode="distance", include_self=True)
    eps = float(np.median(graph.data))
    fitted = DBSCAN(eps=eps, min_samples=5, metric="precomputed").fit(graph)
    expected = DBSCAN(eps=eps, min_samples=5).fit(X)
    assert_array_equal(
        np.isin(np.arange(240), fitted.core_sample_indices_),
        np.isin(np.arange(240), expected.core_sample_indices_),
    )


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"k": 0}, "'k' parameter"),
        ({"k": 2.5}, "'k' parameter"),
        ({"mode": "weights"}, "'mode' parameter"),
        ({"metric": "manhattan"}, "'metric' parameter"),
        ({"symmetrize": "both"}, "'symmetrize' parameter"),
        ({"include_self": "auto"}, "'include_self' parameter"),
        ({"algorithm": "annoy"}, "'algorithm' parameter"),
        ({"X": [[np.nan], [1.0]]}, "NaN"),
    ],
)
def test_bad_settings_are_named(setting, message, rows):
    with pytest.raises(ValueError, match=message):
        knn_adjacency(**({"X": rows, "k": 3} | setting))
