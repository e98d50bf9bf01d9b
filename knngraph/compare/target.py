"""The column that is to be predicted, as classes."""

import difflib
import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from knngraph.compare.columns import as_text, numbers_of_text
from knngraph.compare.table import TableProblem, counted, quoted

# A number with more distinct values than this may be a quantity.
_MANY_VALUES = 20
_CLASSES_SHOWN = 5


@dataclass(frozen=True)
class Target:
    """Classes of the rows that have one.

    Parameters
    ----------
    rows, codes : ndarray of shape (n,), intp
        Rows of the table with a class, and that class.
    classes : ndarray of shape (n_classes,), str
    """

    rows: np.ndarray
    codes: np.ndarray
    classes: np.ndarray
    notices: list[str]


def find_column(names: list[str], wanted: str, option: str) -> str:
    """The column of a name, or a message that says which ones come close."""
    if wanted in names:
        return wanted
    near = difflib.get_close_matches(wanted, names, n=3, cutoff=0.5)
    near += [name for name in names if name.lower() == wanted.lower()]
    near = list(dict.fromkeys(near))
    hint = f"did you mean {quoted(near)}?" if near else f"there are {quoted(names)}."
    if all(re.fullmatch(r"[-+.\de]+", name) for name in names):
        hint = "the first line holds numbers; it has to name the columns."
    elif len(names) == 1:
        hint = f"the file was read as one column, {names[0]!r}: say --sep."
    raise TableProblem(f"{option}: there is no column {wanted!r}; {hint}")


def take_target(
    frame: Any, name: str, *, as_classes: bool = False, merge_case: bool = False
) -> Target:
    """Bring the column of a name to class codes.

    With `as_classes` every value of a number is a class, however many there are.
    With `merge_case` labels that differ only in case are one class.

    Raises
    ------
    TableProblem
        Where there are no two classes, or the values are a quantity.
    """
    from pandas.api import types

    column = frame[name]
    rows = np.flatnonzero(as_text(column).notna().to_numpy())
    notices = []
    n_missing = len(column) - len(rows)
    if not len(rows):
        raise TableProblem(f"the target {name!r} has no value in any row.")
    if n_missing:
        notices.append(
            f"{counted(n_missing, 'row')} without a value in the target "
            f"{name!r} left out."
        )
    present = column.iloc[rows]
    texts = as_text(present)
    if types.is_numeric_dtype(column) and not types.is_bool_dtype(column):
        values = present.to_numpy(dtype=np.float64)
    else:
        # Amounts and decimal commas are text, and a quantity nevertheless.
        texts, said = _one_spelling(texts, name, merge_case)
        notices += said
        marks = (numbers_of_text(texts, mark).to_numpy() for mark in (".", ","))
        values = min(marks, key=lambda found: np.isnan(found).sum())
    is_number = not np.isnan(values).any()
    if is_number:
        distinct = np.unique(values)
        whole = bool((distinct == np.floor(distinct)).all())
        many = len(distinct) > _MANY_VALUES
        if many and not as_classes and (not whole or 2 * len(distinct) > len(values)):
            raise TableProblem(
                f"the target {name!r} is a number with {len(distinct):,} distinct "
                f"values ({distinct[0]:g} to {distinct[-1]:g}): that is regression, "
                "and this needs classes. Cut it into ranges (pandas.qcut), or say "
                "--as-classes if every value is a class."
            )
        if many:
            notices.append(
                f"The {counted(len(distinct), 'distinct number')} of the target "
                f"{name!r} are taken as classes."
            )
    classes, codes = np.unique(texts.to_numpy(dtype=str), return_inverse=True)
    if is_number:
        # 9 comes before 10.
        first = np.unique(codes, return_index=True)[1]
        order = np.argsort(values[first], kind="stable")
        classes, codes = classes[order], np.argsort(order)[codes]
    if len(classes) < 2:
        raise TableProblem(
            f"the target {name!r} has one class, {str(classes[0])!r}, in all "
            f"{counted(len(rows), 'row')}; there is nothing to tell apart."
        )
    return Target(rows, codes.astype(np.intp), classes, notices)


def _one_spelling(texts: Any, name: str, merge: bool) -> tuple[Any, list[str]]:
    """Labels with those merged that differ only in case, and what is said of them."""
    counts = texts.value_counts()
    notices = []
    for _, spellings in counts.groupby(counts.index.str.casefold()):
        if len(spellings) < 2:
            continue
        # The most frequent comes first.
        kept, *others = spellings.index
        shown = ", ".join(f"{label!r} ({n:,})" for label, n in spellings.items())
        if merge:
            texts = texts.replace(others, kept)
        how = f"merged into {kept!r}" if merge else "apart (one class: --merge-case)"
        notices.append(f"Labels of {name!r} that differ only in case {how}: {shown}.")
    if "none" in counts.index.str.casefold():
        notices.append(f"The word None is a class of {name!r}, not a missing value.")
    return texts, notices


def check_folds(
    codes: np.ndarray, classes: np.ndarray, name: str, n_folds: int
) -> list[str]:
    """Refuse folds that no class fills; a notice names the classes that do not."""
    counts = np.bincount(codes, minlength=len(classes))
    largest = int(counts.max())
    if largest < 2:
        raise TableProblem(
            f"every row has a class of its own in the target {name!r} "
            f"({quoted(classes)}); name a column with repeated values."
        )
    if largest < n_folds:
        raise TableProblem(
            f"--folds {n_folds}: the largest class of {name!r} has "
            f"{counted(largest, 'row')}; use --folds {largest} at most."
        )
    rare = [c for c in np.argsort(counts, kind="stable") if counts[c] < n_folds]
    if not rare:
        return []
    shown = ", ".join(f"{classes[c]}: {counts[c]}" for c in rare[:_CLASSES_SHOWN])
    shown += ", ..." if len(rare) > _CLASSES_SHOWN else ""
    return [
        f"{counted(len(rare), 'class')} with fewer rows than the {n_folds} folds "
        f"({shown}): kept, but not every fold tests them, and a class of one row is "
        "never learned when it is tested."
    ]
