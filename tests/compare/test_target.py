"""The target column: classes, or why there are none."""

import numpy as np
import pandas
import pytest

from knngraph.compare.table import TableProblem
from knngraph.compare.target import check_folds, find_column, take_target


@pytest.mark.parametrize(
    ("values", "classes", "codes"),
    [
        (["b", "a ", "b", "a"], ["a", "b"], [1, 0, 1, 0]),
        ([10, 9, 10], ["9", "10"], [1, 0, 1]),
        ([1.0, np.nan, 0.0], ["0", "1"], [1, 0]),
        ([0.5, 1.5], ["0.5", "1.5"], [0, 1]),
        ([True, False], ["False", "True"], [1, 0]),
        (["x", None, "y"], ["x", "y"], [0, 1]),
    ],
)
def test_values_become_classes(values, classes, codes):
    target = take_target(pandas.DataFrame({"t": values}), "t")
    assert target.classes.tolist() == classes
    assert target.codes.tolist() == codes
    missing = len(values) - len(codes)
    assert ("1 row without a value" in " ".join(target.notices)) == (missing == 1)


def test_rows_without_a_class_are_left_out_by_position():
    frame = pandas.DataFrame({"t": ["a", None, "b"]}, index=[7, 8, 9])
    assert take_target(frame, "t").rows.tolist() == [0, 2]


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
        take_target(pandas.DataFrame({"t": values}), "t")


def test_many_numbers_can_be_classes():
    frame = pandas.DataFrame({"t": np.linspace(0, 1, 40)})
    assert len(take_target(frame, "t", as_classes=True).classes) == 40
    # Whole numbers that come back often are codes.
    target = take_target(pandas.DataFrame({"t": np.arange(90) % 30}), "t")
    assert len(target.classes) == 30
    assert "30 distinct numbers" in target.notices[0]


def test_amounts_are_a_quantity():
    for form in ("${:,.2f}", "{:.1f}%"):
        values = [form.format(1000.5 + 3 * i) for i in range(40)]
        with pytest.raises(TableProblem, match="that is regression"):
            take_target(pandas.DataFrame({"t": values}), "t")


def test_labels_that_differ_only_in_case():
    frame = pandas.DataFrame({"t": ["yes", "Yes", "Yes", "no", "YES"]})
    target = take_target(frame, "t")
    assert target.classes.tolist() == ["YES", "Yes", "no", "yes"]
    (said,) = target.notices
    assert "'Yes' (2), 'yes' (1), 'YES' (1)" in said
    assert "--merge-case" in said
    target = take_target(frame, "t", merge_case=True)
    assert target.classes.tolist() == ["Yes", "no"]
    assert "merged into 'Yes'" in target.notices[0]


def test_the_word_none_is_a_class():
    target = take_target(pandas.DataFrame({"t": ["None", "mild", None]}), "t")
    assert target.classes.tolist() == ["None", "mild"]
    assert "None is a class of 't'" in " ".join(target.notices)


def test_numbers_that_print_alike_stay_apart():
    values = [1.00000001, 1.00000002, 1.5]
    classes = take_target(pandas.DataFrame({"t": values}), "t").classes
    assert len(set(classes)) == 3


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
