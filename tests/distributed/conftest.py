"""A small cluster of real processes for the tests that need one."""

import pytest

pytest.importorskip("distributed")

from distributed import Client, LocalCluster


@pytest.fixture(scope="session")
def cluster():
    """Three workers with a nanny each; the scheduler and clients live here."""
    with LocalCluster(
        n_workers=3,
        threads_per_worker=1,
        processes=True,
        memory_limit=0,
        dashboard_address=":0",
    ) as cluster:
        yield cluster


@pytest.fixture
def client(cluster):
    """A client of its own for every test."""
    with Client(cluster) as client:
        client.wait_for_workers(3)
        yield client
