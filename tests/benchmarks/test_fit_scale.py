"""Time, memory and accuracy as rows grow: the command in tiny sizes."""

import sys

import pytest
from threadpoolctl import threadpool_limits

from benchmarks import fit_scale, fit_stages, lists
from benchmarks.lists import Case
from benchmarks.pages import between, marked


def test_a_fit_is_measured_by_stage_with_its_answers(here):
    found = fit_stages.measure_fit(600, 8, seed=1, n_queries=100)
    assert sum(found["stages"].values()) == pytest.approx(found["cpu"])
    assert found["data_mb"] == pytest.approx(600 * 8 * 4 / 2**20)
    assert found["adaptive right"] > 0.3
    assert found["cascade us"] > 0.0


def test_a_package_that_is_imported_is_not_taken_from_elsewhere(tmp_path):
    with pytest.raises(RuntimeError, match="imported already"):
        fit_stages.take_from(str(tmp_path))


def test_the_command_measures_once_and_writes_its_parts(
    here, tmp_path, monkeypatch, capsys
):
    pytest.importorskip("hnswlib")  # what the builder is compared with
    monkeypatch.setattr(fit_scale, "GATES", {Case("mixture", 40_000, 8): 0.3})
    monkeypatch.setattr(fit_scale, "FITTED", 50_000)
    monkeypatch.setattr(fit_scale, "SMALLER", 40_000)
    monkeypatch.setattr(fit_scale, "SEEDS", (0, 1))
    monkeypatch.setattr(fit_scale, "SIZES", (40_000, 50_000))
    monkeypatch.setattr(fit_scale, "GROWING", (40_000, 50_000))
    monkeypatch.setattr(
        lists, "WAYS", {w: lists.WAYS[w] for w in ("knngraph", "hnswlib")}
    )
    monkeypatch.setattr(fit_scale, "is_there", lambda way: way in lists.WAYS)
    page = tmp_path / "scale.md"
    page.write_text("\n\n".join(marked(part, "old") for part in fit_scale.PARTS))
    monkeypatch.setattr(fit_scale, "PAGE", page)
    monkeypatch.setattr(fit_scale, "PICTURES", tmp_path / "figures")
    command = [
        "fit_scale",
        "--shrink",
        "100",
        "--most-gib",
        "0",
        "--results",
        str(tmp_path / "kept.json"),
    ]
    monkeypatch.setattr(sys, "argv", [*command, "--write-docs"])
    # Small trees of several threads wait for one another on a busy machine.
    with threadpool_limits(1):
        fit_scale.main()
    n_measured, written = len(here), page.read_text()
    page.write_text("\n\n".join(marked(part, "old") for part in fit_scale.PARTS))
    monkeypatch.setattr(sys, "argv", [*command, "--write-docs", "--report-only"])
    fit_scale.main()
    assert len(here) == n_measured
    assert page.read_text() == written
    assert "| mixture, 400 x 8 |" in between(page, "lists")
    assert "| in all, s of the processor |" in between(page, "fits")
    assert "| peak memory, MB |" in between(page, "growth")
    against = between(page, "against")
    assert "| memory beyond the rows, MB | 400 | 500 |" in against
    assert f"| fit, {fit_scale.BOOSTING} |" in against
    assert "| cascade, µs a query |" in against
    assert "faiss" not in against
    pictures = sorted(path.name for path in (tmp_path / "figures").iterdir())
    assert pictures == ["scale-1.svg", "scale-2.svg"]
    assert (
        f"fit, {fit_scale.BOOSTING}"
        in (tmp_path / "figures" / "scale-1.svg").read_text()
    )


def test_ratios_are_held_against_what_is_wanted():
    case = Case("mixture", 100_000, 32)
    theirs = {"build cpu": 8.0, "search cpu": 2.0, "cpu": 10.0}
    for ours, said in ((2.9, "0.29 | 0.3, met"), (3.1, "0.31 | 0.3, missed")):
        text = fit_scale.report_lists(
            {case: {"hnswlib": theirs, "knngraph": {"cpu": ours}}}
        )
        assert said in text


def test_accuracy_is_held_against_the_checkout_before():
    def fit(right, cpu):
        figures = {f"{name} right": right for name in fit_stages.INFERENCES}
        return figures | {"cpu": cpu, "peak_mb": 100.0}

    before = {0: fit(0.9000, 10.0), 1: fit(0.9100, 10.0)}
    now = {0: fit(0.8990, 4.0), 1: fit(0.9095, 4.2)}
    text = fit_scale.report_fits(now, before)
    assert "| lookup | 90.00 → 89.90 | 91.00 → 90.95 | -0.07 |" in text
    assert "- lookup at most 0.1 points below: met" in text
    assert "0.45 of the release before: 0.41: met" in text
    now[1] = fit(0.9060, 6.0)
    text = fit_scale.report_fits(now, before)
    assert "- adaptive at most 0.1 points below: missed" in text
    assert "0.45 of the release before: 0.50: missed" in text


def test_growth_names_sizes_that_did_not_end():
    sizes = 100_000, 1_000_000
    found = {
        n: dict.fromkeys(["us a row", "recall", "tail", "peak_mb", "data_mb"], 1.0)
        | {"cpu": 2.0 * (n / 100_000) ** 1.1}
        for n in sizes
    }
    text = fit_scale.report_growth(found | {10_000_000: None}, 9.0)
    assert "n^1.10: met" in text
    assert "- 10,000,000 rows did not end with 9 GiB of memory" in text


def test_cells_have_no_exponents():
    figures = {1000: {"cpu": 123456.0, "beyond_mb": 0.00012345}}
    text = fit_scale.report_against({"fit": figures, "other": {10: figures[1000]}})
    assert "| fit | - | 123000 |" in text
    assert "| other | 123000 | - |" in text
    assert "e-" not in text
