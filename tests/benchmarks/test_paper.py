"""The published tables: kill, repeat, and what the report says."""

import re
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.neighbors import KNeighborsClassifier

from benchmarks.metrics import QUALITY
from benchmarks.pages import read_table
from benchmarks.paper.methods import OURS, REFERENCE, Entry, entries
from benchmarks.paper.paper_report import add_comparison, losing_lines, make_report
from benchmarks.paper.results import PUBLISHED, Results, read_published
from benchmarks.report import Report
from benchmarks.rows import read_rows
from benchmarks.run import main
from knngraph.datasets import NAMES

METHODS = ["1-NN", "PLkNN", "KD-Tree"]


@pytest.fixture
def folder(tmp_path):
    """A folder with a small set under the name of one that has no known size."""
    random = np.random.default_rng(0)
    y = np.repeat([4, 5, 9], 40)
    X = random.normal(size=(120, 4)) + y[:, None] / 2
    np.savez(tmp_path / "caltech.npz", X=X, y=y)
    return tmp_path


def arguments(folder, output, *methods, folds=3):
    return [
        "paper",
        *("--data-dir", str(folder), "--sets", "caltech", "palm"),
        *("--folds", str(folds), "--output", str(folder / output)),
        *("--methods", *(methods or METHODS)),
    ]


def rows_of(folder, output):
    return read_rows(folder / output / "paper.csv")


def test_two_runs_give_the_same_scores_to_the_last_digit(folder, capsys):
    for output in ("first", "second"):
        assert main(arguments(folder, output, *METHODS, *OURS)) == 0
    files = [str(folder / output / "paper.csv") for output in ("first", "second")]
    assert main(["same", *files]) == 0
    # Three folds and five scores of seven methods.
    assert "105 scores in both, 0 differ, 0 in one alone" in capsys.readouterr().out


def test_a_score_that_differs_is_found(folder, capsys):
    main(arguments(folder, "first", "1-NN"))
    path = folder / "first" / "paper.csv"
    text = path.read_text()
    found = re.search(r"caltech,1-NN,1,accuracy,([\d.]+)", text)
    other = folder / "other.csv"
    other.write_text(text.replace(found.group(0), found.group(0) + "1"))
    assert main(["same", str(path), str(other)]) == 1
    assert "15 scores in both, 1 differ, 0 in one alone" in capsys.readouterr().out


def test_a_killed_run_goes_on_where_it_was(folder):
    command = [sys.executable, "-m", "benchmarks.run"]
    command += arguments(folder, "killed", folds=15)
    path = folder / "killed" / "paper.csv"
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        until = time.monotonic() + 60
        while len(read_rows(path)) < 20 and time.monotonic() < until:
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    kept = path.read_bytes()
    kept = kept[: kept.rfind(b"\n") + 1]
    units = rows_of(folder, "killed")[["method", "fold"]].drop_duplicates()
    assert 0 < len(units) < 3 * 15

    assert main(arguments(folder, "killed", folds=15)) == 0
    # What was there is there still, its seconds included: it was not measured again.
    assert path.read_bytes().startswith(kept)
    assert main(arguments(folder, "whole", folds=15)) == 0
    assert main(["same", str(path), str(folder / "whole" / "paper.csv")]) == 0
    assert len(rows_of(folder, "killed")) == len(rows_of(folder, "whole"))


def test_a_method_is_measured_anew_when_asked_for(folder):
    main(arguments(folder, "out", "1-NN", "PLkNN"))
    before = rows_of(folder, "out")
    assert main([*arguments(folder, "out", "PLkNN"), "--again"]) == 0
    after = rows_of(folder, "out")
    nearest = before[before["method"] == "1-NN"]
    assert after[: len(nearest)].equals(nearest.reset_index(drop=True))
    assert len(after) == len(before)
    assert not after.equals(before)


def test_a_missing_set_is_told_and_the_others_are_measured(folder, capsys):
    assert main(arguments(folder, "out", "1-NN")) == 0
    printed = capsys.readouterr().out
    assert "palm is missing" in printed
    assert "put palm.mat (X, Y) or palm.npz (X, y) there" in printed
    for page in ("report.md", "report.html"):
        text = (folder / "out" / page).read_text()
        assert "no file of this set was there" in text
        assert str(folder) not in text
        assert "<code>corel</code>: was not asked for" in text or (
            "`corel`: was not asked for" in text
        )
    assert set(rows_of(folder, "out")["set"]) == {"caltech"}


class Failing(KNeighborsClassifier):
    """A method that some sets are too much for."""

    def predict(self, X):
        if X.shape[1] == 4:
            raise MemoryError("too many rows")
        return super().predict(X)


def test_a_method_that_fails_is_told_and_the_others_are_measured(folder, monkeypatch):
    good, bad = Entry(KNeighborsClassifier(), {"1-NN": {}}), Entry(Failing(), {"x": {}})
    monkeypatch.setattr("benchmarks.paper.run_paper.entries", lambda: [bad, good])
    assert main(arguments(folder, "out", "x", "1-NN")) == 0
    assert rows_of(folder, "out")["fold"].nunique() == 3
    assert set(rows_of(folder, "out")["method"]) == {"1-NN"}
    text = (folder / "out" / "report.md").read_text()
    assert text.count("- `caltech, x`: MemoryError: too many rows") == 1


def test_a_run_without_any_set_says_so(tmp_path, capsys):
    assert main(arguments(tmp_path, "out", "1-NN")) == 1
    assert "nothing to report" in capsys.readouterr().out


def test_rows_name_versions_and_machine(folder):
    main(arguments(folder, "out", "1-NN"))
    row = rows_of(folder, "out").iloc[0]
    for column in ("knngraph", "numpy", "scikit-learn", "cpu", "cores", "folds"):
        assert row[column]


def test_printed_figures_are_those_of_the_publication():
    printed = read_published()
    assert len(printed) == 3 * 9 * 6 + 6 + 3
    assert printed["accuracy", "kNN-Graph", "binalpha"] == "69.65"
    assert printed["macro_precision", "KD-Tree", "corel"] == "35.92"
    assert printed["predict_seconds", "CV-kNN", "news"] == "3409.1249"
    assert printed["fit_seconds", "kNN-Graph", "palm"] == "98.50"
    source = read_rows(PUBLISHED).set_index(["metric", "method", "set"])["source"]
    assert source["macro_f1", "OkNN", "caltech"].startswith("Section 2.4")
    # The means that the publication prints beside them.
    for metric, mean in (("accuracy", 73.76), ("macro_precision", 73.98)):
        own = [float(printed[metric, "kNN-Graph", name]) for name in NAMES]
        assert np.mean(own) == pytest.approx(mean, abs=0.006)


def test_every_published_method_is_measured():
    published = {method for _, method, _ in read_published().index}
    measured = {entry.published_as for entry in entries()}
    assert published <= measured
    ours = entries()[-1]
    assert [m for m in OURS if ours.published_name(m)] == [REFERENCE]


def results_of(scores, n_folds=2):
    """Results in which a method has the same score in every fold but the last."""
    rows = [
        {"set": s, "method": m, "fold": str(f), "metric": k, "value": str(v)}
        | {"folds": str(n_folds), "cores": "2"}
        for m, by_set in scores.items()
        for s, value in by_set.items()
        for f in range(n_folds)
        for k, v in (
            *((score, value - 0.02 * f) for score in QUALITY),
            ("predict_seconds", 0.5),
            ("fit_seconds", 2.0),
        )
    ]
    conditions = dict.fromkeys(
        ("cpu", "system", "python", "knngraph", "numpy", "scipy", "scikit-learn"), "x"
    )
    conditions |= {"hnswlib": "", "numba": ""}
    return Results.of(pd.DataFrame([row | conditions for row in rows]))


def test_a_table_puts_the_published_figure_beside_the_measured():
    results = results_of({REFERENCE: {"binalpha": 0.7}, "CV-kNN": {"binalpha": 0.5}})
    report = make_report(results, entries(), {"palm": "not there"}, read_published())
    text = report.markdown()
    row = next(x for x in text.splitlines() if x.startswith(f"| {REFERENCE} |"))
    assert row.startswith(f"| {REFERENCE} | 69.00 ± 1.41 (published 69.65) | - (pub")
    assert "| CV-kNN | 49.00 ± 1.41 (published 66.74) |" in text
    assert "- `palm`: not there" in text
    assert "- `news`: was not asked for" in text


def test_a_picture_speaks_of_published_figures_where_there_are_some():
    results = results_of({"OkNN": {"palm": 0.9}})
    report = make_report(results, entries(), {}, read_published())
    text = report.markdown()
    for name, has_some in (("paper-accuracy", True), ("paper-macro-recall", False)):
        caption = next(x for x in text.splitlines() if f"figures/{name}.svg" in x)
        assert ("published" in caption) == has_some
        assert (">published<" in report.svgs[f"{name}.svg"]) == has_some


def test_folds_that_are_not_there_yet_are_told():
    results = results_of({REFERENCE: {"binalpha": 0.7}})
    values = results.values
    later = (values["metric"] == "accuracy") & (values["fold"] == 1)
    results = replace(results, values=values[~later])
    text = make_report(results, entries(), {}, read_published()).markdown()
    assert "70.00 ± nan (1 of 2 folds, published 69.65)" in text


def test_a_method_that_loses_is_shown_losing():
    results = results_of({REFERENCE: {"palm": 0.9}, "OkNN": {"palm": 0.95}})
    (line,) = losing_lines(results, ["palm"])
    assert "has 89.00; above it are 1 of 1: OkNN 94.00" in line


def comparisons(scores):
    """The two tables, measured and published, and the methods that are bold."""
    report = Report("Comparison")
    add_comparison(report, results_of(scores), read_published(), list(scores))
    tables = [
        read_table(block.splitlines()) for block in report.blocks if block[0] == "|"
    ]
    bold = [[name for name in t["method"] if name.startswith("**")] for t in tables]
    return tables, bold


def test_nothing_is_bold_without_a_test_that_says_so():
    names = ["binalpha", "caltech", "corel", "mpeg", "news", "palm"]
    base = dict(zip(names, (0.5, 0.6, 0.7, 0.4, 0.8, 0.9)))
    better = {
        name: value + 0.01 * (i + 1) for i, (name, value) in enumerate(base.items())
    }
    tables, bold = comparisons({REFERENCE: base, "OkNN": better})
    assert bold[0] == ["**OkNN**"]
    assert tables[0]["p"][0] == "0.031"
    few = {
        m: {n: v[n] for n in names[:4]}
        for m, v in ((REFERENCE, base), ("OkNN", better))
    }
    tables, bold = comparisons(few)
    assert bold[0] == []
    assert tables[0]["p"][0] == "no test"
    assert tables[0]["wins / ties / losses"][0] == "4 / 0 / 0"


def test_published_figures_are_too_few_sets_for_any_claim():
    tables, bold = comparisons({REFERENCE: {"palm": 0.9}})
    first = tables[1].iloc[0].tolist()
    assert first[:3] == ["kNN-Graph", "73.76", "1.00"]
    # Six sets, eight comparisons: 2/64 times 8 is the least p that can be.
    assert set(tables[1]["p"][1:]) == {"0.25"}
    assert bold[1] == []


def test_the_page_needs_nothing_else():
    results = results_of({REFERENCE: {"binalpha": 0.7}, "CV-kNN": {"binalpha": 0.5}})
    page = make_report(results, entries(), {}, read_published()).html()
    assert not re.search(
        r'(src|href)="(?!#)', re.sub(r'xmlns(:\w+)?="[^"]*"', "", page)
    )
    assert "@import" not in page
    assert "url(http" not in page
    names = re.findall(r'\bid="([^"]+)"', page)
    assert len(names) == len(set(names))
    for target in re.findall(r'(?:href="#|url\(#)([^")]+)', page):
        assert target in names
    assert "prefers-color-scheme: dark" in page
    assert page.count("<svg") >= 4
    assert "currentColor" in page
