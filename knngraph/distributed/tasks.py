"""Tasks with names and homes, on whatever scheduler Dask has."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from operator import getitem
from os import cpu_count
from typing import Any
from uuid import uuid4

import dask
from dask.base import get_scheduler
from dask.delayed import Delayed, delayed

_FAN_IN = 8


def task(function: Callable[..., Any], *args: Any, name: str, home: Any = None) -> Any:
    """A call that is made later, on the worker `home` while that is alive.

    Parameters
    ----------
    function : callable
        Constants are bound to it with `functools.partial`, so that Dask does not
        look into them.
    *args : Delayed, lists of Delayed, or small values
    name : str
        Shown on the dashboard.
    home : str or None
        Address of a worker.

    Returns
    -------
    Delayed
    """
    with _at(home):
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


def tree(merge: Callable[[list[Any]], Any], parts: list[Any], *, name: str) -> Any:
    """Merge few at a time, so that nobody ever holds all of them."""
    while len(parts) > 1:
        groups = [parts[i : i + _FAN_IN] for i in range(0, len(parts), _FAN_IN)]
        parts = [task(merge, group, name=name) for group in groups]
    return parts[0]


def compute(*tasks: Any) -> tuple[Any, ...]:
    """Results of tasks, here; only for small ones."""
    return tuple(dask.compute(*tasks))


def persist(tasks: Sequence[Any]) -> list[Any]:
    """Start tasks and keep their results where they are made."""
    return list(dask.persist(*tasks))


def finish(persisted: list[Any]) -> None:
    """Wait for persisted tasks; an error of theirs is raised here."""
    compute(*(task(_is_there, part, name="there") for part in persisted))


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


def _is_there(result: Any) -> bool:
    return result is not None


def _at(home: Any) -> Any:
    if home is None:
        return nullcontext()
    # Elsewhere once that worker is gone.
    return dask.annotate(workers=[home], allow_other_workers=True)
