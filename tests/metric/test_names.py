"""Metrics by name: those that mean the same, and what to use for the others."""

import pytest

from knngraph.metric.names import allows_missing, instead_of_metric, metric_named

KNOWN = {"euclidean", "cosine", "manhattan"}


def test_names_that_mean_the_same():
    same = {"l2": "euclidean", "minkowski": "euclidean", "l1": "manhattan"}
    same |= {"cityblock": "manhattan", "infinity": "chebyshev", "cosine": "cosine"}
    assert {name: metric_named(name) for name in same} == same
    assert metric_named("minkowski", {}) == "euclidean"
    assert metric_named("minkowski", {"p": 2}) == "euclidean"


@pytest.mark.parametrize(
    ("metric", "params", "message"),
    [
        ("minkowski", {"p": 1}, r"p=2, got p=1\. KDTreeKNN.*metric='manhattan'"),
        ("minkowski", {"p": float("inf")}, r"got p=inf\. KDTreeKNN.*'chebyshev'"),
        ("minkowski", {"p": 3}, r"got p=3\. KNeighborsClassifier"),
        ("minkowski", {"p": 2, "w": 1}, r"'w': 1.* no meaning with .*'minkowski'"),
        ("euclidean", {"p": 2}, r"\{'p': 2\} has no meaning with metric='euclidean'"),
    ],
)
def test_parameters_of_a_metric_that_mean_nothing(metric, params, message):
    with pytest.raises(ValueError, match=message):
        metric_named(metric, params)


@pytest.mark.parametrize(
    ("metric", "sentence"),
    [
        (len, "A function cannot be searched"),
        ("l1", "Here it is metric='manhattan'."),
        ("infinity", "KDTreeKNNClassifier has metric='chebyshev'."),
        ("jaccard", "KNeighborsClassifier and KNeighborsTransformer of scikit-learn"),
        ("sqeuclidean", "metric='euclidean' has the same neighbors."),
    ],
)
def test_what_to_use_instead(metric, sentence):
    assert instead_of_metric(metric, KNOWN).startswith(sentence)


def test_a_name_that_nothing_is_known_of():
    assert instead_of_metric("eucledean", KNOWN) is None


def test_metrics_that_take_missing_values():
    assert [allows_missing(m) for m in ("auto", "trees")] == [True, True]
    assert [allows_missing(m) for m in ("euclidean", "learned", len)] == [False] * 3
