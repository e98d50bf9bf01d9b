"""The column that is to be predicted, as classes."""

import difflib
from dataclasses import dataclass
from typing import Any

import numpy as np

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
    if names and all(_is_number(name) for name in names):
        hint = "the first line holds numbers; it has to name the columns."
    elif len(names) == 1:
        hint = f"the file was read as one column, {names[0]!r}: say --sep."
    raise TableProblem(f"{option}: there is no column {wanted!r}; {hint}")


def take_target(frame: Any, name: str, *, as_classes: bool = False) -> Target:
    """Bring the column of a name to class codes.

    With `as_classes` every value of a number is a class, however many there are.

    Raises
    ------
    TableProblem
        Where there are no two classes, or the values are a quantity.
    """
    from pandas.api import types

    column = frame[name]
    rows = np.flatnonzero(column.notna().to_numpy())
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
    is_number = types.is_numeric_dtype(column) and not types.is_bool_dtype(column)
    if is_number:
        values = present.to_numpy(dtype=np.float64)
        whole = bool((values == np.floor(values)).all())
        kinds, codes = np.unique(values, return_inverse=True)
        classes = np.array([f"{v:.0f}" if whole else f"{v:g}" for v in kinds])
        if len(set(classes)) < len(classes):
            classes = np.array([repr(float(v)) for v in kinds])
        many = len(kinds) > _MANY_VALUES
        if many and not as_classes and (not whole or 2 * len(kinds) > len(values)):
            raise TableProblem(
                f"the target {name!r} is a number with {len(kinds):,} distinct values "
                f"({kinds[0]:g} to {kinds[-1]:g}): that is regression, and this "
                "compares classifiers. Cut it into ranges first (pandas.qcut), or say "
                "--as-classes if every value is a class."
            )
        if many:
            notices.append(
                f"The {counted(len(classes), 'distinct number')} of the target "
                f"{name!r} are taken as classes."
            )
    else:
        classes, codes = np.unique(
            np.array([str(value).strip() for value in present]), return_inverse=True
        )
    if len(classes) < 2:
        raise TableProblem(
            f"the target {name!r} has one class, {str(classes[0])!r}, in all "
            f"{counted(len(rows), 'row')}; there is nothing to tell apart."
        )
    return Target(rows, codes.astype(np.intp), classes, notices)


def check_folds(
    codes: np.ndarray, classes: np.ndarray, name: str, n_folds: int
) -> list[str]:
    """Refuse folds that no class fills; notices name the classes that do not."""
    counts = np.bincount(codes, minlength=len(classes))
    largest = int(counts.max())
    if largest < n_folds:
        if largest < 2:
            raise TableProblem(
                f"every row has a class of its own in the target {name!r} "
                f"({quoted(classes)}); name a column with repeated values."
            )
        raise TableProblem(
            f"--folds {n_folds}: the largest class of {name!r} has "
            f"{counted(largest, 'row')}; use --folds {largest} at most."
        )
    rare = np.flatnonzero(counts < n_folds)
    if not len(rare):
        return []
    rare = rare[np.argsort(counts[rare], kind="stable")]
    shown = [f"{classes[c]}: {counts[c]}" for c in rare[:_CLASSES_SHOWN]]
    more = f" and {len(rare) - len(shown)} more" if len(rare) > len(shown) else ""
    text = (
        f"{counted(len(rare), 'class')} with fewer rows than the {n_folds} folds "
        f"({', '.join(shown)}{more}): kept, but not every fold tests them."
    )
    if counts[rare[0]] == 1:
        text += " A class of one row is never learned when it is tested."
    return [text]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
