"""What of a fitted model is needed to answer."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from knngraph.index.build import BEAMS, WalkProbe
from knngraph.inference.model import FittedModel, Reading


@dataclass(frozen=True)
class Served:
    """A model that answers one way.

    Parameters
    ----------
    model : FittedModel
        Without what only fit and inspection read: rows behind the nodes, and
        what walks have been measured to find.
    reading : Reading
    distribution : ndarray or CSR array of shape (n_nodes, n_classes) or None
        Shares of the vote on the nodes; None where no answer comes from there.
    classes : ndarray of shape (n_classes,)
    n_features : int
    names : ndarray of str or None
        Names of the columns, where fit has seen any.
    """

    model: FittedModel
    reading: Reading
    distribution: Any
    classes: np.ndarray
    n_features: int
    names: np.ndarray | None


def served_model(
    model: FittedModel,
    reading: Reading,
    distribution: Any,
    classes: np.ndarray,
    n_features: int,
    names: np.ndarray | None,
) -> Served:
    """Leave out what no answer needs; arrays are shared, not copied.

    Parameters
    ----------
    model, reading
        Of a classifier.
    distribution : ndarray or CSR array of shape (n_rows, n_classes)
        Shares of the vote on the training rows.
    classes, n_features, names
        As in `Served`.

    Returns
    -------
    Served
    """
    training, stored = model.training, model.stored
    of_nodes = None
    if reading.inference != "adaptive":
        everyone = np.arange(training.n_nodes)
        of_nodes = stored.by_node(distribution, everyone)
    nobody = np.empty(0, dtype=np.intp)
    slim = replace(
        model,
        training=replace(
            training, node_of_row=nobody, codes=nobody, pair_of_row=nobody
        ),
        stored=replace(stored, row_of_node=np.arange(training.n_nodes), average=None),
        probe=WalkProbe(np.empty((len(BEAMS), 0), dtype=np.intp), nobody),
        lens=None,  # the reading has it, where it looks through one
    )
    # Threads are a matter of the machine that answers.
    return Served(
        slim, replace(reading, n_threads=1), of_nodes, classes, n_features, names
    )
