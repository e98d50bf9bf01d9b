"""The graph classifier on Dask, for data that outgrows one machine.

Which stage runs where, and what crosses the network (d features, m candidates a
row, P partitions, four bytes a coordinate):

1. *Statistics.* Blocks of X are counted where they lie: classes, the median of
   every column (a search over the digits of the numbers, three to six passes),
   the scale. 32 KiB a column and block and pass, merged as a tree.
2. *Placing.* Every row is mapped, and sent once to the partition that its hash
   (or, with ``routing="centroids"``, its nearest centroid) names: 4 d + 20 bytes
   a row. Copies meet there, partitions are of one size whatever the chunks of X
   were, and follow one another in the random order of the nodes on one machine.
3. *Indices.* One a partition, built where the partition lies, never moved.
4. *Candidates.* Every partition asks every other (or the nearest few): 4 d bytes
   a row there, at most 12 (m + 1) back. The best of all are kept: density, median
   distances and the rows short of their own class are read off them.
   2000 rows see whether single precision tells their nearest apart; only where it
   does not, a few rows go to one worker as they were given.
5. *Same class.* Only rows that are short ask: 4 d there, 12 (m / 2 + 1) back.
6. *Lens* (``query_metric="auto"``, up to 50,000 distinct rows, as on one machine).
   12 bytes a row and the coordinates of at most 1500 rows to one worker; what it
   learns, 1 KiB a column, to all. Rows along it are worked out where coordinates
   are. Where a lens is tried, 4. searches 2 m candidates; where it is kept, 7. and
   8. fetch as many.
7. *Learning.* A block of rows fetches its candidates, each once: at most
   (3 m / 2)(4 d + 28) bytes a row. The problems are solved there, and every row
   is left out once.
8. *Thresholds, trust.* At most 5000 rows and their surroundings are solved again,
   128 rows at a time at most; their votes (numbers, not rows) go to the client. How
   far labels are believed is one choice on these rows, too; the belief in every
   label follows where it lies.

Nothing that grows with the number of rows goes to the client or to one worker.
All of it are plain tasks that depend on each other: what a dying worker takes
along is computed again, and comes out the same.
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
    from knngraph.distributed.local_model import predict, predict_proba

__all__ = ["DaskKNNGraphClassifier", "predict", "predict_proba"]

_HOME_OF_NAME = {
    "DaskKNNGraphClassifier": "knngraph.distributed.estimator",
    "predict": "knngraph.distributed.local_model",
    "predict_proba": "knngraph.distributed.local_model",
}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name not in _HOME_OF_NAME:
        raise AttributeError(f"module 'knngraph.distributed' has no attribute {name!r}")
    return getattr(import_module(_HOME_OF_NAME[name]), name)
