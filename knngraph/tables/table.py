"""A file as a data frame: its format, encoding and separator are detected."""

import codecs
import csv
import gzip
import io
import re
import sys
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
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
_HEAD_LETTERS = 256 * 1024
_HEAD_LINES = 50
# First bytes that say the encoding; those of UTF-32 begin with those of UTF-16.
_MARKS = {
    "utf-32": (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE),
    "utf-16": (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE),
}
# Digits that stay text: as a number the code 01234 would lose its zero.
_CODE = re.compile(r"0\d+")


class TableProblem(ValueError):
    """A table or an option that cannot be used.

    The message is one line that names the file, column or option, and the way out.
    """


def quoted(names: Iterable[object], limit: int = 5) -> str:
    """A few names in quotes, and how many more there are.

    Examples
    --------
    >>> from knngraph.tables.table import quoted
    >>> quoted(["a", "b", "c"], limit=2)
    "'a', 'b' and 1 more"
    """
    found = [repr(str(name)) for name in names]
    more = f" and {len(found) - limit} more" if len(found) > limit else ""
    return ", ".join(found[:limit]) + more


def counted(number: int, noun: str) -> str:
    """A number with its noun.

    Examples
    --------
    >>> from knngraph.tables.table import counted
    >>> counted(1, "row"), counted(2500, "row"), counted(3, "class")
    ('1 row', '2,500 rows', '3 classes')
    """
    plural = "" if number == 1 else "es" if noun.endswith("s") else "s"
    return f"{number:,} {noun}{plural}"


def or_say_why(name: str, run: Callable[[], None]) -> int:
    """Run a command; 2 and one line on standard error for a bad table or option.

    Parameters
    ----------
    name : str
        Of the command.
    """
    try:
        run()
    except TableProblem as problem:
        print(f"knngraph {name}: {problem}", file=sys.stderr)
        return 2
    return 0


def require(*packages: str) -> None:
    """Name the extra that brings packages where one is missing."""
    for package in packages:
        if find_spec(package) is None:
            raise TableProblem(
                f"this needs {package}. Install it with: pip install 'knngraph[tables]'"
            )


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
        with separated values, compressed by gzip or not.
    separator : str or None, default=None
        One character; None finds out between comma, semicolon, tab and bar.
    encoding : str or None, default=None
        None means UTF-8, else UTF-16 or UTF-32 where the file says so, else
        Windows-1252.
    text_columns : collection of str
        Columns of a text file that are no numbers, whatever they hold.

    Raises
    ------
    TableProblem
        Where there is no such table to read.
    """
    require("pandas", "skrub")
    notices: list[str] = []
    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            frame = _read_parquet(path)
        else:
            data = path.read_bytes()
            if data.startswith(b"\x1f\x8b"):
                data = gzip.decompress(data)
            found = encoding or _find_encoding(path, data)
            if not encoding and not found.startswith("utf"):
                notices = [f"Not UTF-8, but read as {found} (change: --encoding)."]
            frame = _read_text(path, data, separator, found, text_columns)
    except FileNotFoundError as error:
        raise TableProblem(f"there is no file {path}.") from error
    except (EOFError, zlib.error, OSError) as error:
        reason = getattr(error, "strerror", None) or _one_line(error)
        raise TableProblem(f"cannot read {path}: {reason}.") from error
    if not len(frame):
        raise TableProblem(f"{path} has a line of column names but no rows.")
    frame.columns = [str(name).strip() for name in frame.columns]
    return TableFile(frame, notices)


def _read_parquet(path: Path) -> Any:
    require("pyarrow")
    import pandas
    from pyarrow import ArrowException, parquet

    path.open("rb").close()  # a missing file is said by the system, not by pyarrow
    try:
        _refuse_duplicates(path, parquet.read_schema(path).names)
        frame = pandas.read_parquet(path)
    except ArrowException as error:
        why = _one_line(error)
        raise TableProblem(f"{path} is no readable Parquet file: {why}.") from error
    # What pandas stored as named rows is a column like the others.
    named = [name for name in frame.index.names if name is not None]
    return frame.reset_index(named).reset_index(drop=True)


def _find_encoding(path: Path, data: bytes) -> str:
    for name, marks in _MARKS.items():
        if data.startswith(marks):
            return name
    if data.startswith(b"PK\x03\x04"):
        raise TableProblem(
            f"{path} is a workbook or zip archive; save the table as CSV first."
        )
    if b"\0" in data[:_HEAD_LETTERS]:
        raise TableProblem(
            f"{path} is no text file; give CSV or Parquet, or say its --encoding."
        )
    for name in ("utf-8-sig", "cp1252"):
        with suppress(UnicodeDecodeError):
            data.decode(name)
            return name
    return "latin-1"


def _read_text(
    path: Path,
    data: bytes,
    separator: str | None,
    encoding: str,
    text_columns: Collection[str],
) -> Any:
    import pandas

    try:
        text = data.decode(encoding)[:_HEAD_LETTERS]
    except UnicodeDecodeError as error:
        raise TableProblem(f"{path} is not encoded in {encoding}.") from error
    except LookupError as error:
        raise TableProblem(f"--encoding: there is no encoding {encoding!r}.") from error
    if not text.strip():
        raise TableProblem(f"{path} is empty.")
    # The limit of the csv module is one for the process: no cell is longer than this.
    csv.field_size_limit(max(csv.field_size_limit(), len(text)))
    separator = separator or _find_separator(text)
    stream = io.StringIO(text, newline="")  # lines of old Macs end in \r
    lines = csv.reader(stream, delimiter=separator, skipinitialspace=True)
    filled = ([cell.strip() for cell in line] for line in lines)
    names, *cells = [line for line in filled if any(line)]
    _refuse_duplicates(path, [name for name in names if name])
    columns = zip(names, zip_longest(*cells, fillvalue=""))
    codes = [name for name, column in columns if any(map(_CODE.fullmatch, column))]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pandas.errors.ParserWarning)
            return pandas.read_csv(
                io.BytesIO(data),
                sep=separator,
                encoding=encoding,
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
