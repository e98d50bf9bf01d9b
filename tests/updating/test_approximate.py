"""Changes under an approximate search: as accurate as a fit, in bounded memory."""

import gc
import os
import tracemalloc

import numpy as np
import psutil
import pytest
from sklearn.datasets import make_classification

from knngraph import KNNGraphClassifier
from knngraph.graph.training_set import row_hashes
from tests.soak import GROWTH_LIMIT, Findings
from tests.updating.fresh import INFERENCES

N_SEEDS = 2


def streamed_and_fresh(seed, n_rows=1300):
    """One model that rows came to and went from, one fitted on what is left."""
    X, y = make_classification(
        n_rows + 1500,
        8,
        n_informative=6,
        n_redundant=0,
        n_classes=3,
        class_sep=1.2,
        random_state=seed,
    )
    queries, answers = X[n_rows:], y[n_rows:]
    X, y = X[:n_rows], y[:n_rows]
    random = np.random.default_rng(seed)
    parameters = {
        "metric": "euclidean",
        "support": "local",
        "ef": 24,
        "random_state": seed,
    }
    streamed = KNNGraphClassifier(**parameters).fit(X[:400], y[:400])
    left = np.arange(400)
    for start in range(400, n_rows, 100):
        came = np.arange(start, start + 100)
        streamed.partial_fit(X[came], y[came])
        left = np.concatenate([left, came])
        gone = random.choice(len(left), 30, replace=False)
        streamed.forget(gone)
        left = np.delete(left, gone)
        if start % 300 == 100:
            streamed.predict(queries[:1])  # the changes are carried out
    fresh = KNNGraphClassifier(**parameters).fit(X[left], y[left])
    return streamed, fresh, queries, answers


@pytest.mark.usefixtures("engine")
def test_accuracy_is_that_of_a_fit():
    differences = {inference: [] for inference in INFERENCES}
    alike = {inference: [] for inference in INFERENCES}
    loo, agreement = [], []
    for seed in range(N_SEEDS):
        streamed, fresh, queries, answers = streamed_and_fresh(seed)
        assert streamed._model.rows.index.n_places > streamed._model.rows.index.n_points
        for inference in INFERENCES:
            given = streamed.set_params(inference=inference).predict(queries)
            expected = fresh.set_params(inference=inference).predict(queries)
            alike[inference].append((given == expected).mean())
            gain = (given == answers).mean() - (expected == answers).mean()
            differences[inference].append(gain)
        loo.append(streamed.loo_score_ - fresh.loo_score_)
        agreement.append(streamed.lookup_agreement_ - fresh.lookup_agreement_)
    for inference in INFERENCES:
        # The worst seed may differ by a few queries, their mean by next to none.
        assert abs(np.mean(differences[inference])) < 0.004, differences
        assert np.abs(differences[inference]).max() < 0.015, differences
        assert np.min(alike[inference]) > 0.97, alike
    assert np.abs(loo).max() < 0.003
    assert np.abs(np.mean(agreement)) < 0.02


@pytest.mark.parametrize("n_new", [1, 400, 401])
def test_new_rows_measure_the_search_until_they_are_more_than_the_others(n_new):
    # Every fifth row of a fit is held out to measure the search, and of rows that
    # come one in eight by its hash. More of them than of the others: a new index.
    random = np.random.default_rng(0)
    X, y = random.normal(size=(400 + n_new, 3)), np.arange(400 + n_new) % 2
    model = KNNGraphClassifier(metric="euclidean", support="local", ef=64)
    model.set_params(random_state=0).fit(X[:400], y[:400])
    assert len(model._model.rows.search_recall.nearest) == 80
    model.partial_fit(X[400:], y[400:])
    rows, seed = model._model.rows, model._model.settings.seed
    new = row_hashes(rows.training.points[rows.training.node_of_row[400:]], seed)
    expected = 80 + (new % 8 == 0).sum() if n_new <= 400 else (400 + n_new) // 5
    assert len(rows.search_recall.nearest) == expected
    # All rows are searched, each a copy of itself.
    distances, found = model.kneighbors(X, 1)
    assert not distances.any()
    assert (found[:, 0] == np.arange(400 + n_new)).all()


def test_memory_does_not_creep_over_cycles():
    random = np.random.default_rng(0)
    X = random.normal(size=(300, 4))
    y = random.integers(0, 2, 300)
    model = KNNGraphClassifier(
        metric="euclidean",
        max_neighbors=8,
        ef_construction=20,
        support="local",
        random_state=0,
        ef=8,
    ).fit(X, y)

    def cycles(n):
        for i in range(n):
            model.partial_fit(random.normal(size=(10, 4)), random.integers(0, 2, 10))
            model.set_params(inference=INFERENCES[i % 3]).predict(X[:2])
            model.forget(np.arange(10))
            if i % 4 == 0:
                assert model.graph_.shape == (300, 300)

    cycles(12)  # the index has been built anew several times by now
    tracemalloc.start()
    gc.collect()
    before, _ = tracemalloc.get_traced_memory()
    cycles(24)
    _ = model.graph_
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # Python sees its own memory and that of numpy; 300 rows are some 200 kB.
    assert after - before < 400_000
    # The graph of hnswlib has room for the rows, the removed and some growth.
    assert model._model.rows.index.n_places < 300 / 0.75 + 20
    assert model._model.rows.index.n_bytes < 2 * len(X) * (4 * 4 + 300)


@pytest.mark.slow
def test_the_process_does_not_grow_over_a_thousand_cycles(tried):
    # What Python does not see, the graphs of hnswlib, counts here too: every change
    # makes one, of some 2 MB with its locks.
    random = np.random.default_rng(1)
    n_rows, process, seen = 60, psutil.Process(os.getpid()), Findings()
    model = KNNGraphClassifier(
        metric="euclidean",
        max_neighbors=8,
        ef_construction=20,
        support="local",
        vote="labels",
        ef=8,
    )
    X, y = random.normal(size=(n_rows, 3)), random.integers(0, 2, n_rows)
    model.set_params(random_state=0).fit(X, y)
    for cycle in range(1000):
        model.partial_fit(random.normal(size=(5, 3)), random.integers(0, 2, 5))
        model.forget(np.arange(5))
        if cycle % 3 == 0:  # carried out; many small changes in a row are one
            model.set_params(inference="adaptive").predict(X[:2])
        if cycle % 50 == 0:
            inference = INFERENCES[cycle // 50 % 3]
            model.set_params(inference=inference).predict_proba(X[:2])
            gc.collect()
            seen.operation.append(cycle)
            seen.resident.append(process.memory_info().rss)
    assert model.graph_.shape == (n_rows, n_rows)
    assert model._model.rows.index.n_places < n_rows / 0.75 + 20
    assert seen.growth() < GROWTH_LIMIT, seen.resident
    tried["cycles of adding and forgetting: the process does not grow"] += 1000
