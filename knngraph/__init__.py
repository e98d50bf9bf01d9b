"""k-nearest-neighbor classification that does its work at fit.

The public names load on first use, so that importing the package costs little
more than importing scikit-learn and pulls in neither numba nor a search engine.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from knngraph._version import __version__

if TYPE_CHECKING:
    from knngraph.adjacency import knn_adjacency
    from knngraph.baselines import (
        CVKNNClassifier,
        ENNClassifier,
        HNSWKNNClassifier,
        KDTreeKNNClassifier,
        KStarNNClassifier,
        KStarTreeClassifier,
        KTreeClassifier,
        OneStepKNNClassifier,
        OWAKNNClassifier,
        PLKNNClassifier,
        SubNNClassifier,
        XHMAKNNClassifier,
    )
    from knngraph.classifier import KNNGraphClassifier
    from knngraph.condensing.condense import condense
    from knngraph.exceptions import (
        KNNGraphWarning,
        LookupAgreementWarning,
        RefitWarning,
        SavedModelError,
    )
    from knngraph.pipelines import to_predictor
    from knngraph.selection import KNNGraphClassifierCV
    from knngraph.serving.estimator_file import load, save
    from knngraph.serving.predictor import Predictor, load_predictor
    from knngraph.transformer import KNNGraphTransformer

# Homes of the public names but the baselines.
_HOME_OF_NAME = {
    "KNNGraphClassifier": "knngraph.classifier",
    "KNNGraphClassifierCV": "knngraph.selection",
    "KNNGraphTransformer": "knngraph.transformer",
    "KNNGraphWarning": "knngraph.exceptions",
    "LookupAgreementWarning": "knngraph.exceptions",
    "Predictor": "knngraph.serving.predictor",
    "RefitWarning": "knngraph.exceptions",
    "SavedModelError": "knngraph.exceptions",
    "condense": "knngraph.condensing.condense",
    "knn_adjacency": "knngraph.adjacency",
    "load": "knngraph.serving.estimator_file",
    "load_predictor": "knngraph.serving.predictor",
    "save": "knngraph.serving.estimator_file",
    "to_predictor": "knngraph.pipelines",
}

__all__ = [
    "CVKNNClassifier",
    "ENNClassifier",
    "HNSWKNNClassifier",
    "KDTreeKNNClassifier",
    "KNNGraphClassifier",
    "KNNGraphClassifierCV",
    "KNNGraphTransformer",
    "KNNGraphWarning",
    "KStarNNClassifier",
    "KStarTreeClassifier",
    "KTreeClassifier",
    "LookupAgreementWarning",
    "OWAKNNClassifier",
    "OneStepKNNClassifier",
    "PLKNNClassifier",
    "Predictor",
    "RefitWarning",
    "SavedModelError",
    "SubNNClassifier",
    "XHMAKNNClassifier",
    "__version__",
    "condense",
    "knn_adjacency",
    "load",
    "load_predictor",
    "save",
    "to_predictor",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'knngraph' has no attribute {name!r}")
    home = _HOME_OF_NAME.get(name, "knngraph.baselines")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
