"""Real worker processes: traffic, deaths, and clients that go away."""

import os
import signal
import threading
import time

import dask
import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
from distributed import Client, futures_of

from knngraph import KNNGraphClassifier
from knngraph.distributed import DaskKNNGraphClassifier, predict
from knngraph.distributed.tasks import n_bytes_of
from tests.distributed.data import queries, rows_with_copies, wrong_labels

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
SETTINGS = {"metric": "euclidean", "random_state": 0, "support": "local", "ef": 64}


def distributed(**settings):
    estimator = KNNGraphClassifier(**SETTINGS | settings)
    return DaskKNNGraphClassifier(estimator, n_partitions=3, local_rows=0)


def collections(X, y, rows=130):
    return da.from_array(X, chunks=(rows, -1)), da.from_array(y, chunks=rows)


@pytest.fixture(scope="module")
def near():
    return KNNGraphClassifier(**SETTINGS).fit(*rows_with_copies())


def pids(client):
    return client.run(os.getpid)


def kill_one_when_busy(client, prefix, killed):
    """SIGKILL a worker as soon as tasks of this name run."""

    def wait_and_kill():
        for _ in range(3000):
            running = client.run_on_scheduler(
                lambda dask_scheduler: [
                    ts.processing_on.address
                    for ts in dask_scheduler.tasks.values()
                    if ts.processing_on is not None and prefix in str(ts.key)
                ]
            )
            if running:
                pid = workers.get(running[0])
                if pid is not None:
                    os.kill(pid, signal.SIGKILL)
                    killed.append(pid)
                    return
            time.sleep(0.002)

    workers = pids(client)
    thread = threading.Thread(target=wait_and_kill)
    thread.start()
    return thread


def fit_while_one_is_killed(client, stage, far, X, y):
    killed = []
    thread = kill_one_when_busy(client, stage, killed)
    far.fit(*collections(X, y))
    thread.join()
    assert killed
    assert killed[0] not in pids(client).values()


@pytest.mark.parametrize("stage", ["knngraph-search", "knngraph-learn"])
def test_a_worker_killed_during_fit_changes_nothing(client, stage):
    X, y = rows_with_copies()
    y, settings = wrong_labels(y), SETTINGS | {"inference": "adaptive"}
    far = distributed(**settings)
    fit_while_one_is_killed(client, stage, far, X, y)
    near = KNNGraphClassifier(**settings).fit(X, y)
    assert far.label_doubt_ == near.label_doubt_ > 0
    assert far.n_relabeled_ == len(near.relabeled_)
    Q, _ = queries()
    np.testing.assert_array_equal(far.predict(Q), near.predict(Q))


def test_a_worker_killed_while_it_fits_all_rows_changes_nothing(client, near):
    far = DaskKNNGraphClassifier(KNNGraphClassifier(**SETTINGS))
    fit_while_one_is_killed(client, "knngraph-whole", far, *rows_with_copies())
    Q, _ = queries()
    np.testing.assert_array_equal(far.predict_proba(Q), near.predict_proba(Q))


def test_workers_killed_before_and_during_predict_are_replaced(client, near):
    far = distributed(inference="adaptive").fit(*collections(*rows_with_copies()))
    Q, _ = queries()
    near = KNNGraphClassifier(**near.get_params() | {"inference": "adaptive"})
    expected = near.fit(*rows_with_copies()).predict(Q)
    os.kill(next(iter(pids(client).values())), signal.SIGKILL)
    lazily = far.predict(da.from_array(np.concatenate([Q] * 10), chunks=(100, -1)))
    killed = []
    thread = kill_one_when_busy(client, "knngraph", killed)
    answers = lazily.compute()
    thread.join()
    assert killed
    np.testing.assert_array_equal(answers, np.tile(expected, 10))


def test_training_rows_stay_on_the_workers(client, monkeypatch):
    largest_here = [0]
    compute = dask.compute

    def watched(*args, **kwargs):
        results = compute(*args, **kwargs)
        largest_here.extend(n_bytes_of(result) for result in results)
        return results

    monkeypatch.setattr(dask, "compute", watched)
    n, d, pilot = 3000, 64, 300
    monkeypatch.setattr("knngraph.distributed.pilot._FEWEST_ROWS", pilot)
    monkeypatch.setattr("knngraph.distributed.learn._BANDWIDTH_NODES", 100)
    monkeypatch.setattr("knngraph.distributed.learn._CLASS_SAMPLE_BYTES", 2**15)
    # So that a partition has many blocks.
    monkeypatch.setattr("knngraph.distributed.learn._FETCHED_BYTES", 2**19)
    monkeypatch.setattr("knngraph.distributed.learn._PATCHES", 64)
    monkeypatch.setattr("knngraph.distributed.learn._SEARCHED_BYTES", 2**16)
    X = np.random.default_rng(0).normal(size=(n, d)).astype(np.float32)
    y = (X[:, 0] > 0).astype(int)
    X, y = client.persist(collections(X, y, rows=250))
    client.run_on_scheduler(start_counting)
    far = distributed(ef=16, inference="cascade").fit(X, y)
    largest, made, at_once = client.run_on_scheduler(counted_tasks)
    # Of two blocks of every partition, what three partitions send, or pieces of
    # that: others are not searched or fetched before one of these is done.
    for name in ("search", "fetch"):
        assert made[f"knngraph-{name}"] > 2 * at_once[f"knngraph-{name}"]
        assert at_once[f"knngraph-{name}"] <= 2 * 3 * 3
    assert largest["knngraph-partition"] > n * d * 4 / 4
    # The pilot gives no rows; nothing but a partition is as large as a third of all.
    assert largest["knngraph-pilot"] < 4000
    assert max(largest.values()) <= largest["knngraph-fitted"], largest
    assert largest["knngraph-fitted"] < 1.5 * n / 3 * (2 * d * 4 + 300)
    # Numbers come to the client, and the lists of 100 nodes: no rows.
    assert max(largest_here) < 100 * 32 * 16
    assert far.score(X, y) > 0.8
    assert far.partition_sizes_.sum() == n
    assert far.partition_sizes_.max() < 1.2 * n / 3
    homes = client.who_has(futures_of(far._parts)).values()
    # Each on a worker of its own, unless Dask finds that one busy for long.
    assert len({worker for of_part in homes for worker in of_part}) >= 2


def start_counting(dask_scheduler):
    from collections import Counter

    from distributed.diagnostics.plugin import SchedulerPlugin

    class Sizes(SchedulerPlugin):
        name = "sizes"

        def __init__(self):
            self.largest = {}
            self.made, self.there, self.at_once = Counter(), Counter(), Counter()

        def transition(self, key, start, finish, *args, nbytes=None, **kwargs):
            prefix = "knngraph-" + str(key).partition("knngraph-")[2].split("-")[0]
            if finish == "memory":
                self.largest[prefix] = max(self.largest.get(prefix, 0), nbytes or 0)
                self.made[prefix] += 1
                self.there[prefix] += 1
                self.at_once[prefix] = max(self.at_once[prefix], self.there[prefix])
            if start == "memory":
                self.there[prefix] -= 1

    dask_scheduler.add_plugin(Sizes(), name="sizes")


def counted_tasks(dask_scheduler):
    sizes = dask_scheduler.plugins["sizes"]
    return sizes.largest, sizes.made, sizes.at_once


def test_data_frames_with_unknown_sizes(client, near):
    X, y = rows_with_copies()
    names = [f"pixel {i}" for i in range(X.shape[1])]
    table = pd.DataFrame(X, columns=names, index=np.arange(len(X)) + 1000)
    frame = dd.from_pandas(table.assign(label=y), npartitions=4)
    frame = frame[frame["pixel 0"] >= 0]  # sizes unknown from here on
    rows, labels = frame[names], frame["label"]
    far = distributed().fit(rows, labels)
    assert list(far.feature_names_in_) == names
    answers = far.predict(rows)
    assert answers.npartitions == 4
    computed = answers.compute()
    assert isinstance(computed, pd.Series)
    np.testing.assert_array_equal(computed.index, table.index)
    np.testing.assert_array_equal(computed, near.predict(X))
    shares = far.predict_proba(rows).compute()
    assert list(shares.columns) == list(far.classes_)
    np.testing.assert_allclose(shares, near.predict_proba(X), atol=1e-6)
    assert far.score(rows, labels) == near.score(X, y)
    with pytest.raises(ValueError, match="feature names"):
        far.predict(rows[names[::-1]])


def test_a_local_model_goes_once_to_every_worker(client, near):
    Q, _ = queries()
    client.run(count_unpickling)
    answers = predict(near, da.from_array(Q, chunks=(10, -1)))
    np.testing.assert_array_equal(answers.compute(), near.predict(Q))
    assert set(client.run(unpickled).values()) == {1}


def count_unpickling():
    KNNGraphClassifier.unpickled = 0
    restore = KNNGraphClassifier.__setstate__

    def counting(self, state):
        KNNGraphClassifier.unpickled += 1
        restore(self, state)

    KNNGraphClassifier.__setstate__ = counting


def unpickled():
    return KNNGraphClassifier.unpickled


def test_a_client_that_goes_away_takes_the_partitions(cluster):
    X, y = rows_with_copies(200)
    with Client(cluster):
        far = distributed().fit(*collections(X, y))
        local = far.to_local()
        expected = far.predict(X)
    with pytest.raises(RuntimeError, match="as long as the client"):
        far.predict(X)
    np.testing.assert_array_equal(local.predict(X), expected)
