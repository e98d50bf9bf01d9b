"""The graph as a transformer: its rules, modes, new rows, and estimators behind it."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.cluster import SpectralClustering
from sklearn.datasets import make_blobs, make_moons
from sklearn.metrics import adjusted_rand_score
from sklearn.neighbors import (
    KNeighborsClassifier,
    KNeighborsTransformer,
    kneighbors_graph,
)
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_param_validation

from knngraph import KNNGraphClassifier, KNNGraphTransformer, knn_adjacency

METHODS = ("learned", "knn")
MODES = ("weights", "connectivity", "distance")


def same_bytes(one, other):
    return all(
        getattr(one, part).tobytes() == getattr(other, part).tobytes()
        for part in ("data", "indices", "indptr")
    )


@pytest.mark.parametrize("mode", ["connectivity", "distance"])
@pytest.mark.parametrize("symmetrize", [None, "union"])
def test_knn_is_knn_adjacency(blobs, mode, symmetrize):
    transformer = KNNGraphTransformer(
        method="knn", mode=mode, n_neighbors=6, symmetrize=symmetrize
    )
    graph = transformer.fit_transform(blobs[0])
    n_listed = 7 if mode == "distance" else 6
    plain = knn_adjacency(
        blobs[0], n_listed, mode=mode, include_self=True, symmetrize=symmetrize
    )
    assert same_bytes(graph, plain)


@pytest.mark.parametrize("mode", ["connectivity", "distance"])
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("n_neighbors", [1, 7, 239])
def test_knn_has_the_conventions_of_scikit_learn(blobs, mode, metric, n_neighbors):
    X, X_new = blobs[0], blobs[0][:40] + 0.1
    settings = {"mode": mode, "metric": metric, "n_neighbors": n_neighbors}
    mine = KNNGraphTransformer(method="knn", **settings)
    theirs = KNeighborsTransformer(**settings)
    for one, other in (
        (mine.fit_transform(X), theirs.fit_transform(X)),
        (mine.transform(X), theirs.transform(X)),
        (mine.transform(X_new), theirs.transform(X_new)),
    ):
        assert type(one) is type(other)
        assert one.shape == other.shape
        assert_array_equal(one.indptr, other.indptr)
        if mode == "connectivity":
            assert_array_equal(one.toarray(), other.toarray())
        else:
            assert_array_equal(one.indices, other.indices)
            # Theirs, of cosines, are good to 1e-8 near zero, and of a row to itself
            # not always zero.
            near = 1e-12 if metric == "euclidean" else 3e-8
            same = one.data == 0.0
            assert_allclose(one.data[~same], other.data[~same], rtol=1e-12, atol=near)
            assert (other.data[same] < 1e-6).all()


@pytest.mark.parametrize("mode", MODES)
def test_copies_keep_their_own_entries(mode):
    X = np.repeat([[0.0], [1.0], [5.0]], 4, axis=0)
    graph = KNNGraphTransformer(method="knn", mode=mode, n_neighbors=2).fit_transform(X)
    rows = np.repeat(np.arange(12), np.diff(graph.indptr))
    assert (rows == graph.indices).sum() == 12
    assert (rows // 4 == graph.indices // 4).all()


def test_learned_is_what_the_classifier_learns(blobs):
    X, y = blobs
    graph = KNNGraphTransformer(
        n_neighbors=12, label_weight=0.3, bandwidth="median"
    ).fit_transform(X, y)
    model = KNNGraphClassifier(
        support="local", max_neighbors=12, random_state=0, ef=64
    ).fit(X, y)
    # The index of the classifier may miss a candidate, and the solver stops at its
    # tolerance. Measured: two of 240 rows differ, by 0.01 at most.
    worst = abs(graph - model.graph_).max(axis=1).toarray()
    assert (worst < 1e-3).mean() > 0.95
    assert worst.max() < 0.1


@pytest.mark.parametrize("method", METHODS)
def test_modes_share_their_edges(blobs, method):
    graphs = {
        mode: KNNGraphTransformer(method=method, mode=mode).fit_transform(blobs[0])
        for mode in MODES
    }
    # Nearest first for distances, so brought into one order here.
    graphs["distance"].sort_indices()
    for mode in ("connectivity", "distance"):
        if (method, mode) == ("knn", "distance"):
            graphs[mode].data[:] = 1.0
            assert graphs[mode].multiply(graphs["weights"]).nnz == 240 * 15
            continue
        assert_array_equal(graphs[mode].indptr, graphs["weights"].indptr)
        assert_array_equal(graphs[mode].indices, graphs["weights"].indices)
    assert (graphs["weights"].data > 0).all()
    assert (graphs["connectivity"].data == 1).all()
    X = blobs[0]
    graph = KNNGraphTransformer(method=method, mode="distance").fit_transform(X)
    rows = np.repeat(np.arange(len(X)), np.diff(graph.indptr))
    expected = np.linalg.norm(X[rows] - X[graph.indices], axis=1)
    assert_allclose(graph.data, expected, rtol=1e-5)


def test_weights_of_plain_neighbors_are_the_kernel(blobs):
    weights = KNNGraphTransformer(method="knn", bandwidth=2.0)
    distance = KNNGraphTransformer(method="knn", mode="distance")
    graph, far = weights.fit_transform(blobs[0]), distance.fit_transform(blobs[0])
    assert weights.bandwidth_ == 2.0
    assert_array_equal(graph.diagonal(), 1.0)
    assert_allclose(
        graph.data, np.exp(-(far.toarray()[graph.nonzero()] ** 2) / 8), rtol=1e-6
    )


@pytest.mark.parametrize("method", METHODS)
def test_rows_list_others_within_their_nearest(blobs, method):
    X = blobs[0]
    transformer = KNNGraphTransformer(method=method, n_neighbors=9)
    graph = transformer.fit_transform(X)
    own = method == "knn"
    assert (graph.diagonal() == own).all()
    assert graph.has_sorted_indices
    assert (transformer.n_neighbors_ >= 1).all()
    allowed = kneighbors_graph(X, 9, include_self=own).toarray()
    assert (allowed[graph.nonzero()] == 1).all()


def test_learned_keeps_a_part_of_the_nearest(digits):
    X, y = digits[0][:600], digits[1][:600]
    transformer = KNNGraphTransformer().fit(X)
    # Measured: 5.1 of 15.
    assert 3 < transformer.n_neighbors_.mean() < 10
    graph = transformer.graph_
    rows = np.repeat(np.arange(600), np.diff(graph.indptr))
    right = y[rows] == y[graph.indices]
    plain = transformer.kneighbors(return_distance=False)
    of_plain = (y[:, None] == y[plain]).mean()
    # Measured: 0.96 against 0.87.
    assert (graph.data * right).sum() / graph.data.sum() > of_plain + 0.04


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("symmetrize", [None, "union", "mutual", "mean"])
@pytest.mark.parametrize("mode", MODES)
def test_training_rows_get_their_rows_back(blobs, method, symmetrize, mode):
    X = blobs[0]
    transformer = KNNGraphTransformer(method=method, symmetrize=symmetrize, mode=mode)
    graph = transformer.fit_transform(X)
    assert same_bytes(graph, transformer.transform(X))
    if symmetrize is not None:
        assert_array_equal(graph.toarray(), graph.toarray().T)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("algorithm", ["exact", "hnsw"])
def test_new_rows(digits, method, mode, algorithm):
    X = digits[0]
    transformer = KNNGraphTransformer(
        method=method, mode=mode, algorithm=algorithm, random_state=0, symmetrize="mean"
    ).fit(X[:500])
    # New rows and rows of fit in one batch.
    graph = transformer.transform(X[450:600])
    assert graph.shape == (150, 500)
    counts = np.diff(graph.indptr)
    n_listed = 16 if mode == "distance" else 15
    assert (counts[50:] == n_listed).all() or method == "learned"
    assert (counts >= 1).all()
    assert same_bytes(graph[:50], transformer.graph_[450:])
    parts = [transformer.transform(X[450 + i : 451 + i]) for i in range(0, 150, 10)]
    for i, part in zip(range(0, 150, 10), parts):
        assert same_bytes(part, graph[[i]])


def test_new_rows_solve_the_problem_of_fit(digits):
    # A row left out and transformed gets the neighbors it had in the graph,
    # where it is no row's neighbor: densities hardly change.
    X = digits[0][:400]
    whole = KNNGraphTransformer(
        bandwidth=25.0, penalty_min=0.3, penalty_max=0.3, algorithm="exact"
    )
    graph = whole.fit_transform(X)[[399]].toarray()[0, :399]
    rest = whole.fit(X[:399]).transform(X[[399]]).toarray()[0]
    assert_allclose(rest, graph, atol=1e-4)
    assert (graph > 0).sum() > 1


def test_labels_bring_neighbors_of_the_own_class(blobs, random):
    X = blobs[0]
    y = random.integers(4, size=len(X))

    def share_of_own_class(label_weight):
        graph = KNNGraphTransformer(label_weight=label_weight).fit_transform(X, y)
        rows = np.repeat(np.arange(len(X)), np.diff(graph.indptr))
        return (y[rows] == y[graph.indices]).mean()

    # Measured: 0.23 and 0.94; the labels say nothing about the rows.
    assert share_of_own_class(0.0) < 0.4
    assert share_of_own_class(0.5) > 0.8


def test_labels_that_are_missing_are_asked_for(blobs):
    with pytest.raises(ValueError, match=r"label_weight=0.3 needs the classes"):
        KNNGraphTransformer(label_weight=0.3).fit(blobs[0])


@pytest.mark.parametrize("method", METHODS)
def test_copies_and_few_rows(method):
    own = method == "knn"
    equal = KNNGraphTransformer(method=method).fit_transform(np.ones((6, 2)))
    assert equal.shape == (6, 6)
    assert (equal.diagonal() == own).all()
    assert np.isfinite(equal.data).all()
    few = KNNGraphTransformer(method=method, n_neighbors=10).fit([[0.0], [1.0], [3.0]])
    assert (few.n_neighbors_ >= 1).all()
    assert few.transform([[0.4]]).shape == (1, 3)
    assert KNNGraphTransformer(method=method).fit_transform([[1.0, 2.0]]).nnz == own


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("algorithm", ["exact", "hnsw"])
def test_same_bytes_for_any_number_of_threads(digits, method, algorithm):
    one, two = (
        KNNGraphTransformer(
            method=method, algorithm=algorithm, random_state=1, n_jobs=n
        ).fit(digits[0][:700])
        for n in (1, 2)
    )
    assert same_bytes(one.graph_, two.graph_)
    X_new = digits[0][700:800]
    assert same_bytes(one.transform(X_new), two.transform(X_new))


def test_recall_is_reported(digits):
    exact = KNNGraphTransformer(algorithm="exact").fit(digits[0][:300])
    assert exact.recall_ == 1.0
    searched = KNNGraphTransformer(algorithm="hnsw", random_state=0).fit(digits[0])
    assert 0.95 < searched.recall_ <= 1.0


@pytest.mark.parametrize("method", METHODS)
def test_spectral_clustering_takes_it(method):
    X, y = make_blobs(
        n_samples=150, n_features=10, centers=3, cluster_std=3.0, random_state=4
    )
    graph = KNNGraphTransformer(
        method=method, symmetrize="mean", n_neighbors=20
    ).fit_transform(X)
    # Edges between all rows, weak enough not to matter: one component.
    clusters = SpectralClustering(
        3, affinity="precomputed", random_state=0, assign_labels="cluster_qr"
    ).fit_predict(graph.toarray() + 1e-6)
    # Measured: 1.0.
    assert adjusted_rand_score(y, clusters) > 0.95


def test_in_a_pipeline_before_a_neighbors_classifier(digits):
    X, y = digits
    model = make_pipeline(
        KNNGraphTransformer(method="knn", mode="distance", n_neighbors=5),
        KNeighborsClassifier(5, metric="precomputed"),
    ).fit(X[:1000], y[:1000])
    plain = KNeighborsClassifier(5).fit(X[:1000], y[:1000])
    agree = model.predict(X[1000:]) == plain.predict(X[1000:])
    # Ties between distances may go either way.
    assert agree.mean() > 0.99


def test_names_of_the_columns(blobs):
    names = KNNGraphTransformer().fit(blobs[0]).get_feature_names_out()
    assert len(names) == 240
    assert names[0] == "knngraphtransformer0"


def test_parameters_are_validated():
    check_param_validation("KNNGraphTransformer", KNNGraphTransformer())


def test_penalties_in_the_wrong_order_are_refused(blobs):
    with pytest.raises(ValueError, match=r"penalty_min=0.4 is larger"):
        KNNGraphTransformer(penalty_min=0.4, penalty_max=0.2).fit(blobs[0])


def test_labels_spread_along_the_learned_graph():
    X, y = make_moons(300, noise=0.06, random_state=0)
    W = KNNGraphTransformer(symmetrize="mean", random_state=0).fit_transform(X)
    steps = sparse.csr_array(W / np.asarray(W.sum(axis=1)).reshape(-1, 1))
    given = np.zeros((len(y), 2))
    known = np.concatenate([np.flatnonzero(y == c)[:5] for c in (0, 1)])
    given[known, y[known]] = 1.0
    spread = given.copy()
    for _ in range(300):
        spread = 0.99 * (steps @ spread) + 0.01 * given
    assert (spread.argmax(axis=1) == y).mean() > 0.95
