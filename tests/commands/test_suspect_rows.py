"""`knngraph suspects`, as a user runs it."""

import numpy as np
import pandas
import pytest

from knngraph.cli import main
from tests.commands.pages import Page
from tests.commands.tables import HOSTILE, messy_table

WRONG = [10, 40, 77, 120]


def wrong_labels(table):
    """The table with some labels turned into the other class."""
    first, second = sorted(set(table["label"]))
    table.loc[WRONG, "label"] = table.loc[WRONG, "label"].map(
        {first: second, second: first}
    )
    return table


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("messy") / "messy.csv"
    table = wrong_labels(messy_table(n_rows=240))
    # One row without a label shifts the rows of the fit against those of the file.
    table.loc[3, "label"] = None
    table.rename(columns={"day": "given"}).to_csv(path, index=False)
    return path


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def suspected(file, *options):
    """The page and the table, after a run that must succeed."""
    arguments = ["suspects", str(file), "--target", "label", "--quick", "--quiet"]
    assert main([*arguments, "--output", "doubt.html", *options]) == 0
    with open("doubt.html", encoding="utf-8") as page:
        return Page(page.read()), pandas.read_csv("doubt.csv")


def test_the_doubtful_rows_beside_those_that_contradict_them(file, capsys):
    page, table = suspected(file, "--top", "12")
    page.check_harmless()
    assert len(table) == 12
    assert set(WRONG) <= set(table["row"])
    titles = [text for text in page.texts if text.startswith("Row ") and ":" in text]
    assert [int(t.split(":")[0][4:]) for t in titles] == table["row"].tolist()
    assert any(text.startswith("<script>alert") for text in page.texts)
    assert "Rows that contradict its label" in page.texts
    # Every row that contradicts has the other label in the file.
    read = pandas.read_csv(file)
    for given, rows in zip(table["given_"], table["contradicted by rows"]):
        assert (
            read["label"].loc[[int(row) for row in str(rows).split()]] != given
        ).all()
    printed = capsys.readouterr().out
    assert printed.count("\nrow ") + 1 == 10
    assert printed.endswith("and 2 more\nPage: doubt.html\nTable: doubt.csv\n")


def test_the_table_holds_all_columns_of_the_file(file):
    _, table = suspected(file, "--top", "5")
    read = pandas.read_csv(file)
    # A column of the file has the name of one of ours.
    assert table.columns.tolist() == [
        "row",
        "given_",
        "suggested",
        "probability of given",
        "probability of suggested",
        "contradicted by rows",
        *read.columns,
    ]
    for _, line in table.iterrows():
        assert line["label"] == read["label"][line["row"]]
        assert line["id"] == read["id"][line["row"]]
        assert line[f"amount {HOSTILE}"] == read[f"amount {HOSTILE}"][line["row"]]
    assert (np.diff(table["probability of given"]) >= 0).all()


def test_as_many_rows_as_are_expected_to_be_wrong(file):
    _, table = suspected(file)
    assert 1 <= len(table) < 60
    page, one = suspected(file, "--top", "1")
    assert "1 row of 239, most doubtful first" in page.text
    assert len(one) == 1


def test_all_rows_have_lines_and_the_first_hundred_cards(file):
    page, table = suspected(file, "--top", "500")
    assert len(table) == 239
    titles = [text for text in page.texts if text.startswith("Row ") and ":" in text]
    assert len(titles) == 100
    assert "here are the first 100" in page.text


def test_labels_that_no_neighbor_contradicts_have_no_other(tmp_path, capsys):
    amount = np.repeat([0.0, 100.0], 80) + np.arange(160) / 100
    labels = np.repeat(["low", "high"], 80)
    labels[0] = "high"  # the only row that is contradicted
    table = pandas.DataFrame({"amount": amount, "label": labels})
    table.to_csv(tmp_path / "plain.csv", index=False)
    _, found = suspected(tmp_path / "plain.csv", "--top", "160")
    assert found["row"][0] == 0
    assert found["suggested"][0] == "low"
    alone = found["suggested"].isna()
    assert 20 <= alone.sum() < 160
    assert found["probability of suggested"][alone].isna().all()
    assert found["probability of suggested"][~alone].notna().all()
    assert (found["suggested"] != found["given"]).all()
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("row 0: given high, rather low (")
    assert " against " in printed[0]
    for line, row in zip(printed[:10], found["row"]):
        of_row = found[found["row"] == row].iloc[0]
        assert (" against " in line) == isinstance(of_row["suggested"], str)


def test_no_file_of_the_user_is_overwritten(file, tmp_path, capsys):
    copy = tmp_path / "data.csv"
    copy.write_bytes(file.read_bytes())
    arguments = ["suspects", "data.csv", "--target", "label", "--quick", "--quiet"]
    for output in ("data.html", "data.csv"):
        assert main([*arguments, "--output", output]) == 2
        assert capsys.readouterr().err.startswith("knngraph suspects: --output: ")
    assert (
        main(["explain", *arguments[1:], "--row", "1", "--output", "./data.csv"]) == 2
    )
    assert "data.csv is a file that is read" in capsys.readouterr().err
    compare = ["compare", "data.csv", "--target", "label", "--report", "data.csv"]
    assert main(compare) == 2
    assert "data.csv is a file that is read" in capsys.readouterr().err
    assert copy.read_bytes() == file.read_bytes()
