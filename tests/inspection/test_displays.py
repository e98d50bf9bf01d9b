"""Pictures: what they keep, what they draw, what they refuse."""

import runpy
import sys
from itertools import combinations
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import same_color
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import NotFittedError

from knngraph import KNNGraphClassifier
from knngraph.inspection import (
    ConvergenceDisplay,
    ExplanationDisplay,
    FidelityDisplay,
    LearnedKDisplay,
    NeighborGraphDisplay,
    ParetoDisplay,
    neighborhood_fidelity,
)
from tests.optional import skip_without_torch

GALLERY = Path(__file__).resolve().parents[2] / "docs" / "gallery"


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def flat(blobs):
    """Two columns of the blobs, and a model of them."""
    X = blobs[0][:, :2]
    return X, KNNGraphClassifier(ef=16, random_state=0).fit(X, blobs[1])


@pytest.fixture(scope="module")
def fidelity():
    # Without structure, so that a small `ef` misses much.
    X = np.random.default_rng(0).normal(size=(1500, 16))
    return neighborhood_fidelity(X, k=[5, 20], ef=[5, 80], n_queries=50)


@pytest.fixture(scope="module")
def displays(flat, fidelity):
    """One of each, with the number of axes it draws on."""
    X, model = flat
    pareto = ParetoDisplay(names="abc", microseconds=[1, 2, 3], accuracies=[0.1, 1, 0])
    return [
        (NeighborGraphDisplay.from_estimator(model, X, n_suspects=4), 1),
        (ConvergenceDisplay.from_estimator(model), 1),
        (LearnedKDisplay.from_estimator(model), 2),
        (FidelityDisplay.from_fidelity(fidelity), 4),
        (pareto, 1),
        (ExplanationDisplay.from_estimator(model, X[:1]), 3),
    ]


def test_plot_returns_itself_and_keeps_axes(displays):
    for display, n_axes in displays:
        assert not hasattr(display, "ax_")
        assert display.plot() is display
        axes = np.atleast_1d(display.ax_)
        assert len(axes) == n_axes
        assert all(ax.figure is display.figure_ for ax in axes)
        assert all(ax.get_xlabel() and ax.get_title() for ax in axes)
        display.figure_.canvas.draw()
        del display.ax_, display.figure_


def test_draws_on_given_axes(displays):
    for display, n_axes in displays:
        figure, axes = plt.subplots(1, n_axes)
        display.plot(ax=axes)
        assert_array_equal(np.atleast_1d(display.ax_), np.atleast_1d(axes))
        assert display.figure_ is figure
        _, too_many = plt.subplots(1, n_axes + 1)
        with pytest.raises(ValueError, match=rf"draws on {n_axes} axes, got ax with"):
            display.plot(ax=too_many)
        del display.ax_, display.figure_


def test_without_matplotlib(displays, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    for display, _ in displays:
        name = type(display).__name__
        with pytest.raises(ImportError, match=rf"{name}.plot needs matplotlib.*plots"):
            display.plot()


@pytest.mark.parametrize("display", [ConvergenceDisplay, LearnedKDisplay])
def test_before_fit(display):
    with pytest.raises(NotFittedError):
        display.from_estimator(KNNGraphClassifier())
    with pytest.raises(NotFittedError):
        NeighborGraphDisplay.from_estimator(KNNGraphClassifier(), [[0.0, 1.0]])


def test_every_edge_and_every_suspect_is_drawn(flat, blobs):
    X, model = flat
    display = NeighborGraphDisplay.from_estimator(model, X, n_suspects=4)
    assert_array_equal(display.labels, blobs[1])
    assert_array_equal(display.suspects, model.suspect_labels(4).rows)
    ax = display.plot().ax_
    (edges,) = [c for c in ax.collections if c.get_label().startswith("_child0")]
    graph = model.graph_.tocoo()
    drawn = np.array(edges.get_segments())
    assert_allclose(drawn, np.stack([X[graph.row], X[graph.col]], axis=1))
    widths = np.array(edges.get_linewidth())
    assert graph.data[widths.argmax()] == graph.data.max()
    (rings,) = [c for c in ax.collections if c.get_label() == "suspect label"]
    assert_allclose(rings.get_offsets(), X[display.suspects])
    rows = [c for c in ax.collections if c not in (edges, rings)]
    assert sum(len(c.get_offsets()) for c in rows) == len(X)


def test_graphs_that_do_not_fit(flat):
    X, model = flat
    with pytest.raises(ValueError, match="embedding must have two columns"):
        NeighborGraphDisplay.from_estimator(model, np.zeros((240, 3)))
    with pytest.raises(ValueError, match="labels must be as long as embedding"):
        NeighborGraphDisplay.from_estimator(model, X[:5])
    with pytest.raises(ValueError, match="graph must have shape"):
        NeighborGraphDisplay(embedding=X[:5], graph=model.graph_, labels=[0] * 5)
    with pytest.raises(ValueError, match="n_suspects must be between 0 and 240"):
        NeighborGraphDisplay.from_estimator(model, X, n_suspects=241)


def test_a_graph_without_edges():
    model = KNNGraphClassifier(random_state=0).fit([[0.0, 0.0]], ["a"])
    display = NeighborGraphDisplay.from_estimator(model, [[0.0, 0.0]])
    assert len(display.plot().ax_.collections) >= 1


def test_convergence(flat):
    model = flat[1]
    (line,) = ConvergenceDisplay.from_estimator(model).plot().ax_.lines
    path = model.objective_path_
    assert_allclose(line.get_ydata()[0], path[0] - path[-1])
    assert (np.diff(line.get_ydata()) <= 0).all()
    # Nothing to come down from.
    ConvergenceDisplay(objective_path=[1.0, 1.0]).plot().figure_.canvas.draw()
    with pytest.raises(ValueError, match="objective_path must be one row"):
        ConvergenceDisplay(objective_path=[])


def test_learned_k(flat):
    model = flat[1]
    left, right = LearnedKDisplay.from_estimator(model).plot().ax_
    heights = [bar.get_height() for bar in left.patches]
    assert sum(heights) == 240
    first = model.n_neighbors_.min()
    assert_allclose(left.patches[0].get_center()[0], first)
    assert heights == np.bincount(model.n_neighbors_)[first:].tolist()
    (cells,) = [c for c in right.collections if c.get_array() is not None]
    assert cells.get_array().sum() == 240
    with pytest.raises(ValueError, match="density must be as long as n_neighbors"):
        LearnedKDisplay(n_neighbors=[1, 2], density=[0.5])
    with pytest.raises(ValueError, match="one row at least"):
        LearnedKDisplay(n_neighbors=[], density=[])


def test_fidelity(fidelity):
    display = FidelityDisplay.from_fidelity(fidelity)
    first = display.plot().ax_[0]
    lines = {line.get_label(): line for line in first.lines}
    for i, ef in enumerate(fidelity.ef):
        assert_allclose(lines[f"ef={ef}"].get_ydata(), fidelity.overlap[i])
    hollow = [
        line
        for line in first.lines
        if same_color(line.get_markerfacecolor(), "white") and len(line.get_xdata())
    ]
    assert sum(len(line.get_xdata()) for line in hollow) == (~fidelity.kept).sum()
    assert set(fidelity.kept.ravel()) == {True, False}
    with pytest.raises(ValueError, match=r"kept must have shape \(2, 2\)"):
        FidelityDisplay(**{**vars_of(display), "kept": [True]})


def vars_of(display):
    """What its constructor takes."""
    drawn = ("ax_", "figure_")
    return {name: value for name, value in vars(display).items() if name not in drawn}


def test_pareto_front():
    display = ParetoDisplay(
        names=["a", "b", "c", "d", "e"],
        microseconds=[5.0, 1.0, 2.0, 5.0, 9.0],
        accuracies=[0.9, 0.5, 0.5, 0.8, 0.95],
    )
    assert display.front.tolist() == [1, 0, 4]


def test_names_on_a_crowded_picture_cover_nothing(random):
    n = 16
    display = ParetoDisplay(
        names=[f"method number {i}" for i in range(n)],
        microseconds=np.exp(0.7 * random.normal(size=n)),
        accuracies=0.98 + 0.005 * random.normal(size=n),
    ).plot()
    figure, ax = display.figure_, display.ax_
    figure.canvas.draw()
    boxes = [text.get_window_extent() for text in ax.texts if text.get_text()]
    assert len(boxes) == n
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    points = ax.transData.transform(
        np.column_stack([display.microseconds, display.accuracies])
    )
    assert not any(box.contains(*point) for box in boxes for point in points)


def test_points_that_cannot_be_drawn():
    with pytest.raises(ValueError, match="accuracies must be as long as names"):
        ParetoDisplay(names=["a"], microseconds=[1.0], accuracies=[])
    with pytest.raises(ValueError, match="microseconds must be larger than zero"):
        ParetoDisplay(names=["a"], microseconds=[0.0], accuracies=[1.0])


@pytest.mark.parametrize("script", sorted(GALLERY.glob("*.py")), ids=lambda p: p.stem)
def test_gallery(script, monkeypatch):
    skip_without_torch(script.read_text())
    monkeypatch.setattr(plt, "show", lambda: None)
    runpy.run_path(str(script))
    assert plt.get_fignums()
