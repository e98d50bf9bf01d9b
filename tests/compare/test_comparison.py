"""The measures, and the rule that chooses."""

import warnings

import numpy as np
import pandas
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.metrics import log_loss as reference_log_loss
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import FunctionTransformer

from knngraph.compare.comparison import choose
from knngraph.compare.cross_validation import (
    MAJORITY,
    Fit,
    Measured,
    Method,
    all_fits,
    cross_validate,
    log_loss,
    warm_up,
)

FOLDS = np.array([-0.01, 0.0, 0.01])


def method(name, accuracy, microseconds, balanced=0.5):
    return Measured(
        Method(name, f"{name}()"),
        accuracy=list(accuracy),
        balanced_accuracy=[balanced, balanced, balanced + 0.001],
        log_loss=[1.0] * 3,
        fit_seconds=[1.0] * 3,
        microseconds=[microseconds] * 3,
    )


MOST = method(MAJORITY, 0.5 + 0 * FOLDS, 0.1)


def test_the_fastest_of_those_that_cannot_be_told_from_the_best():
    best = method("best", 0.9 + FOLDS, 100.0)
    close = method("close", 0.895 + FOLDS[::-1], 10.0)
    fast = method("fast", 0.8 + FOLDS, 1.0)
    choice = choose([MOST, best, close, fast])
    assert choice.chosen is close
    assert choice.best is best
    assert "10.0 times as fast" in choice.reason
    assert "best, 0.5 points more" in choice.reason


def test_times_that_are_close_leave_it_to_the_accuracy():
    best = method("best", 0.9 + FOLDS, 19.0)
    close = method("close", 0.895 + FOLDS[::-1], 10.0)
    assert choose([MOST, best, close]).chosen is best


def test_folds_that_agree_tell_methods_apart():
    # A difference that is the same in every fold is no noise.
    best = method("best", 0.9 + FOLDS, 100.0)
    behind = method("behind", 0.899 + FOLDS, 10.0)
    choice = choose([MOST, best, behind])
    assert choice.chosen is best
    assert "every other method is behind" in choice.reason


def test_no_better_than_the_majority_class():
    best = method("best", 0.505 + FOLDS, 1.0)
    choice = choose([MOST, best])
    assert choice.chosen is None
    assert "do not tell the classes apart" in choice.reason
    balanced = method("best", 0.505 + FOLDS, 1.0, balanced=0.7)
    assert "tell the rare classes apart" in choose([MOST, balanced]).reason


def test_two_folds_that_happen_to_agree_are_no_proof():
    def half(accuracies):
        return Measured(Method("half", ""), accuracies, [0.5, 0.5], [1.0, 1.0])

    majority = Measured(Method(MAJORITY, ""), [0.5, 0.5], [0.5, 0.5])
    majority.microseconds = [0.1, 0.1]
    for accuracies, chosen in (([0.53, 0.54], False), ([0.83, 0.84], True)):
        method = half(accuracies)
        method.microseconds = [1.0, 1.0]
        assert (choose([majority, method]).chosen is method) == chosen


def test_failures_are_not_chosen():
    failed = Measured(Method("failed", "failed()"), failure="too few rows")
    fine = method("fine", 0.9 + FOLDS, 1.0)
    assert choose([MOST, failed, fine]).chosen is fine
    assert choose([MOST, failed]).chosen is None


def test_log_loss_is_that_of_scikit_learn_where_all_classes_are_known():
    random = np.random.default_rng(0)
    probabilities = random.dirichlet(np.ones(3), size=50)
    codes = random.integers(3, size=50)
    ours = log_loss(codes, probabilities, np.arange(3))
    assert ours == pytest.approx(reference_log_loss(codes, probabilities))


def test_a_class_that_was_not_learned_was_given_nothing():
    for codes, known in (([2], [0, 1]), ([1], [0, 2]), ([0], [1, 2])):
        value = log_loss(np.array(codes), np.full((1, 2), 0.5), np.array(known))
        assert value == pytest.approx(-np.log(1e-15))


def fits():
    return [
        Fit(lambda s, j: DummyClassifier(), [Method(MAJORITY, "")]),
        Fit(lambda s, j: KNeighborsClassifier(1), [Method("one", "")]),
        Fit(lambda s, j: KNeighborsClassifier(50), [Method("fifty", "")]),
    ]


def test_cross_validation_by_hand():
    # Two rows a place and class: one of each in either fold.
    X = pandas.DataFrame({"x": [0.0, 0.1, 10.0, 10.1]})
    codes = np.array([0, 0, 1, 1])
    done = []
    most, one, fifty = cross_validate(
        X, codes, FunctionTransformer, fits(), n_folds=2, seed=0, advance=done.append
    )
    assert most.accuracy == [0.5, 0.5]
    assert most.balanced_accuracy == [0.5, 0.5]
    assert one.accuracy == [1.0, 1.0]
    assert one.log_loss == pytest.approx([0.0, 0.0])
    assert "n_neighbors" in fifty.failure
    assert not fifty.accuracy
    assert len(one.fit_seconds) == len(one.microseconds) == 2
    assert done == [1] * 6


class Warns(KNeighborsClassifier):
    """A method that warns at fit and at every answer."""

    def fit(self, X, y):
        warnings.warn(f"{len(y)} rows\nare few", stacklevel=2)
        return super().fit(X, y)

    def predict(self, X):
        warnings.warn("slow", stacklevel=2)
        return super().predict(X)


def test_warnings_are_kept_for_the_report():
    X = pandas.DataFrame({"x": [0.0, 0.1, 10.0, 10.1]})
    own = Fit(lambda s, j: Warns(1), [Method("own", "", {}), Method("again", "", {})])
    first, second = cross_validate(
        X, np.array([0, 0, 1, 1]), FunctionTransformer, [own], n_folds=2, seed=0
    )
    assert first.warned == ["2 rows are few", "slow", "2 rows are few", "slow"]
    assert second.warned == ["slow", "slow"]
    warm_up([own])


def test_every_method_has_a_name_and_code_of_its_own():
    methods = [method for fit in all_fits() for method in fit.methods]
    assert methods[0].name == MAJORITY
    assert len({r.name for r in methods}) == len({r.code for r in methods}) == 14
    quick = [method for fit in all_fits(quick=True) for method in fit.methods]
    assert [r.name for r in quick] == [r.name for r in methods[: len(quick)]]


@pytest.mark.parametrize("fit", all_fits(), ids=lambda fit: fit.methods[0].name)
def test_the_code_makes_what_was_measured(fit):
    import sklearn.dummy
    import sklearn.neighbors

    import knngraph

    names = {name: getattr(knngraph, name) for name in knngraph.__all__}
    names |= vars(sklearn.dummy) | vars(sklearn.neighbors)
    for method in fit.methods:
        measured = fit.make(None, 1).set_params(**method.parameters)
        written = eval(method.code, names)
        assert type(written) is type(measured)
        ignored = {"n_jobs", "random_state"}
        of = [m.get_params().items() for m in (written, measured)]
        ours, theirs = ({k: v for k, v in p if k not in ignored} for p in of)
        assert ours == theirs
