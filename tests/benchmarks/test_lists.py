"""Recall of lists and graphs, and figures that are kept: benchmarks in tiny sizes."""

import doctest
import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from benchmarks import kept, lists, made_rows
from benchmarks.isolated import MeasurementFailed
from benchmarks.kept import KeptFigures
from benchmarks.lists import HNSWLIB, OURS, Case


@pytest.mark.parametrize("module", [made_rows, kept, lists], ids=lambda m: m.__name__)
def test_examples_of_benchmarks_run(module):
    assert doctest.testmod(module) == (0, doctest.testmod(module).attempted)


@pytest.mark.parametrize("name", lists.MADE)
def test_made_sets_are_distinct_and_the_same_every_time(name):
    case = Case(name, 600, 12)
    X, queries = lists.rows_of(case, None)
    again, _ = lists.rows_of(case, None)
    assert_array_equal(X, again)
    assert X.dtype == np.float32
    assert X.shape == (600, 12)
    assert queries.shape[1] == 12
    assert len(np.unique(np.concatenate([X, queries]), axis=0)) == len(X) + len(queries)


def test_recall_of_lists_is_that_of_a_matrix_of_distances(random):
    X = random.normal(size=(300, 5)).astype(np.float32)
    squared = ((X[:, None].astype(float) - X) ** 2).sum(axis=2)
    np.fill_diagonal(squared, np.inf)
    nearest = np.argsort(squared, axis=1)[:, : lists.N_NEIGHBORS]
    assert_allclose(lists.recall_of_lists(X, nearest), 1.0)
    # The row itself, a row listed twice, and a far one are no neighbors.
    rows = np.arange(300)
    wrong = nearest.copy()
    wrong[:, 0], wrong[:, 1], wrong[:, 2] = rows, nearest[:, 5], -1
    wrong[:, 3] = squared.argsort(axis=1)[:, -2]
    expected = 1.0 - 4.0 / lists.N_NEIGHBORS
    assert_allclose(lists.recall_of_lists(X, wrong), expected)


@pytest.mark.parametrize("way", lists.WAYS)
def test_every_way_lists_near_rows(here, way):
    if not lists.is_there(way):
        pytest.skip(f"{way} is not installed")
    found = lists.measure(way, "mixture", 800, 8)
    assert found["recall"] > (0.6 if "IVF" in way else 0.95)
    assert found["tail"] <= found["recall"]
    assert found["us a row"] > 0.0


def test_a_set_that_the_folder_lacks_is_left_out(here, tmp_path, capsys):
    kept_figures = KeptFigures(tmp_path / "figures.json")
    case = Case("letter", 300, 16)
    assert lists.measure_cases(kept_figures, [case], [HNSWLIB], tmp_path) == {}
    assert "letter, 300 x 16: not in the folder" in capsys.readouterr().out
    assert here == []


def test_a_set_of_the_folder_has_distinct_rows_and_queries(tmp_path, random):
    X = random.integers(4, size=(400, 16)).astype(np.float32)
    X[200:] = X[:200]
    np.savez(tmp_path / "letter.npz", X=X, y=np.arange(400) % 3)
    rows, queries = lists.rows_of(Case("letter", 1000, 16), tmp_path)
    assert len(rows) + len(queries) == 200
    assert len(np.unique(np.concatenate([rows, queries]), axis=0)) == 200
    assert_allclose(np.concatenate([rows, queries]).std(axis=0), 1.0, atol=1e-4)


def test_what_lies_below_hnswlib_is_named():
    wide = f"recall@{lists.N_NEIGHBORS} at {lists.WIDE}"
    theirs = {f"recall@1 at {ef}": 0.9 for ef in lists.NARROW}
    theirs |= {"recall": 0.99, "tail": 0.9, wide: 0.97, "us a row": 100.0}
    ours = theirs | {"recall": 0.98, "tail": 0.885, wide: 0.96}
    case = Case("blobs", 1_000_000, 32)
    text = lists.report_recall({case: {HNSWLIB: theirs, OURS: ours}})
    assert "| blobs, 1M x 32 | 0.990 → 0.980 | 0.90 → 0.89 |" in text
    assert "missed on blobs, 1M x 32 (0.010)" in text.splitlines()[-3]
    assert text.splitlines()[-2].endswith(": met")
    assert "missed on blobs, 1M x 32 (0.010)" in text.splitlines()[-1]
    # Too many rows for hnswlib: ours alone, and held against nothing.
    text = lists.report_recall({case: {OURS: ours}})
    assert "| blobs, 1M x 32 | 0.980 | 0.89 |" in text
    assert "missed" not in text


def test_lists_go_on_where_they_were(here, tmp_path, monkeypatch, capsys):
    pytest.importorskip("hnswlib")  # what the lists are compared with
    cases = [Case("mixture", 8000, 8), Case("blobs", 8000, 8)]
    monkeypatch.setattr(lists, "CASES", cases)
    monkeypatch.setattr(lists, "PEER_CASES", [])
    path = str(tmp_path / "figures.json")
    command = ["lists", "--shrink", "20", "--most-gib", "0", "--results", path]
    monkeypatch.setattr(sys, "argv", [*command, "--only", "mixture"])
    lists.main()
    monkeypatch.setattr(sys, "argv", command)
    lists.main()
    assert [(c["name"], c["n_rows"]) for c in here] == [
        *[("mixture", 400)] * 2,
        *[("blobs", 400)] * 2,
    ]
    assert "| blobs, 400 x 8 |" in capsys.readouterr().out


def test_a_measurement_that_fails_is_tried_again(tmp_path, monkeypatch):
    def fails(*_, **__):
        raise MeasurementFailed("status 1: too much")

    figures = KeptFigures(tmp_path / "figures.json")
    monkeypatch.setattr(kept, "run_isolated", fails)
    assert figures.measure("one", "some:function", {}) is None
    assert figures.failed == {"one": "status 1: too much"}
    monkeypatch.setattr(kept, "run_isolated", lambda *_, **__: {"cpu": 1.0})
    assert figures.measure("one", "some:function", {}) == {"cpu": 1.0}
    assert KeptFigures(figures.path)["one"] == {"cpu": 1.0}
