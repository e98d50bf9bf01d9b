"""Peers: votes of a search, choice of settings, a process of one's own."""

import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest
from sklearn.datasets import make_blobs
from sklearn.neighbors import KNeighborsClassifier

from benchmarks.isolated import MeasurementFailed, run_isolated
from benchmarks.peers import engines
from benchmarks.peers.catalog import Peer
from benchmarks.peers.engines import SearchVote
from benchmarks.peers.measure_peer import choose_settings, choose_votes
from benchmarks.rows import read_rows
from benchmarks.run import main


class Brute:
    """An engine with the answers of plain numpy."""

    def build(self, X):
        self.X = X

    def search(self, X, k):
        distances = np.linalg.norm(X[:, None].astype(float) - self.X[None], axis=2)
        ids = np.argsort(distances, axis=1, kind="stable")[:, :k]
        return ids, np.take_along_axis(distances, ids, axis=1)

    def n_bytes(self):
        return self.X.nbytes


class Short(Brute):
    """An engine that finds one neighbor only."""

    def search(self, X, k):
        ids, distances = super().search(X, k)
        ids[:, 1:], distances[:, 1:] = -1, np.inf
        return ids, distances


@pytest.fixture(scope="module")
def parts():
    """Training rows, labels and queries."""
    X, y = make_blobs(300, n_features=6, centers=4, cluster_std=4.0, random_state=0)
    return X[:240].astype(np.float32), y[:240], X[240:].astype(np.float32)


@pytest.mark.parametrize("weights", ["uniform", "distance"])
def test_votes_are_those_of_scikit_learn(parts, weights):
    X, y, queries = parts
    model = SearchVote(Brute(), 5, weights).fit(X, y)
    rival = KNeighborsClassifier(5, weights=weights).fit(X, y)
    np.testing.assert_array_equal(model.predict(queries), rival.predict(queries))
    assert model.n_bytes() == X.nbytes + 240 * 8


@pytest.mark.parametrize("weights", ["uniform", "distance"])
def test_neighbors_that_were_not_found_do_not_vote(parts, weights):
    X, y, queries = parts
    model = SearchVote(Short(), 5, weights).fit(X, y)
    rival = KNeighborsClassifier(1).fit(X, y)
    np.testing.assert_array_equal(model.predict(queries), rival.predict(queries))


@pytest.mark.parametrize(
    ("package", "engine"),
    [
        ("hnswlib", engines.Hnswlib(16, 100, 64)),
        ("faiss", engines.Faiss("Flat")),
        ("faiss", engines.Faiss("HNSW32", 100, 64)),
        ("annoy", engines.Annoy(20, 4000)),
    ],
    ids=["hnswlib", "faiss flat", "faiss HNSW", "annoy"],
)
def test_engines_find_the_nearest(parts, package, engine):
    pytest.importorskip(package)
    X, _, queries = parts
    exact = Brute()
    exact.build(X)
    engine.build(X)
    ids, distances = engine.search(queries, 5)
    true_ids, true_distances = exact.search(queries, 5)
    assert np.mean(ids == true_ids) > 0.99
    near = ids == true_ids
    np.testing.assert_allclose(distances[near], true_distances[near], rtol=1e-4)
    assert engine.n_bytes() >= X.nbytes


def test_hashes_find_neighbors_better_than_chance(parts):
    pytest.importorskip("faiss")
    X, y, queries = parts
    model = SearchVote(engines.FaissLSH(256), 5, "uniform").fit(X, y)
    rival = KNeighborsClassifier(5).fit(X, y)
    assert np.mean(model.predict(queries) == rival.predict(queries)) > 0.7


def test_settings_are_chosen_on_training_rows(tmp_path, monkeypatch):
    # Class by the sign of one column among noise: many votes beat one.
    random = np.random.default_rng(0)
    X = random.normal(size=(400, 2))
    y = ((X[:, 0] > 0) ^ (random.random(400) < 0.25)).astype(np.intp)
    path = str(tmp_path / "parts.npz")
    np.savez(path, X_train=X, y_train=y)
    assert choose_votes(path)["k"] >= 5
    grid = ({"n": 1}, {"n": 20})
    peer = Peer("own", lambda s: KNeighborsClassifier(s["n"]), grid)
    monkeypatch.setattr("benchmarks.peers.measure_peer.peers", lambda: [peer])
    assert choose_settings(path, "own", {"k": 9}) == {"n": 20}


def test_one_measurement_in_a_process_of_its_own():
    found = run_isolated(
        "benchmarks.statistics:power_of_growth",
        {"sizes": [1, 10], "costs": [1, 100]},
        timeout=60,
    )
    assert found[0] == pytest.approx(2.0)


def test_a_process_that_fails_says_why():
    with pytest.raises(MeasurementFailed, match=r"status 1: .*unexpected keyword"):
        run_isolated("benchmarks.isolated:reset_peak", {"nothing": 1}, timeout=60)
    with pytest.raises(MeasurementFailed, match=r"not done within 0.01 s"):
        run_isolated("benchmarks.isolated:reset_peak", {}, timeout=0.01)


def test_a_measurement_ends_with_the_run_that_was_killed(tmp_path):
    path = tmp_path / "number"
    arguments = {"path": str(path), "seconds": 300}
    program = (
        "from benchmarks.isolated import run_isolated\n"
        f"run_isolated('tests.benchmarks.waiting:wait', {arguments!r}, timeout=300)"
    )
    with subprocess.Popen([sys.executable, "-c", program]) as run:
        assert wait_until(path.exists)
        child = psutil.Process(int(path.read_text()))
        run.send_signal(signal.SIGKILL)
    assert wait_until(lambda: not is_alive(child))


def is_alive(process):
    """Whether a process still runs; one that nobody asks after does not."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_until(condition, seconds=60):
    """Whether a condition comes true in time."""
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:
        time.sleep(0.05)
    return condition()


def test_peers_of_a_file_of_ones_own(tmp_path, monkeypatch, capsys):
    X, y = make_blobs(200, n_features=3, centers=3, random_state=0)
    np.savez(tmp_path / "own.npz", X=X, y=y + 7)
    missing = Peer("absent", lambda _: None, package="no-such-package")
    from benchmarks.peers import run_peers

    first = run_peers.peers()[0]
    monkeypatch.setattr(run_peers, "peers", lambda: [first, missing])
    arguments = ["peers", "--npz", str(tmp_path / "own.npz"), "--test-rows", "40"]
    arguments += ["--output", str(tmp_path / "out")]
    for _ in range(2):
        assert main(arguments) == 0
    rows = read_rows(tmp_path / "out" / "own.csv")
    values = dict(zip(rows["metric"], rows["value"]))
    assert len(rows) == len(values)
    assert float(values["accuracy"]) > 0.9
    assert float(values["single_p99_us"]) >= float(values["single_p50_us"]) > 0.0
    assert set(rows["n_test"]) == {"40"}
    assert set(rows["scaled"]) == {"False"}
    # The second run had nothing to measure.
    assert capsys.readouterr().out.count("sklearn brute") == 1
    page = (tmp_path / "out" / "own.html").read_text()
    assert "<li>absent: the package no-such-package is not" in page
