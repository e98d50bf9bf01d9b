"""The graph classifier on Dask, for data that outgrows one machine.

Up to `local_rows` rows one task fits the estimator on one worker. Above, with d
features, m candidates a row and P partitions:

1. *Pilot.* One task fits the estimator on a sample of up to 50,000 rows: center,
   scale and learned map, measured `ef`, calibration, the label noise model, the
   rule of a cascade.
2. *Placing.* Every row is mapped and sent once to its partition, by its hash or by
   its nearest centroid: 4 d + 16 bytes a row. Copies meet there.
3. *Indices.* One a partition, built where the partition lies.
4. *Neighbor lists.* Blocks of rows are searched in every partition, or in the
   nearest few: 4 d bytes a row there, at most 12 (m + 1) back. Extremes of the
   density and bandwidths come from the lists of all partitions.
5. *Learning.* A block of rows fetches its candidates, each once, and runs the stages
   of one machine on that patch.
6. *Answers.* A block of queries is searched in the same way, and fetches what its
   inference reads off the nodes found.

Nothing that grows with the number of rows goes to the client or to one worker.
"""

from typing import TYPE_CHECKING, Any

try:
    import dask  # noqa: F401
    import distributed  # noqa: F401
except ImportError as error:
    raise ImportError(
        "knngraph.distributed needs dask and distributed: pip install 'knngraph[dask]'"
    ) from error

if TYPE_CHECKING:
    from knngraph.distributed.estimator import DaskKNNGraphClassifier
    from knngraph.distributed.whole import predict, predict_proba

__all__ = ["DaskKNNGraphClassifier", "predict", "predict_proba"]

_HOME_OF_NAME = {
    "DaskKNNGraphClassifier": "knngraph.distributed.estimator",
    "predict": "knngraph.distributed.whole",
    "predict_proba": "knngraph.distributed.whole",
}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name not in _HOME_OF_NAME:
        raise AttributeError(f"module 'knngraph.distributed' has no attribute {name!r}")
    return getattr(import_module(_HOME_OF_NAME[name]), name)
