"""Files of all kinds become the same table, or one line says why not."""

import gzip
import importlib.util

import pandas
import pytest

from knngraph.tables.table import TableProblem, read_table

ROWS = [("a", 1.5, "näh"), ("b", 2.5, "fern"), ("a", 3.5, "näh")]
PLAIN = "kind,size,place\n" + "".join(f"{k},{s},{p}\n" for k, s, p in ROWS)


def check(table):
    frame = table.frame
    assert list(frame.columns) == ["kind", "size", "place"]
    assert frame["size"].tolist() == [1.5, 2.5, 3.5]
    assert frame["kind"].tolist() == ["a", "b", "a"]
    assert frame["place"].tolist() == ["näh", "fern", "näh"]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_separators_are_found(separator, tmp_path):
    path = tmp_path / "data.csv"
    path.write_text(PLAIN.replace(",", separator), encoding="utf-8")
    table = read_table(path)
    check(table)
    assert table.notices == []


@pytest.mark.parametrize(
    ("encoding", "says"),
    [
        *((name, "") for name in ("utf-8", "utf-8-sig", "utf-16", "utf-32")),
        ("cp1252", "read as cp1252"),
    ],
)
def test_encodings_are_found(encoding, says, tmp_path):
    path = tmp_path / "data.csv"
    path.write_text(PLAIN, encoding=encoding)
    table = read_table(path)
    check(table)
    assert says in " ".join(table.notices)
    assert bool(table.notices) == bool(says)


@pytest.mark.parametrize("ends", ["\r", "\r\n"])
def test_ends_of_lines_of_all_systems(ends, tmp_path):
    path = tmp_path / "data.csv"
    path.write_text(PLAIN, encoding="utf-8", newline=ends)
    check(read_table(path))


def test_a_cell_may_hold_a_whole_document(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text(f"text,kind\n{'x' * 200_000},a\n", encoding="utf-8")
    frame = read_table(path).frame
    assert frame["text"].str.len().tolist() == [200_000]


def test_what_is_told_is_not_found_out(tmp_path):
    path = tmp_path / "data.txt"
    path.write_text(PLAIN.replace(",", "x"), encoding="latin-1")
    check(read_table(path, separator="x", encoding="latin-1"))


def test_compressed_text_and_parquet(tmp_path):
    packed = tmp_path / "data.csv.gz"
    packed.write_bytes(gzip.compress(PLAIN.encode()))
    check(read_table(packed))
    columns = tmp_path / "data.parquet"
    read_table(packed).frame.to_parquet(columns)
    check(read_table(columns))


def test_named_rows_of_parquet_are_a_column(tmp_path):
    frame = pandas.DataFrame({"kind": ["a", "b"], "size": [1.5, 2.5]})
    for names in (["kind"], ["size"], ["kind", "size"]):
        frame.set_index(names).to_parquet(tmp_path / "data.parquet")
        found = read_table(tmp_path / "data.parquet").frame
        assert found["kind"].tolist() == ["a", "b"]
        assert found["size"].tolist() == [1.5, 2.5]
    frame.set_axis([7, 9]).to_parquet(tmp_path / "data.parquet")
    assert list(read_table(tmp_path / "data.parquet").frame) == ["kind", "size"]


def test_commas_in_quotes_stay_in_their_cell(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text('name,size\n"Doe, Jane",1\n"Roe, Jim",2\n')
    assert read_table(path).frame["name"].tolist() == ["Doe, Jane", "Roe, Jim"]


def test_codes_keep_their_zeros_and_none_stays_a_word(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text("zip,size,kind\n12345,1,None\n\n01234,2,NA\n")
    frame = read_table(path).frame
    assert frame["zip"].tolist() == ["12345", "01234"]
    assert frame["size"].tolist() == [1, 2]
    assert frame["kind"][0] == "None"
    assert frame["kind"].isna().tolist() == [False, True]
    frame = read_table(path, text_columns=["size"]).frame
    assert frame["size"].tolist() == ["1", "2"]


def test_question_marks_and_blanks_are_missing(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text("a, b\n1, ?\n, x\n3, y\n")
    frame = read_table(path).frame
    assert frame["b"].isna().tolist() == [True, False, False]
    assert frame["a"].isna().tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\n  \n", "is empty"),
        (b"a,b\n", "column names but no rows"),
        (b"a,b,a\n1,2,3\n", "several columns named 'a'"),
        (b"a,b\n1,2\n1,2,3\n", "do not fit its 2 columns"),
        (b"a,b\n1,2,3\n4,5,6\n", "do not fit its 2 columns"),
        (b"\x89PNG\r\n\x00\x00", "no text file"),
        (b"PK\x03\x04rest", "workbook or zip"),
    ],
)
def test_text_that_is_no_table(content, message, tmp_path):
    path = tmp_path / "data.csv"
    path.write_bytes(content)
    with pytest.raises(TableProblem, match=message) as caught:
        read_table(path)
    assert "\n" not in str(caught.value)
    assert "data.csv" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "data.csv.gz",
            gzip.compress(PLAIN.encode() * 99, mtime=0)[:60],
            "cannot read",
        ),
        ("data.parquet", b"no parquet", "no readable Parquet"),
    ],
)
def test_damaged_files(name, content, message, tmp_path):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(TableProblem, match=message):
        read_table(path)


def test_files_that_are_not_there(tmp_path):
    for name in ("data.csv", "data.parquet", "data.csv.gz"):
        with pytest.raises(TableProblem, match="there is no file"):
            read_table(tmp_path / name)
    with pytest.raises(TableProblem, match=r"cannot read .*: Is a directory"):
        read_table(tmp_path)


def test_wrong_encodings(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text(PLAIN, encoding="latin-1")
    with pytest.raises(TableProblem, match="not encoded in utf-8"):
        read_table(path, encoding="utf-8")
    with pytest.raises(TableProblem, match="no encoding 'klingon'"):
        read_table(path, encoding="klingon")


@pytest.mark.parametrize("package", ["pandas", "skrub", "pyarrow"])
def test_without_the_packages(package, tmp_path, monkeypatch):
    path = tmp_path / "data.parquet"
    pandas.DataFrame({"a": [1]}).to_parquet(path)
    found = importlib.util.find_spec
    monkeypatch.setattr(
        "knngraph.tables.table.find_spec",
        lambda name: None if name == package else found(name),
    )
    wanted = rf"needs {package}.*pip install 'knngraph\[tables\]'"
    with pytest.raises(TableProblem, match=wanted):
        read_table(path)
