"""Which column of the user every column of the last step of a pipeline comes from.

Nothing is read from names that a user gave: a step that derives the names of its
outputs from those of its inputs is given inputs with marks for names.
"""

import copy
import re
from collections import UserList
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_array
from sklearn.base import OneToOneFeatureMixin

# Characters of the private use area: in no name of a column that people give.
_MARK = re.compile("\ue000(\\d+)\ue001")
# The source of a column that is made of several columns, or in unknown ways.
SEVERAL = -1


@dataclass(frozen=True)
class ColumnSources:
    """The columns before an encoding, and those after it.

    Parameters
    ----------
    columns : tuple of str
        Columns of the user.
    encoded : tuple of str
        Columns after the encoding.
    sources : ndarray of shape (n_encoded,), intp
        Column of the user that an encoded one comes from; -1 where it is made of
        several, or the encoding does not say.
    """

    columns: tuple[str, ...]
    encoded: tuple[str, ...]
    sources: np.ndarray

    @property
    def unresolved(self) -> tuple[str, ...]:
        """Encoded columns without one column of the user."""
        return tuple(self.encoded[i] for i in np.flatnonzero(self.sources == SEVERAL))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the sums: the columns of the user, then what is unresolved."""
        return self.columns + self.unresolved

    def summed(self, values: np.ndarray) -> np.ndarray:
        """Sum values of encoded columns over the columns that these come from.

        Parameters
        ----------
        values : ndarray of shape (..., n_encoded)

        Returns
        -------
        ndarray of shape (..., len(names))
            What is unresolved keeps its value, after the columns of the user.

        Examples
        --------
        >>> import numpy as np
        >>> from knngraph.inspection.sources import ColumnSources
        >>> sources = ColumnSources(
        ...     ("age", "city"),
        ...     ("age", "city_Oslo", "city_Rome", "pca0"),
        ...     np.array([0, 1, 1, -1]),
        ... )
        >>> sources.names
        ('age', 'city', 'pca0')
        >>> sources.summed(np.array([0.5, 0.25, 0.125, 0.125])).tolist()
        [0.5, 0.375, 0.125]
        """
        places = self.sources.copy()
        several = places == SEVERAL
        places[several] = len(self.columns) + np.arange(several.sum())
        n_encoded = len(places)
        one = (np.ones(n_encoded), places, np.arange(n_encoded + 1))
        return values @ csr_array(one, shape=(n_encoded, len(self.names)))


def column_sources(
    steps: Sequence[Any], columns: Sequence[str], n_encoded: int
) -> ColumnSources:
    """Follow the columns of a table through fitted transformers.

    Parameters
    ----------
    steps : sequence of transformers
        Fitted, in their order: `ColumnTransformer`, `FeatureUnion` and pipelines of
        scikit-learn, whatever of it derives names of outputs from names of inputs
        (scalers, imputers, encoders, selectors), and skrub's `TableVectorizer`
        and `ApplyToCols`.
    columns : sequence of str
        Columns that go into the first.
    n_encoded : int
        Number of columns that the last one returns.

    Examples
    --------
    >>> from sklearn.preprocessing import OneHotEncoder
    >>> from knngraph.inspection.sources import column_sources
    >>> encoder = OneHotEncoder().fit([["Oslo", "a"], ["Rome", "a"]])
    >>> column_sources([encoder], ["city", "letter"], 3).sources.tolist()
    [0, 0, 1]
    """
    columns = tuple(str(name) for name in columns)
    found, names = _through(steps, columns)
    if found is None or len(found) != n_encoded:
        found = np.full(n_encoded, SEVERAL)
    return ColumnSources(columns, _or_numbers(names, n_encoded), found)


def _or_numbers(names: tuple[str, ...], n_columns: int) -> tuple[str, ...]:
    """Names of columns, or numbers where a step gives none."""
    if len(names) == n_columns:
        return names
    return tuple(f"encoded column {i}" for i in range(n_columns))


def _through(
    steps: Sequence[Any], names: tuple[str, ...]
) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Sources and names after some steps; None and no names where one says nothing."""
    found = np.arange(len(names))
    for step in steps:
        sources = _of_step(step, names)
        if sources is None:
            return None, _names_after(step, names)
        found = np.where(sources == SEVERAL, SEVERAL, found[sources])
        names = _or_numbers(_names_after(step, names), len(found))
    return found, names


def _keeps_columns(step: Any) -> bool:
    """Whether a step passes all columns on, as samplers do as well."""
    return isinstance(step, str) or step is None or not hasattr(step, "transform")


def _names_after(step: Any, names: tuple[str, ...]) -> tuple[str, ...]:
    if _keeps_columns(step):
        return names
    # By the names of the fit, where it saw other ones.
    for given in (np.array(names, dtype=object), None):
        try:
            return tuple(str(name) for name in step.get_feature_names_out(given))
        except (AttributeError, TypeError, ValueError):
            continue
    return ()


def _of_step(step: Any, names: tuple[str, ...]) -> np.ndarray | None:
    if _keeps_columns(step):
        return np.arange(len(names))
    if hasattr(step, "output_indices_"):
        return _of_column_transformer(step, names)
    if hasattr(step, "transformer_list"):
        return _side_by_side(
            [_of_step(part, names) for _, part in step.transformer_list]
        )
    if hasattr(step, "steps"):
        return _through([part for _, part in step.steps], names)[0]
    package = type(step).__module__.partition(".")[0]
    by_name = package in ("skrub", "knngraph")
    if by_name and not isinstance(step, OneToOneFeatureMixin):
        return _of_named_columns(step, names)
    return _of_marks(step, len(names))


def _of_column_transformer(step: Any, names: tuple[str, ...]) -> np.ndarray:
    n_outputs = max((part.stop for part in step.output_indices_.values()), default=0)
    found = np.full(n_outputs, SEVERAL)
    for name, part, spec in step.transformers_:
        place = step.output_indices_[name]
        if place.stop == place.start:
            continue
        inputs = column_positions(spec, names)
        if len(inputs) == 1:  # whatever is made of it, such as the words of a text
            found[place] = inputs[0]
            continue
        sources = _of_step(part, tuple(names[i] for i in inputs))
        if sources is not None and len(sources) == place.stop - place.start:
            found[place] = np.where(sources == SEVERAL, SEVERAL, inputs[sources])
    return found


def column_positions(spec: Any, names: tuple[str, ...]) -> np.ndarray:
    """Positions that a specification of columns of a `ColumnTransformer` means."""
    if isinstance(spec, slice):
        start, stop = spec.start, spec.stop
        if isinstance(start, str):
            start = names.index(start)
        if isinstance(stop, str):
            stop = names.index(stop) + 1  # of names the last one is meant too
        spec = slice(start, stop, spec.step)
    elif isinstance(spec, str):
        spec = names.index(spec)
    elif not np.isscalar(spec):
        if isinstance(spec, UserList):
            spec = spec.data  # of a remainder, scikit-learn 1.6 warns at every look
        spec = [names.index(s) if isinstance(s, str) else s for s in spec]
    return np.atleast_1d(np.arange(len(names))[spec])


def _side_by_side(parts: Sequence[np.ndarray | None]) -> np.ndarray | None:
    known = [part for part in parts if part is not None]
    return np.concatenate(known) if known and len(known) == len(parts) else None


def _of_named_columns(step: Any, names: tuple[str, ...]) -> np.ndarray | None:
    """Of steps that take columns by their names and keep those they leave alone."""
    outputs = _names_after(step, names)
    made_of = getattr(step, "output_to_input_", {})
    created = list(getattr(step, "created_outputs_", ()))
    used = tuple(getattr(step, "used_inputs_", ()))
    if not made_of and created:
        # Made by one transformer of all the columns that it got.
        sources = _of_step(step.transformer_, used)
        if sources is not None:
            made_of = {
                output: used[i] for output, i in zip(created, sources) if i != SEVERAL
            }
        made_of = dict.fromkeys(created) | made_of
    origins = [made_of.get(name, name) for name in outputs]
    if not set(origins) <= {*names, None}:
        return None
    return np.array(
        [SEVERAL if name is None else names.index(name) for name in origins],
        dtype=np.intp,
    )


def _of_marks(step: Any, n_inputs: int) -> np.ndarray | None:
    """Read the sources off the names of the outputs, with marks as inputs' names."""
    unnamed = copy.copy(step)
    vars(unnamed).pop("feature_names_in_", None)  # other names are refused
    marks = [f"\ue000{i}\ue001" for i in range(n_inputs)]
    try:
        names = unnamed.get_feature_names_out(np.array(marks, dtype=object))
    except (AttributeError, TypeError, ValueError):
        return None
    found = [{int(mark) for mark in _MARK.findall(str(name))} for name in names]
    return np.array(
        [sources.pop() if len(sources) == 1 else SEVERAL for sources in found],
        dtype=np.intp,
    )
