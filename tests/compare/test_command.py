"""The whole command, as a user runs it."""

import csv
import os
import re
import signal
import subprocess
import sys
import time
import warnings
from html import escape
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas
import pytest
from sklearn.datasets import load_wine

import knngraph
from knngraph.cli import _make_parser, main
from knngraph.compare.command import compare_table
from knngraph.compare.html_report import html_report
from knngraph.compare.methods import all_methods

COMMAND = [sys.executable, "-W", "error", "-m", "knngraph", "compare"]


def wine_table():
    """Wine with what real tables have: text, dates, gaps, names, nothing."""
    frame = load_wine(as_frame=True).frame
    random = np.random.default_rng(0)
    frame.insert(0, "id", range(1, len(frame) + 1))
    frame["target"] = frame["target"].map(dict(enumerate(["one", "two", "<three>"])))
    frame.loc[5, "target"] = None
    frame.loc[random.choice(len(frame), 10), "ash"] = np.nan
    frame["region"] = random.choice(["north", "south"], len(frame))
    frame["when"] = pandas.date_range("2020-01-01", periods=len(frame)).astype(str)
    frame["note"] = [f"note {i}" for i in range(len(frame))]
    frame["same"] = 1
    return frame


@pytest.fixture(scope="module")
def wine(tmp_path_factory):
    path = tmp_path_factory.mktemp("wine") / "wine.csv"
    wine_table().to_csv(path, index=False)
    return path


class Outline(HTMLParser):
    """Collects what the page refers to, and whether its tags are closed."""

    EMPTY = ("meta",)

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.references = [], [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        if tag not in self.EMPTY:
            self.open.append(tag)
        self.references += [v for k, v in attributes if k in ("src", "href")]

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def figures(text):
    """Name, accuracy, spread, balanced accuracy, AUC and log loss of every method."""
    number = r" +([\d.]+)"
    pattern = rf"^[* ] (\S.*?){number} ±{number}{number}{number}{number}"
    return re.findall(pattern, text, re.M)


def test_a_run_from_file_to_report(wine, tmp_path):
    report = tmp_path / "report.html"
    arguments = [str(wine), "--target", "target", "--report", str(report)]
    run = subprocess.run(
        [*COMMAND, *arguments, "--folds", "3"],
        capture_output=True,
        text=True,
        check=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    )
    out = " ".join(run.stdout.split())
    assert "177 rows, 15 columns, 3 classes in 'target'; 3 stratified folds" in out
    for notice in (
        "1 row without a value in the target",
        "numbers that name the rows (keep: --keep): 'id'",
        "differs in most rows (keep: --keep): 'note'",
        "constant: 'same'",
        "'when' read as dates (ISO8601)",
        "In Python: skrub.tabular_pipeline(",
    ):
        assert notice in out
    lines = figures(run.stdout)
    names = [method.name for method in all_methods(177)[0]]
    assert [line[0] for line in lines] == names
    assert float(lines[0][1]) == pytest.approx(40.1, abs=0.2)
    assert all(80 < float(line[1]) <= 100 for line in lines[1:])
    assert all(0.9 < float(line[4]) <= 1 for line in lines[1:])
    assert all(name in run.stderr for name in names)

    page = Outline()
    html = report.read_text(encoding="utf-8")
    page.feed(html)
    assert page.open == []
    assert page.references == []
    assert "@import" not in html
    assert not re.search(r"url\((?!#)", html)
    assert "<three>" not in html
    assert "&lt;three&gt;" in html
    assert page.tags.count("svg") == 1
    picture = html[html.index("<svg") : html.index("</svg>")]
    assert "majority class" not in picture
    assert all(f">{line[0]}<" in picture.replace("★ ", "") for line in lines[1:])
    for _, accuracy, spread, _, area, loss in lines:
        assert f"{accuracy} ± {spread}" in html
        assert f"<td>{loss}</td>" in html
        assert f"<td>{area}</td>" in html


def test_recall_and_confusion_of_the_choice_are_in_the_report(wine):
    arguments = ["compare", str(wine), "--target", "target", "--quick", "--folds=2"]
    options = _make_parser().parse_args([*arguments, "--quiet"])
    comparison = compare_table(options)
    chosen = comparison.chosen
    html = html_report(comparison)
    codes = comparison.table.codes
    for code, name in enumerate(comparison.table.classes):
        ours, said = codes == code, chosen.predicted == code
        found = 100 * (ours & said).sum() / ours.sum()
        precise = 100 * (ours & said).sum() / said.sum()
        row = f"<th>{escape(name)}</th><td>{ours.sum()}</td><td>{found:.1f}</td>"
        assert f"{row}<td>{precise:.1f}</td>" in html
    matrix = html[html.index("Confusion matrix") :]
    counts = re.findall(r"<td>(\d+)</td>", matrix[: matrix.index("</table>")])
    assert sum(map(int, counts)) == 177
    assert sum(map(int, counts[::4])) == (codes == chosen.predicted).sum()


def test_the_same_seed_gives_the_same_figures(wine, capsys):
    arguments = ["compare", str(wine), "--target", "target", "--quick", "--folds=2"]
    shown = []
    for seed in ("3", "3", "4"):
        assert main([*arguments, "--quiet", "--seed", seed]) == 0
        captured = capsys.readouterr()
        assert captured.err == ""
        shown.append(figures(captured.out))
    assert len(shown[0]) == 8
    assert shown[0] == shown[1] != shown[2]


def test_parquet_gives_the_figures_of_csv(wine, tmp_path, capsys):
    frame = pandas.read_csv(wine)
    frame.to_parquet(tmp_path / "wine.parquet")
    shown = []
    for path in (wine, tmp_path / "wine.parquet"):
        arguments = [str(path), "--target", "target", "--quick", "--folds=2"]
        assert main(["compare", *arguments, "--quiet"]) == 0
        shown.append(figures(capsys.readouterr().out))
    assert shown[0] == shown[1] != []


def test_a_table_that_says_nothing(tmp_path, capsys):
    random = np.random.default_rng(0)
    frame = pandas.DataFrame(random.normal(size=(90, 2)), columns=["a", "b"])
    frame["label"] = ["yes", "no", "yes"] * 30
    frame.to_csv(tmp_path / "noise.csv", index=False)
    arguments = [str(tmp_path / "noise.csv"), "--target", "label", "--quick"]
    model = tmp_path / "model"
    assert main(["compare", *arguments, "--quiet", "--save", str(model)]) == 0
    captured = capsys.readouterr()
    shown = " ".join(captured.out.split())
    assert captured.err == "No code and no model, as nothing is recommended.\n"
    assert not model.exists()
    assert "No method is better than always saying the most frequent class" in shown
    assert "Choose:" not in shown


def test_samples_copies_and_rare_classes_are_said(tmp_path, capsys):
    random = np.random.default_rng(0)
    frame = pandas.DataFrame({"a": random.integers(0, 9, 200)})
    frame["label"] = ["x", "y", "x", "x"] * 50
    frame.loc[0, "label"] = "rare"
    frame.to_csv(tmp_path / "t.csv", index=False)
    command = ["compare", str(tmp_path / "t.csv"), "--target", "label", "--quick"]
    assert main([*command, "--quiet", "--folds", "2"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "1 class with fewer rows than the 2 folds (rare: 1)" in shown
    assert "rows repeat an earlier one in every column" in shown
    assert main([*command, "--quiet", "--folds", "2", "--sample", "40"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "A random sample of 40 rows out of 200" in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["nowhere.csv", "--target", "target"],
            "there is no file nowhere.csv",
        ),
        (["{wine}", "--target", "targte"], "did you mean 'target'"),
        (["{wine}", "--target", "alcohol"], "that is regression"),
        (["{wine}", "--target", "same"], "one class, '1', in all 178 rows"),
        (["{wine}", "--target", "note"], "every row has a class of its own"),
        (["{wine}", "--target", "target", "--drop", "x"], "--drop: there is no column"),
        (["{wine}", "--target", "target", "--keep=target"], "'target' is the target"),
        (["{wine}", "--target", "target", "--folds", "99"], "use --folds 71 at most"),
        (["{wine}", "--target", "target", "--report", "/no/x.html"], "no folder /no"),
        (["{wine}", "--target", "target", "--report", "/"], "is a folder; name a file"),
        (
            ["{wine}", "--target", "target", "--save", "/no/x"],
            "--save: there is no folder",
        ),
        (["{wine}", "--target", "target", "--sample", "1"], "the sample holds one"),
    ],
)
def test_errors_are_one_line(arguments, message, wine, capsys):
    arguments = [argument.format(wine=wine) for argument in arguments]
    assert main(["compare", *arguments]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["x.csv"], "--target"),
        (["x.csv", "--target", "y", "--folds", "1"], "'1' is no whole number from 2"),
        (["x.csv", "--target", "y", "--folds", "two"], "'two' is no whole number"),
        (["x.csv", "--target", "y", "--sep", "ab"], "'ab' is no separator"),
        (["x.csv", "--target", "y", "--sep", "\r"], "'\\r' is no separator"),
        (["x.csv", "--target", "y", "--sep", "§"], "'§' is no separator"),
        (["x.csv", "--target", "y", "--seed", "-1"], "'-1' is no whole number from 0"),
    ],
)
def test_bad_options_are_one_line(arguments, message, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["compare", *arguments])
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_an_error_reaches_the_shell(tmp_path):
    (tmp_path / "empty.csv").write_bytes(b"")
    run = subprocess.run(
        [*COMMAND, str(tmp_path / "empty.csv"), "--target", "y"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 2
    assert run.stdout == ""
    assert run.stderr.endswith("empty.csv is empty.\n")
    assert "Traceback" not in run.stderr


@pytest.mark.skipif(os.name != "posix", reason="sends a real SIGINT")
def test_interrupting_is_clean(wine, tmp_path):
    report = tmp_path / "report.html"
    arguments = [str(wine), "--target", "target", "--folds", "60"]
    with subprocess.Popen(
        [*COMMAND, *arguments, "--report", str(report)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as run:
        # The first sign of progress says that the work has begun.
        run.stderr.read(1)
        time.sleep(0.1)
        run.send_signal(signal.SIGINT)
        out, error = run.communicate(timeout=60)
    assert run.returncode == 130
    assert out == ""
    assert error.endswith("Interrupted.\n")
    assert "Traceback" not in error
    assert not report.exists()


def messy_table(n_rows, seed):
    """Customers who leave: money, percent, dates with the day first, None, gaps."""
    random = np.random.default_rng(seed)
    plan = random.choice(["None", "basic", "Plus"], n_rows)
    share = random.uniform(0, 40, n_rows)
    days = pandas.Timestamp("2022-01-01") + pandas.to_timedelta(
        random.integers(0, 700, n_rows), unit="D"
    )
    score = 2.0 * (plan == "None") + (share - 20) / 8 + random.normal(0, 0.7, n_rows)
    income = random.uniform(1e3, 9e4, n_rows)
    german = [f"{v:,.2f} €".translate(str.maketrans(",.", ".,")) for v in income]
    frame = pandas.DataFrame(
        {
            "Kundennr": random.choice(9 * 10**8, n_rows, replace=False) + 10**8,
            "Tarif": plan,
            "Einkommen": german,
            "Anteil": [f"{v:.1f} %".replace(".", ",") for v in share],
            "Beginn": days.strftime("%d.%m.%Y"),
            "Straße": random.choice(["Köln", "Zürich"], n_rows),
            "Status": np.where(score > 0.7, "leaves", "stays"),
        }
    )
    for name in ("Einkommen", "Beginn", "Straße"):
        frame.loc[random.random(n_rows) < 0.1, name] = None
    return frame


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A messy file that was compared on: its folder, and what was printed."""
    folder = tmp_path_factory.mktemp("messy")
    text = messy_table(240, 0).to_csv(index=False, sep=";").replace("\n", "\r\n")
    text = text.replace("\r\n", "\r\n\r\n", 5)  # empty lines
    (folder / "data.csv").write_bytes(text.encode("cp1252"))
    code = f"--write-code={folder / 'code.py'}"
    options = ["--target=Status", "--folds=3", "--quick", "--quiet", code]
    run = subprocess.run(
        [*COMMAND, folder / "data.csv", *options, f"--save={folder / 'model'}"],
        capture_output=True,
        text=True,
        check=True,
    )
    return folder, run.stdout


def test_a_messy_file_is_read_as_it_is_meant(saved):
    out = " ".join(saved[1].split())
    assert "240 rows, 5 columns, 2 classes" in out
    for notice in (
        "read as cp1252",
        "name the rows (keep: --keep): 'Kundennr'",
        "'None' of 'Tarif' taken as a category",
        "'Einkommen' read as numbers",
        "'Anteil' read as numbers",
        "'Beginn' read as dates (%d.%m.%Y)",
        "a pickle, which can run code",
    ):
        assert notice in out


def test_the_code_gives_the_accuracy_of_the_table(saved):
    folder, out = saved
    (accuracy,) = re.findall(r"^\* .*? ([\d.]+) (?:±|\?) ", out, re.M)
    run = subprocess.run(
        [sys.executable, folder / "code.py"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(Path(knngraph.__file__).parents[1])},
    )
    assert run.stdout == f"{accuracy} % right\n"


def test_a_saved_model_predicts_every_row(saved, capsys):
    folder, _ = saved
    fresh = messy_table(60, 1)
    fresh.loc[7, "Beginn"] = "irgendwann"
    fresh.loc[8, "Tarif"] = "unknown to the model"
    labels = fresh.pop("Status")
    fresh = fresh[fresh.columns[::-1]].drop(columns="Kundennr").assign(more=1)
    fresh.to_csv(folder / "new.csv", index=False)
    command = ["predict", str(folder / "model"), str(folder / "new.csv")]
    assert main([*command, "--output", str(folder / "out.csv")]) == 0
    error = capsys.readouterr().err
    assert "does not use: 'more'" in error
    assert "1 cell of 'Beginn'" in error
    with (folder / "out.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["row"] for row in rows] == [str(i) for i in range(60)]
    assert np.mean([row["label"] for row in rows] == labels) > 0.8
    model = knngraph.load(folder / "model")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Found unknown categories")
        given = model.predict_proba(fresh).max(axis=1)
    np.testing.assert_allclose(
        [float(r["probability"]) for r in rows], given, rtol=1e-5
    )
    assert main(command) == 0
    assert capsys.readouterr().out == (folder / "out.csv").read_text(encoding="utf-8")


def test_what_predict_cannot_use(saved, tmp_path, capsys):
    folder, _ = saved
    lacking = messy_table(9, 1).drop(columns=["Tarif", "Beginn"])
    lacking.to_csv(tmp_path / "lacking.csv", index=False)
    knngraph.save(knngraph.KNNGraphClassifier(), tmp_path / "other")
    for model, file, message in (
        (folder / "model", "lacking.csv", "no column 'Tarif', 'Beginn'"),
        (folder / "data.csv", "lacking.csv", "data.csv"),
        (tmp_path / "other", "lacking.csv", "no pipeline of `knngraph compare --save`"),
        (tmp_path / "nowhere", "lacking.csv", "there is no file"),
        (folder / "model", "nowhere.csv", "there is no file"),
    ):
        assert main(["predict", str(model), str(tmp_path / file)]) == 2
        captured = capsys.readouterr()
        assert message in captured.err
        assert captured.err.count("\n") == 1
        assert captured.out == ""


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="no /dev/full")
def test_a_full_disk_is_one_line(saved, capsys):
    folder, _ = saved
    command = ["predict", str(folder / "model"), str(folder / "data.csv")]
    assert main([*command, "--output", "/dev/full"]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("knngraph predict: --output: /dev/full cannot be written: ")
