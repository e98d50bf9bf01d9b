"""The target column: classes, or why there are none."""

import numpy as np
import pandas
import pytest

from knngraph.tables.table import TableProblem
from knngraph.tables.target import check_folds, find_column, take_target


def labels_of(values, **options):
    return take_target(pandas.Series(values), "t", **options)


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        (["b", "a ", "b", "a"], ["b", "a", "b", "a"]),
        ([10, 9, 10], ["10", "9", "10"]),
        ([1.0, np.nan, 0.0], ["1", None, "0"]),
        ([0.5, 1.5], ["0.5", "1.5"]),
        ([True, False], ["True", "False"]),
        (["x", None, "y"], ["x", None, "y"]),
    ],
)
def test_values_become_classes(values, labels):
    found, notices = labels_of(values)
    assert found.tolist() == labels
    said = "1 row without a value" in " ".join(notices)
    assert said == (None in labels)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([None, None], "no value in any row"),
        (["a"] * 5, "one class, 'a', in all 5 rows"),
        (np.linspace(0, 1, 40), "that is regression"),
        (np.arange(40), "that is regression"),
    ],
)
def test_targets_that_are_none(values, message):
    with pytest.raises(TableProblem, match=message):
        labels_of(values)


def test_many_numbers_can_be_classes():
    labels, _ = labels_of(np.linspace(0, 1, 40), as_classes=True)
    assert labels.nunique() == 40
    # Whole numbers that come back often are codes.
    labels, notices = labels_of(np.arange(90) % 30)
    assert labels.nunique() == 30
    assert "30 distinct numbers" in notices[0]


def test_amounts_are_a_quantity():
    for form in ("${:,.2f}", "{:.1f}%"):
        values = [form.format(1000.5 + 3 * i) for i in range(40)]
        with pytest.raises(TableProblem, match="that is regression"):
            labels_of(values)


def test_labels_that_differ_only_in_case():
    values = ["yes", "Yes", "Yes", "no", "YES"]
    labels, (said,) = labels_of(values)
    assert labels.tolist() == values
    assert "'Yes' (2), 'yes' (1), 'YES' (1)" in said
    assert "--merge-case" in said
    labels, (said,) = labels_of(values, merge_case=True)
    assert labels.tolist() == ["Yes", "Yes", "Yes", "no", "Yes"]
    assert "merged into 'Yes'" in said


def test_the_word_none_is_a_class():
    labels, notices = labels_of(["None", "mild", None])
    assert labels.tolist() == ["None", "mild", None]
    assert "None is a class of 't'" in " ".join(notices)


def test_numbers_that_print_alike_stay_apart():
    assert labels_of([1.00000001, 1.00000002, 1.5])[0].nunique() == 3


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("lable", "did you mean 'label'"),
        ("LABEL", "did you mean 'label'"),
        ("zzz", "there are 'size', 'label'"),
    ],
)
def test_a_wrong_name_gets_a_hint(wanted, message):
    with pytest.raises(TableProblem, match=message):
        find_column(["size", "label"], wanted, "--target")


def test_a_table_without_names_is_recognized():
    with pytest.raises(TableProblem, match="the first line holds numbers"):
        find_column(["5.1", "3.5", "0"], "label", "--target")


def test_a_separator_that_was_not_found_is_asked_for():
    with pytest.raises(TableProblem, match=r"as one column, 'a b label': say --sep"):
        find_column(["a b label"], "label", "--target")


def test_folds_that_no_class_fills():
    classes = np.array(["a", "b"])
    with pytest.raises(TableProblem, match="largest class of 't' has 3 rows; use"):
        check_folds(np.array([0, 0, 0, 1]), classes, "t", 4)
    with pytest.raises(TableProblem, match="every row has a class of its own"):
        check_folds(np.array([0, 1]), classes, "t", 2)


def test_rare_classes_are_named():
    codes = np.array([0] * 9 + [1] * 2 + [2])
    (notice,) = check_folds(codes, np.array(["a", "b", "c"]), "t", 3)
    assert "2 classes with fewer rows than the 3 folds (c: 1, b: 2)" in notice
    assert "never learned" in notice
    assert check_folds(np.array([0, 0, 1, 1]), np.array(["a", "b"]), "t", 2) == []
