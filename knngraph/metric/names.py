"""Metrics by the names that people type, and what to use for those that are missing."""

from collections.abc import Collection
from typing import Any

# The way to metrics that no index here is built for.
_THEIRS = (
    "KNeighborsClassifier and KNeighborsTransformer of scikit-learn have it, and "
    "search exactly."
)
_MANHATTAN = f"KDTreeKNNClassifier has metric='manhattan'. {_THEIRS}"
_CHEBYSHEV = f"KDTreeKNNClassifier has metric='chebyshev'. {_THEIRS}"
# Other names of a metric; an estimator may have it under the second one.
_SAME = {
    "l2": "euclidean",
    "minkowski": "euclidean",
    "cityblock": "manhattan",
    "l1": "manhattan",
    "infinity": "chebyshev",
}
# What to use instead; where neighbors are said to be the same, so is their order.
_INSTEAD = {
    "manhattan": _MANHATTAN,
    "cityblock": _MANHATTAN,
    "l1": _MANHATTAN,
    "chebyshev": _CHEBYSHEV,
    "infinity": _CHEBYSHEV,
    "sqeuclidean": "metric='euclidean' has the same neighbors.",
    "seuclidean": "Scale the columns (sklearn.preprocessing.StandardScaler) and use "
    "metric='euclidean'.",
    "mahalanobis": "Whiten the rows (sklearn.decomposition.PCA(whiten=True)) and use "
    "metric='euclidean'; metric='learned' of KNNGraphClassifier learns such a metric.",
    "haversine": "Make three columns of latitude and longitude in radians, cos(lat) * "
    "cos(lon), cos(lat) * sin(lon) and sin(lat), and use metric='euclidean': the "
    "neighbors are the same.",
    "correlation": "Subtract from every row its mean and use metric='cosine': the "
    "neighbors are the same.",
    "hamming": "Encode the columns by sklearn.preprocessing.OneHotEncoder and use "
    "metric='euclidean': the neighbors are the same.",
    "nan_euclidean": "Fill in what is missing (sklearn.impute.SimpleImputer) and use "
    "metric='euclidean'.",
    "precomputed": "Rows are needed, not distances between them: "
    "sklearn.neighbors.KNeighborsClassifier(metric='precomputed') takes distances, "
    "and KNNGraphTransformer(method='knn', mode='distance') makes them.",
}
_OTHERS_OF_SCIKIT_LEARN = (
    *("braycurtis", "canberra", "dice", "jaccard", "jensenshannon", "p", "pyfunc"),
    *("rogerstanimoto", "russellrao", "sokalmichener", "sokalsneath", "yule"),
)

# Metrics that take missing values as they are.
_WITH_MISSING = ("auto", "trees")


def allows_missing(metric: Any) -> bool:
    """Whether X may hold NaN with a metric."""
    return isinstance(metric, str) and metric in _WITH_MISSING


def metric_named(metric: str, params: dict[str, Any] | None = None) -> str:
    """Resolve other names of the Euclidean metric.

    Parameters
    ----------
    metric : str
        "l2", and "minkowski" with p=2, are "euclidean"; other names stay.
    params : dict or None, default=None
        `{"p": 2}` where the metric is "minkowski", else none.

    Examples
    --------
    >>> from knngraph.metric.names import metric_named
    >>> metric_named("minkowski", {"p": 2}), metric_named("cosine")
    ('euclidean', 'cosine')
    >>> metric_named("minkowski", {"p": 1})
    Traceback (most recent call last):
        ...
    ValueError: metric='minkowski' is offered with p=2, got p=1. KDTree...
    """
    if not params:
        return _SAME.get(metric, metric)
    if metric != "minkowski" or set(params) != {"p"}:
        raise ValueError(
            f"metric_params={params!r} has no meaning with metric={metric!r}: what "
            "there is is metric='minkowski' with metric_params={'p': 2}. Weights of "
            "columns are columns that are multiplied by their roots."
        )
    if params["p"] != 2:
        instead = {1: _MANHATTAN, float("inf"): _CHEBYSHEV}.get(params["p"], _THEIRS)
        raise ValueError(
            f"metric='minkowski' is offered with p=2, got p={params['p']!r}. {instead}"
        )
    return "euclidean"


def instead_of_metric(metric: Any, offered: Collection[str]) -> str | None:
    """One sentence or two on what to use where a metric is not offered.

    Parameters
    ----------
    offered : collection of str
        Names that the estimator knows.

    Examples
    --------
    >>> from knngraph.metric.names import instead_of_metric
    >>> instead_of_metric("l1", {"euclidean", "manhattan"})
    "Here it is metric='manhattan'."
    >>> instead_of_metric("sqeuclidean", {"euclidean"})
    "metric='euclidean' has the same neighbors."
    """
    if not isinstance(metric, str):
        return (
            "A function cannot be searched by an index: KNeighborsClassifier of "
            "scikit-learn takes it, and compares all rows."
        )
    if _SAME.get(metric) in offered:
        return f"Here it is metric={_SAME[metric]!r}."
    if metric in _OTHERS_OF_SCIKIT_LEARN:
        return _THEIRS
    return _INSTEAD.get(metric)
