"""Accuracy of the surest answers, by hand and against a sum over all rows."""

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier

from knngraph import KNNGraphClassifier
from knngraph.inspection import RiskCoverageDisplay, risk_coverage


def test_a_curve_by_hand():
    curve = risk_coverage([0, 1, 1, 0], [0, 1, 0, 1], [0.9, 0.7, 0.8, 0.7])
    assert curve.coverage.tolist() == [0.25, 0.5, 1.0]
    assert curve.risk.tolist() == [0.0, 0.5, 0.5]
    assert curve.threshold.tolist() == [0.9, 0.8, 0.7]
    assert curve.accuracy_at(1.0) == 0.5
    assert curve.accuracy_at([0.25, 0.5, 0.75]).tolist() == [1.0, 0.5, 0.5]
    assert curve.threshold_for(0.5) == 0.7
    assert curve.threshold_for(0.6) == 0.9
    assert "50%                 0.5000" in str(curve)


def test_the_area_is_that_of_many_copies():
    random = np.random.default_rng(0)
    confidence = np.round(random.random(60), 1)
    y_pred = (random.random(60) < confidence).astype(int)
    curve = risk_coverage(np.ones(60), y_pred, confidence)
    # Rows of equal confidence in random order, each many times.
    areas = []
    for _ in range(200):
        rows = np.repeat(random.permutation(60), 50)
        rows = rows[random.permutation(len(rows))]
        wrong = 1 - y_pred[rows[np.argsort(-confidence[rows], kind="stable")]]
        areas.append((np.cumsum(wrong) / np.arange(1, len(wrong) + 1)).mean())
    assert curve.area == pytest.approx(np.mean(areas), abs=2e-3)


def test_weights_are_copies_and_the_order_of_rows_is_none():
    random = np.random.default_rng(1)
    confidence, right = np.round(random.random(40), 1), random.random(40) < 0.7
    weights = random.integers(0, 3, 40)
    weighted = risk_coverage(np.ones(40), right, confidence, sample_weight=weights)
    rows = random.permutation(np.repeat(np.arange(40), weights))
    repeated = risk_coverage(np.ones(len(rows)), right[rows], confidence[rows])
    for name in ("coverage", "risk", "threshold"):
        np.testing.assert_allclose(getattr(weighted, name), getattr(repeated, name))
    assert weighted.area == pytest.approx(repeated.area)


def test_best_and_worst_orders():
    y_true, y_pred = np.zeros(10), np.repeat([0, 1], 5)
    sure = np.arange(10.0)
    best = risk_coverage(y_true, y_pred, -sure)
    worst = risk_coverage(y_true, y_pred, sure)
    alike = risk_coverage(y_true, y_pred, np.ones(10))
    assert best.area < alike.area < worst.area
    assert alike.area == pytest.approx(0.5)
    assert best.area == pytest.approx(0.5 + 0.5 * np.log(0.5))
    assert risk_coverage([1], [1], [0.5]).area == 0.0
    assert risk_coverage([1], [0], [0.5]).area == 1.0


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (([0, 1], [0], [0.5, 0.5]), "y_pred must be as long as y_true: got 1 and 2"),
        (
            ([0], [0], [[0.5]]),
            r"confidence must be one-dimensional, got shape \(1, 1\)",
        ),
        (([0, 1], [0, 1], [0.5, np.nan]), "confidence is NaN in row 1"),
        (([], [], []), "at least one row; got 0 rows"),
    ],
)
def test_refused(given, message):
    with pytest.raises(ValueError, match=message):
        risk_coverage(*given)


def test_refused_weights_shares_and_accuracies():
    for weights in ([1.0, -1.0], [0.0, 0.0], [np.nan, 1.0]):
        with pytest.raises(ValueError, match="sample_weight must hold finite numbers"):
            risk_coverage([0, 1], [0, 1], [0.5, 0.6], sample_weight=weights)
    curve = risk_coverage([0, 1], [0, 0], [0.5, 0.6])
    for share in (0.0, 1.1, [0.5, np.nan]):
        with pytest.raises(ValueError, match="coverage must be above 0"):
            curve.accuracy_at(share)
    with pytest.raises(ValueError, match=r"the surest answers have 0\.5"):
        curve.threshold_for(0.9)


def test_the_picture_of_any_classifier():
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("Agg")
    X, y = load_iris(return_X_y=True)
    model = KNNGraphClassifier(inference="adaptive", random_state=0)
    model.fit(X[::2], y[::2])
    forest = RandomForestClassifier(10, random_state=0).fit(X[::2], y[::2])
    display = RiskCoverageDisplay.from_estimator(model, X[1::2], y[1::2]).plot()
    other = RiskCoverageDisplay.from_estimator(forest, X[1::2], y[1::2], name="trees")
    assert other.plot(ax=display.ax_).ax_ is display.ax_
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert labels[0].startswith("KNNGraphClassifier (area 0.0")
    assert labels[1].startswith("trees (area 0.0")
    first, second = display.ax_.lines
    assert first.get_color() != second.get_color()
    assert first.get_ydata()[0] == pytest.approx(model.score(X[1::2], y[1::2]))
    predictor = model.to_predictor()
    same = RiskCoverageDisplay.from_estimator(predictor, X[1::2], y[1::2])
    assert same.curve.area == display.curve.area
    pyplot.close("all")
    with pytest.raises(TypeError, match="from_predictions"):
        RiskCoverageDisplay.from_estimator(object(), X, y)
