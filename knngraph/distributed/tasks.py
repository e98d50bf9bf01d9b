"""Tasks with names and workers, on whatever scheduler Dask has."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from functools import partial
from operator import getitem
from os import cpu_count
from sys import getsizeof
from typing import Any
from uuid import uuid4

import dask
import numpy as np
from dask import config
from dask.base import get_scheduler
from dask.delayed import Delayed, delayed
from dask.sizeof import sizeof
from scipy import sparse

_LATER = -1


class Held:
    """Base of dataclasses that are results of tasks.

    Dask places tasks by the size of what they read. For an object that it does not
    know it takes `sys.getsizeof`, which sees no array inside.
    """


@sizeof.register(Held)
def n_bytes_of(value: Any) -> int:
    """Bytes of the arrays in a value.

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.distributed.tasks import n_bytes_of
    >>> n_bytes_of([np.zeros(3), (np.zeros(2, dtype=np.float32), None)])
    32
    """
    if value is None:
        return 0
    if isinstance(value, np.ndarray):
        return int(value.nbytes)
    if sparse.issparse(value):
        return int(value.data.nbytes + value.indices.nbytes + value.indptr.nbytes)
    if isinstance(value, list | tuple):
        return sum(n_bytes_of(item) for item in value)
    if is_dataclass(value):
        return sum(n_bytes_of(getattr(value, field.name)) for field in fields(value))
    # An index knows its size; everything else is small.
    return int(getattr(value, "n_bytes", 0)) or getsizeof(value)


def task(
    function: Callable[..., Any],
    *args: Any,
    name: str,
    home: str | None = None,
    after: Any = None,
    later: bool = False,
) -> Any:
    """A call that is made later.

    Parameters
    ----------
    function : callable
        Constants are bound to it with `functools.partial`, so that Dask does not
        look into them.
    *args : Delayed, lists of Delayed, or small values
    name : str
        Part of the key.
    home : str or None
        Address of the worker that runs it; another one does if that is gone.
    after : Delayed or None
        The call waits for it, but does not read its result.
    later : bool
        Whether a worker prefers other tasks: small ones that other workers wait for
        go before the long ones of its own.

    Returns
    -------
    Delayed
    """
    if after is not None:
        function, args = partial(_call_after, function), (after, *args)
    notes: dict[str, Any] = {"priority": _LATER} if later else {}
    if home is not None:
        notes |= {"workers": [home], "allow_other_workers": True}
    with dask.annotate(**notes):
        return delayed(function, pure=False)(
            *args, dask_key_name=f"knngraph-{name}-{uuid4().hex}"
        )


def constant(value: Any, *, name: str) -> Any:
    """A value that many tasks share, as a task."""
    unique = f"knngraph-{name}-{uuid4().hex}"
    return delayed(value, name=unique, pure=False, traverse=False)


def items(whole: Any, n_items: int, *, name: str, home: Any = None) -> list[Any]:
    """The items of a list that a task returns, each a task of its own."""
    return [task(getitem, whole, i, name=name, home=home) for i in range(n_items)]


def blocks_at_once(n_partitions: int) -> int:
    """Blocks of one partition that are in work at a time.

    One for every thread that a partition has to itself, and one more, whose rows
    arrive in the meantime. The bound keeps what is fetched for blocks from filling
    the memory, and waiting tasks few: Dask moves those to idle workers, and with them
    the partition that they read.
    """
    client = cluster_client()
    if client is None:
        n_threads = config.get("num_workers", None) or cpu_count() or 1
    else:
        workers = client.scheduler_info(n_workers=-1)["workers"].values()
        n_threads = sum(worker["nthreads"] for worker in workers)
    return 1 + max(1, -(-n_threads // n_partitions))


def compute(*tasks: Any) -> tuple[Any, ...]:
    """Results of tasks, here; only for small ones."""
    return tuple(dask.compute(*tasks))


def persist(tasks: Sequence[Any]) -> list[Any]:
    """Start tasks and keep their results where they are made."""
    return list(dask.persist(*tasks))


def finish(persisted: Sequence[Any]) -> None:
    """Wait for persisted tasks; an error of theirs is raised here."""
    compute(*(task(_is_there, part, name="there") for part in persisted))


def cluster_client() -> Any:
    """The client that Dask would use, or None where there is no cluster."""
    from distributed import Client

    owner = getattr(get_scheduler(), "__self__", None)
    return owner if isinstance(owner, Client) else None


def homes_of(n_partitions: int) -> list[str | None]:
    """Workers of the partitions in turn; None without a cluster."""
    client = cluster_client()
    if client is None:
        return [None] * n_partitions
    workers = sorted(client.scheduler_info(n_workers=-1)["workers"])
    return [workers[i % len(workers)] if workers else None for i in range(n_partitions)]


def count_workers() -> int:
    """Number of workers, one without a cluster."""
    client = cluster_client()
    if client is None:
        return 1
    return max(1, len(client.scheduler_info(n_workers=-1)["workers"]))


def is_on_cluster(persisted: Any) -> bool:
    """Whether a persisted task lies on workers and not in this process."""
    return bool(_futures(persisted))


def is_lost(persisted: Any) -> bool:
    """Whether a persisted task lay on a cluster that is no longer there."""
    return any(future.status in ("cancelled", "lost") for future in _futures(persisted))


def _futures(persisted: Any) -> list[Any]:
    from distributed import Future

    if not isinstance(persisted, Delayed):
        return []
    return [v for v in dict(persisted.dask).values() if isinstance(v, Future)]


@contextmanager
def own_threads() -> Iterator[None]:
    """Let `n_jobs` mean threads of this task.

    Workers are children of a nanny, where joblib otherwise allows one thread only.
    """
    from joblib import parallel_config

    with parallel_config(backend="threading"):
        yield


def _is_there(result: Any) -> bool:
    return result is not None


def _call_after(function: Callable[..., Any], _: Any, *args: Any) -> Any:
    return function(*args)
