"""What may be given to `partial_fit` and `forget`: the last that fits, and the next."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from knngraph import KNNGraphClassifier
from knngraph.exceptions import RefitWarning
from knngraph.updating.arguments import (
    check_same_parameters,
    checked_indices,
    codes_of_labels,
    joint_classes,
    refuse_all_rows,
    warn_of_far_rows,
)
from knngraph.updating.ids import checked_ids, join_ids, remove_ids, rows_of_ids
from tests.frozen import assert_frozen


@pytest.mark.parametrize(
    ("indices", "rows"),
    [
        (3, [3]),
        ([-4, 3], [0, 3]),
        (np.int8(-1), [3]),
        ([2, -2, 0], [0, 2]),
        ([], []),
        ([True, False, False, True], [0, 3]),
    ],
)
def test_indices_of_four_rows(indices, rows):
    found = checked_indices(indices, 4)
    assert found.dtype == np.intp
    assert found.tolist() == rows


@pytest.mark.parametrize("outside", [4, -5])
def test_the_next_index_is_outside(outside):
    message = f"indices holds {outside}, .* 4 rows: an index is from -4 to 3"
    with pytest.raises(ValueError, match=message):
        checked_indices([0, outside, 9], 4)
    with pytest.raises(ValueError, match=r"mask of 0 values, .* 4 rows"):
        checked_indices(np.zeros(0, dtype=bool), 4)


def test_the_last_row_stays():
    refuse_all_rows(3, 4)
    with pytest.raises(ValueError, match="all 4 rows"):
        refuse_all_rows(4, 4)


def test_the_first_unknown_label_is_named_beside_five_classes():
    classes = np.array(list("abcde"))
    assert codes_of_labels(np.array(["e", "a"]), classes).tolist() == [4, 0]
    with pytest.raises(ValueError, match=r"'x', .* 'a', 'b', 'c', 'd', 'e'\. If"):
        codes_of_labels(np.array(["b", "x", "a", "y"]), classes)
    with pytest.raises(ValueError, match=r"'a', 'b', 'c', 'd', 'e', \.\.\.\. If"):
        codes_of_labels(np.array(["x"]), np.array(list("abcdef")))


def test_classes_that_are_known_stay_the_array_they_are():
    known = np.array([1, 3])
    assert joint_classes(known, [3]) is known
    assert joint_classes(known, [3.0, 1.0]) is known
    assert joint_classes(known, [0, 3]).tolist() == [0, 1, 3]


def test_parameters_that_are_equal_and_such_as_are_not():
    fitted = {"M": 16, "values": np.array([1, 2])}
    check_same_parameters(fitted, {"M": 16.0, "values": [1, 2], "ef": 3})
    with pytest.raises(ValueError, match=r"M was 16 at fit and is 8 now.* Set M=16"):
        check_same_parameters(fitted, {"M": 8, "values": [1, 2]})
    with pytest.raises(ValueError, match="values was"):
        check_same_parameters(fitted, {"M": 16, "values": [1, 3]})


def test_centers_up_to_16384_spacings_away_are_near(blobs):
    model = KNNGraphClassifier(metric="euclidean", random_state=0).fit(*blobs)
    settings = replace(model._model.settings, spacing=0.5)
    rows = np.zeros((3, 2), dtype=np.float32)
    rows[:2, 1] = -(2.0**13)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_far_rows(rows, settings)
        warn_of_far_rows(3 * rows[[0, 2, 2]], settings)  # one row is not the center
        warn_of_far_rows(1000.0 * rows.astype(np.float64), settings)
    rows[:, 1] *= 1.001
    with pytest.warns(RefitWarning, match=r"is 1\.6e\+04 times the typical"):
        warn_of_far_rows(rows, settings)


LARGEST = 2**63 - 1


@pytest.mark.parametrize(
    ("ids", "kind", "expected"),
    [
        (7, np.int64, [7]),
        (np.array(7), np.int64, [7]),
        ("C-17", object, ["C-17"]),
        ([LARGEST, -LARGEST], np.int64, [LARGEST, -LARGEST]),
        ([LARGEST + 1], object, [LARGEST + 1]),
        ([-LARGEST - 1, 0], object, [-LARGEST - 1, 0]),
        ([3, "3"], object, [3, "3"]),
        ([], np.int64, []),
    ],
    ids=str,
)
def test_numbers_are_kept_as_numbers(ids, kind, expected):
    found = checked_ids(ids)
    assert found.dtype == kind
    assert found.tolist() == expected
    assert checked_ids(ids, len(expected)).tolist() == expected
    with pytest.raises(ValueError, match=f"ids has {len(expected)} values for 9 rows"):
        checked_ids(ids, 9)


@pytest.mark.parametrize(
    ("before", "n_before", "added", "n_added", "expected"),
    [
        (None, 2, None, 1, None),
        (None, 2, [7], 1, [None, None, 7]),
        ([7], 1, None, 2, [7, None, None]),
        ([7], 1, None, 0, [7]),
        (None, 0, [7, 5], 2, [7, 5]),
        ([7], 1, [5, 6], 2, [7, 5, 6]),
        ([7], 1, ["a"], 1, [7, "a"]),
    ],
)
def test_ids_of_rows_and_of_those_behind_them(
    before, n_before, added, n_added, expected
):
    before = None if before is None else checked_ids(before)
    added = None if added is None else checked_ids(added)
    found = join_ids(before, n_before, added, n_added)
    if expected is None:
        assert found is None
        return
    assert found.tolist() == expected
    assert not found.flags.writeable
    plain = all(type(one) is int for one in expected)
    assert found.dtype == (np.int64 if plain else object)
    # All but the first row are forgotten, and then the first alone.
    left = remove_ids(found, np.arange(1, len(expected)))
    assert (None if left is None else left.tolist()) == (
        None if expected[0] is None else expected[:1]
    )
    assert_array_equal(remove_ids(found, np.array([0])), expected[1:])


def test_rows_that_ids_name_and_ids_of_none():
    ids = join_ids(checked_ids([9, "a", 7]), 3, None, 1)
    assert rows_of_ids(checked_ids(["a", 9, "a"]), ids).tolist() == [0, 1]
    assert rows_of_ids(checked_ids([]), None).tolist() == []
    assert remove_ids(None, np.array([0])) is None
    five = list(range(20, 25))
    for known in (ids, checked_ids([9, 7]), None):
        with pytest.raises(ValueError, match="ids has 20, 21, 22, 23, 24, which"):
            rows_of_ids(checked_ids([*five, 20]), known)
        with pytest.raises(ValueError, match="20, 21, 22, 23, 24 and 1 more, which"):
            rows_of_ids(checked_ids([*five, 25]), known)


def test_a_change_that_is_pending_is_not_changed():
    assert_frozen("updating")
