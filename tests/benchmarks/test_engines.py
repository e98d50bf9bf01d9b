"""Engines side by side, in tiny sizes."""

import numpy as np
import pytest

from benchmarks import engines
from benchmarks.kept import KeptFigures
from benchmarks.lists import Case
from benchmarks.pages import read_table


@pytest.mark.parametrize("engine", [*engines.ENGINES, engines.FAISS])
def test_the_graph_of_every_engine(engine, here, tmp_path, monkeypatch):
    if not engines.is_there(engine):
        pytest.skip(f"{engine} is not installed")
    monkeypatch.setenv(engines.VARIABLE, "")  # and back afterwards
    kept, case = KeptFigures(tmp_path / "figures.json"), Case("mixture", 700, 8)
    monkeypatch.setattr(engines, "is_there", lambda other: other == engine)
    found = engines.measured(kept, "graph", [case], None)
    assert list(found) == [(case, engine)]
    assert found[case, engine]["recall for 0.95"] >= 0.95
    assert found[case, engine]["saved_mb"] > 700 * 8 * 4 / 2**20
    lines = read_table(engines.report_graphs(found).splitlines())
    assert lines.iloc[0, :2].tolist() == ["mixture, 700 x 8", engine]


def test_a_fit_by_our_own_engine(here, tmp_path, monkeypatch):
    monkeypatch.setenv(engines.VARIABLE, "")
    monkeypatch.setattr(engines, "WARMING", 100)
    monkeypatch.setattr(engines, "N_QUERIES", 40)
    monkeypatch.setattr(engines, "is_there", lambda other: other == "knngraph")
    case = Case("mixture", 300, 32)
    kept = KeptFigures(tmp_path / "figures.json")
    found = engines.measured(kept, "fit", [case], None)
    (figures,) = found.values()
    for inference in engines.INFERENCES:
        assert 0.0 <= figures[inference] <= 100.0
        assert figures[f"{inference}, us"] > 0.0
    assert "mixture, 300 x 32" in engines.report_fits(found)


@pytest.mark.parametrize(
    ("lookup", "verdict"),
    [
        ((90.0, 90.0), "met; all are equal"),
        ((90.0, 90.25), "met; the farthest is 0.25, lookup on letter"),
        ((90.5, 90.0), "missed; the farthest is 0.50, lookup on letter"),
    ],
)
def test_engines_may_be_no_farther_apart_than_that(lookup, verdict):
    figures = {f"{i} {e}": 80.0 for i in engines.INFERENCES for e in engines.ENGINES}
    figures |= {f"lookup {e}": v for e, v in zip(engines.ENGINES, lookup)}
    text = engines.report_sets({"letter": figures})
    assert text.endswith(f"- at most 0.3 points apart: {verdict}")
    cell = read_table(text.splitlines()[:3])["lookup"][0]
    assert np.allclose([float(v) for v in cell.split(" / ")], lookup)
