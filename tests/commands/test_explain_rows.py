"""`knngraph explain`, as a user runs it."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import knngraph
from knngraph.cli import main
from tests.commands.pages import Page
from tests.commands.tables import HOSTILE, messy_table


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("messy") / "messy <table>.csv"
    table = messy_table()
    table.loc[7, "label"] = None
    table.to_csv(path, index=False)
    return path


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def explained(file, *options):
    """The page, after a run that must succeed."""
    arguments = ["explain", str(file), "--target", "label", "--quick", "--quiet"]
    assert main([*arguments, *options, "--output", "card.html"]) == 0
    with open("card.html", encoding="utf-8") as page:
        return Page(page.read())


def test_the_card_of_a_row(file, capsys):
    page = explained(file, "--row", "17")
    page.check_harmless()
    table = messy_table()
    assert f"Row 17: {table['label'][17]}" in page.text
    assert f"its label: {table['label'][17]}" in page.text
    # All encoded columns are followed back to the columns of the file.
    assert "typedcolumns" not in page.text
    assert "encoded column" not in page.text
    # The cells as they are in the file, and of the row itself no vote.
    assert table[f"amount {HOSTILE}"][17] in page.text
    assert "row 17" not in page.texts
    assert "Learned from 148 rows of messy <table>.csv" in page.text
    printed = capsys.readouterr().out
    assert printed.startswith("row 17: class ")
    assert printed.endswith("Card: card.html\n")


def test_hostile_names_and_cells_are_shown_and_never_run(file):
    rows = messy_table()
    row = rows.index[rows["kind"] == HOSTILE][0]
    page = explained(file, "--row", str(row))
    page.check_harmless()
    assert any(text.startswith("<script>alert('x')") for text in page.texts)
    # A mark that turns the direction of writing would garble what follows.
    assert "\u202e" not in page.text
    assert "\ufffdturned" in page.text


def test_cells_do_not_steer_the_terminal(tmp_path, capsys):
    table = messy_table()
    table["kind"] = table["kind"].replace({"plain": "\x1b[2Jplain", "None": "a" * 99})
    table.to_csv(tmp_path / "data.csv", index=False)
    explained(tmp_path / "data.csv", "--row", "2", "--row", "4")
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    assert "\ufffd[2Jplain" in printed
    assert "a" * 30 not in printed


def test_several_rows_and_one_without_a_label(file):
    page = explained(file, "--row", "7", "--row", "3", "--row", "7")
    titles = [text for text in page.texts if text.startswith("Row ")]
    assert len(titles) == 2
    assert "its label" not in titles[0]
    assert "its label" in titles[1]


def test_the_rows_of_another_file(file, tmp_path):
    query = messy_table(seed=1).drop(columns=["label", "id"]).iloc[:3]
    query.to_csv(tmp_path / "new.csv", index=False)
    page = explained(file, "--query", "new.csv")
    assert [t.split(":")[0] for t in page.texts if t.startswith("Row ")] == [
        "Row 0",
        "Row 1",
        "Row 2",
    ]
    assert "Learned from 149 rows" in page.text
    page = explained(file, "--query", "new.csv", "--row", "2")
    assert "Row 2 of new.csv" in page.texts
    assert len([text for text in page.texts if text.startswith("Row 2: ")]) == 1


def test_values_that_the_fit_has_not_seen(file, tmp_path, recwarn):
    query = messy_table(seed=1).drop(columns="label").iloc[:3].astype(object)
    query.loc[0, :] = None
    query.loc[1, "kind"] = "new <kind>"
    query.loc[2, "day"] = "99/99/9999"
    query.to_csv(tmp_path / "new.csv", index=False)
    page = explained(file, "--query", "new.csv")
    assert "No training row has 'new <kind>' in 'kind'." in page.text
    assert "missing" in page.texts
    assert not recwarn.list


def test_a_label_that_is_a_number(tmp_path):
    table = messy_table()
    table["label"] = (table["label"] == "no<b>").astype(float)
    table.loc[[2, 5], "label"] = [np.nan, 1.0]
    table.to_csv(tmp_path / "data.csv", index=False)
    page = explained(tmp_path / "data.csv", "--row", "5")
    assert "its label: 1)" in page.text


def test_many_rows_of_another_file_have_the_first_hundred_cards(file, tmp_path):
    messy_table(seed=2).drop(columns="label").to_csv(tmp_path / "new.csv", index=False)
    page = explained(file, "--query", "new.csv")
    assert sum(text.startswith("Row ") for text in page.texts) == 100
    assert "The first 100 of 150 rows have a card" in page.text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "say which row to explain: --row N, or --query FILE."),
        (["--row", "150"], "--row 150: {file} has 150 rows, counted from 0 to 149."),
        (["--query", "none.csv"], "there is no file none.csv."),
        (["--query", "short.csv"], "--query: short.csv has no column 'age'."),
        (
            ["--row", "1", "--output", "no/card.html"],
            "--output: there is no folder no.",
        ),
        (["--row", "1", "--output", "."], "--output: . is a folder; name a file."),
    ],
)
def test_bad_options_are_one_line(file, options, message, tmp_path, capsys):
    messy_table().drop(columns="age").to_csv(tmp_path / "short.csv", index=False)
    arguments = ["explain", str(file), "--target", "label", "--quick", "--quiet"]
    assert main([*arguments, *options]) == 2
    said = capsys.readouterr()
    assert said.err == f"knngraph explain: {message.format(file=file)}\n"
    assert not said.out


def test_one_class_is_left(tmp_path, capsys):
    table = messy_table(n_rows=30)
    table["label"] = ["rare", *["frequent"] * 29]
    table.to_csv(tmp_path / "rare.csv", index=False)
    arguments = ["explain", "rare.csv", "--target", "label", "--quick", "--quiet"]
    assert main([*arguments, "--row", "0"]) == 2
    assert "are of one class" in capsys.readouterr().err


def test_progress_on_standard_error_and_a_search_for_settings(file, tmp_path):
    command = [sys.executable, "-W", "error", "-m", "knngraph", "explain", str(file)]
    card = tmp_path / "card.html"
    done = subprocess.run(
        [*command, "--target", "label", "--row", "17", "--output", str(card)],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=Path(knngraph.__file__).parents[1],
    )
    assert done.returncode == 0, done.stderr
    assert "comparing settings" in done.stderr
    assert "explaining" in done.stderr
    assert f"Card: {card}" in done.stdout


def test_the_same_bytes_twice(file):
    def page(name):
        arguments = ["explain", str(file), "--target", "label", "--quick", "--quiet"]
        assert main([*arguments, "--row", "5", "--output", name]) == 0
        with open(name, "rb") as stream:
            return stream.read()

    assert page("a.html") == page("b.html")
