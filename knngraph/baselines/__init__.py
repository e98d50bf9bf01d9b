"""Published k-nearest-neighbor classifiers to compare with."""

from knngraph.baselines.cross_validated import CVKNNClassifier
from knngraph.baselines.edited import ENNClassifier
from knngraph.baselines.harmonic_mean import XHMAKNNClassifier
from knngraph.baselines.hnsw import HNSWKNNClassifier
from knngraph.baselines.k_star import KStarNNClassifier
from knngraph.baselines.k_tree import KStarTreeClassifier, KTreeClassifier
from knngraph.baselines.kd_tree import KDTreeKNNClassifier
from knngraph.baselines.one_step import OneStepKNNClassifier
from knngraph.baselines.ordered_weights import OWAKNNClassifier
from knngraph.baselines.parameterless import PLKNNClassifier
from knngraph.baselines.sub_nn import SubNNClassifier

__all__ = [
    "CVKNNClassifier",
    "ENNClassifier",
    "HNSWKNNClassifier",
    "KDTreeKNNClassifier",
    "KStarNNClassifier",
    "KStarTreeClassifier",
    "KTreeClassifier",
    "OWAKNNClassifier",
    "OneStepKNNClassifier",
    "PLKNNClassifier",
    "SubNNClassifier",
    "XHMAKNNClassifier",
]
