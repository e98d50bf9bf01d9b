"""Tasks that stay at home, wait for another, or let others go first."""

import dask
import pytest

pytest.importorskip("distributed")

from dask.utils import key_split
from distributed.stealing import fast_tasks

from knngraph.distributed.tasks import blocks_at_once, task


def _annotations(made):
    return made.dask.layers[made.key].annotations


def test_a_task_with_a_home_is_not_taken_from_it():
    at_home = task(len, [1], name="fetch", home="tcp://127.0.0.1:1")
    # Dask moves waiting tasks to idle workers, except those of these names.
    assert key_split(at_home.key) in fast_tasks
    # Where that worker is gone, any other will do.
    assert _annotations(at_home)["allow_other_workers"]
    anywhere = task(len, [1], name="fetch")
    assert key_split(anywhere.key) == "knngraph-fetch"


def test_a_task_may_wait_for_another_and_let_others_go_first():
    order = []
    first = task(order.append, "first", name="first")
    second = task(order.append, "second", name="second", after=first, later=True)
    assert _annotations(second) == {"priority": -1}
    dask.compute(second, scheduler="sync")
    assert order == ["first", "second"]


@pytest.mark.parametrize(
    ("n_partitions", "n_threads", "expected"), [(4, 4, 2), (2, 8, 5), (8, 2, 2)]
)
def test_every_thread_has_a_block_and_another_waits(n_partitions, n_threads, expected):
    with dask.config.set(scheduler="threads", num_workers=n_threads):
        assert blocks_at_once(n_partitions) == expected
