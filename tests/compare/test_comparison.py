"""The measures, and the rule that chooses."""

import warnings

import numpy as np
import pandas
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier

from knngraph.compare.comparison import choose
from knngraph.compare.cross_validation import Measured, measure
from knngraph.compare.methods import MAJORITY, Method, all_methods
from knngraph.tables.columns import TypedColumns
from knngraph.tables.load import LabeledTable, pipeline_for

FOLDS = np.array([0.01, -0.01, 0.0])


def method(name, accuracy, microseconds, loss=1.0):
    return Measured(
        Method(name, None),
        accuracy=accuracy,
        balanced=accuracy,
        log_loss=loss + FOLDS,
        microseconds=[microseconds] * 3,
    )


MOST = method(MAJORITY, 0.5 + 0 * FOLDS, 0.1)


def test_the_fastest_of_those_that_cannot_be_told_from_the_best():
    best = method("best", 0.9 + FOLDS, 100.0)
    close = method("close", 0.895 + FOLDS[::-1], 10.0)
    fast = method("fast", 0.8 + FOLDS, 1.0)
    chosen, reason = choose([MOST, best, close, fast])
    assert chosen is close
    assert "are within one standard error of the best, best (0.5 points more)" in reason


def test_times_that_are_close_leave_it_to_the_accuracy():
    best = method("best", 0.9 + FOLDS, 19.0)
    close = method("close", 0.895 + FOLDS[::-1], 10.0)
    chosen, reason = choose([MOST, best, close])
    assert chosen is best
    assert "2 methods are within one standard error of the best" in reason


def test_folds_that_agree_tell_methods_apart():
    # A difference that is the same in every fold is no noise.
    best = method("best", 0.9 + FOLDS, 100.0)
    behind = method("behind", 0.899 + FOLDS, 10.0)
    chosen, reason = choose([MOST, best, behind])
    assert chosen is best
    assert "every other method is behind" in reason


def test_a_clearly_worse_log_loss_is_not_chosen():
    best = method("best", 0.9 + FOLDS, 100.0, loss=0.3)
    close = method("close", 0.895 + FOLDS[::-1], 10.0, loss=0.5)
    chosen, reason = choose([MOST, best, close])
    assert chosen is best
    assert "1 of them with a clearly worse log loss" in reason
    # Not even the most accurate one.
    sure = method("sure", 0.895 + FOLDS[::-1], 1000.0, loss=0.1)
    assert choose([MOST, best, close, sure])[0] is sure
    # Nor one that is a little worse on every fold.
    little = method("little", 0.895 + FOLDS[::-1], 10.0, loss=0.32)
    assert choose([MOST, best, little])[0] is best
    equal = method("equal", 0.895 + FOLDS[::-1], 10.0, loss=0.3 + 1e-12)
    assert choose([MOST, best, equal])[0] is equal
    # By as much as the folds differ is no reason.
    noisy = method("noisy", 0.895 + FOLDS[::-1], 10.0)
    noisy.log_loss = 0.4 + 20 * FOLDS
    assert choose([MOST, best, noisy])[0] is noisy


def test_no_better_than_the_majority_class():
    chosen, reason = choose([MOST, method("best", 0.505 + FOLDS, 1.0)])
    assert chosen is None
    assert "No method is better than always saying the most frequent class" in reason


def test_two_folds_that_happen_to_agree_are_no_proof():
    majority = Measured(Method(MAJORITY, None), accuracy=[0.5, 0.5])
    for accuracies, chosen in (([0.53, 0.54], False), ([0.83, 0.84], True)):
        half = Measured(
            Method("half", None),
            accuracy=accuracies,
            log_loss=[1.0, 1.0],
            microseconds=[1.0, 1.0],
        )
        assert (choose([majority, half])[0] is half) == chosen


def test_failures_are_not_chosen():
    failed = Measured(Method("failed", None), failure="too few rows")
    fine = method("fine", 0.9 + FOLDS, 1.0)
    assert choose([MOST, failed, fine])[0] is fine
    assert choose([MOST, failed])[0] is None


def made_table(n_rows=90, n_classes=3):
    random = np.random.default_rng(0)
    frame = pandas.DataFrame(random.normal(size=(n_rows, 2)), columns=["a", "b"])
    codes = np.arange(n_rows) % n_classes
    frame["a"] += codes
    classes = np.array([f"c{code}" for code in range(n_classes)])
    return LabeledTable(
        frame, frame, frame, np.arange(n_rows), codes, classes, TypedColumns({}), []
    )


FIVE = StratifiedKFold(5, shuffle=True, random_state=0)


def test_the_measures_are_those_of_scikit_learn():
    table, done = made_table(), []
    estimator = KNeighborsClassifier(9)
    found = measure(Method("nine", estimator), table, FIVE, 0, done.append)
    assert done == [1] * 5
    given = cross_val_predict(
        pipeline_for(estimator),
        table.frame,
        table.codes,
        cv=FIVE,
        method="predict_proba",
    )
    areas, losses, shares = [], [], []
    for _, test in FIVE.split(table.frame, table.codes):
        codes = table.codes[test]
        areas.append(roc_auc_score(codes, given[test], multi_class="ovr"))
        losses.append(log_loss(codes, np.clip(given[test], 1e-15, 1)))
        shares.append(np.mean(given[test].argmax(axis=1) == codes))
    np.testing.assert_allclose(found.area, areas)
    np.testing.assert_allclose(found.log_loss, losses)
    np.testing.assert_allclose(found.accuracy, shares)
    assert (found.predicted == given.argmax(axis=1)).all()
    assert len(found.fit_seconds) == len(found.microseconds) == 5


def test_a_class_that_no_training_row_has():
    table = made_table()
    table.codes[table.codes == 2] = 0
    table.codes[5] = 2
    found = measure(Method("one", KNeighborsClassifier(1)), table, FIVE)
    assert not found.failure
    # Its row costs -log 1e-15.
    assert found.log_loss.max() >= -np.log(1e-15) / len(table.codes) * 5
    assert np.isfinite(found.area).all()


def test_failures_and_warnings_are_kept():
    class Warns(KNeighborsClassifier):
        def predict(self, X):
            warnings.warn("slow\nhere", stacklevel=2)
            return super().predict(X)

    found = measure(Method("warns", Warns(1)), made_table(), FIVE)
    assert found.warned == ["slow here"]
    found = measure(Method("many", KNeighborsClassifier(85)), made_table(), FIVE)
    assert "n_neighbors" in found.failure


def test_the_methods():
    methods, said = all_methods(1000)
    names = [method.name for method in methods]
    assert names[0] == MAJORITY
    assert isinstance(methods[0].estimator, DummyClassifier)
    for name in (
        "logistic regression",
        "kNN, tuned",
        "random forest",
        "extra trees",
        "lookup",
        "cascade",
        "adaptive",
        "KNNGraphClassifierCV",
        "HistGradientBoosting",
        "SVC, tuned",
    ):
        assert name in names
    assert not said
    quick, said = all_methods(1000, quick=True)
    assert {m.name for m in quick} < set(names)
    assert "--quick" in said[0]
    many, said = all_methods(10_000)
    assert [m.name for m in many] == names[:-1]
    assert "Without SVC" in said[0]


@pytest.mark.parametrize("method", all_methods(90)[0], ids=lambda method: method.name)
def test_every_method_takes_gaps_and_categories(method):
    table = made_table(180)
    table.frame["kind"] = pandas.Categorical(["None", "x", None] * 60)
    table.frame.loc[3:8, "b"] = np.nan
    found = measure(method, table, StratifiedKFold(2))
    assert not found.failure
    assert method.name == MAJORITY or found.mean_accuracy > 0.5
