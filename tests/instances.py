"""Constructor arguments of the estimators that the common checks run on.

The baselines have common checks of their own in tests/baselines.
"""

from knngraph import (
    KNNGraphClassifier,
    KNNGraphClassifierCV,
    KNNGraphTransformer,
)


def estimators_under_test():
    """Fresh estimators, one for every branch that fit and predict take."""
    return [
        KNNGraphClassifier(random_state=0),
        KNNGraphClassifier(support="local", ef=8, n_jobs=2),
        KNNGraphClassifier(
            inference="adaptive", metric="cosine", bandwidth="neighbors", random_state=0
        ),
        KNNGraphClassifier(inference="cascade", ef="auto", random_state=0),
        KNNGraphClassifierCV(random_state=0),
        KNNGraphClassifierCV(
            inference="cascade", metric="learned", neighbor_counts=[8], random_state=0
        ),
        KNNGraphClassifierCV(inference="lookup", ef="auto", metric="euclidean"),
        KNNGraphClassifier(inference="adaptive", metric="auto", random_state=0),
        KNNGraphClassifier(inference="cascade", metric="trees", random_state=0),
        KNNGraphClassifier(
            positive=False,
            label_weight=0.0,
            nugget=0.1,
            inference="adaptive",
            density_scales=[2],
            query_bandwidth="local",
            random_state=0,
        ),
        KNNGraphTransformer(random_state=0),
        KNNGraphTransformer(
            mode="distance", method="knn", symmetrize="mutual", n_jobs=2
        ),
        KNNGraphTransformer(
            mode="connectivity", label_weight=0.3, symmetrize="mean", n_neighbors=3
        ),
        KNNGraphTransformer(
            method="knn", metric="cosine", mode="distance", algorithm="hnsw"
        ),
    ]
