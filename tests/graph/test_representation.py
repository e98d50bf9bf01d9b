"""The solver: closed forms, independent solvers, optimality, certificates."""

import tracemalloc
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import ConvergenceWarning

from knngraph.graph import full_support, representation
from knngraph.graph.candidates import nearest_of_same_class
from knngraph.graph.full_support import represent_fully
from knngraph.graph.kernel import CompositeKernel
from knngraph.graph.learn import graph_over_rows
from knngraph.graph.neighbors import nearest_others
from knngraph.graph.representation import (
    Problem,
    candidates_of,
    represent_locally,
    represent_new_rows,
    warn_of_unsolved,
)
from knngraph.graph.training_set import build_training_set
from knngraph.index.exact import ExactIndex
from tests.reference import (
    composite_kernel,
    objectives,
    solve_by_coordinate_descent,
    solve_by_nnls,
    violations,
)


class Represented:
    """Rows with the representation that the stages find for them."""

    def __init__(
        self,
        rows,
        codes,
        *,
        fraction=0.3,
        sigma=1.0,
        label_weight=0.3,
        nugget=0.0,
        positive=True,
        exact=False,
        max_neighbors=32,
        max_iter=200,
        tol=1e-6,
    ):
        rows = np.asarray(rows, dtype=np.float32)
        codes = np.asarray(codes)
        training = build_training_set(rows, codes, int(codes.max()) + 1)
        neighbors = nearest_others(
            ExactIndex(training.points),
            training.points,
            training.node_weights(),
            max_neighbors,
        )
        same_class = nearest_of_same_class(
            training, neighbors, max_neighbors, max(1, max_neighbors // 2)
        )
        problem = Problem(
            kernel=CompositeKernel(sigma, label_weight, 0.1),
            density=np.ones(training.n_pairs),
            fractions=np.full(training.n_pairs, fraction),
            nugget=nugget,
            positive=positive,
            max_iter=max_iter,
            tol=tol,
        )
        represent = represent_fully if exact else represent_locally
        self.result = represent(training, neighbors, same_class, problem, max_neighbors)
        self.graph = graph_over_rows(training, self.result.weights)
        self.W = self.graph.toarray()
        self.kernel = composite_kernel(rows, codes, sigma, label_weight)
        lambda_max = self.result.lambda_max[training.pair_of_row]
        self.lambda_max = lambda_max
        self.penalty = fraction * lambda_max
        pairs = candidates_of(
            training, neighbors, same_class, training.pair_of_row, max_neighbors
        )
        first, _ = training.rows_of_pairs()
        self.candidates = [first[row[row >= 0]] for row in pairs]


@pytest.fixture(scope="module")
def some_digits(digits):
    """Every sixth digit, scaled to bring distances near one."""
    X, y = digits
    return (X[::6] / 32.0).astype(np.float32), y[::6]


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("nugget", [0.0, 0.5])
def test_one_neighbor_in_closed_form(nugget, exact):
    # Kernel 0.7 exp(-2) + 0.3 to the only other row; w = k (1 - f) / (1 + eta).
    found = Represented([[0], [2]], [0, 0], fraction=0.4, nugget=nugget, exact=exact)
    similarity = 0.7 * np.exp(-2.0) + 0.3
    weight = similarity * 0.6 / (1.0 + nugget)
    assert_allclose(found.W, [[0, weight], [weight, 0]], rtol=1e-6)
    assert_allclose(found.lambda_max, 2.0 * similarity, rtol=1e-6)


def test_another_class_is_less_similar():
    found = Represented([[0], [2]], [0, 1], fraction=0.4)
    assert_allclose(found.W[0, 1], (0.7 * np.exp(-2.0) + 0.03) * 0.6, rtol=1e-6)


def test_two_even_neighbors_share():
    # The ends are equally similar to the middle and have kernel c to each other:
    # k (1 - f) / (1 + c) each.
    found = Represented([[-1], [0], [1]], [0, 0, 0], fraction=0.4)
    similarity = 0.7 * np.exp(-0.5) + 0.3
    weight = similarity * 0.6 / (1.0 + 0.7 * np.exp(-2.0) + 0.3)
    assert_allclose(found.W[1], [weight, 0, weight], rtol=1e-6)


@pytest.mark.parametrize("exact", [False, True])
def test_a_row_with_copies_is_represented_by_one(exact):
    # k = 1 to its copy, so that w = (1 - f) / (1 + eta) there and, the copy
    # explaining the row but for the penalty, nothing elsewhere.
    found = Represented([[0], [0], [9]], [0, 0, 0], fraction=0.4, exact=exact)
    assert_allclose(found.W[:2], [[0, 0.6, 0], [0.6, 0, 0]], rtol=1e-6)


def test_a_nugget_is_shared_by_copies():
    # Three copies beside the row itself: an even spread divides the square of
    # the weight by three.
    found = Represented([[0]] * 4, [0] * 4, fraction=0.4, nugget=0.6)
    assert_allclose(found.W.sum(axis=1), 0.6 / (1.0 + 0.6 / 3), rtol=1e-6)


def test_no_other_row_to_be_represented_by():
    found = Represented([[3.0]], [0], exact=True)
    assert found.W.tolist() == [[0.0]]
    assert found.result.gaps.tolist() == [0.0]


@pytest.mark.parametrize("fraction", [0.02, 0.3, 0.9])
@pytest.mark.parametrize("label_weight", [0.0, 0.3])
def test_agrees_with_lawson_and_hanson(fraction, label_weight, some_digits):
    X, y = some_digits
    found = Represented(X, y, fraction=fraction, label_weight=label_weight, exact=True)
    objective = objectives(found.kernel, found.W, found.penalty)
    for j in range(0, len(y), 25):
        others = np.delete(np.arange(len(y)), j)
        weights = np.zeros((1, len(y)))
        weights[0, others] = solve_by_nnls(
            # The jitter keeps the factorisation alive; it moves the optimum by
            # less than a thousandth of the tolerance below.
            found.kernel[np.ix_(others, others)] + 1e-10 * np.eye(len(others)),
            found.kernel[j, others],
            found.penalty[j],
        )
        row = weights[0]
        best = 1.0 - 2.0 * row @ found.kernel[j] + row @ found.kernel @ row
        best += found.penalty[j] * row.sum()
        assert_allclose(objective[j], best, rtol=1e-6)


@pytest.mark.parametrize("nugget", [0.0, 0.2])
@pytest.mark.parametrize("positive", [True, False])
def test_optimality_over_candidates_recomputed(positive, nugget, some_digits):
    X, y = some_digits
    found = Represented(
        X, y, fraction=0.1, positive=positive, nugget=nugget, max_neighbors=10
    )
    for j, candidates in enumerate(found.candidates):
        assert j not in candidates
        assert set(np.flatnonzero(found.W[j])) <= set(candidates)
        members = np.append(candidates, j)
        W = np.zeros((len(members), len(members)))
        W[-1] = found.W[j, members]
        gap = violations(
            found.kernel[np.ix_(members, members)],
            W,
            np.full(len(members), found.penalty[j]),
            nugget,
            positive,
        )[-1]
        # Twice the tolerance: the sums here are ordered otherwise.
        assert gap <= 2e-6 * found.lambda_max[j]


@pytest.mark.parametrize("exact", [False, True])
def test_two_sided_weights_agree_with_coordinate_descent(exact, some_digits):
    X, y = some_digits[0][:60], some_digits[1][:60]
    found = Represented(
        X, y, fraction=0.01, nugget=0.05, positive=False, exact=exact, max_neighbors=60
    )
    assert (found.W < 0).any()  # or the two problems would be the same
    for j in range(0, 60, 6):
        others = np.delete(np.arange(60), j)
        gram = found.kernel[np.ix_(others, others)] + 0.05 * np.eye(59)
        expected = solve_by_coordinate_descent(
            gram, found.kernel[j, others], found.penalty[j]
        )
        assert_allclose(found.W[j, others], expected, atol=1e-5)


@pytest.mark.parametrize("positive", [True, False])
@pytest.mark.parametrize("exact", [False, True])
def test_the_certificate_holds_for_copies_of_any_label(exact, positive, some_digits):
    X, y = some_digits
    # Copies with the same label, with another one, and one of each.
    X = np.concatenate([X, X[:40], X[20:60]])
    y = np.concatenate([y, y[:40], (y[20:60] + 1) % 10])
    tol = 1e-5
    found = Represented(X, y, positive=positive, exact=exact, tol=tol)
    assert_array_equal(found.W.diagonal(), 0.0)
    assert found.result.gaps.max() <= tol
    if exact:
        violation = violations(found.kernel, found.W, found.penalty, positive=positive)
        assert (violation <= tol * found.lambda_max).all()
        np.fill_diagonal(found.kernel, 0.0)
        assert_allclose(found.lambda_max, 2.0 * found.kernel.max(axis=1), rtol=1e-6)


def test_the_certificate_reaches_beyond_the_first_candidates(some_digits):
    X, y = some_digits
    narrow = Represented(X, y, fraction=0.05, max_neighbors=2, exact=True)
    wide = Represented(X, y, fraction=0.05, max_neighbors=64, exact=True)
    assert np.diff(narrow.graph.indptr).max() > 4
    assert (
        violations(narrow.kernel, narrow.W, narrow.penalty) <= 1e-6 * narrow.lambda_max
    ).all()
    assert_allclose(
        objectives(narrow.kernel, narrow.W, narrow.penalty),
        objectives(wide.kernel, wide.W, wide.penalty),
        rtol=1e-6,
    )


@pytest.mark.parametrize("exact", [False, True])
def test_size_of_the_chunks_changes_no_solution(exact, some_digits, monkeypatch):
    X, y = some_digits[0][:90], some_digits[1][:90]
    settings = {"fraction": 0.05, "max_neighbors": 3, "exact": exact}
    whole = Represented(X, y, **settings).result
    assert exact or whole.weights.indices.dtype == np.int32
    monkeypatch.setattr(representation, "_ROWS_PER_CHUNK", 7)
    monkeypatch.setattr(full_support, "_ROWS_PER_CHUNK", 7)
    pieces = Represented(X, y, **settings).result
    assert_array_equal(pieces.weights.toarray(), whole.weights.toarray())
    assert_allclose(pieces.objective_path, whole.objective_path, rtol=1e-12)
    for name in ("gaps", "lambda_max", "n_iter"):
        assert_array_equal(getattr(pieces, name), getattr(whole, name))
    # Other blocks of the kernel offer other newcomers, and end at the same optimum.
    monkeypatch.setattr(full_support, "_BLOCK_BYTES", 1)
    blocks = Represented(X, y, **settings).result
    assert_allclose(blocks.objective_path[-1], whole.objective_path[-1], rtol=1e-6)
    assert (blocks.gaps <= 1e-6).all()
    assert len(whole.objective_path) == whole.n_iter.max() + 1


def test_few_of_all_kernels_are_there_at_a_time(random, monkeypatch):
    # The whole kernel takes 18 MB; a block of it half of one.
    monkeypatch.setattr(full_support, "_BLOCK_BYTES", 2**19)
    monkeypatch.setattr(full_support, "_ROWS_PER_CHUNK", 64)
    X, codes = random.normal(size=(1500, 2)), random.integers(2, size=1500)
    training = build_training_set(X.astype(np.float32), codes, 2)
    points, weights = training.points, training.node_weights()
    lists = nearest_others(ExactIndex(points), points, weights, 8)
    same_class = nearest_of_same_class(training, lists, 8, 4)
    ones, kernel = np.ones(1500), CompositeKernel(1.0, 0.3, 0.1)
    problem = Problem(kernel, ones, np.full(1500, 0.5), 0.0, True, 200, 1e-4)
    tracemalloc.start()
    found = represent_fully(training, lists, same_class, problem, 8)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.gaps.max() <= 1e-4
    assert peak < 6 * 2**20


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("positive", [False, True])
def test_the_mean_objective_falls_to_where_it_says(positive, exact, some_digits):
    X, y = some_digits
    found = Represented(X, y, fraction=0.05, positive=positive, exact=exact)
    path = found.result.objective_path
    assert path[0] == 1.0  # the zero vector leaves K_jj
    assert (np.diff(path) <= 0.0).all()
    end = objectives(found.kernel, found.W, found.penalty).mean()
    assert_allclose(path[-1], end, rtol=1e-6)


@pytest.mark.parametrize("fraction", [0.0, 0.5, 0.999999])
@pytest.mark.parametrize("label_weight", [0.0, 0.3, 1.0])
def test_no_row_ends_without_a_neighbor(fraction, label_weight, random):
    rows = np.concatenate([random.normal(size=(30, 2)), [[1e4, 0]]])
    codes = np.append(random.integers(2, size=30), 2)
    with warnings.catch_warnings():
        # Without a penalty on a kernel of rank three there is no unique optimum,
        # and the last digits may not be had; neighbors must be all the same.
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = Represented(rows, codes, fraction=fraction, label_weight=label_weight)
    assert (np.diff(found.graph.indptr) > 0).all()
    assert np.isfinite(found.W).all()


def test_too_few_iterations_warn_and_name_the_way_out(some_digits):
    X, y = some_digits
    with pytest.warns(ConvergenceWarning, match="Raise max_iter or tol") as warned:
        found = Represented(X, y, fraction=0.05, max_iter=1)
    assert warned[0].filename == __file__  # the line of the caller, not of the library
    assert found.result.gaps.max() > 1e-6
    assert found.result.n_iter.max() == 1


@pytest.mark.parametrize("label_weight", [0.0, 1.0])
@pytest.mark.parametrize("exact", [False, True])
def test_candidates_that_the_kernel_cannot_tell_apart(exact, label_weight, some_digits):
    # Without the label term a copy with another label is the same candidate;
    # without the feature term the whole class is. Both made the equations of a
    # support singular, and gradient steps alone do not end in time.
    X, y = some_digits
    nudged = X[:100] * np.float32(1.0 + 2e-7)  # the next float32 number
    X = np.concatenate([X, X[:100], nudged])
    y = np.concatenate([y, (y[:100] + 1) % 10, (y[:100] + 2) % 10])
    found = Represented(X, y, fraction=0.1, label_weight=label_weight, exact=exact)
    assert found.result.gaps.max() <= 1e-6
    assert found.result.n_iter.max() < 50


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("positive", [False, True])
def test_a_kernel_that_underflows_between_all_rows(positive, exact, random):
    rows = random.normal(size=(40, 3))
    found = Represented(
        rows,
        np.zeros(40, dtype=int),
        sigma=1e-3,
        label_weight=0.0,
        positive=positive,
        exact=exact,
    )
    assert (np.diff(found.graph.indptr) > 0).all()
    assert found.result.gaps.max() <= 1e-6


def test_new_rows_are_represented_as_pairs_of_one_class_are(random):
    rows = random.normal(size=(30, 2)).astype(np.float32)
    training = build_training_set(rows, random.integers(0, 3, 30), 3)
    new = random.normal(size=(7, 2)).astype(np.float32)
    fractions = random.uniform(0.05, 0.4, training.n_pairs)
    problem = Problem(
        CompositeKernel(1.0, 0.3, 0.1), np.ones(30), fractions, 0.0, True, 2000, 1e-10
    )
    nearest, _ = ExactIndex(training.points).nearest(new, 5)
    found = represent_new_rows(training, problem, new, nearest).toarray()
    for row, (candidates, weights) in enumerate(zip(nearest, found)):
        together = np.concatenate([training.points[candidates], new[[row]]])
        kernel = composite_kernel(together, np.zeros(6, int), 1.0, 0.0)
        pair = training.node_starts()[candidates[0]]
        penalty = fractions[pair] * 2.0 * kernel[-1, :-1].max()
        expected = solve_by_nnls(kernel[:-1, :-1], kernel[-1, :-1], penalty)
        assert_allclose(weights[candidates], expected, atol=1e-5)
        assert np.count_nonzero(weights) == np.count_nonzero(weights[candidates])


def test_a_gap_at_the_tolerance_is_solved():
    kernel, ones = CompositeKernel(1.0, 0.3, 0.1), np.ones(2)
    problem = Problem(kernel, ones, ones, 0.0, True, max_iter=9, tol=1e-4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_unsolved(np.array([0.0, problem.tol]), problem)
    with pytest.warns(ConvergenceWarning, match="1 of 2 rows did not reach"):
        warn_of_unsolved(np.array([0.0, np.nextafter(problem.tol, 1.0)]), problem)
