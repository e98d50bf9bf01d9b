"""The column that is to be predicted, as classes."""

import difflib
import re
from typing import Any

import numpy as np

from knngraph.tables.columns import as_text, numbers_of_text
from knngraph.tables.table import TableProblem, counted, quoted

# A number with more distinct values than this may be a quantity.
_MANY_VALUES = 20


def find_column(names: list[str], wanted: str, option: str) -> None:
    """Refuse a name that no column has, and say which ones come close."""
    if wanted in names:
        return
    near = [name for name in names if name.lower() == wanted.lower()]
    near = near or difflib.get_close_matches(wanted, names, n=3, cutoff=0.5)
    hint = f"did you mean {quoted(near)}?" if near else f"there are {quoted(names)}."
    if all(re.fullmatch(r"[-+.\de]+", name) for name in names):
        hint = "the first line holds numbers; it has to name the columns."
    elif len(names) == 1:
        hint = f"the file was read as one column, {names[0]!r}: say --sep."
    raise TableProblem(f"{option}: there is no column {wanted!r}; {hint}")


def take_target(
    column: Any, name: str, *, as_classes: bool = False, merge_case: bool = False
) -> tuple[Any, list[str]]:
    """Labels of the rows as text, missing where there is none, and notices.

    With `as_classes` every value of a number is a class, however many there are.
    With `merge_case` labels that differ only in case are one class.

    Raises
    ------
    TableProblem
        Where there are no two classes, or the values are a quantity.
    """
    labels = as_text(column)
    present = labels.dropna()
    if not len(present):
        raise TableProblem(f"the target {name!r} has no value in any row.")
    notices = []
    if len(present) < len(labels):
        missing = counted(len(labels) - len(present), "row")
        notices.append(f"{missing} without a value in the target {name!r} left out.")
    counts = present.value_counts()
    # Amounts and decimal commas are text, and a quantity nevertheless.
    marks = [numbers_of_text(present, mark).to_numpy() for mark in (".", ",")]
    values = np.unique(min(marks, key=lambda found: np.isnan(found).sum()))
    if len(values) > _MANY_VALUES and not np.isnan(values).any():
        codes = (values % 1 == 0).all() and 2 * len(values) <= len(present)
        if not (codes or as_classes):
            raise TableProblem(
                f"the target {name!r} is a number with {len(values):,} distinct values "
                f"({values[0]:g} to {values[-1]:g}): that is regression, and this "
                "needs classes. Cut it into ranges (pandas.qcut), or say --as-classes "
                "if every value is a class."
            )
        distinct = counted(len(values), "distinct number")
        notices.append(f"The {distinct} of the target {name!r} are taken as classes.")
    for _, alike in counts.groupby(counts.index.str.casefold()):
        kept, *others = alike.index  # the most frequent comes first
        if others:
            how = f"merged into {kept!r}" if merge_case else "apart (--merge-case)"
            shown = ", ".join(f"{label!r} ({n:,})" for label, n in alike.items())
            notices.append(f"Labels of {name!r} that differ in case {how}: {shown}.")
            labels = labels.replace(others, kept) if merge_case else labels
    if "none" in counts.index.str.casefold():
        notices.append(f"The word None is a class of {name!r}, not a missing value.")
    if labels.nunique() < 2:
        raise TableProblem(
            f"the target {name!r} has one class, {counts.index[0]!r}, in all "
            f"{counted(len(present), 'row')}; there is nothing to tell apart."
        )
    return labels, notices


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
    shown = ", ".join(f"{classes[c]}: {counts[c]}" for c in rare[:5])
    return [
        f"{counted(len(rare), 'class')} with fewer rows than the {n_folds} folds "
        f"({shown}{', ...' if len(rare) > 5 else ''}): kept, but not every fold tests "
        "them, and a class of one row is never learned when it is tested."
    ]
