"""A file as a data frame: its format, encoding and separator are detected."""

import csv
import gzip
import io
import re
import warnings
import zlib
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

# What a cell without a value may hold. The word None is a category in many tables;
# among numbers and dates it is missing as any other word.
MISSING = [
    "", "?", "NA", "N/A", "n/a", "#N/A", "#NA", "<NA>", "NaN", "nan", "-NaN", "-nan",
    "null", "NULL", "Null", "#NULL!", "#VALUE!", "#REF!", "#DIV/0!",
]  # fmt: skip
_SEPARATORS = ",;\t|"
_HEAD_BYTES = 256 * 1024
_HEAD_LINES = 50
# Digits that stay text: as a number the code 01234 would lose its zero.
_CODE = re.compile(r"0\d+")


class TableProblem(ValueError):
    """A table or an option that cannot be compared on.

    The message is one line that names the file, column or option, and the way out.
    """


def quoted(names: object, limit: int = 5) -> str:
    """A few names in quotes, and how many more there are.

    Examples
    --------
    >>> from knngraph.compare.table import quoted
    >>> quoted(["a", "b", "c"], limit=2)
    "'a', 'b' and 1 more"
    """
    found = [repr(str(name)) for name in names]  # type: ignore[attr-defined]
    shown = ", ".join(found[:limit])
    more = len(found) - limit
    return f"{shown} and {more} more" if more > 0 else shown


def counted(number: int, noun: str) -> str:
    """A number with its noun.

    Examples
    --------
    >>> from knngraph.compare.table import counted
    >>> counted(1, "row"), counted(2500, "row"), counted(3, "class")
    ('1 row', '2,500 rows', '3 classes')
    """
    if number == 1:
        return f"1 {noun}"
    return f"{number:,} {noun}{'es' if noun.endswith('s') else 's'}"


@dataclass(frozen=True)
class TableFile:
    """A data frame as it was read, one column a name, and what was found out."""

    frame: Any
    notices: list[str]


def read_table(
    path: Path,
    *,
    separator: str | None = None,
    encoding: str | None = None,
    text_columns: Collection[str] = (),
) -> TableFile:
    """Read a table with named columns.

    Parameters
    ----------
    path : Path
        A Parquet file by its ending `.parquet` or `.pq`; anything else is text
        with separated values, compressed where it ends in `.gz`.
    separator : str or None, default=None
        One character; None finds out between comma, semicolon, tab and bar.
    encoding : str or None, default=None
        None means UTF-8, else UTF-16 where the file says so, else Windows-1252.
    text_columns : collection of str
        Columns of a text file that are no numbers, whatever they hold.

    Raises
    ------
    TableProblem
        Where there is no such table to read.
    """
    pandas = _import_pandas()
    if path.is_dir():
        raise TableProblem(f"{path} is a folder; name a CSV or Parquet file.")
    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            table = _read_parquet(path, pandas)
        else:
            table = _read_text(path, separator, encoding, text_columns, pandas)
    except FileNotFoundError as error:
        raise TableProblem(f"there is no file {path}.") from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise TableProblem(f"{path} is damaged or no gzip file: {error}.") from error
    except OSError as error:
        raise TableProblem(f"cannot read {path}: {error.strerror or error}.") from error
    if not len(table.frame):
        raise TableProblem(f"{path} has a line of column names but no rows.")
    return table


def _import_pandas() -> Any:
    try:
        import pandas
    except ImportError as error:
        raise TableProblem(
            "reading tables needs pandas. Install it with: "
            "pip install 'knngraph[tables]'"
        ) from error
    return pandas


def _read_parquet(path: Path, pandas: Any) -> TableFile:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise TableProblem(
            "reading Parquet needs pyarrow. Install it with: "
            "pip install 'knngraph[tables]'"
        ) from error
    path.open("rb").close()  # a missing file is said by the system, not by pyarrow
    try:
        _refuse_duplicates(path, pyarrow.parquet.read_schema(path).names)
        frame = pandas.read_parquet(path)
    except (pyarrow.ArrowException, ValueError) as error:
        raise TableProblem(
            f"{path} is no readable Parquet file: {_one_line(error)}."
        ) from error
    # What pandas stored as named rows is a column like the others.
    named = [name for name in frame.index.names if name is not None]
    frame = frame.reset_index(named).reset_index(drop=True)
    frame.columns = [str(name) for name in frame.columns]
    return TableFile(frame, [])


def _read_text(
    path: Path,
    separator: str | None,
    encoding: str | None,
    text_columns: Collection[str],
    pandas: Any,
) -> TableFile:
    packed = path.suffix.lower() == ".gz"
    with gzip.open(path) if packed else path.open("rb") as stream:
        head = stream.read(_HEAD_BYTES)
    notices: list[str] = []
    encodings = _encodings(path, head, encoding)
    for attempt, name in enumerate(encodings):
        try:
            frame = _parse_text(path, head, separator, name, text_columns, pandas)
        except UnicodeDecodeError as error:
            if attempt + 1 < len(encodings):
                continue
            raise TableProblem(
                f"{path} is not encoded in {name}; say --encoding."
            ) from error
        except LookupError as error:
            raise TableProblem(f"--encoding: there is no encoding {name!r}.") from error
        if attempt:
            notices.append(
                f"The file is not UTF-8; it was read as {name} (change: --encoding)."
            )
        return TableFile(frame, notices)
    raise AssertionError("there is always an encoding to try")


def _encodings(path: Path, head: bytes, wanted: str | None) -> list[str]:
    if wanted is not None:
        return [wanted]
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return ["utf-16"]
    if head.startswith(b"PK\x03\x04"):
        raise TableProblem(
            f"{path} is a workbook or zip archive; save the table as CSV first."
        )
    if b"\0" in head:
        raise TableProblem(f"{path} is no text file; give CSV or Parquet.")
    return ["utf-8-sig", "cp1252", "latin-1"]


def _parse_text(
    path: Path,
    head: bytes,
    separator: str | None,
    encoding: str,
    text_columns: Collection[str],
    pandas: Any,
) -> Any:
    text = head.decode(encoding, errors="replace")
    if not text.strip():
        raise TableProblem(f"{path} is empty.")
    if separator is None:
        separator = _find_separator(text)
    lines = csv.reader(io.StringIO(text), delimiter=separator, skipinitialspace=True)
    filled = ([cell.strip() for cell in line] for line in lines if any(line))
    names, *cells = [line for line in filled if any(line)]
    _refuse_duplicates(path, [name for name in names if name])
    codes = [
        name for name, column in zip(names, zip_longest(*cells, fillvalue=""))
        if any(map(_CODE.fullmatch, column))
    ]  # fmt: skip
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pandas.errors.ParserWarning)
            frame = pandas.read_csv(
                path,
                sep=separator,
                encoding=encoding,
                compression="gzip" if path.suffix.lower() == ".gz" else None,
                dtype=dict.fromkeys([*codes, *text_columns], str),
                index_col=False,
                keep_default_na=False,
                na_values=MISSING,
                skipinitialspace=True,
                low_memory=False,
            )
    except (pandas.errors.ParserError, pandas.errors.ParserWarning) as error:
        # The error names the line; the warning speaks of options of pandas.
        told = isinstance(error, pandas.errors.ParserError)
        detail = _one_line(error).split("C error: ")[-1] if told else "too many fields"
        raise TableProblem(
            f"{path} has lines that do not fit its {counted(len(names), 'column')} "
            f"({detail}); mend them or say --sep."
        ) from error
    frame.columns = [str(name).strip() for name in frame.columns]
    return frame


def _find_separator(text: str) -> str:
    """The candidate that cuts most lines into the same number of fields."""
    lines = text.splitlines()[:_HEAD_LINES]
    best, best_score = ",", (0, 0)
    for candidate in _SEPARATORS:
        fields = [len(row) for row in csv.reader(lines, delimiter=candidate) if row]
        common, times = Counter(fields).most_common(1)[0]
        if common > 1 and (times, common) > best_score:
            best, best_score = candidate, (times, common)
    return best


def _refuse_duplicates(path: Path, names: list[str]) -> None:
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        raise TableProblem(
            f"{path} has several columns named {quoted(twice)}; rename them."
        )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")
