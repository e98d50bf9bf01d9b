"""Values as JSON and named arrays, and back."""

import json
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse

from knngraph import SavedModelError
from knngraph.index.exact import ExactIndex
from knngraph.index.hnsw import HNSWIndex
from knngraph.inference.adaptive import QueryProblem
from knngraph.inference.query_model import PredictOptions
from knngraph.missing import Missing
from knngraph.serving.tree import from_tree, to_tree

POINTS = np.arange(12, dtype=np.float32).reshape(6, 2)


def there_and_back(value):
    tree, arrays = to_tree(value)
    return from_tree(json.loads(json.dumps(tree)), arrays)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (None, None),
        (True, True),
        (3, 3),
        (0.5, 0.5),
        ("text", "text"),
        (np.bool_(True), True),
        (np.int32(-7), -7),
        (np.float64(0.1), 0.1),
        ((1, ("a", None)), (1, ("a", None))),
        ({"a": 1, "b": {"c": (2.0,)}}, {"a": 1, "b": {"c": (2.0,)}}),
        (PredictOptions("lookup", 4, 1), PredictOptions("lookup", 4, 1)),
    ],
)
def test_plain_values(value, found):
    back = there_and_back(value)
    assert back == found
    assert type(back) is type(found)


@pytest.mark.parametrize(
    "array",
    [
        POINTS,
        np.array([], dtype=np.intp),
        np.array(["a", "bb"]),
        np.array([True, False]),
        np.array([["a", "ü"], ["", "longer"]], dtype=object),
    ],
)
def test_arrays(array):
    assert_array_equal(there_and_back(array), array, strict=True)


@pytest.mark.parametrize("kind", [sparse.csr_array, sparse.csc_array])
def test_sparse_arrays(kind):
    array = kind(np.array([[0.0, 2.0, 0.0], [0.0, 0.0, 0.0], [1.0, 0.0, 3.0]]))
    back = there_and_back(array)
    assert isinstance(back, sparse.csr_array)
    assert_array_equal(back.toarray(), array.toarray())
    tree, arrays = to_tree(array)
    for wrong in (tree | {"shape": [3, 2]}, tree | {"csr": tree["csr"][:2]}):
        with pytest.raises(SavedModelError, match="does not hold together"):
            from_tree(wrong, arrays)


def test_an_array_is_kept_once_under_the_first_path_to_it():
    twin = POINTS.copy()
    missing = Missing(POINTS, POINTS[:], twin)
    _, arrays = to_tree({"one": missing, "two": (POINTS, twin)})
    assert list(arrays) == ["one.medians", "one.sizes"]
    assert arrays["one.medians"] is POINTS
    assert arrays["one.sizes"] is twin
    back = there_and_back({"index": ExactIndex(POINTS), "rows": POINTS})
    assert back["index"].points is back["rows"] is not None


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("numbers", [[0, 1, 2, 3, 4, 5], [5, 3, 1, 0, 2, 4]])
def test_a_graph_beside_its_rows(numbers):
    index = HNSWIndex(2, 50)
    index.add(POINTS, np.array(numbers))
    rows = np.empty_like(POINTS)
    rows[numbers] = POINTS
    # Rows that have the places that the graph names them by are kept once.
    for given, n_kept in ((rows, 1), (rows[::-1].copy(), 2), (rows[:5].copy(), 2)):
        _, arrays = to_tree((given, index))
        kept = [a for a in arrays.values() if a.shape[1:] == (2,)]
        assert sum(len(a) > 0 for a in kept) == n_kept
        _, back = there_and_back((given, index))
        for one in (index, back):
            ids, squared = one.nearest(POINTS, 1, ef=10)
            assert_array_equal(ids[:, 0], numbers)
            assert not squared.any()
    # Room for more rows is not kept; nor is a graph taken that has any.
    tree, arrays = to_tree((rows, index))
    settings = tree["tuple"][1]["hnsw"]["fields"]["settings"]["dict"]
    assert settings["max_elements"] == {"value": 6}
    settings["max_elements"] = {"value": 7}
    with pytest.raises(SavedModelError, match="memory that it does not need"):
        from_tree(tree, arrays)


@dataclass(frozen=True)
class Unknown:
    """Not on the list of what a file may hold."""

    number: int = 1


def test_what_a_file_without_code_cannot_hold():
    with pytest.raises(SavedModelError, match=r"\.a is a Unknown, .*knngraph\.save"):
        to_tree({"a": Unknown()})
    # A class of the same name is another one.
    impostor = type("PredictOptions", (), {})()
    with pytest.raises(SavedModelError, match="is a PredictOptions"):
        to_tree(impostor)
    with pytest.raises(SavedModelError, match="x holds 1, a int"):
        to_tree({"x": np.array(["a", 1], dtype=object)})


def options_tree(**changed):
    tree, _ = to_tree(PredictOptions("lookup", 4, 1))
    return tree | {"fields": tree["fields"] | changed}


def problem_tree(**changed):
    tree, _ = to_tree(QueryProblem(8, 1.0, 0.5, 0.1))
    return tree | {"fields": tree["fields"] | changed}


def deep(n):
    """A tree of so many levels."""
    tree = {"value": 1}
    for _ in range(n):
        tree = {"exact": tree}
    return tree


@pytest.mark.parametrize(
    ("tree", "cause"),
    [
        ({"array": "nothing"}, KeyError),
        ({"class": "Path", "fields": {}}, KeyError),
        ({"class": "PredictOptions", "fields": {}}, TypeError),
        ({"tuple": 3}, TypeError),
        ({"hnsw": {"value": None}}, AttributeError),
        (options_tree(temperature={"value": 1.0}), TypeError),
        (options_tree(ef={"value": 4.0}), TypeError),
        (options_tree(ef={"value": True}), TypeError),
        (options_tree(inference={"value": 1}), TypeError),
        (problem_tree(sigma={"value": "1"}), TypeError),
        (problem_tree(sigma={"value": False}), TypeError),
        (deep(5000), RecursionError),
    ],
)
def test_trees_that_are_no_value(tree, cause):
    message = r"does not hold together \(.*another release of knngraph"
    with pytest.raises(SavedModelError, match=message) as refused:
        from_tree(tree, {})
    assert isinstance(refused.value.__cause__, cause)


def test_whole_numbers_of_json_may_be_floats():
    assert from_tree(problem_tree(sigma={"value": 1}), {}).sigma == 1
