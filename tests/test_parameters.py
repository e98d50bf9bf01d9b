"""Names of parameters' values: those that people type, and what an error says."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import OneHotEncoder
from sklearn.utils._param_validation import InvalidParameterError, StrOptions

import knngraph.baselines
from knngraph import (
    HNSWKNNClassifier,
    KNNGraphClassifier,
    KNNGraphClassifierCV,
    KNNGraphTransformer,
    knn_adjacency,
)
from knngraph.inspection import neighborhood_fidelity

ESTIMATORS = [
    KNNGraphClassifier,
    KNNGraphClassifierCV,
    KNNGraphTransformer,
    *(getattr(knngraph.baselines, name) for name in knngraph.baselines.__all__),
]
# Metrics of scikit-learn that are not offered, and what the error names instead.
INSTEAD = {
    "manhattan": r"KDTreeKNNClassifier has metric='manhattan'\. KNeighborsClassifier",
    "cityblock": "KDTreeKNNClassifier has metric='manhattan'",
    "l1": "KDTreeKNNClassifier has metric='manhattan'",
    "chebyshev": "KDTreeKNNClassifier has metric='chebyshev'",
    "sqeuclidean": r"metric='euclidean' has the same neighbors",
    "seuclidean": r"StandardScaler\) and use metric='euclidean'",
    "mahalanobis": r"whiten=True\)\) and use metric='euclidean'",
    "haversine": r"three columns .* use metric='euclidean': the neighbors are the same",
    "correlation": r"its mean and use metric='cosine': the neighbors are the same",
    "hamming": r"OneHotEncoder and use metric='euclidean'",
    "nan_euclidean": r"SimpleImputer\) and use metric='euclidean'",
    "precomputed": r"KNeighborsClassifier\(metric='precomputed'\) takes distances",
    "canberra": "KNeighborsClassifier and KNeighborsTransformer of scikit-learn",
    "jaccard": "KNeighborsClassifier and KNeighborsTransformer of scikit-learn",
    max: "A function cannot be searched by an index: KNeighborsClassifier",
}


@pytest.mark.parametrize(
    "spelled",
    [
        {"metric": "l2"},
        {"metric": "minkowski"},
        {"metric": "minkowski", "metric_params": {"p": 2}},
        {"metric": "minkowski", "metric_params": {}},
    ],
)
def test_other_names_of_the_euclidean_metric(spelled, blobs):
    X, y = blobs
    for make in (KNNGraphClassifier, KNNGraphClassifierCV):
        settings = {"inference": "adaptive", "random_state": 0}
        model = make(**spelled, **settings).fit(X, y)
        assert model.metric_ == model.effective_metric_ == "euclidean"
        plain = make(metric="euclidean", **settings).fit(X, y)
        assert_array_equal(model.predict_proba(X), plain.predict_proba(X))
    graph = KNNGraphTransformer(**spelled).fit_transform(X)
    assert (graph != KNNGraphTransformer().fit_transform(X)).nnz == 0
    name = spelled["metric"]
    assert (knn_adjacency(X, 3, metric=name) != knn_adjacency(X, 3)).nnz == 0
    assert_array_equal(
        HNSWKNNClassifier(metric=name, random_state=0).fit(X, y).predict(X),
        HNSWKNNClassifier(random_state=0).fit(X, y).predict(X),
    )


@pytest.mark.parametrize("metric", INSTEAD)
def test_a_metric_that_is_not_offered_names_what_to_use(metric, blobs):
    X, y = blobs
    for make in (KNNGraphClassifier, KNNGraphClassifierCV, KNNGraphTransformer):
        with pytest.raises(InvalidParameterError, match=INSTEAD[metric]) as refusal:
            make(metric=metric).fit(X, y)
        assert f"'metric' parameter of {make.__name__}" in str(refusal.value)
    with pytest.raises(InvalidParameterError, match=INSTEAD[metric]):
        knn_adjacency(X, 3, metric=metric)


@pytest.mark.parametrize(
    ("metric", "params", "message"),
    [
        ("minkowski", {"p": 1}, r"with p=2, got p=1\. KDTree.*'manhattan'"),
        ("minkowski", {"p": np.inf}, r"with p=2, got p=inf\. KDTree.*'chebyshev'"),
        ("minkowski", {"p": 3}, r"with p=2, got p=3\. KNeighborsClassifier"),
        ("minkowski", {"p": 2, "w": [1.0] * 5}, r"columns that are multiplied"),
        ("euclidean", {"p": 2}, r"no meaning with metric='euclidean'"),
        ("auto", {"V": 1}, r"no meaning with metric='auto'"),
    ],
)
def test_parameters_of_the_metric_that_mean_something_else(
    metric, params, message, blobs
):
    with pytest.raises(ValueError, match=message):
        KNNGraphClassifier(metric=metric, metric_params=params).fit(*blobs)
    if metric != "auto":
        with pytest.raises(ValueError, match=message):
            KNNGraphTransformer(metric=metric, metric_params=params).fit(*blobs)


def test_baselines_name_a_metric_as_they_have_it(blobs):
    for name, ours in [
        ("l1", "manhattan"),
        ("cityblock", "manhattan"),
        ("minkowski", "euclidean"),
        ("infinity", "chebyshev"),
    ]:
        with pytest.raises(ValueError, match=rf"Here it is metric='{ours}'\."):
            knngraph.baselines.KDTreeKNNClassifier(metric=name).fit(*blobs)


def neighbors(X, metric):
    return NearestNeighbors(algorithm="brute", metric=metric).fit(X).kneighbors()[1]


def mine(X, metric="euclidean"):
    return KNNGraphTransformer(metric=metric).fit(X).kneighbors(n_neighbors=5)[1]


def test_what_is_said_to_have_the_same_neighbors_has_them(random):
    X = random.normal(size=(200, 4))
    assert_array_equal(mine(X), neighbors(X, "sqeuclidean"))
    centered = X - X.mean(axis=1, keepdims=True)
    assert_array_equal(mine(centered, "cosine"), neighbors(X, "correlation"))
    lat, lon = random.uniform([[-1.5], [-3.1]], [[1.5], [3.1]], size=(2, 200))
    sphere = [np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)]
    theirs = neighbors(np.column_stack([lat, lon]), "haversine")
    assert_array_equal(mine(np.column_stack(sphere)), theirs)
    # Categories: distances are few, so that these are compared and not the rows.
    codes = random.integers(4, size=(200, 9))
    encoded = OneHotEncoder(sparse_output=False).fit_transform(codes)
    squared = KNNGraphTransformer().fit(encoded).kneighbors(n_neighbors=5)[0] ** 2
    hamming = NearestNeighbors(metric="hamming").fit(codes).kneighbors()[0]
    np.testing.assert_allclose(squared / 2, hamming * 9, atol=1e-6)


def misspelled():
    """Every value that is a word, with one letter less, of every estimator."""
    for make in ESTIMATORS:
        for name, allowed in make._parameter_constraints.items():
            for some in allowed:
                # Not those of scikit-learn's own kinds, as "verbose".
                words = some.options if isinstance(some, StrOptions) else ()
                for option in sorted(words):  # of every process in one order
                    if len(option) > 3:
                        yield make, name, option


@pytest.mark.parametrize(
    ("make", "name", "option"),
    list(misspelled()),
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_word_typed_wrong_names_the_nearest_right_one(make, name, option, blobs):
    for wrong in (option[:-1], option[:2] + option[3:], f"{option.upper()}"):
        with pytest.raises(InvalidParameterError, match=f"Did you mean {name}='"):
            make(**{name: wrong}).fit(*blobs)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"inference": "cascad"}, r"Did you mean inference='cascade'\?$"),
        ({"ef": "atuo"}, r"Did you mean ef='auto'\?$"),
        ({"walk": "HNSW"}, r"Did you mean walk='hnsw'\?$"),
        ({"inference": "neural"}, r"Got 'neural' instead\.$"),
        ({"ef": 0}, r"Got 0 instead\.$"),
    ],
)
def test_typed_wrong_before_and_after_fit(setting, message, blobs):
    with pytest.raises(InvalidParameterError, match=message):
        KNNGraphClassifier(**setting).fit(*blobs)
    model = KNNGraphClassifier(inference="adaptive").fit(*blobs).set_params(**setting)
    with pytest.raises(InvalidParameterError, match=message):
        model.predict(blobs[0])


def test_arguments_of_functions(blobs):
    with pytest.raises(InvalidParameterError, match=r"knn_adjacency .*mode='distance'"):
        knn_adjacency(blobs[0], 3, mode="distances")
    with pytest.raises(InvalidParameterError, match="backend='hnswlib'"):
        neighborhood_fidelity(blobs[0], backend="hnsw")
