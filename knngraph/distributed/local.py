"""A partitioned model brought to one process, and learned there."""

from typing import Any

import numpy as np

from knngraph.classifier import KNNGraphClassifier
from knngraph.distributed.partition import Layout, Partition
from knngraph.distributed.pilot import Shared
from knngraph.distributed.tasks import compute
from knngraph.graph.order import bring_together
from knngraph.graph.training_set import build_training_set
from knngraph.index.build import BuildSettings
from knngraph.indexing import IndexSettings, index_placed
from knngraph.metric.place import PlacedRows
from knngraph.model import FittedModel
from knngraph.parallel import count_threads


def local_classifier(
    classifier: KNNGraphClassifier,
    parts: list[Any],
    layout: Layout,
    shared: Shared,
    classes: np.ndarray,
    max_bytes: int,
) -> KNNGraphClassifier:
    """Gather mapped rows and learn them in the space that is known.

    Parameters
    ----------
    classifier : KNNGraphClassifier
        Unfitted; receives the model.
    parts : list of Delayed
        Persisted `Partition`.
    layout : Layout
    shared : Shared
    classes : ndarray of shape (n_classes,)
    max_bytes : int
        Largest estimate of the memory of the model.

    Returns
    -------
    KNNGraphClassifier
    """
    n_rows, m = int(layout.n_rows.sum()), shared.n_listed
    # Points, the index with its own, neighbor lists, learned weights, shares.
    n_mapped = shared.space.n_mapped(layout.n_features)
    of_row = 8 * n_mapped + 260 + 16 * m + 8 * min(len(classes), 10)
    if n_rows * of_row > max_bytes:
        raise ValueError(
            f"The fitted model of {n_rows} rows would take about "
            f"{n_rows * of_row / 2**30:.2f} GiB in this process; the limit is "
            f"{max_bytes / 2**30:.2f} GiB. Raise max_bytes, predict on the cluster, or "
            "keep the model with save(folder)."
        )
    training = _gathered(compute(*parts), len(classes), shared.seed)
    n_threads = count_threads(classifier.n_jobs)
    index_settings = IndexSettings(
        n_listed=m,
        exact_up_to=shared.exact_up_to,
        build=BuildSettings(
            shared.M,
            shared.ef_construction,
            shared.seed,
            n_threads,
            classifier.verbose,
        ),
    )
    training, cells = bring_together(training, index_settings.build)
    placed = PlacedRows(shared.space, training, None, {}, cells)
    rows = index_placed(placed, index_settings)
    settings = classifier._fit_settings(rows, index_settings)
    classifier.classes_, classifier.n_features_in_ = classes, layout.n_features
    model = FittedModel(rows, settings, n_threads, classifier.verbose)
    classifier._keep_model(model)
    return classifier


def _gathered(partitions: tuple[Partition, ...], n_classes: int, seed: int) -> Any:
    """The training set of all rows, in the order of the collection."""
    trainings = [part.training for part in partitions]
    firsts = np.cumsum([0, *(training.n_nodes for training in trainings)])
    in_order = np.argsort(np.concatenate([part.numbers for part in partitions]))
    nodes = np.concatenate([t.node_of_row + f for t, f in zip(trainings, firsts)])
    codes = np.concatenate([training.codes for training in trainings])
    points = np.concatenate([training.points for training in trainings])
    return build_training_set(
        points, codes[in_order], n_classes, seed, place_of_row=nodes[in_order]
    )
