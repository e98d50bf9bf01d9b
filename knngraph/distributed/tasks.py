"""Tasks with names and homes, on whatever scheduler Dask has."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from operator import getitem
from os import cpu_count
from typing import Any
from uuid import uuid4

import dask
from dask import config
from dask.base import get_scheduler
from dask.delayed import Delayed, delayed

_FAN_IN = 8
_LATER = -1
# Dask moves waiting tasks from busy workers to idle ones, and with them whatever they
# read: partition after partition would come to lie on every worker. Only tasks of a
# few names stay where they are; this is the one of what Dask's own shuffle sends.
_STAYS = "split-shuffle-0-"


def task(
    function: Callable[..., Any],
    *args: Any,
    name: str,
    home: Any = None,
    after: Any = None,
    later: bool = False,
) -> Any:
    """A call that is made later, on the worker `home` while that is alive.

    Parameters
    ----------
    function : callable
        Constants are bound to it with `functools.partial`, so that Dask does not
        look into them.
    *args : Delayed, lists of Delayed, or small values
    name : str
        Part of the key.
    home : str or None
        Address of a worker, which it is not taken from while that is alive.
    after : Delayed or None
        Without whose result the call is not made, though it does not look at it.
    later : bool
        Whether a worker does first whatever else it may do: small tasks that other
        workers wait for go before the long ones of its own.

    Returns
    -------
    Delayed
    """
    if after is not None:
        function, args = partial(_call_after, function), (after, *args)
    stays = "" if home is None else _STAYS
    with _annotated(home, later):
        return delayed(function, pure=False)(
            *args, dask_key_name=f"{stays}knngraph-{name}-{uuid4().hex}"
        )


def constant(value: Any, *, name: str) -> Any:
    """A value that many tasks share, as a task."""
    unique = f"knngraph-{name}-{uuid4().hex}"
    return delayed(value, name=unique, pure=False, traverse=False)


def items(whole: Any, n_items: int, *, name: str, home: Any = None) -> list[Any]:
    """The items of a list that a task returns, each a task of its own."""
    return [task(getitem, whole, i, name=name, home=home) for i in range(n_items)]


def tree(merge: Callable[[list[Any]], Any], parts: list[Any], *, name: str) -> Any:
    """Merge few at a time, so that nobody ever holds all of them."""
    while len(parts) > 1:
        groups = [parts[i : i + _FAN_IN] for i in range(0, len(parts), _FAN_IN)]
        parts = [task(merge, group, name=name) for group in groups]
    return parts[0]


def blocks_at_once(n_partitions: int) -> int:
    """Blocks of one partition that are in work at a time.

    One for every thread that a partition has to itself, and one more, whose rows
    arrive in the meantime. Without a bound whoever is asked answers for all blocks
    at once, and what it answers lies in its memory until the asking one gets there.
    """
    client = cluster_client()
    if client is None:
        n_threads = config.get("num_workers", None) or cpu_count() or 1
    else:
        workers = client.scheduler_info(n_workers=-1)["workers"].values()
        n_threads = sum(worker["nthreads"] for worker in workers)
    return 1 + max(1, -(-n_threads // n_partitions))


def is_done(result: Any) -> bool:
    """Something small that stands for a result, to wait for from elsewhere."""
    return result is not None


def compute(*tasks: Any) -> tuple[Any, ...]:
    """Results of tasks, here; only for small ones."""
    return tuple(dask.compute(*tasks))


def persist(tasks: Sequence[Any]) -> list[Any]:
    """Start tasks and keep their results where they are made."""
    return list(dask.persist(*tasks))


def finish(persisted: list[Any]) -> None:
    """Wait for persisted tasks; an error of theirs is raised here."""
    compute(*(task(is_done, part, name="there") for part in persisted))


def cluster_client() -> Any:
    """The client that Dask would use, or None where there is no cluster."""
    from distributed import Client

    owner = getattr(get_scheduler(), "__self__", None)
    return owner if isinstance(owner, Client) else None


def worker_addresses() -> list[str]:
    """Addresses of the workers, none where there is no cluster."""
    client = cluster_client()
    if client is None:
        return []
    return sorted(client.scheduler_info(n_workers=-1)["workers"])


def threads_of_task(n_jobs: int | None) -> int:
    """Threads of one task; joblib would allow the children of a nanny one only."""
    if n_jobs is None:
        return 1
    if n_jobs > 0:
        return n_jobs
    return max(1, (cpu_count() or 1) + 1 + n_jobs)


def is_lost(persisted: Any) -> bool:
    """Whether a persisted task lived on a cluster that is no longer there."""
    from distributed import Future

    if not isinstance(persisted, Delayed):
        return False
    futures = [v for v in dict(persisted.dask).values() if isinstance(v, Future)]
    return any(future.status in ("cancelled", "lost") for future in futures)


def _call_after(function: Callable[..., Any], _: Any, *args: Any) -> Any:
    return function(*args)


@contextmanager
def _annotated(home: Any, later: bool) -> Iterator[None]:
    notes: dict[str, Any] = {"priority": _LATER} if later else {}
    if home is not None:
        # Elsewhere once that worker is gone.
        notes |= {"workers": [home], "allow_other_workers": True}
    if not notes:
        yield
        return
    with dask.annotate(**notes):
        yield
