"""The methods of the publication and ours, each as it is measured."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sklearn.neighbors import KNeighborsClassifier

from knngraph import KNNGraphClassifier, baselines

# The reading of our model that is the published method.
REFERENCE = "lookup, ef=1"
# All readings of our model.
OURS: dict[str, dict[str, Any]] = {
    REFERENCE: {"inference": "lookup", "ef": None},
    "lookup, ef=auto": {"inference": "lookup", "ef": "auto"},
    "cascade": {"inference": "cascade", "ef": None},
    "adaptive": {"inference": "adaptive", "ef": None},
}


@dataclass(frozen=True)
class Entry:
    """An estimator and the ways in which its one fit is read.

    Parameters
    ----------
    estimator : estimator
    readings : mapping of str to dict
        Label of a row of the tables, and the parameters set after fit for it.
    published_as : str
        Name in the published tables; empty where it is not in them.
    settings : str
        Settings in words, for the report.
    only : str or None
        Label of the one reading that is what was published.
    """

    estimator: Any
    readings: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    published_as: str = ""
    settings: str = ""
    only: str | None = None

    def published_name(self, label: str) -> str:
        """Name of a reading in the published tables, empty if it has none."""
        return self.published_as if self.only in (None, label) else ""


def entries() -> list[Entry]:
    """The methods in the order of the tables."""
    seed: dict[str, Any] = {"random_state": 0}
    return [
        plain("1-NN", KNeighborsClassifier(1, algorithm="brute"), "", "exact search"),
        plain(
            "CV-kNN",
            baselines.CVKNNClassifier(**seed),
            "CV-kNN",
            "k from 1 to min(30, root of n) by five stratified folds",
        ),
        plain(
            "ENN",
            baselines.ENNClassifier(),
            "ENN",
            "three neighbors edit, ties keep a row; 1-NN on what is kept",
        ),
        plain(
            "KD-Tree",
            baselines.KDTreeKNNClassifier(),
            "KD-Tree",
            "five neighbors, leaves of 30 rows",
        ),
        plain(
            "OWAkNN",
            baselines.OWAKNNClassifier(),
            "OWAkNN",
            "ten neighbors a class, alpha 0.5, as in the scripts of its authors",
        ),
        plain(
            "PLkNN",
            baselines.PLKNNClassifier(),
            "PLkNN",
            "Manhattan distance, as in the code of its authors",
        ),
        plain(
            "XHMAkNN",
            baselines.XHMAKNNClassifier(),
            "XHMAkNN",
            "three neighbors to start with, threshold 1 %, weight 0.5",
        ),
        plain(
            "kTree",
            baselines.KTreeClassifier(**seed),
            "k*tree",
            "pure leaves, search among all rows",
        ),
        plain(
            "k*tree",
            baselines.KStarTreeClassifier(**seed),
            "k*tree",
            "pure leaves, search within the leaf: the tree is a reconstruction",
        ),
        plain(
            "k*tree, large leaves",
            baselines.KStarTreeClassifier(min_samples_leaf=100, **seed),
            "k*tree",
            "leaves of 100 rows at least",
        ),
        plain(
            "OkNN",
            baselines.OneStepKNNClassifier(**seed),
            "OkNN",
            "alpha and beta 1; the solve counts as fit",
        ),
        plain(
            "OkNN, tuned",
            baselines.OneStepKNNClassifier(alpha="cv", beta=0.001, **seed),
            "OkNN",
            "alpha by five folds, beta 0.001",
        ),
        plain(
            "HNSW, nearest",
            baselines.HNSWKNNClassifier(n_neighbors=1, ef=1, **seed),
            "",
            "ablation: the same greedy search (ef=1), given label of the node reached",
        ),
        plain(
            "HNSW, 5 neighbors",
            baselines.HNSWKNNClassifier(**seed),
            "",
            "ablation: five neighbors by a search with `ef=64`, equal votes",
        ),
        Entry(
            KNNGraphClassifier(metric="euclidean", **seed),
            OURS,
            "kNN-Graph",
            "defaults of `KNNGraphClassifier` but metric=euclidean; one fit for all",
            only=REFERENCE,
        ),
    ]


def plain(
    label: str, estimator: Any, published_as: str = "", settings: str = ""
) -> Entry:
    """An estimator that is read in one way."""
    return Entry(estimator, {label: {}}, published_as, settings)
