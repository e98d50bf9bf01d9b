"""Estimators of other packages on our neighbors give what they give on scikit-learn's.

UMAP is heavy: `python -m benchmarks.neighbors_elsewhere` shows it.
"""

import numpy as np
import pytest
from imblearn.over_sampling import ADASYN, SMOTE, BorderlineSMOTE
from imblearn.under_sampling import (
    AllKNN,
    CondensedNearestNeighbour,
    EditedNearestNeighbours,
    NearMiss,
    OneSidedSelection,
    RepeatedEditedNearestNeighbours,
)
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.cluster import DBSCAN, SpectralClustering
from sklearn.datasets import make_blobs, make_classification, make_moons
from sklearn.manifold import TSNE, Isomap, SpectralEmbedding
from sklearn.neighbors import (
    KNeighborsClassifier,
    KNeighborsTransformer,
    LocalOutlierFactor,
    NearestNeighbors,
)
from sklearn.pipeline import make_pipeline
from sklearn.semi_supervised import LabelSpreading

from knngraph import KNNGraphClassifier, KNNGraphTransformer

# How well greedy searches do on these few rows is not the question here.
pytestmark = pytest.mark.filterwarnings(
    "ignore::knngraph.exceptions.LookupAgreementWarning"
)


def transformers(n_neighbors, mode="distance", metric="euclidean"):
    """Ours, and scikit-learn's."""
    settings = {"n_neighbors": n_neighbors, "mode": mode, "metric": metric}
    return (
        KNNGraphTransformer(method="knn", algorithm="exact", **settings),
        KNeighborsTransformer(**settings),
    )


@pytest.fixture(scope="module")
def rows():
    """Rows in clusters, without ties, and new ones."""
    X, y = make_blobs(n_samples=340, centers=5, n_features=4, random_state=3)
    return X[:300], y[:300], X[300:]


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_local_outlier_factor(rows, metric):
    X, _, X_new = rows
    factors, predicted = [], []
    for before in transformers(20, metric=metric):
        lof = LocalOutlierFactor(n_neighbors=20, metric="precomputed")
        assert_array_equal(
            make_pipeline(before, lof).fit_predict(X),
            LocalOutlierFactor(n_neighbors=20, metric=metric).fit_predict(X),
        )
        factors.append(lof.negative_outlier_factor_)
        novelty = make_pipeline(
            before, LocalOutlierFactor(metric="precomputed", novelty=True)
        ).fit(X)
        predicted.append(novelty.predict(X_new))
    assert_allclose(*factors)
    assert_array_equal(*predicted)


# Theirs, of clusters that are far apart and of graphs that are directed.
@pytest.mark.filterwarnings("ignore:Graph is not fully connected")
@pytest.mark.filterwarnings("ignore:Array is not symmetric")
def test_spectral_clustering(rows):
    X = rows[0]
    clusters = [
        SpectralClustering(
            5,
            affinity="precomputed_nearest_neighbors",
            n_neighbors=10,
            random_state=0,
        ).fit_predict(before.fit_transform(X))
        for before in transformers(10)
    ]
    assert_array_equal(*clusters)
    clusters = [
        SpectralClustering(5, affinity="precomputed", random_state=0).fit_predict(
            before.fit_transform(X)
        )
        for before in transformers(40, mode="connectivity")
    ]
    assert_array_equal(*clusters)


def test_tsne(rows):
    X = rows[0][:120]
    maps = [
        make_pipeline(
            before,
            TSNE(
                init="random",
                metric="precomputed",
                perplexity=10,
                max_iter=250,
                random_state=0,
            ),
        ).fit_transform(X)
        for before in transformers(31)
    ]
    assert_allclose(*maps, atol=1e-3)


def test_dbscan():
    X, _ = make_moons(300, noise=0.05, random_state=0)
    labels = [
        make_pipeline(
            before, DBSCAN(eps=0.15, min_samples=6, metric="precomputed")
        ).fit_predict(X)
        for before in transformers(40)
    ]
    assert_array_equal(*labels)
    assert_array_equal(labels[0], DBSCAN(eps=0.15, min_samples=6).fit_predict(X))


@pytest.mark.filterwarnings("ignore:Array is not symmetric")
@pytest.mark.parametrize("make", [Isomap, SpectralEmbedding])
def test_embeddings(make):
    X, _ = make_blobs(n_samples=200, centers=1, n_features=5, random_state=0)
    X_new = X[:30] + 0.1
    isomap = make is Isomap
    settings = {"metric": "precomputed"} if isomap else {"affinity": "precomputed"}
    if not isomap:
        settings["random_state"] = 0
    mode = "distance" if isomap else "connectivity"
    chains = [
        make_pipeline(before, make(n_neighbors=12, **settings))
        for before in transformers(12, mode=mode)
    ]
    assert_allclose(*(chain.fit_transform(X) for chain in chains), atol=1e-6)
    if isomap:
        assert_allclose(*(chain.transform(X_new) for chain in chains), atol=1e-6)


@pytest.mark.parametrize("weights", ["uniform", "distance"])
def test_classifiers_on_graphs(rows, weights):
    X, y, X_new = rows
    for before in transformers(7):
        chain = make_pipeline(
            before, KNeighborsClassifier(7, weights=weights, metric="precomputed")
        ).fit(X, y)
        plain = KNeighborsClassifier(7, weights=weights).fit(X, y)
        assert_allclose(chain.predict_proba(X_new), plain.predict_proba(X_new))


def test_label_spreading_with_a_kernel_of_ours(rows):
    X, y, _ = rows
    some = np.where(np.arange(300) % 5 == 0, y, -1)

    def ours(one, other):
        model = KNNGraphTransformer(method="knn", algorithm="exact").fit(other)
        return model.kneighbors_graph(one, 7)

    def theirs(one, other):
        return NearestNeighbors(n_neighbors=7).fit(other).kneighbors_graph(one)

    spread = [LabelSpreading(kernel=kernel).fit(X, some) for kernel in (ours, theirs)]
    assert_array_equal(*(model.transduction_ for model in spread))


@pytest.fixture(scope="module")
def imbalanced():
    """Ten percent of the rows are of the one class."""
    return make_classification(
        n_samples=400, n_features=6, weights=[0.9], flip_y=0.05, random_state=1
    )


SAMPLERS = {
    "SMOTE": lambda nn: SMOTE(k_neighbors=nn, random_state=0),
    "BorderlineSMOTE": lambda nn: BorderlineSMOTE(k_neighbors=nn, random_state=0),
    "ADASYN": lambda nn: ADASYN(n_neighbors=nn, random_state=0),
    "EditedNearestNeighbours": lambda nn: EditedNearestNeighbours(n_neighbors=nn),
    "RepeatedEditedNearestNeighbours": lambda nn: RepeatedEditedNearestNeighbours(
        n_neighbors=nn
    ),
    "AllKNN": lambda nn: AllKNN(n_neighbors=nn),
    "NearMiss": lambda nn: NearMiss(n_neighbors=nn),
}


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_samplers_on_our_transformer(imbalanced, sampler):
    X, y = imbalanced
    # They count the row itself among the neighbors.
    resampled = [
        SAMPLERS[sampler](nn).fit_resample(X, y)
        for nn in (KNNGraphTransformer(n_neighbors=6), NearestNeighbors(n_neighbors=6))
    ]
    assert len(resampled[0][1]) not in (0, len(y))
    assert_array_equal(resampled[0][1], resampled[1][1])
    assert_allclose(resampled[0][0], resampled[1][0], rtol=1e-12)


class Registered(KNNGraphClassifier):
    """Of a type of its own, for a registration stays for good."""


# Both samplers take subclasses of this class alone, and end in an error of theirs where
# they get another estimator. docs/graph.md shows this line.
KNeighborsClassifier.register(Registered)


@pytest.mark.parametrize("make", [CondensedNearestNeighbour, OneSidedSelection])
def test_samplers_on_our_classifier(imbalanced, make):
    X, y = imbalanced
    # Lookups that find the nearest row, whose label is the given one.
    classifier = Registered(
        metric="euclidean", max_neighbors=1, ef=64, self_weight=10.0, random_state=0
    )
    ours = make(n_neighbors=classifier, random_state=0)
    theirs = make(n_neighbors=1, random_state=0)
    _, kept = ours.fit_resample(X, y)
    theirs.fit_resample(X, y)
    assert 0 < len(kept) < len(y)
    assert_array_equal(ours.sample_indices_, theirs.sample_indices_)
