"""Dataclasses, arrays and plain values as JSON and named arrays, and back.

Only the classes of the list below can come back: a file names one of them, never
code. Their fields are found, not listed, so that a field that is added to one is
saved as well, and a file with other fields is refused.
"""

from dataclasses import fields, replace
from typing import Any

import numpy as np

from knngraph.exceptions import SavedModelError
from knngraph.graph.training_set import TrainingSet
from knngraph.index.exact import ExactIndex
from knngraph.index.hnsw import HNSWIndex
from knngraph.index.hnsw_parts import HNSWParts
from knngraph.index.medoids import MedoidSearch
from knngraph.inference.adaptive import LabelReliability, QueryProblem
from knngraph.inference.calibration import Calibration
from knngraph.inference.cascade import CascadeRule
from knngraph.inference.novelty import Novelty
from knngraph.inference.query_model import PredictOptions, QueryModel
from knngraph.inference.set_scores import SetScores
from knngraph.inference.stored import StoredAnswers
from knngraph.metric.forest import ForestMap
from knngraph.missing import Missing
from knngraph.prepared.steps import Preparation, Step
from knngraph.serving.description import Description
from knngraph.serving.predictor_state import PredictorState
from knngraph.space import Space
from knngraph.sparse_rows import is_sparse

_CLASSES = {
    known.__name__: known
    for known in (
        Calibration,
        CascadeRule,
        Description,
        ForestMap,
        HNSWParts,
        LabelReliability,
        MedoidSearch,
        Missing,
        Novelty,
        PredictOptions,
        PredictorState,
        Preparation,
        QueryModel,
        QueryProblem,
        SetScores,
        Space,
        Step,
        StoredAnswers,
        TrainingSet,
    )
}


def to_tree(value: Any) -> tuple[Any, dict[str, np.ndarray]]:
    """Take a value apart.

    Parameters
    ----------
    value : object
        Of the classes above, arrays, CSR arrays and plain values.

    Returns
    -------
    tree : object
        For JSON.
    arrays : dict of ndarray
        By the path of the fields that led to them.
    """
    writer = _Writer()
    return writer.tree(value, ""), writer.arrays


def from_tree(tree: Any, arrays: dict[str, np.ndarray]) -> Any:
    """Put a value together again; SavedModelError where it cannot be one."""
    try:
        return _value(tree, arrays)
    except SavedModelError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise SavedModelError(
            f"The saved model does not hold together ({error}). It was written by "
            "another release of knngraph: load it there, or save it again."
        ) from error


class _Writer:
    def __init__(self) -> None:
        self.arrays: dict[str, np.ndarray] = {}

    def tree(self, value: Any, path: str) -> Any:
        """JSON of a value; its arrays go to `arrays`."""
        if value is None or isinstance(value, bool | int | float | str):
            return {"value": value}
        if isinstance(value, np.bool_ | np.integer | np.floating):
            return {"value": value.item()}
        if isinstance(value, dict):
            return {"dict": {k: self.tree(v, f"{path}.{k}") for k, v in value.items()}}
        if isinstance(value, tuple):
            trees = [self.tree(v, f"{path}.{i}") for i, v in enumerate(value)]
            return {"tuple": trees}
        if isinstance(value, np.ndarray):
            if value.dtype.kind == "O":
                return {"text": self._keep(_text(value, path), path)}
            return {"array": self._keep(value, path)}
        if is_sparse(value):
            csr = value.tocsr()
            parts = (csr.data, csr.indices, csr.indptr)
            kept = [self._keep(part, f"{path}.{i}") for i, part in enumerate(parts)]
            return {"csr": kept, "shape": list(csr.shape)}
        if isinstance(value, ExactIndex):
            return {"exact": self.tree(value.points, f"{path}.points")}
        if isinstance(value, HNSWIndex):
            return self._graph(value, path)
        name = type(value).__name__
        if _CLASSES.get(name) is not type(value):
            raise SavedModelError(
                f"{path} is a {name}, which a file without code cannot hold. Save the "
                "estimator with knngraph.save instead."
            )
        return {
            "class": name,
            "fields": {
                f.name: self.tree(getattr(value, f.name), f"{path}.{f.name}")
                for f in fields(value)
            },
        }

    def _graph(self, index: HNSWIndex, path: str) -> Any:
        parts = index.parts()
        # Room for more rows is of no use to answers.
        settings = parts.settings | {"max_elements": parts.n_points}
        bare = replace(parts, settings=settings, vectors=parts.vectors[:0])
        graph = {"hnsw": self.tree(bare, path)}
        if len(index.unlinked[0]):
            names = f"{path}.unlinked", f"{path}.unlinked_rows"
            graph["unlinked"] = [
                self._keep(*some) for some in zip(index.unlinked, names)
            ]
        # The rows of the training set are most of an index: they are kept once.
        for name, array in self.arrays.items():
            if _numbered_rows(array, parts):
                return graph | {"rows": name, "numbered": True}
        name = self._keep(parts.vectors, f"{path}.vectors")
        return graph | {"rows": name, "numbered": False}

    def _keep(self, array: np.ndarray, path: str) -> str:
        for name, kept in self.arrays.items():
            if _same_memory(kept, array):
                return name
        name = path.lstrip(".")
        self.arrays[name] = array
        return name


def _same_memory(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two arrays are the same numbers, not only equal ones."""
    return one is other or one.__array_interface__ == other.__array_interface__


def _numbered_rows(array: np.ndarray, parts: HNSWParts) -> bool:
    """Whether the label of a point is the place of its vector in the array."""
    if array.dtype != np.float32 or array.ndim != 2 or not parts.n_points:
        return False
    if array.shape[1] != parts.vectors.shape[1] or parts.labels.max() >= len(array):
        return False
    return np.array_equal(array[parts.labels], parts.vectors)


def _text(objects: np.ndarray, path: str) -> np.ndarray:
    values = objects.ravel().tolist()
    text = np.array([v if isinstance(v, str) else "" for v in values], dtype=np.str_)
    for value, kept in zip(values, text.tolist()):
        if not isinstance(value, str) or value != kept:
            raise SavedModelError(
                f"{path.lstrip('.')} holds {value!r}, a {type(value).__name__}; a file "
                "without code holds text, numbers and flags. Fit on labels of these, "
                "or save the estimator with knngraph.save."
            )
    return text.reshape(objects.shape)


def _value(tree: Any, arrays: dict[str, np.ndarray]) -> Any:
    if "value" in tree:
        return tree["value"]
    if "dict" in tree:
        return {k: _value(v, arrays) for k, v in tree["dict"].items()}
    if "tuple" in tree:
        return tuple(_value(part, arrays) for part in tree["tuple"])
    if "array" in tree:
        return arrays[tree["array"]]
    if "text" in tree:
        return arrays[tree["text"]].astype(object)
    if "csr" in tree:
        return _csr([arrays[name] for name in tree["csr"]], tree["shape"])
    if "exact" in tree:
        return ExactIndex(_value(tree["exact"], arrays))
    if "hnsw" in tree:
        parts = _value(tree["hnsw"], arrays)
        if parts.settings["max_elements"] != parts.n_points:
            raise ValueError("the index asks for memory that it does not need")
        rows = arrays[tree["rows"]]
        vectors = rows[parts.labels] if tree["numbered"] else rows
        unlinked = [arrays[name] for name in tree.get("unlinked", ())]
        return HNSWIndex.from_parts(replace(parts, vectors=vectors), *unlinked)
    values = {name: _value(v, arrays) for name, v in tree["fields"].items()}
    made = _CLASSES[tree["class"]](**values)
    for field in fields(made):
        if field.type in (bool, int, float, str):
            _check_plain(field.name, field.type, values[field.name])
    return made


def _check_plain(name: str, expected: Any, value: Any) -> None:
    # JSON knows one kind of number: 1.0 may be written 1.
    allowed = (int, float) if expected is float else (expected,)
    if type(value) not in allowed:
        raise TypeError(f"{name} is {value!r} for {expected.__name__}")


def _csr(parts: list[np.ndarray], shape: list[int]) -> Any:
    from scipy import sparse

    matrix = sparse.csr_array(tuple(parts), shape=tuple(shape))
    matrix.check_format(full_check=True)
    return matrix
