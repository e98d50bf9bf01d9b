"""The page of measured accuracies is made of the rows alone."""

import pytest

from benchmarks import accuracy, accuracy_report, excerpts, machine
from benchmarks.rows import append_rows

METHODS = {
    "1-NN": -0.02, "5-NN": -0.01, "CV-kNN": 0.0, "lookup (ef=1)": 0.01,
    "adaptive": 0.03, "extra trees": 0.02,
}  # fmt: skip


@pytest.fixture
def results(tmp_path, monkeypatch):
    """A file of results and the pages that are written from it."""
    path = tmp_path / "accuracy.csv"
    for module in (accuracy, accuracy_report):
        monkeypatch.setattr(module, "RESULTS", path)
    monkeypatch.setattr(accuracy_report, "PAGE", tmp_path / "measured.md")
    monkeypatch.setattr(excerpts, "MEASURED", tmp_path / "measured.md")
    monkeypatch.setattr(excerpts, "CHART", tmp_path / "chart.svg")
    other = tmp_path / "choose.md"
    other.write_text(
        "before\n<!-- measured: begin -->\nold\n<!-- measured: end -->\nafter\n"
    )
    monkeypatch.setattr(
        excerpts, "excerpts", lambda: [(other, "measured", excerpts.short_table())]
    )
    return path


def write(path, n_sets, conditions, fields=accuracy.FIELDS):
    rows = [
        {
            "set": f"set {place}", "noise": "0.0", "max_rows": "0", "method": method,
            "fold": fold, "accuracy": 0.5 + 0.05 * place + gain * (place + 1) + move,
            "log_loss": 1.0 - gain, "auc": 0.9 + gain, "us_per_query": 10.0,
        }
        | conditions
        for place in range(n_sets)
        for method, gain in METHODS.items()
        for fold, move in enumerate((-0.01, -0.01, 0.0, 0.01, 0.01))
    ]  # fmt: skip
    append_rows(path, fields, rows)


def test_the_page_and_what_repeats_it_are_written_from_the_rows(results):
    write(results, 6, machine.conditions())
    accuracy_report.write_report(write_docs=True)
    page = (results.parent / "measured.md").read_text()
    # All signs agree on six sets, in five comparisons: 5 x 2 / 64.
    adaptive = "73.00 | 1.00 | +10.50 | 6 / 0 / 0 | 0.2 | 0.970 | 0.930 |"
    assert f"| adaptive | {adaptive}" in page
    assert "| 1-NN | 55.50 | 6.00 | -7.00 | 0 / 0 / 6 | 0.2 | 1.020 | 0.880 |" in page
    assert "| adaptive | 0.970 | 0.930 | 6 of 6 |" in page
    assert "| 1-NN | 1.020 | 0.880 | 0 of 6 |" in page
    shown = " | ".join(f"{mean}.0 ± 1.0" for mean in (48, 49, 50, 52, 51, 53))
    assert f"| set 0 | {shown} |" in page
    # In the order of the report: baselines, forests, ours.
    losses = (1.02, 1.01, 1.0, 0.98, 0.99, 0.97)
    shown = " | ".join(f"{mean:.3f} ± 0.000" for mean in losses)
    assert f"| set 0 | {shown} |" in page
    shown = " | ".join(f"{1.9 - loss:.3f} ± 0.000" for loss in losses)
    assert f"| set 0 | {shown} |" in page
    assert f"{machine.conditions()['cpu']}, " in page
    assert f"knngraph {machine.conditions()['knngraph']}" in page
    assert "**" not in page
    other = (results.parent / "choose.md").read_text()
    assert other.startswith("before\n")
    assert other.endswith("after\n")
    assert "| adaptive | 73.0 |  | 10 | 0.970 | 0.930 |" in other
    assert "6 wins, 0 ties, 0 losses over 6 sets, +7.0 points" in other
    chart = (results.parent / "chart.svg").read_text()
    assert "| adaptive | 73.0 |  | 10 | 0.970 | 0.930 |" in chart
    accuracy_report.write_report(write_docs=True)
    assert (results.parent / "measured.md").read_text() == page
    assert (results.parent / "choose.md").read_text() == other
    assert (results.parent / "chart.svg").read_text() == chart


def test_few_sets_are_not_tested(results):
    write(results, 4, machine.conditions())
    assert "4 / 0 / 0 | no test |" in accuracy_report.report(accuracy_report.PAGE)


def test_rows_of_two_machines_are_told(results):
    write(results, 5, machine.conditions())
    write(results, 1, machine.conditions() | {"cpu": "another one"})
    page = accuracy_report.report(accuracy_report.PAGE)
    assert page.count("Measured on: ") == 2


def test_columns_of_an_older_version_are_refused(results):
    older = [name for name in accuracy.FIELDS if name not in machine.COLUMNS]
    write(results, 5, {}, older)
    with pytest.raises(SystemExit, match="columns of an older version"):
        accuracy.measured_before()
    # What they say can be told all the same.
    assert "Measured on" not in accuracy_report.report(accuracy_report.PAGE)


def test_conditions_are_those_columns():
    assert tuple(machine.conditions()) == machine.COLUMNS


def test_two_files_are_compared_set_by_set(results, monkeypatch, capsys):
    write(results, 6, machine.conditions())
    after = results.with_name("after.csv")
    monkeypatch.setitem(METHODS, "adaptive", 0.04)
    write(after, 5, machine.conditions())
    monkeypatch.setattr("sys.argv", ["accuracy", "compare", str(results), str(after)])
    accuracy.main()
    said = capsys.readouterr().out
    # The sixth set is in one file alone.
    losses = "0.970 | 0.960 | -0.010 | 0.930 | 0.940 | +0.010"
    assert f"| adaptive | 5 | 69.00 | 72.00 | +3.00 | {losses} | 5 | 0 |" in said
    same = "1.020 | 1.020 | +0.000 | 0.880 | 0.880 | +0.000"
    assert f"| 1-NN | 5 | 54.00 | 54.00 | +0.00 | {same} | 0 | 0 |" in said
